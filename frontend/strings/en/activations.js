// The words of the activations figure, in English. Another language is another folder with the same files and keys.
import { short, whole } from "../../numbers.js";
import { plural, shared } from "./shared.js";

/** @typedef {{b: number, g: number, rows: number, C: number, tokens: boolean, values: number}} Cut */

const upper = (/** @type {string} */ text) => text[0].toUpperCase() + text.slice(1);

export const activations = {
  ...shared,
  title: "What a norm layer erases, and what it lets through",
  lead: {
    before: "Photographs go through a small trained network; below are its feature maps before and after one norm layer. ",
    drag: "Drag the channel groups",
    after: " from LayerNorm to InstanceNorm: maps that stood apart come out equally strong. The prediction follows.",
  },

  classes: ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
  image: (/** @type {number} */ n, /** @type {string} */ called) => called || `image ${n}`,
  map: (/** @type {number} */ c) => `channel ${c}`,

  // what is looked at
  images: "Image",
  layer: "Norm layer",
  layerNote: (/** @type {number} */ layer, /** @type {number} */ C, /** @type {number} */ H, /** @type {number} */ W) =>
    `${C} maps of ${H} × ${W}. ` +
    ["Norms 2 and 3 are of the same kind.", "Norm 1 is GroupNorm with 4 groups; norm 3 is of the same kind.", "Norms 1 and 2 are GroupNorm with 4 groups."][layer - 1],
  channelSlider: "Channel",
  channelText: (/** @type {number} */ c, /** @type {number} */ C) => `${c} of ${C}`,
  before: (/** @type {string} */ image) => `${upper(image)}, what comes in`,
  after: "what goes out",
  beforeMaps: (/** @type {string} */ image) => `Feature maps before the norm: ${image}`,
  afterMaps: (/** @type {string} */ image) => `Feature maps after the norm: ${image}`,

  // what shares statistics
  samples: "A sample is",
  sampleIs: { images: "an image", positions: "a position" },
  samplesNote: {
    images: (/** @type {number} */ rows) => `${plural(rows, "sample")}: every image is one, as in a convolutional network.`,
    positions: (/** @type {number} */ rows) => `${plural(rows, "sample")}: every position is one, as every token of a transformer. BatchNorm stays what it was; LayerNorm does not.`,
  },
  sharing: (/** @type {string} */ image, /** @type {string[]} */ others) =>
    others.length ? `${upper(image)}: shares its statistics with ${others.join(", ")}.` : `${upper(image)}: normalized by its own statistics alone.`,

  piece: (/** @type {number} */ positions) => `Each block: ${plural(positions, "position")} of one image.`,

  verdict: (/** @type {Cut} */ { b, g, rows, C, tokens, values }) => {
    if (values === 1) return "A block of one value has no spread: every value comes out as 0, and the network says the same of every image.";
    const gets = "mean 0 and spread 1";
    const maps = plural(C / g, "channel"), samples = plural(rows / b, tokens ? "position" : "image");
    if (b === rows && tokens) return g === 1 ? `At each position, its ${plural(C, "channel")} get ${gets}: bright and dark places come out alike.` : `At each position, every group of ${maps} gets ${gets}.`;
    if (b === rows && g === C) return `Each map of each image gets ${gets}: no map is stronger than another.`;
    if (b === rows && g === 1) return `Each image as a whole gets ${gets}. Its maps keep their differences.`;
    if (b === rows) return `In each image, every group of ${maps} gets ${gets}. Inside a group, maps keep their differences.`;
    if (b === 1 && g === C) return `Each channel, over all images, gets ${gets}. Images keep their differences.`;
    if (b === 1 && g === 1) return `All values together get ${gets}: images and maps keep all their differences.`;
    if (b === 1) return `Every group of ${maps}, over all images, gets ${gets}.`;
    return `Each block of ${samples} × ${maps} gets ${gets}.`;
  },

  histogramTitle: "How many values lie where",

  // one map
  mapTitle: (/** @type {string} */ image, /** @type {number} */ c) => `${upper(image)}, channel ${c}`,
  zoomBefore: "The picked map before",
  zoomAfter: "The picked map after",
  value: "Picked position",
  valueHelp: "Arrow keys pick another.",
  valueAt: (/** @type {number} */ row, /** @type {number} */ column, /** @type {string} */ says) => `${says}, at row ${row}, column ${column}`,
  blockOf: (/** @type {number} */ block, /** @type {number} */ blocks, /** @type {number} */ values) =>
    `Block ${whole(block)} of ${whole(blocks)}: ${plural(values, "value")} share one μ and σ`,

  // the prediction
  says: (/** @type {string} */ image) => `${upper(image)}: what the network says`,
  own: (/** @type {string} */ name) => `Its class: ${name}.`,
  none: "None of the ten classes fits this one: whatever the network says is wrong.",
  unchanged: "Thin line: without the change.",
  percent: (/** @type {number} */ p) => `${Math.round(100 * p)} %`,

  // what can each layer not see
  blind: "What can each layer not see?",
  changeIt: "Change what comes in",
  kinds: {
    none: "nothing",
    brightness: (/** @type {string} */ image) => `${image}: brightness (all its values + c)`,
    contrast: (/** @type {string} */ image) => `${image}: contrast (all its values × c)`,
    channel: (/** @type {number} */ c) => `channel ${c}: strength (× c, in all images)`,
  },
  amount: { brightness: "c, added to every value", contrast: "c, multiplied with every value", channel: "c, multiplied with every value" },
  amountText: {
    brightness: (/** @type {number} */ amount, /** @type {number} */ value) => `${value < 0 ? "−" : "+"} ${short(Number(Math.abs(value).toPrecision(3)))} (${short(amount)} sd)`,
    factor: (/** @type {number} */ value) => `× ${short(Number(value.toPrecision(3)))}`,
  },
  invite: "Change one image’s brightness or contrast, or one channel’s strength. Then find the grouping under which the image and the changed image come out equal.",

  // the change, while it is on
  changed: {
    brightness: (/** @type {number} */ value) => `brightness ${value < 0 ? "−" : "+"} ${short(Number(Math.abs(value).toPrecision(3)))}`,
    contrast: (/** @type {number} */ value) => `contrast × ${short(Number(value.toPrecision(3)))}`,
    channel: (/** @type {number} */ value) => `strength × ${short(Number(value.toPrecision(3)))}`,
  },
  undo: "undo",
  changeOn: (/** @type {string} */ what) => `Changed: ${what}.`,

  // the image and the changed image
  pair: (/** @type {string} */ image, /** @type {number} */ c) => `${upper(image)}, as it is and changed: channel ${c}`,
  through: "Both go through",
  pairWhere: ["come in", "go out"],
  pairAs: ["as it is", "changed"],
  pairMap: (/** @type {string} */ where, /** @type {boolean} */ changed) => `The picked map, ${changed ? "changed" : "as it is"}: maps that ${where}`,
  pairNote: "Difference of x̂: root mean square over all channels. Below 0.01: equal.",
  thisGrouping: "this grouping",
  equal: (/** @type {string} */ norm) => `Equal: ${norm} erases the change.`,
  nothingYet: "Equal, as nothing is changed yet: move the slider.",
  differs: (/** @type {string} */ image, /** @type {string} */ by) => `Not equal: x̂ of ${image} differs by ${by}.`,
  ownEqual: (/** @type {string} */ image) => `${upper(image)} comes out equal.`,
  othersKept: " The other images do not notice.",
  othersMoved: (/** @type {string} */ by) => ` So do the other images, which nobody changed, by ${by}: they share its statistics.`,
  alsoOthers: (/** @type {string} */ by) => ` The other images’ x̂ differs by ${by}.`,

  // all four layers
  blindTable: "The four layers, side by side",
  blindCaption: "Root mean square change of the normalized values x̂ and of the ten scores. Below 0.01: erased.",
  columnsBlind: {
    layer: "Norm",
    own: (/** @type {string} */ image) => `x̂, ${image}`,
    others: "x̂, others",
    scores: (/** @type {string} */ image) => `scores, ${image}`,
    otherScores: "scores, others",
  },
  norm: (/** @type {string} */ name, /** @type {number} */ g, /** @type {boolean} */ grouped) => (grouped ? `${name}, ${plural(g, "group")}` : name),
  erased: "erased",
  alone: "no others",
  blindSummary: (/** @type {string[]} */ erasing) => (erasing.length ? `Erased in x̂ by ${erasing.join(", ")}.` : "No layer erases this in x̂."),
  working: "Computing …",

  // folds
  quietest: (/** @type {number} */ c, /** @type {string} */ sd, /** @type {number} */ loud, /** @type {string} */ most) =>
    `Quietest channel over all images: ${c}, σ = ${sd}; loudest: ${loud}, σ = ${most}. A dead channel would have σ = 0.`,
  table: "Statistics of each block",
  tableCaption: (/** @type {number} */ blocks, /** @type {number} */ values) =>
    `${plural(blocks, "block")}, ${plural(values, "value")} per statistic. Variance = within + between cells, up to rounding.`,
  columns: { block: "Block", samples: "Samples", channels: "Channels", mean: "Mean", within: "Within", between: "Between", variance: "Variance", values: "Values per statistic" },
  scoresTable: "Scores of the ten classes",
  scoresCaption: "Scores at this point, with the change; a probability is its exponential’s share.",
  class: "Class",
  quality: "How good the network is",
  qualityCaption: "Of CIFAR-10’s 10,000 test images, four at a time, with all three norms at one point: percent right. A guess is right in 10.",
  qualityColumns: { norm: "Norm", right: "Right" },
  right: (/** @type {number} */ percent) => `${percent.toFixed(2)} %`,

  summary: (/** @type {string} */ name, /** @type {string} */ verdict, /** @type {string} */ image, /** @type {string} */ top, /** @type {string} */ percent, /** @type {string} */ change) =>
    `${name}. ${verdict} ${change && `${change} `}${upper(image)}: the network says ${top}, ${percent}.`,
};

/** @typedef {typeof activations} Words  what a table of another language must have */
