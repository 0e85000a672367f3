// Puts a figure into a page: its root, its name among the figures of the page, its end.
import { createContext, h, render } from "preact";
import { keepKeys } from "./notebook_keys.js";

/** @typedef {import("./model.js").Model} Model */

/** The root of the figure around a component. */
export const Frame = createContext(/** @type {HTMLElement | null} */ (null));

/**
 * Mounts a component as the figure of this kind. Returns what takes it away again.
 * @param {{kind: string, label: string, model: Model, el: HTMLElement, component: import("preact").ComponentType<any>}} figure
 */
export function mount({ kind, label, model, el, component }) {
  const root = document.createElement("figure");
  root.className = "gn-figure";
  root.dataset.figure = kind;
  root.setAttribute("aria-label", label);
  root.dataset.name = model.get("name") || el.dataset.name || freeName(kind); // a page counts its figures before they start
  keepKeys(root);
  el.append(root);
  render(h(Frame.Provider, { value: root, children: h(component, { model, name: root.dataset.name, root }) }), root);
  return () => {
    render(null, root);
    root.remove();
  };
}

/** "square", then "square-2", "square-3": the first that no figure of the page has yet. @param {string} kind */
function freeName(kind) {
  const taken = new Set([...document.querySelectorAll("figure.gn-figure")].map((f) => /** @type {HTMLElement} */ (f).dataset.name));
  for (let i = 1; ; i++) {
    const name = i === 1 ? kind : `${kind}-${i}`;
    if (!taken.has(name)) return name;
  }
}
