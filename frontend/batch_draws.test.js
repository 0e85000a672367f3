// Batches against batches made of values: what is pooled from a table must be what the values themselves would say.
import assert from "node:assert/strict";
import test from "node:test";
import { DRAWS, MOST, SIZES, channel, company, drawn, guesses, keeping, pyramid, summarize, tested, truth } from "./batch_draws.js";
import { apply, moments, normalize, pool, track, untrained } from "./moments.js";

const SHAPE = { N: 9, C: 4, S: 5 };
const x = Float64Array.from({ length: 9 * 4 * 5 }, (_, i) => Math.sin(i * 1.7) * ((i % 7) + 1) + Math.floor(i / 20) / 3 + 2);
const cells = moments(x, SHAPE);
const near = (actual, expected, what, least = 1e-12) =>
  assert.ok(Math.abs(actual - expected) <= least * Math.max(1, Math.abs(expected)), `${what}: ${actual}, expected ${expected}`);

/** The values of one channel of one image. */
const cell = (n, c) => x.subarray((n * 4 + c) * 5, (n * 4 + c + 1) * 5);

test("draws are those that gnlib.widgets.batch_lab.drawn makes", () => {
  // tests/test_batch_lab.py has the same numbers
  const indices = drawn(7, 1000);
  assert.equal(indices.length, DRAWS * MOST);
  assert.deepEqual([...indices.subarray(0, 6)], [330, 519, 882, 213, 853, 385]);
  assert.deepEqual([...indices.subarray(-3)], [847, 146, 551]);
});

test("every image is drawn about as often as every other, and seeds differ", () => {
  const times = new Float64Array(16);
  for (const i of drawn(0, 16)) times[i]++;
  const { mean, sd } = summarize(times);
  assert.equal(mean, (DRAWS * MOST) / 16);
  assert.ok(sd < 3 * Math.sqrt(mean), `${times}`);
  assert.notDeepEqual(drawn(0, 16), drawn(1, 16));
  assert.deepEqual([...new Set(drawn(3, 1))], [0]);
});

for (const [i, size] of SIZES.entries())
  test(`statistics over ${size} images are those of their values`, () => {
    const indices = drawn(1, 9);
    const found = guesses(pyramid(channel(cells, 2), indices), i);
    for (const t of [0, 17, DRAWS - 1]) {
      const values = Array.from({ length: size }, (_, k) => [...cell(indices[t * MOST + k], 2)]).flat();
      const direct = moments(values, { N: 1, C: 1, S: values.length });
      near(found.mean[t], direct.mean[0], `mean of batch ${t}`);
      near(found.var[t], direct.var[0], `variance of batch ${t}`);
      assert.equal(found.count[t], 5 * size);
    }
  });

test("an image takes the place of each batch's first", () => {
  const indices = drawn(1, 9);
  const mine = moments([3, 1, 4, 1, 5, 9, 2, 6], { N: 1, C: 1, S: 8 }); // more positions than the others have
  const found = company(pyramid(channel(cells, 0), indices), mine);
  for (const [i, size] of SIZES.entries()) {
    const others = Array.from({ length: size - 1 }, (_, k) => [...cell(indices[5 * MOST + 1 + k], 0)]).flat();
    const values = [3, 1, 4, 1, 5, 9, 2, 6, ...others];
    const direct = moments(values, { N: 1, C: 1, S: values.length });
    near(found[i].mean[5], direct.mean[0], `mean, size ${size}`);
    near(found[i].var[5], direct.var[0], `variance, size ${size}`);
    assert.equal(found[i].count[5], values.length);
  }
});

test("the law of the guesses holds: √n for the mean, 1/n for the variance", () => {
  const one = channel(cells, 1), law = truth(one);
  const all = Array.from({ length: 9 }, (_, n) => [...cell(n, 1)]).flat();
  const direct = moments(all, { N: 1, C: 1, S: all.length });
  near(law.mean, direct.mean[0], "mean");
  near(law.variance, direct.var[0], "variance");
  const squares = Array.from({ length: 9 }, (_, n) => [...cell(n, 1)].reduce((sum, v) => sum + (v - direct.mean[0]) ** 2 / 5, 0));
  near(law.spreadError(4), summarize(squares).sd / (2 * Math.sqrt(direct.var[0]) * 2), "first-order error of σ");
  near(law.apart, summarize(one.mean).sd, "spread of the images' means");
  const levels = Array.from({ length: 40 }, (_, seed) => pyramid(one, drawn(seed, 9)));
  for (const n of [1, 2, 8, 32]) {
    // many seeds: the average over 40 × 200 batches
    const seeds = levels.map((level) => guesses(level, SIZES.indexOf(n)));
    const means = summarize(seeds.flatMap((found) => [...found.mean]));
    const variances = summarize(seeds.flatMap((found) => [...found.var]));
    near(means.mean, law.mean, `mean of μ, n = ${n}`, 0.03);
    near(means.sd, law.error(n), `sd of μ, n = ${n}`, 0.05);
    const spreads = summarize(seeds.flatMap((found) => [...found.var].map(Math.sqrt)));
    if (n >= 8) near(spreads.sd, law.spreadError(n), `sd of σ, n = ${n}`, 0.15); // to first order
    const error = variances.sd / Math.sqrt(40 * DRAWS);
    assert.ok(Math.abs(variances.mean - law.variance - law.missing(n)) < 4 * error + 1e-12, `bias of σ², n = ${n}`);
  }
});

test("running statistics are track's, block after block", () => {
  const indices = drawn(4, 9), one = channel(cells, 3);
  const path = keeping(pyramid(one, indices), 8, 2, 0.25);
  let kept = untrained(1);
  for (let t = 0; t < DRAWS; t++) {
    for (let block = 0; block < 4; block++) {
      const values = [0, 1].flatMap((i) => [...cell(indices[t * MOST + 2 * block + i], 3)]);
      kept = track(kept, moments(values, { N: 1, C: 1, S: 10 }), 0.25);
    }
    near(path.mean[t], kept.mean[0], `running mean after ${t + 1}`);
    near(path.var[t], kept.var[0], `running variance after ${t + 1}`);
  }
});

for (const [name, groups] of [["layer_norm", 1], ["group_norm", 2], ["instance_norm", 4]])
  test(`the test set after ${name} is what its values say`, () => {
    const dark = x.map((v) => v * 0.3);
    const y = normalize(dark, SHAPE, { b: 9, g: groups });
    const values = Array.from({ length: 9 }, (_, n) => [...y.subarray((n * 4 + 2) * 5, (n * 4 + 3) * 5)]).flat();
    const direct = summarize(values), own = channel(pool(cells, { b: 9, g: groups }), (2 * groups) >> 2);
    const found = tested(channel(cells, 2), 0.3, own, false, 1e-5);
    near(found.mean, direct.mean, "mean");
    near(found.sd, direct.sd, "spread");
  });

test("the test set after kept statistics is what its values say", () => {
  const kept = { rows: 1, columns: 4, count: new Float64Array(4), mean: Float64Array.of(0, 0, 1.5, 0), var: Float64Array.of(1, 1, 6, 1) };
  const y = apply(x.map((v) => v * 0.3), SHAPE, kept);
  const direct = summarize(Array.from({ length: 9 }, (_, n) => [...y.subarray((n * 4 + 2) * 5, (n * 4 + 3) * 5)]).flat());
  const found = tested(channel(cells, 2), 0.3, channel(kept, 2), true, 1e-5);
  near(found.mean, direct.mean, "mean");
  near(found.sd, direct.sd, "spread");
});
