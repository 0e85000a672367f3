// An image and the same image changed, before a norm and after it, side by side; and in words whether the norm makes them equal.
import { useLayoutEffect, useRef } from "preact/hooks";
import { fixed } from "./numbers.js";
import { NOTICEABLE } from "./spoil.js";

/** @typedef {(canvas: HTMLCanvasElement) => void} Draw */

/**
 * @param {{
 *   before: [Draw, Draw], after: [Draw, Draw], width: number, height: number, moves: {own: number, others: number | null} | null,
 *   now: boolean, title: string, verdict: string, words: import("./strings/en/activations.js").Words,
 * }} props  before, after: as it is, and changed; moves: root mean square of x̂'s difference; now: of the present state
 */
export function ChangedPair({ before, after, width, height, moves, now, title, verdict, words }) {
  const equal = moves !== null && same(moves);
  const two = (/** @type {[Draw, Draw]} */ draws, /** @type {string} */ symbol, /** @type {string} */ where, /** @type {string} */ sign) => (
    <div class="gn-act-two">
      <p><i>{symbol}</i> {where}</p>
      <Map draw={draws[0]} {...{ width, height }} label={words.pairMap(where, false)} caption={words.pairAs[0]} />
      <span aria-hidden="true">{sign}</span>
      <Map draw={draws[1]} {...{ width, height }} label={words.pairMap(where, true)} caption={words.pairAs[1]} />
    </div>
  );
  return (
    <div class="gn-act-pair" aria-busy={!now}>
      <p class="gn-heading">{title}</p>
      {two(before, "x", words.pairWhere[0], "")}
      {two(after, "x̂", words.pairWhere[1], moves === null ? "" : equal ? "=" : "≠")}
      <div class="gn-act-equal">
        <p class={equal ? "gn-on" : ""}>{verdict}</p>
        <p class="gn-note">{words.pairNote}</p>
      </div>
    </div>
  );
}

/** Whether no image comes out differently. @param {{own: number, others: number | null}} moves */
export const same = ({ own, others }) => own < NOTICEABLE && (others ?? 0) < NOTICEABLE;

/**
 * Whether the two are equal, in words.
 * @param {{own: number, others: number | null} | null} moves @param {string} image @param {string} norm @param {boolean} everywhere whether all images were changed
 * @param {import("./strings/en/activations.js").Words} words
 */
export function verdictOn(moves, image, norm, everywhere, words) {
  if (!moves) return words.working;
  const { own, others } = moves;
  if (same(moves)) return words.equal(norm);
  const bystanders = others === null ? "" : everywhere ? words.alsoOthers(fixed(others, 3)) : others < NOTICEABLE ? words.othersKept : words.othersMoved(fixed(others, 3));
  return (own < NOTICEABLE ? words.ownEqual(image) : words.differs(image, fixed(own, 3))) + bystanders;
}

/** @param {{draw: Draw, width: number, height: number, label: string, caption: string}} props */
function Map({ draw, width, height, label, caption }) {
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  useLayoutEffect(() => {
    if (canvas.current) draw(canvas.current);
  });
  return (
    <div>
      <canvas ref={canvas} role="img" aria-label={label} style={{ width: `${width}px`, height: `${height}px` }} />
      <p class="gn-note">{caption}</p>
    </div>
  );
}
