// The line of gnlib and the line of torch that compute a point; no DOM. A test runs every one of them.
import { place } from "./grouping.js";

/**
 * @param {import("./grouping.js").Point} point @param {number} N @param {number} C @param {number} axes after (N, C)
 * @param {{eps?: number, affine?: boolean, evaluated?: boolean}} with
 * @returns {{gnlib: string, torch: string, note: string}} note: what the line of torch stands on, or ""
 */
export function layerCode({ b, g }, N, C, axes, { eps = 1e-5, affine = false, evaluated = false } = {}) {
  const where = place({ b, g }, N, C);
  const epsilon = eps === 1e-5 ? "" : `, eps=${eps}`;
  const parameters = affine ? ", weight, bias" : "";
  const grouping = {
    everything: "Grouping.everything()",
    batch_norm: "Grouping.batch_norm()",
    layer_norm: "Grouping.layer_norm()",
    instance_norm: "Grouping.instance_norm()",
    group_norm: `Grouping.group_norm(${g})`,
    ghost_batch_norm: `Grouping.ghost_batch_norm(${b})`,
    batch_group_norm: `Grouping.batch_group_norm(${g})`,
    unnamed: `Grouping(${b}, ${g})`,
  }[where];
  const grouped = (/** @type {(x: string) => string} */ call) => (g === C ? call("x") : `${call(`x.unflatten(1, (${g}, -1))`)}.flatten(1, 2)`);
  if (evaluated)
    return {
      gnlib: `apply(x, running${parameters}${epsilon})`,
      torch: grouped((x) => `F.batch_norm(${x}, mean, var${epsilon})`),
      note: where === "batch_norm" ? "as nn.BatchNorm does after eval()" : "mean, var: the running ones",
    };
  const dimension = axes <= 1 ? 1 : axes; // BatchNorm1d takes (N, C) and (N, C, L)
  const module = axes <= 3;
  const batch = `nn.BatchNorm${dimension}d(${C}${epsilon})`;
  const functional = (/** @type {string} */ x) => `F.batch_norm(${x}, None, None, training=True${epsilon})`;
  const groups = (/** @type {number} */ count) => `nn.GroupNorm(${count}, ${C}${epsilon})(x)`;
  /** @type {() => [string, string]} */
  const torch = () => {
    switch (where) {
      case "batch_norm": return [module ? `${batch}(x)` : functional("x"), ""];
      case "layer_norm": return [groups(1), axes ? "LayerNorm of (C, *)" : "LayerNorm"];
      case "instance_norm":
        if (!axes) return ["torch.zeros_like(x)", "every value is its own mean"];
        return [module ? `nn.InstanceNorm${axes}d(${C}${epsilon})(x)` : groups(C), ""];
      case "group_norm": return [groups(g), ""];
      case "everything": return [`F.layer_norm(x, x.shape${epsilon})`, "no layer of its own"];
      case "batch_group_norm": return [grouped(functional), "no layer of its own"];
      case "ghost_batch_norm": return [`torch.cat([bn(part) for part in x.chunk(${b})])`, `bn = ${module ? batch : `lambda part: ${functional("part")}`}`];
      default: return [`F.group_norm(x.unflatten(0, (${b}, -1)).transpose(1, 2), ${g}${epsilon}).transpose(1, 2).flatten(0, 1)`, "no layer of its own"];
    }
  };
  const [line, note] = torch();
  return { gnlib: `normalize(x, ${grouping}${parameters}${epsilon})`, torch: line, note };
}
