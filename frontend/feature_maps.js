// Paints a whole table of cells on one canvas. A table is separable: where a picture lies across depends on its channel
// alone, where it lies down on its sample alone. So a line of pixels is made once and copied down: 65,536 values in
// a fraction of a frame.
import { PIXELS, RANGE, STEPS, isLight } from "./color_scale.js";

/**
 * @typedef {{N: number, C: number, S: number, x: Float64Array, sheet: import("./tensor.js").Sheet}} Data
 * @typedef {{x: ArrayLike<number>, y: ArrayLike<number>, width: number, height: number}} Places
 *   left edge of each channel's pictures, upper edge of each sample's, size of a picture; CSS pixels
 */

/** @type {WeakMap<HTMLCanvasElement, {image: ImageData, pixels: Uint32Array}>} */
const buffers = new WeakMap();

/**
 * Paints t = slope · x + offset of every cell, in the colors of the scale.
 * @param {HTMLCanvasElement} canvas @param {Data} data
 * @param {ArrayLike<number>} slope of every cell @param {ArrayLike<number>} offset of every cell
 * @param {Places} places @param {number} ratio device pixels per CSS pixel
 * @param {((t: number) => string) | null} text what to write into a cell of one value, where it fits
 * @param {Uint32Array} palette STEPS pixels, from −RANGE to RANGE
 */
export function paint(canvas, data, slope, offset, places, ratio, text = null, palette = PIXELS) {
  const context = canvas.getContext("2d");
  const { width, height } = canvas;
  if (!context || !width || !height) return;
  let buffer = buffers.get(canvas);
  if (!buffer || buffer.image.width !== width || buffer.image.height !== height) {
    const image = context.createImageData(width, height);
    buffer = { image, pixels: new Uint32Array(image.data.buffer) };
    buffers.set(canvas, buffer);
  }
  const { pixels } = buffer;
  pixels.fill(0);
  const { N, C, S, x, sheet } = data;
  const { rows, columns, index } = sheet;
  const perUnit = (STEPS - 1) / (2 * RANGE);
  const across = edges(places.x, places.width, columns, C, ratio, width);
  const down = edges(places.y, places.height, rows, N, ratio, height);
  for (let n = 0; n < N; n++)
    for (let row = 0; row < rows; row++) {
      const top = down[n * (rows + 1) + row];
      const bottom = down[n * (rows + 1) + row + 1];
      if (bottom <= top) continue;
      const line = top * width;
      for (let c = 0; c < C; c++) {
        const cell = n * C + c;
        const a = slope[cell] * perUnit;
        const b = (offset[cell] + RANGE) * perUnit + 0.5;
        const start = cell * S;
        let edge = c * (columns + 1);
        for (let at = row * columns, end = at + columns; at < end; at++, edge++) {
          const position = index[at], from = line + across[edge], to = line + across[edge + 1];
          if (position < 0 || from >= to) continue; // a picture narrower than its columns shows only some of them
          const step = a * x[start + position] + b;
          const pixel = palette[step < 0 ? 0 : step >= STEPS ? STEPS - 1 : step | 0];
          for (let i = from; i < to; i++) pixels[i] = pixel;
        }
      }
      for (let y = top + 1; y < bottom; y++) pixels.copyWithin(y * width, line, line + width);
    }
  context.putImageData(buffer.image, 0, 0);
  if (!text || S !== 1) return;
  context.font = `${(places.width < 36 ? 10.5 : 12) * ratio}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (let n = 0; n < N; n++)
    for (let c = 0; c < C; c++) {
      const cell = n * C + c;
      const t = slope[cell] * x[cell] + offset[cell];
      context.fillStyle = isLight(t) ? "#000" : "#fff";
      context.fillText(text(t), (places.x[c] + places.width / 2) * ratio, (places.y[n] + places.height / 2) * ratio);
    }
}

/**
 * Where each place of each picture begins and ends, in device pixels.
 * @param {ArrayLike<number>} starts @param {number} size @param {number} parts @param {number} pictures
 * @param {number} ratio @param {number} limit
 */
function edges(starts, size, parts, pictures, ratio, limit) {
  const found = new Int32Array(pictures * (parts + 1));
  for (let p = 0, i = 0; p < pictures; p++) {
    const from = Math.round(starts[p] * ratio);
    const whole = Math.max(1, Math.round(size * ratio));
    for (let k = 0; k <= parts; k++, i++) found[i] = Math.max(0, Math.min(limit, from + Math.round((whole * k) / parts)));
  }
  return found;
}
