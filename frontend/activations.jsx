// Activations: what comes to a norm layer of a small trained network, what leaves it, and what the network then says.
// This module reads the state, computes with conv_net.js and moments.js, and hands numbers to the parts that draw.
import { useMemo, useRef } from "preact/hooks";
import "./figure.css";
import "./activations.css";
import { atLayer, CONTENT, STATE, fromAddress, readState, toAddress, traitsOf, withSamples } from "./activations_state.js";
import { useAddress } from "./address.js";
import { BlindTable, Prediction, ScoresTable } from "./activations_tables.jsx";
import { BlockTable } from "./block_table.jsx";
import { ChangedPair, verdictOn } from "./changed_pair.jsx";
import { Choice } from "./choice.jsx";
import { line } from "./color_scale.js";
import { CLASSES, LAYERS, activation, network, probabilities, rowsOf, scores, seen, sizeAt, turned } from "./conv_net.js";
import { DivisorSlider } from "./divisor_slider.jsx";
import { paint } from "./feature_maps.js";
import { mount } from "./figure.js";
import { Fold } from "./fold.jsx";
import { name as nameOf, place, usualGroups } from "./grouping.js";
import { KINDS, MOST, changed, linesOf, moved, movement, named, strength } from "./layer_change.js";
import { Later } from "./later.jsx";
import { blockCounts, counts, normalizedImages, positionBlocks } from "./layer_maps.js";
import { Lead } from "./lead.jsx";
import { MapGrid, Photograph } from "./map_grid.jsx";
import { useTraits, write } from "./model.js";
import { affine, moments, pool, split } from "./moments.js";
import { decimals, fixed, scientific } from "./numbers.js";
import { NarrowFold, useNarrow } from "./narrow_fold.jsx";
import { NumberTable } from "./number_table.jsx";
import { Slider } from "./slider.jsx";
import { useSlices } from "./slices.js";
import { activations as en } from "./strings/en/activations.js";
import { language } from "./strings/index.js";
import { Summary } from "./summary.jsx";
import { decode, sheet as sheetOf } from "./tensor.js";
import { ValueHistogram } from "./value_histogram.jsx";
import { Zoom } from "./zoom.jsx";

/**
 * @typedef {import("./model.js").Model} Model @typedef {import("./grouping.js").Point} Point
 * @typedef {import("./activations_state.js").State} State
 * @typedef {import("./layer_maps.js").Look} Look  on the color scale
 */

const EPS = 1e-5;

/** What does not change while a reader plays; what comes to each layer is computed when it is first looked at. @param {Model} model */
function useContent(model) {
  return useMemo(() => {
    const [N, H, W] = /** @type {number[]} */ (model.get("shape"));
    const bytes = Uint8Array.from(atob(model.get("images")), (letter) => letter.charCodeAt(0));
    const net = network(decode(model.get("network"), "float16"));
    const input = seen(bytes);
    /** @type {Map<number, ReturnType<typeof comesTo>>} */
    const known = new Map();
    const comesTo = (/** @type {number} */ layer) => {
      const size = sizeAt({ N, H, W }, layer), S = size.H * size.W;
      const x = activation(net, input, { N, H, W }, layer);
      const cells = moments(x, { ...size, S });
      const all = pool(cells, { b: 1, g: 1 });
      const sd = Math.sqrt(all.var[0]);
      /** @type {Float64Array | undefined} */
      let places;
      return {
        size, S, x, cells, sd, line: line(all.mean[0], sd), sheet: sheetOf([size.H, size.W]),
        /** shape (N · S, C), where blocks are parts of images */
        turned: () => (places ??= turned(x, size.N, size.C, S)),
      };
    };
    return {
      images: { N, H, W }, bytes, net,
      at: (/** @type {number} */ layer) => known.get(layer) ?? known.set(layer, comesTo(layer)).get(layer) ?? comesTo(layer),
      /** scores without a change, by layer and point @type {Map<string, Float64Array>} */
      clean: new Map(),
      names: /** @type {string[]} */ (model.get("sample_names") ?? []),
      classes: /** @type {string[]} */ (model.get("classes") ?? []),
      accuracy: Object.entries(/** @type {Record<string, number>} */ (model.get("accuracy") ?? {})),
    };
  }, CONTENT.map((trait) => model.get(trait)));
}

