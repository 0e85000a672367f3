// The batch laboratory: batches of real images, the guesses that they make, and what the guesses do to one image. This
// module reads the state, computes with batch_draws.js and moments.js, and hands numbers to the parts that draw.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import "./figure.css";
import "./batch_lab.css";
import { useAddress } from "./address.js";
import { BatchRow, Funnel, Keeping, LEFT, RIGHT, Spreads, columnsOf, rangeOf } from "./batch_charts.jsx";
import { DRAWS, MOST, SIZES, channel as channelOf, company, drawn, guesses, keeping, pyramid, summarize, tested, truth } from "./batch_draws.js";
import { CONTENT, LEAST_LIGHT, MOMENTA, MOST_SEEDS, STATE, fromAddress, readState, toAddress } from "./batch_lab_state.js";
import { Choice } from "./choice.jsx";
import { DivisorSlider } from "./divisor_slider.jsx";
import { paint } from "./feature_maps.js";
import { mount } from "./figure.js";
import { Fold } from "./fold.jsx";
import { usualGroups } from "./grouping.js";
import { Later } from "./later.jsx";
import { Lead } from "./lead.jsx";
import { useTraits, write } from "./model.js";
import { moments, pool, untrained } from "./moments.js";
import { NarrowFold, useNarrow } from "./narrow_fold.jsx";
import { decimals, fixed, scientific, short, whole } from "./numbers.js";
import { NumberTable } from "./number_table.jsx";
import { RangeInput } from "./range_input.jsx";
import { Slider } from "./slider.jsx";
import { batchLab as en } from "./strings/en/batch_lab.js";
import { language } from "./strings/index.js";
import { Summary } from "./summary.jsx";
import { decode, sheet as sheetOf } from "./tensor.js";
import { Zoom } from "./zoom.jsx";

/** @typedef {import("./model.js").Model} Model @typedef {import("./moments.js").Moments} Moments */
/** @typedef {import("./strings/en/batch_lab.js").Words} Words */

const EPS = 1e-5;
const MAPS = 5;
const HEIGHT = 168; // of a chart
const SOON = 80; // milliseconds after which what stands below follows a drag

/** A value once it has stayed for a moment; the first at once. @template T @param {T} value */
function useRested(value) {
  const [rested, setRested] = useState(value);
  useEffect(() => {
    const timer = rested === value ? undefined : setTimeout(() => setRested(value), SOON);
    return () => clearTimeout(timer);
  }, [value, rested]);
  return rested;
}

/** What does not change while a reader plays. @param {Model} model */
function useContent(model) {
  const content = CONTENT.map((trait) => model.get(trait));
  return useMemo(() => {
    const [, C, ...positions] = /** @type {number[]} */ (model.get("shape"));
    const S = positions.reduce((a, b) => a * b, 1);
    const precision = model.get("population_precision") ?? "float32";
    const N = /** @type {number} */ (model.get("images"));
    const groups = usualGroups(C);
    const x = decode(model.get("values"), model.get("precision") ?? "float32");
    const cells = {
      rows: N, columns: C, count: new Float64Array(N * C).fill(model.get("positions")), mean: decode(model.get("means"), precision),
      var: decode(model.get("variances"), precision),
    };
    return {
      N, C, S, positions, x, cells, mine: moments(x, { N: 1, C, S }), sheet: sheetOf(positions), groups,
      // what each image of the population measures for itself: LayerNorm, GroupNorm, InstanceNorm
      own: [1, groups, C].map((g) => pool(cells, { b: N, g })),
      channels: /** @type {string[]} */ (model.get("channel_names") ?? []), picture: model.get("image_picture") ?? "", linear: Boolean(model.get("linear")),
    };
  }, content);
}

