// A native range input with its name and its value in words.
import { RangeInput } from "./range_input.jsx";

/**
 * @param {{
 *   label: import("preact").ComponentChildren, value: number, min: number, max: number, step: number, text: string,
 *   disabled?: boolean, onValue: (value: number) => void,
 * }} props
 */
export function Slider({ label, value, min, max, step, text, disabled, onValue }) {
  return (
    <label class="gn-named-slider">
      <span>{label}</span>
      <RangeInput min={min} max={max} step={step} value={value} valueText={text} disabled={disabled} onValue={onValue} />
      <output>{text}</output>
    </label>
  );
}
