// Mounts anywidget modules (default export {initialize, render}, or a function that returns it) in a finished page, each widget with a
// plain model that lives in the browser. See gnlib/book/anywidget_static.py for what stands in the page.
(() => {
  "use strict";
  const WORDS = {
    en: "This figure could not start. Reloading the page may help; the chapter's notebook shows it too. The reason, for a report:",
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

  // a module is a plain script that pushes [key, exports], before this script runs or after
  const modules = new Map();
  const slot = (key) => {
    if (!modules.has(key)) {
      const one = {};
      one.promise = new Promise((resolve, reject) => Object.assign(one, { resolve, reject }));
      modules.set(key, one);
    }
    return modules.get(key);
  };
  const early = window.anywidgetStatic ?? [];
  window.anywidgetStatic = { push: ([key, exports]) => slot(key).resolve(exports) };
  early.forEach(window.anywidgetStatic.push);
  addEventListener("load", () => {
    // the load event waits for every script of the page: what has not come by now never will
    for (const one of modules.values()) one.reject(new Error("its program did not arrive"));
  });

  const life = new AbortController();
  const models = new Map();
  function start(data, id) {
    if (!models.has(id)) {
      models.set(
        id,
        (async () => {
          const { default: exported } = await slot(data.models[id].esm).promise;
          const widget = typeof exported === "function" ? await exported() : exported;
          const model = new Model(data.models[id]);
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
    try {
      if (!data?.models[place.dataset.model]) throw new Error("its data are not in the page");
      const { model, widget } = await start(data, place.dataset.model);
      place.prepend(el);
      await widget.render?.({ model, el, signal: life.signal, experimental: {} });
      note.remove();
      place.dataset.mounted = "true";
    } catch (error) {
      el.remove();
      place.dataset.mounted = "error";
      note.setAttribute("role", "status");
      note.textContent = `${words()} ${error.message}`;
      console.error(error);
    }
  }

  function begin() {
    const payload = document.querySelector('script[type="application/vnd.anywidget-static+json"]');
    const data = payload && JSON.parse(payload.textContent);
    for (const place of document.querySelectorAll(".gn-mount")) mount(data, place);
  }
  // "interactive" comes before the deferred scripts of the theme run, DOMContentLoaded after them
  if (document.readyState === "loading") document.addEventListener("readystatechange", begin, { once: true });
  else begin();
})();
