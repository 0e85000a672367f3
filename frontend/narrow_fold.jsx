// A section that folds where the figure is narrow, so that what is secondary costs a phone no scrolling.
import { useLayoutEffect, useState } from "preact/hooks";

/** Whether the figure is narrower than so many pixels. @param {HTMLElement} root @param {number} least */
export function useNarrow(root, least = 560) {
  const [narrow, setNarrow] = useState(() => root.clientWidth < least);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => setNarrow(root.clientWidth < least));
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
