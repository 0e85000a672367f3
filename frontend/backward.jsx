// The backward figure: a gradient comes in, the block's mean and its part along x̂ are taken off, the rest reaches x. This
// module reads the state, computes with backward_pass.js, and hands numbers to the parts that draw.
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import "./figure.css";
import "./backward.css";
import { useAddress } from "./address.js";
import { affineGradient, backward, moved, shares, valuesOf } from "./backward_pass.js";
import { CONTENT, STATE, changed, fromAddress, readState, toAddress, withChanges } from "./backward_state.js";
import { DivisorSlider } from "./divisor_slider.jsx";
import { mount } from "./figure.js";
import { Fold } from "./fold.jsx";
import { name as nameOf } from "./grouping.js";
import { Later } from "./later.jsx";
import { Lead } from "./lead.jsx";
import { useTraits, write } from "./model.js";
import { affine, moments, pool } from "./moments.js";
import { LEAST, MovedMap } from "./moved_map.jsx";
import { NumberTable } from "./number_table.jsx";
import { decimals, fixed, scientific, short, whole } from "./numbers.js";
import { Slider } from "./slider.jsx";
import { Stages } from "./stages.jsx";
import { backward as en } from "./strings/en/backward.js";
import { language } from "./strings/index.js";
import { Summary } from "./summary.jsx";
import { decode, sheet as sheetOf } from "./tensor.js";
import { WeightPlane } from "./weight_plane_view.jsx";

/** @typedef {import("./model.js").Model} Model @typedef {import("./backward_state.js").State} State @typedef {import("./backward_state.js").Changes} Changes */

const PUSH = 1.2; // how far a push goes where no gradient was given

/** What does not change while a reader plays. @param {Model} model */
function useContent(model) {
  const content = CONTENT.map((trait) => model.get(trait));
  return useMemo(() => {
    const [N, C, ...positions] = /** @type {number[]} */ (model.get("shape"));
    const S = positions.reduce((a, b) => a * b, 1);
    const x = decode(model.get("values"), model.get("precision") ?? "float32");
    const gradient = model.get("gradient");
    const given = gradient ? decode(gradient, model.get("gradient_precision") ?? "float32") : null;
    const most = given ? given.reduce((most, v) => Math.max(most, Math.abs(v)), 0) : 0;
    return { N, C, S, x, given, sheet: sheetOf(positions), hasPositions: positions.length > 0, reach: most > 0 ? round(1.5 * most) : PUSH };
  }, content);
}

