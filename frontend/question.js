// What a question asks, and whether an answer is right. No DOM.

/**
 * @typedef {{right: boolean, value?: number, tolerance?: number}} Option  of a number: its value; without one: any other number
 * @typedef {{right: boolean, partly: boolean, explain: number[], missing: number}} Verdict  `explain`: options whose explanation to show
 */

/**
 * Judges a choice. Right is who chose all right options and no other.
 * @param {Option[]} options @param {number[]} chosen @returns {Verdict}
 */
export function judgeChoice(options, chosen) {
  const wrong = chosen.filter((i) => !options[i].right);
  const found = chosen.filter((i) => options[i].right);
  const missing = options.filter((option) => option.right).length - found.length;
  const right = !wrong.length && !missing;
  return { right, partly: !right && found.length > 0, explain: right ? found : wrong, missing: wrong.length ? 0 : missing };
}

/**
 * Judges a number by the first option that it comes near enough to.
 * @param {Option[]} options @param {number} number @returns {Verdict}
 */
export function judgeNumber(options, number) {
  const near = ({ value = NaN, tolerance = 0 }) => Math.abs(number - value) <= Math.max(tolerance, 1e-9 * Math.abs(value));
  const named = options.findIndex((option) => near(option));
  const i = named >= 0 ? named : options.findIndex((option) => option.value === undefined);
  const right = i >= 0 && options[i].right;
  return { right, partly: false, explain: i >= 0 ? [i] : [], missing: 0 };
}

/**
 * Reads a number as people write it: 1024, 1,024, 1 024, 0,5, 1/8, 2e-3, 2·10^-3; a % at the end is taken for the unit.
 * @param {string} text @returns {number} NaN where it is none
 */
export function readNumber(text) {
  let plain = text.trim().replace(/[−–]/g, "-").replace(/[\s\u00a0\u202f_]/g, "").replace(/%$/, "");
  const parts = plain.split("/");
  if (parts.length === 2) return readNumber(parts[0]) / readNumber(parts[1]);
  plain = plain.replace(/^(-?[\d.,]*)[·×*]?10\^?(-?\d+)$/i, (whole, digits, power) =>
    /[·×*^]/.test(whole) && digits !== "" && digits !== "-" ? `${digits}e${power}` : whole,
  );
  if (/^-?[1-9]\d{0,2}(,\d{3})+(\.\d+)?$/.test(plain)) plain = plain.replaceAll(",", "");
  else if (/^-?\d*,\d+(e-?\d+)?$/i.test(plain)) plain = plain.replace(",", ".");
  return /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(plain) ? Number(plain) : NaN;
}
