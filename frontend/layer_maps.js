// What leaves a norm layer: statistics where a sample is a position, normalized maps, counts of values; no DOM.
import { RANGE } from "./color_scale.js";
import { count } from "./histogram.js";
import { moments, pool } from "./moments.js";

/**
 * @typedef {import("./moments.js").Moments} Moments @typedef {import("./conv_net.js").Size} Size
 * @typedef {import("./layer_change.js").Lines} Lines
 * @typedef {{x: Float64Array, slope: Float64Array, offset: Float64Array}} Look  t = slope · x + offset of every cell
 */

const BINS = 52;
const EPS = 1e-5;

/**
 * The moments of blocks of positions. The channels of a group lie side by side, so a position's part of a block is
 * measured at once, and positions are pooled.
 * @param {Float64Array} turned shape (N · S, C) @param {number} C @param {import("./grouping.js").Point} point @returns {Moments}
 */
export function positionBlocks(turned, C, { b, g }) {
  const rows = turned.length / C;
  const parts = moments(turned, { N: rows, C: g, S: C / g });
  return b === rows ? parts : pool(parts, { b, g });
}

/**
 * x̂ of images from one to another, whatever shares a block.
 * @param {ArrayLike<number>} x of all images @param {Lines} lines the change @param {Size} size @param {Moments} blocks
 * @param {number} first @param {number} end the image after the last
 */
export function normalizedImages(x, { slope, offset }, { N, C, H, W }, blocks, first, end) {
  const S = H * W, each = (N * S) / blocks.rows; // positions of a block, in a row
  const y = new Float64Array((end - first) * C * S);
  const inverse = blocks.var.map((v) => 1 / Math.sqrt(v + EPS));
  for (let n = first, to = 0; n < end; n++) {
    const row = Math.floor((n * S) / each);
    for (let c = 0; c < C; c++, to += S) {
      const cell = n * C + c, from = cell * S, a = slope[cell], d = offset[cell];
      let k = row * blocks.columns + Math.floor((c * blocks.columns) / C);
      for (let i = 0, next = (row + 1) * each - n * S; i < S; next += each, k += blocks.columns) {
        const mean = blocks.mean[k], scale = inverse[k];
        for (const stop = Math.min(next, S); i < stop; i++) y[to + i] = (a * x[from + i] + d - mean) * scale;
      }
    }
  }
  return y;
}

/** How many values lie where on the color scale. @param {Look} look */
export function counts({ x, slope, offset }) {
  const S = x.length / slope.length, found = new Float64Array(BINS);
  for (let k = 0; k < slope.length; k++) count(found, x, k * S, (k + 1) * S, 0, slope[k], offset[k], [-RANGE, RANGE]);
  return found;
}

/**
 * The same of a block's values alone.
 * @param {Look} look @param {number} C
 * @param {[number, number]} positions of the block, counted through the images @param {[number, number]} channels of the block
 */
export function blockCounts({ x, slope, offset }, C, [from, to], [firstC, endC]) {
  const S = x.length / slope.length, found = new Float64Array(BINS);
  for (let n = Math.floor(from / S); n * S < to; n++)
    for (let c = firstC; c < endC; c++) {
      const k = n * C + c, low = Math.max(0, from - n * S), high = Math.min(S, to - n * S);
      count(found, x, k * S + low, k * S + high, 0, slope[k], offset[k], [-RANGE, RANGE]);
    }
  return found;
}
