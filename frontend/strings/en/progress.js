// Every word that the list of all questions adds to its page, in English.
import { plural } from "./shared.js";

export const progress = {
  answered: "answered",
  notKept: "Your browser keeps nothing for this page: your answers are forgotten when you leave it.",
  ofQuestions: (/** @type {number} */ done, /** @type {number} */ all) => `${done} of ${plural(all, "question")} answered`,
  exportAll: "Export",
  importSome: "Import",
  forget: "Forget everything",
  forgetReally: (/** @type {number} */ count) => `Forget ${plural(count, "answered question")}? A file that you exported stays yours.`,
  forgotten: "Forgotten.",
  exported: "Written to a file.",
  imported: (/** @type {number} */ count) => (count ? `${plural(count, "answered question")} added.` : "Nothing in it was new."),
  notImported: "This file holds no progress of this book.",
  fileName: "normalization-square-progress.json",
};
