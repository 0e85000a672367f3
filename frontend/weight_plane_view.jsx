// The plane of a neuron's two weights: the loss in every direction, the gradient across, a step outwards.
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { FIRST_W, LENGTH, RATE } from "./backward_state.js";
import { Handle } from "./handle.jsx";
import { fixed, short } from "./numbers.js";
import { Slider } from "./slider.jsx";
import { descend, landscape, neuron, turn } from "./weight_plane.js";

/** @typedef {[number, number]} Pair */

const REACH = 2.6; // of the plane, from its middle
const BANDS = 9; // of equal loss

/**
 * @param {{
 *   w: Pair, rate: number, eps: number, size: number, words: import("./strings/en/backward.js").Words,
 *   onChange: (traits: {w?: Pair, rate?: number}) => void,
 * }} props
 */
export function WeightPlane({ w, rate, eps, size, words, onChange }) {
  const text = words.plane;
  const [trail, setTrail] = useState(/** @type {Pair[]} */ ([])); // where the last steps came from
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const now = useMemo(() => neuron(w, eps), [w[0], w[1], eps]);
  const to = descend(w, now.gradient, rate);
  const unit = size / 2 / REACH;
  const spot = (/** @type {Pair} */ [x, y]) => /** @type {Pair} */ ([size / 2 + x * unit, size / 2 - y * unit]);

  useLayoutEffect(() => {
    const element = canvas.current, context = element?.getContext("2d");
    if (!element || !context) return;
    const side = Math.round(size * Math.min(2, window.devicePixelRatio || 1));
    if (element.width !== side || element.height !== side) element.width = element.height = side;
    paintLoss(context, side, landscape(eps));
  }, [eps, size]);

  const direction = (Math.atan2(w[1], w[0]) * 180) / Math.PI;
  const polar = (/** @type {number} */ length, /** @type {number} */ degrees) => {
    const angle = (degrees * Math.PI) / 180;
    const round = (/** @type {number} */ v) => Number(v.toFixed(6));
    setTrail([]);
    onChange({ w: [round(length * Math.cos(angle)), round(length * Math.sin(angle))] });
  };
  const drag = (/** @type {Pair} */ [x, y]) => {
    const at = /** @type {Pair} */ ([(x - size / 2) / unit, (size / 2 - y) / unit]);
    const length = Math.max(LENGTH[0], Math.min(LENGTH[1], Math.hypot(...at)));
    polar(length, (Math.atan2(at[1], at[0]) * 180) / Math.PI);
  };

  const tip = spot(w), next = spot(to), middle = size / 2;
  const far = Math.hypot(next[0] - tip[0], next[1] - tip[1]);
  const after = Math.hypot(...to);
  const two = (/** @type {number} */ v) => fixed(v, 3);
  const simple = Math.sqrt(Number(two(now.length)) ** 2 + Number(two(rate * now.slope)) ** 2);
  const exact = two(after) === two(simple) || Math.abs(after - simple) < 1.5e-3;
  const lean = -2 * rate * now.along; // what the step along w adds to |w|²
  return (
    <div class="gn-plane">
      <div class="gn-plane-picture">
        <div style={{ width: `${size}px`, height: `${size}px` }}>
          <canvas ref={canvas} aria-hidden="true" style={{ width: `${size}px`, height: `${size}px` }} />
          <svg width={size} height={size} role="img" aria-label={text.label}>
            <path class="gn-axes" d={`M0 ${middle}H${size}M${middle} 0V${size}`} />
            <text x={size - 6} y={middle - 6} text-anchor="end">{text.w1}</text>
            <text x={middle + 6} y={14}>{text.w2}</text>
            <circle class="gn-circle" cx={middle} cy={middle} r={now.length * unit} />
            {trail.length > 0 && <path class="gn-trail" d={`M${[...trail, w].map((at) => spot(at).map((v) => v.toFixed(1)).join(" ")).join("L")}`} />}
            <path class="gn-weights" d={`M${middle} ${middle}L${tip[0]} ${tip[1]}`} />
            {far > 1 && <path class="gn-down" d={arrow(tip, next, far)} />}
            {far > 14 && <path class="gn-right-angle" d={rightAngle(tip, next, far, [middle, middle])} />}
          </svg>
          <Handle kind="tip" at={tip} bounds={[0, 0, size, size]} onDrag={drag} />
        </div>
        <p class="gn-note">{text.shade}</p>
      </div>
      <div class="gn-plane-words">
        <p class="gn-plane-idea">{text.idea}</p>
        <dl class="gn-plane-numbers">
          <div><dt>{text.loss}</dt><dd>{two(now.loss)}</dd></div>
          <div><dt>{text.lengthSymbol}</dt><dd>{two(now.length)}</dd></div>
          <div><dt>{text.slope}</dt><dd>{two(now.slope)}</dd></div>
          <div class="gn-wide-row"><dt>{text.dot}</dt><dd>{Math.abs(now.along) < 1e-13 ? text.dotZero : <>{short(now.along)} <small>{text.dotEps}</small></>}</dd></div>
          <div class="gn-wide-row"><dt>{text.after}</dt><dd>{exact ? text.pythagoras(two(now.length), two(rate * now.slope), two(after)) : text.leaning(two(now.length), two(rate * now.slope), `${lean < 0 ? "−" : "+"} ${two(Math.abs(lean))}`, two(after))}</dd></div>
          <div class="gn-wide-row"><dt>{text.turned}</dt><dd>{fixed(turn(w, to), 1)}°</dd></div>
        </dl>
        <div class="gn-buttons">
          <button type="button" class="gn-button" onClick={() => { setTrail([...trail.slice(-40), w]); onChange({ w: to }); }}>{text.step}</button>
          <button type="button" class="gn-button" onClick={() => { setTrail([]); onChange({ w: FIRST_W, rate: 1 }); }}>{text.start}</button>
        </div>
        <div class="gn-plane-sliders">
          <Slider label={text.direction} min={-180} max={180} step={1} value={direction} text={text.degrees(direction)} onValue={(v) => polar(now.length, v)} />
          <Slider label={text.length} min={LENGTH[0]} max={LENGTH[1]} step={0.05} value={now.length} text={fixed(now.length, 2)} onValue={(v) => polar(v, direction)} />
          <Slider label={text.rate} min={RATE[0]} max={RATE[1]} step={0.1} value={rate} text={fixed(rate, 1)} onValue={(v) => onChange({ rate: v })} />
        </div>
        <p class="gn-note">{text.decay}</p>
      </div>
    </div>
  );
}

