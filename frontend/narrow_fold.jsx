// A section that folds where the figure is narrow, so that what is secondary costs a phone no scrolling.
import { useLayoutEffect, useState } from "preact/hooks";

const NARROW = 560; // pixels: below it, figures stand in one column

/** Whether the figure stands in one column. @param {HTMLElement} root */
export function useNarrow(root) {
  const [narrow, setNarrow] = useState(() => root.clientWidth < NARROW);
  useLayoutEffect(() => {
    const measure = () => setNarrow(root.clientWidth < NARROW);
    const observer = new ResizeObserver(measure);
    observer.observe(root);
    return () => observer.disconnect();
  }, [root]);
  return narrow;
}

/** @param {{narrow: boolean, kind: string, title: string, children: () => import("preact").ComponentChildren}} props  kind: a class */
export function NarrowFold({ narrow, kind, title, children }) {
  const [open, setOpen] = useState(false);
  if (!narrow) return <section class={kind}><p class="gn-heading">{title}</p>{children()}</section>;
  return (
    <details class={`gn-fold ${kind}`} open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{title}</summary>
      {open && children()}
    </details>
  );
}
