"""The command line, ``python -m gnlib``: a thin layer over runs and experiments. ``--help`` documents it."""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import json
import logging
import os
import shlex
import shutil
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from gnlib import records
from gnlib.cifar import data, doctor, experiments, progress, runs
from gnlib.cifar import report as reports
from gnlib.cifar.data import DataError
from gnlib.cifar.options import (
    DIVERGED,
    ERROR,
    FINISHED,
    INTERRUPTED,
    ME,
    RESULTS,
    RUNS,
    STOPPED,
    complaint,
    make_parser,
    setting_words,
)
from gnlib.cifar.runs import Config
from gnlib.cifar.training import Outcome, OutOfMemoryError, Watch

LARGE = 1_000_000  # parameters; more are slow on a CPU
MANY = 100_000  # images over all epochs; with a large network, hours on a CPU


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code.

    Args:
        arguments: what stands behind ``python -m gnlib``; None for this process's own.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # it was closed: what is opened next would take its number, and print into it
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115  # for as long as the process lives
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # not every terminal knows × and γ
    try:
        try:
            return _main(list(sys.argv[1:] if arguments is None else arguments))
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # as with `| head`: who read has gone, and the flush at exit must not complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ERROR


def _main(given: list[str]) -> int:
    parser = make_parser(given)
    options, unknown = parser.parse_known_args(given)
    if unknown:
        options.parser.error(complaint(options.parser, unknown))
    if "command" not in options:
        parser.print_help()
        return FINISHED
    _tell_warnings()
    try:
        return COMMANDS[options.command](options)
    except KeyboardInterrupt as interrupt:
        return _fail(options, str(interrupt) or "Interrupted.", INTERRUPTED)
    except (ValueError, DataError, OutOfMemoryError) as error:
        return _fail(options, str(error))
    except BrokenPipeError:
        raise
    except ModuleNotFoundError as error:
        return _fail(options, f"this needs {error.name}, which is not installed: pip install {error.name}")
    except OSError as error:
        told = f"{error.filename} cannot be read or written: {error.strerror}" if error.filename else str(error)
        return _fail(options, f"{told}; a folder of your own, on a disk with room, would do")
    except Exception as error:
        return _fail(options, f"{type(error).__name__}: {error} (GNLIB_DEBUG=1 shows where)")


def _fail(options: argparse.Namespace, message: str, code: int = ERROR) -> int:
    if os.environ.get("GNLIB_DEBUG") == "1":
        traceback.print_exc()
    if getattr(options, "json", False):
        print(json.dumps({"state": "error", "message": message}))
    print(message, file=sys.stderr)
    return code


