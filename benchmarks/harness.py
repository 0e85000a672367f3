"""Times calls against each other so that the ratios can be trusted; knows no layer.

What spoils a timing, and what is done about it here:

- The machine's speed drifts: all contestants run in every round, in an order that is drawn anew, and a ratio is taken
  within one round. What is told is the median over the rounds, and the quartiles.
- The caches hold the last input: inputs are rotated, and together larger than any cache.
- The first calls allocate, choose and compile: they are not counted.
- Fresh memory costs a page fault a page, which falls on whoever asks first: see :func:`keep_pages`.
- Noise is taken for a difference: one contestant competes with itself, and what that shows is the noise floor.
- A call that writes nothing is quick: before a result is checked, memory of its size is filled with NaN and given back.
"""

from __future__ import annotations

import gc
import math
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

CACHE = 64 * 2**20  # bytes that all inputs of a case together exceed
PAGES = {"MALLOC_MMAP_THRESHOLD_": 2**32, "MALLOC_TRIM_THRESHOLD_": 2**32, "MALLOC_TOP_PAD_": 2**28}  # bytes
Call = Callable[[int], object]  # takes the number of the input


class Spread(NamedTuple):
    """The middle half of some values."""

    median: float
    low: float  # first quartile
    high: float  # third quartile


def spread(values: Sequence[float]) -> Spread:
    """Sum up values, one a round, by their median and quartiles."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high)


def ratio(times: Mapping[str, Sequence[float]], one: str, other: str) -> Spread:
    """Compare two contestants round by round: above 1 if ``one`` takes longer."""
    return spread([a / b for a, b in zip(times[one], times[other], strict=True)])


def noise(times: Mapping[str, Sequence[float]], one: str, twin: str) -> float:
    """Return the noise floor: how far from 1 the ratio of two that are alike strays, as a share."""
    between = ratio(times, one, twin)
    return max(between.high, 1 / between.low) - 1


def measure(
    contestants: Mapping[str, Call],
    *,
    rounds: int,
    least: float = 0.01,
    synchronize: Callable[[], object] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Time all contestants in every round.

    Args:
        contestants: by name; each is called with the number of an input, which grows from call to call.
        rounds: how often all are measured.
        least: seconds that a measurement lasts at least: a quick contestant is called more often.
        synchronize: waits until the device has done all that it was told.
        clock: seconds.
    Returns:
        seconds a call of every contestant, one number a round.
    """
    turn = 0

    def several(call: Call, calls: int) -> float:
        nonlocal turn
        synchronize()
        start = clock()
        for _ in range(calls):
            call(turn)
            turn += 1
        synchronize()
        return (clock() - start) / calls

    calls = {}
    for name, call in contestants.items():
        several(call, 2)  # the warm-up
        calls[name] = min(max(math.ceil(least / max(several(call, 1), 1e-9)), 1), 1000)
    times: dict[str, list[float]] = {name: [] for name in contestants}
    collecting = gc.isenabled()
    gc.disable()
    try:
        for number in range(rounds):
            order = list(contestants)
            random.Random(number).shuffle(order)
            for name in order:
                times[name].append(several(contestants[name], calls[name]))
    finally:
        if collecting:
            gc.enable()
    return times


def rotated(x: Tensor) -> list[Tensor]:
    """Copy an input until the copies together are larger than any cache, two at least; all keep its layout."""
    count = max(2, math.ceil(CACHE / max(x.numel() * x.element_size(), 1)))
    return [x, *(x.detach().clone().requires_grad_(x.requires_grad) for _ in range(min(count, 512) - 1))]


def poison(like: Tensor) -> None:
    """Fill memory that the next results may get with NaN, so that none can pass that was not written."""
    taken = [torch.full_like(like, math.nan, requires_grad=False) for _ in range(4)]
    del taken


class WrongResultError(RuntimeError):
    """A contestant does not compute what it is timed for."""


def check(name: str, results: Sequence[Tensor], exact: Sequence[Tensor], tolerance: float) -> None:
    """Refuse a contestant whose results stray from the exact ones.

    Args:
        name: for the message.
        results: of any dtype.
        exact: of float64.
        tolerance: error that is let pass, as a share of the largest exact value.
    Raises:
        WrongResultError: a result strays further, or was not written.
    """
    for number, (ours, theirs) in enumerate(zip(results, exact, strict=True)):
        error = (ours.double() - theirs).abs().max().item()
        limit = tolerance * max(theirs.abs().max().item(), 1.0)
        if not error <= limit:
            raise WrongResultError(
                f"result {number} of {name} must be exact to {limit:.2g}, or its time says nothing: got {error:.2g}"
            )


# ---------------------------------------------------------------------------------------------------- the machine


def keep_pages(module: str, arguments: Sequence[str]) -> None:
    """Start the process again with an allocator that keeps its memory; nothing to do where there is no glibc.

    Without this the time of a large result is that of its page faults: two identical layers differed sixfold.
    """
    wanted = {name: str(value) for name, value in PAGES.items()}
    if platform.libc_ver()[0] == "glibc" and any(os.environ.get(name) != value for name, value in wanted.items()):
        sys.stdout.flush()
        os.execve(sys.executable, [sys.executable, "-m", module, *arguments], os.environ | wanted)


def processor() -> str:
    """Name the CPU and how many of its cores this process may use: "AMD EPYC, 2 cores"."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = models[0] if models else name
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {cores} cores"


def load() -> float:
    """Return how many processes wanted a core in the last minute, for every core that there is."""
    return os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else 0.0
