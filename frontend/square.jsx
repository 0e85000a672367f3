// The square: the table of cells is the control, the reader cuts it. This module reads the state, computes with
// moments.js, and hands numbers to the parts that draw.
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import "./figure.css";
import "./square.css";
import { BlockTable } from "./block_table.jsx";
import { CellTable } from "./cell_table.jsx";
import { Choice } from "./choice.jsx";
import { CodeLines } from "./code_lines.jsx";
import { RANGE, line } from "./color_scale.js";
import { DivisorSlider } from "./divisor_slider.jsx";
import { paint } from "./feature_maps.js";
import { useAddress } from "./address.js";
import { mount } from "./figure.js";
import { Fold } from "./fold.jsx";
import { name as nameOf, place, usualGroups } from "./grouping.js";
import { count } from "./histogram.js";
import { layerCode } from "./layer_code.js";
import { Later } from "./later.jsx";
import { Lead } from "./lead.jsx";
import { useTraits, write } from "./model.js";
import { affine, blockOf, moments, pool, scaled, split, track, untrained } from "./moments.js";
import { decimals, fixed, scientific, short, whole } from "./numbers.js";
import { Slider } from "./slider.jsx";
import { FACTOR, NOTICEABLE, factorOf, whoNotices, whoNoticesAt } from "./spoil.js";
import { SquareMap } from "./square_map.jsx";
import { CONTENT, MOST_STEPS, STATE, fromAddress, readState, toAddress } from "./square_state.js";
import { square as en } from "./strings/en/square.js";
import { language } from "./strings/index.js";
import { Summary } from "./summary.jsx";
import { headless, layout, places } from "./table_layout.js";
import { decode, sheet as sheetOf } from "./tensor.js";
import { ValueHistogram } from "./value_histogram.jsx";
import { WorkedBlock } from "./worked_block.jsx";

/** @typedef {import("./model.js").Model} Model @typedef {import("./grouping.js").Point} Point */

const BINS = 52;
const MOMENTUM = 0.1;
const DEAR = 3; // milliseconds of a frame to paint both tables

/** What does not change while a reader plays. @param {Model} model */
function useContent(model) {
  const content = CONTENT.map((trait) => model.get(trait));
  return useMemo(() => {
    const [N, C, ...positions] = /** @type {number[]} */ (model.get("shape"));
    const S = positions.reduce((a, b) => a * b, 1);
    const x = decode(model.get("values"), model.get("precision") ?? "float32");
    const cells = moments(x, { N, C, S });
    const all = pool(cells, { b: 1, g: 1 });
    return {
      N, C, S, positions, x, cells, sheet: sheetOf(positions), line: line(all.mean[0], Math.sqrt(all.var[0])), sd: Math.sqrt(all.var[0]),
      names: { samples: /** @type {string[]} */ (model.get("sample_names") ?? []), channels: /** @type {string[]} */ (model.get("channel_names") ?? []) },
      pictures: /** @type {string[]} */ (model.get("sample_pictures") ?? []),
    };
  }, content);
}

