// Who draws in which task of a drag: after each frame what waits takes turns, the longest-waiting first. No DOM.

const PART = 4; // milliseconds of a frame for what waits; one turn a frame there always is
const LATEST = 80; // milliseconds after which nothing may wait any longer: old numbers must not stand beside new ones

/**
 * @param {{now: () => number, afterFrame: (run: () => void) => void, soon: (run: () => void) => void}} clock
 *   afterFrame runs when the next frame has been drawn, soon in a task of its own
 * @param {() => void} [done] runs when nothing waits any more
 */
export function turns({ now, afterFrame, soon }, done) {
  /** What waits, and since when, in the order of turns. @type {Map<object, {run: () => void, since: number}>} */
  const waiting = new Map();
  let busy = false, began = 0;
  const frame = () => {
    began = now();
    next();
  };
  const next = () => {
    const [first] = waiting;
    if (!first) {
      busy = false;
      done?.();
      return;
    }
    const [who, { run, since }] = first, late = now() - since > LATEST;
    if (now() - began > PART && !late) afterFrame(frame);
    else {
      waiting.delete(who);
      run();
      soon(next);
    }
  };
  /**
   * Runs when its turn comes; whoever waits already keeps the place in the order, with what is to run now.
   * @param {object} who @param {() => void} run
   */
  const wait = (who, run) => {
    waiting.set(who, { run, since: waiting.get(who)?.since ?? now() });
    if (busy) return;
    busy = true;
    afterFrame(frame);
  };
  return { wait, leave: (/** @type {object} */ who) => void waiting.delete(who) };
}
