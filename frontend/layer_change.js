// What the reader does to what comes to a norm layer, and who comes out differently; no DOM.
import { normalizing, rowsOf } from "./conv_net.js";
import { affine, pool } from "./moments.js";

/**
 * Brightness: a number is added to every value of one image. Contrast: every value of one image is multiplied.
 * Channel: every value of one channel is multiplied, in all images.
 * @typedef {"none" | "brightness" | "contrast" | "channel"} Kind
 * @typedef {{kind: Kind, amount: number, n: number, c: number, sd: number}} Change
 *   amount: standard deviations of the layer's whole input to add, or the power of two to multiply by; n, c: which image, which channel
 * @typedef {import("./moments.js").Moments} Moments
 * @typedef {{slope: Float64Array, offset: Float64Array}} Lines  of every cell: x becomes slope · x + offset
 */

export const KINDS = /** @type {const} */ (["none", "brightness", "contrast", "channel"]);
export const MOST = 2; // standard deviations, or doublings

/** @param {Change} change @returns {number} what is added, or by what is multiplied */
export const strength = ({ kind, amount, sd }) => (kind === "brightness" ? amount * sd : 2 ** amount);

/** @param {Change} change @param {number} N @param {number} C @returns {Lines} */
export function linesOf(change, N, C) {
  const slope = new Float64Array(N * C).fill(1), offset = new Float64Array(N * C);
  const by = strength(change);
  const { kind, n, c } = change;
  if (kind === "brightness") offset.fill(by, n * C, (n + 1) * C);
  if (kind === "contrast") slope.fill(by, n * C, (n + 1) * C);
  if (kind === "channel") for (let i = c; i < N * C; i += C) slope[i] = by;
  return { slope, offset };
}

/** The cells after the change. @param {Moments} cells @param {Lines} lines @returns {Moments} */
export function moved(cells, { slope, offset }) {
  return { ...cells, mean: cells.mean.map((m, k) => slope[k] * m + offset[k]), var: cells.var.map((v, k) => slope[k] ** 2 * v) };
}

/** The values after the change. @param {Float64Array} x @param {Lines} lines */
export function changed(x, { slope, offset }) {
  const S = x.length / slope.length, y = new Float64Array(x.length);
  for (let k = 0, i = 0; k < slope.length; k++) for (const end = i + S; i < end; i++) y[i] = slope[k] * x[i] + offset[k];
  return y;
}

/**
 * Mean square by which each image's x̂ moves, (N,).
 * @param {Float64Array} x @param {Moments} cells of x @param {Lines} lines @param {import("./conv_net.js").Size} size
 * @param {import("./grouping.js").Point} point @param {boolean} tokens @returns {Generator<void, Float64Array>}
 */
export function* movement(x, cells, lines, size, point, tokens) {
  const { N, C } = size;
  const squares = new Float64Array(N);
  if (tokens && N % point.b) {
    const before = yield* normalizing(x, size, point, true, null);
    const after = yield* normalizing(changed(x, lines), size, point, true, null);
    yield;
    const each = before.length / N;
    for (let i = 0; i < before.length; i++) squares[Math.floor(i / each)] += (after[i] - before[i]) ** 2 / each;
    return squares;
  }
  const before = affine({ N, C }, pool(cells, point)), after = affine({ N, C }, pool(moved(cells, lines), point));
  for (let k = 0; k < N * C; k++) {
    // of a straight line's values the mean square is the square at the mean, and the variance
    const slope = after.scale[k] * lines.slope[k] - before.scale[k];
    const atMean = (lines.slope[k] * cells.mean[k] + lines.offset[k] - after.center[k]) * after.scale[k] - (cells.mean[k] - before.center[k]) * before.scale[k];
    squares[Math.floor(k / C)] += (slope ** 2 * cells.var[k] + atMean ** 2) / C;
  }
  return squares;
}

/** The four named layers, and how finely each cuts. @param {import("./conv_net.js").Size} size @param {boolean} tokens @param {number} groups */
export function named(size, tokens, groups) {
  const rows = rowsOf(size, tokens);
  return /** @type {const} */ ([
    ["batch_norm", { b: 1, g: size.C }],
    ["layer_norm", { b: rows, g: 1 }],
    ["instance_norm", { b: rows, g: size.C }],
    ["group_norm", { b: rows, g: groups }],
  ]);
}
