// Keeps a page up to date without loading it anew: htmx asks for a part of it, idiomorph changes only what differs, so
// that focus, selection, scroll position, ticked boxes and opened details stay as they are.
"use strict";
(function () {
  const OURS = new Set(["checked", "open", "value", "hidden", "disabled"]);

  function keeps(name, element) {
    // What the reader has ticked, opened or typed is the reader's.
    if (name === "open") return element.tagName === "DETAILS";
    if (!OURS.has(name)) return false;
    if (element.tagName === "INPUT") return element.type !== "hidden";
    return element.tagName === "BUTTON" && name === "disabled";
  }

  htmx.defineExtension("morph", {
    isInlineSwap: function () { return false; },
    handleSwap: function (style, target, fragment) {
      if (style !== "morph") return false;
      return Idiomorph.morph(target, fragment.childNodes, {
        morphStyle: "innerHTML",
        ignoreActiveValue: true,
        callbacks: { beforeAttributeUpdated: function (name, element) { return !keeps(name, element); } },
      });
    },
  });

  // Nobody looks at a page in the background, so it asks for nothing.
  document.addEventListener("htmx:beforeRequest", function (event) {
    if (document.hidden) event.preventDefault();
  });
  document.addEventListener("visibilitychange", function () {
    if (!document.hidden) for (const live of document.querySelectorAll("[hx-get]")) htmx.trigger(live, "refresh");
  });

  // Somebody who marks text to copy it must not lose it.
  document.addEventListener("htmx:beforeSwap", function (event) {
    const marked = window.getSelection();
    if (marked && !marked.isCollapsed && event.detail.target.contains(marked.anchorNode)) event.detail.shouldSwap = false;
  });

  function say(text) {
    const place = document.getElementById("liveness");
    if (place && place.textContent !== text) place.textContent = text;
  }
  document.addEventListener("htmx:afterRequest", function (event) {
    if (event.detail.successful) say("");
    else say("not up to date: the console cannot be reached, or has no answer");
  });
  document.addEventListener("htmx:sendError", function () { say("not up to date: the console cannot be reached"); });
})();
