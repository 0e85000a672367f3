// One table of cells: pictures, cuts, the block being read, the margins; the first one is also the control.
import { useMemo, useState } from "preact/hooks";
import { places } from "./table_layout.js";
import { Handle } from "./handle.jsx";
import { Later } from "./later.jsx";
import { divisors, nearestDivisor } from "./grouping.js";

/**
 * @typedef {import("./table_layout.js").Layout} Layout
 * @typedef {import("./moments.js").Moments} Moments
 * @typedef {import("./grouping.js").Point} Point
 */

/** The cut that a place of the ring means, and the other way round. @param {Layout} at @param {Point} point */
export function ringAt(at, { b, g }) {
  const outside = 5; // an uncut axis has the ring at its edge, a little outside
  return /** @type {[number, number]} */ ([
    g > 1 ? at.right - (at.C / g) * at.pitchX : at.left + places(at.C, 1, at.pitchX, at.pictureWidth, at.seam)[0] - outside,
    b > 1 ? at.bottom - (at.N / b) * at.pitchY : at.top + places(at.N, 1, at.pitchY, at.pictureHeight, at.seam)[0] - outside,
  ]);
}

/**
 * @param {{
 *   at: Layout, point: Point, picked: [number, number], title: import("preact").ComponentChildren, label: string,
 *   canvas: (element: HTMLCanvasElement | null) => void, margins: () => {rows: Moments, columns: Moments}, domain: number,
 *   marks?: {noticed: Uint8Array, factor: (n: number, c: number) => number} | null, words: import("./strings/en/square.js").Words,
 *   names: {samples: string[], channels: string[]}, pictures: string[], spoilt: [number | null, number | null],
 *   controls?: {
 *     onPoint: (point: Point) => void, onSpoil: (sample: number | null, channel: number | null) => void,
 *     valueText: string, pickText: string, fresh: boolean, onTouched: () => void,
 *   } | null,
 *   onPick: (n: number, c: number, across: number, down: number) => void,
 * }} props
 */
export function CellTable(props) {
  const { at, point, picked, words, controls } = props;
  const { N, C } = at;
  const [following, setFollowing] = useState(/** @type {[number, number] | null} */ (null));
  const px = useMemo(() => places(C, point.g, at.pitchX, at.pictureWidth, at.seam), [point.g, at]);
  const py = useMemo(() => places(N, point.b, at.pitchY, at.pictureHeight, at.seam), [point.b, at]);
  const ring = ringAt(at, point);
  const [ringX, ringY] = following ?? ring;
  const perGroup = C / point.g, perBlock = N / point.b;

  // the block being read, and the cell in it
  const firstC = Math.floor(picked[1] / perGroup) * perGroup, firstN = Math.floor(picked[0] / perBlock) * perBlock;
  const frame = (/** @type {number} */ n, /** @type {number} */ c, /** @type {number} */ down, /** @type {number} */ across, /** @type {number} */ out) => ({
    transform: `translate(${at.left + px[c] - out}px, ${at.top + py[n] - out}px)`,
    width: `${px[c + across - 1] - px[c] + at.pictureWidth + 2 * out}px`,
    height: `${py[n + down - 1] - py[n] + at.pictureHeight + 2 * out}px`,
  });

  const pick = (/** @type {MouseEvent} */ event) => {
    const box = /** @type {HTMLElement} */ (event.currentTarget).getBoundingClientRect();
    const x = event.clientX - box.left, y = event.clientY - box.top;
    const c = Math.max(0, Math.min(C - 1, Math.floor(x / at.pitchX))), n = Math.max(0, Math.min(N - 1, Math.floor(y / at.pitchY)));
    const inside = (/** @type {number} */ v) => Math.max(0, Math.min(0.999, v));
    props.onPick(n, c, inside((x - px[c]) / at.pictureWidth), inside((y - py[n]) / at.pictureHeight));
  };

  return (
    <div class="gn-table" style={{ width: `${at.width}px`, height: `${at.height}px` }}>
      <p class="gn-table-title">{props.title}</p>
      <Later layout={at}>{() => <Margins at={at} {...props.margins()} px={px} py={py} domain={props.domain} words={words} />}</Later>
      <Cuts at={at} point={point} />
      <canvas
        class="gn-cells" role="img" aria-label={props.label} ref={props.canvas} onClick={pick}
        style={{ left: `${at.left}px`, top: `${at.top}px`, width: `${C * at.pitchX}px`, height: `${N * at.pitchY}px` }}
      />
      {controls && <Heads {...props} px={px} py={py} />}
      {props.marks && <Marks at={at} px={px} py={py} {...props.marks} />}
      <div class="gn-block" style={frame(firstN, firstC, perBlock, perGroup, 3)} />
      <div class={`gn-cell${Math.min(at.pictureWidth, at.pictureHeight) < 12 ? " gn-tiny" : ""}`} style={frame(picked[0], picked[1], 1, 1, 0)} />
      {controls && <OwnCut at={at} point={point} ring={[ringX, ringY]} />}
      {controls && (
        <Grips {...props} controls={controls} ring={ring} follow={setFollowing} following={following} px={px} py={py} />
      )}
    </div>
  );
}

