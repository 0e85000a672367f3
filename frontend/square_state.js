// The state of the square: as traits of a model, made sound, and as words in the address. No DOM.

/** The traits that a reader changes. */
export const STATE = /** @type {const} */ ([
  "sample_blocks", "channel_groups", "sample", "channel", "position", "spoiled_sample", "spoiled_channel",
  "evaluating", "steps", "weight", "bias", "eps",
]);
/** The traits that an author sets. */
export const CONTENT = /** @type {const} */ (["values", "precision", "shape", "title", "sample_names", "channel_names", "sample_pictures"]);
export const MOST_STEPS = 50;

/**
 * The state, made sound: a kernel or an address may say anything.
 * @param {{get: (trait: string) => any}} model @param {{N: number, C: number, S: number}} size
 */
export function readState(model, { N, C, S }) {
  const get = (/** @type {string} */ trait, /** @type {any} */ otherwise) => model.get(trait) ?? otherwise;
  const index = (/** @type {string} */ trait, /** @type {number} */ size) => Math.max(0, Math.min(size - 1, get(trait, 0)));
  const optional = (/** @type {string} */ trait, /** @type {number} */ size) => {
    const value = get(trait, null);
    return value !== null && value >= 0 && value < size ? /** @type {number} */ (value) : null;
  };
  const divides = (/** @type {number} */ value, /** @type {number} */ size) => (value >= 1 && size % value === 0 ? value : 1);
  const perChannel = (/** @type {string} */ trait, /** @type {number} */ otherwise) => {
    const values = /** @type {number[]} */ (get(trait, []));
    return values.length === C ? values : Array(C).fill(otherwise);
  };
  return {
    b: divides(get("sample_blocks", 1), N), g: divides(get("channel_groups", 1), C),
    n: index("sample", N), c: index("channel", C), p: index("position", S),
    bright: optional("spoiled_sample", N), strong: optional("spoiled_channel", C),
    evaluating: Boolean(get("evaluating", false)), steps: Math.max(0, Math.min(MOST_STEPS, get("steps", 10))),
    weight: perChannel("weight", 1), bias: perChannel("bias", 0), eps: /** @type {number} */ (get("eps", 1e-5)),
  };
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
  if (state.b !== first.b || state.g !== first.g) Object.assign(said, { b: state.b, g: state.g });
  for (const key of /** @type {const} */ (["n", "c", "p"])) if (state[key] !== first[key]) said[key] = state[key] + 1;
  for (const key of /** @type {const} */ (["bright", "strong"])) if (state[key] !== first[key]) said[key] = state[key] === null ? 0 : state[key] + 1;
  if (state.evaluating !== first.evaluating) said.mode = state.evaluating ? "evaluation" : "training";
  if (state.steps !== first.steps) said.steps = state.steps;
  if (state.eps !== first.eps) said.eps = state.eps;
  if (list(state.weight) !== list(first.weight)) said.gamma = list(state.weight);
  if (list(state.bias) !== list(first.bias)) said.beta = list(state.bias);
  return said;
}

/** @param {Record<string, string>} said @param {{N: number, C: number, S: number}} size @returns {Record<string, unknown>} traits */
export function fromAddress(said, { N, C, S }) {
  /** @type {Record<string, unknown>} */
  const traits = {};
  const number = (/** @type {string} */ key, /** @type {string} */ trait, /** @type {(v: number) => boolean} */ sound, /** @type {(v: number) => unknown} */ to = (v) => v) => {
    const value = Number(said[key]);
    if (said[key] !== undefined && said[key] !== "" && Number.isFinite(value) && sound(value)) traits[trait] = to(value);
  };
  const list = (/** @type {string} */ key, /** @type {string} */ trait) => {
    const values = (said[key] ?? "").split(" ").filter(Boolean).map(Number);
    if (values.length === C && values.every(Number.isFinite)) traits[trait] = values;
  };
  const from1 = (/** @type {number} */ size) => (/** @type {number} */ v) => Number.isInteger(v) && v >= 1 && v <= size;
  const orNone = (/** @type {number} */ size) => (/** @type {number} */ v) => v === 0 || from1(size)(v);
  number("b", "sample_blocks", (v) => from1(N)(v) && N % v === 0);
  number("g", "channel_groups", (v) => from1(C)(v) && C % v === 0);
  number("n", "sample", from1(N), (v) => v - 1);
  number("c", "channel", from1(C), (v) => v - 1);
  number("p", "position", from1(S), (v) => v - 1);
  number("bright", "spoiled_sample", orNone(N), (v) => (v ? v - 1 : null));
  number("strong", "spoiled_channel", orNone(C), (v) => (v ? v - 1 : null));
  number("steps", "steps", (v) => Number.isInteger(v) && v >= 0 && v <= MOST_STEPS);
  number("eps", "eps", (v) => v >= 0);
  list("gamma", "weight");
  list("beta", "bias");
  if (said.mode) traits.evaluating = said.mode === "evaluation";
  return traits;
}