/** @param {{model: Model, name: string, root: HTMLElement}} props */
function Activations({ model, name, root }) {
  useTraits(model, [...STATE, ...CONTENT]);
  const narrow = useNarrow(root);
  const words = language({ en });
  const content = useContent(model);
  const { images, names } = content;
  const state = readState(model, images);
  const { layer, tokens, b, g, n, c, p, change: kind, amount } = state;
  const point = useMemo(() => ({ b, g }), [b, g]);
  const newest = useRef(state); // for what hands do to a part that is drawn later
  newest.current = state;
  const put = (/** @type {State} */ to) => write(model, traitsOf(to));
  const set = (/** @type {Partial<State>} */ part) => put({ ...newest.current, ...part });

  // ---- the address
  const first = useRef(state);
  useAddress(name, toAddress(state, first.current), (said) => put(fromAddress(said, readState(model, images), images)));

  // ---- the arithmetic
  const { size, S, x, cells, sd, line: scale, sheet } = content.at(layer);
  const { N, C } = size;
  const rows = rowsOf(size, tokens);
  const change = { kind, amount, n, c, sd };
  const question = [content, layer, kind, kind === "none" ? 0 : amount, kind === "channel" || kind === "none" ? -1 : n, kind === "channel" ? c : -1];
  const lines = useMemo(() => linesOf(change, N, C), question);
  const apart = tokens && N % b !== 0; // blocks of parts of an image: only then are positions measured one by one
  const still = kind === "none" || amount === 0;
  const cellsNow = useMemo(() => moved(cells, lines), [lines]);
  const turnedNow = useMemo(() => (!apart ? null : still ? content.at(layer).turned() : turned(changed(x, lines), N, C, S)), [apart, lines]);
  const blocks = useMemo(() => (turnedNow ? positionBlocks(turnedNow, C, point) : pool(cellsNow, point)), [turnedNow, cellsNow, point]);
  /** @type {Look} */
  const before = useMemo(() => ({
    x, slope: lines.slope.map((a) => a / scale.unit), offset: lines.offset.map((a) => (a - scale.center) / scale.unit),
  }), [lines]);
  /** x̂ of the images from one to another @type {(first: number, end: number) => Look} */
  const after = (first, end) => {
    const cut = (end - first) * C;
    if (apart) return { x: normalizedImages(x, lines, size, blocks, first, end), slope: new Float64Array(cut).fill(1), offset: new Float64Array(cut) };
    const does = affine({ N, C }, blocks, null, null, EPS);
    const slope = does.scale.map((a, k) => a * lines.slope[k]), offset = does.scale.map((a, k) => (lines.offset[k] - does.center[k]) * a);
    return imagesOf({ x, slope, offset }, first, end, C);
  };
  const mapsBefore = useMemo(() => imagesOf(before, n, n + 1, C), [before, n]);
  const mapsAfter = useMemo(() => after(n, n + 1), [blocks, lines, n]);

  const perBlock = rows / b, perGroup = C / g;
  const row = tokens ? n * S + p : n;
  const blockRow = Math.floor(row / perBlock), blockColumn = Math.floor(c / perGroup), block = blockRow * g + blockColumn;
  // the picked block, in positions of the whole batch
  const positionsEach = tokens ? 1 : S;
  const from = blockRow * perBlock * positionsEach, to = from + perBlock * positionsEach;

  // ---- what the network says, in slices
  const lastGroups = useRef(0);
  const where = place(point, rows, C);
  if (where === "group_norm") lastGroups.current = g;
  const groups = lastGroups.current && C % lastGroups.current === 0 && lastGroups.current < C ? lastGroups.current : Math.min(4, usualGroups(C));
  const [said, saidNow] = useSlices(() => saying(content, layer, point, tokens, lines, kind), [...question, b, g, tokens]);
  const [movedBy, movedNow] = useSlices(() => (still ? nothing() : movement(x, cells, lines, size, point, tokens)), [...question, b, g, tokens]);
  const [blind, blindNow] = useSlices(() => blindness(content, layer, tokens, groups, lines, kind), [...question, tokens, groups, n]);

  // ---- words
  const imageName = (/** @type {number} */ i) => words.image(i + 1, names[i] ?? "");
  const image = imageName(n);
  const fullName = nameOf(point, rows, C);
  const verdict = words.verdict({ b, g, rows, C, tokens, values: perBlock * perGroup * positionsEach });
  const shares = (/** @type {number} */ i) => i !== n && to - from >= S && Math.floor((i * S) / (to - from)) === blockRow;
  const others = Array.from({ length: N }, (_, i) => i).filter(shares).map(imageName);
  const now = said && said.now.slice(n * CLASSES, (n + 1) * CLASSES);
  const chances = now && probabilities(now);
  const top = chances ? chances.indexOf(Math.max(...chances)) : 0;

  // ---- one value
  const digits = decimals(sd);
  const show = (/** @type {number} */ v) => (digits === null ? scientific(v) : fixed(v, digits));
  const k = n * C + c;
  const value = lines.slope[k] * x[k * S + p] + lines.offset[k];
  const output = mapsAfter.slope[c] * mapsAfter.x[c * S + p] + mapsAfter.offset[c];
  const spot = sheet.index.indexOf(p);
  const zoomBox = { width: 88, height: Math.round(88 * Math.max(0.3, Math.min(1.4, sheet.rows / sheet.columns))) };
  const zoomed = {
    sheet, ...zoomBox, at: /** @type {[number, number]} */ ([Math.floor(spot / sheet.columns), spot % sheet.columns]),
    onPick: (/** @type {number} */ down, /** @type {number} */ across) => {
      const position = sheet.index[down * sheet.columns + across];
      if (position >= 0) set({ p: position });
    },
  };
  const map = (/** @type {ArrayLike<number>} */ values, /** @type {number} */ slope, /** @type {number} */ offset) => (/** @type {HTMLCanvasElement} */ canvas) => {
    const ratio = window.devicePixelRatio || 1;
    const pixels = { width: Math.round(zoomBox.width * ratio), height: Math.round(zoomBox.height * ratio) };
    if (canvas.width !== pixels.width || canvas.height !== pixels.height) Object.assign(canvas, pixels);
    paint(canvas, { N: 1, C: 1, S, x: /** @type {Float64Array} */ (values), sheet }, [slope], [offset], { x: [0], y: [0], ...zoomBox }, ratio);
  };
  const zoom = (/** @type {Look} */ maps) => map(part(maps.x, c * S, (c + 1) * S), maps.slope[c], maps.offset[c]);

  // ---- the image as it is, beside the changed one
  const asItIs = () => {
    const clean = apart ? positionBlocks(content.at(layer).turned(), C, point) : pool(cells, point);
    const hat = normalizedImages(x, linesOf({ ...change, kind: "none" }, N, C), size, clean, n, n + 1);
    return map(part(hat, c * S, (c + 1) * S), 1, 0);
  };
  const moves = movedBy && { own: Math.sqrt(movedBy[n]), others: N > 1 ? Math.sqrt((movedBy.reduce((a, v) => a + v, 0) - movedBy[n]) / (N - 1)) : null };
  const normName = where === "unnamed" ? words.thisGrouping : words.norm(words.names[where], g, where === "group_norm");
  const equality = kind === "none" ? "" : still ? words.nothingYet : verdictOn(moves, image, normName, kind === "channel", words);

  const grid = { C, S, sheet, groups: g, picked: c, onPick: (/** @type {number} */ channel, /** @type {number} */ position) => set({ c: channel, p: position }) };

  /** @type {[string, Point, boolean][]} */
  const buttons = [
    [words.names.layer_norm, { b: rows, g: 1 }, where === "layer_norm"],
    [words.names.group_norm, { b: rows, g: groups }, where === "group_norm"],
    [words.names.instance_norm, { b: rows, g: C }, where === "instance_norm"],
    [words.names.batch_norm, { b: 1, g: C }, where === "batch_norm"],
  ];
  /** @type {[import("./layer_change.js").Kind, string][]} */
  const kinds = KINDS.map((option) => [option, option === "none" ? words.kinds.none : option === "channel" ? words.kinds.channel(c + 1) : words.kinds[option](image)]);
  const by = strength(change);
  const whose = kind === "channel" ? words.map(c + 1) : image;
  const takeBack = () => {
    set({ change: "none" });
    /** @type {HTMLElement | null} */ (root.querySelector(`input[name="${name}-change"]`))?.focus({ preventScroll: true }); // the button goes
  };
  const undo = kind !== "none" && (
    <button type="button" class="gn-button gn-act-undo" onClick={takeBack}>
      <span>{whose}: </span>{words.changed[kind](by)} · <u>{words.undo}</u>
    </button>
  );
  const amountText = kind === "brightness" ? words.amountText.brightness(amount, by) : words.amountText.factor(by);

  return (
    <>
      <Lead title={model.get("title") || words.title}>{words.lead.before}<b>{words.lead.drag}</b>{words.lead.after}</Lead>
      <div class="gn-act">
        <fieldset class="gn-act-images">
          <legend>{words.images}</legend>
          {Array.from({ length: N }, (_, i) => (
            <label key={i} class={`${i === n ? "gn-on" : ""}${shares(i) ? " gn-shares" : ""}`}>
              <input type="radio" name={`${name}-image`} checked={i === n} onChange={() => set({ n: i })} />
              <Photograph bytes={content.bytes} n={i} {...images} />
              <span>{imageName(i)}</span>
            </label>
          ))}
          <p class="gn-note gn-act-sharing">{to - from >= S ? words.sharing(image, others) : words.piece(to - from)}</p>
        </fieldset>
        <div class="gn-act-layer">
          <Choice
            legend={words.layer} name={`${name}-layer`} value={layer} onChange={(at) => put(atLayer(state, at, images))}
            options={Array.from({ length: LAYERS }, (_, i) => [i + 1, String(i + 1)])}
          />
          <p class="gn-note">{words.layerNote(layer, C, size.H, size.W)}</p>
        </div>
        <div class="gn-act-maps">
          <MapGrid {...grid} {...mapsBefore} title={<><i>x</i> <span>{words.before(image)}</span>{undo}</>} label={words.beforeMaps(image)} />
          <MapGrid {...grid} {...mapsAfter} title={<><i>x̂</i> <span>{words.after}</span></>} label={words.afterMaps(image)} />
        </div>
        <div class="gn-act-aside">
          <p class="gn-act-name">{words.names[where]}</p>
          <p class="gn-act-detail">{words.detail(b, g)}</p>
          <div class="gn-act-sliders">
            <DivisorSlider
              label={words.groups} symbol="g" size={C} value={g} each={words.perGroup(perGroup)}
              valueText={`${words.count.groups(g)}, ${words.perGroup(perGroup)}: ${fullName}`} onChange={(to) => set({ g: to })}
            />
            <DivisorSlider
              label={words.blocks} symbol="b" size={rows} value={b} each={words.perBlock(perBlock)}
              valueText={`${words.count.blocks(b)}, ${words.perBlock(perBlock)}: ${fullName}`} onChange={(to) => set({ b: to })}
            />
          </div>
          <div class="gn-presets" role="group" aria-label={words.buttons}>
            {buttons.map(([text, to, on]) => (
              <button key={text} type="button" class="gn-button" aria-pressed={on} onClick={() => set(to)}>{text}</button>
            ))}
          </div>
          <p class="gn-act-verdict">{verdict}</p>
          <Choice
            legend={words.samples} name={`${name}-samples`} options={[[false, words.sampleIs.images], [true, words.sampleIs.positions]]}
            value={tokens} onChange={(on) => put(withSamples(state, on, images))}
          />
          <p class="gn-note gn-act-samples">{tokens ? words.samplesNote.positions(rows) : words.samplesNote.images(rows)}</p>
        </div>

        <section class="gn-act-blind">
          <p class="gn-heading">{words.blind}</p>
          <div class="gn-act-change">
            <Choice legend={words.changeIt} name={`${name}-change`} options={kinds} value={kind} onChange={(to) => set({ change: to })} />
            {kind === "none" ? <p class="gn-note gn-act-invite">{words.invite}</p> : (
              <Slider label={words.amount[kind]} min={-MOST} max={MOST} step={0.25} value={amount} text={amountText} onValue={(v) => set({ amount: v })} />
            )}
          </div>
          {kind !== "none" && <Later>{() => (
            <>
              <Choice
                legend={words.through} name={`${name}-through`} options={buttons.map(([text, to]) => [place(to, rows, C), text])} value={where}
                onChange={(to) => set(buttons.find(([, point]) => place(point, rows, C) === to)?.[1] ?? point)}
              />
              <ChangedPair
                before={[map(part(x, k * S, (k + 1) * S), 1 / scale.unit, -scale.center / scale.unit), zoom(mapsBefore)]} after={[asItIs(), zoom(mapsAfter)]}
                {...zoomBox} moves={still ? { own: 0, others: 0 } : moves} now={movedNow} title={words.pair(image, c + 1)} verdict={equality} words={words}
              />
              <Fold summary={words.blindTable}>
                {() => <BlindTable found={blind} now={blindNow} image={image} n={n} here={where} words={words} />}
              </Fold>
            </>
          )}</Later>}
        </section>
        <section class="gn-act-says">
          <p class="gn-heading">{words.says(image)}</p>
          <Prediction chances={chances} before={said && said.clean && probabilities(said.clean.slice(n * CLASSES, (n + 1) * CLASSES))} now={saidNow} words={words} />
          <p class="gn-note">{content.classes.length ? (content.classes[n] ? words.own(content.classes[n]) : words.none) : ""} {kind === "none" ? "" : words.unchanged}</p>
        </section>
        <Later layout={narrow}>{() => <NarrowFold narrow={narrow} kind="gn-act-one" title={words.mapTitle(image, c + 1)}>{() => <>
          <Slider label={words.channelSlider} value={c + 1} min={1} max={C} step={1} text={words.channelText(c + 1, C)} onValue={(v) => set({ c: v - 1 })} />
          <div class="gn-act-zooms">
            <Zoom
              {...zoomed} draw={zoom(mapsBefore)} caption={`x = ${show(value)}`} label={words.zoomBefore}
              keys={S > 1 ? { label: words.value, help: words.valueHelp, valueText: words.valueAt(zoomed.at[0] + 1, zoomed.at[1] + 1, `x = ${show(value)}`) } : null}
            />
            <span aria-hidden="true">→</span>
            <Zoom {...zoomed} draw={zoom(mapsAfter)} caption={`x̂ = ${fixed(output, 2)}`} label={words.zoomAfter} />
          </div>
          <p class="gn-note">{words.blockOf(block + 1, b * g, blocks.count[block])}: <i>μ</i> = {show(blocks.mean[block])}, <i>σ</i> = {show(Math.sqrt(blocks.var[block]))}</p>
        </>}</NarrowFold>}</Later>
        <Later layout={narrow}>{() => (
          <NarrowFold narrow={narrow} kind="gn-act-histogram" title={words.histogramTitle}>
            {() => <Histogram before={before} after={() => after(0, N)} of={[blocks, lines]} C={C} region={[from, to, blockColumn * perGroup, (blockColumn + 1) * perGroup]} line={scale} />}
          </NarrowFold>
        )}</Later>
      </div>

      <Later>{() => (
        <>
          <Fold summary={words.table}>
            {() => (
              <>
                <p class="gn-note">{quietest(pool(cellsNow, { b: 1, g: C }), words)}</p>
                <BlockTable N={rows} C={C} point={point} {...(apart ? { blocks, within: new Float64Array(b * g), between: blocks.var } : split(cellsNow, point))} picked={block} words={words} />
              </>
            )}
          </Fold>
          <Fold summary={words.scoresTable}>
            {() => <ScoresTable scores={said && said.now} names={Array.from({ length: N }, (_, i) => imageName(i))} picked={top} words={words} />}
          </Fold>
          {content.accuracy.length > 0 && (
            <Fold summary={words.quality}>
              {() => (
                <NumberTable
                  label={words.quality} caption={words.qualityCaption} columns={[words.qualityColumns.norm, words.qualityColumns.right]}
                  count={content.accuracy.length} row={(i) => [content.accuracy[i][0], words.right(content.accuracy[i][1])]}
                />
              )}
            </Fold>
          )}
        </>
      )}</Later>
      <Summary text={words.summary(fullName, verdict, image, words.classes[top], chances ? words.percent(chances[top]) : "", kind === "none" ? "" : `${words.changeOn(`${whose}, ${words.changed[kind](by)}`)} ${equality}`)} />
    </>
  );
}

