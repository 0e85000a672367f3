// What the reader has answered: kept in the reader's own browser and nowhere else, under one key. No DOM.

/**
 * @typedef {{tries: number, solved: string | null}} Answer  the day of the first right answer, or null
 * @typedef {{schema: 1, pages: Record<string, Record<string, Answer>>}} Progress  by page, then by question
 */

export const KEY = "gnlib-book.progress";

/** @returns {Progress} */
export const nothing = () => ({ schema: 1, pages: {} });

/**
 * Reads a text that anybody may have written; null where it is no progress.
 * @param {string | null} text @returns {Progress | null}
 */
export function parse(text) {
  let given;
  try {
    given = JSON.parse(text ?? "");
  } catch {
    return null;
  }
  if (given?.schema !== 1 || typeof given.pages !== "object" || given.pages === null) return null;
  const sound = nothing();
  for (const [page, questions] of Object.entries(given.pages))
    for (const [question, answer] of Object.entries(questions ?? {})) {
      const tries = Number(answer?.tries);
      if (!Number.isInteger(tries) || tries < 1) continue;
      const solved = typeof answer.solved === "string" && /^\d{4}-\d\d-\d\d$/.test(answer.solved) ? answer.solved : null;
      put(sound, page, question, { tries, solved });
    }
  return sound;
}

/** @param {Progress} progress @param {string} page @param {string} question @param {Answer} answer */
function put(progress, page, question, answer) {
  if (!Object.hasOwn(progress.pages, page)) define(progress.pages, page, {});
  define(progress.pages[page], question, answer);
}

/** Sets a key that somebody else chose, "__proto__" too. @param {object} object @param {string} key @param {unknown} value */
const define = (object, key, value) => Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });

/** @param {Progress} progress @param {string} page @param {string} question @returns {Answer | null} */
export function answerOf({ pages }, page, question) {
  return Object.hasOwn(pages, page) && Object.hasOwn(pages[page], question) ? pages[page][question] : null;
}

/**
 * Notes one more answer.
 * @param {Progress} progress changed in place @param {string} page @param {string} question @param {boolean} right @param {string} day
 */
export function note(progress, page, question, right, day) {
  const old = answerOf(progress, page, question) ?? { tries: 0, solved: null };
  put(progress, page, question, { tries: old.solved ? old.tries : old.tries + 1, solved: old.solved ?? (right ? day : null) });
}

/**
 * Adds what another browser kept. The earlier day wins. Returns how many questions are solved that were not.
 * @param {Progress} progress changed in place @param {Progress} other
 */
export function merge(progress, other) {
  let added = 0;
  for (const [page, questions] of Object.entries(other.pages))
    for (const [question, { tries, solved }] of Object.entries(questions)) {
      const own = answerOf(progress, page, question);
      if (solved && !own?.solved) added++;
      const days = [own?.solved, solved].filter((day) => typeof day === "string").sort();
      put(progress, page, question, { tries: Math.max(tries, own?.tries ?? 0), solved: days[0] ?? null });
    }
  return added;
}

/** How many of a page's questions are solved. @param {Progress} progress @param {string} page @param {string[]} questions */
export const solvedOf = (progress, page, questions) => questions.filter((question) => answerOf(progress, page, question)?.solved).length;

/** How many are solved in all. @param {Progress} progress */
export const solvedInAll = ({ pages }) => Object.values(pages).flatMap((page) => Object.values(page)).filter(({ solved }) => solved).length;

/** The progress as this browser keeps it, or only as long as the page is open where it keeps nothing. */
export class Keeper {
  /** @param {() => Storage} storage may throw: a private window, a strict setting */
  constructor(storage) {
    this.storage = storage;
    this.memory = nothing();
    this.keeps = true;
  }

  /** @returns {Progress} */
  get() {
    try {
      // another tab may have written since, or forgotten
      const text = this.storage().getItem(KEY);
      if (text !== null) this.memory = parse(text) ?? this.memory;
      else if (this.keeps) this.memory = nothing();
    } catch {
      this.keeps = false;
    }
    return this.memory;
  }

  /** @param {Progress} progress */
  set(progress) {
    this.memory = progress;
    try {
      this.storage().setItem(KEY, JSON.stringify(progress));
    } catch {
      this.keeps = false;
    }
  }

  forget() {
    this.memory = nothing();
    try {
      this.storage().removeItem(KEY);
    } catch {
      this.keeps = false;
    }
  }
}
