import assert from "node:assert/strict";
import { test } from "node:test";
import { atLayer, fromAddress, readState, toAddress, traitsOf, withSamples } from "./activations_state.js";
import { rowsOf, sizeAt } from "./conv_net.js";

const images = { N: 4, H: 32, W: 32 };
const from = (/** @type {Record<string, unknown>} */ traits) => readState({ get: (trait) => traits[trait] }, images);
const first = from({ sample_blocks: 4, channel_groups: 1, sample: 0, channel: 5, position: 528, amount: 1 });

test("a state that cannot be is made one that can", () => {
  const state = from({ layer: 9, sample_blocks: 3, channel_groups: 64, sample: 7, channel: -1, position: 99999, change: "spin", amount: 5 });
  assert.deepEqual(state, { layer: 3, tokens: false, b: 1, g: 1, n: 3, c: 0, p: 63, change: "none", amount: 2 });
});

test("traits and state are the same thing", () => {
  assert.deepEqual(from(traitsOf(first)), first);
});

test("LayerNorm stays LayerNorm, whatever the layer and whatever a sample is", () => {
  for (const layer of [2, 3]) {
    const there = atLayer(first, layer, images);
    assert.deepEqual([there.b, there.g], [4, 1]);
    const tokens = withSamples(there, true, images);
    assert.equal(tokens.b, rowsOf(sizeAt(images, layer), true));
    assert.deepEqual(withSamples(tokens, false, images), there);
  }
});

test("InstanceNorm stays InstanceNorm, and GroupNorm keeps two channels a group", () => {
  assert.equal(atLayer({ ...first, g: 16 }, 2, images).g, 32);
  assert.equal(atLayer({ ...first, layer: 2, g: 16, p: 0 }, 1, images).g, 8);
  assert.equal(atLayer({ ...first, g: 8 }, 2, images).g, 8);
});

test("a place stays about where it was in the picture", () => {
  const there = atLayer(first, 2, images);
  assert.deepEqual([Math.floor(there.p / 16), there.p % 16], [8, 8]);
});

test("blocks of some positions become blocks of images where they do not fit", () => {
  assert.equal(withSamples({ ...first, tokens: true, b: 64 }, false, images).b, 4);
  assert.equal(withSamples({ ...first, tokens: true, b: 2 }, false, images).b, 2);
});

test("the first state leaves no trace, and any other comes back from its address", () => {
  assert.deepEqual(toAddress(first, first), {});
  /** @type {import("./activations_state.js").State[]} */
  const others = [
    { ...first, b: 1, g: 16 },
    { ...first, n: 2, c: 0, p: 0 },
    { ...first, change: "contrast", amount: -1.5 },
    { ...atLayer(first, 3, images), g: 8 },
    { ...withSamples(atLayer(first, 2, images), true, images), b: 128, g: 4, change: "channel" },
  ];
  for (const state of others) {
    const said = Object.fromEntries(Object.entries(toAddress(state, first)).map(([key, value]) => [key, String(value)]));
    assert.deepEqual(fromAddress(said, first, images), state);
  }
});

test("an address that says nonsense changes nothing", () => {
  const said = { layer: "4", samples: "pixels", b: "3", g: "0", n: "5", c: "x", p: "", change: "spin", amount: "3" };
  assert.deepEqual(fromAddress(said, first, images), first);
});
