// The head of every figure: its title, one sentence, and two tools: a link to the present state, and full screen.
import { useContext, useEffect, useRef, useState } from "preact/hooks";
import { ownsAddress, writeAddress } from "./address.js";
import { Frame } from "./figure.js";
import { shared } from "./strings/index.js";

/** @param {{title: string, children?: import("preact").ComponentChildren}} props */
export function Lead({ title, children }) {
  return (
    <>
      <figcaption class="gn-lead">
        <strong>{title}</strong>
        {children && <span>{children}</span>}
      </figcaption>
      <Tools />
    </>
  );
}

function Tools() {
  const root = useContext(Frame);
  const words = shared();
  const [said, setSaid] = useState("");
  const [full, setFull] = useState(false);
  const timer = useRef(/** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined));
  useEffect(() => {
    const look = () => setFull(document.fullscreenElement === root);
    document.addEventListener("fullscreenchange", look);
    return () => {
      document.removeEventListener("fullscreenchange", look);
      clearTimeout(timer.current);
    };
  }, [root]);
  if (!root) return null;

  const copy = async () => {
    writeAddress();
    const { anchor, query } = split(location.hash);
    const here = root.closest("[id]")?.id ?? anchor; // the section that the figure stands in
    const fragment = here || query ? `#${encodeURIComponent(here)}${query && `?${query}`}` : "";
    const link = location.href.replace(/#.*/, "") + fragment;
    let text = words.linkCopied;
    try {
      await navigator.clipboard.writeText(link);
    } catch {
      history.replaceState(history.state, "", link); // an insecure page, or refused
      text = words.linkInAddress;
    }
    setSaid(text);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setSaid(""), 4000);
  };
  const toggle = () => (full ? document.exitFullscreen() : root.requestFullscreen()).catch(() => {}); // refused: nothing changes
  return (
    <div class="gn-tools" role="group" aria-label={words.tools}>
      <span aria-live="polite">{said}</span>
      {ownsAddress() && <Tool label={words.copyLink} onClick={copy} path="M6.8 9.2a3 3 0 0 0 4.2 0l2.2-2.2a3 3 0 0 0-4.2-4.2L7.9 3.9M9.2 6.8a3 3 0 0 0-4.2 0L2.8 9a3 3 0 0 0 4.2 4.2l1.1-1.1" />}
      {document.fullscreenEnabled && (
        <Tool
          label={full ? words.leaveFullScreen : words.fullScreen} onClick={toggle}
          path={full ? "M6 2.5V6H2.5M10 2.5V6h3.5M6 13.5V10H2.5M10 13.5V10h3.5" : "M2.5 6V2.5H6M13.5 6V2.5H10M2.5 10v3.5H6M13.5 10v3.5H10"}
        />
      )}
    </div>
  );
}

/** @param {{label: string, path: string, onClick: () => void}} props */
function Tool({ label, path, onClick }) {
  return (
    <button type="button" class="gn-tool" aria-label={label} title={label} onClick={onClick}>
      <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true"><path d={path} /></svg>
    </button>
  );
}

/** @param {string} hash */
function split(hash) {
  const [anchor, ...query] = hash.slice(1).split("?");
  return { anchor: decodeURIComponent(anchor), query: query.join("?") };
}
