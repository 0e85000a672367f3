import assert from "node:assert/strict";
import test from "node:test";
import { fromAddress, readState, toAddress } from "./square_state.js";

const size = { N: 4, C: 8, S: 30 };
const model = (/** @type {Record<string, unknown>} */ traits = {}) => ({ get: (/** @type {string} */ trait) => traits[trait] });
const first = readState(model(), size);

test("a model that says nothing is at the first point", () => {
  assert.deepEqual(
    { ...first, weight: 0, bias: 0 },
    { b: 1, g: 1, n: 0, c: 0, p: 0, bright: null, strong: null, evaluating: false, steps: 10, weight: 0, bias: 0, eps: 1e-5 },
  );
  assert.deepEqual([first.weight, first.bias], [Array(8).fill(1), Array(8).fill(0)]);
});

test("a model that says what cannot be is made sound", () => {
  const state = readState(model({ sample_blocks: 3, channel_groups: -2, sample: 9, position: 99, spoiled_sample: 4, weight: [1], steps: 1e6 }), size);
  assert.deepEqual([state.b, state.g, state.n, state.p, state.bright, state.weight.length, state.steps], [1, 1, 3, 29, null, 8, 50]);
});

test("the first state needs no words, and every other comes back from its words", () => {
  assert.deepEqual(toAddress(first, first), {});
  const traits = {
    sample_blocks: 2, channel_groups: 8, sample: 3, channel: 7, position: 29, spoiled_sample: 0, spoiled_channel: 5,
    evaluating: true, steps: 25, weight: [1.5, 1, 1, 1, 1, 1, 1, -2], bias: [0, 0, 0, 0, 0, 0, 0, 0.25], eps: 0.1,
  };
  const words = toAddress(readState(model(traits), size), first);
  assert.deepEqual(fromAddress(Object.fromEntries(Object.entries(words).map(([k, v]) => [k, String(v)])), size), traits);
});

test("cells are counted from 1 in the address, and a lifted spoil is said", () => {
  const spoilt = readState(model({ spoiled_sample: 2 }), size);
  assert.deepEqual(toAddress(spoilt, first), { bright: 3 });
  assert.deepEqual(toAddress(first, spoilt), { bright: 0 });
  assert.deepEqual(fromAddress({ bright: "0" }, size), { spoiled_sample: null });
});

test("words that mean nothing change nothing", () => {
  for (const said of [{ b: "3" }, { b: "0" }, { b: "" }, { g: "x" }, { n: "5" }, { p: "1.5" }, { eps: "-1" }, { gamma: "1 2" }, { steps: "51" }])
    assert.deepEqual(fromAddress(said, size), {});
});
