import assert from "node:assert/strict";
import { test } from "node:test";
import { turned } from "./conv_net.js";
import { blockCounts, counts, normalizedImages, positionBlocks } from "./layer_maps.js";
import { moments, normalize, pool } from "./moments.js";

const N = 3, C = 4, H = 2, W = 6, S = H * W, size = { N, C, H, W };
const x = Float64Array.from({ length: N * C * S }, (_, i) => 5 + ((i * 7919) % 101) / 10 + (i % C));
const same = { slope: new Float64Array(N * C).fill(1), offset: new Float64Array(N * C) };
const near = (/** @type {ArrayLike<number>} */ a, /** @type {ArrayLike<number>} */ b) => {
  assert.equal(a.length, b.length);
  for (let i = 0; i < a.length; i++) assert.ok(Math.abs(a[i] - b[i]) < 1e-9, `${i}: ${a[i]} and ${b[i]}`);
};
const points = [1, 2, 3, 4, 9, 12, 36].flatMap((b) => [1, 2, 4].map((g) => ({ b, g })));

test("blocks of positions have the moments of their values, at every point", () => {
  const table = turned(x, N, C, S);
  for (const point of points) {
    const known = pool(moments(table, { N: N * S, C, S: 1 }), point), found = positionBlocks(table, C, point);
    for (const part of /** @type {const} */ (["count", "mean", "var"])) near(found[part], known[part]);
  }
});

test("an image is normalized by the blocks that it lies in, those that begin in another image too", () => {
  const table = turned(x, N, C, S);
  for (const point of points) {
    const blocks = positionBlocks(table, C, point);
    const known = turned(normalize(table, { N: N * S, C, S: 1 }, point), N, S, C);
    near(normalizedImages(x, same, size, blocks, 0, N), known);
    near(normalizedImages(x, same, size, blocks, 1, 2), known.subarray(C * S, 2 * C * S));
  }
});

test("what is changed is normalized as changed", () => {
  const lines = { slope: same.slope.map((_, k) => 1 + k / 5), offset: same.offset.map((_, k) => k - 3) };
  const other = x.map((v, i) => lines.slope[Math.floor(i / S)] * v + lines.offset[Math.floor(i / S)]);
  const blocks = positionBlocks(turned(other, N, C, S), C, { b: 9, g: 2 });
  near(normalizedImages(x, lines, size, blocks, 0, N), normalizedImages(other, same, size, blocks, 0, N));
});

test("a block's values are counted once each, and all blocks make all values", () => {
  const look = { x, slope: same.slope.map(() => 0.4), offset: same.offset.map(() => -4) };
  for (const { b, g } of points) {
    const all = counts(look), sum = new Float64Array(all.length), each = (N * S) / b;
    for (let k = 0; k < b * g; k++) {
      const row = Math.floor(k / g), column = k % g;
      const found = blockCounts(look, C, [row * each, (row + 1) * each], [(column * C) / g, ((column + 1) * C) / g]);
      assert.equal(found.reduce((a, v) => a + v, 0), (each * C) / g);
      found.forEach((v, i) => (sum[i] += v));
    }
    near(sum, all);
  }
});
