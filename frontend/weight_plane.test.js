import assert from "node:assert/strict";
import test from "node:test";
import { descend, landscape, neuron, turn } from "./weight_plane.js";

const places = [[1.2, 0.5], [-0.3, 0.9], [2, -2], [0.05, -0.01]];
const near = (a, b, within, what) => assert.ok(Math.abs(a - b) <= within, `${what}: ${a}, expected ${b}`);

test("the gradient is the slope of the loss", () => {
  for (const eps of [1e-5, 0.1])
    for (const w of places)
      [0, 1].forEach((axis) => {
        const at = (by) => neuron(w.map((v, i) => (i === axis ? v + by : v)), eps).loss;
        const h = 1e-4 * Math.hypot(...w);
        near(neuron(w, eps).gradient[axis], (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h), 1e-6, `∂${axis} at ${w}`);
      });
});

test("without ε the loss knows no length, the gradient is tangent and shrinks as the weights grow", () => {
  for (const w of places) {
    const one = neuron(w, 0), twice = neuron(w.map((v) => 2 * v), 0);
    near(twice.loss, one.loss, 1e-12, "loss");
    near(one.along, 0, 1e-12, "w · gradient");
    near(twice.slope, one.slope / 2, 1e-12 + 1e-9 * one.slope, "|gradient|");
  }
});

test("a step along a tangent makes the weights longer, by Pythagoras, and turns them by its arctangent", () => {
  for (const w of places.slice(0, 3)) {
    const { gradient, length, slope } = neuron(w, 0);
    const to = descend(w, gradient, 0.7);
    near(Math.hypot(...to) ** 2, length ** 2 + (0.7 * slope) ** 2, 1e-12, "|w|²");
    near(turn(w, to), (Math.atan((0.7 * slope) / length) * 180) / Math.PI, 1e-9, "angle");
  }
});

test("with ε the gradient leans by exactly what ε leaves", () => {
  const eps = 0.2, w = /** @type {[number, number]} */ ([0.6, 0.3]);
  const one = neuron(w, eps), h = 1e-4;
  const longer = (by) => neuron([w[0] * (1 + by), w[1] * (1 + by)], eps).loss;
  near(one.along, (longer(h) - longer(-h)) / (2 * h), 1e-7, "w · gradient");
  assert.ok(Math.abs(one.along) > 0.01);
});

test("the landscape is the loss", () => {
  for (const eps of [0, 1e-5, 0.1]) for (const w of places) near(landscape(eps)(...w), neuron(w, eps).loss, 1e-12, `at ${w}`);
});
