// Chooses the language of the page, English where there is no table for it. A language is a folder; a figure is a file in
// it, so that a figure carries its own words and those that all figures share.
import { shared as en } from "./en/shared.js";

/**
 * The table of the page's language: `language({ en })`.
 * @template T @param {Record<string, T>} tables with at least `en` @returns {T}
 */
export function language(tables) {
  return tables[document.documentElement.lang.slice(0, 2).toLowerCase()] ?? tables.en;
}

/** The words that all figures share. */
export const shared = () => language({ en });
