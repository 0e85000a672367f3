// Every word that the questions add to a page, in English. What a reader without JavaScript needs stands in the page itself.
import { plural } from "./shared.js";

export const check = {
  question: "Question",
  check: "Check",
  right: "Right.",
  wrong: "Not yet.",
  partly: "Partly.",
  chooseOne: "Choose an answer first.",
  chooseSome: "Choose one answer or more first.",
  writeNumber: "Write a number first, such as 12, 0.5, 1/8 or 2e-3.",
  missing: (/** @type {number} */ count) => (count === 1 ? "One right answer is missing." : `${plural(count, "right answer")} are missing.`),
  reveal: "See it in the figure",
  answers: "All answers, explained",
  isRight: "right",
  isWrong: "wrong",
  yourAnswer: "Your answer",
  otherwise: "any other number",
  answered: "answered",
  onPage: (/** @type {number} */ done, /** @type {number} */ all) => `${done} of ${plural(all, "question")} on this page answered`,
  progress: "Your progress",
  notKept: "Your browser keeps nothing for this page: your answers are forgotten when you leave it.",
};
