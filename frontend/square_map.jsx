// The map of all legal points: each drawn as the table cut that way, its ink saying who shares (or who notices).
import { useMemo } from "preact/hooks";
import { divisors, place } from "./grouping.js";

/** @typedef {import("./grouping.js").Point} Point */

const FINEST = 16; // lines of a small table; finer cuts are drawn as if they were this fine

/**
 * @param {{
 *   N: number, C: number, point: Point, width: number, words: import("./strings/en/square.js").Words, label: string,
 *   inked: (point: Point, block: number) => boolean, onPoint: (point: Point) => void,
 * }} props  inked: whether a block of a point is filled, blocks counted row by row
 */
export function SquareMap({ N, C, point, width, words, label, inked, onPoint }) {
  const rows = divisors(N), columns = divisors(C);
  const left = 26, right = 20, top = 44, bottom = 22;
  const w = Math.max(width, 150);
  const room = w - left - right;
  const stepX = room / columns.length;
  const stepY = Math.max(24, Math.min(58, rows.length > 1 ? (Math.min(room, 300) * 0.78) / rows.length : 40, stepX * 1.2));
  const glyphW = Math.max(5, Math.min(44, stepX * 0.68));
  const glyphH = Math.max(5, Math.min(glyphW * 0.66, stepY * 0.6));
  const x = (/** @type {number} */ g) => left + (columns.indexOf(g) + 0.5) * stepX;
  const y = (/** @type {number} */ b) => top + (rows.indexOf(b) + 0.5) * stepY;
  const height = top + rows.length * stepY + bottom;
  const here = place(point, N, C);

  const go = (/** @type {MouseEvent} */ event) => {
    const box = /** @type {SVGElement} */ (event.currentTarget).getBoundingClientRect();
    const pickFrom = (/** @type {number[]} */ list, /** @type {number} */ at) => list[Math.max(0, Math.min(list.length - 1, Math.floor(at)))];
    onPoint({
      b: pickFrom(rows, (((event.clientY - box.top) * height) / box.height - top) / stepY),
      g: pickFrom(columns, (((event.clientX - box.left) * w) / box.width - left) / stepX),
    });
  };

  // only a mouse drags over the map: a finger that comes down on it may be about to scroll, and is heard when it taps
  const drag = (/** @type {PointerEvent} */ event) => {
    if (event.pointerType !== "mouse" || !event.buttons) return;
    if (event.type === "pointerdown") /** @type {SVGElement} */ (event.currentTarget).setPointerCapture(event.pointerId);
    go(event);
  };

  // drawn anew only when the ink changes, not whenever the point does
  const glyphs = useMemo(
    () => rows.flatMap((b) => columns.map((g) => ({ b, g, ...glyph({ b, g }, x(g), y(b), glyphW, glyphH, inked) }))),
    [inked, N, C, w],
  );

  const pictures = useMemo(() => glyphs.map(({ b, g, ink, ground }) => (
    <g key={`${b} ${g}`} class={`gn-glyph${place({ b, g }, N, C) === "unnamed" ? " gn-unnamed" : ""}`}>
      <rect x={x(g) - glyphW / 2 - 4} y={y(b) - glyphH / 2 - 4} width={glyphW + 8} height={glyphH + 8} class="gn-clear" />
      <path class="gn-ground" d={ground} />
      <path class="gn-ink" d={ink} />
    </g>
  )), [glyphs]);

  /** @type {[keyof import("./strings/en/square.js").Words["mapLabels"], number, number, "start" | "middle" | "end"][]} */
  const labels = [];
  const lastG = columns.at(-1) ?? 1, lastB = rows.at(-1) ?? 1;
  const leftEdge = x(1) - glyphW / 2, rightEdge = x(lastG) + glyphW / 2;
  const up = y(1) - glyphH / 2 - 9, low = y(lastB) + glyphH / 2 + 17;
  const middle = (x(1) + x(lastG)) / 2;
  if (rows.length > 1) {
    if (columns.length > 1) labels.push(["everything", leftEdge, up, "start"]);
    if (columns.length > 2) labels.push(["batch_group_norm", middle, up, "middle"]);
    labels.push(["batch_norm", columns.length > 1 ? rightEdge : middle, up, columns.length > 1 ? "end" : "middle"]);
  }
  if (columns.length > 1) labels.push(["layer_norm", leftEdge, low, "start"]);
  if (columns.length > 2) labels.push(["group_norm", middle, low, "middle"]);
  labels.push(["instance_norm", columns.length > 1 ? rightEdge : middle, low, columns.length > 1 ? "end" : "middle"]);

  const everyX = Math.ceil(22 / stepX);
  return (
    <svg class="gn-map" viewBox={`0 0 ${w} ${height}`} height={height} role="img" aria-label={label} onPointerDown={drag} onPointerMove={drag} onClick={go}>
      <text class="gn-axis" x={x(1) - glyphW / 2} y={11}>{words.mapGroups}</text>
      {columns.map((g, i) => (i % everyX === 0 || g === point.g) && (
        <text key={`g${g}`} class={g === point.g ? "gn-on" : ""} x={x(g)} y={top - 20 + 1} text-anchor="middle">{g}</text>
      ))}
      <text class="gn-axis" transform={`translate(9 ${y(lastB) + glyphH / 2}) rotate(-90)`}>{words.mapBlocks}</text>
      {rows.map((b) => (
        <text key={`b${b}`} class={b === point.b ? "gn-on" : ""} x={left - 2} y={y(b) + 4} text-anchor="end">{b}</text>
      ))}
      <path class="gn-edges" d={`M${x(1)} ${y(1)}H${x(lastG)}V${y(lastB)}H${x(1)}z`} />
      {pictures}
      <path class="gn-ink-here" d={glyphs.find(({ b, g }) => b === point.b && g === point.g)?.ink} />
      <rect class="gn-here" rx={4} width={glyphW + 10} height={glyphH + 10}
        style={{ transform: `translate(${x(point.g) - glyphW / 2 - 5}px, ${y(point.b) - glyphH / 2 - 5}px)` }} />
      {labels.map(([where, lx, ly, anchor]) => (
        <text key={where} class={where === here ? "gn-place gn-on" : "gn-place"} x={lx} y={ly} text-anchor={anchor}>{words.mapLabels[where]}</text>
      ))}
      {rows.length > 2 && columns.length > 1 && (
        <text class={here === "ghost_batch_norm" ? "gn-place gn-on" : "gn-place"} text-anchor="middle"
          transform={`translate(${rightEdge + 9} ${(y(1) + y(lastB)) / 2}) rotate(90)`}>{words.mapLabels.ghost_batch_norm}</text>
      )}
    </svg>
  );
}

