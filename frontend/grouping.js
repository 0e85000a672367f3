// Says which cells of an (N, C) table share statistics: a point of the square. The twin of gnlib/grouping.py; no DOM.

/** @typedef {{b: number, g: number}} Point  b sample blocks, g channel groups: more of either cuts further */

/** @param {number} size @returns {number[]} ascending */
export function divisors(size) {
  const found = [];
  for (let count = 1; count <= Math.max(size, 1); count++) if (size % count === 0) found.push(count);
  return found;
}

/**
 * Every point that a shape allows, ascending: divisors of N times divisors of C.
 * @param {number} N @param {number} C @returns {Point[]}
 */
export function legal(N, C) {
  return divisors(N).flatMap((b) => divisors(C).map((g) => ({ b, g })));
}

/**
 * Where a point lies on the square. At N = 1 or C = 1 an axis counts as cut into single pieces, as in gnlib.
 * @typedef {"everything" | "batch_norm" | "layer_norm" | "instance_norm" | "group_norm" | "ghost_batch_norm" | "batch_group_norm" | "unnamed"} Place
 * @param {Point} point @param {number} N @param {number} C @returns {Place}
 */
export function place({ b, g }, N, C) {
  if (b === N) return g === C ? "instance_norm" : g === 1 ? "layer_norm" : "group_norm";
  if (g === C) return b === 1 ? "batch_norm" : "ghost_batch_norm";
  if (b === 1) return g === 1 ? "everything" : "batch_group_norm";
  return "unnamed";
}

/**
 * The name of a point, word for word as gnlib says it.
 * @param {Point} point @param {number} N @param {number} C
 */
export function name(point, N, C) {
  const { b, g } = point;
  switch (place(point, N, C)) {
    case "everything": return "Everything together";
    case "batch_norm": return "BatchNorm";
    case "layer_norm": return "LayerNorm";
    case "instance_norm": return "InstanceNorm";
    case "group_norm": return `GroupNorm, ${g} groups`;
    case "ghost_batch_norm": return `Ghost BatchNorm, ${b} blocks`;
    case "batch_group_norm": return `Batch-group norm, ${g} groups`;
    default: return `No common name (${b} sample blocks, ${g} channel group${g > 1 ? "s" : ""})`;
  }
}

/**
 * A point as einops would write it: what `reduce` keeps of (N, C, *).
 * @param {Point} point @param {number} N @param {number} C
 */
export function pattern({ b, g }, N, C) {
  const [rows, keptRows, blocks] = axis("n", "b", b, N);
  const [columns, keptColumns, groups] = axis("c", "g", g, C);
  return `${rows} ${columns} ... -> ${keptRows} ${keptColumns}${blocks}${groups}`;
}

/** @param {string} letter @param {string} outer @param {number} count @param {number} size */
function axis(letter, outer, count, size) {
  if (count === 1) return [letter, "1", ""];
  if (count === size) return [letter, letter, ""];
  return [`(${outer} ${letter})`, outer, `, ${outer}=${count}`];
}

/**
 * The groups that a GroupNorm button starts with: the largest legal G up to 32 that leaves 2 channels or more a group.
 * @param {number} C
 */
export function usualGroups(C) {
  return divisors(C).filter((g) => g <= 32 && C / g >= 2).at(-1) ?? 1;
}

/** The divisor nearest to a wish, measured in factors. @param {number} wish @param {number} size */
export function nearestDivisor(wish, size) {
  const distance = (/** @type {number} */ d) => Math.abs(Math.log2(d) - Math.log2(Math.max(wish, 0.5)));
  return divisors(size).reduce((best, d) => (distance(d) < distance(best) ? d : best));
}