def _tell_warnings() -> None:
    """Write what gnlib and Python warn of to stderr, a line each."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("Warning: %(message)s"))
    for logger in progress.LOGGERS:
        logger.handlers = [handler]

    def tell(message: Warning | str, *where: Any, **more: Any) -> None:
        logging.getLogger("py.warnings").warning("%s", message)

    warnings.showwarning = tell


# ------------------------------------------------------------------------------------------------------- the commands


def _train(options: argparse.Namespace) -> int:
    name, data_folder = _locate(options.data, options.data_folder)
    device = runs.pick_device(options.device)
    settings = {name: getattr(options, name) for name in setting_words() if name in options} | {"data": name}
    if settings.get("precision", "auto") == "auto":
        settings["precision"] = runs.best_precision(device)
    config = Config.of(**settings)
    folder = options.folder or _free_folder(config)
    plan = Plan(config, device, folder)
    if options.dry_run:
        dry = "A dry run: no data were read, and nothing was written."
        print(json.dumps(plan.facts()) if options.json else f"{plan}\n\n{dry}")
        return FINISHED

    def start(watch: Watch) -> tuple[Outcome, records.Record | None]:
        return runs.run(config, folder, device=str(device), data_folder=data_folder, watch=watch)

    return _go_on(options, plan, start)


def _resume(options: argparse.Namespace) -> int:
    folder = options.folder or _newest_unfinished()
    config, _, _ = runs.read_run(folder)
    if (folder / "record.json").exists():
        record = runs.read_record(folder)
        return _conclude(options, folder, record.outcome, "This run came to its end before", record)

    def start(watch: Watch) -> tuple[Outcome, records.Record | None]:
        return runs.resume(folder, device=options.device, data_folder=options.data_folder, watch=watch)

    return _go_on(options, Plan(config, runs.pick_device(options.device), folder), start)


def _go_on(
    options: argparse.Namespace, plan: Plan, start: Callable[[Watch], tuple[Outcome, records.Record | None]]
) -> int:
    """Train, show how it goes, and say how it ended."""
    folder, out = plan.folder, sys.stderr if options.json else sys.stdout
    tensorboard = [progress.TensorBoard(folder / "tensorboard")] if options.tensorboard else []
    again = f"{ME} resume {shlex.quote(str(folder))}"
    fresh = not folder.exists()
    with runs.alone(folder) as alone, contextlib.ExitStack() as stack:
        if not alone:
            raise ValueError(f"one process trains in a folder: another one is at work in {folder}")
        try:
            if not options.quiet:
                print(f"{plan}\n", file=out, flush=True)
            shown = [] if options.quiet else [stack.enter_context(progress.shown(out))]
            for watcher in tensorboard:
                stack.callback(watcher.close)
            outcome, record = start(progress.together(*shown, *tensorboard))
        except BaseException as error:
            if fresh and not (folder / "checkpoints").exists():
                shutil.rmtree(folder)  # it is this call's own, and holds nothing to go on from
            elif isinstance(error, KeyboardInterrupt):
                raise KeyboardInterrupt(f"Interrupted. To go on from what was saved last: {again}") from None
            raise
    message = f"{outcome.message} To go on: {again}" if outcome.state == "stopped" else outcome.message
    return _conclude(options, folder, outcome.state, "Finished" if outcome.state == "finished" else message, record)


def _conclude(
    options: argparse.Namespace, folder: Path, state: str, message: str, record: records.Record | None
) -> int:
    """Say how a run ended, on stdout: one line, or one JSON object."""
    if record is not None:
        if state == "finished":
            message += f": {_result(record)} of training."
        elif not message.endswith("."):
            message += f": {_result(record)}."
        message += f" Record: {folder / 'record.json'}"
    if options.json:
        told = None if record is None else json.loads(record.to_json())
        print(json.dumps({"state": state, "message": message, "folder": str(folder), "record": told}))
    else:
        print(message)
    return OF_STATE[state]


def _locate(text: str, folder: Path | None) -> tuple[str, Path | None]:
    """Read --data: a data set's name, or the folder of CIFAR-10."""
    if text in runs.SHAPES:
        return text, folder
    if not text or not Path(text).expanduser().is_dir():
        raise ValueError(f"data must be {', '.join(runs.SHAPES)}, or a folder that is there: got {text!r}")
    return "cifar10", Path(text).expanduser()


def _free_folder(config: Config) -> Path:
    """Name a folder that is not there, after what the run is, such as ``runs/digits-group8-batch32-seed0``."""
    network = config.model if config.model.startswith(config.data) else f"{config.data}-{config.model}"
    batch, seed = config.recipe.batch_size, config.seed
    first = RUNS / f"{network}-{config.norm.replace(':', '')}-batch{batch}-seed{seed}"
    numbered = (first.with_name(f"{first.name}-{number}") for number in itertools.count(2))
    return next(folder for folder in itertools.chain([first], numbered) if not folder.exists())


def _newest_unfinished() -> Path:
    ages = {}
    for folder in [file.parent for file in RUNS.glob("*/run.json") if not (file.parent / "record.json").exists()]:
        with contextlib.suppress(FileNotFoundError):  # another process, such as a sweep, has just deleted it
            ages[folder] = max(path.stat().st_mtime for path in (folder / "run.json", *folder.glob("checkpoints")))
    for folder in sorted(ages, key=ages.__getitem__, reverse=True):
        with runs.alone(folder) as alone:
            if alone:
                return folder
    raise ValueError(
        f"{ME} resume goes on with the newest unfinished run in {RUNS.resolve()}, and there is none: "
        f"name a run's folder, or begin one with {ME} train"
    )


