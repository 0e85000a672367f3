// A fold whose content follows the hand while it is open, and catches up once the hand rests while it is closed: so the
// numbers are always on the page, and cost no frame of a drag.
import { useEffect, useMemo, useState } from "preact/hooks";
import { REST } from "./summary.jsx";

/** @param {{summary: string, children: () => import("preact").ComponentChildren}} props */
export function Fold({ summary, children }) {
  const [open, setOpen] = useState(false);
  const [rested, setRested] = useState(() => children);
  useEffect(() => {
    const timer = open ? undefined : setTimeout(() => setRested(() => children), REST);
    return () => clearTimeout(timer);
  }, [children, open]);
  const shown = open ? children : rested;
  const content = useMemo(shown, [shown]);
  return (
    <details class="gn-fold" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{summary}</summary>
      {content}
    </details>
  );
}