/** @returns {Generator<void, null>} */
function* nothing() {
  return null;
}

/** The channel that says least, and the one that says most. @param {import("./moments.js").Moments} channels shape (1, C) @param {import("./strings/en/activations.js").Words} words */
function quietest(channels, words) {
  const sds = Array.from(channels.var, Math.sqrt), least = Math.min(...sds), most = Math.max(...sds);
  return words.quietest(sds.indexOf(least) + 1, fixed(least, 2), sds.indexOf(most) + 1, fixed(most, 2));
}

/** @param {ArrayLike<number>} x @param {number} from @param {number} to */
const part = (x, from, to) => /** @type {Float64Array} */ (x).subarray(from, to);

/** Some images of all. @param {Look} look @param {number} first @param {number} end @param {number} C @returns {Look} */
function imagesOf({ x, slope, offset }, first, end, C) {
  const S = x.length / slope.length;
  return { x: part(x, first * C * S, end * C * S), slope: slope.subarray(first * C, end * C), offset: offset.subarray(first * C, end * C) };
}

/**
 * All values before and after, and those of the picked block.
 * @param {{before: Look, after: () => Look, of: unknown[], C: number, region: number[], line: import("./color_scale.js").Line}} props
 *   of: what `after` depends on; region: the block's positions, then its channels, from and to
 */
