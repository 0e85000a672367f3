// One picture of one cell, large, with the picked place in it: by mouse, finger or arrow keys.
import { useLayoutEffect, useRef } from "preact/hooks";
import { Handle } from "./handle.jsx";

/**
 * One picture, large, with the picked place in it.
 * @param {{
 *   draw: (canvas: HTMLCanvasElement) => void, sheet: import("./tensor.js").Sheet, width: number, height: number,
 *   at: [number, number], caption: string, label: string, onPick: (row: number, column: number) => void,
 *   keys?: {label: string, help: string, valueText: string, from?: () => [number, number]} | null,
 * }} props  keys: names for the mark, where arrow keys move it; from where, if this picture may be behind
 */
export function Zoom({ draw, sheet, width, height, at: [row, column], caption, label, onPick, keys }) {
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  useLayoutEffect(() => {
    if (canvas.current) draw(canvas.current);
  });
  const { rows, columns, index } = sheet;
  const clamp = (/** @type {number} */ v, /** @type {number} */ n) => Math.max(0, Math.min(n - 1, v));
  const pick = (/** @type {MouseEvent} */ event) => {
    const box = /** @type {HTMLElement} */ (event.currentTarget).getBoundingClientRect();
    onPick(
      clamp(Math.floor(((event.clientY - box.top) / box.height) * rows), rows),
      clamp(Math.floor(((event.clientX - box.left) / box.width) * columns), columns),
    );
  };
  const spot = /** @type {[number, number]} */ ([((column + 0.5) / columns) * width, ((row + 0.5) / rows) * height]);
  const last = index.lastIndexOf(index.reduce((most, p) => Math.max(most, p), 0));
  return (
    <div class="gn-zoom">
      <div onClick={pick}>
        <canvas ref={canvas} role="img" aria-label={label} style={{ width: `${width}px`, height: `${height}px` }} />
        {keys ? (
          <Handle
            kind="place" at={spot} label={keys.label} describe={keys.help} valueText={keys.valueText} bounds={[0, 0, 0, 0]} onDrag={() => {}}
            value={index[row * columns + column] + 1} most={index.filter((p) => p >= 0).length}
            onKey={(right, down) => {
              const [row0, column0] = keys.from?.() ?? [row, column];
              onPick(clamp(row0 + down, rows), clamp(column0 + right, columns));
            }}
            onEnd={(end) => (end ? onPick(Math.floor(last / columns), last % columns) : onPick(0, 0))}
          />
        ) : (
          <span class="gn-place" style={{ transform: `translate(${spot[0]}px, ${spot[1]}px)` }}><span /></span>
        )}
      </div>
      <p>{caption}</p>
    </div>
  );
}
