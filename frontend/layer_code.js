// The line of gnlib and the line of torch that compute a point; no DOM. A test runs every one of them.
import { place } from "./grouping.js";

/**
 * @param {import("./grouping.js").Point} point @param {number} N @param {number} C @param {number} axes after (N, C)
 * @returns {{gnlib: string, torch: string, note: string}} note: what the line of torch stands on, or ""
 */
export function layerCode({ b, g }, N, C, axes) {
  const where = place({ b, g }, N, C);
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
  const dimension = axes <= 1 ? 1 : axes; // BatchNorm1d takes (N, C) and (N, C, L)
  const module = axes <= 3;
  const batch = module ? `nn.BatchNorm${dimension}d(${C})` : "";
  const functional = (/** @type {string} */ x) => `F.batch_norm(${x}, None, None, training=True)`;
  /** @type {[string, string]} */
  const [torch, note] = (() => {
    switch (where) {
      case "batch_norm": return [module ? `${batch}(x)` : functional("x"), ""];
      case "layer_norm": return [`nn.GroupNorm(1, ${C})(x)`, axes ? "LayerNorm of (C, *)" : ""];
      case "instance_norm": return axes >= 1 && module ? [`nn.InstanceNorm${axes}d(${C})(x)`, ""] : axes ? [`nn.GroupNorm(${C}, ${C})(x)`, ""] : ["torch.zeros_like(x)", "every value is its own mean"];
      case "group_norm": return [`nn.GroupNorm(${g}, ${C})(x)`, ""];
      case "everything": return ["F.layer_norm(x, x.shape)", ""];
      case "batch_group_norm": return [`${functional(`x.unflatten(1, (${g}, -1))`)}.flatten(1, 2)`, "no layer of its own"];
      case "ghost_batch_norm": return [`torch.cat([bn(part) for part in x.chunk(${b})])`, `bn = ${module ? batch : `lambda part: ${functional("part")}`}`];
      default: return [`F.group_norm(x.unflatten(0, (${b}, -1)).transpose(1, 2), ${g}).transpose(1, 2).flatten(0, 1)`, "no layer of its own"];
    }
  })();
  return { gnlib: `normalize(x, ${grouping})`, torch, note };
}
