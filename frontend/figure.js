// Puts a figure into a page: its root, its name among the figures of the page, its address, its end.
import { h, render } from "preact";
import { readState, writeState } from "./url_state.js";

/** @typedef {import("./model.js").Model} Model */

/**
 * Mounts a component as the figure of this kind. Returns what takes it away again.
 * @param {{kind: string, label: string, model: Model, el: HTMLElement, component: import("preact").ComponentType<any>}} figure
 */
export function mount({ kind, label, model, el, component }) {
  const root = document.createElement("figure");
  root.className = "gn-figure";
  root.dataset.figure = kind;
  root.setAttribute("aria-label", label);
  root.dataset.name = model.get("name") || freeName(kind);
  el.append(root);
  render(h(component, { model, name: root.dataset.name, root }), root);
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

/** Whether the address bar belongs to the reader: not in a notebook, nor in a frame of one. */
function ownsAddress() {
  return (
    window === window.top &&
    /^(https?|file):$/.test(location.protocol) &&
    !document.body.hasAttribute("data-jp-theme-light") &&
    !document.body.hasAttribute("data-vscode-theme-kind") &&
    !document.body.classList.contains("notebook_app")
  );
}

/**
 * Keeps a figure's state in the address: reads it now and whenever the address changes, writes it through `write`.
 * @param {string} name @param {(state: Record<string, string>) => void} read
 * @returns {{write: (state: Record<string, string | number>) => void, close: () => void}}
 */
export function address(name, read) {
  if (!ownsAddress()) return { write() {}, close() {} };
  const readNow = () => {
    const state = readState(location.hash, name);
    if (Object.keys(state).length) read(state);
  };
  readNow();
  // a fragment with a state is no element's name: go to the anchor before it, as the browser would have
  const anchor = decodeURIComponent(location.hash.slice(1).split("?")[0]);
  if (anchor && location.hash.includes("?") && window.scrollY === 0) document.getElementById(anchor)?.scrollIntoView();
  window.addEventListener("hashchange", readNow);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  return {
    write(state) {
      clearTimeout(timer);
      timer = setTimeout(() => {
        const fragment = writeState(location.hash, name, state);
        if (fragment !== location.hash) history.replaceState(history.state, "", fragment || location.pathname + location.search);
      }, 200); // Safari refuses more than 100 in 30 s
    },
    close() {
      clearTimeout(timer);
      window.removeEventListener("hashchange", readNow);
    },
  };
}
