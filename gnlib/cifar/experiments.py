"""The named sweeps: the question that each asks, and its runs in the order in which they tell most per second."""

from __future__ import annotations

import hashlib
import math
import shutil
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gnlib import records
from gnlib.cifar import data
from gnlib.cifar.data import Dataset
from gnlib.cifar.runs import Config, alone, run
from gnlib.cifar.training import Watch

SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Sweep:
    """A named experiment: a list of runs, those that tell most per second first."""

    question: str
    cells: tuple[Config, ...]  # for a GPU
    reduced: tuple[Config, ...]  # for a few CPU cores; () where that would tell nothing


def _grid(
    norms: Iterable[str], batch_sizes: Iterable[int] = (), seeds: Iterable[int] = SEEDS, **settings: Any
) -> tuple[Config, ...]:
    """Vary the norm fastest and the seed slowest: after every seed the table is whole."""
    sizes = [{"batch_size": size} for size in batch_sizes] or [{}]
    return tuple(
        Config.of(norm=norm, seed=seed, **size, **settings) for seed in seeds for size in sizes for norm in norms
    )


FIVE = ("batch", "group:32", "layer", "instance", "none")
FIVE_NARROW = ("batch", "group:8", "layer", "instance", "none")  # for layers of 16 channels
SHORT: dict[str, Any] = {"model": "resnet9", "epochs": 5}
LAPTOP: dict[str, Any] = {  # a minute a run on a CPU core
    "model": "resnet8", "train_images": 2000, "held_out": 1000, "epochs": 12, "lr": 0.4,
}  # fmt: skip


def _rates(norms: Iterable[str], batch_sizes: Iterable[int], **settings: Any) -> tuple[Config, ...]:
    """Vary the learning rate by 4, down and up; between the two lies the sweep over batch sizes."""
    lr = Config.of(**settings).recipe.lr
    return sum((_grid(norms, batch_sizes, (0,), **{**settings, "lr": rate}) for rate in (lr / 4, lr * 4)), ())


def _speedrun() -> tuple[Config, ...]:
    """BatchNorm first; then GroupNorm tuned on the held-out split; then GroupNorm on all training images."""
    race: dict[str, Any] = {
        "model": "resnet9-whitened", "batch_size": 512, "lr": 0.1, "schedule": "linear", "warmup": 2.0,
        "label_smoothing": 0.2, "precision": "bfloat16", "compile": "default", "test_flips": True,
    }  # fmt: skip
    standardized = {**race, "weight_standardization": True}
    tuned = (
        race, standardized, {**standardized, "weight_decay": 1e-3}, {**standardized, "gamma": 0.5},
        {**standardized, "zero_gamma": False},
    )  # fmt: skip
    return (
        *(cell for epochs in (8, 10, 12) for cell in _grid(["batch"], held_out=0, epochs=epochs, **race)),
        *(cell for one in tuned for cell in _grid(["group:32", "groups-of:16"], seeds=(0,), epochs=12, **one)),
        *(cell for epochs in (12, 16, 20) for cell in _grid(["group:32"], held_out=0, epochs=epochs, **standardized)),
    )


SWEEPS = {
    "origin": Sweep(
        "How do the norms do in the network, and with the settings, of the annotated implementation?",
        cells=_grid(["group:16", "batch", "layer", "instance"], model="vgg"),
        reduced=_grid(["group:16", "batch", "layer", "instance"], seeds=(0,), model="vgg",
                      train_images=5000, held_out=1000, epochs=4),
    ),
    "batch-size": Sweep(
        "Which norm needs a large batch?",
        cells=_grid(FIVE, (32, 128, 8, 2), **SHORT) + _grid(FIVE, (256, 64, 16, 4), **SHORT),
        reduced=_grid(FIVE_NARROW, (32, 8, 2), **LAPTOP),
    ),
    "rates": Sweep(
        "Would another learning rate change the answer? To be judged on the held-out split, at both ends.",
        cells=_rates(FIVE, (128, 2), **SHORT),
        reduced=_rates(FIVE_NARROW, (32, 2), **LAPTOP),
    ),
    "groups": Sweep(
        "How many groups, or how many channels a group?",
        cells=_grid(["layer", *(f"group:{g}" for g in (2, 4, 8, 16, 32, 64)), "instance",
                     *(f"groups-of:{k}" for k in (64, 32, 16, 8, 4, 2))], (32,), **SHORT),
        reduced=_grid(["layer", *(f"group:{g}" for g in (2, 4, 8, 16)), "instance",
                       *(f"groups-of:{k}" for k in (16, 8, 4, 2))], (32,), **LAPTOP),
    ),
    "ghost": Sweep(
        "Is it the statistics of few images that hurt, or their gradient? Steps see 32 images, statistics K of them.",
        cells=_grid(["batch", "ghost:2", "ghost:8", "ghost:4", "ghost:16", "group:32", "instance"], (32,), **SHORT),
        reduced=_grid(["batch", "ghost:2", "ghost:8", "ghost:4", "ghost:16", "group:8", "instance"], (32,), **LAPTOP),
    ),
    "speedrun": Sweep("How many seconds to 93 and to 94 %?", cells=_speedrun(), reduced=()),
}  # fmt: skip


