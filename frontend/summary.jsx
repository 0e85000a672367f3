// What a screen reader hears, once the hand rests.
import { useEffect, useState } from "preact/hooks";

export const REST = 400; // milliseconds without a change, after which the hand counts as resting

/** @param {{text: string}} props */
export function Summary({ text }) {
  const [said, setSaid] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSaid(text), REST);
    return () => clearTimeout(timer);
  }, [text]);
  return <p class="gn-sr" aria-live="polite">{said}</p>;
}
