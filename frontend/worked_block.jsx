// The block of the picked cell, worked out: its μ, its σ² in two parts, one value's x̂ with the numbers in the formula.
import { paint } from "./feature_maps.js";
import { addsUp, decimals, fewestDigits, fixed, scientific, short, worksOut } from "./numbers.js";
import { Zoom } from "./zoom.jsx";

/**
 * @typedef {{
 *   mean: number, within: number, between: number, variance: number, running: boolean, eps: number,
 *   value: number, normalized: number, gamma: number, beta: number, output: number,
 * }} Worked
 */

const MOST_CELLS = 96; // of a block that are drawn

/**
 * @param {{
 *   content: {N: number, C: number, S: number, positions: number[], x: Float64Array, sheet: import("./tensor.js").Sheet},
 *   cells: import("./moments.js").Moments, point: import("./grouping.js").Point, picked: [number, number], position: number,
 *   worked: Worked, look: {before: Float64Array[], after: Float64Array[]}, symbol: string, show: (value: number) => string,
 *   words: import("./strings/en/square.js").Words, title: string, name: string, width: number,
 *   quietest: {c: number, sd: number, name: string, onPick: () => void} | null, now: () => number, onPick: (position: number) => void,
 * }} props  now: the position of this moment, which the drawn one may be behind; look: slope and offset of every cell, from x to the color scale; show: how a value of x is written
 */
export function WorkedBlock({ content, cells, point, picked: [n, c], position, worked, look, symbol, show, words, title, name, width, quietest, now, onPick }) {
  const { N, C, S, positions, x, sheet } = content;
  const perBlock = N / point.b, perGroup = C / point.g, size = perBlock * perGroup, cell = n * C + c;
  const placeOf = (/** @type {number} */ p) => {
    const spot = sheet.index.indexOf(p);
    return /** @type {[number, number]} */ ([Math.floor(spot / sheet.columns), spot % sheet.columns]);
  };
  const box = { width: 88, height: Math.round(88 * Math.max(0.3, Math.min(1.4, sheet.rows / sheet.columns))) };
  const draw = (/** @type {Float64Array[]} */ [slope, offset]) => (/** @type {HTMLCanvasElement} */ canvas) => {
    const ratio = window.devicePixelRatio || 1;
    const pixels = { width: Math.round(box.width * ratio), height: Math.round(box.height * ratio) };
    if (canvas.width !== pixels.width || canvas.height !== pixels.height) Object.assign(canvas, pixels);
    const one = { N: 1, C: 1, S, x: x.subarray(cell * S, (cell + 1) * S), sheet };
    paint(canvas, one, [slope[cell]], [offset[cell]], { x: [0], y: [0], ...box }, ratio);
  };
  const zoom = {
    sheet, ...box, at: placeOf(position),
    onPick: (/** @type {number} */ row, /** @type {number} */ column) => {
      const to = sheet.index[row * sheet.columns + column];
      if (to >= 0) onPick(to);
    },
  };
  const says = `x = ${show(worked.value)}`;
  const firstN = Math.floor(n / perBlock) * perBlock, firstC = Math.floor(c / perGroup) * perGroup;
  const place = (n - firstN) * perGroup + c - firstC, around = Math.max(0, Math.min(size - MOST_CELLS, place - MOST_CELLS / 2));
  const shown = Array.from({ length: Math.min(size, MOST_CELLS) }, (_, i) => {
    const at = around + i, k = (firstN + Math.floor(at / perGroup)) * C + firstC + (at % perGroup);
    return { mean: cells.mean[k], sd: Math.sqrt(cells.var[k]), picked: k === cell };
  });
  return (
    <>
      <p class="gn-heading">{title} <span>{worked.running ? words.workedRunning(size * S) : words.workedSize(size, S)}</span></p>
      <div class="gn-value">
        <div>
          <div class="gn-zooms">
            <Zoom
              {...zoom} draw={draw(look.before)} caption={says} label={words.zoomBefore}
              keys={S > 1 ? { label: words.value, help: words.valueHelp, valueText: words.valueAt(positions, position, says), from: () => placeOf(now()) } : null}
            />
            <span aria-hidden="true">→</span>
            <Zoom {...zoom} draw={draw(look.after)} caption={`${symbol} = ${fixed(worked.output, 2)}`} label={words.zoomAfter} />
          </div>
          <p class="gn-picked-name">{name}</p>
        </div>
        <Formulas worked={worked} cells={size} words={words} />
      </div>
      <BlockCells cells={shown} of={size} mean={worked.mean} sd={Math.sqrt(worked.variance)} running={worked.running} words={words} width={width} />
      <p class="gn-note gn-quietest">
        {quietest && <Quietest {...quietest} here={quietest.c === c} words={words} />} {!worked.running && words.byEps(...spreadOf(worked))}
      </p>
    </>
  );
}

/** What its spread becomes, which ε keeps below 1, and whether it has none. @param {Worked} worked @returns {[number, boolean]} */
const spreadOf = ({ variance, eps }) => [Math.sqrt(variance / (variance + eps)), variance === 0];

/** The channel with the least spread, to be picked. @param {{sd: number, name: string, here: boolean, words: import("./strings/en/square.js").Words, onPick: () => void}} props */
function Quietest({ sd, name, here, words, onPick }) {
  return (
    <>
      {sd === 0 ? words.dead(name) : here ? words.quietestHere(short(sd)) : words.quietest(name, short(sd))}
      {!here && <>{" "}<button type="button" class="gn-quiet" onClick={onPick}>{words.pickQuietest}</button></>}
    </>
  );
}