@dataclass(frozen=True)
class Swept:
    """How a sweep, or a part of it, ended."""

    finished: int  # runs that came to their end now
    recorded: int  # runs that were recorded before
    left: int  # runs that still wait, or are being run by another process
    stopped: bool  # by Ctrl-C, SIGTERM or the time limit


def sweep(
    name: str,
    *,
    reduced: bool = False,
    seeds: Collection[int] | None = None,
    results: Path,
    work: Path,
    device: str = "auto",
    data_folder: Path | str | None = None,
    seconds: float = math.inf,
    watch: Callable[[Config, int, int], Watch] = lambda config, number, of: lambda progress: None,
    done: Callable[[records.Record, int, int], None] = lambda record, number, of: None,
) -> Swept:
    """Run what is still missing of a sweep, and record each run as it comes to its end.

    A run that was interrupted goes on where it was. Several processes may share the work: each takes what no other has.

    Args:
        name: one of :data:`SWEEPS`.
        reduced: the form for a CPU.
        seeds: only the runs with these; None for all.
        results: folder of the records; they go into ``<name>.jsonl``.
        work: folder for the runs while they go on; a finished one is deleted.
        device: "auto", or one of torch's.
        data_folder: where CIFAR-10 lies; None for the usual places.
        seconds: after which the run in progress is saved and the sweep ends.
        watch: called when a run starts, with its configuration, its number and how many there are; returns its watcher.
        done: called when a run was recorded, with its record, its number and how many there are.
    Raises:
        ValueError: there is no such sweep, or not in this form.
        DataError: the data cannot be had.
    """
    cells = [cell for cell in cells_of(name, reduced) if seeds is None or cell.seed in seeds]
    file, end = results / f"{name}.jsonl", time.monotonic() + seconds
    ran = 0

    def missing() -> list[Config]:
        there = {records.key(name, record.config) for record in records.read(file)}
        return [cell for cell in cells if records.key(name, cell.flat()) not in there]

    recorded = len(cells) - len(missing())
    datasets: dict[tuple[str, int | None, int | None], Dataset] = {}
    for number, cell in enumerate(cells, 1):
        if time.monotonic() >= end:
            break
        if cell not in missing():
            continue
        folder = work / name / hashlib.sha256(records.key(name, cell.flat()).encode()).hexdigest()[:16]
        with alone(folder) as mine:
            if not mine or cell not in missing():
                continue
            wanted = (cell.data, cell.train_images, cell.held_out)
            if wanted not in datasets:
                datasets[wanted] = data.load(cell.data, data_folder, train_images=wanted[1], held_out=wanted[2])
            _, record = run(
                cell, folder, experiment=name, device=device, dataset=datasets[wanted],
                watch=watch(cell, number, len(cells)), stop=lambda: time.monotonic() >= end,
            )  # fmt: skip
            if record is None:
                break
            records.append(file, record)
            ran += 1
            done(record, number, len(cells))
        shutil.rmtree(folder, ignore_errors=True)
    else:
        return Swept(ran, recorded, len(missing()), stopped=False)
    return Swept(ran, recorded, len(missing()), stopped=True)


def cells_of(name: str, reduced: bool = False) -> tuple[Config, ...]:
    """Return the runs of a sweep.

    Raises:
        ValueError: there is no such sweep, or not in this form.
    """
    if name not in SWEEPS:
        raise ValueError(f"the sweeps are {', '.join(SWEEPS)}: got {name!r}")
    cells = SWEEPS[name].reduced if reduced else SWEEPS[name].cells
    if not cells:
        with_one = ", ".join(other for other, sweep in SWEEPS.items() if sweep.reduced)
        raise ValueError(f"{name} has no reduced form, for it would tell nothing; {with_one} have one")
    return cells
