// The state of the backward figure: as traits of a model, made sound, and as words in the address. No DOM.

/** @typedef {[number, number][]} Changes  values that the reader set: place in the tensor, value; ascending */

/** The traits that a reader changes. */
export const STATE = /** @type {const} */ ([
  "sample_blocks", "channel_groups", "sample", "channel", "position", "push", "changed_gradient", "changed_x", "weight", "eps", "w", "rate",
]);
/** The traits that an author sets. */
export const CONTENT = /** @type {const} */ (["values", "precision", "shape", "title", "gradient", "gradient_precision"]);
/** What dy is where the reader set no value: 0, as the author gave it, the same everywhere, or along x̂. */
export const PUSHES = /** @type {const} */ (["alone", "given", "alike", "along"]);
export const FIRST_W = /** @type {[number, number]} */ ([0.5, -0.8]);
export const LENGTH = /** @type {[number, number]} */ ([0.2, 2.5]); // of w, as its slider goes
export const RATE = /** @type {[number, number]} */ ([0.1, 3]);

/**
 * The state, made sound: a kernel or an address may say anything.
 * @param {{get: (trait: string) => any}} model @param {{N: number, C: number, S: number, given: Float64Array | null}} content
 */
export function readState(model, { N, C, S, given }) {
  const get = (/** @type {string} */ trait, /** @type {any} */ otherwise) => model.get(trait) ?? otherwise;
  const index = (/** @type {string} */ trait, /** @type {number} */ size) => Math.max(0, Math.min(size - 1, get(trait, 0)));
  const divides = (/** @type {number} */ value, /** @type {number} */ size) => (value >= 1 && size % value === 0 ? value : 1);
  const push = /** @type {typeof PUSHES[number]} */ (PUSHES.includes(get("push", "alone")) ? get("push", "alone") : "alone");
  const weight = /** @type {number[]} */ (get("weight", []));
  const w = get("w", FIRST_W);
  return {
    b: divides(get("sample_blocks", 1), N), g: divides(get("channel_groups", 1), C),
    n: index("sample", N), c: index("channel", C), p: index("position", S),
    push: push === "given" && !given ? /** @type {const} */ ("alone") : push,
    changedGradient: changes(get("changed_gradient", []), N * C * S), changedX: changes(get("changed_x", []), N * C * S),
    weight: weight.length === C ? weight : /** @type {number[]} */ (Array(C).fill(1)),
    eps: /** @type {number} */ (Math.max(0, get("eps", 1e-5))),
    w: isPair(w) ? w : FIRST_W, rate: /** @type {number} */ (get("rate", 1)),
  };
}

/** @type {Changes} */
const NONE = [];

/** @param {any} pairs @param {number} size @returns {Changes} */
function changes(pairs, size) {
  if (!Array.isArray(pairs) || !pairs.length) return NONE;
  const isSound = (/** @type {any} */ pair) => Array.isArray(pair) && Number.isInteger(pair[0]) && pair[0] >= 0 && pair[0] < size && Number.isFinite(pair[1]);
  return pairs.every(isSound) ? pairs : pairs.filter(isSound); // the same list as long as it stays: what depends on it is not computed again
}

/** Any two weights but (0, 0), which have no direction. @param {any} w @returns {w is [number, number]} */
const isPair = (w) => Array.isArray(w) && w.length === 2 && w.every(Number.isFinite) && Math.hypot(...w) > 0;

/** @param {Changes} list @param {number} place @param {number} value @returns {Changes} */
export function changed(list, place, value) {
  return [...list.filter(([at]) => at !== place), /** @type {[number, number]} */ ([place, value])].sort((a, b) => a[0] - b[0]);
}

/**
 * The state as it stands in the address: counted from 1, as on the screen, and only what differs from the author's.
 * @typedef {ReturnType<typeof readState>} State
 * @param {State} state @param {State} first
 */
export function toAddress(state, first) {
  /** @type {Record<string, string | number>} */
  const said = {};
  const list = (/** @type {number[]} */ values) => values.map((v) => Number(v.toPrecision(6))).join(" ");
  const pairs = (/** @type {Changes} */ values) => values.map(([at, v]) => `${at + 1}~${Number(v.toPrecision(12))}`).join("~") || "none";
  if (state.b !== first.b || state.g !== first.g) Object.assign(said, { b: state.b, g: state.g });
  for (const key of /** @type {const} */ (["n", "c", "p"])) if (state[key] !== first[key]) said[key] = state[key] + 1;
  if (state.push !== first.push) said.push = state.push;
  if (pairs(state.changedGradient) !== pairs(first.changedGradient)) said.dy = pairs(state.changedGradient);
  if (pairs(state.changedX) !== pairs(first.changedX)) said.x = pairs(state.changedX);
  if (list(state.weight) !== list(first.weight)) said.gamma = list(state.weight);
  if (state.eps !== first.eps) said.eps = state.eps;
  if (list(state.w) !== list(first.w)) said.w = list(state.w);
  if (state.rate !== first.rate) said.rate = state.rate;
  return said;
}

/** @param {Record<string, string>} said @param {{N: number, C: number, S: number, given: Float64Array | null}} content @returns {Record<string, unknown>} traits */
export function fromAddress(said, { N, C, S, given }) {
  /** @type {Record<string, unknown>} */
  const traits = {};
  const number = (/** @type {string} */ key, /** @type {string} */ trait, /** @type {(v: number) => boolean} */ sound, /** @type {(v: number) => unknown} */ to = (v) => v) => {
    const value = Number(said[key]);
    if (said[key] !== undefined && said[key] !== "" && Number.isFinite(value) && sound(value)) traits[trait] = to(value);
  };
  const numbers = (/** @type {string} */ key, /** @type {string} */ apart) => (said[key] ?? "").split(apart).filter(Boolean).map(Number);
  const pairs = (/** @type {string} */ key, /** @type {string} */ trait) => {
    if (said[key] === "none") traits[trait] = [];
    const flat = numbers(key, "~"), places = flat.filter((_, i) => i % 2 === 0);
    const sound = flat.length > 0 && flat.length % 2 === 0 && flat.every(Number.isFinite) && places.every(from1(N * C * S));
    if (sound) traits[trait] = places.map((place, i) => [place - 1, flat[2 * i + 1]]);
  };
  const from1 = (/** @type {number} */ size) => (/** @type {number} */ v) => Number.isInteger(v) && v >= 1 && v <= size;
  number("b", "sample_blocks", (v) => from1(N)(v) && N % v === 0);
  number("g", "channel_groups", (v) => from1(C)(v) && C % v === 0);
  number("n", "sample", from1(N), (v) => v - 1);
  number("c", "channel", from1(C), (v) => v - 1);
  number("p", "position", from1(S), (v) => v - 1);
  number("eps", "eps", (v) => v >= 0);
  number("rate", "rate", (v) => v > 0);
  pairs("dy", "changed_gradient");
  pairs("x", "changed_x");
  const gamma = numbers("gamma", " "), w = numbers("w", " ");
  if (gamma.length === C && gamma.every(Number.isFinite)) traits.weight = gamma;
  if (isPair(w)) traits.w = w;
  const push = PUSHES.find((known) => known === said.push);
  if (push && (push !== "given" || given)) traits.push = push;
  return traits;
}

/**
 * x and dy as they stand, and as they stood before the reader's hand.
 * @param {Float64Array} values @param {Changes} list
 */
export function withChanges(values, list) {
  if (!list.length) return values;
  const result = values.slice();
  for (const [at, value] of list) result[at] = value;
  return result;
}