/** @param {{model: Model, name: string, root: HTMLElement}} props */
function Backward({ model, name, root }) {
  useTraits(model, [...STATE, ...CONTENT]);
  const words = language({ en });
  const content = useContent(model);
  const { N, C, S, x: givenX, sheet, hasPositions, reach } = content;
  const state = readState(model, content);
  const { b, g, n, c, p, push, changedGradient, changedX, weight, eps, w, rate } = state;
  const point = { b, g }, shape = { N, C, S };
  const set = (/** @type {Record<string, unknown>} */ traits) => write(model, traits);

  const newest = useRef(state); // for what hands do to a part that is drawn later
  newest.current = state;

  // ---- the address
  const first = useRef(state);
  useAddress(name, toAddress(state, first.current), (said) => set(fromAddress(said, content)));

  // ---- the arithmetic: before the reader's hand, and with it
  const gammas = weight.join();
  const x = useMemo(() => withChanges(givenX, changedX), [givenX, changedX]);
  const cells = useMemo(() => [moments(givenX, shape), moments(x, shape)], [givenX, x]);
  const before = useMemo(() => {
    const dy = pushed(content, state, givenX, cells[0]);
    return { dy, pass: backward(givenX, dy, shape, point, weight, eps, cells[0]) };
  }, [content, push, gammas, eps, b, g]);
  const now = useMemo(() => {
    const base = x === givenX || push !== "along" ? before.dy : pushed(content, state, x, cells[1]);
    const dy = withChanges(base, changedGradient);
    if (dy === before.dy && x === givenX) return before;
    return { dy, pass: backward(x, dy, shape, point, weight, eps, cells[1]) };
  }, [before, x, changedGradient]);
  const { dy, pass } = now;
  const hand = useMemo(() => new Set([...changedGradient, ...changedX].map(([at]) => at)), [changedGradient, changedX]);
  const move = useMemo(() => once(() => {
    const largest = Math.max(most(before.dy), most(dy)) * Math.max(...weight.map(Math.abs));
    const { distance, count } = moved(before.pass, pass, shape, point, largest);
    return { count, strength: strengthOf(distance, hand) };
  }), [before, now]);

  // ---- the picked block
  const block = Math.floor((n * b) / N) * g + Math.floor((c * g) / C);
  const values = useMemo(() => valuesOf(shape, point, block), [content, b, g, block]);
  const place = (n * C + c) * S + p, inBlock = values.find(place);
  const part = useMemo(() => once(() => shares(pass, x, dy, shape, point, weight, block)), [now, gammas, block]);
  const one = useMemo(() => ({
    mean: pass.blocks.mean[block], variance: pass.blocks.var[block], inverse: pass.inverse[block], alike: pass.mean[block], along: pass.along[block],
  }), [now, block]);
  const normalized = (/** @type {number} */ i) => (x[i] - one.mean) * one.inverse;
  const gammaOf = (/** @type {number} */ i) => weight[Math.floor(i / S) % C];

  // ---- layout
  const plot = useRef(/** @type {HTMLDivElement | null} */ (null));
  const side = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [widths, setWidths] = useState([0, 0, 0]);
  useLayoutEffect(() => {
    const measure = () => setWidths((old) => {
      const now = [plot.current?.clientWidth ?? 0, side.current?.clientWidth ?? 0, root.clientWidth];
      return now.every((v, i) => v === old[i]) ? old : now;
    });
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(root);
    return () => observer.disconnect();
  }, []);
  const fitting = Math.max(4, Math.min(64, Math.floor((Math.max(widths[0], 200) - 46) / 9)));
  const from = Math.floor(inBlock / fitting) * fitting, count = Math.min(fitting, values.size - from);

  // ---- the axes stand still while a value is dragged: they follow what was given
  const axes = useMemo(() => {
    const { mean, var: variance } = before.pass.blocks;
    let far = 2.2 * Math.sqrt(variance[block]);
    for (let k = from; k < from + count; k++) far = Math.max(far, Math.abs(givenX[values.at(k)] - mean[block]));
    far = (far || Math.max(Math.abs(mean[block]) * 0.2, 1)) * 1.3;
    const stepX = ten(far / 20);
    let d = reach * Math.max(1, ...weight.map(Math.abs));
    for (let k = from; k < from + count; k++) d = Math.max(d, Math.abs(gammaOf(values.at(k)) * before.dy[values.at(k)]));
    const inverse = before.pass.inverse[block];
    return {
      stepX, x: /** @type {[number, number]} */ ([Math.floor((mean[block] - far) / stepX) * stepX, Math.ceil((mean[block] + far) / stepX) * stepX]), d,
      dx: Number.isFinite(inverse) ? d * inverse : d, stepD: ten(reach / 10) / 2, far,
    };
  }, [before, values, from, count]);
  const scales = useMemo(() => ({ ...axes, d: Math.max(axes.d, Math.abs(gammaOf(place) * dy[place])) }), [axes, now, place]);
  const show = useMemo(() => ({ x: writer(axes.far), d: writer(axes.d), dx: writer(axes.dx) }), [axes]);
  const exactly = { x: writer(axes.far, 2), d: writer(axes.d, 2), dx: writer(axes.dx, 2) };

  const shown = useMemo(() => {
    const take = (/** @type {(i: number) => number} */ of) => Float64Array.from({ length: count }, (_, k) => of(values.at(from + k)));
    const d = take((i) => gammaOf(i) * dy[i]);
    const starts = [];
    for (let k = 0; k < count; k++) {
      const i = values.at(from + k);
      if (k === 0 || i % S === 0) starts.push({ at: k, size: 1, n: Math.floor(i / (C * S)), c: Math.floor(i / S) % C });
      else starts[starts.length - 1].size++;
    }
    return {
      count, picked: inBlock - from, starts, x: take((i) => x[i]), d, centered: d.map((v) => v - one.alike), along: take((i) => one.along * normalized(i)),
      dx: take((i) => pass.dx[i]), before: now !== before && push === "given" ? take((i) => before.pass.dx[i]) : null,
      mean: one.mean, spread: Math.sqrt(one.variance), push: one.alike,
    };
  }, [now, values, from, count, inBlock]);

  // ---- what hands do
  const pull = (/** @type {number} */ i, /** @type {number} */ v) => set({ changed_gradient: changed(changedGradient, i, snap(Math.max(-reach, Math.min(reach, v)), axes.stepD)) });
  const shift = (/** @type {number} */ i, /** @type {number} */ v) => set({ changed_x: changed(changedX, i, snap(Math.max(axes.x[0], Math.min(axes.x[1], v)), axes.stepX)) });
  const pick = (/** @type {number} */ i) => set({ sample: Math.floor(i / (C * S)), channel: Math.floor(i / S) % C, position: i % S });
  const isFirst = push === first.current.push && same(changedGradient, first.current.changedGradient) && same(changedX, first.current.changedX);
  /** @type {[State["push"], string, boolean][]} */
  const buttons = [
    ["alone", words.push.alone, push === "alone" && changedGradient.length === 1 && changedGradient[0][0] === place],
    ["alike", words.push.alike, push === "alike"],
    ["along", words.push.along, push === "along"],
  ];
  if (content.given) buttons.splice(1, 0, ["given", words.push.given, push === "given"]);
  const press = (/** @type {State["push"]} */ to) => {
    set({ push: to, changed_gradient: to === "alone" ? [[place, content.given ? snap(reach / 1.5, axes.stepD) : 1]] : [] });
  };

  // ---- words
  const at = words.pickedHead(n + 1, c + 1, p + 1, hasPositions);
  const said = once(() => speak({ words, content, state, hand, count: move().count, size: values.size, one, dx: pass.dx }));
  const isScaled = weight.some((v) => v !== 1);
  const perBlock = N / b, perGroup = C / g;
  const gamma = weight[c];

  // what no drag of a value changes
  const cutSliders = useMemo(() => (
    <div class="gn-cuts-sliders">
      <DivisorSlider label={words.blocks} symbol="b" size={N} value={b} each={words.perBlock(perBlock)} valueText={`${words.count.blocks(b)}, ${words.perBlock(perBlock)}`} onChange={(to) => set({ sample_blocks: to })} />
      <DivisorSlider label={words.groups} symbol="g" size={C} value={g} each={words.perGroup(perGroup)} valueText={`${words.count.groups(g)}, ${words.perGroup(perGroup)}`} onChange={(to) => set({ channel_groups: to })} />
    </div>
  ), [content, b, g]);
  const plane = useMemo(() => (
    <WeightPlane w={w} rate={rate} eps={eps} size={widths[2] > 0 && widths[2] < 360 ? 260 : 300} words={words} onChange={set} />
  ), [w[0], w[1], rate, eps, widths]);

  return (
    <>
      <Lead title={model.get("title") || words.title}>
        {words.lead.before}<b>{words.lead.drag}</b>{words.lead.after}
      </Lead>
      <div class="gn-backward">
        <div class="gn-push">
          <Later>{() => <><p class="gn-said">{said().verdict}</p><p class="gn-said-why">{said().why}</p></>}</Later>
          <div class="gn-buttons" role="group" aria-label={words.pushes}>
            {buttons.map(([to, text, on]) => <button key={to} type="button" class="gn-button" aria-pressed={on} onClick={() => press(to)}>{text}</button>)}
          </div>
        </div>
        <div class="gn-passage">
          <Stages
            shown={shown} scales={scales} show={show} width={widths[0]} scaled={isScaled} words={words} plot={plot} locked={gamma === 0}
            onPick={(k) => pick(values.at(from + k))} onPull={(k, v) => pull(values.at(from + k), v / gammaOf(values.at(from + k)))} onShift={(k, v) => shift(values.at(from + k), v)}
          />
          {count < values.size && <p class="gn-note gn-window">{words.shown(from + 1, from + count, values.size)}</p>}
          <div class="gn-picked-value">
            <div>
              <p class="gn-heading">{at}</p>
              <button type="button" class="gn-quiet" disabled={isFirst} onClick={() => set({ push: first.current.push, changed_gradient: first.current.changedGradient, changed_x: first.current.changedX })}>{words.back}</button>
            </div>
            <Slider label={words.pick} min={1} max={values.size} step={1} value={inBlock + 1} text={words.pickText(inBlock + 1, values.size)} disabled={values.size === 1} onValue={(k) => pick(values.at(k - 1))} />
            <Slider label={words.dragValue} min={-reach} max={reach} step={axes.stepD} value={dy[place]} text={show.d(dy[place])} onValue={(v) => pull(place, v)} />
            <Slider label={words.dragX} min={axes.x[0]} max={axes.x[1]} step={axes.stepX} value={x[place]} text={show.x(x[place])} onValue={(v) => shift(place, v)} />
          </div>
        </div>
        <div class="gn-whole" ref={side}>
          <p class="gn-heading">{words.mapTitle} <span>{nameOf(point, N, C)}</span></p>
          <Later layout={widths}>
            {() => (
              <MovedMap
                N={N} C={C} S={S} sheet={sheet} b={b} g={g} n={n} c={c} p={p} block={block} strength={move().strength} width={Math.max(160, Math.min(widths[1], 340))}
                label={words.map} pickLabel={words.mapPick} help={words.mapHelp} valueText={words.mapValue(at, block + 1, b * g)} samples={words.samples} channels={words.channels}
                from={() => newest.current} onPick={(toN, toC, toP) => set({ sample: toN, channel: toC, position: toP })}
              />
            )}
          </Later>
          <p class="gn-note">{push === "given" ? words.mapNoteHand : words.mapNote}</p>
          {cutSliders}
        </div>
        <section class="gn-left-over">
          <Later>{() => <LeftOver part={part()} words={words} />}</Later>
        </section>
        <section class="gn-in-front">
          <p class="gn-heading">{words.plane.title}</p>
          {plane}
        </section>
      </div>

      <Later>
        {() => (
          <>
            <Fold summary={words.parameters}>
              {() => (
                <div class="gn-backward-parameters">
                  <Slider label={words.gamma(c + 1)} min={-2} max={2} step={0.05} value={gamma} text={fixed(gamma, 2)} onValue={(v) => set({ weight: weight.map((old, i) => (i === c ? v : old)) })} />
                  <Slider label={words.epsilon} min={-8} max={1} step={0.5} value={eps > 0 ? Math.log10(eps) : -8} text={short(eps)} onValue={(v) => set({ eps: Number((10 ** v).toPrecision(3)) })} />
                  <button type="button" class="gn-button" onClick={() => set({ weight: [], eps: 1e-5 })}>{words.reset}</button>
                </div>
              )}
            </Fold>
            <Fold summary={words.table}>
              {() => (
                <NumberTable
                  label={words.table} rows={24} count={values.size} current={inBlock}
                  caption={words.tableCaption(block + 1, b * g, values.size, exactly.x(one.mean), numeral(one.variance, 4), numeral(1 / one.inverse, 4), exactly.d(one.alike), exactly.d(one.along))}
                  columns={[hasPositions ? words.columns.value : words.columns.cell, words.columns.x, words.columns.normalized, words.columns.dy, words.columns.scaled, words.columns.centered, words.columns.along, words.columns.dx]}
                  row={(k) => {
                    const i = values.at(k), d = gammaOf(i) * dy[i];
                    const head = [Math.floor(i / (C * S)) + 1, (Math.floor(i / S) % C) + 1, ...(hasPositions ? [(i % S) + 1] : [])].map(whole).join(", ");
                    return [head, exactly.x(x[i]), numeral(normalized(i), 4), exactly.d(dy[i]), exactly.d(d), exactly.d(d - one.alike), exactly.d(one.along * normalized(i)), exactly.dx(pass.dx[i])];
                  }}
                />
              )}
            </Fold>
            <Fold summary={words.affineTable}>
              {() => {
                const gradient = affineGradient(x, dy, shape, pass.blocks, eps);
                return (
                  <NumberTable
                    label={words.affineTable} caption={words.affineCaption} rows={24} count={C} current={c}
                    columns={[words.affineColumns.channel, words.affineColumns.gamma, words.affineColumns.weight, words.affineColumns.bias]}
                    row={(k) => [whole(k + 1), fixed(weight[k], 2), exactly.d(gradient.weight[k]), exactly.d(gradient.bias[k])]}
                  />
                );
              }}
            </Fold>
            <Summary text={`${said().verdict} ${said().why} ${at}: dy = ${show.d(dy[place])}, dx = ${show.dx(pass.dx[place])}.`} />
          </>
        )}
      </Later>
    </>
  );
}

