import assert from "node:assert/strict";
import test from "node:test";
import { turns } from "./turns.js";

/** A clock that a test moves: frames and tasks run when it says so. */
function clock() {
  let time = 0;
  /** @type {(() => void)[]} */
  const frames = [], tasks = [];
  return {
    now: () => time, pass: (ms) => { time += ms; },
    afterFrame: (run) => frames.push(run), soon: (run) => tasks.push(run),
    frame() {
      time += 16;
      frames.splice(0).forEach((run) => run());
      while (tasks.length) tasks.shift()();
    },
  };
}

test("what waits runs after the frame, the longest-waiting first, and only the newest of each", () => {
  const at = clock(), { wait } = turns(at), ran = [];
  const [map, formulas] = [{}, {}];
  wait(map, () => ran.push("map 1"));
  wait(formulas, () => ran.push("formulas 1"));
  wait(map, () => ran.push("map 2"));
  assert.deepEqual(ran, []);
  at.frame();
  assert.deepEqual(ran, ["map 2", "formulas 1"]);
  at.frame();
  assert.equal(ran.length, 2);
});

test("a frame takes no more parts once they have cost four milliseconds, and all get their turn while a hand keeps moving", () => {
  const at = clock(), { wait } = turns(at), ran = [];
  const parts = [{}, {}, {}];
  for (let step = 0; step < 6; step++) {
    parts.forEach((part, i) => wait(part, () => { ran.push(i); at.pass(5); }));
    at.frame();
  }
  assert.deepEqual(ran, [0, 1, 2, 0, 1, 2]);
});

test("nothing waits much longer than eighty milliseconds, however dear the parts are", () => {
  const at = clock(), { wait } = turns(at);
  let ran = 0;
  for (let i = 0; i < 40; i++) wait({}, () => { ran++; at.pass(5); });
  for (let frames = 0; at.now() <= 80; frames++) at.frame();
  assert.equal(ran, 40);
});

test("who leaves is not run", () => {
  const at = clock(), { wait, leave } = turns(at), who = {};
  wait(who, () => assert.fail());
  leave(who);
  at.frame();
});
