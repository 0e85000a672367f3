// A part of a figure that may follow a little after the hand, so that no frame of a drag waits for all parts: it draws
// in a task of its own soon after the frame, always the newest. A quick machine draws all parts before the next frame.
// What a hand does to such a part must go on from the newest state, not from the one that is drawn.
import { useContext, useEffect, useLayoutEffect, useMemo, useState } from "preact/hooks";
import { Frame } from "./figure.js";
import { turns } from "./turns.js";

const { port1, port2 } = new MessageChannel();
const soon = (/** @type {() => void} */ run) => {
  port1.onmessage = run;
  port2.postMessage(null);
};
/** Figures of which not all parts show the newest state; each says so in its attribute data-behind. @type {Set<HTMLElement>} */
const behind = new Set();
const { wait, leave } = turns({ now: () => performance.now(), soon, afterFrame: (run) => requestAnimationFrame(() => soon(run)) }, () => {
  for (const root of behind) delete root.dataset.behind;
  behind.clear();
});

/**
 * @param {{children: () => import("preact").ComponentChildren, layout?: unknown}} props
 *   children: called when it is drawn, so what is dear belongs inside; layout: when this changes, nothing waits
 */
export function Later({ children, layout }) {
  const [shown, show] = useState({ children, layout });
  const root = useContext(Frame);
  const who = useMemo(() => ({}), []);
  const now = shown.layout === layout ? shown.children : children;
  useLayoutEffect(() => {
    if (children === shown.children) return;
    if (root && !behind.has(root)) {
      root.dataset.behind = "";
      behind.add(root);
    }
    wait(who, () => show({ children, layout }));
  }, [children]);
  useEffect(() => () => leave(who), []);
  return useMemo(now, [now]);
}
