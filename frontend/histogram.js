// Counts of values in bins of equal width; no DOM. d3's bin() keeps every value in an array, too slow at 65,536 a frame.

/**
 * Adds the values (x − center) · scale + shift of one cell to the counts. Values outside the range fall into the end bins.
 * @param {Float64Array} counts @param {ArrayLike<number>} x @param {number} start @param {number} end
 * @param {number} center @param {number} scale @param {number} shift @param {[number, number]} range
 */
export function count(counts, x, start, end, center, scale, shift, [low, high]) {
  const last = counts.length - 1;
  const perUnit = counts.length / (high - low);
  for (let i = start; i < end; i++) {
    const bin = Math.floor(((x[i] - center) * scale + shift - low) * perUnit);
    counts[bin < 0 ? 0 : bin > last ? last : bin]++;
  }
}