function Histogram({ before, after, of, C, region, line }) {
  const [from, to, first, end] = region;
  const all = useMemo(() => counts(before), [before]);
  const picked = useMemo(() => blockCounts(before, C, [from, to], [first, end]), [before, C, ...region]);
  const hat = useMemo(after, of);
  const allAfter = useMemo(() => counts(hat), [hat]);
  const pickedAfter = useMemo(() => blockCounts(hat, C, [from, to], [first, end]), [hat, C, ...region]);
  return <ValueHistogram before={{ all, picked }} after={{ all: allAfter, picked: pickedAfter }} line={line} afterSymbol="x̂" />;
}

/** @typedef {ReturnType<typeof useContent>} Content */

/** Scores without a change, remembered. @param {Content} content @param {number} layer @param {Point} point @param {boolean} tokens */
function* cleanScores(content, layer, point, tokens) {
  const key = `${layer} ${point.b} ${point.g} ${tokens}`;
  const known = content.clean.get(key);
  if (known) return known;
  const found = yield* scores(content.net, content.at(layer).x, content.images, layer, point, tokens);
  content.clean.set(key, found);
  return found;
}

/**
 * What the network says with the change, and without it.
 * @param {Content} content @param {number} layer @param {Point} point @param {boolean} tokens @param {import("./layer_change.js").Lines} lines
 * @param {import("./layer_change.js").Kind} kind @returns {Generator<void, {now: Float64Array, clean: Float64Array | null}>}
 */
