// Chooses the language of the page, English where there is no table for it.
import * as en from "./en.js";

/** @type {Record<string, typeof en>} */
const languages = { en };

/** @returns {typeof en} */
export function strings() {
  return languages[document.documentElement.lang.slice(0, 2).toLowerCase()] ?? en;
}
