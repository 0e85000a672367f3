// What the theme does with inline handlers, without them (gnlib/book/finish.py rewrites the attributes), and keyboard access to
// everything that scrolls sideways.
(() => {
  "use strict";
  const act = {
    print: () => print(),
    fullscreen: () => window.toggleFullScreen?.(),
    run: () => document.querySelector("dialog.gn-run")?.showModal(),
    uses: () => dispatchEvent(new Event("gn:uses")),
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-gn-click]");
    if (button) act[button.dataset.gnClick]();
    if (event.target.matches?.("dialog.gn-run")) event.target.close(); // outside its box
  });

  const SCROLLS = ".katex-display, .highlight pre, .pst-scrollable-table-container, .output.text_plain pre, .cell_output";
  const reachable = () => {
    for (const box of document.querySelectorAll(SCROLLS)) {
      if (box.scrollWidth > box.clientWidth) {
        box.tabIndex = 0;
        if (box.matches(".katex-display")) box.setAttribute("role", "group");
      } else {
        box.removeAttribute("tabindex");
      }
    }
  };
  addEventListener("load", () => {
    document.documentElement.dataset.gnReady = ""; // see gn-theme.css
    reachable();
  });
  addEventListener("resize", reachable);
  document.addEventListener("toggle", reachable, true); // what an open fold shows may scroll too

  // a fold that holds what the address or a search points at opens; printing opens all
  const reveal = () => {
    const place = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)).split("?")[0]);
    for (let fold = place && place.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  };
  addEventListener("hashchange", reveal);
  addEventListener("load", reveal);
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details.gn-answer:not([open])")];
    for (const fold of opened) fold.open = true;
  });
  addEventListener("afterprint", () => {
    for (const fold of opened) fold.open = false;
  });
})();
// file:// may not fetch the pages that a search result quotes
if (location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