/** @param {{model: Model, name: string, root: HTMLElement}} props */
function Square({ model, name, root }) {
  useTraits(model, [...STATE, ...CONTENT]);
  const words = language({ en });
  const content = useContent(model);
  const { N, C, S, positions, x, cells, sheet, names, pictures } = content;
  const state = readState(model, content);
  const { b, g, n, c, p, bright, strong, evaluating, steps, weight, bias, eps } = state;
  const point = { b, g };
  const set = (/** @type {Record<string, unknown>} */ traits) => write(model, traits);
  const go = (/** @type {Point} */ to) => set({ sample_blocks: to.b, channel_groups: to.g });

  const newest = useRef(state); // for what hands do to a part that is drawn later
  newest.current = state;

  // ---- the address
  const first = useRef(state);
  useAddress(name, toAddress(state, first.current), (said) => set(fromAddress(said, content)));

  // ---- the arithmetic
  const spoilt = bright !== null || strong !== null;
  const factor = factorOf(bright, strong);
  const now = useMemo(() => (spoilt ? scaled(cells, factor) : cells), [cells, bright, strong]);
  const { blocks, within, between } = useMemo(() => split(now, point), [now, b, g]);
  const cleanBlocks = useMemo(() => (spoilt ? pool(cells, point) : blocks), [cells, blocks]);
  const keeps = b < N; // a statistic of several samples is worth keeping for later
  const evaluated = evaluating && keeps;
  const running = useMemo(() => (evaluated ? trained(cleanBlocks, steps) : null), [cleanBlocks, steps, evaluated]);
  const used = running ?? blocks;
  const does = useMemo(() => affine({ N, C }, used, weight, bias, eps), [used, eps, weight.join(), bias.join(), N, C]);
  const noticed = useMemo(
    () => (spoilt ? whoNotices(cells, factor, running ?? cleanBlocks, used, eps) : null),
    [cells, bright, strong, used, running, cleanBlocks, eps],
  );
  const quietest = useMemo(() => {
    const channels = pool(now, { b: 1, g: C }).var, c = channels.indexOf(Math.min(...channels));
    return N * S > 1 && C > 1 ? { c, sd: Math.sqrt(channels[c]) } : null;
  }, [now]);
  const isAffine = weight.some((v) => v !== 1) || bias.some((v) => v !== 0);

  // slope and offset of every cell, from x to the color scale, before and after
  const lookBefore = useMemo(() => {
    const { center, unit } = content.line;
    return [cells.mean.map((_, k) => factor(Math.floor(k / C), k % C) / unit), cells.mean.map(() => -center / unit)];
  }, [bright, strong, content]);
  const lookAfter = useMemo(() => [
    does.scale.map((scale, k) => factor(Math.floor(k / C), k % C) * scale),
    does.shift.map((shift, k) => shift - does.center[k] * does.scale[k]),
  ], [does, bright, strong]);
  const look = useMemo(() => ({ before: lookBefore, after: lookAfter }), [lookBefore, lookAfter]);

  const kSel = n * C + c, block = blockOf(cells, point, n, c);

  // ---- layout
  const column = useRef(/** @type {HTMLDivElement | null} */ (null));
  const aside = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [widths, setWidths] = useState([0, 0, 0]);
  const wide = widths[2] >= 1040, narrow = widths[0] < 400; // as in square.css
  useLayoutEffect(() => {
    const measure = () => setWidths((old) => {
      const now = [column.current?.clientWidth ?? 0, aside.current?.clientWidth ?? 0, root.clientWidth];
      return now.every((v, i) => v === old[i]) ? old : now;
    });
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(root);
    if (column.current) observer.observe(column.current);
    return () => observer.disconnect();
  }, []);
  const at = useMemo(
    () => layout(Math.max(wide ? (widths[0] + 20) / 2 : widths[0], 200), N, C, sheet, pictures.length > 0),
    [widths[0], wide, content],
  );

  // ---- pixels develop, pieces drift
  const canvases = useRef(/** @type {(HTMLCanvasElement | null)[]} */ ([null, null]));
  useDeveloping(canvases, { look, at, point, content, noMotion: widths[0] === 0 });

  // ---- words
  const [touched, setTouched] = useState(false);
  const where = place(point, N, C);
  const perBlock = N / b, perGroup = C / g, size = perBlock * perGroup;
  const sampleName = (/** @type {number} */ i) => words.sample(i + 1, names.samples[i] ?? "");
  const channelName = (/** @type {number} */ i) => words.channel(i + 1, names.channels[i] ?? "");
  const pickText = words.picked(sampleName(n), channelName(c), block + 1, b * g);
  const fullName = nameOf(point, N, C);
  const symbol = isAffine ? "y" : "x̂";
  const promise = words.verdict(b, g, N, C, size * S);
  const verdict = evaluated ? words.evaluated : isAffine ? words.beforeAffine(promise) : promise;
  const batch = spoilt ? words.batch.spoilt : words.batch.asItIs;
  const changed = noticed ? noticed.reduce((a, v) => a + v, 0) : 0;
  const own = noticed ? noticed.reduce((a, v, k) => a + (v && factor(Math.floor(k / C), k % C) !== 1 ? 1 : 0), 0) : 0;

  // ---- one value
  const valueDigits = decimals(content.sd);
  const showValue = (/** @type {number} */ v) => (valueDigits === null ? scientific(v) : fixed(v, valueDigits));
  const xv = x[kSel * S + p] * factor(n, c);
  const usedBlock = evaluated ? c * used.columns / C | 0 : block;
  const worked = {
    mean: used.mean[usedBlock], within: within[block], between: between[block], variance: used.var[usedBlock], running: evaluated, eps,
    value: xv, normalized: (xv - used.mean[usedBlock]) / Math.sqrt(used.var[usedBlock] + eps), gamma: weight[c], beta: bias[c],
    output: (x[kSel * S + p] * factor(n, c) - does.center[kSel]) * does.scale[kSel] + does.shift[kSel],
  };

  // ---- who notices at the other points
  const inkOf = useMemo(() => {
    /** @type {Map<string, Uint8Array>} */
    const noticing = new Map();
    return (/** @type {Point} */ at, /** @type {number} */ k) => {
      if (!spoilt) return blockOf(cells, at, n, c) === k;
      const key = `${at.b} ${at.g}`;
      const known = noticing.get(key);
      if (known) return known[k] === 1;
      const found = new Uint8Array(at.b * at.g);
      const kept = evaluating && at.b < N ? trained(pool(cells, at), steps) : null;
      const who = kept ? whoNotices(cells, factor, kept, kept, eps) : whoNoticesAt(cells, factor, at, eps);
      who.forEach((v, cell) => {
        if (v) found[blockOf(cells, at, Math.floor(cell / C), cell % C)] = 1;
      });
      noticing.set(key, found);
      return found[k] === 1;
    };
  }, [cells, bright, strong, spoilt ? -1 : n, spoilt ? -1 : c, eps, evaluating, steps]);

  const pick = (/** @type {number} */ toN, /** @type {number} */ toC, /** @type {number} */ across, /** @type {number} */ down) => {
    /** @type {Record<string, unknown>} */
    const traits = { sample: toN, channel: toC };
    if (across >= 0) {
      const position = sheet.index[Math.floor(down * sheet.rows) * sheet.columns + Math.floor(across * sheet.columns)];
      if (position >= 0) traits.position = position;
    }
    set(traits);
  };
  const spoil = (/** @type {number | null} */ sample, /** @type {number | null} */ channel) => set({ spoiled_sample: sample, spoiled_channel: channel });

  const code = layerCode(point, N, C, positions.length, { eps, affine: isAffine, evaluated });
  const lastGroups = useRef(usualGroups(C));
  if (where === "group_norm") lastGroups.current = g;
  /** @type {[string, Point, boolean][]} */
  const buttons = [
    [words.names.batch_norm, { b: 1, g: C }, where === "batch_norm"],
    [words.names.layer_norm, { b: N, g: 1 }, where === "layer_norm"],
    [words.names.instance_norm, { b: N, g: C }, where === "instance_norm"],
    [words.names.group_norm, { b: N, g: lastGroups.current }, where === "group_norm"],
  ];

  const summary = [
    `${fullName}.`, `${whole(b * g)} ${words.statistics(b * g)} × ${whole(size * S)} ${words.valuesEach}.`, verdict,
    spoilt ? noticeText(words, changed, own, N * C) : "", `${pickText}: ${showValue(xv)} → ${fixed(worked.output, 2)}.`,
  ].filter(Boolean).join(" ");

  const domain = useMemo(() => {
    const { rows, columns } = marginsOf(cells, lookBefore);
    const reach = (/** @type {typeof rows} */ table) => table.mean.reduce((most, m, i) => Math.max(most, Math.abs(m) + Math.sqrt(table.var[i])), 0);
    return Math.max(1.6, Math.min(2.6, Math.max(reach(rows), reach(columns))));
  }, [content]);
  const shared = { point, picked: /** @type {[number, number]} */ ([n, c]), domain, words, names, pictures, spoilt: /** @type {[number | null, number | null]} */ ([bright, strong]), onPick: pick };

  return (
    <>
      <Lead title={model.get("title") || words.title}>
        {positions.length ? words.lead.before : words.lead.beforeValues}<b>{words.lead.drag}</b>{words.lead.after}
      </Lead>
      <div class="gn-grid">
        <div class="gn-presets" role="group" aria-label={words.buttons}>
          {buttons.map(([text, to, on]) => (
            <button key={text} type="button" class="gn-button" aria-pressed={on} onClick={() => { setTouched(true); go(to); }}>{text}</button>
          ))}
        </div>
        <div class="gn-tables" ref={column}>
          <CellTable
            {...shared} at={at} margins={() => marginsOf(cells, lookBefore)} label={words.beforeTable}
            title={<><i>x</i> {narrow ? words.beforeShort(N, C) : words.before(N, C, positions)}</>} canvas={(element) => { canvases.current[0] = element; }}
            controls={{ onPoint: go, onSpoil: spoil, valueText: `${fullName}: ${words.detail(b, g)}`, pickText, fresh: !touched, onTouched: () => setTouched(true) }}
          />
          <Later layout={at}>
            {() => (
              <CellTable
                {...shared} at={headless(at, wide)} margins={() => marginsOf(cells, lookAfter)} label={words.afterTable}
                title={<><i>{symbol}</i> {words.after[evaluated ? "running" : isAffine ? "affine" : "plain"][narrow ? "short" : "long"]}</>}
                canvas={(element) => { canvases.current[1] = element; }} marks={noticed && { noticed, factor }}
              />
            )}
          </Later>
        </div>
        <div class="gn-aside">
          <div class="gn-point">
            <p class="gn-name">{words.names[where]}</p>
            <p class={`gn-detail${words.detail(N, C).length > 34 ? " gn-long" : ""}`}>{words.detail(b, g)}</p>
            <p class="gn-verdict">{verdict}</p>
          </div>
          <div class="gn-map-box" ref={aside}>
            <Later layout={widths}>
              {() => (
                <>
                  <SquareMap N={N} C={C} point={point} width={widths[1]} words={words} label={words.mapNow(fullName)} inked={inkOf} onPoint={(to) => { setTouched(true); go(to); }} />
                  <p class="gn-note">{spoilt ? words.mapSpoilt : words.mapLegend}</p>
                </>
              )}
            </Later>
          </div>
          <div class="gn-sliders">
            <DivisorSlider label={words.blocks} symbol="b" size={N} value={b} each={words.perBlock(perBlock)} valueText={`${words.count.blocks(b)}, ${words.perBlock(perBlock)}`} onChange={(to) => { setTouched(true); go({ b: to, g }); }} />
            <DivisorSlider label={words.groups} symbol="g" size={C} value={g} each={words.perGroup(perGroup)} valueText={`${words.count.groups(g)}, ${words.perGroup(perGroup)}`} onChange={(to) => { setTouched(true); go({ b, g: to }); }} />
          </div>
          <dl class="gn-product">
            <Later>
              {() => (
                <>
                  <div><dd>{whole(b * g)}</dd><dt>{words.statistics(b * g)}</dt></div>
                  <div aria-hidden="true"><dd>×</dd></div>
                  <div><dd>{whole(size * S)}</dd><dt>{words.valuesEach}</dt></div>
                  <div aria-hidden="true"><dd>=</dd></div>
                  <div><dd>{whole(N * C * S)}</dd><dt>{words.valuesAlways}</dt></div>
                </>
              )}
            </Later>
          </dl>
        </div>

        <section class="gn-block-section">
          <Later layout={widths}>
            {() => (
              <WorkedBlock
                content={content} cells={now} point={point} picked={[n, c]} position={p} worked={worked} look={look} symbol={symbol} show={showValue} words={words}
                title={words.workedTitle(block + 1, b * g)} name={`${sampleName(n)}, ${channelName(c)}`} width={Math.min(Math.max(wide ? widths[0] / 2 : widths[0], 200), 560)}
                quietest={quietest && { ...quietest, name: channelName(quietest.c), onPick: () => set({ channel: quietest.c }) }}
                now={() => newest.current.p} onPick={(position) => set({ position })}
              />
            )}
          </Later>
        </section>
        <section class="gn-histogram-section">
          <Later>{() => <BlockHistogram content={content} look={look} point={point} picked={[n, c]} symbol={symbol} />}</Later>
        </section>

        <Later>
          {() => (
            <>
              <section class="gn-spoil-section">
                <p class="gn-heading">{words.spoil}</p>
                <div class="gn-buttons">
                  <button type="button" class="gn-button" aria-pressed={bright !== null} onClick={() => spoil(newest.current.bright === null ? newest.current.n : null, newest.current.strong)}>{words.multiplySample((bright ?? n) + 1, FACTOR)}</button>
                  <button type="button" class="gn-button" aria-pressed={strong !== null} onClick={() => spoil(newest.current.bright, newest.current.strong === null ? newest.current.c : null)}>{words.multiplyChannel((strong ?? c) + 1, FACTOR)}</button>
                </div>
                <p class="gn-notice">
                  {!spoilt ? words.spoilInvite : changed === 0 ? <><b>{words.nobody}</b>{words.nobodyWhy(words.spoiltWhat(bright, strong))}</> : (
                    <><b>{words.notice(changed, N * C)}</b> {words.own(own)} <span class="gn-own-mark" aria-hidden="true" />{words.and}{words.bystanders(changed - own)} <span class="gn-bystander-mark" aria-hidden="true" />.</>
                  )}
                  {spoilt && ` ${words.threshold(NOTICEABLE)}`}
                </p>
              </section>
              <section class="gn-mode-section">
                <Choice
                  legend={words.mode} name={`${name}-mode`} options={[[false, words.training], [true, words.evaluation]]}
                  value={evaluated} disabled={!keeps} onChange={(to) => set({ evaluating: to })}
                />
                <p class="gn-notice">{!keeps ? words.sameText : evaluated ? words.evaluationText(steps, batch) : words.trainingText}</p>
              </section>
            </>
          )}
        </Later>
      </div>

      <Later>
        {() => (
          <>
            <section class="gn-row gn-code-section">
              <p class="gn-heading">{words.code}</p>
              <CodeLines lines={[{ library: "gnlib", code: code.gnlib }, { library: "torch", code: code.torch, note: code.note }]} />
            </section>
            <Fold summary={words.parameters}>
              {() => <Parameters state={state} set={set} batch={batch} words={words} />}
            </Fold>
            <Fold summary={words.table}>
              {() => <BlockTable N={N} C={C} point={point} blocks={blocks} within={within} between={between} picked={block} words={words} />}
            </Fold>
          </>
        )}
      </Later>
      <Summary text={summary} />
    </>
  );
}

