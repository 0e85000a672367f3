// The questions of a page: gnlib/book/check.py writes the forms, here they come to life, and what is answered is kept.
import { Keeper, answerOf, note, solvedOf } from "./progress.js";
import { element, enhance } from "./question_form.js";
import { check as en } from "./strings/en/check.js";
import { language } from "./strings/index.js";
import { writeState } from "./url_state.js";

const words = language({ en });
const keeper = new Keeper(() => localStorage);
let told = false; // that nothing is kept: once

const forms = /** @type {HTMLFormElement[]} */ ([...document.querySelectorAll("form.gn-check")]);
const page = forms[0]?.dataset.page ?? "";
const names = forms.map((form) => form.dataset.check ?? "");

/** Sets a figure's state through the address and goes there. @param {string} state as `square.b=1&square.g=8` */
function show(state) {
  /** @type {Record<string, Record<string, string>>} */
  const figures = {};
  for (const [key, value] of new URLSearchParams(state)) {
    const [figure, name] = key.split(/\.(.*)/);
    (figures[figure] ??= {})[name] = value;
  }
  let fragment = location.hash;
  for (const [figure, said] of Object.entries(figures)) fragment = writeState(fragment, figure, said);
  if (fragment === location.hash) dispatchEvent(new HashChangeEvent("hashchange")); // the reader has moved the figure since
  else location.hash = fragment;
  const place = Object.keys(figures).map((name) => document.querySelector(`figure[data-name="${CSS.escape(name)}"]`))[0] ?? document.querySelector(".gn-mount");
  if (!(place instanceof HTMLElement)) return;
  place.tabIndex = -1; // so that reading goes on there
  place.focus({ preventScroll: true });
  place.scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
}

/** Says at every question what is answered. */
function count() {
  const progress = keeper.get();
  const done = solvedOf(progress, page, names);
  for (const form of forms) {
    form.toggleAttribute("data-solved", Boolean(answerOf(progress, page, form.dataset.check ?? "")?.solved));
    /** @type {HTMLElement} */ (form.querySelector(".gn-check-foot > span")).textContent = words.onPage(done, names.length);
    const mark = form.querySelector(".gn-check-done");
    if (mark) mark.textContent = form.hasAttribute("data-solved") ? `✓ ${words.answered}` : "";
  }
}

for (const form of forms) {
  // made once: the theme keeps hold of links, and stumbles over those that are gone
  const foot = /** @type {HTMLElement} */ (form.querySelector(".gn-check-foot"));
  foot.replaceChildren(element("span"));
  if (form.dataset.progress) {
    const link = /** @type {HTMLAnchorElement} */ (element("a", "", words.progress));
    link.href = form.dataset.progress;
    foot.append(" · ", link);
  }
  form.querySelector(".gn-check-count")?.append(" ", element("span", "gn-check-done"));
  enhance(form, {
    words,
    onReveal: show,
    onAnswer(right) {
      const progress = keeper.get();
      const now = new Date();
      const day = [now.getFullYear(), now.getMonth() + 1, now.getDate()].map((part) => String(part).padStart(2, "0")).join("-");
      note(progress, page, form.dataset.check ?? "", right, day);
      keeper.set(progress);
      count();
      if (!keeper.keeps && !told) {
        told = true;
        form.querySelector(".gn-check-said")?.append(" ", element("span", "gn-check-note", words.notKept));
      }
    },
  });
}
count();