/** What is left of the push, and what is left over by rounding and ε. @param {{part: ReturnType<typeof shares>, words: import("./strings/en/backward.js").Words}} props */
function LeftOver({ part, words }) {
  const text = (/** @type {number} */ v) => (!Number.isFinite(v) ? "–" : Math.abs(v) <= 1e-9 * part.size ? words.rounding : short(v));
  const byEps = Number.isFinite(part.product) && text(part.product) !== words.rounding;
  return (
    <>
      <div class="gn-shares">
        <p class="gn-heading">{words.sharesHead}</p>
        <Shares part={part} words={words} />
      </div>
      <div class="gn-sums">
        <p class="gn-heading">{words.sumsHead}</p>
        <dl>
          <div><dt>{words.sumAlike}</dt><dd>{text(part.sum)}</dd><dd class="gn-note">{words.sumAlikeNote}</dd></div>
          <div><dt>{words.sumAlong}</dt><dd>{text(part.product)}</dd><dd class="gn-note">{byEps ? `${words.sumAlongNote}: ${words.leftByEps}` : words.sumAlongNote}</dd></div>
        </dl>
      </div>
    </>
  );
}

/** A bar of the whole push in three parts, and their names. @param {{part: ReturnType<typeof shares>, words: import("./strings/en/backward.js").Words}} props */
function Shares({ part, words }) {
  const kinds = /** @type {const} */ (["alike", "along", "through"]);
  const known = part.total > 0 && Number.isFinite(part.through); // nothing has no shares
  return (
    <>
      <p class="gn-share-bar" aria-hidden="true">{known && kinds.map((kind) => <span key={kind} class={`gn-share-${kind}`} style={{ width: `${(100 * part[kind]) / part.total}%` }} />)}</p>
      <dl class="gn-share-names">
        {kinds.map((kind) => <div key={kind}><dd>{known ? words.percent(part[kind] / part.total) : "–"}</dd><dt class={`gn-share-key gn-share-${kind}`}>{words.share[kind]}</dt></div>)}
      </dl>
    </>
  );
}

