// Lines of code that can be copied.
import { useEffect, useRef, useState } from "preact/hooks";
import { shared } from "./strings/index.js";

/** @param {{lines: {library: string, code: string, note?: string}[]}} props */
export function CodeLines({ lines }) {
  const words = shared();
  return (
    <dl class="gn-code">
      {lines.map(({ library, code, note }) => (
        <div key={library}>
          <dt>{library}</dt>
          <dd>
            <code>{code}</code>
            {note && <small> # {note}</small>}
          </dd>
          <dd><Copy text={note ? `${code}  # ${note}` : code} label={words.copyLine(library)} /></dd>
        </div>
      ))}
    </dl>
  );
}

/** @param {{text: string, label: string}} props */
function Copy({ text, label }) {
  const words = shared();
  const [done, setDone] = useState("");
  const timer = useRef(/** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined));
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async (/** @type {MouseEvent} */ event) => {
    const line = /** @type {HTMLElement} */ (event.currentTarget).closest("dl > div")?.querySelector("code");
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // no clipboard here (an insecure page, or refused): the line is left selected, ready for the reader's own copy
      if (line) getSelection()?.selectAllChildren(line);
      return;
    }
    setDone(text);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setDone(""), 2000);
  };
  return (
    <button type="button" class="gn-button gn-copy" aria-label={label} onClick={copy}>
      <span aria-live="polite">{done === text ? words.copied : words.copy}</span>
    </button>
  );
}
