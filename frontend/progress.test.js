import assert from "node:assert/strict";
import { test } from "node:test";
import { KEY, Keeper, answerOf, merge, note, nothing, parse, solvedInAll, solvedOf } from "./progress.js";

function storage(/** @type {Record<string, string>} */ kept = {}) {
  return { kept, getItem: (key) => kept[key] ?? null, setItem: (key, text) => (kept[key] = text), removeItem: (key) => delete kept[key] };
}

test("tries are counted up to the first right answer, whose day stays", () => {
  const progress = nothing();
  note(progress, "one", "a", false, "2026-01-01");
  note(progress, "one", "a", true, "2026-01-02");
  note(progress, "one", "a", false, "2026-01-03");
  note(progress, "one", "a", true, "2026-01-04");
  assert.deepEqual(answerOf(progress, "one", "a"), { tries: 2, solved: "2026-01-02" });
  assert.equal(answerOf(progress, "one", "b"), null);
  assert.equal(answerOf(progress, "two", "a"), null);
  note(progress, "two", "b", false, "2026-01-05");
  assert.equal(solvedOf(progress, "one", ["a", "b"]), 1);
  assert.equal(solvedOf(progress, "two", ["b"]), 0);
  assert.equal(solvedInAll(progress), 1);
});

test("a text of somebody else's is read with care", () => {
  for (const text of [null, "", "{", "null", "[]", '{"schema": 2, "pages": {}}', '{"schema": 1}', '{"schema": 1, "pages": null}']) assert.equal(parse(text), null);
  const given = { schema: 1, pages: { a: { good: { tries: 1, solved: "2026-02-03" }, open: { tries: 3, solved: null }, bad: { tries: -1 }, worse: 7, odd: { tries: 2, solved: "<b>" } }, b: null } };
  assert.deepEqual(parse(JSON.stringify(given)).pages, { a: { good: { tries: 1, solved: "2026-02-03" }, open: { tries: 3, solved: null }, odd: { tries: 2, solved: null } } });
});

test("a name that means something to JavaScript is only a name", () => {
  const text = '{"schema": 1, "pages": {"__proto__": {"constructor": {"tries": 1, "solved": "2026-01-01"}}}}';
  const progress = parse(text);
  assert.deepEqual(answerOf(progress, "__proto__", "constructor"), { tries: 1, solved: "2026-01-01" });
  assert.equal(answerOf(progress, "other", "constructor"), null);
  assert.equal(answerOf(progress, "toString", "a"), null);
  assert.equal(solvedInAll(progress), 1);
});

test("what another browser kept is added, and the earlier day wins", () => {
  const own = parse('{"schema": 1, "pages": {"a": {"x": {"tries": 2, "solved": "2026-03-01"}, "y": {"tries": 4, "solved": null}}}}');
  const other = parse('{"schema": 1, "pages": {"a": {"x": {"tries": 1, "solved": "2026-02-01"}, "y": {"tries": 1, "solved": "2026-02-02"}}, "b": {"z": {"tries": 1, "solved": null}}}}');
  assert.equal(merge(own, other), 1);
  assert.deepEqual(own.pages, { a: { x: { tries: 2, solved: "2026-02-01" }, y: { tries: 4, solved: "2026-02-02" } }, b: { z: { tries: 1, solved: null } } });
  assert.equal(merge(own, other), 0);
});

test("one key holds all, and another tab's answers are seen", () => {
  const place = storage();
  const [one, two] = [new Keeper(() => place), new Keeper(() => place)];
  const progress = one.get();
  note(progress, "a", "x", true, "2026-01-01");
  one.set(progress);
  assert.deepEqual(Object.keys(place.kept), [KEY]);
  assert.equal(solvedInAll(two.get()), 1);
  two.forget();
  assert.deepEqual(place.kept, {});
  assert.equal(solvedInAll(one.get()), 0);
});

test("where nothing may be kept, forgetting forgets too", () => {
  const keeper = new Keeper(() => {
    throw new Error("denied");
  });
  note(keeper.get(), "a", "x", true, "2026-01-01");
  assert.equal(solvedInAll(keeper.get()), 1);
  keeper.forget();
  assert.equal(solvedInAll(keeper.get()), 0);
});

test("where nothing may be kept it works as long as the page is open, and knows", () => {
  const closed = new Keeper(() => {
    throw new DOMException("denied", "SecurityError");
  });
  const progress = closed.get();
  assert.equal(closed.keeps, false);
  note(progress, "a", "x", true, "2026-01-01");
  closed.set(progress);
  assert.equal(solvedInAll(closed.get()), 1);
  const full = new Keeper(() => ({ ...storage(), setItem: () => { throw new DOMException("full", "QuotaExceededError"); } }));
  const kept = full.get();
  assert.equal(full.keeps, true);
  note(kept, "a", "x", true, "2026-01-01");
  full.set(kept);
  assert.equal(full.keeps, false);
  assert.equal(solvedInAll(full.get()), 1);
});
