// The feature maps of one image in a grid, cut into groups of channels; and the image itself.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { paint } from "./feature_maps.js";

const GAP = 6; // pixels between maps: the cut runs in the middle

/**
 * @param {{
 *   C: number, S: number, sheet: import("./tensor.js").Sheet, groups: number, picked: number, x: Float64Array,
 *   slope: Float64Array, offset: Float64Array, title: import("preact").ComponentChildren, label: string,
 *   onPick: (channel: number, position: number) => void,
 * }} props
 */
export function MapGrid({ C, S, sheet, groups, picked, x, slope, offset, title, label, onPick }) {
  const box = useRef(/** @type {HTMLDivElement | null} */ (null)), canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const measure = () => setWidth(box.current?.clientWidth ?? 0);
    measure();
    const observer = new ResizeObserver(measure);
    if (box.current) observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  const columns = C > 16 && width >= 300 ? 8 : 4, rows = C / columns;
  const mapWidth = Math.max(8, Math.floor((Math.max(width, 100) + GAP) / columns) - GAP);
  const mapHeight = Math.round(mapWidth * Math.max(0.3, Math.min(2, sheet.rows / sheet.columns)));
  const acrossPitch = mapWidth + GAP, downPitch = mapHeight + GAP;
  const full = { width: columns * acrossPitch - GAP, height: rows * downPitch - GAP };

  useLayoutEffect(() => {
    if (!canvas.current || !width) return;
    const ratio = window.devicePixelRatio || 1;
    const pixels = { width: Math.round(full.width * ratio), height: Math.round(full.height * ratio) };
    if (canvas.current.width !== pixels.width || canvas.current.height !== pixels.height) Object.assign(canvas.current, pixels);
    const places = {
      x: Array.from({ length: columns }, (_, i) => i * acrossPitch), y: Array.from({ length: rows }, (_, i) => i * downPitch),
      width: mapWidth, height: mapHeight,
    };
    paint(canvas.current, { N: rows, C: columns, S, x, sheet }, slope, offset, places, ratio);
  }, [x, slope, offset, width, columns, C, S]);

  // a cut runs where neighbors belong to different groups
  const group = (/** @type {number} */ c) => Math.floor((c * groups) / C);
  let cuts = "";
  for (let c = 0; c < C; c++) {
    const left = (c % columns) * acrossPitch, top = Math.floor(c / columns) * downPitch;
    const right = left + acrossPitch - GAP / 2, bottom = top + downPitch - GAP / 2;
    if ((c + 1) % columns && group(c + 1) !== group(c)) cuts += `M${right} ${top - GAP / 2}V${bottom}`;
    if (c + columns < C && group(c + columns) !== group(c)) cuts += `M${left - GAP / 2} ${bottom}H${right}`;
  }
  const inside = (/** @type {number} */ v, /** @type {number} */ most) => Math.max(0, Math.min(most - 1, Math.floor(v)));
  const pick = (/** @type {MouseEvent} */ event) => {
    const edge = /** @type {HTMLElement} */ (event.currentTarget).getBoundingClientRect();
    const across = event.clientX - edge.left, down = event.clientY - edge.top;
    const column = inside(across / acrossPitch, columns), row = inside(down / downPitch, rows);
    const position = sheet.index[
      inside(((down - row * downPitch) / mapHeight) * sheet.rows, sheet.rows) * sheet.columns + inside(((across - column * acrossPitch) / mapWidth) * sheet.columns, sheet.columns)
    ];
    if (position >= 0) onPick(row * columns + column, position);
  };
  return (
    <div class="gn-act-grid" ref={box}>
      <p class="gn-act-grid-title">{title}</p>
      <div style={{ width: `${full.width}px`, height: `${full.height}px` }}>
        <canvas ref={canvas} role="img" aria-label={label} style={{ width: `${full.width}px`, height: `${full.height}px` }} onClick={pick} />
        <svg width={full.width} height={full.height} aria-hidden="true"><path d={cuts} /></svg>
        <span
          class="gn-act-picked"
          style={{ width: `${mapWidth + 6}px`, height: `${mapHeight + 6}px`, transform: `translate(${(picked % columns) * acrossPitch - 3}px, ${Math.floor(picked / columns) * downPitch - 3}px)` }}
        />
      </div>
    </div>
  );
}

/** One image as the network gets it. @param {{bytes: Uint8Array, n: number, H: number, W: number}} props */
export function Photograph({ bytes, n, H, W }) {
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  useLayoutEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return;
    const image = context.createImageData(W, H);
    for (let i = 0; i < H * W; i++) {
      for (let color = 0; color < 3; color++) image.data[4 * i + color] = bytes[(n * 3 + color) * H * W + i];
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }, [bytes, n, H, W]);
  return <canvas ref={canvas} width={W} height={H} aria-hidden="true" />;
}
