// What the theme does with inline handlers, without them (gnlib/book/finish.py rewrites the attributes), and keyboard access to
// everything that scrolls sideways.
(() => {
  "use strict";
  const act = {
    print: printed,
    fullscreen: () => window.toggleFullScreen?.(),
    run: () => document.querySelector("dialog.gn-run")?.showModal(),
    uses: () => dispatchEvent(new Event("gn:uses")),
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-gn-click]");
    if (button) act[button.dataset.gnClick]();
    if (event.target.matches?.("dialog.gn-run")) event.target.close(); // outside its box
  });

  // Sphinx's highlighting of search words takes Escape for itself, so that the browser would close no dialog
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && document.querySelector("dialog:modal")) event.stopImmediatePropagation();
  }, { capture: true });

  // what waits for a reader to come near comes before a page is printed: pictures, figures; at most some seconds
  async function printed() {
    for (const picture of document.images) picture.loading = "eager";
    dispatchEvent(new Event("gn:all"));
    const figures = [...document.querySelectorAll(".gn-mount:not([data-mounted])")].map((place) => new Promise((there) => {
      new MutationObserver(there).observe(place, { attributeFilter: ["data-mounted"] });
    }));
    const late = new Promise((done) => setTimeout(done, 5000));
    await Promise.race([late, Promise.allSettled([...figures, ...[...document.images].map((picture) => picture.decode())])]);
    print();
  }
  addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.shiftKey || event.key.toLowerCase() !== "p") return;
    event.preventDefault();
    printed();
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

  // a fold that holds what the address or a search points at opens; printing opens all, on white paper
  const reveal = () => {
    const place = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)).split("?")[0]);
    for (let fold = place && place.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  };
  addEventListener("hashchange", reveal);
  addEventListener("load", reveal);
  let opened = [], theme;
  addEventListener("beforeprint", () => {
    theme = document.documentElement.dataset.theme;
    document.documentElement.dataset.theme = "light";
    for (const place of document.querySelectorAll(".gn-mount")) // paper is 660 px wide
      place.style.setProperty("--gn-shrink", Math.min(0.86, 660 / place.offsetWidth));
    opened = [...document.querySelectorAll("details.gn-answer:not([open])")];
    for (const fold of opened) fold.open = true;
  });
  addEventListener("afterprint", () => {
    document.documentElement.dataset.theme = theme;
    for (const fold of opened) fold.open = false;
  });
})();
// file:// may not fetch the pages that a search result quotes
if (location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
