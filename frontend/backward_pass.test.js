// The backward pass against finite differences of the forward one, and against what a norm's gradient cannot be.
import assert from "node:assert/strict";
import test from "node:test";
import { affineGradient, backward, moved, shares, valuesOf } from "./backward_pass.js";
import { legal } from "./grouping.js";
import { blockOf, moments, normalize } from "./moments.js";

const shape = { N: 4, C: 6, S: 3 }, size = 72;
const x = Float64Array.from({ length: size }, (_, i) => Math.sin(i * 1.7) * (1 + (i % 7)) + i / 9 + 5);
const dy = Float64Array.from({ length: size }, (_, i) => Math.cos(i * 2.3) + (i % 5) / 4);
const weight = [1, -0.5, 2, 0, 1.5, 0.25];
const points = legal(shape.N, shape.C);

/** Σ dy · y, whose gradient a backward pass is. */
const objective = (values, point, eps, gamma = weight, beta = null) =>
  normalize(values, shape, point, gamma, beta, eps).reduce((sum, y, i) => sum + y * dy[i], 0);

const slope = (of, at, i, step = 1e-5) => {
  const to = (by) => of(at.map((v, k) => (k === i ? v + by : v)));
  return (8 * (to(step) - to(-step)) - (to(2 * step) - to(-2 * step))) / (12 * step); // fourth order
};

for (const eps of [1e-5, 0.3])
  for (const point of points)
    test(`dx, dγ and dβ are the slopes of the output at ${point.b} × ${point.g} blocks, ε = ${eps}`, () => {
      const pass = backward(x, dy, shape, point, weight, eps);
      for (let i = 0; i < size; i += 5) {
        const known = slope((v) => objective(v, point, eps), x, i);
        assert.ok(Math.abs(pass.dx[i] - known) < 1e-7, `dx[${i}]: ${pass.dx[i]}, by differences ${known}`);
      }
      const gradient = affineGradient(x, dy, shape, pass.blocks, eps);
      weight.forEach((_, c) => {
        const known = [slope((v) => objective(x, point, eps, v), weight, c), slope((v) => objective(x, point, eps, weight, v), Array(6).fill(0), c)];
        assert.ok(Math.abs(gradient.weight[c] - known[0]) < 1e-7 && Math.abs(gradient.bias[c] - known[1]) < 1e-7);
      });
    });

test("no gradient points along (1, …, 1), and along x̂ only as far as ε lets it", () => {
  for (const eps of [0, 1e-5, 0.3])
    for (const point of points) {
      const pass = backward(x, dy, shape, point, weight, eps);
      const normalized = normalize(x, shape, point, null, null, eps);
      for (let k = 0; k < point.b * point.g; k++) {
        const { size: m, at } = valuesOf(shape, point, k);
        let sum = 0, product = 0;
        for (let j = 0; j < m; j++) {
          sum += pass.dx[at(j)];
          product += pass.dx[at(j)] * normalized[at(j)];
        }
        const left = m * pass.along[k] * pass.inverse[k] * (eps / (pass.blocks.var[k] + eps)); // Σ d·x̂ / √(σ² + ε) · ε / (σ² + ε)
        const part = shares(pass, x, dy, shape, point, weight, k);
        assert.ok(Math.abs(part.sum - sum) < 1e-11 && Math.abs(part.product - product) < 1e-11);
        assert.ok(Math.abs(sum) < 1e-11, `sum ${sum}`);
        assert.ok(Math.abs(product - left) < 1e-11, `along x̂ ${product}, expected ${left}`);
        assert.ok(eps === 0 || Math.abs(pass.along[k]) < 1e-9 || Math.abs(left) > 0);
      }
    }
});

test("a push of all alike, and one along x̂, comes out as nothing", () => {
  const point = { b: 4, g: 3 };
  const ones = Array(6).fill(1);
  const alike = backward(x, new Float64Array(size).fill(2.5), shape, point, ones, 1e-5).dx;
  const along = backward(x, normalize(x, shape, point, null, null, 0), shape, point, ones, 0).dx;
  assert.ok(Math.max(...alike.map(Math.abs), ...along.map(Math.abs)) < 1e-12);
});

test("a block of one value has gradient 0, exactly", () => {
  const one = { N: 4, C: 6, S: 1 };
  const { dx } = backward(x.slice(0, 24), dy.slice(0, 24), one, { b: 4, g: 6 }, weight, 1e-5);
  assert.ok(dx.every((v) => v === 0));
});

test("in a constant block ε alone stands under the root", () => {
  const { dx, inverse } = backward(new Float64Array(4).fill(7), [1, 0, 0, 0], { N: 1, C: 1, S: 4 }, { b: 1, g: 1 }, [1], 1e-4);
  assert.ok(Math.abs(inverse[0] - 100) < 1e-9);
  [75, -25, -25, -25].forEach((v, i) => assert.ok(Math.abs(dx[i] - v) < 1e-9));
});

test("one push moves exactly its own block", () => {
  for (const point of points) {
    const before = backward(x, dy, shape, point, weight.map(() => 1), 1e-5);
    const pushed = dy.map((v, i) => (i === 40 ? v + 1 : v));
    const after = backward(x, pushed, shape, point, weight.map(() => 1), 1e-5);
    const { distance, count } = moved(before, after, shape, point, 4);
    const cell = (i) => blockOf(before.cells, point, Math.floor(i / 18), Math.floor(i / 3) % 6);
    assert.equal(count, size / (point.b * point.g));
    distance.forEach((by, i) => assert.equal(by > 0, cell(i) === cell(40), `${point.b} × ${point.g}, value ${i}`));
  }
});

test("values of a block are counted in the order of the tensor, there and back", () => {
  const cells = moments(x, shape);
  for (const point of points)
    for (let k = 0, seen = 0; k < point.b * point.g; k++) {
      const { size: m, at, find } = valuesOf(shape, point, k);
      for (let j = 0; j < m; j++, seen++) {
        const i = at(j);
        assert.equal(find(i), j);
        assert.equal(blockOf(cells, point, Math.floor(i / 18), Math.floor(i / 3) % 6), k);
        assert.ok(j === 0 || i > at(j - 1));
      }
      if (k === point.b * point.g - 1) assert.equal(seen, size);
    }
});

test("the shares are all of the push, and each is what was taken", () => {
  for (const eps of [0, 0.3]) {
    const point = { b: 2, g: 3 }, pass = backward(x, dy, shape, point, weight, eps);
    for (let k = 0; k < 6; k++) {
      const { size: m, at } = valuesOf(shape, point, k);
      const d = Array.from({ length: m }, (_, j) => dy[at(j)] * weight[Math.floor(at(j) / 3) % 6]);
      const part = shares(pass, x, dy, shape, point, weight, k);
      const squares = (values) => values.reduce((sum, v) => sum + v * v, 0);
      assert.ok(Math.abs(part.total - squares(d)) < 1e-9);
      assert.ok(Math.abs(part.alike + squares(d.map((v) => v - pass.mean[k])) - part.total) < 1e-9);
      assert.ok(Math.abs(part.alike + part.along + part.through - part.total) < 1e-9);
      if (eps === 0) assert.ok(Math.abs(part.along - m * pass.along[k] ** 2) < 1e-9); // an orthogonal projection
    }
  }
});
