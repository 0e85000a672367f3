// Marks a symbol or a name of the code wherever it stands on the page: by a click on it, or from the button at the head of the page,
// with a list of all of them, a count, and steps from use to use. Marks are ranges (CSS highlights): the page itself stays as it is.
(() => {
  "use strict";
  const WORDS = {
    title: "Uses on this page", label: "Uses of", choose: "choose …", symbols: "Symbols", names: "Names in the code",
    back: "Previous use", on: "Next use", close: "Close", of: (i, n, where) => `${i} of ${n}${where && ` · ${where}`}`, all: (n) => `${n} uses`,
  };
  const article = document.querySelector(".bd-article");
  if (!article || !CSS.highlights) return document.querySelector('[data-gn-click="uses"]')?.remove();
  const SYMBOL = ".katex-html .mathnormal"; // KaTeX's class for letters that are variables
  const NAME = "code.literal, .highlight :is(.n, .nf, .nc, .nn, .fm)";
  const NOT_HERE = ".gn-figure, .gn-mount, .gn-glance, .gn-uses";
  const ACCENTS = { "^": "\u0302", "ˉ": "\u0304", "~": "\u0303" };

  let uses; // "symbol γ" -> ranges in the order of the page
  function find() {
    if (uses) return uses;
    uses = new Map();
    const walk = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
      const parent = node.parentElement;
      const kind = parent.matches(SYMBOL) ? "symbol" : parent.closest(NAME) ? "name" : "";
      if (!kind || parent.closest(NOT_HERE)) continue;
      const accent = kind === "symbol" ? ACCENTS[parent.closest(".katex-accent")?.querySelector(".accent-body")?.textContent.trim()] ?? "" : "";
      for (const { 0: word, index } of node.data.matchAll(kind === "symbol" ? /\p{L}/gu : /[\p{L}_][\p{L}\p{N}_]*/gu)) {
        const range = new Range();
        range.setStart(node, index);
        range.setEnd(node, index + word.length);
        const key = `${kind} ${word}${accent}`;
        uses.set(key, [...(uses.get(key) ?? []), range]);
      }
    }
    return uses;
  }

  const { make, icon } = window.gnParts; // gn-parts.js

  let bar, list, told, opener, key = "", at = -1;
  function build() {
    list = make("select", { onchange: () => mark(list.value) }, make("option", { value: "", textContent: WORDS.choose }));
    for (const [kind, label] of [["symbol", WORDS.symbols], ["name", WORDS.names]]) {
      const found = [...find()].filter(([name, ranges]) => name.startsWith(`${kind} `) && ranges.length > 1).map(([name]) => name);
      if (found.length) list.append(make("optgroup", { label }, ...found.sort((a, b) => a.localeCompare(b)).map((name) =>
        make("option", { value: name, textContent: name.slice(kind.length + 1) }))));
    }
    told = make("output", {});
    bar = make("section", { className: "gn-uses", ariaLabel: WORDS.title, hidden: true },
      make("label", {}, `${WORDS.label} `, list), told,
      icon("fa-chevron-up", WORDS.back, () => step(-1)), icon("fa-chevron-down", WORDS.on, () => step(1)), icon("fa-xmark", WORDS.close, close));
    article.append(bar);
  }
  function open() {
    if (!bar) build();
    if (bar.hidden) opener = document.activeElement;
    bar.hidden = false;
  }
  function mark(name, index = -1) {
    key = list.value = name;
    at = index;
    const ranges = find().get(key) ?? [];
    CSS.highlights.set("gn-use", new Highlight(...ranges));
    CSS.highlights.delete("gn-use-now");
    if (ranges[at]) CSS.highlights.set("gn-use-now", new Highlight(ranges[at])).get("gn-use-now").priority = 1;
    told.textContent = !key ? "" : at < 0 ? WORDS.all(ranges.length) : WORDS.of(at + 1, ranges.length, section(ranges[at]));
    for (const button of bar.querySelectorAll("button:not(:last-child)")) button.disabled = !ranges.length;
  }
  const holder = (range) => range.startContainer.parentElement;
  const section = (range) => holder(range).closest("section")?.querySelector("h1, h2, h3, h4")?.firstChild.textContent.trim() ?? "";
  function step(by) {
    const ranges = find().get(key);
    const below = ranges.findIndex((range) => range.getBoundingClientRect().top > 0); // from where the reader is
    mark(key, at >= 0 ? (at + by + ranges.length) % ranges.length : by > 0 ? Math.max(below, 0) : (below + ranges.length - 1) % ranges.length);
    for (let fold = holder(ranges[at]).closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    holder(ranges[at]).scrollIntoView({ block: "center", inline: "nearest", behavior: still ? "instant" : "smooth" });
  }
  function close() {
    if (!bar || bar.hidden) return;
    const range = find().get(key)?.[at];
    const inside = bar.contains(document.activeElement);
    CSS.highlights.delete("gn-use");
    CSS.highlights.delete("gn-use-now");
    bar.hidden = true;
    if (!inside) return;
    const block = range && holder(range).closest("p, li, td, th, dt, dd, pre, .katex-display, figcaption, h1, h2, h3");
    if (block) { // who went there by steps reads on from there
      if (!block.hasAttribute("tabindex")) block.tabIndex = -1;
      block.focus({ preventScroll: true });
    } else opener?.focus();
  }

  addEventListener("gn:uses", () => { open(); mark(""); list.focus(); });
  article.addEventListener("click", (event) => {
    if (event.target.closest(`a, button, summary, label, input, ${NOT_HERE}`) || !getSelection().isCollapsed) return;
    const around = event.target.closest(`.katex, ${NAME}`); // a hat lies over its letter, so the target may be a neighbour
    const hit = (range) => around.contains(range.startContainer) && [...range.getClientRects()].some((box) =>
      event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom);
    for (const [name, ranges] of around ? find() : []) {
      const index = ranges.length > 1 ? ranges.findIndex(hit) : -1;
      if (index < 0) continue;
      open();
      return mark(name, index);
    }
    close();
  });
  addEventListener("keydown", (event) => event.key === "Escape" && close());
})();
