import assert from "node:assert/strict";
import test from "node:test";
import { divisors, nearestDivisor, place, usualGroups } from "./grouping.js";

test("divisors ascend, and every count has 1", () => {
  assert.deepEqual(divisors(12), [1, 2, 3, 4, 6, 12]);
  assert.deepEqual(divisors(13), [1, 13]);
  assert.deepEqual(divisors(1), [1]);
});

test("each corner and edge of the square has its place, right = more groups, down = more blocks", () => {
  const places = [1, 2, 4].map((b) => [1, 2, 8].map((g) => place({ b, g }, 4, 8)));
  assert.deepEqual(places, [
    ["everything", "batch_group_norm", "batch_norm"],
    ["unnamed", "unnamed", "ghost_batch_norm"],
    ["layer_norm", "group_norm", "instance_norm"],
  ]);
});

test("one sample alone has no batch to share", () => {
  assert.equal(place({ b: 1, g: 7 }, 1, 7), "instance_norm");
  assert.equal(place({ b: 1, g: 1 }, 1, 7), "layer_norm");
});

test("GroupNorm begins with the largest G up to 32 that leaves 2 channels a group", () => {
  assert.deepEqual([8, 64, 96, 256, 6, 7, 2, 1, 68].map(usualGroups), [4, 32, 32, 32, 3, 1, 1, 1, 17]);
});

test("a wish between two divisors goes to the nearer one, in factors", () => {
  assert.equal(nearestDivisor(5.6, 8), 4);
  assert.equal(nearestDivisor(5.7, 8), 8);
  assert.equal(nearestDivisor(0, 8), 1);
  assert.equal(nearestDivisor(100, 12), 12);
});
