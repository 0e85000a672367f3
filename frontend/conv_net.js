// The small trained network of gnlib/photo_net.py, in double precision: convolutions, norms at any point, scores; no DOM.
//
// What takes long is a generator that yields every now and then, so that a page can do it in slices.
import { apply, moments, pool } from "./moments.js";

/**
 * @typedef {import("./grouping.js").Point} Point
 * @typedef {{N: number, C: number, H: number, W: number}} Size  of an activation, row-major
 * @typedef {{input: number, output: number, stride: number, weight: Float64Array, gamma: Float64Array, beta: Float64Array}} Stage
 *   a 3×3 convolution and its norm
 * @typedef {{stages: Stage[], weight: Float64Array, bias: Float64Array}} Net  the stages, and the linear layer at the end
 */

const WIDTHS = [3, 16, 32, 32];
const STRIDES = [1, 2, 2];
export const LAYERS = STRIDES.length;
export const CLASSES = 10;
/** Groups of channels of the norms before the one that is looked at. */
export const EARLIER = 4;

/** @param {number} layer 1, 2 or 3 */
export const channelsOf = (layer) => WIDTHS[layer];

/** The size of what comes to a layer's norm. @param {{N: number, H: number, W: number}} images @param {number} layer @returns {Size} */
export function sizeAt({ N, H, W }, layer) {
  for (const stride of STRIDES.slice(0, layer)) [H, W] = [Math.ceil(H / stride), Math.ceil(W / stride)];
  return { N, C: WIDTHS[layer], H, W };
}

/** The network from its numbers: stage by stage kernels, γ, β; then the linear layer. @param {Float64Array} numbers @returns {Net} */
export function network(numbers) {
  let at = 0;
  const take = (/** @type {number} */ count) => numbers.subarray(at, (at += count));
  const stages = STRIDES.map((stride, i) => {
    const input = WIDTHS[i], output = WIDTHS[i + 1];
    return { input, output, stride, weight: take(output * input * 9), gamma: take(output), beta: take(output) };
  });
  const net = { stages, weight: take(CLASSES * WIDTHS[LAYERS] * 4), bias: take(CLASSES) };
  if (at !== numbers.length) throw new RangeError(`the network has ${at} numbers, not ${numbers.length}`);
  return net;
}

/** Pixels as the network takes them. @param {ArrayLike<number>} bytes 0 to 255 */
export const seen = (bytes) => Float64Array.from(bytes, (byte) => (byte / 255 - 0.5) / 0.25);

/**
 * A 3×3 convolution with a border of zeros.
 * @param {Float64Array} x @param {Size} size @param {Stage} stage @returns {Generator<void, Float64Array>}
 */
export function* convolved(x, { N, H, W }, { input, output, stride, weight }) {
  const h = Math.ceil(H / stride), w = Math.ceil(W / stride);
  const y = new Float64Array(N * output * h * w);
  for (let n = 0; n < N; n++)
    for (let o = 0; o < output; o++) {
      const to = (n * output + o) * h * w;
      for (let i = 0; i < input; i++) {
        const from = (n * input + i) * H * W;
        for (let tap = 0; tap < 9; tap++) {
          const factor = weight[(o * input + i) * 9 + tap];
          const down = Math.floor(tap / 3) - 1, right = (tap % 3) - 1;
          const left = right < 0 ? 1 : 0; // the places whose neighbor lies inside
          const end = Math.min(w, Math.floor((W - 1 - right) / stride) + 1);
          for (let row = down < 0 ? 1 : 0; row < h && row * stride + down < H; row++) {
            const line = to + row * w, source = from + (row * stride + down) * W + right;
            for (let column = left; column < end; column++) y[line + column] += factor * x[source + column * stride];
          }
        }
      }
      yield;
    }
  return y;
}

/** What comes to a layer's norm; the norms before it are GroupNorm. @param {Net} net @param {Float64Array} images as `seen` @param {{N: number, H: number, W: number}} shape @param {number} layer */
export function activation(net, images, { N, H, W }, layer) {
  let x = finish(convolved(images, { N, C: 3, H, W }, net.stages[0]));
  for (let stage = 1; stage < layer; stage++) {
    const size = sizeAt({ N, H, W }, stage);
    x = relu(normalized(x, size, { b: N, g: EARLIER }, false, net.stages[stage - 1]));
    x = finish(convolved(x, size, net.stages[stage]));
  }
  return x;
}

/**
 * (x − μ) / √(σ² + ε) · γ + β.
 * @param {Float64Array} x @param {Size} size @param {Point} point @param {boolean} tokens whether every position is a sample
 * @param {{gamma: Float64Array, beta: Float64Array} | null} affine @returns {Generator<void, Float64Array>}
 */
