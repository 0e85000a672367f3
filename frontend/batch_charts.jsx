// The pictures of the batch laboratory: guesses by batch size, a batch as a row of squares, an average on its way, and
// means ± sd. All of them hidden from screen readers: the same numbers stand in tables.
import { ticks } from "d3-array";
import { useMemo } from "preact/hooks";
import { SIZES } from "./batch_draws.js";
import { color } from "./color_scale.js";
import { short } from "./numbers.js";

export const LEFT = 46; // pixels for the numbers of an axis
export const RIGHT = 50; // for what is kept, at the end
const GOLDEN = 0.618034;

/** Where the columns of sizes stand. @param {number} width */
export function columnsOf(width) {
  const pitch = (width - LEFT - RIGHT) / SIZES.length;
  return { pitch, x: (/** @type {number} */ i) => LEFT + (i + 0.5) * pitch };
}

/** @typedef {[number, number]} Range */

/** The range of some numbers, with a little air. @param {ArrayLike<number>[]} lists @param {number[]} more @returns {Range} */
export function rangeOf(lists, more = []) {
  let low = Infinity, high = -Infinity;
  for (const list of [...lists, more])
    for (let i = 0; i < list.length; i++) {
      if (list[i] < low) low = list[i];
      if (list[i] > high) high = list[i];
    }
  const air = (high - low) * 0.06 || Math.max(Math.abs(high) * 0.1, 1e-3);
  return [low - air, high + air];
}

/** @param {Range} range @param {number} height */
const scale = ([low, high], height) => (/** @type {number} */ v) => 4 + (height - 8) * (1 - (Math.max(low, Math.min(high, v)) - low) / (high - low));

/** A number at an axis, drawn together where it would stick out. @param {{text: string, x: number, y: number}} props */
function Tick({ text, x, y }) {
  return <text x={x} y={y} text-anchor="end" {...(text.length > 6 ? { textLength: x, lengthAdjust: "spacingAndGlyphs" } : {})}>{text}</text>;
}

/** @param {{range: Range, height: number, to: number}} props */
function Axis({ range, height, to }) {
  const y = scale(range, height);
  return (
    <g class="gn-bl-axis">
      {ticks(...range, 4).map((v) => (
        <g key={v}>
          <line x1={LEFT} x2={to} y1={y(v)} y2={y(v)} />
          <Tick text={short(v).replace(/0+·/, "·").replace(".·", "·")} x={LEFT - 8} y={y(v) + 4} />
        </g>
      ))}
    </g>
  );
}

/**
 * Dots of every batch, a column for each size: a funnel. Its parts that do not follow the hand are made once.
 * @param {{
 *   lists: Float64Array[], range: Range, height: number, width: number, at: number, draw: number, truth: number | null,
 *   error: ((n: number) => number) | null, kept: number, idle?: boolean, label: string,
 *   onColumn: (i: number) => void,
 * }} props  at: the column that is read; error: the law's band around the truth; kept: what evaluation uses
 */
export function Funnel(props) {
  const { lists, range, height, width, at, draw, truth, error, kept, idle, label, onColumn } = props;
  const { pitch, x } = columnsOf(width);
  const y = scale(range, height);
  const clouds = useMemo(() => lists.map((list, i) => dots(list, x(i), pitch, y)), [lists, range, width, height]);
  // a picture of its own under the one that follows the hand: made, and painted, once
  const still = useMemo(() => (
    <svg class="gn-bl-still" width={width} height={height} aria-hidden="true">
      <Axis range={range} height={height} to={width - RIGHT + 4} />
      {error && truth !== null && <path class="gn-bl-law" d={band(truth, error, x, y)} />}
      {truth !== null && <line class="gn-bl-true" x1={LEFT} x2={width - RIGHT + 4} y1={y(truth)} y2={y(truth)} />}
      {clouds.map((d, i) => <path key={i} class="gn-bl-dots" d={d} />)}
    </svg>
  ), [clouds, error, truth]);
  const pick = (/** @type {MouseEvent} */ event) => {
    const box = /** @type {Element} */ (event.currentTarget).getBoundingClientRect();
    const i = Math.floor((event.clientX - box.left - LEFT) / pitch);
    if (i >= 0 && i < SIZES.length) onColumn(i);
  };
  const end = width - RIGHT / 2;
  return (
    <div class={`gn-bl-funnel${idle ? " gn-bl-idle" : ""}`} style={{ width: `${width}px`, height: `${height}px` }} role="img" aria-label={label} onClick={pick}>
      {still}
      <svg width={width} height={height} aria-hidden="true">
        <rect class="gn-bl-column" x={x(at) - pitch / 2} y={0} width={pitch} height={height} />
        <path class="gn-bl-dots gn-bl-on" d={clouds[at]} />
        <path class="gn-bl-path" d={lists.reduce((d, list, i) => `${d}${i ? "L" : "M"}${tenth(x(i) + aside(draw, pitch))} ${tenth(y(list[draw]))}`, "")} />
        <circle class="gn-bl-here" cx={x(at) + aside(draw, pitch)} cy={y(lists[at][draw])} r={4.5} />
        <path class="gn-bl-kept" d={`M${end - 7} ${y(kept)}l7 -7l7 7l-7 7z`} />
      </svg>
    </div>
  );
}

