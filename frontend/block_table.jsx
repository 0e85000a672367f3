// The statistics of every block in a real table.
import { decimals, fixed, scientific, whole } from "./numbers.js";
import { NumberTable } from "./number_table.jsx";

/**
 * @param {{
 *   N: number, C: number, point: import("./grouping.js").Point, blocks: import("./moments.js").Moments,
 *   within: Float64Array, between: Float64Array, picked: number, words: Pick<import("./strings/en/square.js").Words, "table" | "tableCaption" | "columns" | "range">,
 * }} props
 */
export function BlockTable({ N, C, point: { b, g }, blocks, within, between, picked, words }) {
  const perBlock = N / b, perGroup = C / g;
  const digits = digitsOf(blocks);
  const show = (/** @type {number} */ value) => (digits === null ? scientific(value) : fixed(value, digits));
  const names = words.columns;
  return (
    <NumberTable
      label={words.table} caption={words.tableCaption(b * g, blocks.count[0])} count={b * g} current={picked}
      columns={[names.block, names.samples, names.channels, names.mean, names.within, names.between, names.variance, names.values]}
      row={(k) => {
        const n = Math.floor(k / g) * perBlock, c = (k % g) * perGroup;
        return [
          whole(k + 1), words.range(n + 1, n + perBlock), words.range(c + 1, c + perGroup),
          show(blocks.mean[k]), show(within[k]), show(between[k]), show(blocks.var[k]), whole(blocks.count[k]),
        ];
      }}
    />
  );
}

/** Decimals that suit the largest block; null where decimals do not fit. @param {import("./moments.js").Moments} blocks */
function digitsOf(blocks) {
  const most = blocks.var.reduce((a, v) => Math.max(a, v), 0);
  const sizes = [decimals(Math.sqrt(most)), decimals(most), decimals(blocks.mean.some((m) => Math.abs(m) >= 1e7) ? Infinity : 1)];
  return sizes.reduce((a, size) => (a === null || size === null ? null : Math.max(a, size)), 3);
}
