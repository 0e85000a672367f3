// The list of all questions of the book, with what is answered: gnlib/book/check.py writes it, here it comes to life.
import { Keeper, answerOf, merge, parse, solvedInAll, solvedOf } from "./progress.js";
import { element } from "./question_form.js";
import { progress as en } from "./strings/en/progress.js";
import { language } from "./strings/index.js";

const words = language({ en });
const keeper = new Keeper(() => localStorage);

/** @param {HTMLElement} list */
function overview(list) {
  const status = element("p", "gn-progress-status");
  status.setAttribute("role", "status");
  const head = /** @type {HTMLElement} */ (list.querySelector(".gn-progress-head"));
  const total = /** @type {HTMLElement} */ (head.querySelector(".gn-progress-all"));
  const bar = /** @type {HTMLProgressElement} */ (element("progress"));
  /** @param {string} text @param {() => void} act */
  const button = (text, act) => {
    const made = /** @type {HTMLButtonElement} */ (element("button", "gn-check-button", text));
    made.type = "button";
    made.addEventListener("click", act);
    return made;
  };

  const update = () => {
    const progress = keeper.get();
    let [done, all] = [0, 0];
    for (const chapter of /** @type {NodeListOf<HTMLElement>} */ (list.querySelectorAll("[data-page]"))) {
      const questions = /** @type {HTMLElement[]} */ ([...chapter.querySelectorAll("[data-question]")]);
      const at = chapter.dataset.page ?? "";
      for (const question of questions) {
        const solved = Boolean(answerOf(progress, at, question.dataset.question ?? "")?.solved);
        question.toggleAttribute("data-solved", solved);
        const mark = question.querySelector(".gn-check-done") ?? question.appendChild(element("span", "gn-check-done"));
        mark.textContent = solved ? ` ✓ ${words.answered}` : "";
      }
      const solved = solvedOf(progress, at, questions.map(({ dataset }) => dataset.question ?? ""));
      /** @type {HTMLElement} */ (chapter.querySelector(".gn-progress-count")).textContent = words.ofQuestions(solved, questions.length);
      done += solved;
      all += questions.length;
    }
    total.textContent = words.ofQuestions(done, all);
    [bar.max, bar.value] = [Math.max(all, 1), done];
    bar.setAttribute("aria-label", words.ofQuestions(done, all));
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
  head.append(bar, row, status);
  update();
  addEventListener("storage", update); // another tab answered
}
for (const list of document.querySelectorAll(".gn-progress")) overview(/** @type {HTMLElement} */ (list));
