"""Times every layer, layout, dtype, size and mode against torch.nn's and others, on the device that it is given."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import harness
from benchmarks.contestants import LAYERS, Layer, Shape, contestants
from gnlib import records
from gnlib.core import normalize, normalize_by, rms_normalize
from gnlib.grouping import Grouping
from gnlib.records import Record

SHAPES: tuple[Shape, ...] = ((2, 512, 8, 8), (32, 64, 32, 32), (128, 128, 16, 16), (8, 256, 56, 56))
LAYOUTS = {"NCHW": torch.contiguous_format, "channels_last": torch.channels_last}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
TOLERANCE = {"float32": 2e-4, "bfloat16": 0.1, "float16": 0.02}  # of the largest value; peers compute in the dtype
PAIRS = (("gnlib", "torch"), ("gnlib", "copy"), ("compiled_gnlib", "compiled_torch"))
COMPILED: Shape = (32, 64, 32, 32)  # a compiler takes many seconds a layer, so only here


@dataclass(frozen=True)
class Case:
    """What is timed."""

    layer: str  # a name in LAYERS
    N: int
    C: int
    H: int
    W: int
    layout: str  # a name in LAYOUTS
    dtype: str  # a name in DTYPES
    mode: str  # "training": forward and backward; "forward": without; "evaluation": in eval(), no gradients
    mean: float = 0.0  # standard deviations from zero to the inputs' mean
    compiled: bool = False  # whether those compete who are compiled

    @property
    def shape(self) -> Shape:
        return self.N, self.C, self.H, self.W

    @property
    def bytes(self) -> int:
        """Size of the input."""
        return self.N * self.C * self.H * self.W * DTYPES[self.dtype].itemsize

    def __str__(self) -> str:
        shape = "×".join(map(str, self.shape))
        return f"{self.layer}, {self.mode}, {shape}, {self.layout}, {self.dtype}" + (", far" if self.mean else "")


def cases(
    shapes: Iterable[Shape] = SHAPES,
    dtypes: Iterable[str] = ("float32", "bfloat16"),
    modes: Iterable[str] = ("training", "evaluation"),
) -> Iterator[Case]:
    """List what is timed; last the layers on inputs far from zero, which gnlib measures twice."""
    of_modes = list(modes)
    for layer in LAYERS:
        for dtype in dtypes:
            for layout in LAYOUTS:
                for mode in of_modes:
                    for shape in shapes:
                        compiled = shape == COMPILED and dtype == "float32" and mode == "training"
                        yield Case(layer, *shape, layout, dtype, mode, compiled=compiled)
    for layer in ("BatchNorm", "GhostBatchNorm", "InstanceNorm", "GroupNorm"):
        for layout in LAYOUTS:
            yield Case(layer, 8, 256, 56, 56, layout, "float32", "training", mean=3.0)


def time_case(
    case: Case, device: str = "cpu", *, rounds: int = 9, least: float = 0.01, synchronize: Callable[[], object] = int
) -> dict[str, list[float]]:
    """Check that all who compete compute the layer, then time them; seconds a call by contestant, one a round.

    Raises:
        WrongResultError: one of them does not.
    """
    layer = LAYERS[case.layer]
    generator = torch.Generator().manual_seed(0)
    dtype, layout = DTYPES[case.dtype], LAYOUTS[case.layout]
    values = torch.randn(case.shape, generator=generator) + case.mean
    inputs = harness.rotated(values.to(device, dtype, memory_format=layout).requires_grad_(case.mode == "training"))
    cotangents = harness.rotated(torch.randn(case.shape, generator=generator).to(device, dtype, memory_format=layout))
    calls: dict[str, harness.Call] = {}
    competing = contestants(layer, case.shape, evaluate=case.mode == "evaluation", compiled=case.compiled)
    for name, module in competing:
        module.to(device, dtype).train(case.mode != "evaluation")
        _fill(module)
        harness.poison(inputs[0])
        first = call(module, inputs[:1], cotangents[:1], case.mode)(0)
        exact = _exact(layer, layer.point(case.shape), module, inputs[0], cotangents[0], case.mode)
        harness.check(f"{name} in {case}", first, exact, TOLERANCE[case.dtype] * (1 + abs(case.mean)))
        calls[name] = call(module, inputs, cotangents, case.mode)
    calls["copy"] = lambda k: inputs[k % len(inputs)].detach().clone()
    return harness.measure(calls, rounds=rounds, least=least, synchronize=synchronize)


def _fill(module: nn.Module) -> None:
    """Give γ and β the same values in all who compete, none of them special; buffers those of a batch near zero."""
    with torch.no_grad():
        for name, table in module.named_parameters():
            ramp = torch.linspace(0.5, 1.5, len(table), device=table.device).view(-1, *(1 for _ in table.shape[1:]))
            table.copy_(ramp.expand(table.shape) - int("bias" in name))
        for name, kept in module.named_buffers():
            if "running" in name:
                kept.copy_(torch.linspace(0.1, 1.0, len(kept)))


def call(module: nn.Module, inputs: list[Tensor], cotangents: list[Tensor], mode: str) -> Callable[[int], list[Tensor]]:
    if mode != "training":

        def forward(k: int) -> list[Tensor]:
            with torch.no_grad():
                return [module(inputs[k % len(inputs)])]

        return forward
    parameters = list(module.parameters())

    def step(k: int) -> list[Tensor]:
        x = inputs[k % len(inputs)]
        y = module(x)
        return [y, *torch.autograd.grad(y, [x, *parameters], cotangents[k % len(cotangents)])]

    return step


def _exact(layer: Layer, point: tuple[int, int], module: nn.Module, x: Tensor, dy: Tensor, mode: str) -> list[Tensor]:
    """Compute in float64 by the core what the module should give; γ's and β's gradients summed as they are shaped."""
    x, dy = (values.detach().double() for values in (x, dy))
    tables = [table.detach().double().requires_grad_() for table in module.parameters()]
    leaves = [x.requires_grad_(), *tables]
    by_element = [table.view(1, *table.shape) if table.dim() > 1 else table.view(-1, 1, 1) for table in tables]
    if layer.rms:
        y = rms_normalize(x, Grouping(*point), eps=1e-5)
    elif mode == "evaluation" and layer.running:
        kept = {name.rpartition(".")[2]: table.double() for name, table in module.named_buffers()}
        y = normalize_by(x, kept["running_mean"], kept["running_var"], eps=1e-5)
    else:
        y = normalize(x, Grouping(*point), eps=1e-5)
    y = y * by_element[0] + (by_element[1] if len(by_element) > 1 else 0)
    if mode != "training":
        return [y.detach()]
    return [y.detach(), *torch.autograd.grad(y, leaves, dy)]


def record(
    experiment: str, config: dict[str, Any], times: dict[str, list[float]], size: int, seconds: float, device: str
) -> Record:
    """Write down a measurement: of every contestant the median and the quartiles, and the ratios within a round.

    Args:
        experiment: the file's stem.
        config: what was timed.
        times: seconds a call by contestant, with "gnlib", "torch", "torch_again" and "copy" among them.
        size: of the input.
        seconds: that the whole took.
        device: for people.
    """
    results: dict[str, float] = {}
    for name, values in times.items():
        for which, value in harness.spread(values)._asdict().items():
            results[f"{name}_us" if which == "median" else f"{name}_{which}_us"] = 1e6 * value
    for one, other in PAIRS:
        if one in times and other in times:
            for which, value in harness.ratio(times, one, other)._asdict().items():
                name = f"{one}_to_{other}"
                results[f"{name}_ratio" if which == "median" else f"{name}_{which}_ratio"] = value
    if "torch_again" in times:
        results["noise_ratio"] = harness.noise(times, "torch", "torch_again")
    copy = harness.spread(times["copy"]).median
    results |= {"input_bytes": size, "copy_GB_per_s": 2 * size / copy / 1e9}
    results |= {"rounds_count": len(times["copy"]), "load_per_core_ratio": harness.load()}
    commit, changed = records.provenance()
    return Record(
        kind="benchmark",
        experiment=experiment,
        config=config,
        outcome="finished",
        results={name: value if isinstance(value, int) else float(f"{value:.4g}") for name, value in results.items()},
        seconds=round(seconds, 3),
        data={"values": "independent, normal, of unit variance"},
        machine=records.machine(device, torch.get_num_threads()),
        commit=commit,
        changed=changed,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def measured(case: Case, rounds: int) -> Record:
    """Time a case on the CPU, and write it down."""
    start = time.perf_counter()
    times = time_case(case, rounds=rounds)
    return record("cpu-layers", asdict(case), times, case.bytes, time.perf_counter() - start, harness.processor())