/** An arrow from one spot to another. @param {Pair} from @param {Pair} to @param {number} far */
function arrow(from, to, far) {
  const [x, y] = [(to[0] - from[0]) / far, (to[1] - from[1]) / far], head = Math.min(9, far * 0.6);
  const back = (/** @type {number} */ side) => `${to[0] - head * x - side * head * 0.5 * y} ${to[1] - head * y + side * head * 0.5 * x}`;
  return `M${from[0]} ${from[1]}L${to[0]} ${to[1]}M${back(1)}L${to[0]} ${to[1]}L${back(-1)}`;
}

/** The mark of a right angle at w, between the way back to the middle and the step. @param {Pair} tip @param {Pair} next @param {number} far @param {Pair} middle */
function rightAngle(tip, next, far, middle) {
  const length = Math.hypot(middle[0] - tip[0], middle[1] - tip[1]), side = Math.min(17, length * 0.5);
  const step = [((next[0] - tip[0]) / far) * side, ((next[1] - tip[1]) / far) * side];
  const home = [((middle[0] - tip[0]) / length) * side, ((middle[1] - tip[1]) / length) * side];
  return `M${tip[0] + step[0]} ${tip[1] + step[1]}l${home[0]} ${home[1]}l${-step[0]} ${-step[1]}`;
}

/**
 * Bands of equal loss, darker the higher; a grey that reads in light and dark.
 * @param {CanvasRenderingContext2D} context @param {number} side @param {(first: number, second: number) => number} loss
 */
function paintLoss(context, side, loss) {
  const image = context.createImageData(side, side);
  const low = lowest(loss, 1), high = -lowest((a, b) => -loss(a, b), 1);
  for (let row = 0, i = 0; row < side; row++)
    for (let column = 0; column < side; column++, i += 4) {
      const value = loss((((column + 0.5) / side) * 2 - 1) * REACH, (1 - ((row + 0.5) / side) * 2) * REACH);
      const band = Math.floor(((value - low) / (high - low)) * BANDS * 0.9999);
      image.data[i] = image.data[i + 1] = image.data[i + 2] = 128;
      image.data[i + 3] = 10 + (120 * Math.max(0, Math.min(BANDS - 1, band))) / (BANDS - 1);
    }
  context.putImageData(image, 0, 0);
}

/** The least loss on the circle of this length. @param {(first: number, second: number) => number} loss @param {number} length */
function lowest(loss, length) {
  let least = Infinity;
  for (let degrees = 0; degrees < 360; degrees++)
    least = Math.min(least, loss(length * Math.cos((degrees * Math.PI) / 180), length * Math.sin((degrees * Math.PI) / 180)));
  return least;
}