/** Everything about one channel that the seed decides. @param {ReturnType<typeof useContent>} content @param {number} c @param {number} seed */
function useDraws(content, c, seed) {
  const { N, cells, mine } = content;
  const indices = useMemo(() => drawn(seed, N), [seed, N]);
  return useMemo(() => {
    const one = channelOf(cells, c), me = channelOf(mine, c), levels = pyramid(one, indices);
    const blocks = SIZES.map((_, i) => guesses(levels, i));
    return {
      indices, one, me, levels, law: truth(one), means: blocks.map((all) => all.mean), spreads: blocks.map((all) => all.var.map(Math.sqrt)),
      variances: blocks.map((all) => all.var), around: company(levels, me),
    };
  }, [content, c, indices]);
}

/** @param {{model: Model, name: string, root: HTMLElement}} props */
function BatchLab({ model, name, root }) {
  useTraits(model, [...STATE, ...CONTENT]);
  const narrow = useNarrow(root, 681); // one column, as in the style sheet
  const words = language({ en });
  const content = useContent(model);
  const { C, S, x, mine, sheet, groups } = content;
  const state = readState(model, content);
  const { norm, n, most, c, p, spread, seed, draw, momentum, light } = state;
  const set = (/** @type {Record<string, unknown>} */ traits) => write(model, traits);
  const newest = useRef(state); // for what hands do to a part that is drawn later
  newest.current = state;
  const first = useRef(state);
  useAddress(name, toAddress(state, first.current), (said) => set(fromAddress(said, content)));

  // ---- the arithmetic
  const share = Math.min(most, n), b = n / share, at = SIZES.indexOf(share);
  const batchy = norm === "batch_norm";
  const draws = useDraws(content, c, seed);
  const { law, one, indices } = draws;
  const guessed = spread ? draws.spreads : draws.means;
  const value = x[c * S + p];
  const normal = (/** @type {number} */ mean, /** @type {number} */ variance) => (value - mean) / Math.sqrt(variance + EPS);
  const alone = useMemo(() => {
    const of = (/** @type {number} */ g) => {
      const own = pool(mine, { b: 1, g }), k = Math.floor((c * g) / C);
      return { mean: own.mean[k], variance: own.var[k] };
    };
    return { layer_norm: of(1), group_norm: of(groups), instance_norm: of(C) };
  }, [content, c]);
  const jittering = useMemo(() => draws.around.map(({ mean, var: v }) => mean.map((m, t) => normal(m, v[t]))), [draws, p]);
  const stills = useMemo(() => Object.values(alone).map(({ mean, variance }) => normal(mean, variance)), [alone, p]);
  const still = batchy ? 0 : normal(alone[norm].mean, alone[norm].variance);
  const outputs = useMemo(() => (batchy ? jittering : SIZES.map(() => new Float64Array(DRAWS).fill(still))), [batchy, jittering, still]);
  // what is kept, and what comes of it, waits for the hand: a drag pays for the two funnels alone
  const later = useRested(useMemo(() => ({ draws, n, share, at }), [draws, n, share]));
  const path = useMemo(() => keeping(later.draws.levels, later.n, later.share, momentum), [later, momentum]);
  const kept = { mean: path.mean[DRAWS - 1], variance: path.var[DRAWS - 1] };
  const keptOutput = batchy ? normal(kept.mean, kept.variance) : still;
  const pathShown = useMemo(() => (spread ? path.var.map(Math.sqrt) : path.mean), [path, spread]);
  const keptShown = pathShown[DRAWS - 1], trueShown = spread ? law.sd : law.mean;
  const error = spread ? law.spreadError : law.error;

  // ---- test images
  const ownOf = useMemo(() => content.own.map((blocks) => channelOf(blocks, Math.floor((c * blocks.columns) / C))), [content, c]);
  const lit = (/** @type {number} */ factor) => ownOf.map((by) => tested(one, factor, by, false, EPS));
  const litKept = (/** @type {number} */ factor) =>
    tested(later.draws.one, factor, { ...untrained(1), mean: Float64Array.of(kept.mean), var: Float64Array.of(kept.variance) }, true, EPS);
  const ownBefore = useMemo(() => lit(1), [ownOf]), ownLeast = useMemo(() => lit(LEAST_LIGHT), [ownOf]), ownNow = useMemo(() => lit(light), [ownOf, light]);
  const keptBefore = useMemo(() => litKept(1), [path]), keptNow = useMemo(() => litKept(light), [path, light]);
  const before = [keptBefore, ...ownBefore], now = [keptNow, ...ownNow];
  // by the true statistics, not by those kept: it stands still while these move
  const testRange = useMemo(() => {
    const truly = [1, LEAST_LIGHT].map((factor) => ({ mean: law.sd > 0 ? ((factor - 1) * law.mean) / law.sd : 0, sd: factor * 1.1 }));
    return rangeOf([...truly, ...ownBefore, ...ownLeast].map(({ mean, sd }) => [mean - sd, mean + sd]));
  }, [law, ownBefore, ownLeast]);

  // ---- ranges: by what no hand moves, so that a chart stands still under a drag
  const guessRange = useMemo(() => rangeOf(guessed), [guessed]);
  const keepRange = useMemo(() => rangeOf(guessed, [spread ? 1 : 0]), [guessed, spread]);
  const trueOutput = normal(law.mean, law.variance);
  const outputRange = useMemo(() => rangeOf(jittering, [...stills, trueOutput]), [jittering, stills, trueOutput]);

  // ---- layout
  const column = useRef(/** @type {HTMLDivElement | null} */ (null)), aside = useRef(/** @type {HTMLDivElement | null} */ (null)), test = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [widths, setWidths] = useState([600, 320, 320]);
  useLayoutEffect(() => {
    const measure = () => setWidths((old) => {
      const found = [column, aside, test].map((part) => part.current?.clientWidth ?? 0);
      return found.every((v, i) => v === old[i]) ? old : found;
    });
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(root);
    return () => observer.disconnect();
  }, []);
  const [width, asideWidth, testWidth] = widths.map((w) => Math.max(w, 200));
  const { pitch } = columnsOf(width);

  // ---- words
  const who = model.get("image_name") || words.someImage;
  const normName = words.names[norm];
  const channelName = words.channel(c + 1, content.channels[c] ?? "");
  const number = (/** @type {number} */ size) => {
    const digits = decimals(size);
    return (/** @type {number} */ v) => (digits === null ? scientific(v) : fixed(v, digits));
  };
  const say = number(law.sd);
  const { mean: outMean, sd: outSd } = useMemo(() => summarize(outputs[at]), [outputs, at]);
  const moves = batchy && outSd > 5e-4;
  const big = moves ? `${fixed(outMean, 2)} ± ${fixed(outSd, 2)}` : fixed(outMean, 2);
  const verdict = !batchy ? words.still(who, normName)
    : (share === 1 ? words.alone(who) : moves ? words.moves(who, share, n) : words.lone(who)) + words.apart(fixed(Math.abs(outMean - keptOutput), 2));
  const guessSd = useMemo(() => summarize(guessed[at]).sd, [guessed, at]);
  const guessNote = batchy ? words.guessNote(say(guessSd), say(error(share)), share, content.N) : words.guessIdle(normName);
  const gap = law.sd > 0 ? fixed(Math.abs(keptShown - trueShown) / law.sd, 2) : "0.00";
  const updates = later.n / later.share; // a step
  const left = (1 - momentum) ** (DRAWS * updates);
  const keepNote = words.keepNote(say(keptShown), say(trueShown), gap) + (updates > 1 ? words.keepUpdates(updates) : "") + (left >= 0.005 ? words.keepStart(words.percent(left)) : "");
  const othersMove = Math.max(...[1, 2, 3].map((i) => Math.max(Math.abs(now[i].mean - before[i].mean), Math.abs(now[i].sd - before[i].sd))));
  const kind = content.linear ? "light" : "factor", full = words.full[kind];
  const testNote = light === 1 ? words.testNote.same
    : words.testNote.off(full, fixed(now[0].mean, 2), fixed(now[0].sd, 2), fixed(before[0].mean, 2), fixed(before[0].sd, 2)) +
      (othersMove < 0.005 ? words.testNote.others : words.testNote.othersToo(fixed(othersMove, 2)));

  // ---- the batch shown, and the maps
  const levels = useMemo(() => {
    const level = (/** @type {number} */ mean) => (law.apart > 0 ? (mean - law.mean) / law.apart : 0);
    return Array.from({ length: n }, (_, i) => level(i ? one.mean[indices[draw * MOST + i]] : draws.me.mean[0]));
  }, [draws, draw, n]);
  const mapSize = Math.max(36, Math.min(60, Math.floor((asideWidth - 4 * 8) / MAPS)));
  const mapBox = { width: mapSize, height: Math.round(mapSize * Math.max(0.3, Math.min(1.4, sheet.rows / sheet.columns))) };
  const spot = sheet.index.indexOf(p);
  const where = /** @type {[number, number]} */ ([Math.floor(spot / sheet.columns), spot % sheet.columns]);
  const picture = useMemo(() => ({ N: 1, C: 1, S, x: x.subarray(c * S, (c + 1) * S), sheet }), [content, c]);
  const map = (/** @type {number} */ t) => (/** @type {HTMLCanvasElement} */ canvas) => {
    const { mean, variance } = batchy ? { mean: draws.around[at].mean[t], variance: draws.around[at].var[t] } : alone[norm];
    const ratio = window.devicePixelRatio || 1, slope = 1 / Math.sqrt(variance + EPS);
    const pixels = { width: Math.round(mapBox.width * ratio), height: Math.round(mapBox.height * ratio) };
    if (canvas.width !== pixels.width || canvas.height !== pixels.height) Object.assign(canvas, pixels);
    paint(canvas, picture, [slope], [-mean * slope], { x: [0], y: [0], ...mapBox }, ratio);
  };
  const pick = (/** @type {number} */ row, /** @type {number} */ col) => {
    const position = sheet.index[row * sheet.columns + col];
    if (position >= 0) set({ position });
  };
  const toSize = (/** @type {number} */ i) => set({ batch_size: SIZES[i] });
  const nearestMomentum = MOMENTA.reduce((best, m, i) => (Math.abs(Math.log(m / momentum)) < Math.abs(Math.log(MOMENTA[best] / momentum)) ? i : best), 0);

  /** @type {[string, Record<string, unknown>, boolean][]} */
  const failures = [
    [words.failures.two, { batch_size: 2, samples_per_block: MOST }, n === 2 && share === 2],
    [words.failures.one, { batch_size: 1, samples_per_block: MOST }, n === 1],
    [words.failures.dark, { light: LEAST_LIGHT }, light === LEAST_LIGHT],
  ];
  const fail = (/** @type {Record<string, unknown>} */ traits) => {
    set({ norm: "batch_norm", ...traits });
    if (!traits.light) return;
    const section = /** @type {HTMLElement} */ (root.querySelector(".gn-bl-test"));
    const show = () => section.scrollIntoView({ block: "nearest" });
    if (!(section instanceof HTMLDetailsElement) || section.open) return show();
    section.addEventListener("toggle", () => requestAnimationFrame(show), { once: true }); // once its content stands
    section.open = true;
  };

  const shownWord = spread ? words.spread : words.mean;
  const keepSection = useMemo(() => (
    <NarrowFold narrow={narrow} kind="gn-bl-keep" title={words.keepTitle}>{() => <>
      <div class="gn-bl-chart">
        <Keeping guesses={(spread ? later.draws.spreads : later.draws.means)[later.at]} kept={pathShown} start={spread ? 1 : 0} truth={trueShown} range={keepRange} width={width} height={128} draw={draw} label={words.keepLabel(shownWord)} steps={words.steps} />
      </div>
      <Slider label={words.momentum} min={0} max={MOMENTA.length - 1} step={1} value={nearestMomentum} text={short(momentum)} onValue={(i) => set({ momentum: MOMENTA[i] })} />
      <p class="gn-note">{keepNote}</p>
    </>}</NarrowFold>
  ), [path, spread, width, draw, keepNote, narrow]);
  const testSection = useMemo(() => (
    <NarrowFold narrow={narrow} kind="gn-bl-test" title={words.testTitle[kind]}>{() => <div ref={test}>
      <Spreads
        rows={now.map((row, i) => ({ name: Object.values(words.rows)[i], now: row, before: before[i], on: Object.keys(words.rows)[i] === norm, text: `${fixed(row.mean, 2)} ± ${fixed(row.sd, 2)}` }))}
        range={testRange} width={testWidth} label={words.testLabel}
      />
      <Slider label={words.light[kind]} min={10} max={100} step={5} value={Math.round(100 * light)} text={words.percent(light)} onValue={(v) => set({ light: v / 100 })} />
      <p class="gn-note">{testNote} {words.testKey(full)}</p>
    </div>}</NarrowFold>
  ), [keptNow, keptBefore, ownNow, ownBefore, norm, light, testWidth, narrow]);
  const summary = `${normName}, ${words.batchSizeText(n)}, ${words.perBlockText(share, b)}. ${words.training} ${big}, ${words.evaluation} ${fixed(keptOutput, 2)}: ${verdict} ${guessNote} ${keepNote} ${testNote}`;
  return (
    <>
      <Lead title={model.get("title") || words.title}>{words.lead.before}<b>{words.lead.drag}</b>{words.lead.after(who)}</Lead>
      <div class="gn-bl-grid">
        <div class="gn-bl-norm">
          <Choice
            legend={words.norm} name={`${name}-norm`} value={norm} onChange={(to) => set({ norm: to })}
            options={[["batch_norm", words.names.batch_norm], ["layer_norm", words.names.layer_norm], ["group_norm", words.names.group_norm], ["instance_norm", words.names.instance_norm]]}
          />
          <div class="gn-presets gn-bl-fail" role="group" aria-label={words.fail}>
            <p class="gn-heading" aria-hidden="true">{words.fail}</p>
            {failures.map(([text, traits, on]) => (
              <button key={text} type="button" class="gn-button" aria-pressed={batchy && on} onClick={() => fail(traits)}>{text}</button>
            ))}
          </div>
        </div>
        <div class="gn-bl-charts" ref={column}>
          <div class="gn-bl-head">
            <p class="gn-heading">{words.guess} <i>{spread ? "σ" : "μ"}</i></p>
            <Choice legend={words.statistic} name={`${name}-statistic`} value={spread} options={[[false, words.mean], [true, words.spread]]} onChange={(to) => set({ statistic: to ? "spread" : "mean" })} />
          </div>
          <div class="gn-bl-chart">
            <Funnel
              lists={guessed} range={guessRange} height={HEIGHT} width={width} at={at} draw={draw} truth={trueShown} error={error} kept={keptShown} idle={!batchy}
              label={words.guessLabel(shownWord)} onColumn={toSize}
            />
          </div>
          <p class="gn-note">{guessNote}</p>
          <p class="gn-heading gn-bl-second">{words.output(who)}</p>
          <div class="gn-bl-chart">
            <Funnel
              lists={outputs} range={outputRange} height={HEIGHT} width={width} at={at} draw={draw} truth={batchy ? trueOutput : null} error={null} kept={keptOutput}
              label={words.outputLabel(who)} onColumn={toSize}
            />
          </div>
          <div class="gn-bl-axis-names" aria-hidden="true" style={{ paddingLeft: `${LEFT}px` }}>
            <span>{words.axis}</span><span style={{ width: `${RIGHT}px` }}>{words.kept}</span>
          </div>
          <label class="gn-bl-size">
            <span class="gn-bl-size-name">{words.batchSize} <b>{whole(n)}</b></span>
            <span class="gn-bl-track" style={{ marginLeft: `${LEFT + pitch / 2 - 10}px`, marginRight: `${RIGHT + pitch / 2 - 10}px` }}>
              <RangeInput min={0} max={SIZES.length - 1} step={1} value={SIZES.indexOf(n)} valueText={words.batchSizeText(n)} onValue={toSize} />
              <span class="gn-stops" aria-hidden="true">
                {SIZES.map((size, i) => <span key={size} class={`${size === n ? "gn-on" : ""}${size === share && batchy ? " gn-bl-share" : ""}`} style={{ left: `${(100 * i) / (SIZES.length - 1)}%` }}>{size}</span>)}
              </span>
            </span>
          </label>
          <p class="gn-note gn-bl-chart-key">{batchy ? words.trueOutput(content.N) : words.stillOutput(normName)} {words.chartKey}</p>
        </div>
        <div class="gn-bl-aside" ref={aside}>
          <dl class="gn-bl-two">
            <div><dt>{words.training}</dt><dd class="gn-bl-big">{big}</dd></div>
            <div><dt>{words.evaluation}</dt><dd class="gn-bl-evaluation">{fixed(keptOutput, 2)}</dd></div>
          </dl>
          <p class="gn-bl-verdict">{verdict}</p>
          <Later layout={widths}>{() => (
            <>
              <p class="gn-heading">{words.five(who)}</p>
              <div class="gn-bl-maps">
                {Array.from({ length: MAPS }, (_, i) => {
                  const t = (draw + i) % DRAWS, text = fixed(outputs[at][t], 2);
                  return (
                    <Zoom
                      key={i} draw={map(t)} sheet={sheet} {...mapBox} at={where} onPick={pick} caption={text} label={words.mapLabel(who, t + 1)}
                      keys={i === 0 && S > 1 ? { label: words.value, help: words.valueHelp, valueText: words.valueAt(where[0], where[1], text) } : null}
                    />
                  );
                })}
              </div>
            </>
          )}</Later>
          <Later layout={widths}>{() => (
            <>
              <p class="gn-heading">{words.batch} <span>{words.batchOf(draw + 1, DRAWS)}</span></p>
              <BatchRow levels={levels} share={share} width={asideWidth - 4} picture={content.picture} label={words.batchLabel(n, b)} />
              <p class="gn-note">{words.batchNote(who)}</p>
              <div class="gn-buttons">
                <button type="button" class="gn-button" onClick={() => set({ draw: (newest.current.draw + 1) % DRAWS })}>{words.next}</button>
                <button type="button" class="gn-button" onClick={() => set({ seed: (newest.current.seed + 1) % MOST_SEEDS })}>{words.again(DRAWS)}</button>
              </div>
            </>
          )}</Later>
          <DivisorSlider
            label={words.perBlockName} symbol={words.perBlockSymbol} size={n} value={share} each={words.blocks(b)} valueText={words.perBlockText(share, b)}
            onChange={(to) => set({ samples_per_block: to === n ? MOST : to })}
          />
          <p class="gn-note">{batchy ? words.ghost(share, n) : words.ghostPerImage}</p>
        </div>
        <Later layout={narrow}>{() => (
          <NarrowFold narrow={narrow} kind="gn-bl-which" title={words.which}>{() => <>
            <Slider label={words.channelName} min={1} max={C} step={1} value={c + 1} text={channelName} disabled={C === 1} onValue={(v) => set({ channel: v - 1 })} />
            <Slider label={words.draw} min={1} max={DRAWS} step={1} value={draw + 1} text={words.drawText(draw + 1, DRAWS)} onValue={(v) => set({ draw: v - 1 })} />
          </>}</NarrowFold>
        )}</Later>
        {keepSection}
        {testSection}
      </div>

      <Later>{() => (
        <>
          <Fold summary={words.sizeTable}>
            {() => <SizeTable draws={draws} outputs={outputs} at={at} caption={words.sizeCaption(channelName, normName)} words={words} />}
          </Fold>
          <Fold summary={words.ghostTable}>
            {() => <GhostTable draws={draws} share={share} n={n} words={words} />}
          </Fold>
          <Fold summary={words.drawTable}>
            {() => (
              <NumberTable
                label={words.drawTable} caption={words.drawCaption(share, channelName)} columns={words.drawColumns} count={DRAWS} current={draw} rows={24}
                row={(t) => [whole(t + 1), say(draws.means[at][t]), say(draws.spreads[at][t]), fixed(outputs[at][t], 3), say(path.mean[t]), number(law.variance)(path.var[t])]}
              />
            )}
          </Fold>
          <Fold summary={words.batchTable}>
            {() => (
              <NumberTable
                label={words.batchTable} caption={words.batchCaption} columns={words.batchColumns} count={n} rows={MOST}
                row={(i) => {
                  const image = indices[draw * MOST + i], from = i ? one : draws.me, k = i ? image : 0;
                  return [whole(i + 1), i ? words.imageNumber(image) : who, whole(Math.floor(i / share) + 1), say(from.mean[k]), number(law.variance)(from.var[k])];
                }}
              />
            )}
          </Fold>
          <Fold summary={words.testTable}>
            {() => (
              <NumberTable
                label={words.testTable} caption={words.testCaption} columns={words.testColumns(full)} count={now.length} current={Object.keys(words.rows).indexOf(norm)}
                row={(i) => [Object.values(words.rows)[i], ...[now[i].mean, now[i].sd, before[i].mean, before[i].sd].map((v) => fixed(v, 3))]}
              />
            )}
          </Fold>
        </>
      )}</Later>
      <Summary text={summary} />
    </>
  );
}