/**
 * Moments of every row and column of the table, in units of the color scale.
 * @param {import("./moments.js").Moments} cells @param {Float64Array[]} look
 */
function marginsOf(cells, [slope, offset]) {
  const moved = { ...cells, mean: cells.mean.map((m, k) => slope[k] * m + offset[k]), var: cells.var.map((v, k) => slope[k] ** 2 * v) };
  return { rows: pool(moved, { b: cells.rows, g: 1 }), columns: pool(moved, { b: 1, g: cells.columns }) };
}

/**
 * All values before and after, and those of the picked block.
 * @param {{
 *   content: ReturnType<typeof useContent>, look: {before: Float64Array[], after: Float64Array[]}, point: Point,
 *   picked: [number, number], symbol: string,
 * }} props
 */
function BlockHistogram({ content, look, point, picked: [n, c], symbol }) {
  const { cells } = content, block = blockOf(cells, point, n, c);
  const counts = (/** @type {Float64Array[]} */ [slope, offset]) => {
    const { C, S, x } = content, range = /** @type {[number, number]} */ ([-RANGE, RANGE]);
    const all = new Float64Array(BINS), picked = new Float64Array(BINS);
    for (let k = 0; k < cells.mean.length; k++)
      count(blockOf(cells, point, Math.floor(k / C), k % C) === block ? picked : all, x, k * S, (k + 1) * S, 0, slope[k], offset[k], range);
    for (let i = 0; i < BINS; i++) all[i] += picked[i];
    return { all, picked };
  };
  const of = [content, point.b, point.g, block];
  const before = useMemo(() => counts(look.before), [look.before, ...of]), after = useMemo(() => counts(look.after), [look.after, ...of]);
  return <ValueHistogram before={before} after={after} line={content.line} afterSymbol={symbol} />;
}

