// A form is sent once, however often its button is clicked: what is asked for twice is done twice, or refused.
"use strict";
(function () {
  const AGAIN_MS = 5000;
  const sent = new WeakMap();

  document.addEventListener("submit", function (event) {
    if (event.target.method !== "post") return;
    const before = sent.get(event.target);
    if (before !== undefined && Date.now() - before < AGAIN_MS) event.preventDefault();
    else sent.set(event.target, Date.now());
  });
})();
