// Who notices when one sample or channel is spoilt, at any point of the square; no DOM.
import { affine, pool, scaled } from "./moments.js";

/** @typedef {import("./moments.js").Moments} Moments @typedef {import("./grouping.js").Point} Point */

/** What a spoilt sample or channel is multiplied by: the contrast of a sample, the strength of a channel. */
export const FACTOR = 3;

/** A cell notices when its output moves by more than this, root mean square, in units of its normalized scale. */
export const NOTICEABLE = 0.01;

/**
 * The factor on each cell. @param {number | null} sample @param {number | null} channel
 * @returns {(n: number, c: number) => number}
 */
export const factorOf = (sample, channel) => (n, c) => (n === sample ? FACTOR : 1) * (c === channel ? FACTOR : 1);

/**
 * Which cells come out differently.
 * @param {Moments} clean the cells before @param {(n: number, c: number) => number} factor
 * @param {Moments} blocks that normalize the clean cells @param {Moments} spoiltBlocks that normalize the spoilt ones
 * @param {number} eps
 * @returns {Uint8Array} 1 for a cell whose output changes
 */
export function whoNotices(clean, factor, blocks, spoiltBlocks, eps) {
  const shape = { N: clean.rows, C: clean.columns };
  const before = affine(shape, blocks, null, null, eps);
  const after = affine(shape, spoiltBlocks, null, null, eps);
  const noticed = new Uint8Array(shape.N * shape.C);
  for (let n = 0, cell = 0; n < shape.N; n++)
    for (let c = 0; c < shape.C; c++, cell++) {
      const f = factor(n, c);
      const mean = clean.mean[cell];
      // output = scale · (f·x − center): its change is (slope)·(x − mean) + (jump at the mean)
      const slope = after.scale[cell] * f - before.scale[cell];
      const jump = (mean * f - after.center[cell]) * after.scale[cell] - (mean - before.center[cell]) * before.scale[cell];
      noticed[cell] = slope * slope * clean.var[cell] + jump * jump > NOTICEABLE ** 2 ? 1 : 0;
    }
  return noticed;
}

/**
 * The same at a point where every block measures itself.
 * @param {Moments} clean @param {(n: number, c: number) => number} factor @param {Point} point @param {number} eps
 */
export function whoNoticesAt(clean, factor, point, eps) {
  return whoNotices(clean, factor, pool(clean, point), pool(scaled(clean, factor), point), eps);
}
