"""Times a whole training step of a small network by its norm, with gnlib's layers and with torch.nn's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import torch
from torch import nn

from benchmarks import harness
from benchmarks.layers import LAYOUTS, record
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
    """Time a step with gnlib's layers, with torch.nn's where it has the norm, and with none; seconds by contestant."""
    images = torch.randn(step.batch_size, 3, step.side, step.side).contiguous(memory_format=LAYOUTS[step.layout])
    labels = torch.arange(step.batch_size) % 10
    norms = {"gnlib": norm_of(step.norm), "bare": norm_of("none")}
    if step.norm in TORCH:
        norms |= {"torch": TORCH[step.norm], "torch_again": TORCH[step.norm]}
    calls: dict[str, harness.Call] = {name: _step(norm, step.layout, images, labels) for name, norm in norms.items()}
    return harness.measure({**calls, "copy": lambda k: images.clone()}, rounds=rounds)


def _step(norm: Norm, layout: str, images: torch.Tensor, labels: torch.Tensor) -> Callable[[int], object]:
    torch.manual_seed(0)
    model = ResNet8(norm).to(memory_format=LAYOUTS[layout])  # type: ignore[call-overload]  # torch's stub is behind
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
