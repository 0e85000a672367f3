// The values of one block in rows that stand under each other: x, dy, what is left of it without its mean, dx. What is
// drawn in blue is taken off on the way to the next row.
import { Handle } from "./handle.jsx";

/** @typedef {import("./strings/en/backward.js").Words} Words */

const GUTTER = 46; // for the numbers of the axis
const EDGE = 6; // free above and below
const HEIGHT = 96;

/**
 * @typedef {{
 *   count: number, picked: number, starts: {at: number, size: number, n: number, c: number}[],
 *   x: Float64Array, d: Float64Array, centered: Float64Array, along: Float64Array, dx: Float64Array, before: Float64Array | null,
 *   mean: number, spread: number, push: number,
 * }} Shown  the columns of a block that are shown; mean, spread: μ and σ of x; push: mean of d
 * @typedef {{x: [number, number], d: number, dx: number}} Scales  the ends of the axes
 * @typedef {{x: (v: number) => string, d: (v: number) => string, dx: (v: number) => string}} Show
 */

/**
 * @param {{
 *   shown: Shown, scales: Scales, show: Show, width: number, scaled: boolean, words: Words, plot: {current: HTMLDivElement | null},
 *   locked: boolean, onPick: (column: number) => void, onPull: (column: number, d: number) => void, onShift: (column: number, x: number) => void,
 * }} props  locked: γ is 0, and no drag of d can say what dy is
 */
export function Stages({ shown, scales, show, width, scaled, words, plot, locked, onPick, onPull, onShift }) {
  const { count, picked, x, d, centered, along, dx, before, mean, spread, push, starts } = shown;
  const room = Math.max(40, width - GUTTER), step = Math.min(110, room / count), bar = Math.max(1, Math.min(26, step * 0.5));
  const middle = (/** @type {number} */ i) => GUTTER + (i + 0.5) * step;
  const end = GUTTER + count * step;
  const [low, high] = scales.x;
  const yX = line(low, high), yD = line(-scales.d, scales.d), yDx = line(-scales.dx, scales.dx);
  const bars = (/** @type {Float64Array} */ values, /** @type {(v: number) => number} */ y) =>
    values.reduce((path, v, i) => (v === 0 || !Number.isFinite(v) ? path : `${path}M${middle(i).toFixed(1)} ${y(0).toFixed(1)}V${y(v).toFixed(1)}`), "");
  const marks = (/** @type {Float64Array} */ values, /** @type {(v: number) => number} */ y, /** @type {number} */ half) =>
    values.reduce((path, v, i) => (Number.isFinite(v) ? `${path}M${(middle(i) - half).toFixed(1)} ${y(v).toFixed(1)}h${(2 * half).toFixed(1)}` : path), "");
  const shared = { step, count, picked, end, onPick };
  const zero = (/** @type {(v: number) => number} */ y) => <line class="gn-zero" x1={GUTTER} x2={end} y1={y(0)} y2={y(0)} />;
  const bounds = /** @type {[number, number, number, number]} */ ([middle(picked), EDGE, middle(picked), HEIGHT - EDGE]);
  return (
    <div class="gn-stages" role="group" aria-label={words.stages}>
      <Stage {...shared} name={words.stage.x} note={words.stageNote.x} number={show.x(x[picked])} ends={[show.x(high), show.x(low)]} plot={plot}
        onDrag={(column, y) => onShift(column, yX.back(y))}
        handle={<Handle kind="shift" at={[middle(picked), yX(x[picked])]} lockX bounds={bounds} onDrag={([, y]) => onShift(picked, yX.back(y))} />}
      >
        <rect class="gn-spread" x={GUTTER} width={end - GUTTER} y={yX(mean + spread)} height={Math.max(0, yX(mean - spread) - yX(mean + spread))} />
        <line class="gn-taken" x1={GUTTER} x2={end} y1={yX(mean)} y2={yX(mean)} />
        <path class="gn-dots" d={marks(x, yX, 0)} style={{ strokeWidth: Math.max(2, Math.min(8, step * 0.6)) }} />
      </Stage>
      <Stage {...shared} name={scaled ? words.stage.scaled : words.stage.dy} note={words.stageNote.dy} number={show.d(d[picked])} ends={[`±${show.d(scales.d)}`]}
        onDrag={locked ? undefined : (column, y) => onPull(column, yD.back(y))}
        handle={!locked && <Handle kind="pull" at={[middle(picked), yD(d[picked])]} lockX bounds={bounds} onDrag={([, y]) => onPull(picked, yD.back(y))} />}
      >
        {zero(yD)}
        <path class="gn-bars" d={bars(d, yD)} style={{ strokeWidth: bar }} />
        <line class="gn-taken" x1={GUTTER} x2={end} y1={yD(push)} y2={yD(push)} />
      </Stage>
      <Stage {...shared} name={words.stage.centered[scaled ? "scaled" : "plain"]} note={words.stageNote.centered} number={show.d(centered[picked])} ends={[`±${show.d(scales.d)}`]}>
        {zero(yD)}
        <path class="gn-bars" d={bars(centered, yD)} style={{ strokeWidth: bar }} />
        <path class="gn-taken" d={marks(along, yD, Math.max(1.5, bar / 2 + 3))} />
      </Stage>
      <Stage {...shared} name={words.stage.dx} note={before ? <>{words.stageNote.dx}; {words.legendBefore}</> : words.stageNote.dx} number={show.dx(dx[picked])} ends={[`±${show.dx(scales.dx)}`]} last>
        {zero(yDx)}
        {before && <path class="gn-before" d={bars(before, yDx)} style={{ strokeWidth: bar + Math.min(8, step * 0.3) }} />}
        <path class="gn-bars" d={bars(dx, yDx)} style={{ strokeWidth: bar }} />
      </Stage>
      <Cells starts={starts} step={step} words={words} />
    </div>
  );
}

