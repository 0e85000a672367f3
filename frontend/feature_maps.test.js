import assert from "node:assert/strict";
import test from "node:test";
import { PIXELS, RANGE, STEPS, color, line } from "./color_scale.js";
import { count } from "./histogram.js";
import { headless, layout, places } from "./table_layout.js";

test("lightness rises along the whole color scale, so that it survives grey print", () => {
  const lightness = Array.from({ length: 41 }, (_, i) => {
    const [r, g, b] = color(-RANGE + (i / 40) * 2 * RANGE);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  });
  lightness.slice(1).forEach((l, i) => assert.ok(l > lightness[i], `step ${i}`));
  assert.equal(PIXELS.length, STEPS);
});

test("values of normalized size share one number line, others get their own", () => {
  assert.deepEqual(line(0, 1), { center: 0, unit: 1, shared: true });
  assert.deepEqual(line(200, 40), { center: 200, unit: 40, shared: false });
  assert.deepEqual(line(0, 0), { center: 0, unit: 1, shared: true });
  assert.deepEqual(line(500, 0), { center: 0, unit: 500, shared: false });
});

test("a histogram counts every value once, those outside in the end bins", () => {
  const counts = new Float64Array(4);
  count(counts, [-9, -1.5, -0.5, 0.5, 1.5, 9], 0, 6, 0, 1, 0, [-2, 2]);
  assert.deepEqual([...counts], [2, 1, 1, 2]);
  count(counts, [10, 20], 0, 2, 10, 0.1, 0, [-2, 2]);
  assert.deepEqual([...counts], [2, 1, 2, 3]);
});

test("cut lines never move: pieces stay inside their share of the lattice", () => {
  for (const blocks of [1, 2, 4, 8]) {
    const found = places(8, blocks, 46, 41, 1);
    found.forEach((start, i) => {
      const block = Math.floor((i * blocks) / 8), span = (8 / blocks) * 46;
      assert.ok(start >= block * span && start + 41 <= (block + 1) * span, `${blocks} blocks, piece ${i}`);
    });
  }
});

test("a table fits the width it is given, from 300 to 1300 pixels and from 1 to 256 channels", () => {
  for (const width of [296, 460, 700, 1300])
    for (const [N, C] of [[1, 1], [4, 8], [1, 256], [256, 1], [64, 64], [3, 7]])
      for (const sheet of [{ rows: 1, columns: 1 }, { rows: 16, columns: 16 }, { rows: 1, columns: 24 }]) {
        const at = layout(width, N, C, sheet, true);
        assert.ok(at.width <= width + 0.01, `${width}: ${N} × ${C} is ${at.width} wide`);
        assert.ok(at.pictureWidth > 0 && at.pictureHeight > 0);
        assert.ok(headless(at, true).width <= at.width);
      }
});
