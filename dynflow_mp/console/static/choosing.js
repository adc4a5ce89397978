// Choosing rows of a table, and typed confirmations: comfort for what works without as well.
"use strict";
(function () {
  const boxes = function () { return Array.from(document.querySelectorAll('td.pick input[type="checkbox"]')); };

  function recount() {
    const all = boxes();
    const chosen = all.filter(function (box) { return box.checked; }).length;
    const matching = document.getElementById("all-matching");
    for (const head of document.querySelectorAll("[data-choose-all]")) {
      head.hidden = false;
      head.checked = all.length > 0 && chosen === all.length;
      head.indeterminate = chosen > 0 && chosen < all.length;
    }
    for (const place of document.querySelectorAll("[data-chosen-count]")) {
      const text = matching && matching.checked ? "With all that match:" : "With " + chosen + " chosen:";
      if (place.textContent !== text) place.textContent = text;
    }
  }

  document.addEventListener("change", function (event) {
    const box = event.target;
    if (box.matches && box.matches("[data-choose-all]")) for (const one of boxes()) one.checked = box.checked;
    recount();
  });
  document.addEventListener("htmx:afterSwap", recount);

  function check(field) {
    for (const button of field.form.querySelectorAll("[data-needs-typed]")) {
      button.disabled = field.value.trim() !== field.dataset.typed;
    }
  }
  document.addEventListener("input", function (event) {
    if (event.target.dataset && event.target.dataset.typed !== undefined) check(event.target);
  });

  function begin() {
    recount();
    for (const field of document.querySelectorAll("[data-typed]")) check(field);
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
