"""Times how the layers' cost grows: with the samples, the channels, the positions and the groups, over four decades."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch
from torch import nn

import gnlib
from benchmarks import harness
from benchmarks.layers import call, record
from gnlib.records import Record

STEPS = [4**k for k in range(8)]  # 1 to 16,384


@dataclass(frozen=True)
class Place:
    """A size on one of the axes; all others stay as they are there."""

    axis: str  # "N", "C", "S" or "G"
    N: int
    C: int
    S: int
    G: int

    @property
    def bytes(self) -> int:
        """Size of the input, float32."""
        return self.N * self.C * self.S * 4


def places() -> Iterator[Place]:
    """List all sizes: at the largest of every axis 8 to 34 MB, beyond what a cache holds."""
    for k in STEPS:
        yield Place("N", k, 32, 16, 8)
    for k in STEPS:
        yield Place("C", 8, k, 64, min(k, 8))
    for k in STEPS:
        yield Place("S", 8, 32, k, 8)
    for k in STEPS:
        yield Place("G", 8, STEPS[-1], 16, k)


def build(place: Place) -> dict[str, nn.Module]:
    """Build who competes at a place: of gnlib all four, of torch the two that need no other form there."""
    C, G = place.C, place.G
    found: dict[str, nn.Module] = {"group": gnlib.GroupNorm(G, C), "torch_group": nn.GroupNorm(G, C)}
    if place.axis != "G":
        found |= {"batch": gnlib.BatchNorm(C), "torch_batch": nn.BatchNorm1d(C), "layer": gnlib.GroupNorm(1, C)}
        if place.S > 1:
            found["instance"] = gnlib.InstanceNorm(C, affine=True)
    return found


def time_place(place: Place, *, rounds: int = 7, least: float = 0.005) -> dict[str, list[float]]:
    """Time forward and backward of all who compete; seconds a call by contestant, one a round."""
    shape = (place.N, place.C, place.S)
    inputs = harness.rotated(torch.randn(shape).requires_grad_())
    cotangents = harness.rotated(torch.randn(shape))
    calls = {name: call(module, inputs, cotangents, "training") for name, module in build(place).items()}
    return harness.measure(
        {**calls, "copy": lambda k: inputs[k % len(inputs)].detach().clone()}, rounds=rounds, least=least
    )


def measured(place: Place, rounds: int) -> Record:
    """Time a place, and write it down."""
    start = time.perf_counter()
    times = time_place(place, rounds=rounds)
    return record("cpu-growth", asdict(place), times, place.bytes, time.perf_counter() - start, harness.processor())