/**
 * dy where the reader set nothing.
 * @param {{N: number, C: number, S: number, given: Float64Array | null}} content @param {State} state @param {Float64Array} x @param {import("./moments.js").Moments} cells of x
 */
function pushed({ N, C, S, given }, { push, weight, b, g, eps }, x, cells) {
  if (push === "given" && given) return given;
  const dy = new Float64Array(N * C * S);
  if (push === "alone" || push === "given") return dy;
  const { center, scale } = affine({ N, C }, pool(cells, { b, g }), null, null, eps);
  for (let cell = 0, i = 0; cell < N * C; cell++) {
    const gamma = weight[cell % C], back = gamma ? 1 / gamma : 0; // γ = 0 lets no push through
    for (const end = i + S; i < end; i++) dy[i] = push === "alike" ? back : back * (x[i] - center[cell]) * scale[cell];
  }
  return dy;
}

/**
 * Turns how far each gradient moved, in place, into parts of the farthest that the hand did not touch itself; even the least
 * is not near 0, so that a block of thousands still shows who is in it.
 * @param {Float64Array} distance @param {Set<number>} hand
 */
function strengthOf(distance, hand) {
  let unit = 0;
  for (let i = 0; i < distance.length; i++) if (distance[i] > unit && !hand.has(i)) unit = distance[i];
  const slope = unit > 0 ? (1 - LEAST) / unit : Infinity;
  for (let i = 0; i < distance.length; i++) {
    const by = distance[i];
    if (by > 0) distance[i] = by < unit ? LEAST + by * slope : 1;
  }
  return distance;
}

