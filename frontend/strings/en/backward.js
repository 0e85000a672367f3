// The words of the backward figure, in English. Another language is another folder with the same files and keys.
import { fixed, whole } from "../../numbers.js";
import { plural, shared } from "./shared.js";

export const backward = {
  ...shared,
  title: "Push one value, and its whole block moves",
  lead: {
    before: "From the loss comes a gradient dy for every value. On its way back to x it passes the mean and the variance that the block shares. ",
    drag: "Drag the orange ring",
    after: ": everyone in the block gets a part of your push, and nobody outside it.",
  },

  // what happens, in one sentence
  verdict: {
    single: "A block of one value: its gradient is always 0.",
    alike: "Push all alike: nothing comes through.",
    along: "Push along x̂: nothing comes through.",
    alongEps: "Push along x̂: only what ε lets pass.",
    still: "Nothing is pushed, nothing moves.",
    given: "The gradient as it was given.",
    undefined: "A constant block without ε: 0 / 0.",
    hand: (/** @type {number} */ pushed, /** @type {number} */ moved) =>
      `${pushed === 1 ? "One value is" : `${whole(pushed)} values are`} pushed, ${moved === 0 ? "nothing moves" : moved === 1 ? "one gradient moves" : `${whole(moved)} gradients move`}.`,
    changed: (/** @type {number} */ changed, /** @type {number} */ moved) =>
      `${changed === 1 ? "One value is" : `${whole(changed)} values are`} changed, ${moved === 0 ? "nothing moves" : moved === 1 ? "one gradient moves" : `${whole(moved)} gradients move`}.`,
  },
  why: {
    single: "Whatever its value is, x̂ is 0: there is nothing to push it with.",
    alike: "The block’s mean takes it all: adding the same to every x changes no x̂.",
    along: "The block’s spread takes it all: scaling x around its mean changes no x̂.",
    alongEps: (/** @type {string} */ most) => `The block’s spread takes the rest. ε = 0 would leave nothing; now the largest gradient is ${most}.`,
    still: "Drag the orange ring, or press a button.",
    given: "Drag the orange ring: who moves with it?",
    undefined: "Raise ε to divide by something.",
    others: (/** @type {number} */ inside, /** @type {number} */ blocks, /** @type {number} */ outside) =>
      (blocks === 1 ? `A block of ${plural(inside, "value")}` : `${plural(blocks, "block")}, ${plural(inside, "value")}`) +
      (outside === 0 ? ": there is no other." : outside === 1 ? "; the one outside stands still." : `; the other ${whole(outside)} stand still.`),
    constant: (/** @type {string} */ times) => `The block is constant: ε alone stands under the root, and dx is ${times} × what is left of dy.`,
  },

  // what to push
  pushes: "What is pushed",
  push: { alone: "One value", given: "As given", alike: "All alike", along: "Along x̂" },

  // the stages
  stages: "The block’s values, from dy to dx",
  stage: {
    x: "x", dy: "dy", scaled: "γ dy", centered: { plain: "dy − mean", scaled: "γ dy − mean" }, dx: "dx",
  },
  stageNote: {
    x: "blue: μ ± σ",
    dy: "comes in; blue: its mean",
    centered: "blue: its part along x̂",
    dx: "that part taken off, divided by √(σ² + ε)",
  },
  legendBefore: "grey: before your hand",
  cell: (/** @type {number} */ n, /** @type {number} */ c) => `sample ${n}, channel ${c}`,
  cellShort: (/** @type {number} */ n, /** @type {number} */ c) => `${n}·${c}`,
  cellsShort: "sample·channel",
  shown: (/** @type {number} */ from, /** @type {number} */ to, /** @type {number} */ size) => `Values ${whole(from)} to ${whole(to)} of the block’s ${whole(size)}.`,
  dragValue: "Its gradient dy",
  dragX: "Its value x",

  // the picked value
  pickedHead: (/** @type {number} */ n, /** @type {number} */ c, /** @type {number} */ p, /** @type {boolean} */ positions) =>
    `Sample ${n}, channel ${c}${positions ? `, position ${p}` : ""}`,
  pick: "Which value",
  pickText: (/** @type {number} */ k, /** @type {number} */ size) => `${whole(k)} of ${whole(size)}`,
  back: "Undo all",

  // what is left
  sharesHead: "Of the push (sum of squares over the block)",
  share: { alike: "the mean takes", along: "x̂ takes", through: "comes through" },
  percent: (/** @type {number} */ part) => (part > 0 && part < 0.001 ? "< 0.1 %" : `${fixed(100 * part, part > 0 && part < 0.0995 ? 1 : 0)} %`),
  sumsHead: "Two directions that no gradient of this block has",
  sumAlike: "Σ dx",
  sumAlong: "Σ dx · x̂",
  sumAlikeNote: "all values up",
  sumAlongNote: "all values apart",
  rounding: "0, up to rounding",
  leftByEps: "what ε leaves",

  // the table of values
  mapTitle: "Who moves",
  map: "How far every gradient moved",
  mapNote: "Blue: how far dx moved, the stronger the farther. Grey: not at all.",
  mapNoteHand: "Blue: how far your hand moved dx, the stronger the farther. Grey: not at all.",
  mapPick: "Picked value",
  mapHelp: "Arrow keys pick another.",
  mapValue: (/** @type {string} */ place, /** @type {number} */ block, /** @type {number} */ blocks) => `${place}, in block ${whole(block)} of ${whole(blocks)}`,
  channels: "channels →",
  samples: "samples",

  // the weights in front
  plane: {
    title: "The same for the weights in front",
    idea: "A neuron w·a feeds a norm. Longer weights make a longer x, and the norm takes the length away: the loss knows only the direction of w. So its gradient has no part along w: it is tangent to the circle, and every step makes w longer.",
    label: "Two weights: the loss in every direction, the gradient across",
    shade: "Shade: the loss at each w. Blue: the step down, at a right angle to w.",
    tip: "Weights w",
    direction: "Direction of w", length: "Length of w", rate: "Step size η",
    degrees: (/** @type {number} */ v) => `${fixed(v, 0)}°`,
    step: "Take a step",
    start: "Back to the start",
    loss: "loss", lengthSymbol: "|w|", slope: "|∇L|", dot: "w · ∇L", after: "|w| after the step", turned: "turned by",
    dotZero: "0, up to rounding",
    dotEps: "what ε leaves",
    pythagoras: (/** @type {string} */ length, /** @type {string} */ step, /** @type {string} */ result) => `√(${length}² + ${step}²) = ${result}`,
    leaning: (/** @type {string} */ length, /** @type {string} */ step, /** @type {string} */ lean, /** @type {string} */ result) => `√(${length}² + ${step}² ${lean}) = ${result}`,
    decay: "Twice the length halves the gradient, and the same step turns w less. Weight decay shortens w: the output stays the same, and the next steps turn it further.",
    w1: "w₁", w2: "w₂",
  },

  // folds
  parameters: "γ and ε",
  gamma: (/** @type {number} */ c) => `γ of channel ${c}`,
  epsilon: "ε, added to every variance",
  reset: "Back to the defaults",
  table: "Every number of the block",
  tableCaption: (/** @type {number} */ block, /** @type {number} */ blocks, /** @type {number} */ values, /** @type {string} */ mean, /** @type {string} */ variance, /** @type {string} */ root, /** @type {string} */ alike, /** @type {string} */ along) =>
    `Block ${whole(block)} of ${whole(blocks)}: ${plural(values, "value")}. μ = ${mean}, σ² = ${variance}, √(σ² + ε) = ${root}; mean of γ dy = ${alike}, mean of γ dy · x̂ = ${along}.`,
  columns: { value: "Sample, channel, position", cell: "Sample, channel", x: "x", normalized: "x̂", dy: "dy", scaled: "γ dy", centered: "γ dy − mean", along: "part along x̂", dx: "dx" },
  affineTable: "Gradients of γ and β",
  affineCaption: "Sums over all values of a channel, in every block.",
  affineColumns: { channel: "Channel", gamma: "γ", weight: "dγ = Σ dy · x̂", bias: "dβ = Σ dy" },
};

/** @typedef {typeof backward} Words  what a table of another language must have */
