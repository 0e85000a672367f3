// Reads and writes the traits of an anywidget model (get, set, save_changes, on, off), and redraws when one changes.
import { useLayoutEffect, useReducer } from "preact/hooks";

/**
 * @typedef {{
 *   get: (name: string) => any, set: (name: string, value: any) => void, save_changes: () => void,
 *   on: (event: string, listener: () => void) => void, off: (event: string, listener: () => void) => void,
 * }} Model
 */

/** Redraws the component whenever one of the traits changes. @param {Model} model @param {readonly string[]} names */
export function useTraits(model, names) {
  const [, redraw] = useReducer((/** @type {number} */ turn) => turn + 1, 0);
  // not useEffect: its end comes later than that of the view, and a view that is gone must not listen
  useLayoutEffect(() => {
    const listener = () => redraw(undefined);
    for (const name of names) model.on(`change:${name}`, listener);
    return () => {
      for (const name of names) model.off(`change:${name}`, listener);
    };
  }, [model]);
}

/** Writes some traits and tells the kernel, if there is one. @param {Model} model @param {Record<string, unknown>} traits */
export function write(model, traits) {
  let changed = false;
  for (const [name, value] of Object.entries(traits))
    if (model.get(name) !== value) {
      model.set(name, value);
      changed = true;
    }
  if (changed) model.save_changes();
}