/** @param {{worked: Worked, cells: number, words: import("./strings/en/square.js").Words}} props */
function Formulas({ worked, cells, words }) {
  const { mean, within, between, variance, running, eps, value, normalized, gamma, beta, output } = worked;
  const shown = 2; // decimals of the result
  const sizes = [Math.sqrt(variance), variance, Math.max(Math.abs(mean), Math.abs(value)) >= 1e7 ? Infinity : 1].map(decimals);
  const plain = sizes.every((size) => size !== null);
  const least = Math.max(2, ...sizes.map((size) => size ?? 0));
  const formula = (/** @type {number} */ x, /** @type {number} */ m, /** @type {number} */ v) => (x - m) / Math.sqrt(v + eps);
  const sums = (/** @type {number} */ d) => running || addsUp([within, between], variance, d);
  const exact = plain ? fewestDigits(least, (d) => sums(d) && worksOut([value, mean, variance], formula, d, shown)) : null;
  const digits = exact ?? fewestDigits(least, sums) ?? least;
  const show = (/** @type {number} */ v) => (plain ? fixed(v, digits) : scientific(v));
  const signed = (/** @type {number} */ v, text = show(v)) => (v < 0 ? `(${text})` : text);
  const equals = exact === null ? "≈" : "=";
  const share = running || !(within + between > 0) ? null : within / (within + between);
  const affine = gamma !== 1 || beta !== 0;
  return (
    <dl class="gn-formulas">
      <div>
        <dt>μ</dt>
        <dd>= <b>{show(mean)}</b> <small>{running ? words.running : words.ofCells(cells)}</small></dd>
      </div>
      <div>
        <dt>σ²</dt>
        <dd>
          {running ? <>= <b>{show(variance)}</b></> : <>= {show(within)} + {show(between)} {plain ? "=" : "≈"} <b>{show(variance)}</b></>}
          {" "}<small>{running ? words.runningVariance : words.withinBetween}</small>
        </dd>
      </div>
      {/* a running variance has no parts, and a variance of zero none to show: the bar's place stays, empty */}
      <div class={`gn-parts${share === null ? " gn-none" : ""}`} aria-hidden="true">
        <p><span style={{ width: `${100 * (share ?? 0)}%` }} /><span style={{ width: `${100 * (1 - (share ?? 0))}%` }} /></p>
        <small>{words.shares(Math.round(100 * (share ?? 0)))}</small>
      </div>
      <div class="gn-worked">
        <dt>x̂</dt>
        <dd>
          = <span class="gn-fraction">
            <span>{show(value)} − {signed(mean)}</span>
            <span class="gn-sr"> / </span>
            <span><span class="gn-root">√</span><span class="gn-under">{show(variance)} + ε</span></span>
          </span> {equals} <b>{fixed(normalized, shown)}</b>
        </dd>
      </div>
      {affine && (
        <div>
          <dt>y</dt>
          <dd>= {fixed(gamma, 2)} · {signed(normalized, fixed(normalized, shown))} + {signed(beta, fixed(beta, 2))} = <b>{fixed(output, shown)}</b> <small>γ x̂ + β</small></dd>
        </div>
      )}
    </dl>
  );
}

/**
 * The block's cells, each as mean ± sd, against the block's own.
 * @param {{
 *   cells: {mean: number, sd: number, picked: boolean}[], of: number, mean: number, sd: number, running: boolean, words: import("./strings/en/square.js").Words, width: number,
 * }} props
 */
function BlockCells({ cells, of, mean, sd, running, words, width }) {
  const height = 84, label = 56, room = Math.max(60, width - label);
  const limit = Math.max(...cells.map((cell) => Math.abs(cell.mean - mean) + cell.sd), sd, 1e-300) * 1.06;
  const y = (/** @type {number} */ v) => height / 2 - ((v - mean) / limit) * (height / 2 - 2);
  const step = Math.min(44, room / cells.length);
  const end = step * cells.length;
  const caption = cells.length < of ? words.cellsShown(cells.length, of) : words.cells(of);
  // four paths for however many cells
  const draw = (/** @type {(cell: {mean: number, sd: number}, x: string) => string} */ one) => (/** @type {boolean} */ picked) =>
    cells.map((cell, i) => (cell.picked === picked ? one(cell, ((i + 0.5) * step).toFixed(1)) : "")).join("");
  const bars = draw((cell, x) => `M${x} ${y(cell.mean - cell.sd).toFixed(1)}V${y(cell.mean + cell.sd).toFixed(1)}`);
  const dots = draw((cell, x) => `M${x} ${y(cell.mean).toFixed(1)}h0`);
  const apart = Math.abs(y(mean + sd) - y(mean)) > 13;
  return (
    <figure class="gn-block-cells" aria-label={caption}>
      <svg width={width} height={height} aria-hidden="true">
        <rect class="gn-band" x={0} width={end + 4} y={y(mean + sd)} height={Math.max(0, y(mean - sd) - y(mean + sd))} />
        <line class="gn-mean" x1={0} x2={end + 10} y1={y(mean)} y2={y(mean)} />
        {apart && <text x={end + 14} y={y(mean + sd) + 4}>μ + σ</text>}
        <text x={end + 14} y={y(mean) + 4}>{apart ? "μ" : "μ ± σ"}</text>
        {apart && <text x={end + 14} y={y(mean - sd) + 4}>μ − σ</text>}
        <path class="gn-spreads" d={bars(false)} />
        <path class="gn-spreads gn-on" d={bars(true)} />
        <path class="gn-means" d={dots(false)} style={{ strokeWidth: Math.min(6, step * 0.8 + 1) }} />
        <path class="gn-means" d={dots(true)} style={{ strokeWidth: Math.min(9, step * 0.8 + 1) }} />
      </svg>
      <p aria-hidden="true">{caption}. <span class="gn-pooled">{running ? words.pooledRunning : words.pooled}</span></p>
    </figure>
  );
}