/**
 * What happens, in a sentence, and why.
 * @param {{
 *   words: import("./strings/en/backward.js").Words, content: {N: number, C: number, S: number}, state: State, hand: Set<number>, count: number, size: number,
 *   one: {variance: number, inverse: number}, dx: Float64Array,
 * }} facts
 */
function speak({ words, content: { N, C, S }, state: { b, g, push, changedGradient, eps }, hand, count, size, one, dx }) {
  const say = (/** @type {"single" | "alike" | "along" | "still" | "given" | "undefined"} */ key) => ({ verdict: words.verdict[key], why: words.why[key] });
  if (size === 1) return say("single");
  if (!Number.isFinite(one.inverse)) return say("undefined");
  if (hand.size === 0 && push === "alike") return say("alike");
  if (hand.size === 0 && push === "along") return eps === 0 ? say("along") : { verdict: words.verdict.alongEps, why: words.why.alongEps(short(most(dx))) };
  if (hand.size === 0 && push === "given") return say("given");
  const pushes = push === "alone" ? changedGradient.filter(([, v]) => v !== 0).length : hand.size;
  if (pushes === 0) return say("still");
  const blocks = new Set([...hand].map((i) => Math.floor((Math.floor(i / (C * S)) * b) / N) * g + Math.floor(((Math.floor(i / S) % C) * g) / C))).size;
  const why = one.variance <= 1e-3 * eps ? words.why.constant(fixed(one.inverse, 0)) : words.why.others(blocks * size, blocks, N * C * S - blocks * size);
  return { verdict: push === "alone" ? words.verdict.hand(pushes, count) : words.verdict.changed(pushes, count), why };
}

