// The questions of a page, and on one page the list of all questions with what is answered. gnlib/book/check.py writes the
// forms and the list; here they come to life.
import { Keeper, answerOf, merge, note, parse, solvedInAll, solvedOf } from "./progress.js";
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
    const foot = /** @type {HTMLElement} */ (form.querySelector(".gn-check-foot"));
    const link = /** @type {HTMLAnchorElement} */ (element("a", "", words.progress));
    link.href = form.dataset.progress ?? "";
    foot.replaceChildren(words.onPage(done, names.length), ...(form.dataset.progress ? [" · ", link] : []));
    const mark = form.querySelector(".gn-check-done");
    if (mark) mark.textContent = form.hasAttribute("data-solved") ? `✓ ${words.answered}` : "";
  }
}

for (const form of forms) {
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
if (forms.length) count();

// ---------------------------------------------------------------------- the list of all questions

/** @param {HTMLElement} list */
function overview(list) {
  const status = element("p", "gn-progress-status");
  status.setAttribute("role", "status");
  /** @param {string} text @param {() => void} act */
  const button = (text, act) => {
    const made = /** @type {HTMLButtonElement} */ (element("button", "gn-check-button", text));
    made.type = "button";
    made.addEventListener("click", act);
    return made;
  };

  const update = () => {
    const progress = keeper.get();
    for (const chapter of /** @type {NodeListOf<HTMLElement>} */ (list.querySelectorAll("[data-page]"))) {
      const questions = /** @type {HTMLElement[]} */ ([...chapter.querySelectorAll("[data-question]")]);
      const at = chapter.dataset.page ?? "";
      for (const question of questions) {
        const solved = Boolean(answerOf(progress, at, question.dataset.question ?? "")?.solved);
        question.toggleAttribute("data-solved", solved);
        const mark = question.querySelector(".gn-check-done") ?? question.appendChild(element("span", "gn-check-done"));
        mark.textContent = solved ? ` ✓ ${words.answered}` : "";
      }
      const text = words.ofQuestions(solvedOf(progress, at, questions.map(({ dataset }) => dataset.question ?? "")), questions.length);
      /** @type {HTMLElement} */ (chapter.querySelector(".gn-progress-count")).textContent = text;
    }
    forget.disabled = solvedInAll(progress) === 0;
    if (!keeper.keeps) status.textContent = words.notKept;
  };

  const save = button(words.exportAll, () => {
    const link = /** @type {HTMLAnchorElement} */ (element("a"));
    link.href = URL.createObjectURL(new Blob([JSON.stringify(keeper.get(), null, 1)], { type: "application/json" }));
    link.download = words.fileName;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000); // once the browser has read it
    status.textContent = words.exported;
  });
  const file = /** @type {HTMLInputElement} */ (element("input"));
  file.type = "file";
  file.accept = ".json,application/json";
  file.addEventListener("change", async () => {
    const given = parse((await file.files?.[0]?.text()) ?? "");
    file.value = ""; // so that the same file can be taken again
    if (!given) {
      status.textContent = words.notImported;
      return;
    }
    const progress = keeper.get();
    const added = merge(progress, given);
    keeper.set(progress);
    update();
    status.textContent = words.imported(added);
  });
  const load = element("label", "gn-check-button gn-progress-file");
  load.append(words.importSome, file);
  const forget = button(words.forget, () => {
    if (!confirm(words.forgetReally(solvedInAll(keeper.get())))) return;
    keeper.forget();
    update();
    status.textContent = words.forgotten;
  });
  const row = element("div", "gn-check-row");
  row.append(save, load, forget);
  list.append(row, status);
  update();
  addEventListener("storage", update); // another tab answered
}
for (const list of document.querySelectorAll(".gn-progress")) overview(/** @type {HTMLElement} */ (list));
