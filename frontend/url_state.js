// The state of figures in the address: `#anchor?square.b=4&square.g=2&square-2.b=1`. The anchor and other figures' keys
// are left alone. Pure text in, text out; `square.jsx` reads and writes the address.

/** @param {string} fragment with or without its # @returns {{anchor: string, query: string}} */
function parts(fragment) {
  const text = fragment.replace(/^#/, "");
  const cut = text.indexOf("?");
  return cut < 0 ? { anchor: text, query: "" } : { anchor: text.slice(0, cut), query: text.slice(cut + 1) };
}

/**
 * What the address says about one figure.
 * @param {string} fragment @param {string} figure as "square" or "square-2" @returns {Record<string, string>}
 */
export function readState(fragment, figure) {
  /** @type {Record<string, string>} */
  const state = {};
  for (const [key, value] of new URLSearchParams(parts(fragment).query))
    if (key.startsWith(`${figure}.`)) state[key.slice(figure.length + 1)] = value;
  return state;
}

/**
 * The fragment with one figure's state replaced. A figure in its first state leaves no trace.
 * @param {string} fragment @param {string} figure @param {Record<string, string | number>} state
 * @returns {string} with # unless empty
 */
export function writeState(fragment, figure, state) {
  const { anchor, query } = parts(fragment);
  const others = query.split("&").filter((pair) => pair && !decode(pair).startsWith(`${figure}.`));
  const own = Object.entries(state).map(([key, value]) => `${figure}.${encodeURIComponent(key)}=${encodeURIComponent(value)}`);
  const all = [...others, ...own].join("&");
  return anchor || all ? `#${anchor}${all && `?${all}`}` : "";
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a stray % that somebody else put there
  }
}