/** The cuts where they have snapped to, behind the pictures. @param {{at: Layout, point: Point}} props */
function Cuts({ at, point: { b, g } }) {
  let lines = "";
  const over = 6;
  // where blocks are tiny, lines would hide them: marks at the edges say where the cuts are
  const edges = (/** @type {number} */ size, /** @type {number} */ from, /** @type {number} */ to) =>
    size >= 14 ? [[from - over, to + over]] : [[from - over, from - 1], [to + 1, to + over]];
  for (let j = 1; j < g; j++) {
    const x = at.left + (j * at.C * at.pitchX) / g;
    for (const [y1, y2] of edges((at.C * at.pitchX) / g, at.top, at.bottom)) lines += `M${x} ${y1}V${y2}`;
  }
  for (let j = 1; j < b; j++) {
    const y = at.top + (j * at.N * at.pitchY) / b;
    for (const [x1, x2] of edges((at.N * at.pitchY) / b, at.left, at.right)) lines += `M${x1} ${y}H${x2}`;
  }
  return (
    <svg class="gn-cuts" width={at.width} height={at.height} aria-hidden="true">
      <path d={lines} />
    </svg>
  );
}

/** The cut in the hand, over the pictures: from the ring to its two dots. @param {{at: Layout, point: Point, ring: [number, number]}} props */
function OwnCut({ at, point: { b, g }, ring: [x, y] }) {
  const over = 6;
  return (
    <svg class="gn-cuts gn-own-cut" width={at.width} height={at.height} aria-hidden="true">
      <path d={`M${x} ${g > 1 ? at.top - over : y}V${at.bottom + 12}M${b > 1 ? at.left - over : x} ${y}H${at.right + 12}`} />
    </svg>
  );
}

/**
 * Mean ± sd of every row, on the right, and of every column, below: what is cut apart lines up.
 * @param {{at: Layout, rows: Moments, columns: Moments, px: Float64Array, py: Float64Array, domain: number, words: import("./strings/en/square.js").Words}} props
 */
function Margins({ at, rows, columns, px, py, domain, words }) {
  const half = at.across / 2 - 1, middle = at.right + 20 + at.across / 2;
  const halfDown = at.down / 2 - 1, middleDown = at.bottom + 22 + at.down / 2;
  const clamp = (/** @type {number} */ t) => Math.max(-1, Math.min(1, t / domain));
  const bars = [], dots = [];
  for (let n = 0; n < at.N; n++) {
    const y = at.top + py[n] + at.pictureHeight / 2, sd = Math.sqrt(rows.var[n]);
    const x = (/** @type {number} */ t) => (middle + clamp(t) * half).toFixed(1);
    bars.push(`M${x(rows.mean[n] - sd)} ${y}H${x(rows.mean[n] + sd)}`);
    dots.push(`M${x(rows.mean[n])} ${y}h0`);
  }
  for (let c = 0; c < at.C; c++) {
    const x = at.left + px[c] + at.pictureWidth / 2, sd = Math.sqrt(columns.var[c]);
    const y = (/** @type {number} */ t) => (middleDown - clamp(t) * halfDown).toFixed(1);
    bars.push(`M${x} ${y(columns.mean[c] - sd)}V${y(columns.mean[c] + sd)}`);
    dots.push(`M${x} ${y(columns.mean[c])}h0`);
  }
  return (
    <svg class="gn-margins" width={at.width} height={at.height} aria-hidden="true">
      <line x1={middle} x2={middle} y1={at.top} y2={at.bottom} />
      <line x1={at.left} x2={at.right} y1={middleDown} y2={middleDown} />
      <path d={bars.join("")} style={{ strokeWidth: Math.min(1.5, at.pitchY / 6) }} />
      <path class="gn-dots" d={dots.join("")} style={{ strokeWidth: Math.max(1.5, Math.min(6, at.pitchX * 0.5, at.pitchY * 0.5)) }} />
      <text x={at.width} y={at.across < 40 ? 16 : at.top - 10} text-anchor="end">{words.means}</text>
    </svg>
  );
}