/** What a layer keeps after some steps on one batch. @param {import("./moments.js").Moments} blocks @param {number} steps */
function trained(blocks, steps) {
  let kept = untrained(blocks.columns);
  for (let step = 0; step < steps; step++) kept = track(kept, blocks, MOMENTUM);
  return kept;
}

/** @param {import("./strings/en/square.js").Words} words @param {number} changed @param {number} own @param {number} cells */
function noticeText(words, changed, own, cells) {
  if (changed === 0) return words.nobody;
  return `${words.notice(changed, cells)} ${words.own(own)}${words.and}${words.bystanders(changed - own)}.`;
}

/** γ and β of the picked channel, and ε. @param {{state: import("./square_state.js").State, set: (traits: Record<string, unknown>) => void, batch: string, words: import("./strings/en/square.js").Words}} props */
function Parameters({ state, set, batch, words }) {
  const { weight, bias, c, eps, steps } = state;
  const changed = (/** @type {number[]} */ values, /** @type {number} */ value) => values.map((old, i) => (i === c ? value : old));
  const power = eps > 0 ? Math.log10(eps) : -9;
  return (
    <div class="gn-parameters">
      <Slider label={words.gamma(c + 1)} min={-2} max={2} step={0.05} value={weight[c]} text={fixed(weight[c], 2)} onValue={(v) => set({ weight: changed(weight, v) })} />
      <Slider label={words.beta(c + 1)} min={-2} max={2} step={0.05} value={bias[c]} text={fixed(bias[c], 2)} onValue={(v) => set({ bias: changed(bias, v) })} />
      <Slider label={words.epsilon} min={-8} max={1} step={0.5} value={power} text={short(eps)} onValue={(v) => set({ eps: Number((10 ** v).toPrecision(3)) })} />
      <Slider label={words.steps(batch)} min={0} max={MOST_STEPS} step={1} value={steps} text={whole(steps)} onValue={(v) => set({ steps: v })} />
      <button type="button" class="gn-button" onClick={() => set({ weight: [], bias: [], eps: 1e-5, steps: 10 })}>{words.reset}</button>
    </div>
  );
}

