// A native range input that a swipe over it leaves as it was: the browser moves the thumb under the finger first, and only
// then finds out that the finger scrolls the page.
import { useRef } from "preact/hooks";

/**
 * @param {{min: number, max: number, step: number, value: number, valueText: string, disabled?: boolean, onValue: (value: number) => void}} props
 */
export function RangeInput({ min, max, step, value, valueText, disabled, onValue }) {
  const before = useRef(value), moved = useRef(false);
  return (
    <input
      type="range" min={min} max={max} step={step} value={value} disabled={disabled} aria-valuetext={valueText}
      onInput={(event) => { moved.current = true; onValue(Number(event.currentTarget.value)); }}
      onPointerDown={() => { before.current = value; moved.current = false; }}
      onPointerCancel={() => moved.current && onValue(before.current)}
    />
  );
}