/** @param {{draws: ReturnType<typeof useDraws>, outputs: Float64Array[], at: number, caption: string, words: Words}} props */
function SizeTable({ draws, outputs, at, caption, words }) {
  const { law, means, spreads, variances } = draws;
  const digits = (decimals(law.sd) ?? 5) + 1;
  const show = (/** @type {number} */ v) => (decimals(law.sd) === null ? scientific(v) : fixed(v, digits));
  const squared = (/** @type {number} */ v) => (decimals(law.variance) === null ? scientific(v) : fixed(v, (decimals(law.variance) ?? 5) + 1));
  const row = (/** @type {number} */ i) => {
    if (i === SIZES.length) return [words.trueRow, show(law.mean), show(0), show(0), show(law.sd), show(0), show(0), squared(0), squared(0), "", ""];
    const [m, s, v, y] = [means[i], spreads[i], variances[i], outputs[i]].map(summarize);
    const size = SIZES[i];
    return [
      whole(size), show(m.mean), show(m.sd), show(law.error(size)), show(s.mean), show(s.sd), show(law.spreadError(size)),
      squared(v.mean - law.variance), squared(law.missing(size)), fixed(y.mean, 3), fixed(y.sd, 3),
    ];
  };
  return <NumberTable label={words.sizeTable} caption={caption} columns={words.sizeColumns} count={SIZES.length + 1} current={at} row={row} />;
}

/** @param {{draws: ReturnType<typeof useDraws>, share: number, n: number, words: Words}} props */
function GhostTable({ draws: { law, means }, share, n, words }) {
  const digits = (decimals(law.sd) ?? 5) + 1;
  const row = (/** @type {number} */ i) => {
    const size = i ? n : share;
    return [words.ghostRows[i], whole(size), fixed(summarize(means[SIZES.indexOf(size)]).sd, digits), fixed(law.error(size), digits)];
  };
  return <NumberTable label={words.ghostTable} caption={words.ghostCaption} columns={words.ghostColumns} count={2} row={row} />;
}

/** @param {{model: Model, el: HTMLElement}} view */
function render({ model, el }) {
  const words = language({ en });
  return mount({ kind: "batch_lab", label: model.get("title") || words.title, model, el, component: BatchLab });
}

export default { render };
