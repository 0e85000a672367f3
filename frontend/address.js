// Keeps a figure's state in the page's address: reads it now and whenever the address changes, writes it once the hand rests.
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { readState, writeState } from "./url_state.js";

/** Whether the address bar belongs to the reader: not in a notebook, nor in a frame of one. */
export function ownsAddress() {
  return (
    window === window.top &&
    /^(https?|file):$/.test(location.protocol) &&
    !document.body.hasAttribute("data-jp-theme-light") &&
    !document.body.hasAttribute("data-vscode-theme-kind") &&
    !document.body.classList.contains("notebook_app")
  );
}

/** What waits to be written, figure by figure. @type {Map<string, () => void>} */
const waiting = new Map();

/** Writes what waits, now. */
export function writeAddress() {
  for (const write of [...waiting.values()]) write();
}

/**
 * @param {string} name of the figure in the page
 * @param {Record<string, string | number>} said what the address should say of it: {} in its first state
 * @param {(said: Record<string, string>) => void} read takes what the address says
 */
export function useAddress(name, said, read) {
  const latest = useRef(read);
  latest.current = read;
  useLayoutEffect(() => {
    if (!ownsAddress()) return undefined;
    const readNow = () => {
      const state = readState(location.hash, name);
      if (Object.keys(state).length) latest.current(state);
    };
    readNow();
    // a fragment with a state is no element's name: go to the anchor before it, as the browser would have
    const [anchor] = location.hash.slice(1).split("?");
    const isOurs = Object.keys(readState(location.hash, name)).length > 0; // others may start later, when the reader is elsewhere
    if (anchor && isOurs && window.scrollY === 0) document.getElementById(decodeURIComponent(anchor))?.scrollIntoView({ behavior: "instant" });
    window.addEventListener("hashchange", readNow);
    return () => {
      waiting.delete(name);
      window.removeEventListener("hashchange", readNow);
    };
  }, []);
  const text = JSON.stringify(said);
  const wrote = useRef("{}");
  useEffect(() => {
    if (text === wrote.current || !ownsAddress()) return undefined;
    wrote.current = text;
    const write = () => {
      waiting.delete(name);
      const fragment = writeState(location.hash, name, JSON.parse(text));
      if (fragment !== location.hash) history.replaceState(history.state, "", fragment || location.pathname + location.search);
    };
    waiting.set(name, write);
    const timer = setTimeout(() => waiting.get(name) === write && write(), 200); // Safari refuses more than 100 in 30 s
    return () => clearTimeout(timer);
  }, [text]);
}
