// One color scale for values before and after: lightness rises all the way (it survives grey print and color blindness),
// the hue turns at 0. Data keeps its colors in the dark. No DOM.

/** Values beyond ± RANGE have the end colors. */
export const RANGE = 2.6;

/** @type {[number, [number, number, number]][]} */
const STOPS = [
  [-2.6, [14, 22, 48]],
  [-1.3, [46, 66, 110]],
  [0, [132, 134, 140]],
  [1.3, [226, 190, 138]],
  [2.6, [255, 248, 228]],
];
export const STEPS = 256;

/** @param {number} t @returns {[number, number, number]} red, green, blue */
export function color(t) {
  let i = 0;
  while (i < STOPS.length - 2 && t > STOPS[i + 1][0]) i++;
  const [[low, from], [high, to]] = [STOPS[i], STOPS[i + 1]];
  const w = Math.max(0, Math.min(1, (t - low) / (high - low)));
  return /** @type {[number, number, number]} */ (from.map((channel, k) => Math.round(channel + w * (to[k] - channel))));
}

/** The scale as pixels of a canvas, from −RANGE to RANGE. */
export const PIXELS = Uint32Array.from({ length: STEPS }, (_, i) => {
  const [red, green, blue] = color(-RANGE + (2 * RANGE * i) / (STEPS - 1));
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0; // little-endian machines only: so is every browser
});

/** Dark text or light on this color? @param {number} t */
export const isLight = (t) => t > -0.45;

/** CSS for a bar of the whole scale. */
export const GRADIENT = `linear-gradient(to right, ${STOPS.map(([at, rgb]) => `rgb(${rgb}) ${((at + RANGE) / RANGE) * 50}%`).join(", ")})`;

/**
 * How values before normalization meet the scale: t = (x − center) / unit. Values of about the size of normalized ones
 * keep their own numbers, so that one color means one number in both tables; others get a number line of their own.
 * @typedef {{center: number, unit: number, shared: boolean}} Line
 * @param {number} mean of all values @param {number} sd of all values @returns {Line}
 */
export function line(mean, sd) {
  const size = Math.hypot(mean, sd);
  if (size === 0 || (size >= 0.5 && size <= 2)) return { center: 0, unit: 1, shared: true };
  const unit = sd > 0 ? sd : Math.abs(mean);
  return { center: sd > 0 ? mean : 0, unit, shared: false };
}
