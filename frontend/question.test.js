import assert from "node:assert/strict";
import { test } from "node:test";
import { judgeChoice, judgeNumber, readNumber } from "./question.js";

const [yes, no] = [{ right: true }, { right: false }];

test("a single choice is right or explained", () => {
  assert.deepEqual(judgeChoice([no, yes, no], [1]), { right: true, partly: false, explain: [1], missing: 0 });
  assert.deepEqual(judgeChoice([no, yes, no], [2]), { right: false, partly: false, explain: [2], missing: 0 });
});

test("of several, all right ones and no other must be chosen; what is missing is counted and not told", () => {
  const options = [yes, no, yes, no];
  assert.deepEqual(judgeChoice(options, [0, 2]), { right: true, partly: false, explain: [0, 2], missing: 0 });
  assert.deepEqual(judgeChoice(options, [0]), { right: false, partly: true, explain: [], missing: 1 });
  assert.deepEqual(judgeChoice(options, [0, 1]), { right: false, partly: true, explain: [1], missing: 0 });
  assert.deepEqual(judgeChoice(options, [1, 3]), { right: false, partly: false, explain: [1, 3], missing: 0 });
  assert.deepEqual(judgeChoice(options, [0, 1, 2]), { right: false, partly: true, explain: [1], missing: 0 });
});

test("a number is right within its tolerance, and its edge belongs to it", () => {
  const options = [{ right: true, value: 1024, tolerance: 1 }, { right: false, value: 256, tolerance: 0 }, { right: false }];
  for (const near of [1024, 1023, 1025]) assert.equal(judgeNumber(options, near).right, true);
  assert.deepEqual(judgeNumber(options, 256), { right: false, partly: false, explain: [1], missing: 0 });
  for (const other of [1025.1, 0, -1024, 256.001]) assert.deepEqual(judgeNumber(options, other).explain, [2]);
  assert.equal(judgeNumber([{ right: true, value: 1 / 3, tolerance: 0 }], 0.3333333333333).right, true); // rounding is no mistake
});

test("numbers are read as people write them", () => {
  const written = {
    1024: 1024, "1,024": 1024, "1 024": 1024, "1\u202f024": 1024, "1,024.5": 1024.5, "12,345,678": 12345678, "−3": -3, "+3": 3, ".5": 0.5,
    "0,5": 0.5, "0,125": 0.125, "1/8": 0.125, "46/3": 46 / 3, "-1/2": -0.5, "2e-3": 0.002, "2·10^-3": 0.002, "2*10^3": 2000, "12 %": 12, "7.": 7, " 9 ": 9,
  };
  for (const [text, number] of Object.entries(written)) assert.equal(readNumber(text), number, text);
});

test("what is no number is none", () => {
  for (const text of ["", " ", "a", "1 or 2", "1.2.3", "1,2,3", "--1", "1/", "/2", "1/2/3", "10^", "e5", "Infinity", "0x10", "%"])
    assert.ok(Number.isNaN(readNumber(text)), text);
});
