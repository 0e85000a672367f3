"""Names a network's norm in a word, "batch" or "group:32". In training nothing else knows which norms there are."""

from __future__ import annotations

import math
import re

import torch
from torch import Tensor, nn

from gnlib.cifar.models import MODELS, Norm, widths
from gnlib.grouping import divisors, one_of
from gnlib.layers import BatchNorm, GhostBatchNorm, GroupNorm, InstanceNorm

SPECS = {
    "batch": "BatchNorm",
    "layer": "LayerNorm over channels and positions, with one γ and β a channel: GroupNorm of one group",
    "instance": "InstanceNorm, with γ and β",
    "group:G": "GroupNorm of G groups",
    "groups-of:K": "GroupNorm of K channels a group",
    "ghost:K": "BatchNorm that takes its statistics over K images at a time",
    "none": "γ and β alone, no statistics",
}
"""What may be written, and what it means."""


class ScaleAndShift(nn.Module):
    """Keep γ and β and leave the normalization out: what is left of a norm layer without its statistics."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        of_channels = (-1, *(1 for _ in x.shape[2:]))
        return x * self.weight.to(x.dtype).view(of_channels) + self.bias.to(x.dtype).view(of_channels)


def norm_of(spec: str, gamma: float = 1.0) -> Norm:
    """Return the norm that ``spec`` names, as a function of the channel count.

    All have one γ and one β for every channel, so that networks differ in their statistics and in nothing else.

    Args:
        spec: one of :data:`SPECS`, such as "batch" or "group:32".
        gamma: value at which γ starts.
    Raises:
        ValueError: the spec is none of these; says which there are.
    """
    kind, number = _parse(spec)

    def make(channels: int) -> nn.Module:
        layer = _layer(kind, number, channels)
        if gamma != 1:
            assert isinstance(layer.weight, Tensor)
            nn.init.constant_(layer.weight, gamma)
        return layer

    return make


def check(spec: str, model: str, batch: int) -> None:
    """Refuse a norm that some layer of the model, or the batch, cannot have; says which would work.

    Args:
        spec: as for :func:`norm_of`.
        model: a name in :data:`~gnlib.cifar.models.MODELS`.
        batch: images that a norm layer sees at once.
    Raises:
        ValueError: the spec is unknown, its groups do not divide the model's channels, or its blocks not the batch.
    """
    if model not in MODELS:
        raise ValueError(f"model must be one of {', '.join(MODELS)}: got {model!r}")
    kind, number = _parse(spec)
    channels = widths(model)
    common = math.gcd(*channels)
    if kind in ("group", "groups-of") and common % number:
        what = "groups" if kind == "group" else "channels a group"
        raise ValueError(
            f"{kind}:{number} must divide the channels of every layer: {model} has layers of "
            f"{', '.join(map(str, channels))} channels; {one_of(divisors(common))} {what} would do"
        )
    if kind == "ghost" and batch % number:
        raise ValueError(
            f"ghost:{number} must divide the images that a layer sees at once: got {batch}; "
            f"ghost:K with K = {one_of(divisors(batch))} would do"
        )


def values_per_statistic(layer: nn.Module, shape: torch.Size) -> int | None:
    """Count the values behind each mean that a layer takes of an input of a shape; None if it takes none."""
    match layer:
        case GhostBatchNorm():
            return layer.block_size * shape[2:].numel()
        case BatchNorm() | GroupNorm() | InstanceNorm():
            b, g = layer.grouping.resolve(shape[0], shape[1])
            return shape.numel() // (b * g)
    return None


def _parse(spec: str) -> tuple[str, int]:
    kind, _, number = spec.partition(":")
    known = {name.partition(":")[0]: ":" in name for name in SPECS}
    if kind not in known or known[kind] != bool(number) or not re.fullmatch(r"([1-9]\d*)?", number):
        raise ValueError(f"norm must be one of {', '.join(SPECS)}, with whole numbers for G and K: got {spec!r}")
    return kind, int(number or 0)


def _layer(kind: str, number: int, channels: int) -> nn.Module:
    match kind:
        case "batch":
            return BatchNorm(channels)
        case "layer":
            return GroupNorm(1, channels)
        case "instance":
            return InstanceNorm(channels, affine=True)
        case "group":
            return GroupNorm(number, channels)
        case "groups-of":
            return GroupNorm(channels // number, channels)
        case "ghost":
            return GhostBatchNorm(channels, number)
        case _:
            return ScaleAndShift(channels)
