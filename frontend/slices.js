// Work that takes longer than a frame, done in slices between frames: a generator that yields every now and then.
import { useEffect, useState } from "preact/hooks";

const SLICE = 4; // milliseconds
const WAIT = 32; // milliseconds before a new question is worked on: a hand that moves on with the next frame would throw the work away

/**
 * What the generator returned last, and whether that is still the answer to the present question.
 * @template T @param {() => Generator<void, T>} start @param {unknown[]} question what the answer depends on
 * @returns {[T | null, boolean]}
 */
export function useSlices(start, question) {
  const [answer, setAnswer] = useState(/** @type {{value: T, to: unknown[]} | null} */ (null));
  useEffect(() => {
    const steps = start();
    /** @type {ReturnType<typeof setTimeout>} */
    let timer;
    const run = () => {
      const end = performance.now() + SLICE;
      do {
        const { done, value } = steps.next();
        if (done) return setAnswer({ value: /** @type {T} */ (value), to: question });
      } while (performance.now() < end);
      timer = setTimeout(run);
    };
    timer = setTimeout(run, answer ? WAIT : 0);
    return () => clearTimeout(timer);
  }, question);
  return [answer && answer.value, answer !== null && answer.to.every((part, i) => Object.is(part, question[i]))];
}
