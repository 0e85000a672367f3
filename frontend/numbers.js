// Numbers as text: true minus signs, and as many digits as make a printed sum right; no DOM.

const MOST_DIGITS = 6;

/** A printed number as it is read: a true minus sign, thousands apart. @param {string} text */
function typeset(text) {
  const [whole, decimals] = text.replace("-", "−").split(".");
  return whole.replace(/\B(?=(\d{3})+$)/g, ",") + (decimals === undefined ? "" : `.${decimals}`);
}

/** A number with a fixed count of decimals; never "−0.00". @param {number} value @param {number} digits */
export function fixed(value, digits) {
  const rounded = Number(value.toFixed(Math.min(digits, 100)));
  if (Math.abs(rounded) >= 1e7) return scientific(value);
  return typeset((rounded === 0 ? 0 : rounded).toFixed(digits));
}

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** Three digits and a power of ten: "3.99·10⁻⁶". @param {number} value */
export function scientific(value) {
  if (value === 0) return "0";
  const [digits, power] = value.toExponential(2).split("e");
  const raised = Array.from(String(Math.abs(Number(power))), (digit) => SUPERSCRIPTS[Number(digit)]).join("");
  return `${typeset(digits)}·10${power.startsWith("-") ? "⁻" : ""}${raised}`;
}

/** A whole number, thousands apart. @param {number} value */
export const whole = (value) => typeset(Math.round(value).toFixed());

/** A short number for text: 3 significant digits at least, no trailing zeros. @param {number} value */
export function short(value) {
  if (value !== 0 && (Math.abs(value) < 1e-4 || Math.abs(value) >= 1e7)) return scientific(value).replace(".00·", "·").replace(/^(−?)1·/, "$1");
  return typeset(String(Number(value.toPrecision(4))));
}

/**
 * Decimals that show a size with three digits: 2 for 1.05, 4 for 0.0105; at least 2; null where more than six would be
 * needed, or the number is too long for decimals: then `scientific` is the way to write it.
 * @param {number} size
 */
export function decimals(size) {
  if (!(size > 0)) return 2;
  const digits = Math.max(2, 2 - Math.floor(Math.log10(size)));
  return digits > MOST_DIGITS || size >= 1e7 ? null : digits;
}

/** As printed with so many decimals, a number again. @param {number} value @param {number} digits */
export const printed = (value, digits) => Number(value.toFixed(digits));

/** The fewest decimals, from `least` up to six, at which something holds; null if it never does.
 * @param {number} least @param {(digits: number) => boolean} holds */
export function fewestDigits(least, holds) {
  for (let digits = least; digits <= MOST_DIGITS; digits++) if (holds(digits)) return digits;
  return null;
}

/** Whether parts, as printed, add up to the total as printed. @param {number[]} parts @param {number} total @param {number} digits */
export function addsUp(parts, total, digits) {
  return printed(parts.reduce((sum, part) => sum + printed(part, digits), 0), digits) === printed(total, digits);
}

/**
 * Whether a reader who works out a formula from the printed inputs gets the printed result.
 * @param {number[]} inputs @param {(...inputs: number[]) => number} formula @param {number} digits of the inputs @param {number} shown digits of the result
 */
export function worksOut(inputs, formula, digits, shown) {
  return printed(formula(...inputs.map((input) => printed(input, digits))), shown) === printed(formula(...inputs), shown);
}
