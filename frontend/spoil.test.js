import assert from "node:assert/strict";
import test from "node:test";
import { legal } from "./grouping.js";
import { moments, pool } from "./moments.js";
import { factorOf, whoNotices, whoNoticesAt } from "./spoil.js";

const N = 4, C = 8, S = 9;
const x = Float64Array.from({ length: N * C * S }, (_, i) => Math.sin(i * 12.9898) * 2 + Math.cos(i / 7) + (i % 5) / 3);
const cells = moments(x, { N, C, S });
const count = (/** @type {Uint8Array} */ noticed) => noticed.reduce((a, v) => a + v, 0);

test("a spoilt sample is noticed by every cell that shares a block with it, unless all of the block was scaled", () => {
  for (const { b, g } of legal(N, C))
    assert.equal(count(whoNoticesAt(cells, factorOf(1, null), { b, g }, 1e-5)), b === N ? 0 : (N / b) * C, `(${b}, ${g})`);
});

test("a spoilt channel is noticed by every cell that shares a block with it, unless all of the block was scaled", () => {
  for (const { b, g } of legal(N, C))
    assert.equal(count(whoNoticesAt(cells, factorOf(null, 2), { b, g }, 1e-5)), g === C ? 0 : N * (C / g), `(${b}, ${g})`);
});

test("nobody notices where nothing is spoilt", () => {
  for (const point of legal(N, C)) assert.equal(count(whoNoticesAt(cells, factorOf(null, null), point, 1e-5)), 0);
});

test("with kept statistics only the spoilt cells themselves change", () => {
  const kept = pool(cells, { b: 1, g: C });
  const noticed = whoNotices(cells, factorOf(1, null), kept, kept, 1e-5);
  assert.deepEqual([...noticed].map((v, k) => (v ? Math.floor(k / C) : -1)).filter((n) => n >= 0), Array(C).fill(1));
});
