import assert from "node:assert/strict";
import test from "node:test";
import { decode, sheet } from "./tensor.js";

const base64 = (bytes) => Buffer.from(bytes).toString("base64");

test("every precision is read bit for bit", () => {
  assert.deepEqual([...decode(base64(new Uint8Array(Float64Array.of(0.1, -1e300).buffer)), "float64")], [0.1, -1e300]);
  assert.deepEqual([...decode(base64(new Uint8Array(Float32Array.of(0.1, -7).buffer)), "float32")], [Math.fround(0.1), -7]);
  // 1, −2, the smallest subnormal, the largest, a third
  assert.deepEqual([...decode(base64(new Uint8Array(Uint16Array.of(0x3c00, 0xc000, 1, 0x7bff, 0x3555).buffer)), "float16")], [1, -2, 2 ** -24, 65504, 0.333251953125]);
  assert.deepEqual([...decode(base64(new Uint8Array(Uint16Array.of(0x3f80, 0xc040, 0x3eab).buffer)), "bfloat16")], [1, -3, 0.333984375]);
  assert.throws(() => decode("", "int8"), /unknown precision int8/);
});

/** Every position has one place, and every place holds a position or nothing. */
function complete({ rows, columns, index }, count) {
  assert.equal(index.length, rows * columns);
  assert.deepEqual([...index].filter((p) => p >= 0).sort((a, b) => a - b), Array.from({ length: count }, (_, i) => i));
}

test("pictures keep their shape, strips lie down, slices stand side by side", () => {
  for (const [positions, rows, columns] of [[[], 1, 1], [[1], 1, 1], [[24], 1, 24], [[100], 10, 10], [[5, 9], 5, 9], [[4, 6, 7], 12, 14], [[2, 3, 4, 5], 12, 10]]) {
    const laid = sheet(positions);
    assert.deepEqual([laid.rows, laid.columns], [rows, columns], String(positions));
    complete(laid, positions.reduce((a, b) => a * b, 1));
  }
  complete(sheet([101]), 101);
  complete(sheet([5, 6, 7]), 210);
});