/** A value to its place down a row, and back. @param {number} low @param {number} high */
function line(low, high) {
  const scale = (HEIGHT - 2 * EDGE) / Math.max(high - low, Number.MIN_VALUE);
  const y = (/** @type {number} */ v) => Math.max(0, Math.min(HEIGHT, EDGE + (high - v) * scale));
  y.back = (/** @type {number} */ at) => high - (at - EDGE) / scale;
  return y;
}

/**
 * One row. A mouse drags any column; a finger taps one, and drags the handle.
 * @param {{
 *   name: string, note: import("preact").ComponentChildren, number: string, ends: string[], step: number, count: number, picked: number, end: number, last?: boolean,
 *   plot?: {current: HTMLDivElement | null}, handle?: import("preact").ComponentChildren, children: import("preact").ComponentChildren,
 *   onPick: (column: number) => void, onDrag?: (column: number, y: number) => void,
 * }} props
 */
function Stage({ name, note, number, ends, step, count, picked, end, last, plot, handle, children, onPick, onDrag }) {
  const place = (/** @type {MouseEvent} */ event) => {
    const box = /** @type {HTMLElement} */ (event.currentTarget).getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left - GUTTER) / step);
    return { column, y: Math.max(EDGE, Math.min(HEIGHT - EDGE, event.clientY - box.top)) };
  };
  const isHandle = (/** @type {Event} */ event) => /** @type {HTMLElement} */ (event.target).closest(".gn-handle");
  const down = (/** @type {PointerEvent} */ event) => {
    if (event.button || isHandle(event)) return;
    const { column } = place(event);
    if (column < 0 || column >= count) return;
    onPick(column);
    if (event.pointerType === "mouse" && onDrag) /** @type {HTMLElement} */ (event.currentTarget).setPointerCapture(event.pointerId);
  };
  const move = (/** @type {PointerEvent} */ event) => {
    if (onDrag && /** @type {HTMLElement} */ (event.currentTarget).hasPointerCapture(event.pointerId) && event.movementY) onDrag(picked, place(event).y);
  };
  return (
    <div class={`gn-stage${last ? " gn-last" : ""}`}>
      <p class="gn-stage-name"><i>{name}</i> <small>{note}</small></p>
      <div class={`gn-stage-plot${onDrag ? " gn-free" : ""}`} ref={plot} onPointerDown={down} onPointerMove={move}>
        <svg width="100%" height={HEIGHT} aria-hidden="true">
          <rect class="gn-column" x={GUTTER + picked * step} width={step} y={0} height={HEIGHT} />
          <text x={GUTTER - 6} y={EDGE + 8} text-anchor="end">{ends[0]}</text>
          {ends[1] && <text x={GUTTER - 6} y={HEIGHT - EDGE} text-anchor="end">{ends[1]}</text>}
          <line class="gn-side" x1={GUTTER} x2={GUTTER} y1={0} y2={HEIGHT} />
          <line class="gn-side" x1={end} x2={end} y1={0} y2={HEIGHT} />
          {children}
        </svg>
        {handle}
      </div>
      <p class="gn-stage-number" aria-hidden="true">{number}</p>
    </div>
  );
}

/** Which cells the columns belong to. @param {{starts: Shown["starts"], step: number, words: Words}} props */
function Cells({ starts, step, words }) {
  const fits = Math.min(...starts.map(({ size }) => size * step));
  const text = fits > 130 ? words.cell : fits > 30 ? words.cellShort : null;
  return (
    <div class="gn-stage gn-stage-cells" aria-hidden="true">
      <p class="gn-stage-name"><small>{text === words.cellShort ? words.cellsShort : ""}</small></p>
      <div>
        {starts.map(({ at, size, n, c }) => (
          <span key={at} style={{ left: `${GUTTER + at * step}px`, width: `${size * step}px` }}>{text?.(n + 1, c + 1)}</span>
        ))}
      </div>
    </div>
  );
}
