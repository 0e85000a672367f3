// The one function behind the four layers: moments, pool, apply. The twin of gnlib/core.py in double precision; no DOM.
//
// An activation x has N samples, C channels and S positions: a table of N × C cells, row-major. A point (b, g) cuts the
// table into b × g blocks; cells of one block share a mean and a variance.

/**
 * Count, mean and (biased) variance: a table of each, of cells (N, C) or of blocks (b, g), row-major.
 * Where there are no values, all three are 0.
 * @typedef {{rows: number, columns: number, count: Float64Array, mean: Float64Array, var: Float64Array}} Moments
 * @typedef {import("./grouping.js").Point} Point
 * @typedef {{N: number, C: number, S: number}} Shape
 */

/** @param {number} rows @param {number} columns @returns {Moments} */
function table(rows, columns) {
  const size = rows * columns;
  return { rows, columns, count: new Float64Array(size), mean: new Float64Array(size), var: new Float64Array(size) };
}

/**
 * Measures every cell.
 * @param {ArrayLike<number>} x @param {Shape} shape @returns {Moments} shape (N, C)
 */
export function moments(x, { N, C, S }) {
  const cells = table(N, C);
  for (let cell = 0, start = 0; cell < N * C; cell++, start += S) {
    let sum = 0;
    for (let i = start; i < start + S; i++) sum += x[i];
    const mean = sum / Math.max(S, 1);
    let squares = 0; // two passes: E[x²] − E[x]² loses every digit once mean² >> variance
    for (let i = start; i < start + S; i++) squares += (x[i] - mean) ** 2;
    cells.count[cell] = S;
    cells.mean[cell] = mean;
    cells.var[cell] = squares / Math.max(S, 1);
  }
  return cells;
}

/** The block of a cell, counted row by row. @param {Moments} cells @param {Point} point @param {number} n @param {number} c */
export function blockOf(cells, { b, g }, n, c) {
  return Math.floor((n * b) / cells.rows) * g + Math.floor((c * g) / cells.columns);
}

/**
 * The law of total variance with its two parts kept apart: the mean of the cells' variances (within) and the variance
 * of the cells' means (between), cells weighted by their count.
 * @param {Moments} cells @param {Point} point
 * @returns {{blocks: Moments, within: Float64Array, between: Float64Array}} each of shape (b, g)
 */
export function split(cells, point) {
  const { rows: N, columns: C } = cells;
  const { b, g } = point;
  if (N % b || C % g) throw new RangeError(`${b} × ${g} blocks do not divide ${N} × ${C} cells`);
  const blocks = table(b, g);
  const within = new Float64Array(b * g);
  const between = new Float64Array(b * g);
  const block = new Int32Array(N * C), column = Int32Array.from({ length: C }, (_, c) => (c * g) / C | 0);
  for (let n = 0, cell = 0; n < N; n++)
    for (let c = 0, row = ((n * b) / N | 0) * g; c < C; c++, cell++) block[cell] = row + column[c];
  for (let cell = 0; cell < N * C; cell++) blocks.count[block[cell]] += cells.count[cell];
  const share = new Float64Array(N * C); // of a cell in its block
  for (let cell = 0; cell < N * C; cell++) share[cell] = cells.count[cell] / Math.max(blocks.count[block[cell]], 1);
  for (let cell = 0; cell < N * C; cell++) blocks.mean[block[cell]] += share[cell] * cells.mean[cell];
  for (let cell = 0; cell < N * C; cell++) {
    const k = block[cell], apart = cells.mean[cell] - blocks.mean[k];
    within[k] += share[cell] * cells.var[cell];
    between[k] += share[cell] * apart * apart;
  }
  for (let k = 0; k < b * g; k++) blocks.var[k] = within[k] + between[k];
  return { blocks, within, between };
}

/**
 * Joins the moments of the cells in each block that the point cuts.
 * @param {Moments} cells @param {Point} point @returns {Moments} shape (b, g)
 */
export function pool(cells, point) {
  return split(cells, point).blocks;
}

