// The whole table, value by value: how far each gradient moved. Blocks stand apart; the picked one is framed.
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { RANGE, STEPS } from "./color_scale.js";
import { paint } from "./feature_maps.js";
import { Handle } from "./handle.jsx";
import { places } from "./table_layout.js";

export const LEAST = 0.02; // strength of what moved at all
const LEFT = 30, TOP = 26;

/** Nothing is a grey that reads in light and dark; from the least on a blue that deepens, with the root of the strength. */
const PALETTE = Uint32Array.from({ length: STEPS }, (_, i) => pixel(i ? [38, 130, 186, 255 * Math.min(1, 0.28 + 0.72 * Math.sqrt(i / (STEPS - 1)))] : [132, 134, 140, 64]));

/** @param {number[]} rgba */
function pixel([red, green, blue, opacity]) {
  return ((Math.round(opacity) << 24) | (blue << 16) | (green << 8) | red) >>> 0; // little-endian, as every browser's machine
}

/**
 * @param {{
 *   N: number, C: number, S: number, sheet: import("./tensor.js").Sheet, b: number, g: number, n: number, c: number, p: number, block: number,
 *   strength: Float64Array, width: number, label: string, pickLabel: string, help: string, valueText: string, samples: string, channels: string,
 *   from: () => {n: number, c: number, p: number}, onPick: (n: number, c: number, p: number) => void,
 * }} props  strength: 0 to 1, of every value; from: the value picked at this moment, which the drawn one may be behind
 */
export function MovedMap({ N, C, S, sheet, b, g, n, c, p, block, strength, width, label, pickLabel, help, valueText, samples, channels, from, onPick }) {
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const { rows, columns, index } = sheet;
  const at = useMemo(() => {
    const pitchX = Math.min(64, Math.max(1, width - LEFT - 4) / C);
    const aspect = Math.max(0.7, Math.min(1.6, rows / columns));
    const pitchY = Math.max(Math.min(pitchX * aspect, 300 / N), Math.min(20, 160 / N));
    const gap = (/** @type {number} */ pitch) => Math.min(10, pitch * 0.16), seam = Math.min(pitchX, pitchY) >= 12 ? 1 : 0;
    const size = { width: pitchX - gap(pitchX), height: pitchY - gap(pitchY) };
    return { pitchX, pitchY, seam, ...size, x: places(C, g, pitchX, size.width, seam), y: places(N, b, pitchY, size.height, seam) };
  }, [width, N, C, sheet, b, g]);

  useLayoutEffect(() => {
    const element = canvas.current, ratio = window.devicePixelRatio || 1;
    if (!element) return;
    const size = { width: Math.round(C * at.pitchX * ratio), height: Math.round(N * at.pitchY * ratio) };
    if (element.width !== size.width || element.height !== size.height) Object.assign(element, size);
    const every = (/** @type {number} */ value) => new Float64Array(N * C).fill(value);
    const over = at.seam ? 0 : 1 / ratio; // no hairlines between pictures that touch
    paint(element, { N, C, S, x: strength, sheet }, every(2 * RANGE), every(-RANGE), { ...at, width: at.width + over, height: at.height + over }, ratio, null, PALETTE);
  }, [strength, at]);

  const perBlock = N / b, perGroup = C / g;
  const top = Math.floor(block / g) * perBlock, left = (block % g) * perGroup;
  const frame = {
    transform: `translate(${LEFT + at.x[left] - 3}px, ${TOP + at.y[top] - 3}px)`,
    width: `${at.x[left + perGroup - 1] - at.x[left] + at.width + 6}px`, height: `${at.y[top + perBlock - 1] - at.y[top] + at.height + 6}px`,
  };
  const spot = index.indexOf(p), row = Math.floor(spot / columns), column = spot % columns;
  const step = (/** @type {number} */ right, /** @type {number} */ down) => {
    const at = from(), spot = index.indexOf(at.p);
    go(at.c * columns + (spot % columns) + right, at.n * rows + Math.floor(spot / columns) + down);
  };
  const middle = /** @type {[number, number]} */ ([LEFT + at.x[c] + ((column + 0.5) / columns) * at.width, TOP + at.y[n] + ((row + 0.5) / rows) * at.height]);

  const go = (/** @type {number} */ across, /** @type {number} */ down) => {
    if (across < 0 || down < 0 || across >= C * columns || down >= N * rows) return;
    const position = index[(down % rows) * columns + (across % columns)];
    if (position >= 0) onPick(Math.floor(down / rows), Math.floor(across / columns), position);
  };
  const click = (/** @type {MouseEvent} */ event) => {
    const box = /** @type {HTMLElement} */ (event.currentTarget).getBoundingClientRect();
    const place = (/** @type {number} */ from, /** @type {ArrayLike<number>} */ starts, /** @type {number} */ size, /** @type {number} */ parts) => {
      let nearest = 0;
      for (let i = 1; i < starts.length; i++) if (Math.abs(from - starts[i] - size / 2) < Math.abs(from - starts[nearest] - size / 2)) nearest = i;
      return nearest * parts + Math.max(0, Math.min(parts - 1, Math.floor(((from - starts[nearest]) / size) * parts)));
    };
    go(place(event.clientX - box.left, at.x, at.width, columns), place(event.clientY - box.top, at.y, at.height, rows));
  };
  return (
    <div class="gn-moved" style={{ width: `${LEFT + C * at.pitchX + 4}px`, height: `${TOP + N * at.pitchY + 4}px` }}>
      <span class="gn-moved-channels" aria-hidden="true">{channels}</span>
      <span class="gn-moved-samples" aria-hidden="true">← {samples}</span>
      <canvas
        ref={canvas} role="img" aria-label={label} onClick={click}
        style={{ left: `${LEFT}px`, top: `${TOP}px`, width: `${C * at.pitchX}px`, height: `${N * at.pitchY}px` }}
      />
      <div class="gn-moved-block" style={frame} />
      <Handle
        kind="spot" at={middle} label={pickLabel} describe={help} valueText={valueText} bounds={[0, 0, 0, 0]} onDrag={() => {}} value={(n * C + c) * S + p + 1} most={N * C * S}
        onKey={step}
        onEnd={(last) => (last ? onPick(N - 1, C - 1, S - 1) : onPick(0, 0, 0))}
      />
    </div>
  );
}