class Plan:
    """What a run would do, before any data is touched.

    Raises:
        ValueError: it could not be done.
    """

    def __init__(self, config: Config, device: torch.device, folder: Path) -> None:
        self.config, self.device, self.folder = config, device, folder
        recipe = config.recipe
        data.check(config.data, train_images=config.train_images, held_out=config.held_out)
        self.train, self.held_out, self.test = _images(config)
        self.steps_an_epoch = self.train // recipe.batch_size
        if not self.steps_an_epoch:
            raise ValueError(
                f"a batch must not be larger than the training split: got batch_size={recipe.batch_size} "
                f"and {self.train:,} images"
            )
        self.values = runs.rehearse(config)
        with torch.device("meta"):
            model = runs.build(config, runs.SHAPES[config.data][0], 10)
        self.parameters = sum(parameter.numel() for parameter in model.parameters())
        slow = device.type == "cpu" and self.parameters > LARGE and self.train * recipe.epochs > MANY
        self.advice = "on a CPU this takes hours; --model resnet8 --train-images 2000 takes minutes" if slow else None
        self.peak = recipe.lr * (recipe.batch_size / recipe.lr_images if recipe.lr_images else 1)

    def facts(self) -> dict[str, Any]:
        """Give all of it in JSON's types."""
        return {
            "state": "planned",
            "folder": str(self.folder),
            "config": self.config.flat(),
            "parameters": self.parameters,
            "values_per_statistic": self.values,
            "images": {"train": self.train, "held_out": self.held_out, "test": self.test},
            "steps": self.config.recipe.epochs * self.steps_an_epoch,
            "steps_an_epoch": self.steps_an_epoch,
            "peak_lr": self.peak,
            "device": str(self.device),
            "advice": self.advice,
        }

    def __str__(self) -> str:
        recipe = self.config.recipe
        values = "no statistics" if self.values is None else f"{self.values:,} values or more per statistic"
        parts = f", in {recipe.accumulate} parts" if recipe.accumulate > 1 else ""
        fall = "constant" if recipe.schedule == "constant" else f"falling to 0 ({recipe.schedule})"
        rise = f"rising to it for {_count(recipe.warmup, 'epoch')}, then " if recipe.warmup else ""
        rows = {
            "network": f"{self.config.model}, {self.parameters:,} parameters",
            "norm": f"{self.config.norm}: {records.norm_name(self.config.norm)}, {values}",
            "data": f"{self.config.data}: {self.train:,} images to train on, {self.held_out:,} held out, "
            f"{self.test:,} for the test",
            "steps": f"{recipe.epochs * self.steps_an_epoch:,}: {_count(recipe.epochs, 'epoch')} of "
            f"{self.steps_an_epoch:,}, {_count(recipe.batch_size, 'image')} a step{parts}",
            "learning rate": f"{self.peak:.4g}, {rise}{fall}; {recipe.optimizer}",
            "device": f"{self.device}, {recipe.precision}",
            "time": self.advice,
            "folder": str(self.folder),
        }
        return "\n".join(f"{name:14} {value}" for name, value in rows.items() if value)


def _images(config: Config) -> tuple[int, int, int]:
    """Return how many images a run trains on, holds out and is tested on."""
    whole, held_out, test = {"cifar10": (50_000, 5_000, 10_000), "digits": (1_297, 297, 500)}[config.data]
    held_out = held_out if config.held_out is None else config.held_out
    return config.train_images or whole - held_out, held_out, test


def _count(number: float, thing: str) -> str:
    return f"{number:,g} {thing}" if number == 1 else f"{number:,g} {thing}s"


