import assert from "node:assert/strict";
import test from "node:test";
import { readState, writeState } from "./url_state.js";

test("a figure reads its own keys, after the anchor", () => {
  assert.deepEqual(readState("#anchor?square.b=4&square.g=2&square-2.b=1", "square"), { b: "4", g: "2" });
  assert.deepEqual(readState("#anchor?square.b=4&square.g=2&square-2.b=1", "square-2"), { b: "1" });
  assert.deepEqual(readState("#anchor", "square"), {});
  assert.deepEqual(readState("", "square"), {});
});

test("what is written is read back, and nothing else changes", () => {
  const written = writeState("#law-of-variance?square-2.b=1&theirs=5%", "square", { b: 4, g: 2, gamma: "1 0.5 −1" });
  assert.equal(written, "#law-of-variance?square-2.b=1&theirs=5%&square.b=4&square.g=2&square.gamma=1%200.5%20%E2%88%921");
  assert.deepEqual(readState(written, "square"), { b: "4", g: "2", gamma: "1 0.5 −1" });
  assert.deepEqual(readState(written, "square-2"), { b: "1" });
});

test("the contract's example comes out letter for letter", () => {
  assert.equal(writeState("#anchor", "square", { b: 4, g: 2 }), "#anchor?square.b=4&square.g=2");
});

test("a figure in its first state leaves no trace", () => {
  assert.equal(writeState("#?square.b=4", "square", {}), "");
  assert.equal(writeState("#anchor?square.b=4", "square", {}), "#anchor");
  assert.equal(writeState("", "square", {}), "");
});

test("square does not take square-2's keys for its own", () => {
  assert.equal(writeState("#?square-2.b=1", "square", { b: 2 }), "#?square-2.b=1&square.b=2");
});
