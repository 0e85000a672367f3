// Numbers in a real table, some rows at a time.
import { useState } from "preact/hooks";
import { shared } from "./strings/index.js";

const ROWS = 64;

/**
 * @param {{
 *   label: string, caption: string, columns: string[], count: number, current?: number, rows?: number,
 *   row: (k: number) => (string | number)[],
 * }} props  row: what stands in row k, its name first; current: the row being read, −1 for none; rows: the most shown at a time
 */
export function NumberTable({ label, caption, columns, count, row, current = -1, rows = ROWS }) {
  const [turned, setTurned] = useState(/** @type {{page: number, of: number} | null} */ (null));
  const words = shared();
  // a page that the reader turned to stays until the table has other rows; otherwise the current one is shown
  const page = turned && turned.of === count ? turned.page : Math.floor(Math.max(current, 0) / rows);
  const from = page * rows, to = Math.min(count, from + rows);
  const turn = (/** @type {number} */ by) => setTurned({ page: page + by, of: count });
  return (
    <>
      <div class="gn-scroll" tabIndex={0} role="region" aria-label={label}>
        <table>
          <caption>{caption}</caption>
          <thead>
            <tr>{columns.map((text) => <th key={text} scope="col">{text}</th>)}</tr>
          </thead>
          <tbody>
            {Array.from({ length: to - from }, (_, i) => {
              const k = from + i;
              const [head, ...cells] = row(k);
              return (
                <tr key={k} aria-current={k === current ? "true" : undefined}>
                  <th scope="row">{k === current ? "▸ " : ""}{head}</th>
                  {cells.map((text, j) => <td key={j}>{text}</td>)}
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      {count > rows && (
        <p class="gn-pages">
          <button type="button" class="gn-button" disabled={page === 0} onClick={() => turn(-1)}>{words.previous}</button>
          <span>{words.tableRows(from + 1, to, count)}</span>
          <button type="button" class="gn-button" disabled={to === count} onClick={() => turn(1)}>{words.next}</button>
        </p>
      )}
    </>
  );
}
