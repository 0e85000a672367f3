// Reads a tensor that crossed from Python as base64 in its own precision, bit for bit; no DOM.

/** @typedef {"float16" | "bfloat16" | "float32" | "float64"} Precision */

/** @param {string} base64 @param {Precision} precision @returns {Float64Array} every value exactly */
export function decode(base64, precision) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const width = { float16: 2, bfloat16: 2, float32: 4, float64: 8 }[precision];
  if (!width) throw new RangeError(`unknown precision ${precision}`);
  const values = new Float64Array(bytes.length / width);
  for (let i = 0; i < values.length; i++)
    values[i] =
      precision === "float64" ? view.getFloat64(8 * i, true)
      : precision === "float32" ? view.getFloat32(4 * i, true)
      : precision === "bfloat16" ? upper(view.getUint16(2 * i, true))
      : half(view.getUint16(2 * i, true));
  return values;
}

const word = new DataView(new ArrayBuffer(4));

/** bfloat16 is the upper half of a float32. @param {number} bits */
function upper(bits) {
  word.setUint32(0, bits << 16);
  return word.getFloat32(0);
}

/** @param {number} bits of a float16 */
function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24; // subnormal
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/**
 * How the positions of a cell are laid out as a picture. One axis becomes a strip, three or more a sheet of slices;
 * a long strip is wrapped into rows.
 * @typedef {{rows: number, columns: number, index: Int32Array}} Sheet  index: the position shown at a place, or −1
 * @param {number[]} positions the sizes of the axes after samples and channels
 * @returns {Sheet}
 */
export function sheet(positions) {
  const count = positions.reduce((a, b) => a * b, 1);
  let height = 1, width = count; // of one slice
  if (positions.length === 1 && count > 64) width = Math.ceil(Math.sqrt(count));
  if (positions.length >= 2) [height, width] = positions.slice(-2);
  const wrapped = positions.length === 1 && count > 64;
  const slices = wrapped ? Math.ceil(count / width) : count / Math.max(height * width, 1);
  const across = wrapped ? 1 : Math.max(1, Math.round(Math.sqrt((slices * height) / Math.max(width, 1))) || 1);
  const down = Math.ceil(slices / across);
  const rows = Math.max(down * height, 1), columns = Math.max(across * width, 1);
  const index = new Int32Array(rows * columns).fill(-1);
  for (let p = 0; p < count; p++) {
    const slice = Math.floor(p / (height * width)), inside = p % (height * width);
    const row = Math.floor(slice / across) * height + Math.floor(inside / width);
    index[row * columns + (slice % across) * width + (inside % width)] = p;
  }
  return { rows, columns, index };
}
