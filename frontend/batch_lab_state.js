// The state of the batch laboratory: as traits of a model, made sound, and as words in the address. No DOM.
import { DRAWS, MOST, SIZES } from "./batch_draws.js";

export const NORMS = /** @type {const} */ (["batch_norm", "layer_norm", "group_norm", "instance_norm"]);
/** @typedef {(typeof NORMS)[number]} Norm */

/** The traits that a reader changes. */
export const STATE = /** @type {const} */ ([
  "norm", "batch_size", "samples_per_block", "channel", "position", "statistic", "seed", "draw", "momentum", "light",
]);
/** The traits that an author sets. */
export const CONTENT = /** @type {const} */ ([
  "values", "precision", "shape", "means", "variances", "population_precision", "images", "positions", "title", "image_name",
  "image_picture", "channel_names", "linear",
]);
export const LEAST_LIGHT = 0.1;
export const MOMENTA = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1];
export const MOST_SEEDS = 2 ** 31;

/** @param {unknown} value @param {number} least @param {number} most @param {number} otherwise */
function within(value, least, most, otherwise) {
  return typeof value === "number" && value >= least && value <= most ? value : otherwise;
}

/**
 * The state, made sound: a kernel or an address may say anything.
 * @param {{get: (trait: string) => any}} model @param {{C: number, S: number}} size
 */
export function readState(model, { C, S }) {
  const index = (/** @type {string} */ trait, /** @type {number} */ size) => Math.round(within(model.get(trait), 0, size - 1, 0));
  const size = (/** @type {string} */ trait, /** @type {number} */ otherwise) => (SIZES.includes(model.get(trait)) ? /** @type {number} */ (model.get(trait)) : otherwise);
  return {
    norm: NORMS.includes(model.get("norm")) ? /** @type {Norm} */ (model.get("norm")) : "batch_norm",
    n: size("batch_size", 2), most: size("samples_per_block", MOST), c: index("channel", C), p: index("position", S),
    spread: model.get("statistic") === "spread", seed: index("seed", MOST_SEEDS), draw: index("draw", DRAWS),
    momentum: within(model.get("momentum"), 1e-4, 1, 0.1), light: within(model.get("light"), LEAST_LIGHT, 1, 0.5),
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
  const say = (/** @type {string} */ key, /** @type {keyof State} */ part, /** @type {(value: any) => string | number} */ as) => {
    if (state[part] !== first[part]) said[key] = as(state[part]);
  };
  const same = (/** @type {any} */ value) => value;
  const from1 = (/** @type {number} */ value) => value + 1;
  say("norm", "norm", same);
  say("batch", "n", same);
  say("block", "most", same);
  say("c", "c", from1);
  say("p", "p", from1);
  say("show", "spread", (spread) => (spread ? "spread" : "mean"));
  say("seed", "seed", from1);
  say("draw", "draw", from1);
  say("momentum", "momentum", same);
  say("light", "light", same);
  return said;
}

/** @param {Record<string, string>} said @param {{C: number, S: number}} size @returns {Record<string, unknown>} traits */
export function fromAddress(said, { C, S }) {
  /** @type {Record<string, unknown>} */
  const traits = {};
  const number = (/** @type {string} */ key, /** @type {string} */ trait, /** @type {(v: number) => boolean} */ sound, /** @type {(v: number) => unknown} */ to = (v) => v) => {
    const value = Number(said[key]);
    if (said[key] !== undefined && said[key] !== "" && Number.isFinite(value) && sound(value)) traits[trait] = to(value);
  };
  const index = (/** @type {string} */ key, /** @type {string} */ trait, /** @type {number} */ size) =>
    number(key, trait, (v) => Number.isInteger(v) && v >= 1 && v <= size, (v) => v - 1);
  if (NORMS.includes(/** @type {Norm} */ (said.norm))) traits.norm = said.norm;
  number("batch", "batch_size", (v) => SIZES.includes(v));
  number("block", "samples_per_block", (v) => SIZES.includes(v));
  index("c", "channel", C);
  index("p", "position", S);
  index("seed", "seed", MOST_SEEDS);
  index("draw", "draw", DRAWS);
  number("momentum", "momentum", (v) => v >= 1e-4 && v <= 1);
  number("light", "light", (v) => v >= LEAST_LIGHT && v <= 1);
  if (said.show === "mean" || said.show === "spread") traits.statistic = said.show;
  return traits;
}
