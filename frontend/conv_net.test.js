import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { activation, finish, network, normalized, probabilities, scores, seen, sizeAt, turned } from "./conv_net.js";
import { changed, linesOf, movement } from "./layer_change.js";
import { moments } from "./moments.js";

const cases = JSON.parse(readFileSync(new URL("./conv_net.golden.json", import.meta.url), "utf8"));
const net = network(Float64Array.from({ length: 15706 }, (_, i) => (((7919 * i) % 1000) - 499.5) / 2500));
const images = (/** @type {number[]} */ [N, H, W]) => seen(Uint8Array.from({ length: N * 3 * H * W }, (_, i) => (37 * i * i) % 256));
const close = (/** @type {number} */ a, /** @type {number} */ b) => Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(b));

test("the network says what gnlib.photo_net says, at every kind of point, for images and for positions", () => {
  assert.ok(cases.length > 100);
  for (const { shape, layer, tokens, b, g, mean, last, scores: expected } of cases) {
    const [N, H, W] = shape;
    const x = activation(net, images(shape), { N, H, W }, layer);
    assert.ok(close(x.reduce((a, v) => a + v, 0) / x.length, mean) && close(x[x.length - 1], last), JSON.stringify({ shape, layer }));
    const found = finish(scores(net, x, { N, H, W }, layer, { b, g }, tokens));
    found.forEach((score, i) => assert.ok(close(score, expected[i]), JSON.stringify({ shape, layer, tokens, b, g, i, score, expected: expected[i] })));
  }
});

test("a network of another size is refused", () => {
  assert.throws(() => network(new Float64Array(15705)), /15706 numbers, not 15705/);
});

test("a layer's input is left as it was", () => {
  const shape = { N: 2, H: 4, W: 4 };
  const x = activation(net, images([2, 4, 4]), shape, 2), before = x.slice();
  finish(scores(net, x, shape, 2, { b: 2, g: 1 }, true));
  assert.deepEqual(x, before);
});

test("probabilities add up to one, however large the scores", () => {
  const found = probabilities([1000, 999, -1000]);
  assert.ok(close(found.reduce((a, v) => a + v, 0), 1));
  assert.ok(close(found[0] / found[1], Math.E));
});

test("turning twice changes nothing", () => {
  const x = Float64Array.from({ length: 24 }, (_, i) => i);
  assert.deepEqual(turned(turned(x, 2, 3, 4), 2, 4, 3), x);
  assert.equal(turned(x, 2, 3, 4)[1], 4);
});

for (const tokens of [false, true])
  for (const kind of /** @type {const} */ (["brightness", "contrast", "channel"]))
    test(`the movement of x̂ is the one of all its values: ${kind}, ${tokens ? "positions" : "images"}`, () => {
      const size = sizeAt({ N: 4, H: 6, W: 6 }, 2);
      const x = activation(net, images([4, 6, 6]), { N: 4, H: 6, W: 6 }, 2);
      const lines = linesOf({ kind, amount: 1, n: 1, c: 3, sd: 2 }, size.N, size.C);
      const cells = moments(x, { N: 4, C: 32, S: 9 });
      for (const point of [{ b: 1, g: 1 }, { b: 1, g: 32 }, { b: 2, g: 8 }, { b: 4, g: 1 }, { b: 4, g: 32 }, ...(tokens ? [{ b: 36, g: 4 }, { b: 12, g: 1 }] : [])]) {
        const before = normalized(x, size, point, tokens, null), after = normalized(changed(x, lines), size, point, tokens, null);
        const found = finish(movement(x, cells, lines, size, point, tokens));
        for (let n = 0; n < 4; n++) {
          let sum = 0;
          for (let i = n * 288; i < (n + 1) * 288; i++) sum += (after[i] - before[i]) ** 2 / 288;
          assert.ok(Math.abs(found[n] - sum) < 1e-9 * Math.max(1, sum), `${n}: ${found[n]} ${sum}`);
        }
      }
    });

test("what each layer cannot see: LayerNorm one image's light, BatchNorm one channel's strength, InstanceNorm neither", () => {
  const size = sizeAt({ N: 4, H: 6, W: 6 }, 1);
  const x = activation(net, images([4, 6, 6]), { N: 4, H: 6, W: 6 }, 1);
  const cells = moments(x, { N: 4, C: 16, S: 36 });
  const seenBy = (/** @type {import("./layer_change.js").Kind} */ kind, /** @type {import("./grouping.js").Point} */ point) =>
    Math.sqrt(Math.max(...finish(movement(x, cells, linesOf({ kind, amount: 1, n: 1, c: 3, sd: 1 }, 4, 16), size, point, false)))) > 0.01;
  const sees = (/** @type {import("./grouping.js").Point} */ point) => [seenBy("brightness", point), seenBy("contrast", point), seenBy("channel", point)];
  assert.deepEqual(sees({ b: 1, g: 16 }), [true, true, false]);
  assert.deepEqual(sees({ b: 4, g: 1 }), [false, false, true]);
  assert.deepEqual(sees({ b: 4, g: 4 }), [false, false, true]);
  assert.deepEqual(sees({ b: 4, g: 16 }), [false, false, false]);
});
