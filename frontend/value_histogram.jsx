// The histogram before and after, back to back on the color scale: it is the figure's legend too.
import { ticks } from "d3-array";
import { GRADIENT, RANGE } from "./color_scale.js";
import { fixed, short } from "./numbers.js";
import { shared } from "./strings/index.js";

/**
 * @param {{
 *   before: {all: Float64Array, picked: Float64Array}, after: {all: Float64Array, picked: Float64Array},
 *   line: import("./color_scale.js").Line, afterSymbol: string,
 * }} props
 */
export function ValueHistogram({ before, after, line, afterSymbol }) {
  const words = shared();
  const most = Math.max(...before.all, ...after.all, 1);
  const bins = before.all.length, height = 100;
  const steps = (/** @type {Float64Array} */ counts) => {
    let d = `M0 0`;
    for (let i = 0; i < bins; i++) d += `V${((height * counts[i]) / most).toFixed(2)}H${i + 1}`;
    return `${d}V0z`;
  };
  const half = (/** @type {{all: Float64Array, picked: Float64Array}} */ counts, /** @type {string} */ kind) => (
    <svg class={`gn-half gn-${kind}`} viewBox={`0 0 ${bins} ${height}`} preserveAspectRatio="none" aria-hidden="true">
      <path class="gn-all" d={steps(counts.all)} />
      <path class="gn-picked" d={steps(counts.picked)} />
    </svg>
  );
  const place = (/** @type {number} */ t) => ({ left: `${50 + (50 * t) / RANGE}%` });
  const reach = 0.88 * RANGE * line.unit; // a number at the very end would stick out
  const own = line.shared ? [] : ticks(line.center - reach, line.center + reach, 3);
  return (
    <div class="gn-histogram" role="img" aria-label={words.histogram}>
      <p aria-hidden="true"><span>{words.histogramBefore}</span><span class="gn-key">{words.pickedBlock}</span></p>
      {half(before, "upper")}
      {!line.shared && (
        <div class="gn-ticks" aria-hidden="true">{own.map((v) => <span key={v} style={place((v - line.center) / line.unit)}>{short(v)}</span>)}</div>
      )}
      <div class="gn-scale" style={{ backgroundImage: GRADIENT }} />
      {line.shared ? null : (
        <div class="gn-ticks" aria-hidden="true">{[-2, 0, 2].map((v) => <span key={v} style={place(v)}>{fixed(v, 0)}</span>)}</div>
      )}
      {half(after, "lower")}
      {line.shared && (
        <div class="gn-ticks" aria-hidden="true">{[-2, -1, 0, 1, 2].map((v) => <span key={v} style={place(v)}>{fixed(v, 0)}</span>)}</div>
      )}
      <p aria-hidden="true"><span>{words.histogramAfter}{afterSymbol}</span><span>{words.scale}</span></p>
      <p aria-hidden="true">{words.endBars}</p>
    </div>
  );
}