def _sweep(options: argparse.Namespace) -> int:
    if options.name is None:
        return _list_sweeps(options)
    cells = experiments.cells_of(options.name, options.reduced)
    if options.list:
        return _list_cells(options, cells)
    names = _labels(cells)
    out = sys.stderr if options.json else sys.stdout
    if not options.quiet:
        known = _recorded(options.results, options.name)
        there = sum(records.key(options.name, cell.flat()) in known for cell in cells)
        print(f"{options.name}: {_count(len(cells), 'run')}, {there:,} of them recorded before", file=out, flush=True)
    with contextlib.ExitStack() as stack:

        def watch(config: Config, number: int, of: int) -> Watch:
            if options.quiet:
                return lambda progress: None
            if not out.isatty():  # where no bar is to be seen
                print(f"{number:>{len(str(of))}}/{of}  {names[number - 1]}  begins", file=out, flush=True)
            return stack.enter_context(progress.shown(out, f"{number}/{of} {names[number - 1]}", epochs=False))

        def done(record: records.Record, number: int, of: int) -> None:
            stack.close()
            if not options.quiet:
                print(f"{number:>{len(str(of))}}/{of}  {names[number - 1]}  {_result(record)}", file=out, flush=True)

        swept = experiments.sweep(
            options.name, reduced=options.reduced, results=options.results, work=options.work, device=options.device,
            data_folder=options.data_folder, seconds=options.seconds, watch=watch, done=done,
        )  # fmt: skip
    stopped = swept.stopped and swept.left > 0
    file = options.results / f"{options.name}.jsonl"
    message = f"{_count(swept.finished, 'run')} made, {swept.recorded:,} recorded before, {swept.left:,} left; {file}"
    if stopped:
        message = f"Stopped: {message}. To go on: {ME} {shlex.join(options.given)}"
    if options.json:
        counts = {"finished": swept.finished, "recorded": swept.recorded, "left": swept.left}
        state = "stopped" if stopped else "finished"
        print(json.dumps({"state": state, "message": message, **counts, "file": str(file)}))
    else:
        print(message)
    return STOPPED if stopped else FINISHED


def _list_sweeps(options: argparse.Namespace) -> int:
    forms = []
    for name, sweep in experiments.SWEEPS.items():
        recorded = _recorded(options.results, name)
        for reduced, cells in ((False, sweep.cells), (True, sweep.reduced)):
            count = sum(records.key(name, cell.flat()) in recorded for cell in cells)
            if cells:
                forms.append({"name": name, "reduced": reduced, "question": sweep.question, "runs": len(cells),
                              "recorded": count})  # fmt: skip
    if options.json:
        print(json.dumps({"sweeps": forms}))
        return FINISHED
    for name, sweep in experiments.SWEEPS.items():
        counts = [
            f"{'reduced: ' if form['reduced'] else ''}{form['recorded']} of {form['runs']} runs recorded"
            for form in forms
            if form["name"] == name
        ]
        print(f"{name:11} {sweep.question}\n{'':11} {'; '.join(counts)}")
    return FINISHED


def _list_cells(options: argparse.Namespace, cells: Sequence[Config]) -> int:
    recorded = _recorded(options.results, options.name)
    there = [records.key(options.name, cell.flat()) in recorded for cell in cells]
    if options.json:
        listed = [{"config": cell.flat(), "recorded": known} for cell, known in zip(cells, there, strict=True)]
        print(json.dumps({"name": options.name, "reduced": options.reduced, "runs": listed}))
        return FINISHED
    width = len(str(len(cells)))
    for number, (label, known) in enumerate(zip(_labels(cells), there, strict=True), 1):
        print(f"{number:>{width}}  {'recorded' if known else 'waiting '}  {label}")
    return FINISHED


def _recorded(results: Path, name: str) -> set[str]:
    return {records.key(name, record.config) for record in records.read(results / f"{name}.jsonl")}


def _labels(cells: Sequence[Config]) -> list[str]:
    """Name each run of a sweep by what differs in it: "group:8, batch_size 2, seed 0"."""
    flat = [cell.flat() for cell in cells]
    varied = [name for name in flat[0] if name == "norm" or len({cell[name] for cell in flat}) > 1]
    order = sorted(varied, key=lambda name: (name != "norm", name == "seed"))
    return [", ".join(str(cell[name]) if name == "norm" else f"{name} {cell[name]}" for name in order) for cell in flat]


def _result(record: records.Record) -> str:
    if record.outcome == "diverged":
        return f"diverged after {record.seconds:,.0f} s"
    held_out = record.results["held_out_accuracy"]
    told = "" if held_out is None else f"held out {100 * held_out:.1f} %, "
    flips = " with test-time flips" if record.config["test_flips"] else ""
    return f"{told}test {100 * record.results['test_accuracy']:.1f} %{flips}, {record.seconds:,.1f} s"


