// One neuron with two weights in front of a norm: z = w·a for a batch of inputs a, x̂ = z normalized, loss = mean ½(x̂ − t)².
// Its gradient is the figure's own backward pass, taken one step further, to w. No DOM.
import { backward } from "./backward_pass.js";
import { apply } from "./moments.js";

/** @typedef {[number, number]} Pair */

/** Eight inputs of two features. @type {Pair[]} */
export const INPUTS = [[-1.2, 0.4], [-0.7, -0.9], [-0.3, 1.1], [0.1, -0.4], [0.4, 0.8], [0.8, -1.2], [1.1, 0.5], [-0.2, -0.3]];
/** What the neuron should say to each. */
export const TARGETS = [-1, -1, 1, -1, 1, 1, 1, -1];

const BATCH = { N: INPUTS.length, C: 1, S: 1 };
const TOGETHER = { b: 1, g: 1 };
const ONES = [1];

const dot = (/** @type {Pair} */ a, /** @type {Pair} */ b) => a[0] * b[0] + a[1] * b[1];
const average = (/** @type {(i: number) => number} */ of) => INPUTS.reduce((sum, _, i) => sum + of(i), 0) / INPUTS.length;

/**
 * Loss and gradient at w. along: w·gradient, which is 0 but for ε; length, slope: |w| and |gradient|.
 * @param {Pair} w @param {number} eps
 */
export function neuron(w, eps) {
  const z = Float64Array.from(INPUTS, (a) => dot(w, a));
  const zero = new Float64Array(z.length);
  const { blocks } = backward(z, zero, BATCH, TOGETHER, ONES, eps);
  const normalized = apply(z, BATCH, blocks, null, null, eps);
  const asked = normalized.map((v, i) => (v - TARGETS[i]) / INPUTS.length);
  const { dx } = backward(z, asked, BATCH, TOGETHER, ONES, eps);
  const gradient = /** @type {Pair} */ ([0, 1].map((axis) => INPUTS.reduce((sum, a, i) => sum + dx[i] * a[axis], 0)));
  return {
    loss: average((i) => 0.5 * (normalized[i] - TARGETS[i]) ** 2), normalized, gradient,
    along: dot(w, gradient), length: Math.hypot(...w), slope: Math.hypot(...gradient),
  };
}

/** @param {Pair} w @param {Pair} gradient @param {number} rate @returns {Pair} */
export const descend = (w, gradient, rate) => [w[0] - rate * gradient[0], w[1] - rate * gradient[1]];

/** Degrees between two directions. @param {Pair} a @param {Pair} b */
export const turn = (a, b) => (Math.abs(Math.atan2(a[0] * b[1] - a[1] * b[0], dot(a, b))) * 180) / Math.PI;

/**
 * The loss at any w, without the batch: from its covariances. For drawing the whole plane.
 * @param {number} eps @returns {(first: number, second: number) => number}
 */
export function landscape(eps) {
  const mean = [0, 1].map((axis) => average((i) => INPUTS[i][axis])), target = average((i) => TARGETS[i]);
  const spread = (/** @type {number} */ p, /** @type {number} */ q) => average((i) => (INPUTS[i][p] - mean[p]) * (INPUTS[i][q] - mean[q]));
  const [first, both, second] = [spread(0, 0), spread(0, 1), spread(1, 1)];
  const [toFirst, toSecond] = [0, 1].map((axis) => average((i) => (INPUTS[i][axis] - mean[axis]) * (TARGETS[i] - target)));
  const own = average((i) => TARGETS[i] ** 2);
  return (w1, w2) => {
    const variance = first * w1 * w1 + 2 * both * w1 * w2 + second * w2 * w2;
    const root = Math.sqrt(variance + eps);
    return root > 0 ? 0.5 * (variance / (variance + eps) + own) - (toFirst * w1 + toSecond * w2) / root : 0.5 * own;
  };
}