/**
 * What `apply` does to each cell: y = (x − center) · scale + shift.
 * @typedef {{center: Float64Array, scale: Float64Array, shift: Float64Array}} Affine
 * @param {{N: number, C: number}} shape
 * @param {Moments} blocks of any size that divides (N, C)
 * @param {ArrayLike<number> | null} weight per channel @param {ArrayLike<number> | null} bias per channel
 * @param {number} eps
 * @returns {Affine} each of shape (N, C)
 */
export function affine({ N, C }, blocks, weight = null, bias = null, eps = 1e-5) {
  const center = new Float64Array(N * C);
  const scale = new Float64Array(N * C);
  const shift = new Float64Array(N * C);
  const inverse = blocks.var.map((v) => 1 / Math.sqrt(v + eps));
  for (let n = 0, cell = 0; n < N; n++) {
    const row = Math.floor((n * blocks.rows) / N) * blocks.columns;
    for (let c = 0; c < C; c++, cell++) {
      const k = row + Math.floor((c * blocks.columns) / C);
      center[cell] = blocks.mean[k];
      scale[cell] = inverse[k] * (weight ? weight[c] : 1);
      shift[cell] = bias ? bias[c] : 0;
    }
  }
  return { center, scale, shift };
}

/**
 * (x − mean) / √(var + ε) · γ + β, with the moments of blocks of any size that divides (N, C).
 * @param {ArrayLike<number>} x @param {Shape} shape @param {Moments} blocks
 * @param {ArrayLike<number> | null} weight @param {ArrayLike<number> | null} bias @param {number} eps
 */
export function apply(x, { N, C, S }, blocks, weight = null, bias = null, eps = 1e-5) {
  const y = new Float64Array(N * C * S);
  const { center, scale, shift } = affine({ N, C }, blocks, weight, bias, eps);
  for (let cell = 0, i = 0; cell < N * C; cell++)
    for (const end = i + S; i < end; i++) y[i] = (x[i] - center[cell]) * scale[cell] + shift[cell];
  return y;
}

/**
 * @param {ArrayLike<number>} x @param {Shape} shape @param {Point} point
 * @param {ArrayLike<number> | null} weight @param {ArrayLike<number> | null} bias @param {number} eps
 */
export function normalize(x, shape, point, weight = null, bias = null, eps = 1e-5) {
  return apply(x, shape, pool(moments(x, shape), point), weight, bias, eps);
}

/**
 * The cells after every sample and channel was multiplied by a factor: x · f has mean · f and variance · f².
 * @param {Moments} cells @param {(n: number, c: number) => number} factor @returns {Moments}
 */
export function scaled(cells, factor) {
  const result = table(cells.rows, cells.columns);
  for (let n = 0, cell = 0; n < cells.rows; n++)
    for (let c = 0; c < cells.columns; c++, cell++) {
      const f = factor(n, c);
      result.count[cell] = cells.count[cell];
      result.mean[cell] = cells.mean[cell] * f;
      result.var[cell] = cells.var[cell] * f * f;
    }
  return result;
}

/** The running statistics of a layer that saw nothing yet: mean 0, variance 1. @param {number} g @returns {Moments} shape (1, g) */
export function untrained(g) {
  const running = table(1, g);
  running.var.fill(1);
  return running;
}

/**
 * Moves running statistics towards the blocks of one batch, block of samples by block of samples.
 * They keep the unbiased variance, while the output of a training step uses the biased one (as torch.nn).
 * @param {Moments} running shape (1, g) @param {Moments} blocks shape (b, g) @param {number} momentum
 * @returns {Moments} shape (1, g)
 */
export function track(running, blocks, momentum = 0.1) {
  const next = table(1, running.columns);
  next.mean.set(running.mean);
  next.var.set(running.var);
  for (let k = 0; k < blocks.rows * blocks.columns; k++) {
    const c = k % blocks.columns;
    const count = blocks.count[k];
    const unbiased = (blocks.var[k] * count) / Math.max(count - 1, 1);
    next.mean[c] += momentum * (blocks.mean[k] - next.mean[c]);
    next.var[c] += momentum * (unbiased - next.var[c]);
    next.count[c] += count;
  }
  return next;
}
