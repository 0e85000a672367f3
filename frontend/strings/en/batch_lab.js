// The words of the batch laboratory, in English. Another language is another folder with the same files and keys.
import { whole } from "../../numbers.js";
import { plural, shared } from "./shared.js";

const capital = (/** @type {string} */ text) => text.charAt(0).toUpperCase() + text.slice(1);
const images = (/** @type {number} */ n) => plural(n, "image");

export const batchLab = {
  ...shared,
  capital,
  title: "A batch is a guess",
  lead: {
    before: "BatchNorm takes a mean and a spread from the images that happen to be in the batch. ",
    drag: "Drag the batch size",
    after: (/** @type {string} */ who) => `: the fewer images, the wilder the guess, and the more the output of ${who} depends on its company.`,
  },
  someImage: "the image",

  norm: "Norm layer",
  fail: "Make BatchNorm fail",
  failures: { two: "two images a batch", one: "one image a batch", dark: "darker test images" },
  batchSize: "Batch size",
  batchSizeText: (/** @type {number} */ n) => `batch size ${whole(n)}`,
  axis: "images that share a statistic",
  kept: "kept",

  // the two funnels
  guess: "What a batch takes for",
  statistic: "Guess shown",
  mean: "mean μ",
  spread: "spread σ",
  guessLabel: (/** @type {string} */ what) => `${whole(200)} batches’ ${what}, by the number of images that share it; the table has the numbers`,
  output: (/** @type {string} */ who) => `What becomes of one value of ${who}`,
  outputLabel: (/** @type {string} */ who) => `One normalized value of ${who} in ${whole(200)} batches, by the number of images that share a statistic; the table has the numbers`,
  guessNote: (/** @type {string} */ sd, /** @type {string} */ law, /** @type {number} */ k, /** @type {number} */ all) =>
    `Dot: one batch. Line: all ${images(all)}. Band: what theory expects, ± 1 sd. Over ${images(k)} the guesses’ sd is ${sd}; by theory, ${law}.`,
  guessIdle: (/** @type {string} */ norm) => `${norm} does not ask the batch: it needs none of these guesses.`,
  chartKey: "Ring and thin line: the batch shown, as images join it. Diamond: what evaluation uses, after 200 training steps.",
  trueOutput: (/** @type {number} */ all) => `Line: by the statistics of all ${images(all)}. The farther the dots lie from it, the more evaluation differs from training.`,
  stillOutput: (/** @type {string} */ norm) => `${norm} gives the same in every batch, and in evaluation.`,

  // training beside evaluation
  training: "in training",
  evaluation: "in evaluation",

  // the verdict
  moves: (/** @type {string} */ who, /** @type {number} */ k, /** @type {number} */ n) =>
    `One value of ${who}, mean ± sd over ${whole(200)} batches. ` +
    (k === n ? `The whole batch of ${whole(n)} shares one guess: who is in it decides.` : `The batch has ${whole(n)} images, but only ${whole(k)} share a guess.`),
  alone: (/** @type {string} */ who) => `One value of ${who}, alone in its block: normalized by itself, it stands still in every batch. BatchNorm over one image is InstanceNorm.`,
  still: (/** @type {string} */ who, /** @type {string} */ norm) => `One value of ${who}, in every batch. ${norm} measures each image by itself, so company does not matter.`,
  lone: (/** @type {string} */ who) => `One value of ${who}, in every batch, to two decimals: here company makes no difference.`,

  apart: (/** @type {string} */ by) => ` Evaluation is ${by} away from training’s mean.`,

  // the batch
  batch: "The batch",
  batchOf: (/** @type {number} */ draw, /** @type {number} */ of) => `no. ${whole(draw)} of ${whole(of)}`,
  batchLabel: (/** @type {number} */ n, /** @type {number} */ b) => `A batch of ${images(n)}, in ${plural(b, "block")}`,
  batchNote: (/** @type {string} */ who) => `Color: the image’s own mean. ${capital(who)} stands first.`,
  perBlockName: "Samples per block",
  perBlockSymbol: "N/b",
  blocks: (/** @type {number} */ b) => `b = ${plural(b, "sample block")}`,
  perBlockText: (/** @type {number} */ k, /** @type {number} */ b) => `${plural(k, "sample")} per block, ${plural(b, "sample block")}`,
  ghost: (/** @type {number} */ k, /** @type {number} */ n) =>
    k === n ? "Statistic and gradient both average over the whole batch." : `Ghost batches: a statistic sees ${images(k)}, the gradient still averages over all ${whole(n)}.`,
  ghostPerImage: "This layer’s blocks lie inside one image, however the batch is cut.",
  draw: "Batch shown",
  drawText: (/** @type {number} */ draw, /** @type {number} */ of) => `${whole(draw)} of ${whole(of)}`,
  next: "Next batch",
  again: (/** @type {number} */ count) => `Draw ${whole(count)} new batches`,
  five: (/** @type {string} */ who) => `${capital(who)} in this batch and the next four`,
  mapLabel: (/** @type {string} */ who, /** @type {number} */ draw) => `Normalized map of ${who} in batch ${whole(draw)}`,
  value: "Value watched",
  valueHelp: "Arrow keys pick another.",
  valueAt: (/** @type {number} */ row, /** @type {number} */ column, /** @type {string} */ says) => `row ${whole(row + 1)}, column ${whole(column + 1)}: ${says}`,
  which: "Another channel, another batch",
  channelName: "Channel",

  // running averages
  keepTitle: "What BatchNorm keeps for evaluation",
  keepLabel: (/** @type {string} */ what) => `Running ${what}, batch by batch`,
  momentum: "Momentum: weight of a new batch",
  steps: "training steps",
  keepNote: (/** @type {string} */ kept, /** @type {string} */ truth, /** @type {string} */ gap) =>
    `Blue: the running average, after ${whole(200)} steps at ${kept}; true: ${truth}. It is off by ${gap} σ.`,
  keepUpdates: (/** @type {number} */ b) => ` Every block is an update of its own: ${whole(b)} a step.`,
  keepStart: (/** @type {string} */ left) => ` Of the start, ${left} is still in it.`,

  // test images
  testTitle: { light: "Darker test images: who notices?", factor: "Smaller test activations: who notices?" },
  testLabel: "Mean and spread of the normalized channel over all test images, norm by norm",
  light: { light: "Light of the test images", factor: "Factor on the test activations" },
  percent: (/** @type {number} */ part) => `${whole(Math.round(100 * part))} %`,
  rows: { batch_norm: "BatchNorm, as kept", layer_norm: "LayerNorm", group_norm: "GroupNorm", instance_norm: "InstanceNorm" },
  testNote: {
    same: "The test images are as the training images were.",
    off: (/** @type {string} */ full, /** @type {string} */ mean, /** @type {string} */ sd, /** @type {string} */ mean1, /** @type {string} */ sd1) =>
      `${capital(full)} BatchNorm gave this channel ${mean1} ± ${sd1}; now ${mean} ± ${sd}. It still measures with what it kept.`,
    others: " The others measure each image anew, and do not notice.",
    othersToo: (/** @type {string} */ most) => ` The others measure each image anew; theirs moves by ${most} at most.`,
  },
  full: { light: "in full light", factor: "at 100 %" },
  testKey: (/** @type {string} */ full) => `Ring: ${full}. Bar: mean ± sd now.`,

  // tables
  sizeTable: "Numbers by batch size",
  sizeCaption: (/** @type {string} */ channel, /** @type {string} */ norm) =>
    `${whole(200)} batches of each size, ${channel}. Last two columns: the watched value under ${norm}. sd: spread over the batches; bias: mean of σ² minus the true one.`,
  sizeColumns: ["Images that share", "Mean of μ", "sd of μ", "Theory: sd of μ", "Mean of σ", "sd of σ", "Theory: sd of σ", "Bias of σ²", "Theory: bias", "Value: mean", "Value: sd"],
  trueRow: "all (true)",
  ghostTable: "Noise of a block and of the whole batch",
  ghostCaption: "The same average of the same images, over a block (as a statistic) and over the whole batch (as a loss or a gradient).",
  ghostColumns: ["Average over", "Images", "sd over the batches", "Theory"],
  ghostRows: ["block", "batch"],
  drawTable: "The 200 batches, one by one",
  drawCaption: (/** @type {number} */ k, /** @type {string} */ channel) =>
    `μ and σ over the first ${images(k)} of each batch, ${channel}; the watched value in its company; and what BatchNorm has kept so far.`,
  drawColumns: ["Batch", "μ", "σ", "Value", "Running μ", "Running σ²"],
  batchTable: "The batch shown, image by image",
  batchCaption: "Every image’s own mean and variance in this channel: a block’s statistic is their pool.",
  batchColumns: ["Place", "Image", "Block", "Mean", "Variance"],
  testTable: "Test images, norm by norm",
  testCaption: "The normalized channel over all test images.",
  testColumns: (/** @type {string} */ full) => ["Norm", "Mean", "sd", `Mean ${full}`, `sd ${full}`],

  imageNumber: (/** @type {number} */ i) => `image ${whole(i + 1)}`,
};

/** @typedef {typeof batchLab} Words  what a table of another language must have */
