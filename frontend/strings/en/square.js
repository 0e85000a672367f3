// The words of the square, in English. Another language is another folder with the same files and keys.
import { fixed, whole } from "../../numbers.js";
import { plural, shared } from "./shared.js";

export const square = {
  ...shared,
  title: "Every norm layer is a way to cut this table",
  lead: {
    before: "Each picture is one channel of one sample. ",
    beforeValues: "Each cell is one channel of one sample. ",
    drag: "Drag the orange ring",
    after: " to cut the table into blocks: what you cut apart comes out with the same mean and spread (standard deviation); what stays together keeps its differences.",
  },

  // the two tables
  before: (/** @type {number} */ N, /** @type {number} */ C, /** @type {number[]} */ positions) =>
    `${plural(N, "sample")} × ${plural(C, "channel")}` +
    (positions.length ? `, ${positions.map(whole).join(" × ")} values each` : ", one value each"),
  beforeShort: (/** @type {number} */ N, /** @type {number} */ C) => `${plural(N, "sample")} × ${plural(C, "channel")}`,
  after: {
    plain: { long: "normalized: every block has mean 0 and variance 1", short: "each block: mean 0, variance 1" },
    affine: { long: "normalized, then scaled by γ and shifted by β", short: "normalized, × γ, + β" },
    running: { long: "normalized with the running statistics", short: "by the running statistics" },
  },
  beforeTable: "The table before",
  afterTable: "The table after",
  means: "mean ± sd",
  ring: "Cut the table",
  ringHelp: "Arrow keys left and right change the channel groups, up and down the sample blocks; Home and End go to the corners.",
  pick: "Picked picture",
  pickHelp: "Arrow keys pick another.",
  picked: (/** @type {string} */ sample, /** @type {string} */ channel, /** @type {number} */ block, /** @type {number} */ blocks) =>
    `${sample}, ${channel}, in block ${whole(block)} of ${whole(blocks)}`,

  spoilHead: (/** @type {string} */ what) => `Spoil ${what} ×3`,

  // the point
  verdict: (/** @type {number} */ b, /** @type {number} */ g, /** @type {number} */ N, /** @type {number} */ C, /** @type {number} */ values) => {
    if (values === 1) return "A block of one value has no spread: every value comes out as 0.";
    const gets = "gets mean 0 and spread 1";
    const samples = `${whole(N / b)} samples`, channels = `${whole(C / g)} channels`;
    if (b === N && g === C) return `Each channel of each sample ${gets}.`;
    if (b === N && g === 1) return `Each sample, as a whole, ${gets}. Channels keep their differences.`;
    if (b === N) return `In each sample, a group of ${channels} as a whole ${gets}. Inside, channels keep their differences.`;
    if (b === 1 && g === C) return `Each channel, over all samples, ${gets}. Samples keep their differences.`;
    if (b === 1 && g === 1) return "Nothing is cut apart: samples and channels keep all their differences.";
    if (b === 1) return `Each group of ${channels}, over all samples, ${gets}. Inside, all differences stay.`;
    if (g === C) return `In each channel, a block of ${samples} as a whole ${gets}. Inside, samples keep their differences.`;
    if (g === 1) return `Each block of ${samples}, as a whole, ${gets}. Inside, all differences stay.`;
    return `Each block of ${samples} × ${channels}, as a whole, ${gets}. Inside, all differences stay.`;
  },
  beforeAffine: (/** @type {string} */ verdict) => `Before γ and β: ${verdict}`,
  evaluated: "Evaluation: no block measures itself any more, so no mean and no spread is promised.",

  // the map and the sliders
  mapNow: (/** @type {string} */ name) => `Map of all points: right, more channel groups; down, more sample blocks. Now at ${name}.`,
  mapGroups: "channel groups →",
  mapBlocks: "← sample blocks",
  mapLegend: "Highlighted: who shares a mean and a variance with the picked cell.",
  mapSpoilt: "Highlighted: who notices, at every point.",
  mapLabels: {
    everything: "All", batch_group_norm: "Batch-group", batch_norm: "Batch", ghost_batch_norm: "Ghost batch",
    layer_norm: "Layer", group_norm: "Group", instance_norm: "Instance",
  },
  statistics: (/** @type {number} */ blocks) => (blocks === 1 ? "mean and variance" : "means and variances"),
  valuesEach: "values each",
  valuesAlways: "values, always",

  // one block, worked out
  workedTitle: (/** @type {number} */ block, /** @type {number} */ blocks) => `Block ${whole(block)} of ${whole(blocks)}`,
  workedSize: (/** @type {number} */ cells, /** @type {number} */ positions) =>
    `${plural(cells, "cell")} × ${whole(positions)} = ${plural(cells * positions, "value")} share one μ and σ²`,
  workedRunning: (/** @type {number} */ values) => `its ${plural(values, "value")} take the running μ and σ²`,
  ofCells: (/** @type {number} */ cells) => (cells === 1 ? "mean of the cell" : `mean of ${whole(cells)} cell means`),
  running: "running mean",
  runningVariance: "running variance",
  within: "within",
  between: "between",
  withinBetween: "within + between cells",
  shares: (/** @type {number} */ within) => `bar = σ²: ${within} % within, ${100 - within} % between`,
  zoomBefore: "The picked picture before",
  zoomAfter: "The picked picture after",
  value: "Picked value",
  valueHelp: "Arrow keys pick another.",
  valueAt: (/** @type {number[]} */ positions, /** @type {number} */ p, /** @type {string} */ says) => {
    const at = positions.map((size, i) => (Math.floor(p / positions.slice(i + 1).reduce((a, b) => a * b, 1)) % size) + 1);
    return `${says}, at ${at.join(", ")}`;
  },
  cells: (/** @type {number} */ cells) => (cells === 1 ? "The block’s one cell, mean ± sd" : `The block’s ${whole(cells)} cells, mean ± sd`),
  cellsShown: (/** @type {number} */ shown, /** @type {number} */ cells) => `${whole(shown)} of the block’s ${whole(cells)} cells, mean ± sd`,
  quietest: (/** @type {string} */ channel, /** @type {string} */ sd) => `The quietest channel is ${channel}: σ = ${sd}.`,
  quietestHere: (/** @type {string} */ sd) => `This is the quietest channel: σ = ${sd}.`,
  dead: (/** @type {string} */ channel) => `The quietest channel, ${channel}, is dead: all its values are equal, σ = 0.`,
  pickQuietest: "Pick it",
  byEps: (/** @type {number} */ spread, /** @type {boolean} */ constant) =>
    constant ? "The block is constant: without ε, 0 would be divided by 0."
    : spread > 0.995 ? "Beside σ², ε is next to nothing: loud or quiet, the block comes out with spread 1."
    : `ε keeps the block’s spread at ${fixed(spread, 2)}; without ε it would be 1.`,
  pooled: "Blue: pooled, μ ± σ",
  pooledRunning: "Blue: running, μ ± σ",

  // spoil it
  spoil: "Spoil it",
  multiplySample: (/** @type {number} */ n, /** @type {number} */ factor) => `Multiply sample ${n} by ${factor}`,
  multiplyChannel: (/** @type {number} */ c, /** @type {number} */ factor) => `Multiply channel ${c} by ${factor}`,
  spoilInvite: "Three times the contrast of one sample, or three times the strength of one channel. Who notices? The map answers for every other point.",
  nobody: "Nobody notices.",
  nobodyWhy: (/** @type {string} */ what) => ` ${what} and its triple come out equal: the block’s own σ divides the factor away again.`,
  spoiltWhat: (/** @type {number | null} */ n, /** @type {number | null} */ c) =>
    [n === null ? "" : `sample ${n + 1}`, c === null ? "" : `channel ${c + 1}`].filter(Boolean).join(" with ").replace(/^./, (first) => first.toUpperCase()),
  notice: (/** @type {number} */ changed, /** @type {number} */ cells) => `${whole(changed)} of ${plural(cells, "cell")} notice:`,
  threshold: (/** @type {number} */ least) => `A cell notices if its x̂ moves by more than ${least} (root mean square).`,
  own: (/** @type {number} */ count) => `${whole(count)} spoilt`,
  bystanders: (/** @type {number} */ count) => plural(count, "bystander"),
  and: " and ",

  // training and evaluation
  mode: "Training or evaluation",
  training: "Training",
  evaluation: "Evaluation",
  trainingText: "Every block uses its own mean and variance.",
  batch: { asItIs: "this batch", spoilt: "the batch before it was spoilt" }, // a spoilt batch teaches the running averages nothing
  evaluationText: (/** @type {number} */ steps, /** @type {string} */ batch) => `All use running averages, after ${plural(steps, "step")} on ${batch}.`,
  sameText: "Each block lies within one sample: training and evaluation are the same.",
  steps: (/** @type {string} */ batch) => `Training steps on ${batch}`,

  // code
  code: "The same in code",
  // folds
  parameters: "γ, β, ε and the running averages",
  gamma: (/** @type {number} */ c) => `γ of channel ${c}`,
  beta: (/** @type {number} */ c) => `β of channel ${c}`,
  epsilon: "ε, added to every variance",
  reset: "Back to the defaults",
  table: "Statistics of each block",
  tableCaption: (/** @type {number} */ blocks, /** @type {number} */ values) =>
    `${plural(blocks, "block")}, ${plural(values, "value")} per statistic. Variance = within + between cells, up to rounding.`,
  columns: { block: "Block", samples: "Samples", channels: "Channels", mean: "Mean", within: "Within", between: "Between", variance: "Variance", values: "Values per statistic" },
};

/** @typedef {typeof square} Words  what a table of another language must have */
