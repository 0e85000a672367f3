// The numbers of every block in a real table, some rows at a time.
import { useState } from "preact/hooks";
import { decimals, fixed, scientific, whole } from "./numbers.js";

const ROWS = 64;

/**
 * @param {{
 *   N: number, C: number, point: import("./grouping.js").Point, blocks: import("./moments.js").Moments,
 *   within: Float64Array, between: Float64Array, picked: number, words: import("./strings/en.js").Words,
 * }} props
 */
export function BlockTable({ N, C, point: { b, g }, blocks, within, between, picked, words }) {
  const count = b * g;
  const [turned, setTurned] = useState(/** @type {{page: number, of: number} | null} */ (null));
  // a page that the reader turned to stays until the cut changes; otherwise the picked block is shown
  const page = turned && turned.of === count ? turned.page : Math.floor(picked / ROWS);
  const from = page * ROWS, to = Math.min(count, from + ROWS);
  const perBlock = N / b, perGroup = C / g;
  const digits = digitsOf(blocks);
  const show = (/** @type {number} */ value) => (digits === null ? scientific(value) : fixed(value, digits));
  const rows = Array.from({ length: to - from }, (_, i) => {
    const k = from + i, n = Math.floor(k / g) * perBlock, c = (k % g) * perGroup;
    return (
      <tr key={k} aria-current={k === picked ? "true" : undefined}>
        <th scope="row">{k === picked ? "▸ " : ""}{whole(k + 1)}</th>
        <td>{words.range(n + 1, n + perBlock)}</td>
        <td>{words.range(c + 1, c + perGroup)}</td>
        <td>{show(blocks.mean[k])}</td>
        <td>{show(within[k])}</td>
        <td>{show(between[k])}</td>
        <td>{show(blocks.var[k])}</td>
        <td>{whole(blocks.count[k])}</td>
      </tr>
    );
  });
  const names = words.columns;
  return (
    <>
      <div class="gn-scroll" tabIndex={0} role="region" aria-label={words.table}>
        <table>
          <caption>{words.tableCaption(count, blocks.count[0])}</caption>
          <thead>
            <tr>
              {[names.block, names.samples, names.channels, names.mean, names.within, names.between, names.variance, names.values].map((text) => (
                <th key={text} scope="col">{text}</th>
              ))}
            </tr>
          </thead>
          <tbody>{rows}</tbody>
        </table>
      </div>
      {count > ROWS && (
        <p class="gn-pages">
          <button type="button" class="gn-button" disabled={page === 0} onClick={() => setTurned({ page: page - 1, of: count })}>{words.previous}</button>
          <span>{words.tableRows(from + 1, to, count)}</span>
          <button type="button" class="gn-button" disabled={to === count} onClick={() => setTurned({ page: page + 1, of: count })}>{words.next}</button>
        </p>
      )}
    </>
  );
}

/** Decimals that suit the largest block; null where decimals do not fit. @param {import("./moments.js").Moments} blocks */
function digitsOf(blocks) {
  const most = blocks.var.reduce((a, v) => Math.max(a, v), 0);
  const sizes = [decimals(Math.sqrt(most)), decimals(most), decimals(blocks.mean.some((m) => Math.abs(m) >= 1e7) ? Infinity : 1)];
  return sizes.reduce((a, size) => (a === null || size === null ? null : Math.max(a, size)), 3);
}
