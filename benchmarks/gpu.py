"""`python -m benchmarks.gpu`: holds the kernels against float64 on a GPU, then times them, and tells what came out.

The time of a case is the device's: a CUDA graph holds a call for every input, so that Python's pace is not in it. What
Python sees is measured beside it, as ``wall``. A number "x copy" is the time over that of a copy of the same input.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks import harness, layers
from benchmarks.contestants import LAYERS, Shape, contestants
from gnlib import core, kernels, records
from gnlib.grouping import Grouping
from gnlib.records import Record

ROOT = Path(__file__).resolve().parents[1]
SHAPES: tuple[Shape, ...] = (
    *((512, 64, 32, 32), (64, 256, 56, 56), (128, 256, 16, 16), (256, 128, 32, 32), (32, 512, 28, 28)),
)
ODD: tuple[Shape, ...] = ((6, 96, 7, 5), (2, 32, 61, 67), (40, 64, 2, 2), (3, 10, 129, 130))
NORMS = ("BatchNorm", "GroupNorm", "LayerNorm by channel", "InstanceNorm", "GhostBatchNorm")
POINTS = {
    "batch": Grouping.batch_norm(),
    "ghost": Grouping.ghost_batch_norm(2),
    "layer": Grouping.layer_norm(),
    "instance": Grouping.instance_norm(),
    "everything": Grouping.everything(),
}
EXACT = {torch.float32: 1e-5, torch.float16: 1e-3, torch.bfloat16: 8e-3}  # relative error in the norm that is let pass
BUDGETS = {"forward": 1.6, "training": 4.2}  # x copy, in half types from LARGE on
LARGE = 64e6  # bytes
# TILE, WARPS, WIDE and FILL of gnlib.triton_kernels: the choice, then what it was chosen among
PLANS = (
    *((4096, 4, 128, 2112), (2048, 4, 128, 2112), (4096, 8, 128, 2112), (8192, 8, 128, 2112)),
    *((4096, 4, 64, 2112), (4096, 4, 256, 2112), (4096, 4, 128, 1056), (4096, 4, 128, 4224)),
)


# ---- right ----------------------------------------------------------------------------------------------------------


def wrong(device: str, shapes: Sequence[Shape], seed: int) -> Iterator[str]:
    """Compute on fresh random data at every kind of point, and name what is not exact, or not the same twice."""
    generator = torch.Generator(device).manual_seed(seed)
    for shape, last, dtype in itertools.product(shapes, (False, True), EXACT):
        for (name, point), relu in itertools.product(POINTS.items(), (False, True)):
            if dtype != torch.bfloat16 and (relu or shape in SHAPES or (dtype == torch.float16 and shape != shapes[0])):
                continue  # each would have to be compiled
            if isinstance(point.samples, int) and shape[0] % point.samples:
                continue
            errors, again = _errors(shape, last, dtype, point, relu, generator)
            told = f"{name}{', relu' if relu else ''}, {shape}, {'channels_last' if last else 'NCHW'}, {dtype}"
            if not max(errors) <= EXACT[dtype]:
                yield f"{told}: relative errors of y, dx, dγ, dβ: {', '.join(f'{error:.1e}' for error in errors)}"
            if not again:
                yield f"{told}: another result at the second call"


def _errors(
    shape: Shape, last: bool, dtype: torch.dtype, point: Grouping, relu: bool, generator: torch.Generator
) -> tuple[list[float], bool]:
    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=generator.device)

    x, dy = (normal(*shape).mul(2).add(1).to(dtype) for _ in range(2))
    if last:
        x, dy = (values.contiguous(memory_format=torch.channels_last) for values in (x, dy))
    affine = [normal(shape[1]), normal(shape[1])]

    def results(normalize: Callable[..., Tensor], *leaves: Tensor) -> list[Tensor]:
        leaves = tuple(values.clone().requires_grad_() for values in leaves)
        y = normalize(*leaves)
        return [y, *torch.autograd.grad(y, leaves, dy.to(y.dtype))]

    def by_core(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        y = core.normalize(x, point, weight, bias)
        return y.relu() if relu else y

    def by_kernels(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return kernels.normalize(x, point, weight, bias, relu=relu)

    harness.poison(x)
    ours = results(by_kernels, x, *affine)
    same = all(map(torch.equal, ours, results(by_kernels, x, *affine))) and ours[0].stride() == x.stride()
    exact = results(by_core, *(values.double() for values in (x, *affine)))
    errors = [
        ((a.double() - b).norm() / b.norm().clamp(min=1e-6)).nan_to_num(torch.inf).item()
        for a, b in zip(ours, exact, strict=True)
    ]
    return errors, same


# ---- quick ----------------------------------------------------------------------------------------------------------


def captured(call: harness.Call, inputs: int) -> harness.Call:
    """Record a call for every input into a CUDA graph, and return what plays it."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for k in range(3):
            call(k)
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for k in range(inputs):
            call(k)
    return lambda _: graph.replay()


