// Brings a question's form to life: the button that checks, what is said about the answer, the way to the figure.
// The form stands in the page already (gnlib/book/check.py) or is made by check.js; both have the same shape.
import { judgeChoice, judgeNumber, readNumber } from "./question.js";

/** @typedef {typeof import("./strings/en/check.js").check} Words @typedef {{chosen: number[], number: string}} Answer */

/** @param {string} tag @param {string} [className] @param {string} [text] */
export function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

/**
 * @param {HTMLFormElement} form
 * @param {object} how
 * @param {Words} how.words
 * @param {(answer: Answer) => void} [how.onChange] the reader chose or wrote something else
 * @param {(right: boolean) => void} [how.onAnswer] the reader pressed Check
 * @param {(reveal: string) => void} [how.onReveal] the reader wants to see it in the figure
 */
export function enhance(form, { words, onChange, onAnswer, onReveal }) {
  const inputs = /** @type {HTMLInputElement[]} */ ([...form.querySelectorAll("fieldset input")]);
  const explained = /** @type {HTMLElement[]} */ ([...form.querySelectorAll(".gn-check-all li")]);
  const row = /** @type {HTMLElement} */ (form.querySelector(".gn-check-row"));
  const kind = form.dataset.kind;
  const options = explained.map(({ dataset }) => ({
    right: dataset.right !== undefined,
    value: dataset.value === undefined ? undefined : Number(dataset.value),
    tolerance: Number(dataset.tolerance ?? 0),
  }));

  const said = element("div", "gn-check-said");
  said.setAttribute("role", "status");
  const button = /** @type {HTMLButtonElement} */ (element("button", "gn-check-button", words.check));
  button.type = "submit";
  const reveal = /** @type {HTMLButtonElement} */ (element("button", "gn-check-button gn-check-reveal", words.reveal));
  reveal.type = "button";
  reveal.hidden = true;
  row.before(said);
  row.prepend(button, reveal);
  form.dataset.ready = "true";

  /** @returns {Answer} */
  const answer = () => ({
    chosen: kind === "number" ? [] : inputs.flatMap((input, i) => (input.checked ? [i] : [])),
    number: kind === "number" ? inputs[0].value : "",
  });

  /** @param {"" | "right" | "wrong" | "note"} state @param {...(string | Node)} parts */
  const say = (state, ...parts) => {
    form.dataset.state = state;
    said.replaceChildren(...parts);
  };

  /** @param {number} i */
  const why = (i) => {
    const part = element("span", "gn-check-why");
    part.append(...[.../** @type {HTMLElement} */ (explained[i].querySelector(".gn-check-why")).childNodes].map((child) => child.cloneNode(true)));
    return part;
  };

  const clear = () => {
    say("");
    for (const input of inputs) {
      input.closest("label")?.removeAttribute("data-mark");
      input.removeAttribute("aria-invalid");
    }
  };

  /** Shows what is to be said about the present answer. @returns {boolean | null} whether it is right; null: there is none */
  const judge = () => {
    clear();
    const { chosen, number } = answer();
    const value = readNumber(number);
    if (kind === "number" ? Number.isNaN(value) : !chosen.length) {
      say("note", kind === "number" ? words.writeNumber : kind === "several" ? words.chooseSome : words.chooseOne);
      return null;
    }
    const verdict = kind === "number" ? judgeNumber(options, value) : judgeChoice(options, chosen);
    const mark = element("span", "gn-check-mark", verdict.right ? "✓" : "✗");
    mark.setAttribute("aria-hidden", "true");
    /** @type {(string | Node)[]} */
    const parts = [mark, " ", element("strong", "", verdict.right ? words.right : verdict.partly ? words.partly : words.wrong)];
    if (verdict.missing) parts.push(" ", words.missing(verdict.missing));
    if (verdict.explain.length === 1) parts.push(" ", why(verdict.explain[0]));
    else
      for (const i of verdict.explain) {
        const reason = element("span", "gn-check-reason");
        // as it stands in the fold: the option's words, math drawn
        const words = /** @type {HTMLElement} */ (explained[i].querySelector("strong")).cloneNode(true);
        reason.append(words, ": ", why(i));
        parts.push(" ", reason);
      }
    say(verdict.right ? "right" : "wrong", ...parts);
    if (kind === "number") {
      inputs[0].closest("label")?.setAttribute("data-mark", verdict.right ? "right" : "wrong");
      if (!verdict.right) inputs[0].setAttribute("aria-invalid", "true");
    } else for (const i of chosen) if (verdict.right || verdict.explain.includes(i)) inputs[i].closest("label")?.setAttribute("data-mark", options[i].right ? "right" : "wrong");
    reveal.hidden = !form.dataset.reveal || !onReveal;
    return verdict.right;
  };

  const life = new AbortController();
  form.addEventListener(
    "submit",
    (event) => {
      event.preventDefault();
      const right = judge();
      if (right !== null) onAnswer?.(right);
    },
    life,
  );
  form.addEventListener("input", () => (clear(), onChange?.(answer())), life);
  reveal.addEventListener("click", () => onReveal?.(form.dataset.reveal ?? ""), life);

  return {
    judge,
    say,
    /** Chooses as somebody else asks. @param {Answer} given */
    choose({ chosen, number }) {
      const now = answer();
      if (number === now.number && chosen.join() === now.chosen.join()) return;
      if (kind === "number") inputs[0].value = number;
      else inputs.forEach((input, i) => (input.checked = chosen.includes(i)));
      clear();
    },
    close() {
      life.abort();
    },
  };
}