/**
 * The samples on the left, the channels above: a press spoils one. Twins of the two buttons of "Spoil it", which the tab
 * key reaches. Each axis is made anew only when its own pieces move.
 * @param {any} props as CellTable, with px and py
 */
function Heads({ at, names, pictures, spoilt: [sample, channel], controls, words, px, py }) {
  const rows = useMemo(() => Array.from({ length: at.N }, (_, n) => {
    const on = sample === n, word = fits(names.samples, at.head) ? names.samples[n] : n + 1;
    const height = Math.min(at.head, at.pictureHeight);
    const style = { transform: `translate(0, ${at.top + py[n] + at.pictureHeight / 2}px) translateY(-50%)`, width: `${at.head}px` };
    // a name that is seen must stand in the label as it is, without brackets
    const label = words.spoilHead(word === n + 1 ? words.sample(n + 1, names.samples[n] ?? "") : `${words.sample(n + 1, "")}, ${word}`);
    if (height >= 24)
      return (
        <button
          key={n} type="button" tabIndex={-1} class="gn-head gn-row-head" style={{ ...style, height: `${height}px` }}
          aria-pressed={on} aria-label={label} title={label} onClick={() => controls.onSpoil(on ? null : n, channel)}
        >
          {pictures[n] ? <img src={pictures[n]} alt="" /> : word}
          {on && <b>×3</b>}
        </button>
      );
    if (n % at.ticksY && !on) return null;
    const picture = pictures[n] && height >= 14;
    return (
      <span key={n} class={`gn-head gn-row-head${on ? " gn-on" : ""}`} style={style} aria-hidden="true">
        {picture ? <img src={pictures[n]} alt="" style={{ width: `${height}px` }} /> : n + 1}
        {picture && on && <b>×3</b>}
      </span>
    );
  }), [at, py, sample, channel, names, pictures]);

  const columns = useMemo(() => {
    const short = fits(names.channels, at.pitchX);
    return Array.from({ length: at.C }, (_, c) => {
      const on = channel === c;
      if (at.pitchX < 26 && c % at.ticksX && !on) return null;
      const style = { transform: `translate(${at.left + px[c] + at.pictureWidth / 2}px, ${at.top - 18}px) translate(-50%, -50%)` };
      const label = words.spoilHead(short ? `${words.channel(c + 1, "")}, ${names.channels[c]}` : words.channel(c + 1, names.channels[c] ?? ""));
      if (at.pitchX >= 26)
        return (
          <button
            key={c} type="button" tabIndex={-1} class="gn-head gn-column-head" style={style}
            aria-pressed={on} aria-label={label} title={label} onClick={() => controls.onSpoil(sample, on ? null : c)}
          >
            {on ? <b>×3</b> : short ? names.channels[c] : c + 1}
          </button>
        );
      return <span key={c} class={`gn-head gn-column-head${on ? " gn-on" : ""}`} style={style} aria-hidden="true">{c + 1}</span>;
    });
  }, [at, px, sample, channel, names]);
  return <>{rows}{columns}</>;
}

/** Whether every name can stand beside its row or above its column. @param {string[]} names @param {number} width in CSS pixels */
const fits = (names, width) => names.length > 0 && names.every((text) => text.length * 7 <= width);

/**
 * Who notices: a square for a spoilt cell, a ring for a bystander.
 * @param {{at: Layout, px: Float64Array, py: Float64Array, noticed: Uint8Array, factor: (n: number, c: number) => number}} props
 */