export function* normalizing(x, { N, C, H, W }, point, tokens, affine) {
  const S = H * W;
  const each = tokens && N % point.b !== 0; // a block of whole images is the same block whatever a sample is
  const shape = each ? { N: N * S, C, S: 1 } : { N, C, S };
  const table = each ? turned(x, N, C, S) : x;
  const cells = moments(table, shape);
  yield;
  const blocks = pool(cells, point);
  yield;
  const y = apply(table, shape, blocks, affine && affine.gamma, affine && affine.beta);
  if (!each) return y;
  yield;
  return turned(y, N, S, C);
}

/** The same at once. @param {Parameters<typeof normalizing>} given */
export const normalized = (...given) => finish(normalizing(...given));

/** Swaps the last two of three axes: (N, C, S) becomes (N, S, C). @param {ArrayLike<number>} x @param {number} N @param {number} C @param {number} S */
export function turned(x, N, C, S) {
  const y = new Float64Array(N * C * S);
  for (let n = 0, from = 0; n < N; n++)
    for (let c = 0; c < C; c++) for (let to = n * C * S + c, s = 0; s < S; s++, to += C) y[to] = x[from++];
  return y;
}

/**
 * The point of another layer that is of the same kind: EACH stays EACH, 1 stays 1, GroupNorm stays GroupNorm.
 * @param {Point} point @param {{rows: number, C: number}} from @param {{rows: number, C: number}} to
 * @returns {Point}
 */
export function sameKind({ b, g }, from, to) {
  return {
    b: b === from.rows ? to.rows : gcd(b, to.rows),
    g: g === 1 ? 1 : g === from.C ? to.C : Math.min(g, to.C / 2),
  };
}

/** The samples of a layer's norm. @param {Size} size @param {boolean} tokens */
export const rowsOf = ({ N, H, W }, tokens) => (tokens ? N * H * W : N);

/**
 * The scores of the ten classes, (N, 10).
 * @param {Net} net @param {Float64Array} x what comes to the norm of the layer @param {{N: number, H: number, W: number}} images
 * @param {number} layer @param {Point} point of that norm; those after it are of the same kind @param {boolean} tokens
 * @returns {Generator<void, Float64Array>}
 */
export function* scores(net, x, images, layer, point, tokens) {
  const first = sizeAt(images, layer);
  let size = first;
  for (let at = layer; at <= LAYERS; at++) {
    if (at > layer) {
      x = yield* convolved(x, size, net.stages[at - 1]);
      size = sizeAt(images, at);
    }
    const here = sameKind(point, { rows: rowsOf(first, tokens), C: first.C }, { rows: rowsOf(size, tokens), C: size.C });
    x = relu(yield* normalizing(x, size, at === layer ? point : here, tokens, net.stages[at - 1]));
    yield;
  }
  const { N, C, H, W } = size;
  const found = new Float64Array(N * CLASSES);
  for (let n = 0; n < N; n++) {
    found.set(net.bias, n * CLASSES);
    for (let c = 0; c < C; c++)
      for (let quarter = 0; quarter < 4; quarter++) {
        const mean = quarterMean(x, (n * C + c) * H * W, H, W, quarter >> 1, quarter & 1);
        for (let k = 0; k < CLASSES; k++) found[n * CLASSES + k] += net.weight[(k * C + c) * 4 + quarter] * mean;
      }
  }
  return found;
}

/** The mean of a quarter of a map; in the middle of an odd side, quarters overlap, as torch's. @param {Float64Array} x @param {number} start @param {number} H @param {number} W @param {number} down @param {number} right */
function quarterMean(x, start, H, W, down, right) {
  const top = Math.floor((down * H) / 2), bottom = Math.ceil(((down + 1) * H) / 2);
  const left = Math.floor((right * W) / 2), end = Math.ceil(((right + 1) * W) / 2);
  let sum = 0;
  for (let row = top; row < bottom; row++) for (let column = left; column < end; column++) sum += x[start + row * W + column];
  return sum / ((bottom - top) * (end - left));
}

/** Probabilities from the scores of one image. @param {ArrayLike<number>} scores */
export function probabilities(scores) {
  const all = Array.from(scores);
  const most = Math.max(...all);
  const powers = all.map((score) => Math.exp(score - most));
  const sum = powers.reduce((a, power) => a + power, 0);
  return powers.map((power) => power / sum);
}

/** Runs a generator to its end. @template T @param {Generator<void, T>} steps @returns {T} */
export function finish(steps) {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return /** @type {T} */ (value);
  }
}

/** In place. @param {Float64Array} x */
function relu(x) {
  for (let i = 0; i < x.length; i++) if (x[i] < 0) x[i] = 0;
  return x;
}

/** @param {number} a @param {number} b @returns {number} */
const gcd = (a, b) => (b ? gcd(b, a % b) : a);