/** A value that is computed when it is first asked for. @template T @param {() => T} make @returns {() => T} */
function once(make) {
  /** @type {{value: T} | undefined} */
  let made;
  return () => (made ??= { value: make() }).value;
}

/** @param {Float64Array} values */
function most(values) {
  let found = 0;
  for (let i = 0; i < values.length; i++) if (Math.abs(values[i]) > found) found = Math.abs(values[i]);
  return found;
}

/** @param {Changes} a @param {Changes} b */
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
/** The power of ten at or below. @param {number} v */
const ten = (v) => Number((10 ** Math.floor(Math.log10(v))).toPrecision(1));
/** To a step, as a short number. @param {number} v @param {number} step */
const snap = (v, step) => Number((Math.round(v / step) * step).toPrecision(12)) || 0;
/** A round number at or above. @param {number} v */
const round = (v) => {
  const size = ten(v), times = [1, 1.5, 2, 3, 5, 7.5, 10].find((t) => t * size >= v * (1 - 1e-9)) ?? 10;
  return Number((times * size).toPrecision(2));
};

/** Writes numbers of about a size, with further digits for a table. @param {number} size @param {number} [further] */
function writer(size, further = 0) {
  const digits = decimals(size);
  return (/** @type {number} */ v) => {
    if (!Number.isFinite(v)) return "–";
    if (Math.abs(v) < 1e-12 * size) return digits === null ? "0" : fixed(0, digits + further);
    return digits === null ? scientific(v) : further ? numeral(v, digits + further) : fixed(v, digits);
  };
}

/** Fixed decimals, unless they would show next to nothing of the number. @param {number} v @param {number} digits */
function numeral(v, digits) {
  if (!Number.isFinite(v)) return "–";
  return v !== 0 && Math.abs(v) < 10 ** (1 - digits) ? scientific(v) : fixed(v, digits);
}

/** @param {{model: Model, el: HTMLElement}} view */
function render({ model, el }) {
  const words = language({ en });
  return mount({ kind: "backward", label: model.get("title") || words.title, model, el, component: Backward });
}

export default { render };