def timed(calls: dict[str, harness.Call], inputs: int, device: str, rounds: int) -> dict[str, list[float]]:
    """Time calls by the device and, as ``<name>_wall``, by the clock on the wall; seconds a call, one a round."""
    wait = torch.cuda.synchronize if device == "cuda" else (lambda: None)
    wall = harness.measure(calls, rounds=rounds, least=2e-3, synchronize=wait)
    if device == "cuda":
        graphs = {name: captured(call, inputs) for name, call in calls.items()}
        times = harness.measure(graphs, rounds=rounds, least=2e-3, synchronize=wait)
        times = {name: [value / inputs for value in values] for name, values in times.items()}
    else:
        times = wall
    return times | {f"{name}_wall": values for name, values in wall.items()}


def time_case(case: layers.Case, device: str, rounds: int) -> dict[str, list[float]]:
    """Time all who compete in a case, each checked before."""
    layer, dtype, layout = LAYERS[case.layer], layers.DTYPES[case.dtype], layers.LAYOUTS[case.layout]

    def normal() -> Tensor:
        return torch.randn(case.shape, device=device).to(dtype, memory_format=layout)

    inputs = harness.rotated(normal().requires_grad_(case.mode == "training"))
    cotangents = harness.rotated(normal())
    calls: dict[str, harness.Call] = {}
    for name, module in contestants(layer, case.shape, evaluate=case.mode == "evaluation", compiled=case.compiled):
        if name in ("naive", "one_pass") and not case.compiled:
            continue
        module.to(device, dtype).train(case.mode != "evaluation")
        layers._fill(module)
        harness.poison(inputs[0])
        try:
            first = layers.call(module, inputs[:1], cotangents[:1], case.mode)(0)
            exact = layers._exact(layer, layer.point(case.shape), module, inputs[0], cotangents[0], case.mode)
            harness.check(f"{name} in {case}", first, exact, layers.TOLERANCE[case.dtype])
        except Exception as error:  # a compiler's, or a peer's that is not exact; the others can still be compared
            if name in ("gnlib", "torch", "torch_again"):
                raise
            print(f"{name} is left out of {case}: {str(error).partition(chr(10))[0]}", file=sys.stderr)
            continue
        calls[name] = layers.call(module, inputs, cotangents, case.mode)
    calls["copy"] = lambda k: inputs[k % len(inputs)].detach().clone()
    return timed(calls, len(inputs), device, rounds)


def cases(shapes: Sequence[Shape], dtypes: Sequence[str]) -> Iterator[layers.Case]:
    """List the cases, the most telling first: with those who are compiled on the first shape."""
    for dtype, shape in itertools.product(dtypes, shapes):
        for layout, layer, mode in itertools.product(layers.LAYOUTS, NORMS, ("training", "forward")):
            yield layers.Case(layer, *shape, layout, dtype, mode)
    for layout, layer in itertools.product(layers.LAYOUTS, NORMS):
        yield layers.Case(layer, *shapes[0], layout, dtypes[0], "training", compiled=True)


class Kernels(nn.Module):
    """GroupNorm by the kernels, however small the input is."""

    def __init__(self, groups: int, channels: int) -> None:
        super().__init__()
        self.point = Grouping.group_norm(groups)
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return kernels.normalize(x, self.point, self.weight, self.bias)


def time_small(N: int, layout: str, device: str, rounds: int) -> tuple[dict[str, list[float]], int]:
    """Time GroupNorm by kernels and by torch on N samples: from where on are launches worth it?"""
    dtype, shape = torch.bfloat16, (N, 64, 16, 16)
    x = torch.randn(shape, device=device).to(dtype, memory_format=layers.LAYOUTS[layout]).requires_grad_()
    inputs, cotangents = harness.rotated(x)[:8], [x.detach()]
    modules = {"gnlib": Kernels(8, 64), "torch": nn.GroupNorm(8, 64), "torch_again": nn.GroupNorm(8, 64)}
    calls: dict[str, harness.Call] = {
        name: layers.call(module.to(device, dtype), inputs, cotangents, "training") for name, module in modules.items()
    }
    calls["copy"] = lambda k: inputs[k % len(inputs)].detach().clone()
    return timed(calls, len(inputs), device, rounds), x.numel() * x.element_size()


