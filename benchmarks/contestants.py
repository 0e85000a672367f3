"""Who competes: gnlib's layers, torch.nn's, both compiled, and the same statistics as people write them out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

import gnlib

Shape = tuple[int, int, int, int]  # N, C, H, W
GROUPS = 32
Module = Callable[[Shape], nn.Module]


def _blocks(N: int) -> int:
    """Into how many blocks a ghost batch norm cuts N samples here: four, or two of very few."""
    return 4 if N % 4 == 0 and N > 4 else 2 if N % 2 == 0 else 1


class Chunked(nn.Module):
    """Ghost batch norm as it is commonly written: a BatchNorm that is given one chunk after the other."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.norm, self.blocks = nn.BatchNorm2d(channels), blocks
        self.weight, self.bias = self.norm.weight, self.norm.bias

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            whole: Tensor = self.norm(x)
            return whole
        return torch.cat([self.norm(chunk) for chunk in x.chunk(self.blocks)])


class WrittenOut(nn.Module):
    """A norm as the formula reads, with torch's elementary operators, on the blocks that the point (b, g) cuts.

    ``one_pass`` takes the variance as E[x²] - E[x]², as the annotated implementation of labml.ai does.
    """

    def __init__(self, affine: tuple[int, ...], b: int, g: int, one_pass: bool, rms: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(affine))
        self.bias = None if rms else nn.Parameter(torch.zeros(affine))
        self.b, self.g, self.one_pass, self.rms = b, g, one_pass, rms

    def forward(self, x: Tensor) -> Tensor:
        N, C = x.shape[:2]
        blocks = x.reshape(self.b, N // self.b, self.g, C // self.g, -1)  # (b, N/b, g, C/g, S)
        axes = (1, 3, 4)
        if self.rms:
            mean_square = blocks.square().mean(axes, keepdim=True)
            return (blocks * torch.rsqrt(mean_square + 1e-5)).view(x.shape) * self._fit(self.weight, x)
        mean = blocks.mean(axes, keepdim=True)
        if self.one_pass:
            var = blocks.square().mean(axes, keepdim=True) - mean.square()
        else:
            var = blocks.var(axes, correction=0, keepdim=True)
        y = ((blocks - mean) / torch.sqrt(var + 1e-5)).view(x.shape)
        assert self.bias is not None
        return y * self._fit(self.weight, x) + self._fit(self.bias, x)

    @staticmethod
    def _fit(table: Tensor, x: Tensor) -> Tensor:
        return table if table.dim() > 1 else table.view(-1, *(1 for _ in x.shape[2:]))


@dataclass(frozen=True)
class Layer:
    """A layer of gnlib, its counterpart, and where both stand on the square."""

    ours: Module
    theirs: Module
    point: Callable[[Shape], tuple[int, int]]  # (b, g)
    by_element: bool = False  # γ and β of shape (C, H, W), not (C,)
    running: bool = False  # evaluates by what it kept
    rms: bool = False


LAYERS = {
    "BatchNorm": Layer(
        lambda s: gnlib.BatchNorm(s[1]), lambda s: nn.BatchNorm2d(s[1]), lambda s: (1, s[1]), running=True
    ),
    "GhostBatchNorm": Layer(
        lambda s: gnlib.GhostBatchNorm(s[1], s[0] // _blocks(s[0])),
        lambda s: Chunked(s[1], _blocks(s[0])),
        lambda s: (_blocks(s[0]), s[1]),
        running=True,
    ),
    "LayerNorm": Layer(
        lambda s: gnlib.LayerNorm(s[1:]), lambda s: nn.LayerNorm(s[1:]), lambda s: (s[0], 1), by_element=True
    ),
    "LayerNorm by channel": Layer(
        lambda s: gnlib.GroupNorm(1, s[1]), lambda s: nn.LayerNorm(s[1:]), lambda s: (s[0], 1)
    ),
    "InstanceNorm": Layer(
        lambda s: gnlib.InstanceNorm(s[1], affine=True),
        lambda s: nn.InstanceNorm2d(s[1], affine=True),
        lambda s: (s[0], s[1]),
    ),
    "GroupNorm": Layer(
        lambda s: gnlib.GroupNorm(GROUPS, s[1]), lambda s: nn.GroupNorm(GROUPS, s[1]), lambda s: (s[0], GROUPS)
    ),
    "RMSNorm": Layer(
        lambda s: gnlib.RMSNorm(s[1:], eps=1e-5),
        lambda s: nn.RMSNorm(s[1:], eps=1e-5),
        lambda s: (s[0], 1),
        by_element=True,
        rms=True,
    ),
}
"""What is compared. "LayerNorm by channel" has one γ and β a channel, which torch offers as GroupNorm(1, C) alone."""


class Contestant(NamedTuple):
    """One who competes in a case."""

    name: str
    module: nn.Module


class _InANetwork(nn.Module):
    """Hold one layer: torch's compiler passes over modules of torch.nn that stand alone, as over nothing to compile."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x)
        return y


def contestants(layer: Layer, shape: Shape, *, evaluate: bool, compiled: bool) -> list[Contestant]:
    """Build all who compete: ``torch`` twice, so that the noise can be seen, and those who are compiled if asked."""
    b, g = layer.point(shape)
    found = [
        Contestant("gnlib", layer.ours(shape)),
        Contestant("torch", layer.theirs(shape)),
        Contestant("torch_again", layer.theirs(shape)),
    ]
    if not (evaluate and layer.running):
        affine = shape[1:] if layer.by_element else shape[1:2]
        found.append(Contestant("naive", WrittenOut(affine, b, g, False, layer.rms)))
        if not layer.rms:
            found.append(Contestant("one_pass", WrittenOut(affine, b, g, True)))
    if compiled:
        for name, build in (("compiled_gnlib", layer.ours), ("compiled_torch", layer.theirs)):
            module = _InANetwork(build(shape))
            module.compile(fullgraph=True, dynamic=False)
            found.append(Contestant(name, module))
    return found
