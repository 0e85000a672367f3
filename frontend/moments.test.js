// The twin of gnlib/core.py against numbers that gnlib/core.py computed (python -m tests.golden).
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { legal, name, pattern } from "./grouping.js";
import { affine, apply, blockOf, moments, normalize, pool, scaled, split, track, untrained } from "./moments.js";

const golden = JSON.parse(readFileSync(new URL("./golden.json", import.meta.url), "utf8"));

/** Equal to 1e-12 · max(1, |mean| / sd) of the values that went in. */
function close(actual, expected, x, what) {
  const values = [...x];
  const mean = values.reduce((a, b) => a + b, 0) / Math.max(values.length, 1);
  const sd = Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / Math.max(values.length, 1));
  const relative = 1e-12 * Math.max(1, sd > 0 ? Math.abs(mean) / sd : 1);
  assert.equal(actual.length, expected.length, what);
  expected.forEach((value, i) => {
    const error = Math.abs(actual[i] - value);
    assert.ok(error <= relative * Math.max(1, Math.abs(value)), `${what}[${i}]: ${actual[i]}, expected ${value}, error ${error}`);
  });
}

const shapeOf = ([N, C, ...rest]) => ({ N, C, S: rest.reduce((a, b) => a * b, 1) });

test("there are golden cases for every kind of input", () => {
  assert.ok(golden.cases.length >= 20 && golden.legal.length >= 5 && golden.running.length >= 1);
});

for (const known of golden.cases)
  test(`equals gnlib: ${known.title}`, () => {
    const shape = shapeOf(known.shape);
    const point = { b: known.b, g: known.g };
    const cells = moments(known.x, shape);
    for (const part of ["count", "mean", "var"]) close(cells[part], known.cells[part].flat(), known.x, `cells.${part}`);
    const { blocks, within, between } = split(cells, point);
    for (const part of ["count", "mean", "var"]) close(blocks[part], known.blocks[part].flat(), known.x, `blocks.${part}`);
    close(within, known.within.flat(), known.x, "within");
    close(between, known.between.flat(), known.x, "between");
    close(normalize(known.x, shape, point, known.weight, known.bias, known.eps), known.y, known.x, "y");
    assert.equal(name(point, shape.N, shape.C), known.name);
    assert.equal(pattern(point, shape.N, shape.C), known.pattern);
  });

for (const { N, C, points } of golden.legal)
  test(`legal points of ${N} samples and ${C} channels`, () => {
    assert.deepEqual(legal(N, C).map(({ b, g }) => [b, g]), points);
  });

for (const known of golden.running)
  test(`running statistics equal gnlib's: ${known.title}`, () => {
    let kept = untrained(known.C);
    known.batches.forEach(({ shape, x }, i) => {
      // torch's momentum of None: the plain mean over all batches
      kept = track(kept, pool(moments(x, shapeOf(shape)), { b: 1, g: known.C }), known.momentum ?? 1 / (i + 1));
    });
    close(kept.mean, known.running_mean, known.batches.at(-1).x, "running_mean");
    close(kept.var, known.running_var, known.batches.at(-1).x, "running_var");
    const y = apply(known.x_eval.flat(Infinity), shapeOf(known.shape_eval ?? known.batches[0].shape), kept, null, null, known.eps ?? 1e-5);
    close(y, known.y_eval.flat(Infinity), known.x_eval.flat(Infinity), "y_eval");
  });

test("pooling what was pooled is pooling at once", () => {
  const x = Float64Array.from({ length: 4 * 6 * 5 }, (_, i) => Math.sin(i * 1.7) * (i % 7) + i / 9);
  const cells = moments(x, { N: 4, C: 6, S: 5 });
  const twice = pool(pool(cells, { b: 2, g: 6 }), { b: 1, g: 3 });
  close(twice.var, [...pool(cells, { b: 1, g: 3 }).var], x, "var");
});

test("a cut that does not divide is refused", () => {
  assert.throws(() => pool(moments([1, 2, 3, 4, 5, 6], { N: 2, C: 3, S: 1 }), { b: 1, g: 2 }), /2 blocks do not divide 2 × 3 cells/);
});

test("moments of scaled cells are moments of the scaled values", () => {
  const shape = { N: 2, C: 3, S: 4 };
  const x = Float64Array.from({ length: 24 }, (_, i) => Math.cos(i) + i);
  const factor = (n, c) => (n === 1 ? 3 : 1) * (c === 2 ? -2 : 1);
  const multiplied = x.map((v, i) => v * factor(Math.floor(i / 12), Math.floor(i / 4) % 3));
  const expected = moments(multiplied, shape);
  const actual = scaled(moments(x, shape), factor);
  for (const part of ["count", "mean", "var"]) close(actual[part], [...expected[part]], multiplied, part);
});

test("cells, blocks and affines agree on who belongs where", () => {
  const x = Float64Array.from({ length: 6 * 4 * 3 }, (_, i) => (i * 7919) % 31);
  const cells = moments(x, { N: 6, C: 4, S: 3 });
  const point = { b: 3, g: 2 };
  const blocks = pool(cells, point);
  const { center } = affine({ N: 6, C: 4 }, blocks);
  for (let n = 0; n < 6; n++) for (let c = 0; c < 4; c++) assert.equal(center[n * 4 + c], blocks.mean[blockOf(cells, point, n, c)]);
});
