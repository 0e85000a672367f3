// What readers type, as the index has it (gnlib/book/search.py): a letter with a hat, British spelling, abbreviations of layers.
(() => {
  "use strict";
  if (typeof Search === "undefined") return;
  const SAME = [
    [/(\p{L})\u0302/gu, "$1hat"], [/(\p{L})[\u0304\u0305]/gu, "$1bar"],
    [/(normal|standard|regular|synchron|initial|optim)is/gi, "$1iz"],
    [/\bBN\b/gi, "batchnorm"], [/\bLN\b/gi, "layernorm"], [/\bGN\b/gi, "groupnorm"], // IN is a word of its own
  ];
  const split = window.splitQuery;
  // NFKD takes a letter with an accent apart, makes the micro sign a mu and the lunate epsilon an epsilon
  window.splitQuery = (query) => split(SAME.reduce((text, [from, to]) => text.replace(from, to), query.normalize("NFKD")));

  // a quotation holds a formula once: KaTeX writes it for the eye, for the ear and as TeX
  const textOf = Search.htmlToText;
  Search.htmlToText = (page, anchor) => {
    const parsed = new DOMParser().parseFromString(page, "text/html");
    for (const twice of parsed.querySelectorAll(".katex-html, annotation, .onlyprint")) twice.remove();
    return textOf(parsed.documentElement.outerHTML, anchor);
  };
})();