/**
 * Paints both tables, and moves from what they show to what they should show.
 * @param {{current: (HTMLCanvasElement | null)[]}} canvases
 * @param {{look: {before: Float64Array[], after: Float64Array[]}, at: import("./table_layout.js").Layout, point: Point, content: ReturnType<typeof useContent>, noMotion: boolean}} target
 */
function useDeveloping(canvases, { look, at, point, content, noMotion }) {
  const shown = useRef(/** @type {Float64Array | null} */ (null));
  const frame = useRef(0);
  const pace = useRef({ cost: 0, last: 0 }); // milliseconds to paint both tables, and which was painted last
  const lastLayout = useRef(at);
  useLayoutEffect(() => {
    const { N, C, S, line: { center, unit } } = content;
    const size = N * C;
    const goal = new Float64Array(4 * size + C + N);
    [...look.before, ...look.after].forEach((part, i) => goal.set(part, i * size));
    goal.set(places(C, point.g, at.pitchX, at.pictureWidth, at.seam), 4 * size);
    goal.set(places(N, point.b, at.pitchY, at.pictureHeight, at.seam), 4 * size + C);
    const ratio = window.devicePixelRatio || 1;
    const numbers = S === 1 && (content.line.shared || unit >= 0.1) && at.pitchX >= 26 && at.pitchY >= 18;
    const draw = (/** @type {Float64Array} */ now, only = -1) => {
      const part = (/** @type {number} */ i) => now.subarray(i * size, (i + 1) * size);
      const spots = { x: now.subarray(4 * size, 4 * size + C), y: now.subarray(4 * size + C), width: at.pictureWidth, height: at.pictureHeight };
      canvases.current.forEach((canvas, i) => {
        if (!canvas || i === 1 - only) return;
        const width = Math.round(C * at.pitchX * ratio), height = Math.round(N * at.pitchY * ratio);
        if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
        const digits = at.pitchX < 40 ? 1 : 2;
        const text = (/** @type {number} */ t) => inCell(i ? t : t * unit + center, digits);
        paint(canvas, content, part(2 * i), part(2 * i + 1), spots, ratio, numbers ? text : null);
      });
    };
    cancelAnimationFrame(frame.current);
    const from = shown.current;
    const calm = noMotion || !from || from.length !== goal.length || lastLayout.current !== at || matchMedia("(prefers-reduced-motion: reduce)").matches;
    lastLayout.current = at;
    if (calm) {
      shown.current = goal;
      draw(goal);
      return;
    }
    const start = from.slice(), current = new Float64Array(goal.length);
    shown.current = current;
    const began = performance.now(); // not the first frame's time: that frame shows a change already
    const step = (/** @type {number} */ time) => {
      const part = Math.max(0, Math.min(1, (time - began) / 300)), eased = 1 - (1 - part) ** 3;
      for (let i = 0; i < goal.length; i++) current[i] = start[i] + (goal[i] - start[i]) * eased;
      const { cost, last } = pace.current, only = cost > DEAR && part < 1 ? Number(last === 0) : -1; // on a slow machine the two take turns
      const before = performance.now();
      draw(current, only);
      pace.current = { cost: (performance.now() - before) * (only < 0 ? 1 : 2), last: only };
      if (part < 1) frame.current = requestAnimationFrame(step);
    };
    current.set(start);
    frame.current = requestAnimationFrame(step);
  }, [look, at, point.b, point.g, content]);
  useLayoutEffect(() => () => cancelAnimationFrame(frame.current), []);
}

/** A value inside a cell, as short as can be. @param {number} value @param {number} digits */
function inCell(value, digits) {
  return Math.abs(value) >= 1e4 ? "…" : fixed(value, Math.abs(value) >= 100 ? 0 : digits);
}

/** @param {{model: Model, el: HTMLElement}} view */
function render({ model, el }) {
  const words = language({ en });
  return mount({ kind: "square", label: model.get("title") || words.title, model, el, component: Square });
}

export default { render };
