// The state of the activations figure: as traits of a model, made sound, and as words in the address. No DOM.
import { LAYERS, rowsOf, sameKind, sizeAt } from "./conv_net.js";
import { KINDS, MOST } from "./layer_change.js";

/** The traits that a reader changes. */
export const STATE = /** @type {const} */ ([
  "layer", "tokens", "sample_blocks", "channel_groups", "sample", "channel", "position", "change", "amount",
]);
/** The traits that an author sets. */
export const CONTENT = /** @type {const} */ (["images", "shape", "network", "accuracy", "sample_names", "classes", "title"]);

/**
 * @typedef {{N: number, H: number, W: number}} Images
 * @typedef {{
 *   layer: number, tokens: boolean, b: number, g: number, n: number, c: number, p: number,
 *   change: import("./layer_change.js").Kind, amount: number,
 * }} State
 */

/** The state, made sound: a kernel or an address may say anything. @param {{get: (trait: string) => any}} model @param {Images} images @returns {State} */
export function readState(model, images) {
  const get = (/** @type {string} */ trait, /** @type {any} */ otherwise) => model.get(trait) ?? otherwise;
  const layer = within(get("layer", 1), 1, LAYERS), tokens = Boolean(get("tokens", false));
  const size = sizeAt(images, layer);
  const divides = (/** @type {number} */ value, /** @type {number} */ of) => (value >= 1 && of % value === 0 ? value : 1);
  const change = get("change", "none");
  return {
    layer, tokens,
    b: divides(get("sample_blocks", 1), rowsOf(size, tokens)), g: divides(get("channel_groups", 1), size.C),
    n: within(get("sample", 0), 0, images.N - 1), c: within(get("channel", 0), 0, size.C - 1), p: within(get("position", 0), 0, size.H * size.W - 1),
    change: KINDS.includes(change) ? change : "none", amount: within(get("amount", 1), -MOST, MOST),
  };
}

/** The traits of a state. @param {State} state */
export const traitsOf = ({ layer, tokens, b, g, n, c, p, change, amount }) => ({
  layer, tokens, sample_blocks: b, channel_groups: g, sample: n, channel: c, position: p, change, amount,
});

/** The same kind of norm and about the same place, at another layer. @param {State} state @param {number} layer @param {Images} images @returns {State} */
export function atLayer(state, layer, images) {
  const from = sizeAt(images, state.layer), to = sizeAt(images, layer);
  const row = Math.floor(((Math.floor(state.p / from.W) + 0.5) * to.H) / from.H), column = Math.floor((((state.p % from.W) + 0.5) * to.W) / from.W);
  const point = sameKind(state, { rows: rowsOf(from, state.tokens), C: from.C }, { rows: rowsOf(to, state.tokens), C: to.C });
  return { ...state, layer, ...point, c: Math.min(state.c, to.C - 1), p: row * to.W + column };
}

/** The same kind of norm with positions as samples, or images. @param {State} state @param {boolean} tokens @param {Images} images @returns {State} */
export function withSamples(state, tokens, images) {
  const size = sizeAt(images, state.layer);
  const before = rowsOf(size, state.tokens), after = rowsOf(size, tokens);
  return { ...state, tokens, b: state.b === before || after % state.b ? after : state.b };
}

/** The state as it stands in the address: counted from 1, as on the screen, and only what differs from the author's. @param {State} state @param {State} first */
export function toAddress(state, first) {
  /** @type {Record<string, string | number>} */
  const said = {};
  if (state.layer !== first.layer) said.layer = state.layer;
  if (state.tokens !== first.tokens) said.samples = state.tokens ? "positions" : "images";
  const moved = state.layer !== first.layer || state.tokens !== first.tokens; // then the author's point need not be legal
  if (moved || state.b !== first.b || state.g !== first.g) Object.assign(said, { b: state.b, g: state.g });
  for (const key of /** @type {const} */ (["n", "c", "p"])) if (state[key] !== first[key]) said[key] = state[key] + 1;
  if (state.change !== first.change) said.change = state.change;
  if (state.amount !== first.amount) said.amount = state.amount;
  return said;
}

/** @param {Record<string, string>} said @param {State} state the present one @param {Images} images @returns {State} */
export function fromAddress(said, state, images) {
  const number = (/** @type {string} */ key) => (said[key] === undefined || said[key].trim() === "" ? NaN : Number(said[key]));
  const whole = (/** @type {string} */ key, /** @type {number} */ most) => Number.isInteger(number(key)) && number(key) >= 1 && number(key) <= most;
  if (whole("layer", LAYERS)) state = atLayer(state, number("layer"), images);
  if (said.samples === "positions" || said.samples === "images") state = withSamples(state, said.samples === "positions", images);
  const next = { ...state };
  const size = sizeAt(images, next.layer), rows = rowsOf(size, next.tokens);
  if (whole("b", rows) && rows % number("b") === 0) next.b = number("b");
  if (whole("g", size.C) && size.C % number("g") === 0) next.g = number("g");
  if (whole("n", images.N)) next.n = number("n") - 1;
  if (whole("c", size.C)) next.c = number("c") - 1;
  if (whole("p", size.H * size.W)) next.p = number("p") - 1;
  const kind = KINDS.find((known) => known === said.change);
  if (kind) next.change = kind;
  if (Math.abs(number("amount")) <= MOST) next.amount = number("amount");
  return next;
}

/** @param {number} value @param {number} low @param {number} high */
const within = (value, low, high) => Math.max(low, Math.min(high, value));
