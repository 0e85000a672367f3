// A question in a notebook: makes the form that gnlib/book/check.py writes into a page, and ties it to a model.
import "./check.css";
import { keepKeys } from "./notebook_keys.js";
import { element, enhance } from "./question_form.js";
import { check as en } from "./strings/en/check.js";
import { language } from "./strings/index.js";

/** @typedef {import("./model.js").Model} Model @typedef {{text: string, right: boolean, why: string, value: number | null, tolerance: number}} Option */

const INPUTS = { one: "radio", several: "checkbox" };
let made = 0; // forms so far: radio buttons belong together by their name

/** Text with `code` in backticks. @param {string} text @returns {(string | HTMLElement)[]} */
const written = (text) => text.split("`").map((part, i) => (i % 2 ? element("code", "", part) : part));

/** Makes the form. @param {Model} model @param {typeof en} words */
function build(model, words) {
  const form = /** @type {HTMLFormElement} */ (element("form", "gn-check"));
  const kind = /** @type {"one" | "several" | "number"} */ (form.dataset.kind = model.get("kind"));
  form.noValidate = true;
  const options = /** @type {Option[]} */ (model.get("options"));
  const fieldset = element("fieldset");
  const legend = element("legend");
  const count = element("span", "gn-check-count", model.get("title") || words.question);
  const asked = element("span", "gn-check-asked");
  asked.append(...written(model.get("question")));
  legend.append(count, " ", asked);
  fieldset.append(legend);
  if (kind === "number") {
    const label = element("label", "gn-check-number");
    const input = /** @type {HTMLInputElement} */ (element("input"));
    Object.assign(input, { type: "text", inputMode: "decimal", autocomplete: "off", spellcheck: false });
    label.append(element("span", "", words.yourAnswer), " ", input, ...(model.get("unit") ? [" ", element("span", "", model.get("unit"))] : []));
    fieldset.append(label);
  } else {
    const list = element("div", "gn-check-options");
    const name = `gn-check-${++made}`;
    options.forEach((option, i) => {
      const label = element("label");
      const input = /** @type {HTMLInputElement} */ (element("input"));
      Object.assign(input, { type: INPUTS[kind], name, value: String(i) });
      const text = element("span");
      text.append(...written(option.text));
      label.append(input, text);
      list.append(label);
    });
    fieldset.append(list);
  }
  const all = element("details", "gn-check-all");
  const explained = element("ul");
  for (const { text, right, why, value, tolerance } of options) {
    const item = element("li");
    if (right) item.dataset.right = "";
    if (value !== null) Object.assign(item.dataset, { value, tolerance });
    const said = element("strong");
    said.append(...written(text || words.otherwise));
    const reason = element("span", "gn-check-why");
    reason.append(...written(why));
    item.append(said, " ", element("em", "", right ? `✓ ${words.isRight}` : `✗ ${words.isWrong}`), " ", reason);
    explained.append(item);
  }
  all.append(element("summary", "", words.answers), explained);
  const row = element("div", "gn-check-row");
  row.append(all);
  form.append(fieldset, row);
  return form;
}

export default {
  /** @param {{model: Model, el: HTMLElement}} view */
  render({ model, el }) {
    const words = language({ en });
    const root = element("figure", "gn-figure");
    root.dataset.figure = "check";
    keepKeys(root);
    root.setAttribute("aria-label", words.question);
    el.append(root);
    const write = (/** @type {Record<string, unknown>} */ traits) => {
      for (const [name, value] of Object.entries(traits)) model.set(name, value);
      model.save_changes();
    };
    /** @type {() => void} */
    let close = () => {};
    const begin = () => {
      close();
      const form = build(model, words);
      root.replaceChildren(form);
      const done = element("span", "gn-check-done");
      form.querySelector(".gn-check-count")?.append(" ", done);
      const hand = enhance(form, {
        words,
        onChange: ({ chosen, number }) => write({ chosen, number }),
        onAnswer: (right) => write({ tries: model.get("tries") + 1, ...(right ? { solved: true } : {}) }),
      });
      const follow = () => hand.choose({ chosen: model.get("chosen"), number: model.get("number") });
      const mark = () => {
        form.toggleAttribute("data-solved", model.get("solved"));
        done.textContent = model.get("solved") ? `✓ ${words.answered}` : "";
      };
      follow();
      mark();
      for (const trait of ["chosen", "number"]) model.on(`change:${trait}`, follow);
      model.on("change:solved", mark);
      close = () => {
        hand.close();
        for (const trait of ["chosen", "number"]) model.off(`change:${trait}`, follow);
        model.off("change:solved", mark);
      };
    };
    const content = ["question", "options", "kind", "unit", "title"];
    begin();
    for (const trait of content) model.on(`change:${trait}`, begin);
    return () => {
      close();
      for (const trait of content) model.off(`change:${trait}`, begin);
      root.remove();
    };
  },
};
