// A picture that does not move, such as a plot, fills the window: by a click on it or by its button. There it grows by +, by the wheel or by
// buttons, and moves by the arrow keys or by dragging. Figures that move have a full screen of their own.
(() => {
  "use strict";
  const WORDS = {
    open: (name) => `Enlarge ${name || "the picture"}`, picture: "Picture: + and − change its size, the arrow keys move it",
    smaller: "Smaller", larger: "Larger", close: "Close", size: (zoom) => `${Math.round(100 * zoom)} %`,
  };
  const STEPS = [1, 1.5, 2, 3, 4, 6];
  const pictures = [...document.querySelectorAll(".bd-article img")].filter((one) => !one.closest(".gn-figure, .gn-mount, a"));
  if (!pictures.length) return;

  const { make, icon } = window.gnParts; // gn-parts.js

  let dialog, view, told, image, step;
  function build() {
    view = make("div", { className: "gn-enlarge-view", tabIndex: 0, role: "region", ariaLabel: WORDS.picture });
    told = make("output", {});
    const tools = make("div", { className: "gn-enlarge-tools" }, icon("fa-minus", WORDS.smaller, () => zoom(step - 1)), told,
      icon("fa-plus", WORDS.larger, () => zoom(step + 1)), icon("fa-xmark", WORDS.close, () => dialog.close()));
    dialog = make("dialog", { className: "gn-enlarge" }, tools, view);
    document.body.append(dialog);
    dialog.addEventListener("keydown", (event) => {
      const by = { "+": 1, "=": 1, "-": -1, "−": -1 }[event.key];
      if (by) zoom(step + by);
      else if (event.key === "0") zoom(0);
    });
    view.addEventListener("wheel", (event) => {
      event.preventDefault();
      zoom(step - Math.sign(event.deltaY), event);
    }, { passive: false });
    let from;
    view.addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "mouse") return; // a finger scrolls by itself
      from = { x: event.clientX + view.scrollLeft, y: event.clientY + view.scrollTop };
      view.setPointerCapture(event.pointerId);
    });
    view.addEventListener("pointermove", (event) => from && view.scrollTo(from.x - event.clientX, from.y - event.clientY));
    for (const end of ["pointerup", "pointercancel"]) view.addEventListener(end, () => { from = undefined; });
    addEventListener("resize", () => dialog.open && zoom(step));
  }
  // what is under the pointer, or in the middle, stays where it is
  function zoom(to, { clientX, clientY } = {}) {
    const was = image.getBoundingClientRect(), box = view.getBoundingClientRect();
    const x = clientX ?? box.left + box.width / 2, y = clientY ?? box.top + box.height / 2;
    const part = { x: (x - was.left) / (was.width || 1), y: (y - was.top) / (was.height || 1) };
    step = Math.max(0, Math.min(STEPS.length - 1, to));
    const fit = Math.min(view.clientWidth, view.clientHeight * image.dataset.ratio);
    image.style.width = `${fit * STEPS[step]}px`;
    told.textContent = WORDS.size(STEPS[step]);
    const now = image.getBoundingClientRect();
    view.scrollBy({ left: now.left + part.x * now.width - x, top: now.top + part.y * now.height - y, behavior: "instant" });
  }
  function show(picture, name) {
    if (!dialog) build();
    image = make("img", { src: picture.currentSrc || picture.src, alt: picture.alt, draggable: false });
    image.dataset.ratio = picture.clientWidth / picture.clientHeight || 1;
    view.replaceChildren(image);
    dialog.ariaLabel = name || picture.alt;
    dialog.showModal();
    zoom(0);
    view.focus();
  }

  for (const picture of pictures) {
    const name = picture.closest("figure, .cell_output")?.querySelector(".caption-number")?.textContent.trim();
    const button = icon("fa-magnifying-glass-plus", WORDS.open(name), () => show(picture, name));
    button.className = "gn-enlarge-open";
    const frame = make("span", { className: "gn-enlargeable" });
    picture.replaceWith(frame);
    frame.append(picture, button);
    picture.addEventListener("click", () => show(picture, name));
  }
})();
