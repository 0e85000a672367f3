// What the network says: bars, the table of scores, and the table of who notices a change.
import { CLASSES, probabilities } from "./conv_net.js";
import { fixed } from "./numbers.js";
import { NumberTable } from "./number_table.jsx";
import { NOTICEABLE } from "./spoil.js";

/**
 * @typedef {import("./strings/en/activations.js").Words} Words
 * @typedef {{place: import("./grouping.js").Place, g: number, values: Float64Array, scores: Float64Array}} Blind
 *   mean squares by which x̂ and the scores of every image move
 */

/** @param {{chances: number[] | null, before: number[] | null, now: boolean, words: Words}} props  before: without the change */
export function Prediction({ chances, before, now, words }) {
  const top = chances ? chances.indexOf(Math.max(...chances)) : -1;
  const share = (/** @type {number} */ p) => `${(100 * p).toFixed(2)}%`;
  return (
    <ol class="gn-act-bars" aria-busy={!now}>
      {words.classes.map((name, k) => (
        <li key={name} class={k === top ? "gn-on" : ""}>
          <span>{name}</span>
          <span class="gn-act-bar" aria-hidden="true">
            <span style={{ width: share(chances ? chances[k] : 0) }} />
            {before && <i style={{ left: share(before[k]) }} />}
          </span>
          <span>{chances ? words.percent(chances[k]) : ""}</span>
        </li>
      ))}
    </ol>
  );
}

/** @param {{scores: Float64Array | null, names: string[], picked: number, words: Words}} props  picked: the likeliest class of the picked image */
export function ScoresTable({ scores, names, picked, words }) {
  if (!scores) return <p class="gn-note">{words.working}</p>;
  const each = names.map((_, n) => scores.slice(n * CLASSES, (n + 1) * CLASSES));
  const chances = each.map(probabilities);
  return (
    <NumberTable
      label={words.scoresTable} caption={words.scoresCaption} count={CLASSES} current={picked}
      columns={[words.class, ...names]}
      row={(k) => [words.classes[k], ...each.map((of, n) => `${fixed(of[k], 3)} (${words.percent(chances[n][k])})`)]}
    />
  );
}

/**
 * @param {{found: Blind[] | null, now: boolean, image: string, n: number, here: import("./grouping.js").Place, words: Words}} props
 */
export function BlindTable({ found, now, image, n, here, words }) {
  if (!found?.length) return <p class="gn-note">{words.working}</p>;
  const N = found[0].values.length;
  const own = (/** @type {Float64Array} */ squares) => Math.sqrt(squares[n]);
  const others = (/** @type {Float64Array} */ squares) => (N > 1 ? Math.sqrt((squares.reduce((a, v) => a + v, 0) - squares[n]) / (N - 1)) : null);
  const columns = words.columnsBlind;
  const rows = found.map(({ place, g, values, scores }) => ({
    place, name: words.norm(words.names[place], g, place === "group_norm"),
    sizes: [own(values), others(values), own(scores), others(scores)],
  }));
  const most = [0, 1, 2, 3].map((i) => Math.max(...rows.map(({ sizes }) => sizes[i] ?? 0), NOTICEABLE));
  const long = [Math.max(most[0], most[1]), Math.max(most[0], most[1]), Math.max(most[2], most[3]), Math.max(most[2], most[3])];
  const erasing = rows.filter(({ sizes }) => (sizes[0] ?? 0) < NOTICEABLE && (sizes[1] ?? 0) < NOTICEABLE).map(({ name }) => name);
  return (
    <>
      <p class="gn-act-erased">{words.blindSummary(erasing)}</p>
      <div class="gn-scroll" tabIndex={0} role="region" aria-label={words.blindTable} aria-busy={!now}>
        <table class="gn-act-noticing">
          <caption>{words.blindCaption}</caption>
          <thead>
            <tr>{[columns.layer, columns.own(image), columns.others, columns.scores(image), columns.otherScores].map((text) => <th key={text} scope="col">{text}</th>)}</tr>
          </thead>
          <tbody>
            {rows.map(({ place, name, sizes }) => (
              <tr key={place} aria-current={place === here ? "true" : undefined}>
                <th scope="row">{place === here ? "▸ " : ""}{name}</th>
                {sizes.map((size, i) => (
                  <td key={i}>
                    {size === null ? words.alone : size < NOTICEABLE ? <><span class="gn-act-none">{words.erased}</span> {fixed(size, 3)}</> : fixed(size, 3)}
                    <span class="gn-act-size" aria-hidden="true"><span style={{ width: `${(100 * Math.min(1, (size ?? 0) / long[i])).toFixed(1)}%` }} /></span>
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}
