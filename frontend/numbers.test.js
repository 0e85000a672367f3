import assert from "node:assert/strict";
import test from "node:test";
import { addsUp, decimals, fewestDigits, fixed, printed, scientific, short, whole, worksOut } from "./numbers.js";

test("minus is a minus sign, and zero has none", () => {
  assert.equal(fixed(-1.234, 2), "−1.23");
  assert.equal(fixed(-0.001, 2), "0.00");
  assert.equal(fixed(65536, 0), "65,536");
  assert.equal(whole(8192), "8,192");
});

test("numbers too large or small for decimals become powers of ten", () => {
  assert.equal(scientific(3.99e-6), "3.99·10⁻⁶");
  assert.equal(scientific(-1.5e12), "−1.50·10¹²");
  assert.equal(scientific(0), "0");
  assert.equal(fixed(12345678, 2), "1.23·10⁷");
  assert.equal(short(1e-5), "10⁻⁵");
  assert.equal(short(-2.5e-7), "−2.50·10⁻⁷");
  assert.equal(short(0.1), "0.1");
});

test("decimals show three digits of a size, or say that they cannot", () => {
  assert.deepEqual([1.05, 0.0105, 250, 0, 1e-9, 1e8].map(decimals), [2, 4, 2, 2, null, null]);
});

test("digits are added until the printed sum is right", () => {
  // 0.733 + 2.813 = 3.546, but 0.73 + 2.81 is not 3.55
  const [within, between] = [0.7334, 2.8126];
  assert.equal(addsUp([within, between], within + between, 2), false);
  const digits = fewestDigits(2, (d) => addsUp([within, between], within + between, d));
  assert.ok(digits !== null && digits > 2);
  assert.equal(printed(printed(within, digits) + printed(between, digits), digits), printed(within + between, digits));
});

test("whatever the values, the digits found make the printed formula right", () => {
  const formula = (x, mean, variance) => (x - mean) / Math.sqrt(variance + 1e-5);
  let found = 0;
  for (let i = 1; i < 400; i++) {
    const inputs = [Math.sin(i) * 3, Math.cos(i * 1.3), 0.05 + (i % 17) / 7];
    const digits = fewestDigits(2, (d) => worksOut(inputs, formula, d, 2));
    if (digits === null) continue;
    found++;
    assert.equal(printed(formula(...inputs.map((v) => printed(v, digits))), 2), printed(formula(...inputs), 2));
  }
  assert.ok(found > 390, `${found} of 399`);
});
