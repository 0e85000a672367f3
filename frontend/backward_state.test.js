import assert from "node:assert/strict";
import test from "node:test";
import { changed, fromAddress, readState, toAddress, withChanges } from "./backward_state.js";

const content = { N: 4, C: 6, S: 3, given: new Float64Array(72) };
const model = (/** @type {Record<string, unknown>} */ traits = {}) => ({ get: (/** @type {string} */ trait) => traits[trait] });
const first = readState(model(), content);

test("a model that says what cannot be is made sound", () => {
  const state = readState(model({ sample_blocks: 3, channel_groups: 4, sample: 9, push: "hard", changed_x: [[72, 1], [-1, 2], [5, NaN], [7, 1.5]], weight: [1], eps: -1, w: [0, 0] }), content);
  assert.deepEqual([state.b, state.g, state.n, state.push, state.changedX, state.weight, state.eps, state.w], [1, 1, 3, "alone", [[7, 1.5]], Array(6).fill(1), 0, [0.5, -0.8]]);
  assert.equal(readState(model({ push: "given" }), { ...content, given: null }).push, "alone");
});

test("the first state needs no words, and every other comes back from its words", () => {
  assert.deepEqual(toAddress(first, first), {});
  const traits = {
    sample_blocks: 2, channel_groups: 3, sample: 3, channel: 5, position: 2, eps: 0.1, rate: 0.5, changed_gradient: [[0, -1.25], [71, 1e-9]],
    changed_x: [[4, 1000000.05]], weight: [1, 1, 1, 0, -2, 1], w: [0.3, -1.5], push: "given",
  };
  const words = toAddress(readState(model(traits), content), first);
  assert.deepEqual(fromAddress(Object.fromEntries(Object.entries(words).map(([k, v]) => [k, String(v)])), content), traits);
});

test("changes that were taken back are said", () => {
  const pushed = readState(model({ changed_gradient: [[3, 1]] }), content);
  assert.deepEqual(toAddress(first, pushed), { dy: "none" });
  assert.deepEqual(fromAddress({ dy: "none" }, content), { changed_gradient: [] });
});

test("words that mean nothing change nothing", () => {
  for (const said of [{ b: "3" }, { n: "5" }, { dy: "73~1" }, { dy: "1~x" }, { dy: "1" }, { dy: "0~1" }, { x: "" }, { gamma: "1 2" }, { eps: "-1" }, { rate: "0" }, { w: "0 0" }, { w: "1" }, { push: "hard" }])
    assert.deepEqual(fromAddress(said, content), {}, JSON.stringify(said));
  assert.deepEqual(fromAddress({ push: "given" }, { ...content, given: null }), {});
});

test("a change replaces the one at its place and leaves the values it was made on alone", () => {
  const list = changed(changed(changed([], 5, 1), 2, 3), 5, 4);
  assert.deepEqual(list, [[2, 3], [5, 4]]);
  const values = new Float64Array(6);
  assert.deepEqual([...withChanges(values, list)], [0, 0, 3, 0, 0, 4]);
  assert.deepEqual([...values], Array(6).fill(0));
  assert.equal(withChanges(values, []), values);
});
