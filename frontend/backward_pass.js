// The gradient of x̂ = (x − μ) / √(σ² + ε), block by block; statistics by moments.js, no DOM.
//
// With d = γ·dy, the gradient that reaches x̂, there are three ways back to x: straight, through μ, through σ²:
//
//     dx = (d − mean(d) − x̂ · mean(d·x̂)) / √(σ² + ε)
//
// Exactly so for any ε, means over the block. What is subtracted is the part of d along (1, …, 1) and, but for ε, its part
// along x̂: the mean of x̂² is σ² / (σ² + ε), a little less than 1.
import { affine, moments, pool } from "./moments.js";

/** @typedef {import("./moments.js").Moments} Moments @typedef {import("./moments.js").Shape} Shape @typedef {import("./grouping.js").Point} Point */

/**
 * The backward pass of all blocks. mean: of d; along: the mean of d·x̂; inverse: 1 / √(σ² + ε); each of shape (b, g).
 * @typedef {{cells: Moments, blocks: Moments, inverse: Float64Array, mean: Float64Array, along: Float64Array, dx: Float64Array}} Pass
 * @param {ArrayLike<number>} x @param {ArrayLike<number>} dy @param {Shape} shape @param {Point} point
 * @param {ArrayLike<number>} weight γ, per channel @param {number} eps
 * @param {Moments} cells of x, where they are known already
 * @returns {Pass}
 */
export function backward(x, dy, shape, point, weight, eps, cells = moments(x, shape)) {
  const { N, C, S } = shape;
  const blocks = pool(cells, point);
  const { center, scale } = affine(shape, blocks, null, null, eps);
  const sums = new Float64Array(N * C), products = new Float64Array(N * C);
  for (let cell = 0, i = 0; cell < N * C; cell++) {
    const gamma = weight[cell % C], mean = center[cell];
    let sum = 0, product = 0;
    for (const end = i + S; i < end; i++) {
      sum += dy[i];
      product += dy[i] * (x[i] - mean);
    }
    sums[cell] = (gamma * sum) / Math.max(S, 1);
    products[cell] = (gamma * product * scale[cell]) / Math.max(S, 1);
  }
  const mean = pool(means(cells, sums), point).mean, along = pool(means(cells, products), point).mean;
  const dx = new Float64Array(N * C * S);
  for (let n = 0, cell = 0, i = 0; n < N; n++)
    for (let c = 0; c < C; c++, cell++) {
      const k = Math.floor((n * point.b) / N) * point.g + Math.floor((c * point.g) / C);
      const gamma = weight[c], middle = center[cell], inverse = scale[cell], slope = along[k] * inverse;
      for (const end = i + S; i < end; i++) dx[i] = (gamma * dy[i] - mean[k] - (x[i] - middle) * slope) * inverse;
    }
  return { cells, blocks, inverse: blocks.var.map((v) => 1 / Math.sqrt(v + eps)), mean, along, dx };
}

/** A table of cells with these means, to be pooled. @param {Moments} cells @param {Float64Array} mean @returns {Moments} */
function means({ rows, columns, count }, mean) {
  return { rows, columns, count, mean, var: new Float64Array(mean.length) };
}

/**
 * The gradients of γ and β: sums over all values of a channel, of dy·x̂ and of dy.
 * @param {ArrayLike<number>} x @param {ArrayLike<number>} dy @param {Shape} shape @param {Moments} blocks of x @param {number} eps
 */
export function affineGradient(x, dy, shape, blocks, eps) {
  const { N, C, S } = shape;
  const { center, scale } = affine(shape, blocks, null, null, eps);
  const weight = new Float64Array(C), bias = new Float64Array(C);
  for (let cell = 0, i = 0; cell < N * C; cell++)
    for (const end = i + S; i < end; i++) {
      weight[cell % C] += dy[i] * (x[i] - center[cell]) * scale[cell];
      bias[cell % C] += dy[i];
    }
  return { weight, bias };
}

/**
 * The values of one block, in the order of the tensor.
 * @param {Shape} shape @param {Point} point @param {number} block counted row by row
 */
export function valuesOf({ N, C, S }, { b, g }, block) {
  const samples = N / b, channels = C / g, size = samples * channels * S;
  const firstN = Math.floor(block / g) * samples, firstC = (block % g) * channels;
  return {
    size,
    /** The value in the tensor that is value k of the block. @param {number} k */
    at: (k) => ((firstN + Math.floor(k / (channels * S))) * C + firstC + Math.floor(k / S) % channels) * S + (k % S),
    /** Which of the block's values a value in the tensor is. @param {number} i */
    find: (i) => (Math.floor(i / (C * S)) - firstN) * channels * S + (Math.floor(i / S) % C - firstC) * S + (i % S),
  };
}

/**
 * How the sum of d² over one block divides: what its mean takes, what x̂ takes, what comes through (as (dx · √(σ² + ε))²);
 * and the sums of dx and of dx·x̂, of which the first is 0 and the second too, but for ε. size: Σ |dx|, to judge rounding by.
 * @param {Pass} pass @param {ArrayLike<number>} x @param {ArrayLike<number>} dy @param {Shape} shape @param {Point} point @param {ArrayLike<number>} weight @param {number} block
 */
export function shares({ blocks, inverse, mean, dx }, x, dy, { N, C, S }, { b, g }, weight, block) {
  const samples = N / b, channels = C / g, firstN = Math.floor(block / g) * samples, firstC = (block % g) * channels;
  const middle = blocks.mean[block], scale = inverse[block];
  let total = 0, squares = 0, sum = 0, product = 0, size = 0;
  for (let n = firstN; n < firstN + samples; n++)
    for (let c = firstC, i = (n * C + c) * S; c < firstC + channels; c++)
      for (const end = i + S; i < end; i++) {
        const d = weight[c] * dy[i], v = dx[i];
        total += d * d;
        squares += v * v;
        sum += v;
        product += v * (x[i] - middle) * scale;
        size += Math.abs(v);
      }
  const alike = samples * channels * S * mean[block] ** 2, through = squares / scale ** 2;
  return { total, alike, along: Math.max(0, total - alike - through), through, sum, product, size };
}

/**
 * How far every gradient moved between two passes: 0 where only rounding did.
 * @param {Pass} before @param {Pass} after @param {Shape} shape @param {Point} point @param {number} largest |d| of either
 */
export function moved(before, after, { N, C, S }, { b, g }, largest) {
  const distance = new Float64Array(N * C * S);
  let count = 0;
  for (let n = 0, i = 0; n < N; n++)
    for (let c = 0; c < C; c++) {
      const k = Math.floor((n * b) / N) * g + Math.floor((c * g) / C);
      const least = 1e-9 * largest * Math.max(before.inverse[k], after.inverse[k]);
      for (const end = i + S; i < end; i++) {
        const by = Math.abs(after.dx[i] - before.dx[i]);
        if (by > least) {
          distance[i] = by;
          count++;
        }
      }
    }
  return { distance, count };
}
