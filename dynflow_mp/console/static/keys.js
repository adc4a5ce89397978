// Keys for those who like them: / to search, j and k through rows, Enter opens, g and a letter goes to a page, ? helps.
"use strict";
(function () {
  let waitsForLetter = 0;
  const PLACES = { p: 0, f: 1, w: 2, l: 3, d: 4 };

  function typing(element) {
    return element.isContentEditable || ["TEXTAREA", "SELECT"].includes(element.tagName) ||
      (element.tagName === "INPUT" && !["checkbox", "radio", "button", "submit"].includes(element.type));
  }

  function move(by) {
    const links = Array.from(document.querySelectorAll("[data-row] [data-row-link]"));
    if (!links.length) return;
    const row = document.activeElement.closest("[data-row]");
    const now = row ? links.indexOf(row.querySelector("[data-row-link]")) : by > 0 ? -1 : links.length;
    links[Math.min(Math.max(now + by, 0), links.length - 1)].focus();
  }

  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (Date.now() < waitsForLetter && event.key in PLACES) {
      const link = document.querySelectorAll('nav[aria-label="Main"] a')[PLACES[event.key]];
      waitsForLetter = 0;
      if (link) link.click();
      return;
    }
    waitsForLetter = event.key === "g" ? Date.now() + 1500 : 0;
    if (event.key === "/") {
      const field = document.querySelector("main [data-search]");
      if (field) { event.preventDefault(); field.focus(); field.select(); }
    } else if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "x") {
      const row = document.activeElement.closest("[data-row]");
      const box = row && row.querySelector('input[type="checkbox"]');
      if (box) box.click();
    } else if (event.key === "?") {
      const help = document.querySelector('.frame-head .aside a');
      if (help) help.click();
    }
  });
})();