/** Dots lie beside each other by a low-discrepancy row, so that equal values do not hide. @param {number} t @param {number} pitch */
const aside = (t, pitch) => (((t + 1) * GOLDEN) % 1 - 0.5) * pitch * 0.62;

/** Rounded to tenths of a pixel; toFixed takes ten times as long. @param {number} v */
const tenth = (v) => Math.round(10 * v) / 10;

/** @param {Float64Array} list @param {number} middle @param {number} pitch @param {(v: number) => number} y */
function dots(list, middle, pitch, y) {
  let d = "";
  for (let t = 0; t < list.length; t++) d += `M${tenth(middle + aside(t, pitch))} ${tenth(y(list[t]))}h0`;
  return d;
}

/** @param {number} truth @param {(n: number) => number} error @param {(i: number) => number} x @param {(v: number) => number} y */
function band(truth, error, x, y) {
  const upper = [], lower = [];
  for (let i = -0.5; i <= SIZES.length - 0.5; i += 0.25) {
    const off = error(2 ** i);
    upper.push(`${x(i).toFixed(1)} ${y(truth + off).toFixed(1)}`);
    lower.unshift(`${x(i).toFixed(1)} ${y(truth - off).toFixed(1)}`);
  }
  return `M${[...upper, ...lower].join("L")}z`;
}

const PER_ROW = 16;

/**
 * A batch: every image a square, in the color of its mean; orange lines where blocks are cut.
 * @param {{levels: number[], share: number, width: number, picture: string, label: string}} props
 *   levels: on the color scale; share: images in a block
 */
export function BatchRow({ levels, share, width, picture, label }) {
  const pitch = Math.min(22, Math.floor(width / PER_ROW)), size = pitch - 3;
  const rows = Math.ceil(64 / PER_ROW); // the place of a full batch, always: nothing below moves
  const cuts = [];
  for (let i = share; i < levels.length; i += share) if (i % PER_ROW) cuts.push(`M${(i % PER_ROW) * pitch - 1.5} ${Math.floor(i / PER_ROW) * pitch - 1}v${size + 2}`);
    else cuts.push(`M-1 ${Math.floor(i / PER_ROW) * pitch - 1.5}h${PER_ROW * pitch - 1}`);
  const rgb = (/** @type {number} */ t) => `rgb(${color(t)})`;
  return (
    <svg class="gn-bl-batch" width={PER_ROW * pitch + 4} height={rows * pitch + 4} viewBox={`-2 -2 ${PER_ROW * pitch + 4} ${rows * pitch + 4}`} role="img" aria-label={label}>
      <path class="gn-bl-free" d={Array.from({ length: rows * PER_ROW - levels.length }, (_, i) => {
        const k = levels.length + i;
        return `M${(k % PER_ROW) * pitch + size / 2} ${Math.floor(k / PER_ROW) * pitch + size / 2}h0`;
      }).join("")} />
      {levels.map((t, i) => (
        <rect key={i} x={(i % PER_ROW) * pitch} y={Math.floor(i / PER_ROW) * pitch} width={size} height={size} rx={2} style={{ fill: rgb(t) }} />
      ))}
      {picture && <image href={picture} x={0} y={0} width={size} height={size} preserveAspectRatio="xMidYMid slice" />}
      <rect class="gn-bl-me" x={0} y={0} width={size} height={size} rx={2} />
      <path class="gn-bl-cuts" d={cuts.join("")} />
    </svg>
  );
}