function Marks({ at, px, py, noticed, factor }) {
  const r = Math.max(1.2, Math.min(4.5, at.pitchX * 0.12, at.pitchY * 0.12));
  let own = "", bystanders = "";
  for (let n = 0; n < at.N; n++)
    for (let c = 0; c < at.C; c++) {
      if (!noticed[n * at.C + c]) continue;
      const x = at.left + px[c] + at.pictureWidth - r - 2.5, y = at.top + py[n] + r + 2.5;
      if (factor(n, c) !== 1) own += `M${x - r} ${y - r}h${2 * r}v${2 * r}h${-2 * r}z`;
      else bystanders += `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`;
    }
  return (
    <svg class="gn-marks" width={at.width} height={at.height} aria-hidden="true">
      <path class="gn-bystanders" d={bystanders} />
      <path class="gn-own" d={own} />
    </svg>
  );
}

/** The ring, and a dot for each axis alone. @param {any} props */
function Grips({ at, point, controls, words, ring, follow, following, picked, px, py, onPick }) {
  const { N, C } = at;
  const groups = divisors(C), blocks = divisors(N);
  const toG = (/** @type {number} */ x) => C / nearestDivisor((at.right - x) / at.pitchX, C);
  const toB = (/** @type {number} */ y) => N / nearestDivisor((at.bottom - y) / at.pitchY, N);
  const step = (/** @type {number[]} */ stops, /** @type {number} */ value, /** @type {number} */ by) =>
    stops[Math.max(0, Math.min(stops.length - 1, stops.indexOf(value) + by))];
  const bounds = /** @type {[number, number, number, number]} */ ([
    ringLimit(at.left, -6), ringLimit(at.top, -6), at.right - at.pitchX * 0.5, at.bottom - at.pitchY * 0.5,
  ]);
  const common = { bounds, onGrab: controls.onTouched, onFollow: follow };
  const [x, y] = following ?? ring;
  return (
    <>
      {controls.fresh && point.b === 1 && point.g === 1 && (
        <svg class="gn-hint" style={{ left: `${ring[0]}px`, top: `${ring[1]}px` }} width="1" height="1" aria-hidden="true">
          <path d="M20 -6l9 6l-9 6zM-6 20l6 9l6 -9z" />
        </svg>
      )}
      <Handle
        {...common} kind="dot" lockY at={[following ? x : ring[0], at.bottom + 12]} cursor="ew-resize"
        onDrag={([to]) => controls.onPoint({ b: point.b, g: toG(to) })}
        onFollow={(to) => follow(to && [to[0], ring[1]])}
      />
      <Handle
        {...common} kind="dot" lockX at={[at.right + 12, following ? y : ring[1]]} cursor="ns-resize"
        onDrag={([, to]) => controls.onPoint({ b: toB(to), g: point.g })}
        onFollow={(to) => follow(to && [ring[0], to[1]])}
      />
      <Handle
        kind="pick" at={[at.left + px[picked[1]] + at.pictureWidth / 2, at.top + py[picked[0]] + at.pictureHeight / 2]}
        bounds={bounds} label={words.pick} describe={words.pickHelp} valueText={controls.pickText}
        value={picked[0] * C + picked[1] + 1} most={N * C} onDrag={() => {}}
        onKey={(right, down) => onPick(Math.max(0, Math.min(N - 1, picked[0] + down)), Math.max(0, Math.min(C - 1, picked[1] + right)), -1, -1)}
        onEnd={(last) => onPick(last ? N - 1 : 0, last ? C - 1 : 0, -1, -1)}
      />
      <Handle
        {...common} kind={`ring${controls.fresh ? " gn-fresh" : ""}`} at={ring} label={words.ring} describe={words.ringHelp} valueText={controls.valueText}
        value={blocks.indexOf(point.b) * groups.length + groups.indexOf(point.g) + 1} most={groups.length * blocks.length}
        onDrag={([toX, toY]) => controls.onPoint({ b: toB(toY), g: toG(toX) })}
        onKey={(right, down) => controls.onPoint({ b: step(blocks, point.b, down), g: step(groups, point.g, right) })}
        onEnd={(last) => controls.onPoint(last ? { b: N, g: C } : { b: 1, g: 1 })}
      />
    </>
  );
}

const ringLimit = (/** @type {number} */ edge, /** @type {number} */ out) => edge + out;
