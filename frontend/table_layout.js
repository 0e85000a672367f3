// Where everything in a table of cells lies, in CSS pixels; no DOM.

/**
 * @typedef {{
 *   N: number, C: number, pitchX: number, pitchY: number, pictureWidth: number, pictureHeight: number, seam: number,
 *   left: number, top: number, right: number, bottom: number, head: number, across: number, down: number,
 *   width: number, height: number, ticksX: number, ticksY: number,
 * }} Layout
 *   left … bottom: the lattice; across: room of the margin on its right; down: room of the margin below it
 */

export const TOP = 34; // above the lattice: the title of the table, then the channels' heads

/**
 * @param {number} width to fill @param {number} N @param {number} C
 * @param {{rows: number, columns: number}} sheet of one picture @param {boolean} pictures whether samples have pictures
 * @returns {Layout}
 */
export function layout(width, N, C, sheet, pictures) {
  const values = sheet.rows * sheet.columns === 1;
  const narrow = width < 400;
  const across = narrow ? 26 : 40;
  const cap = 84;
  let head = pictures ? (narrow ? 26 : 40) : 26;
  const rest = () => width - head - 12 - 20 - across;
  let pitchX = Math.min(cap, rest() / C);
  if (pictures && !narrow) {
    head = Math.max(26, Math.min(64, Math.round(pitchX * 0.82)));
    pitchX = Math.min(cap, rest() / C);
  }
  if (pitchX > 12) pitchX = Math.floor(pitchX);
  const aspect = values ? Math.min(1, 34 / pitchX) : Math.max(0.4, Math.min(1.6, sheet.rows === 1 ? 0.7 : sheet.rows / sheet.columns));
  let pitchY = Math.min(pitchX * aspect, Math.max(260, 1.05 * width) / N);
  pitchY = Math.max(pitchY, Math.min(26, 320 / N)); // many narrow channels: rows stay tall enough to see
  if (pitchY > 12) pitchY = Math.floor(pitchY);
  const gap = (/** @type {number} */ pitch) => Math.max(0.5, Math.min(8, pitch * 0.11));
  const left = head + 12;
  const top = TOP + 26;
  const right = left + C * pitchX;
  const bottom = top + N * pitchY;
  const down = narrow ? 26 : 36;
  return {
    N, C, pitchX, pitchY,
    pictureWidth: pitchX - gap(pitchX), pictureHeight: pitchY - gap(pitchY),
    seam: Math.min(pitchX, pitchY) >= 12 ? 1 : 0,
    left, top, right, bottom, head, across, down,
    width: right + 20 + across, height: bottom + 22 + down,
    ticksX: Math.ceil((String(C).length * 7 + 6) / pitchX), ticksY: Math.ceil(14 / pitchY),
  };
}

/**
 * The same table without heads, for the second one: moved left where it stands beside the first, up where it stands below.
 * @param {Layout} at @param {boolean} beside @returns {Layout}
 */
export function headless(at, beside) {
  const left = beside ? at.left - 8 : 0, up = beside ? 0 : 16;
  return {
    ...at, head: 0, left: at.left - left, right: at.right - left, width: at.width - left,
    top: at.top - up, bottom: at.bottom - up, height: at.height - up,
  };
}

/**
 * Where each of `count` pictures begins when the axis is cut into `blocks`: pieces of a block lie close, in its middle.
 * @param {number} count @param {number} blocks @param {number} pitch @param {number} size @param {number} seam
 * @returns {Float64Array} from the lattice's edge
 */
export function places(count, blocks, pitch, size, seam) {
  const k = count / blocks;
  return Float64Array.from({ length: count }, (_, i) => {
    const block = Math.floor(i / k);
    return (block + 0.5) * k * pitch + ((i % k) - (k - 1) / 2) * (size + seam) - size / 2;
  });
}