/**
 * Guesses step by step, and the running average among them.
 * @param {{guesses: Float64Array, kept: Float64Array, start: number, truth: number, range: Range, width: number, height: number, draw: number, label: string, steps: string}} props
 */
export function Keeping({ guesses, kept, start, truth, range, width, height, draw, label, steps }) {
  const y = scale(range, height), right = width - 8;
  const x = (/** @type {number} */ t) => LEFT + ((right - LEFT) * (t + 1)) / guesses.length; // step 0 is the start
  const points = useMemo(() => guesses.reduce((/** @type {string} */ d, v, t) => `${d}M${tenth(x(t))} ${tenth(y(v))}h0`, ""), [guesses, range, width, height]);
  const line = useMemo(() => kept.reduce((/** @type {string} */ d, v, t) => `${d}L${tenth(x(t))} ${tenth(y(v))}`, `M${LEFT} ${tenth(y(start))}`), [kept, start, range, width, height]);
  return (
    <svg class="gn-bl-keeping" width={width} height={height + 20} role="img" aria-label={label}>
      <Axis range={range} height={height} to={right} />
      <line class="gn-bl-now" x1={x(draw)} x2={x(draw)} y1={0} y2={height} />
      <line class="gn-bl-true" x1={LEFT} x2={right} y1={y(truth)} y2={y(truth)} />
      <path class="gn-bl-dots" d={points} />
      <path class="gn-bl-line" d={line} />
      <path class="gn-bl-kept" d={`M${right - 7} ${y(kept[kept.length - 1])}l7 -7l7 7l-7 7z`} />
      {[0, 50, 100, 150, 200].map((t) => (
        <text key={t} x={x(t - 1)} y={height + 16} text-anchor={t === 200 ? "end" : "middle"}>{t === 200 ? `200 ${steps}` : t === 150 && width < 420 ? "" : t}</text>
      ))}
    </svg>
  );
}

/**
 * A row for each norm: mean ± sd now, and a ring where the mean was.
 * @param {{rows: {name: string, now: {mean: number, sd: number}, before: {mean: number, sd: number}, on: boolean, text: string}[], range: Range, width: number, label: string}} props
 */
export function Spreads({ rows, range: [low, high], width, label }) {
  const pitch = 40, height = rows.length * pitch, right = width - 8;
  const x = (/** @type {number} */ v) => 8 + ((right - 8) * (v - low)) / (high - low);
  const bottom = height + 4;
  return (
    <svg class="gn-bl-spreads" width={width} height={height + 24} role="img" aria-label={label}>
      <g class="gn-bl-axis">
        {ticks(low, high, 5).map((v) => (
          <g key={v}>
            <line x1={x(v)} x2={x(v)} y1={0} y2={bottom} />
            <text x={x(v)} y={bottom + 15} text-anchor="middle">{short(v)}</text>
          </g>
        ))}
      </g>
      {rows.map(({ name, now, before, on, text }, i) => {
        const middle = i * pitch + 28;
        return (
          <g key={name} class={on ? "gn-bl-on" : ""}>
            <text x={8} y={middle - 12} class="gn-bl-row">{name}</text>
            <text x={right} y={middle - 12} text-anchor="end" class="gn-bl-row">{text}</text>
            <line class="gn-bl-before" x1={x(before.mean - before.sd)} x2={x(before.mean + before.sd)} y1={middle} y2={middle} />
            <line class="gn-bl-bar" x1={x(now.mean - now.sd)} x2={x(now.mean + now.sd)} y1={middle} y2={middle} />
            <circle class="gn-bl-ring" cx={x(before.mean)} cy={middle} r={6} />
            <circle class="gn-bl-dot" cx={x(now.mean)} cy={middle} r={4} />
          </g>
        );
      })}
    </svg>
  );
}
