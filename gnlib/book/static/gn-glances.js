// A glance at what a link inside the book leads to: on hover, on focus, or at the first tap (WCAG 1.4.13: Escape closes it, the pointer
// may move into it, it stays while it is wanted). The texts come once, when the first is wanted, from gn-glance-texts.js (gnlib/book/glances.py).
(() => {
  "use strict";
  const TAP = "Tap again to go there.";
  const WAIT = { show: 250, hide: 300 }; // ms, so that a pointer on its way shows nothing, and may take the way into the glance
  const article = document.querySelector(".bd-article");
  const root = new URL(document.documentElement.dataset.content_root || "./", location.href);
  const isGlance = (link) => /#./.test(link.getAttribute("href")) && link.href.startsWith(root.href);
  const links = [...(article?.querySelectorAll("a.reference.internal") ?? [])].filter(isGlance);
  if (!links.length || !("popover" in HTMLElement.prototype)) return;

  const box = Object.assign(document.createElement("div"), { className: "gn-glance", id: "gn-glance", popover: "manual" });
  box.setAttribute("role", "tooltip");
  article.append(box);
  for (const link of links) link.removeAttribute("title"); // the glance says it, and sooner

  let texts, coming, shown, timer;
  const near = (folder) => new URL(folder, document.querySelector('script[src*="gn-glances.js"]').src).href;
  const load = () => (coming ??= new Promise((done) => {
    window.gnGlances = (all) => { texts = all; done(); };
    document.head.append(Object.assign(document.createElement("script"), { src: near("gn-glance-texts.js"), onerror: done }));
  }));
  const textOf = (link) => texts?.[decodeURIComponent(link.href.slice(root.href.length))];

  // formulas in a page that has none
  const drawn = () => {
    if (!document.querySelector('link[href*="katex/katex.css"]'))
      document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: near("katex/katex.css") }));
  };

  function place(link) {
    const at = link.getClientRects()[0] ?? link.getBoundingClientRect();
    const { clientWidth, clientHeight } = document.documentElement;
    const left = Math.max(8, Math.min(at.left, clientWidth - box.offsetWidth - 8));
    const below = at.bottom + box.offsetHeight + 8 < clientHeight || at.top < clientHeight / 2;
    box.style.left = `${left + scrollX}px`;
    box.style.top = `${scrollY + (below ? at.bottom + 4 : at.top - box.offsetHeight - 4)}px`;
    for (const formula of box.querySelectorAll(".katex-display")) // what is too wide is made smaller: nothing here can be scrolled by key
      formula.style.fontSize = `${Math.min(1, formula.clientWidth / formula.scrollWidth)}em`;
  }

  async function show(link, tapped = false) {
    clearTimeout(timer);
    if (shown === link) return;
    hide();
    shown = link;
    await load();
    const text = textOf(link);
    if (shown !== link || !text) return;
    const [kind, html] = text;
    box.replaceChildren(...new DOMParser().parseFromString(html, "text/html").body.childNodes);
    if (tapped) box.append(Object.assign(document.createElement("p"), { className: "gn-glance-tap", textContent: TAP }));
    if (box.querySelector(".katex")) drawn();
    box.dataset.kind = kind;
    link.setAttribute("aria-describedby", box.id);
    box.showPopover();
    place(link);
  }
  function hide() {
    clearTimeout(timer);
    shown?.removeAttribute("aria-describedby");
    shown = undefined;
    if (box.matches(":popover-open")) box.hidePopover();
  }
  const later = (act, wait) => { clearTimeout(timer); timer = setTimeout(act, wait); };

  for (const link of links) {
    link.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && later(() => show(link), WAIT.show));
    link.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && later(hide, WAIT.hide));
    link.addEventListener("focus", () => link.matches(":focus-visible") && show(link));
    link.addEventListener("blur", hide);
    link.addEventListener("click", (event) => {
      if (event.pointerType !== "touch" || shown === link) return hide();
      event.preventDefault();
      load().then(() => (textOf(link) && textOf(link)[0] !== "section" ? show(link, true) : location.assign(link.href)));
    });
  }
  box.addEventListener("pointerenter", () => clearTimeout(timer));
  box.addEventListener("pointerleave", () => later(hide, WAIT.hide));
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
    if (event.key === "Tab") load(); // a reader by keyboard: the first link must have its description in time
  });
  addEventListener("pointerdown", (event) => { if (shown && !box.contains(event.target) && !shown.contains(event.target)) hide(); });
  addEventListener("resize", hide);
})();