def _report(options: argparse.Namespace) -> int:
    folder = options.results or (RESULTS if RESULTS.is_dir() else records.shipped())
    there = sorted(file.stem for file in folder.glob("*.jsonl"))
    recorded = {name: _trainings(folder, name) for name in ([options.name] if options.name else there)}
    recorded = {name: found for name, found in recorded.items() if found}
    if not recorded:
        raise ValueError(
            f"a report needs records of training: got {options.name or 'no name'}, and {folder} has "
            f"{', '.join(there) or 'none'}; {ME} sweep makes them"
        )
    if not options.results and folder != RESULTS:
        print(f"There is no folder {RESULTS} here: these are the records that come with the book.", file=sys.stderr)
    if options.figures:
        for name, found in recorded.items():
            _draw(name, found, options.figures)
    if options.json:
        print(json.dumps({"reports": [reports.data(name, found) for name, found in recorded.items()]}))
    else:
        form = "markdown" if options.markdown else "text"
        print("\n".join(reports.report(name, found, form) for name, found in recorded.items()), end="")
    return FINISHED


def _trainings(folder: Path, name: str) -> list[records.Record]:
    return [record for record in records.read(folder / f"{name}.jsonl") if record.kind == "training"]


def _draw(name: str, recorded: Sequence[records.Record], folder: Path) -> None:
    """Draw what the records of an experiment say into SVG files, one for each setting."""
    from matplotlib.figure import Figure  # not above, since it takes a second to load

    from gnlib import figures

    folder.mkdir(parents=True, exist_ok=True)
    alone = name not in reports.AXES or name == "speedrun"  # all settings stand in one figure, to be compared
    settings = [list(recorded)] if alone else [s.records for s in records.separate(recorded, reports.AXES[name])]
    for number, found in enumerate(settings, 1):
        figure = Figure(figsize=(10, 4), layout="constrained")
        match name:
            case "batch-size":
                figures.accuracy_by_batch_size(found, figure.subplots())
            case "ghost":
                figures.accuracy_by_values(found, figure.subplots())
            case "speedrun":
                figures.time_to_accuracy(found, figure.subplots())
            case "groups":
                figures.accuracy_by_groups(found, figure.subplots(1, 2))
            case _:
                labels = _labels([Config.of(**record.config) for record in found])
                histories = [record.results["history"] for record in found]
                figures.curves(dict(zip(labels, histories, strict=True)), figure.subplots(1, 2))
        file = folder / (f"{name}.svg" if len(settings) == 1 else f"{name}-{number}.svg")
        figure.savefig(file)
        print(file, file=sys.stderr)


def _doctor(options: argparse.Namespace) -> int:
    found = doctor.examine(options.device, options.data_folder, RUNS)
    print(json.dumps(found) if options.json else doctor.describe(found))
    return FINISHED if found["ready"] else ERROR


def _data(options: argparse.Namespace) -> int:
    name, folder = _locate(options.data, options.data_folder)
    facts: dict[str, Any] = data.describe(data.load(name, folder, download=not options.offline))
    if options.json:
        print(json.dumps(facts))
        return FINISHED
    train, held_out, test, size = (facts[key] for key in ("train", "held_out", "test", "bytes"))
    rows = {
        "data": f"{facts['name']}, {facts['origin']}",
        "images": f"{train:,} to train on, {held_out:,} held out, {test:,} for the test; {size / 1e6:,.1f} MB",
        "shape": f"{' × '.join(map(str, facts['shape']))} (channels, height, width)",
        "classes": ", ".join(facts["classes"]),
        "mean": ", ".join(f"{value:.4f}" for value in facts["mean"]) + " by channel, in pixel values",
        "std": ", ".join(f"{value:.4f}" for value in facts["std"]),
        "fingerprint": facts["fingerprint"],
    }
    print("\n".join(f"{name:12} {value}" for name, value in rows.items()))
    return FINISHED


COMMANDS = {
    "train": _train,
    "resume": _resume,
    "sweep": _sweep,
    "report": _report,
    "doctor": _doctor,
    "data": _data,
}
OF_STATE = {"finished": FINISHED, "stopped": STOPPED, "diverged": DIVERGED}
