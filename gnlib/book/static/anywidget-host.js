// Mounts anywidget modules (default export {initialize, render}, or a function that returns it) in a finished page, each widget with a
// plain model that lives in the browser, once the reader comes near it. See gnlib/book/anywidget_static.py for what stands in the page.
(() => {
  "use strict";
  const WORDS = {
    en: {
      waiting: "This figure starts when you come to it.",
      start: "Start it now",
      failed: "This figure could not start. Reloading the page may help; the chapter's notebook shows it too. The reason, for a report:",
    },
  };
  const words = () => WORDS[document.documentElement.lang.slice(0, 2)] ?? WORDS.en;
  const binary = (value) => ArrayBuffer.isView(value) || value instanceof ArrayBuffer;
  const same = (a, b) => a === b || (!binary(a) && !binary(b) && JSON.stringify(a) === JSON.stringify(b));

  function bytes(base64) {
    const text = atob(base64);
    const array = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) array[i] = text.charCodeAt(i);
    return new DataView(array.buffer); // what anywidget gives a front end for bytes
  }

  class Model {
    constructor({ state, buffers = [] }) {
      this.state = structuredClone(state);
      this.listeners = new Map();
      for (const { path, base64 } of buffers) {
        const last = path[path.length - 1];
        let at = this.state;
        for (const step of path.slice(0, -1)) at = at[step];
        at[last] = bytes(base64);
      }
    }
    get(name) {
      return this.state[name];
    }
    set(name, value) {
      const pairs = typeof name === "object" ? Object.entries(name) : [[name, value]];
      const changed = pairs.filter(([key, next]) => !same(this.state[key], next));
      for (const [key, next] of changed) this.state[key] = next;
      for (const [key, next] of changed) this.emit(`change:${key}`, this, next);
      if (changed.length) this.emit("change", this);
    }
    save_changes() {} // nobody is on the other side: the browser is the truth
    send() {
      throw new Error("the figure asked for a kernel, and a page has none");
    }
    on(names, listener) {
      for (const name of names.split(/\s+/)) {
        if (!this.listeners.has(name)) this.listeners.set(name, new Set());
        this.listeners.get(name).add(listener);
      }
    }
    off(names, listener) {
      for (const name of names?.split(/\s+/) ?? this.listeners.keys()) {
        const set = this.listeners.get(name);
        if (listener) set?.delete(listener);
        else set?.clear();
      }
    }
    emit(name, ...values) {
      for (const listener of [...(this.listeners.get(name) ?? [])]) listener(...values);
    }
  }

  // a module is a plain script that pushes [key, exports], before this script runs or after, and so is a large value of a
  // figure's state; the first figure's stand in the page's head, the others are asked for here
  const modules = new Map();
  const slot = (key) => {
    if (!modules.has(key)) {
      const one = {};
      one.promise = new Promise((resolve, reject) => Object.assign(one, { resolve, reject }));
      one.promise.catch(() => {}); // whoever mounts a figure of it says so
      modules.set(key, one);
    }
    return modules.get(key);
  };
  const early = window.anywidgetStatic ?? [];
  window.anywidgetStatic = { push: ([key, exports]) => slot(key).resolve(exports) };
  early.forEach(window.anywidgetStatic.push);
  const missing = (key) => slot(key).reject(new Error("a part of it did not arrive"));
  function module(data, key) {
    if (!modules.has(key) && data.modules?.[key]) {
      const script = Object.assign(document.createElement("script"), { src: data.modules[key], async: true });
      script.onload = script.onerror = () => missing(key); // after a load only if it pushed nothing
      document.head.append(script);
    }
    return slot(key).promise;
  }

  const life = new AbortController();
  const models = new Map();
  function start(data, id) {
    if (!models.has(id)) {
      models.set(
        id,
        (async () => {
          const { esm, apart = {}, ...own } = data.models[id];
          const large = Object.entries(apart).map(async ([trait, key]) => [trait, await module(data, key)]);
          const [{ default: exported }, ...found] = await Promise.all([module(data, esm), ...large]);
          const widget = typeof exported === "function" ? await exported() : exported;
          const model = new Model({ ...own, state: { ...own.state, ...Object.fromEntries(found) } });
          model.widget_manager = { get_model: async (name) => (await start(data, name.replace(/^IPY_MODEL_/, ""))).model };
          await widget.initialize?.({ model, signal: life.signal, experimental: {} });
          return { model, widget };
        })(),
      );
    }
    return models.get(id); // several views of one model share it, and so stay in step
  }

  async function mount(data, place) {
    const note = place.firstElementChild;
    const el = document.createElement("div");
    el.dataset.name = place.dataset.name;
    try {
      if (!data?.models[place.dataset.model]) throw new Error("its data are not in the page");
      const { model, widget } = await start(data, place.dataset.model);
      place.prepend(el);
      await widget.render?.({ model, el, signal: life.signal, experimental: {} });
      const hand = note.contains(document.activeElement);
      note.remove();
      place.dataset.mounted = "true";
      if (hand) {
        const figure = el.firstElementChild ?? el;
        figure.tabIndex = -1; // from here the tab key goes to its first control
        figure.addEventListener("blur", () => figure.removeAttribute("tabindex"), { once: true });
        figure.focus({ preventScroll: true });
      }
    } catch (error) {
      el.remove();
      place.dataset.mounted = "error";
      note.setAttribute("role", "status");
      note.textContent = `${words().failed} ${error.message}`;
      console.error(error);
    }
  }

  function decode(text) {
    try {
      return decodeURIComponent(text);
    } catch {
      return text; // a stray %
    }
  }

  // what a figure is called in the address: by its author, else "square", then "square-2", in the order of the page
  function giveNames(data, places) {
    const taken = new Set();
    for (const place of places) {
      const { kind = "", state = {} } = data?.models[place.dataset.model] ?? {};
      let name = state.name || kind;
      for (let i = 2; !state.name && taken.has(name); i++) name = `${kind}-${i}`;
      taken.add(name);
      place.dataset.name = name;
    }
  }

  function begin() {
    const payload = document.querySelector('script[type="application/vnd.anywidget-static+json"]');
    const data = payload && JSON.parse(payload.textContent);
    const waiting = new Set(document.querySelectorAll(".gn-mount"));
    giveNames(data, waiting);
    const go = (place) => waiting.delete(place) && mount(data, place);
    const all = () => [...waiting].forEach(go);
    const inTurn = async (places) => {
      for (const place of places) {
        await go(place);
        await new Promise((next) => setTimeout(next)); // between two figures the page may do something else
      }
    };

    // the address speaks of a figure's state: it starts, wherever it stands
    const named = () => {
      const keys = [...new URLSearchParams(location.hash.split("?").slice(1).join("?")).keys()];
      for (const place of [...waiting]) if (keys.some((key) => key.startsWith(`${place.dataset.name}.`))) go(place);
    };
    // a link leads past figures: they start first, since their heights decide where it ends
    const targetOf = (hash) => {
      const [anchor] = hash.slice(1).split("?");
      return anchor ? document.getElementById(decode(anchor)) : null;
    };
    const before = (target) => [...waiting].filter((place) => place.compareDocumentPosition(target) & Node.DOCUMENT_POSITION_FOLLOWING);
    document.addEventListener("click", (event) => {
      const link = event.target.closest?.("a[href*='#']");
      const target = link && link.pathname === location.pathname && targetOf(link.hash);
      if (target) before(target).forEach(go);
    }, { capture: true });
    named();
    addEventListener("hashchange", named);

    let touched = false;
    for (const kind of ["wheel", "touchstart", "pointerdown", "keydown"]) addEventListener(kind, () => { touched = true; }, { once: true, passive: true });
    const again = performance.getEntriesByType("navigation")[0]?.type !== "navigate"; // the browser goes to where the reader was
    const land = () => requestAnimationFrame(() => {
      if (!again && !touched) targetOf(location.hash)?.scrollIntoView({ behavior: "instant" });
    });
    const first = targetOf(location.hash);
    if (again) inTurn([...waiting]);
    else if (first) inTurn(before(first)).then(land);

    for (const kind of ["beforeprint", "gn:all"]) addEventListener(kind, all); // gn-theme.js asks for all, and then prints
    addEventListener("keydown", (event) => {
      if (event.key === "F3" || ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "f")) all(); // the browser searches what stands there
    });

    if ("IntersectionObserver" in window) {
      const near = new IntersectionObserver((entries) => {
        for (const { target, isIntersecting } of entries)
          if (isIntersecting) {
            near.unobserve(target);
            go(target);
          } else if (waiting.has(target)) wait(target, go);
      }, { rootMargin: "100% 0px" }); // a screen before it is seen
      for (const place of waiting) near.observe(place);
    } else all();

    addEventListener("load", () => {
      // the load event waits for every script of the page: what has not come by now never will
      for (const { esm, apart = {} } of Object.values(data?.models ?? {}))
        for (const key of [esm, ...Object.values(apart)])
          if (data.modules?.[key]) module(data, key); // those of figures further down: nothing on the screen waits any more
          else missing(key);
      land();
    });
  }

  // a figure further down says that it will come, and has something for the tab key to stop at
  function wait(place, go) {
    const note = place.firstElementChild;
    if (note.querySelector("button")) return;
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: words().start });
    button.addEventListener("focus", () => go(place));
    button.addEventListener("click", () => go(place));
    note.replaceChildren(`${words().waiting} `, button);
  }

  // "interactive" comes before the deferred scripts of the theme run, DOMContentLoaded after them
  if (document.readyState === "loading") document.addEventListener("readystatechange", begin, { once: true });
  else begin();
})();
