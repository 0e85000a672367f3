"""`python -m benchmarks`: measures the layers on this machine's CPU, and tells what it and earlier records say."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks import growth, harness, layers, report, step
from gnlib import records
from gnlib.records import Record

ROOT = Path(__file__).resolve().parents[1]


class Benchmark(NamedTuple):
    """What can be measured."""

    tells: str
    cases: Callable[[], Iterable[Any]]
    measured: Callable[[Any, int], Record]
    tables: tuple[Callable[[list[Record]], str], ...]


BENCHMARKS = {
    "cpu-layers": Benchmark(
        "every layer against torch.nn", layers.cases, layers.measured, (report.layers, report.compiled, report.budgets)
    ),
    "cpu-step": Benchmark("a training step by norm", step.steps, step.measured, (report.steps,)),
    "cpu-growth": Benchmark("time by size", growth.places, growth.measured, (report.growth,)),
}


def main(arguments: list[str] | None = None) -> int:
    told = [f"{name} ({benchmark.tells})" for name, benchmark in BENCHMARKS.items()]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(told)}; all if none")
    parser.add_argument("--rounds", type=int, default=9, help="how often all who compete are measured (default: 9)")
    parser.add_argument("--only", default="", metavar="REGEX", help="only the cases whose name it is found in")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no case after so many")
    parser.add_argument("--results", type=Path, default=ROOT / "results", help="folder of the records")
    parser.add_argument("--dry", action="store_true", help="record nothing")
    parser.add_argument("--tell", action="store_true", help="measure nothing: tell what is recorded")
    parser.add_argument("--profile", metavar="NORM", help="tell only where a training step with it spends its time")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the recorded growth into this file")
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in BENCHMARKS:
            parser.error(f"NAME must be one of {', '.join(BENCHMARKS)}: got {name!r}")
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1: got {options.rounds}")
    if options.picture:
        return _draw(records.read(options.results / "cpu-growth.jsonl"), options.picture)
    if not options.tell:
        harness.keep_pages("benchmarks", sys.argv[1:] if arguments is None else arguments)
    if options.profile:
        for layout in layers.LAYOUTS:
            print(step.profiled(step.Step(options.profile, layout)))
        return 0
    end = time.monotonic() + options.seconds
    for name in options.names or BENCHMARKS:
        benchmark, path = BENCHMARKS[name], options.results / f"{name}.jsonl"
        found = records.read(path) if options.tell else []
        for case in [] if options.tell else benchmark.cases():
            if re.search(options.only, str(case)) and time.monotonic() < end:
                record = benchmark.measured(case, options.rounds)
                torch.compiler.reset()
                found.append(record)
                if not options.dry:
                    records.append(path, record)
                print(f"{name}: {case}: {record.seconds:.1f} s", file=sys.stderr, flush=True)
        found = records.latest(found)
        for table in benchmark.tables if found else ():
            print(f"\n{name}\n{table(found)}")
        if found:
            print(f"\n{report.whereabouts(found)}")
    return 0


def _draw(found: list[Record], file: Path) -> int:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from gnlib.figures import time_by_size

    figure = Figure(figsize=(10, 7), layout="constrained")
    FigureCanvasAgg(figure)
    time_by_size(records.latest(found), list(figure.subplots(2, 2).flat))
    figure.savefig(file, dpi=150)
    return 0


if __name__ == "__main__":
    sys.exit(main())
