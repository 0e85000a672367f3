// A native range input that stops only on the divisors of a size, with its numbers beside it.
import { divisors } from "./grouping.js";
import { RangeInput } from "./range_input.jsx";

/**
 * @param {{label: string, symbol: string, size: number, value: number, each: string, valueText: string, onChange: (value: number) => void}} props
 */
export function DivisorSlider({ label, symbol, size, value, each, valueText, onChange }) {
  const stops = divisors(size);
  const index = stops.indexOf(value);
  const every = Math.ceil(stops.length / 9);
  return (
    <div class="gn-slider">
      <label>
        <span class="gn-slider-name">{label}</span>
        <RangeInput
          min={0} max={Math.max(stops.length - 1, 0)} step={1} value={index} disabled={stops.length === 1}
          valueText={valueText} onValue={(stop) => onChange(stops[stop])}
        />
      </label>
      <div class="gn-stops" aria-hidden="true">
        {stops.map((stop, i) =>
          i === index || (i % every === 0 && Math.abs(i - index) >= every) || (every === 1) ? (
            <span key={stop} class={`${i === index ? "gn-on" : ""}${stop > 999 ? " gn-long" : ""}`} style={{ left: `${stops.length > 1 ? (100 * i) / (stops.length - 1) : 0}%` }}>
              {stop}
            </span>
          ) : null,
        )}
      </div>
      <p class="gn-slider-value" aria-hidden="true"><i>{symbol}</i> = {value}</p>
      <p class="gn-slider-each" aria-hidden="true">{each}</p>
    </div>
  );
}