/**
 * A small table cut at a point, as two paths: the blocks that are inked, and the others.
 * @param {Point} point @param {number} x its middle @param {number} y @param {number} width @param {number} height
 * @param {(point: Point, block: number) => boolean} inked
 */
function glyph({ b, g }, x, y, width, height, inked) {
  const left = x - width / 2, top = y - height / 2;
  const shownB = Math.min(b, FINEST), shownG = Math.min(g, FINEST);
  const w = width / shownG, h = height / shownB;
  const gapX = Math.min(1.5, w * 0.3), gapY = Math.min(1.5, h * 0.3);
  const round = (/** @type {number} */ v) => Math.round(v * 100) / 100;
  const shape = `h${round(w - gapX)}v${round(h - gapY)}h${round(gapX - w)}z`;
  let ink = "", ground = "";
  for (let i = 0; i < shownB; i++)
    for (let j = 0; j < shownG; j++) {
      // a finer cut shows a piece as inked if any of the blocks in it is
      let filled = false;
      for (let r = Math.floor((i * b) / shownB); r < Math.floor(((i + 1) * b) / shownB) && !filled; r++)
        for (let c = Math.floor((j * g) / shownG); c < Math.floor(((j + 1) * g) / shownG) && !filled; c++) filled = inked({ b, g }, r * g + c);
      const path = `M${round(left + j * w + gapX / 2)} ${round(top + i * h + gapY / 2)}${shape}`;
      if (filled) ink += path;
      else ground += path;
    }
  return { ink, ground };
}
