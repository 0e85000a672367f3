// Keeps the keys of a figure's controls for the figure, in JupyterLab.

/**
 * JupyterLab takes arrow keys for its cells from everything but text fields, sliders and radio buttons included. It asks
 * only the element that has the focus whether it may.
 * @param {HTMLElement} root
 */
export function keepKeys(root) {
  if (!document.body.hasAttribute("data-jp-theme-light")) return;
  root.addEventListener("focusin", ({ target }) => /** @type {HTMLElement} */ (target).setAttribute("data-lm-suppress-shortcuts", "true"));
}