function* saying(content, layer, point, tokens, lines, kind) {
  if (kind === "none") return { now: yield* cleanScores(content, layer, point, tokens), clean: null };
  const now = yield* scores(content.net, changed(content.at(layer).x, lines), content.images, layer, point, tokens);
  return { now, clean: yield* cleanScores(content, layer, point, tokens) };
}

/**
 * How far x̂ and the scores of every image move at the four named layers: mean squares.
 * @param {Content} content @param {number} layer @param {boolean} tokens @param {number} groups @param {import("./layer_change.js").Lines} lines
 * @param {import("./layer_change.js").Kind} kind @returns {Generator<void, import("./activations_tables.jsx").Blind[]>}
 */
function* blindness(content, layer, tokens, groups, lines, kind) {
  /** @type {import("./activations_tables.jsx").Blind[]} */
  const found = [];
  if (kind === "none") return found;
  const { x, cells, size } = content.at(layer);
  const other = changed(x, lines);
  yield;
  for (const [place, point] of named(size, tokens, groups)) {
    const values = yield* movement(x, cells, lines, size, point, tokens);
    const clean = yield* cleanScores(content, layer, point, tokens);
    const now = yield* scores(content.net, other, content.images, layer, point, tokens);
    const said = new Float64Array(size.N);
    for (let i = 0; i < now.length; i++) said[Math.floor(i / CLASSES)] += (now[i] - clean[i]) ** 2 / CLASSES;
    found.push({ place, g: point.g, values, scores: said });
  }
  return found;
}

/** @param {{model: Model, el: HTMLElement}} view */
function render({ model, el }) {
  const words = language({ en });
  return mount({ kind: "activations", label: model.get("title") || words.title, model, el, component: Activations });
}

export default { render };
