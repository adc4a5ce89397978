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

  function refresh() {
    for (const live of document.querySelectorAll("[hx-get]")) htmx.trigger(live, "refresh");
  }

  // A browser has few connections for one host. Pages in the background, which all keep one open, would leave none for
  // the page that is looked at: so they let go of theirs, and what begins in the background waits.
  const feeds = new Set();

  function feed(url) {
    const heard = [];
    let source = null;
    const kept = {
      onopen: null,
      onerror: null,
      get readyState() { return source ? source.readyState : EventSource.CONNECTING; },
      addEventListener: function (name, listener) {
        heard.push([name, listener]);
        if (source) source.addEventListener(name, listener);
      },
      removeEventListener: function (name, listener) {
        const place = heard.findIndex(function (one) { return one[0] === name && one[1] === listener; });
        if (place >= 0) heard.splice(place, 1);
        if (source) source.removeEventListener(name, listener);
      },
      close: function () { feeds.delete(kept); kept.rest(); },
      rest: function () { if (source) source.close(); source = null; },
      wake: function () {
        if (source) return;
        source = new EventSource(url);
        source.onopen = function (event) { if (kept.onopen) kept.onopen(event); };
        source.onerror = function (event) {
          // Whether that is since the console is gone is seen at once, and not when the page would ask again.
          refresh();
          // A new one is made in its place; this one must not wake again.
          if (kept.readyState === EventSource.CLOSED) feeds.delete(kept);
          if (kept.onerror) kept.onerror(event);
        };
        for (const one of heard) source.addEventListener(one[0], one[1]);
      },
    };
    feeds.add(kept);
    if (!document.hidden) kept.wake();
    return kept;
  }
  htmx.createEventSource = feed;
  document.addEventListener("visibilitychange", function () {
    for (const one of feeds) document.hidden ? one.rest() : one.wake();
  });

  // Nobody looks at a page in the background, so it asks for nothing.
  document.addEventListener("htmx:beforeRequest", function (event) {
    if (document.hidden) event.preventDefault();
  });
  document.addEventListener("visibilitychange", function () {
    if (!document.hidden) refresh();
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
    else if (event.detail.xhr.status === 401) say("not up to date: you are logged out; load the page again to log in");
    else say("not up to date: the console cannot be reached, or has no answer");
  });
  document.addEventListener("htmx:sendError", function () { say("not up to date: the console cannot be reached"); });
})();
