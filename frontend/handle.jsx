// A thing to grab and drag over a plane: by mouse or finger, and by arrow keys. Touch scrolls the page everywhere else.
import { useEffect, useRef, useState } from "preact/hooks";

/** @typedef {[number, number]} Spot  CSS pixels from the upper left corner of the handle's parent */

/**
 * @param {{
 *   at: Spot, kind: string, label?: string, describe?: string, valueText?: string, value?: number, most?: number,
 *   cursor?: string, lockX?: boolean, lockY?: boolean, bounds: [number, number, number, number],
 *   onDrag: (spot: Spot) => void, onKey?: (right: number, down: number) => void, onEnd?: (last: boolean) => void,
 *   onGrab?: () => void, onFollow?: (spot: Spot | null) => void,
 * }} props
 *   at: where it rests; it follows the finger while it is held and springs back to `at`.
 *   without a label it is a mouse's and a finger's only: something else does the same by keyboard.
 */
export function Handle(props) {
  const { at, kind, label, bounds, lockX, lockY } = props;
  const [held, setHeld] = useState(/** @type {Spot | null} */ (null));
  const [released, setReleased] = useState(false); // and on its way back
  useEffect(() => {
    const timer = released ? setTimeout(() => setReleased(false), 250) : undefined;
    return () => clearTimeout(timer);
  }, [released]);
  const grip = useRef(/** @type {Spot} */ ([0, 0])); // from the pointer to the middle
  const [x, y] = held ? [lockX ? at[0] : held[0], lockY ? at[1] : held[1]] : at;

  const spot = (/** @type {PointerEvent} */ event) => {
    const box = /** @type {HTMLElement} */ (/** @type {HTMLElement} */ (event.currentTarget).parentElement).getBoundingClientRect();
    return /** @type {Spot} */ ([event.clientX - box.left, event.clientY - box.top]);
  };
  const follow = (/** @type {Spot | null} */ to) => {
    setHeld(to);
    props.onFollow?.(to && [lockX ? at[0] : to[0], lockY ? at[1] : to[1]]);
  };
  const down = (/** @type {PointerEvent} */ event) => {
    if (event.button) return;
    /** @type {HTMLElement} */ (event.currentTarget).setPointerCapture(event.pointerId);
    const [px, py] = spot(event);
    grip.current = [at[0] - px, at[1] - py];
    follow([...at]);
    props.onGrab?.();
  };
  const move = (/** @type {PointerEvent} */ event) => {
    if (!held) return;
    const [px, py] = spot(event);
    const [left, top, right, bottom] = bounds;
    const to = /** @type {Spot} */ ([
      Math.max(left, Math.min(right, px + grip.current[0])),
      Math.max(top, Math.min(bottom, py + grip.current[1])),
    ]);
    follow(to);
    props.onDrag(to);
  };
  const up = () => {
    if (!held) return;
    follow(null);
    setReleased(true);
  };
  const key = (/** @type {KeyboardEvent} */ event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const step = /** @type {Record<string, [number, number]>} */ ({
      ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
    })[event.key];
    if (step) props.onKey?.(...step);
    else if (event.key === "Home" || event.key === "End") props.onEnd?.(event.key === "End");
    else return;
    event.preventDefault();
    props.onGrab?.();
  };
  const named = label
    ? {
        role: /** @type {const} */ ("slider"), tabIndex: 0, "aria-label": label, "aria-description": props.describe, "aria-valuetext": props.valueText,
        "aria-valuemin": 1, "aria-valuemax": props.most, "aria-valuenow": props.value, onKeyDown: key,
      }
    : { "aria-hidden": /** @type {const} */ (true) };
  return (
    <div
      class={`gn-handle gn-${kind}${held ? " gn-held" : released ? " gn-released" : ""}`}
      style={{ transform: `translate(${x}px, ${y}px)` }}
      onPointerDown={down} onPointerMove={move} onPointerUp={up} onPointerCancel={up} onLostPointerCapture={up}
      {...named}
    >
      <span />
    </div>
  );
}
