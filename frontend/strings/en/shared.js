// The words that all figures share, in English.
import { whole } from "../../numbers.js";

/** @param {number} count @param {string} one @param {string} [many] */
export const plural = (count, one, many = `${one}s`) => `${whole(count)} ${count === 1 ? one : many}`;

export const shared = {
  // the frame of every figure
  tools: "This figure",
  copyLink: "Copy a link to this state",
  linkCopied: "Link copied",
  linkInAddress: "The clipboard is closed here; the link now stands in the address bar.",
  fullScreen: "Full screen",
  leaveFullScreen: "Leave full screen",

  // samples, channels, layers
  sample: (/** @type {number} */ n, /** @type {string} */ called) => `sample ${n}${called && ` (${called})`}`,
  channel: (/** @type {number} */ c, /** @type {string} */ called) => `channel ${c}${called && ` (${called})`}`,
  names: {
    everything: "Everything together",
    batch_norm: "BatchNorm",
    layer_norm: "LayerNorm",
    instance_norm: "InstanceNorm",
    group_norm: "GroupNorm",
    ghost_batch_norm: "Ghost BatchNorm",
    batch_group_norm: "Batch-group norm",
    unnamed: "No common name",
  },
  detail: (/** @type {number} */ b, /** @type {number} */ g) => `${plural(b, "sample block")}, ${plural(g, "channel group")}`,
  blocks: "Sample blocks",
  groups: "Channel groups",
  count: {
    blocks: (/** @type {number} */ b) => plural(b, "sample block"),
    groups: (/** @type {number} */ g) => plural(g, "channel group"),
  },
  perBlock: (/** @type {number} */ k) => `${plural(k, "sample")} per block`,
  perGroup: (/** @type {number} */ k) => `${plural(k, "channel")} per group`,
  buttons: "Named norm layers",

  // the histogram and the scale
  histogram: "How many values lie where, before and after",
  histogramBefore: "before, x",
  histogramAfter: "after, ",
  pickedBlock: "picked block",
  scale: "color = value",
  endBars: "end bars: all values beyond",

  // code
  copy: "Copy",
  copied: "Copied",
  copyLine: (/** @type {string} */ library) => `Copy the line of ${library}`,

  // tables
  tableRows: (/** @type {number} */ from, /** @type {number} */ to, /** @type {number} */ all) =>
    `Rows ${whole(from)} to ${whole(to)} of ${whole(all)}`,
  previous: "Previous rows",
  next: "Next rows",
  range: (/** @type {number} */ first, /** @type {number} */ last) => (first === last ? whole(first) : `${whole(first)}–${whole(last)}`),
};

/** @typedef {typeof shared} Shared  what a table of another language must have */