@contextmanager
def cut_by(constants: dict[str, int]) -> Iterator[None]:
    """Set the constants by which the kernels cut an activation, for as long as a measurement takes."""
    module = kernels._triton()
    before = {name: getattr(module, name) for name in constants}
    try:
        for name, value in constants.items():
            setattr(module, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(module, name, value)


# ---- told -----------------------------------------------------------------------------------------------------------


def x_copy(record: Record, name: str = "gnlib") -> float:
    """Return the time of a contestant over that of a copy."""
    return float(record.results[f"{name}_us"] / record.results["copy_us"])


def line(record: Record) -> str:
    """Tell a case in one line: x copy of all who competed, and whether the budget is kept."""
    config, results = record.config, record.results
    names = ("gnlib", "torch", "compiled_gnlib", "compiled_torch", "naive", "one_pass")
    there = [f"{name} {x_copy(record, name):.2f}" for name in names if f"{name}_us" in results]
    told = f"{'; '.join(there)}; wall {results['gnlib_wall_us']:.0f} µs, torch {results['torch_wall_us']:.0f}"
    most = BUDGETS.get(str(config.get("mode")))
    if most and results["input_bytes"] >= LARGE and config["dtype"] != "float32":
        told += f"; budget {most}: {'kept' if x_copy(record) <= most else 'over'}"
    return f"{told}; noise {results['noise_ratio']:.2f}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--seconds", type=float, default=520.0, help="begin nothing after so many (default: 520)")
    parser.add_argument("--rounds", type=int, default=9, help="how often all who compete are measured (default: 9)")
    parser.add_argument("--seed", type=int, help="of the data on which the kernels are checked; a new one if none")
    parser.add_argument("--results", type=Path, default=ROOT / "results", help="folder of the records")
    parser.add_argument("--dry", action="store_true", help="record nothing")
    parser.add_argument("--rehearse", action="store_true", help="go through all of it on a CPU, on tiny inputs: no GPU")
    options = parser.parse_args(arguments)
    if not (options.rehearse or torch.cuda.is_available()):
        built = torch.version.cuda or torch.version.hip
        why = "torch sees none" if built else f"this torch, {torch.__version__}, is built for CPUs alone"
        print(f"make bench-gpu needs a GPU, and {why}; `make bench-cpu` measures without", file=sys.stderr)
        return 1
    return _measure(options)


def _measure(options: argparse.Namespace) -> int:
    start = time.monotonic()
    device = "cpu" if options.rehearse else "cuda"
    shapes, odd = ([(4, 64, 4, 4)], [(2, 4, 3, 5)]) if options.rehearse else (SHAPES, ODD)
    name = "a rehearsal" if options.rehearse else torch.cuda.get_device_name()
    if not options.rehearse and not kernels._runs_on(torch.device("cuda", torch.cuda.current_device())):
        print(f"the kernels do not run on {name}: see the warning, or it is older than the A100", file=sys.stderr)
        return 1

    def left(share: float) -> bool:
        return bool(time.monotonic() - start < share * options.seconds)

    def keep(record: Record, told: str) -> None:
        if not (options.dry or options.rehearse):
            records.append(options.results / f"{record.experiment}.jsonl", record)
        print(f"{record.experiment}: {told}: {line(record)}", flush=True)

    seed = random.SystemRandom().randrange(2**31) if options.seed is None else options.seed
    found = list(wrong(device, [*odd, *shapes], seed))
    for each in found:
        print(f"WRONG: {each}")
    print(f"{name}: {len(found)} wrong, seed {seed}, {time.monotonic() - start:.0f} s", flush=True)
    if found:
        return 1
    few = 1 if options.rehearse else None
    dtypes, plans, samples = ["bfloat16", "float16"][:few], PLANS[:few], [1, 4, 16, 64, 256, 1024][:few]
    for case in cases(shapes, dtypes):
        if left(0.75):
            begin = time.monotonic()
            times = time_case(case, device, options.rounds)
            took = time.monotonic() - begin
            keep(layers.record("gpu-layers", asdict(case), times, case.bytes, took, name), str(case))
            torch.compiler.reset()
    for layout, N in itertools.product(layers.LAYOUTS, samples):
        if left(0.85):
            begin = time.monotonic()
            times, size = time_small(N, layout, device, options.rounds)
            config = {"N": N, "C": 64, "H": 16, "W": 16, "layout": layout, "dtype": "bfloat16", "layer": "GroupNorm"}
            took = time.monotonic() - begin
            keep(layers.record("gpu-launch", config, times, size, took, name), f"{size / 1e6:.3f} MB, {layout}")
    for plan, (layout, layer) in itertools.product(plans, itertools.product(layers.LAYOUTS, NORMS[:2])):
        if left(1):
            case = layers.Case(layer, *shapes[0], layout, "bfloat16", "training")
            constants = dict(zip(("TILE", "WARPS", "WIDE", "FILL"), plan, strict=True))
            begin = time.monotonic()
            with nullcontext() if options.rehearse else cut_by(constants):
                times = time_case(case, device, options.rounds)
            took = time.monotonic() - begin
            told = f"{layer}, {layout}, {', '.join(f'{key} {value}' for key, value in constants.items())}"
            config = {**asdict(case), **{key.lower(): value for key, value in constants.items()}}
            keep(layers.record("gpu-plans", config, times, case.bytes, took, name), told)
    print(f"{time.monotonic() - start:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
