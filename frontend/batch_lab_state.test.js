import assert from "node:assert/strict";
import test from "node:test";
import { fromAddress, readState, toAddress } from "./batch_lab_state.js";

const SIZE = { C: 6, S: 20 };
const TRAITS = {
  norm: "layer_norm", batch_size: 32, samples_per_block: 8, channel: 5, position: 19, statistic: "spread", seed: 12, draw: 199, momentum: 0.02, light: 0.75,
};
const model = (traits) => ({ get: (name) => traits[name] });

test("the address brings back every part of the state", () => {
  const state = readState(model(TRAITS), SIZE);
  const first = readState(model({}), SIZE);
  const said = Object.fromEntries(Object.entries(toAddress(state, first)).map(([key, value]) => [key, String(value)]));
  assert.equal(Object.keys(said).length, Object.keys(TRAITS).length);
  assert.deepEqual(fromAddress(said, SIZE), TRAITS);
});

test("the first state leaves no trace, and the way back to the default does", () => {
  const state = readState(model(TRAITS), SIZE);
  assert.deepEqual(toAddress(state, state), {});
  assert.deepEqual(toAddress(readState(model({ ...TRAITS, statistic: "mean" }), SIZE), state), { show: "mean" });
});

test("nonsense in the address changes nothing", () => {
  const said = { norm: "no_norm", batch: "3", block: "128", c: "7", p: "0", seed: "-1", draw: "201", momentum: "0", light: "2", show: "x" };
  assert.deepEqual(fromAddress(said, SIZE), {});
  assert.deepEqual(fromAddress({ batch: "", c: "1.5", momentum: "NaN" }, SIZE), {});
});

test("nonsense from a kernel is made sound", () => {
  const wild = { norm: 3, batch_size: 7, samples_per_block: 0, channel: 6, position: -1, seed: NaN, draw: 1e9, momentum: 0, light: 5 };
  assert.deepEqual(readState(model(wild), SIZE), readState(model({}), SIZE));
});
