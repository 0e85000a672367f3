// Batches drawn from a population of images, and what a norm layer makes of them. A population is a table of cells, one
// image a row; any batch's statistics are the pool of its rows, so nothing here ever sees a pixel. No DOM.
import { affine, moments, pool, scaled, split, track, untrained } from "./moments.js";

/** @typedef {import("./moments.js").Moments} Moments */

export const DRAWS = 200; // batches
export const MOST = 64; // images in a batch
export const SIZES = [1, 2, 4, 8, 16, 32, 64]; // images that share a statistic

/** Spreads the bits of a whole number over 32 bits. Source: Ettinger's lowbias32. @param {number} x */
function hash(x) {
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

/**
 * Which images are in which batch: DRAWS × MOST indices, row-major. A batch of n is the first n of a row, so that a batch
 * grows by images that join. With replacement: a few hundred images stand for a set that a batch does not exhaust.
 * The twin of `drawn` in gnlib/widgets/batch_lab.py.
 * @param {number} seed @param {number} images in the population
 */
export function drawn(seed, images) {
  const start = hash(seed);
  return Int32Array.from({ length: DRAWS * MOST }, (_, i) => Math.floor((hash((start + i) >>> 0) / 2 ** 32) * images));
}

/** One channel of a table. @param {Moments} cells @param {number} c @returns {Moments} shape (rows, 1) */
export function channel(cells, c) {
  return pick(cells, Int32Array.from({ length: cells.rows }, (_, n) => n * cells.columns + c));
}

/** Some cells of a table, below each other. @param {Moments} cells @param {Int32Array} which @returns {Moments} shape (which, 1) */
function pick(cells, which) {
  const rows = which.length;
  const part = (/** @type {Float64Array} */ from) => {
    const values = new Float64Array(rows);
    for (let i = 0; i < rows; i++) values[i] = from[which[i]];
    return values;
  };
  return { rows, columns: 1, count: part(cells.count), mean: part(cells.mean), var: part(cells.var) };
}

/** The block of every batch that comes after so many. @param {number} size of the blocks @param {number} [after] */
const ofEveryBatch = (size, after = 0) => Int32Array.from({ length: DRAWS }, (_, t) => (t * MOST) / size + after);

/**
 * All batches at every size of block: single images, then neighbours pooled two and two. What was pooled can be pooled
 * again, so that every size costs half of the one before.
 * @param {Moments} cells of one channel, shape (images, 1) @param {Int32Array} indices from `drawn`
 * @returns {Moments[]} a level for each of SIZES, shape (DRAWS · MOST / size, 1), batch after batch
 */
export function pyramid(cells, indices) {
  const levels = [pick(cells, indices)];
  while (levels.length < SIZES.length) {
    const below = levels[levels.length - 1];
    levels.push(pool(below, { b: below.rows / 2, g: 1 }));
  }
  return levels;
}

/** The first block of every batch. @param {Moments[]} levels @param {number} i which of SIZES @returns {Moments} shape (DRAWS, 1) */
export function guesses(levels, i) {
  return pick(levels[i], ofEveryBatch(SIZES[i]));
}

/**
 * The first block of every batch at each of SIZES, with an image in the place of its first: to the image and those that
 * joined it, the next block of the same size is pooled.
 * @param {Moments[]} levels @param {Moments} me shape (1, 1)
 * @returns {Moments[]} each of shape (DRAWS, 1)
 */
export function company(levels, me) {
  const found = [pick(me, new Int32Array(DRAWS))];
  for (let i = 0; i < SIZES.length - 1; i++) {
    const next = pick(levels[i], ofEveryBatch(SIZES[i], 1));
    const pair = (/** @type {Float64Array} */ first, /** @type {Float64Array} */ second) => {
      const both = new Float64Array(2 * DRAWS);
      for (let t = 0; t < DRAWS; t++) [both[2 * t], both[2 * t + 1]] = [first[t], second[t]];
      return both;
    };
    const pairs = { rows: 2 * DRAWS, columns: 1, count: pair(found[i].count, next.count), mean: pair(found[i].mean, next.mean), var: pair(found[i].var, next.var) };
    found.push(pool(pairs, { b: DRAWS, g: 1 }));
  }
  return found;
}

/** Mean and standard deviation (biased) of some numbers. @param {ArrayLike<number>} values */
export function summarize(values) {
  const all = moments(values, { N: 1, C: 1, S: values.length });
  return { mean: all.mean[0], sd: Math.sqrt(all.var[0]) };
}

/**
 * What the guesses should be, by arithmetic: a batch of n guesses μ with the spread of single images' means over √n, and
 * misses, of σ², what n images cannot show of the variance between images, 1/n of it. The error of σ is that of σ² over
 * 2 σ: to first order, good for large n.
 * @param {Moments} cells of one channel
 */
export function truth(cells) {
  const { blocks, between } = split(cells, { b: 1, g: 1 });
  const apart = Math.sqrt(between[0]);
  const sd = Math.sqrt(blocks.var[0]);
  const shares = summarize(cells.var.map((v, n) => v + (cells.mean[n] - blocks.mean[0]) ** 2)); // of each image in σ²
  return {
    mean: blocks.mean[0], variance: blocks.var[0], sd, apart,
    error: (/** @type {number} */ n) => apart / Math.sqrt(n),
    spreadError: (/** @type {number} */ n) => (sd > 0 ? shares.sd / (2 * sd * Math.sqrt(n)) : 0),
    missing: (/** @type {number} */ n) => -between[0] / n,
  };
}

/**
 * Running statistics after each batch, from mean 0 and variance 1; every block of a batch is an update of its own.
 * @param {Moments[]} levels from `pyramid` @param {number} size images in a batch
 * @param {number} share images in a block; both are of SIZES, and share divides size @param {number} momentum
 * @returns {{mean: Float64Array, var: Float64Array}} after each of the DRAWS batches
 */
export function keeping(levels, size, share, momentum) {
  const perBatch = size / share, stride = MOST / share;
  const blocks = levels[SIZES.indexOf(share)];
  const path = { mean: new Float64Array(DRAWS), var: new Float64Array(DRAWS) };
  let kept = untrained(1);
  for (let t = 0; t < DRAWS; t++) {
    const part = (/** @type {Float64Array} */ values) => values.subarray(t * stride, t * stride + perBatch);
    kept = track(kept, { rows: perBatch, columns: 1, count: part(blocks.count), mean: part(blocks.mean), var: part(blocks.var) }, momentum);
    path.mean[t] = kept.mean[0];
    path.var[t] = kept.var[0];
  }
  return path;
}

/**
 * Mean and spread of one normalized channel over the whole population, every activation of which is multiplied by a factor.
 * @param {Moments} cells of that channel, shape (images, 1) @param {number} factor
 * @param {Moments} by statistics of each image's own block, shape (images, 1), or such as were kept, shape (1, 1)
 * @param {boolean} kept statistics that were kept do not shrink with what is measured @param {number} eps
 */
export function tested(cells, factor, by, kept, eps) {
  const seen = scaled(cells, () => factor);
  const used = kept ? by : scaled(by, () => factor);
  const { center, scale } = affine({ N: cells.rows, C: 1 }, used, null, null, eps);
  const all = pool({ ...seen, mean: seen.mean.map((m, k) => (m - center[k]) * scale[k]), var: seen.var.map((v, k) => v * scale[k] ** 2) }, { b: 1, g: 1 });
  return { mean: all.mean[0], sd: Math.sqrt(all.var[0]) };
}
