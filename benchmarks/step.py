"""Times a whole training step of a small network by its norm, and profiles it: gnlib's layers and torch.nn's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import get_args

import torch
from torch import Tensor, nn

import gnlib
from benchmarks import harness
from benchmarks.layers import LAYOUTS, record
from gnlib import ops
from gnlib.cifar.models import Norm, ResNet8
from gnlib.cifar.norms import norm_of
from gnlib.records import Record

TORCH: dict[str, Norm] = {
    "batch": nn.BatchNorm2d,
    "group:8": lambda channels: nn.GroupNorm(8, channels),
    "layer": lambda channels: nn.GroupNorm(1, channels),
    "instance": lambda channels: nn.InstanceNorm2d(channels, affine=True),
}
NORMS = ("batch", "ghost:32", "group:8", "layer", "instance", "none")


@dataclass(frozen=True)
class Step:
    """What is timed: forward, loss, backward and the optimizer's step on one batch."""

    norm: str
    layout: str  # a name in LAYOUTS
    model: str = "resnet8"
    batch_size: int = 128  # images
    side: int = 32  # pixels

    @property
    def bytes(self) -> int:
        """Size of the images, float32."""
        return self.batch_size * 3 * self.side**2 * 4


def steps() -> Iterator[Step]:
    for layout in LAYOUTS:
        for norm in NORMS:
            yield Step(norm, layout)


def time_step(step: Step, *, rounds: int = 9) -> dict[str, list[float]]:
    """Time a step with gnlib's layers, fused and by the readable core, with torch.nn's, and with no norm.

    Returns:
        seconds by contestant: "gnlib", "reference", "bare", "copy", and "torch" where torch.nn has the norm.
    """
    images = _images(step)
    calls = {"gnlib": _step(step, norm_of(step.norm)), "bare": _step(step, norm_of("none"))}
    with gnlib.arithmetic("reference"):
        calls["reference"] = _step(step, norm_of(step.norm))
    if step.norm in TORCH:
        calls |= {name: _step(step, TORCH[step.norm]) for name in ("torch", "torch_again")}
    return harness.measure({**calls, "copy": lambda k: images.clone()}, rounds=rounds)


def profiled(step: Step, *, steps: int = 20, rows: int = 12) -> str:
    """Tell which operators a step spends its time in, before: by the readable core, and after: fused."""
    told = []
    for by in reversed(get_args(ops.Arithmetic)):
        with gnlib.arithmetic(by):
            take = _step(step, norm_of(step.norm))
        take(0)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            for k in range(steps):
                take(k)
        spent = sorted(profile.key_averages(), key=lambda event: event.self_cpu_time_total, reverse=True)
        whole = sum(event.self_cpu_time_total for event in spent)  # µs
        told.append(f"{step.norm}, {step.layout}, {by}: {whole / steps / 1e3:.1f} ms a step, each operator's own time")
        told += [
            f"  {event.self_cpu_time_total / steps / 1e3:8.2f} ms {event.self_cpu_time_total / whole:6.1%}"
            f" {event.count / steps:6.0f} × {event.key}"
            for event in spent[:rows]
        ]
    return "\n".join(told)


def _images(step: Step) -> Tensor:
    shape = step.batch_size, 3, step.side, step.side
    return torch.randn(shape).contiguous(memory_format=LAYOUTS[step.layout])


def _step(step: Step, norm: Norm) -> harness.Call:
    torch.manual_seed(0)
    images, labels = _images(step), torch.arange(step.batch_size) % 10
    model = ResNet8(norm).to(memory_format=LAYOUTS[step.layout])  # type: ignore[call-overload]  # torch's stub is behind
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def take(k: int) -> None:
        optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return take


def measured(step: Step, rounds: int) -> Record:
    """Time a step, and write it down."""
    start = time.perf_counter()
    times = time_step(step, rounds=rounds)
    return record("cpu-step", asdict(step), times, step.bytes, time.perf_counter() - start, harness.processor())
