"""Trains from a notebook: a curve that moves, stop and go on, and runs side by side.

What stays in the notebook is a picture and a line of text, so it is still there when the kernel is gone.
"""

from __future__ import annotations

import base64
import contextlib
import html
import io
import math
import os
import shutil
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gnlib import records
from gnlib.cifar import progress, runs
from gnlib.cifar.runs import Config
from gnlib.cifar.training import Outcome, Progress, Watch

QUICK = {"epochs": 1, "train_images": 200, "seeds": 2}  # what GNLIB_QUICK=1 leaves of a run
EVERY = 1.0  # seconds between two updates


def train(
    norm: str = "batch",
    *,
    data: str = "cifar10",
    folder: Path | str | None = None,
    live: bool = True,
    device: str = "auto",
    data_folder: Path | str | None = None,
    **settings: Any,
) -> Run:
    """Train a network and watch it.

    Args:
        norm: "batch", "layer", "instance", "group:32" (groups), "groups-of:16" (channels a group), "ghost:8" (images
            that share statistics) or "none".
        data: "cifar10", or "digits", which need no download and no GPU.
        folder: where checkpoints and record are kept, and a run that was begun there is taken up. None keeps them only
            as long as the :class:`Run` lives.
        live: show how it goes: in a notebook a curve and one line, elsewhere lines.
        device: "auto", "cpu", "cuda", …
        data_folder: where CIFAR-10 lies; None for the usual places.
        settings: any other option of ``python -m gnlib train``, with _ for -: ``batch_size=128, epochs=10, seed=0,
            model="resnet9"``. ``precision`` is by default the fastest that the device is good at.
    Returns:
        the run: finished, diverged, or, if the stop button was pressed, stopped; ``run.resume()`` goes on.
    Raises:
        TypeError: there is no such setting.
        ValueError: a value cannot be meant; says what can.
        DataError: the data cannot be had; says what to do.
    """
    place = runs.pick_device(device)
    if settings.get("precision", "auto") == "auto":
        settings["precision"] = runs.best_precision(place)
    config = _quickened(Config.of(norm=norm, data=data, **settings))
    return Run(config, folder, device=str(place), data_folder=data_folder)._go_on(live)


def resume(folder: Path | str, *, live: bool = True, device: str = "auto") -> Run:
    """Go on with the run that a folder holds, from an earlier session too.

    Raises:
        ValueError: the folder holds no run.
    """
    config, _, data_folder = runs.read_run(Path(folder))
    return Run(config, folder, device=device, data_folder=data_folder)._go_on(live)


def compare(*compared: Run) -> Comparison:
    """Draw the curves of several runs into one picture.

    Returns:
        a table of them, which a notebook shows below it.
    Raises:
        ValueError: there is no run.
    """
    if not compared:
        raise ValueError("compare(*runs) needs at least one run: got none; those that train() returned would do")
    table = Comparison(compared)
    if _in_notebook():
        histories = {label: run.history for label, run in zip(table.labels, compared, strict=True)}
        _Output().show(_picture(histories))
    return table


def seeds(count: int) -> range:
    """Return the seeds 0, 1, … of an experiment; fewer, and it says so, where GNLIB_QUICK=1 asks for short runs."""
    if not _quick() or count <= QUICK["seeds"]:
        return range(count)
    print(f"GNLIB_QUICK: {QUICK['seeds']} seeds instead of {count}.")
    return range(QUICK["seeds"])


class Run:
    """A training, and what came of it."""

    def __init__(
        self, config: Config, folder: Path | str | None, *, device: str, data_folder: Path | str | None
    ) -> None:
        self.config, self.device, self.data_folder = config, device, data_folder
        self.kept = folder is not None
        self.folder = Path(tempfile.mkdtemp(prefix="gnlib-")) if folder is None else Path(folder)
        if not self.kept:
            weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.outcome: Outcome | None = None
        self.record: records.Record | None = None

    @property
    def state(self) -> str:
        """The word for how it ended, "finished", "stopped" or "diverged"."""
        return self.outcome.state if self.outcome else "not begun"

    @property
    def history(self) -> list[dict[str, float]]:
        """A dict for each epoch, with losses, accuracies as fractions, learning rate, seconds."""
        return self.outcome.history if self.outcome else []

    @property
    def held_out_accuracy(self) -> float | None:
        """Share of the held-out images that is right after the last whole epoch."""
        return self.history[-1].get("held_out_accuracy") if self.history else None

    @property
    def test_accuracy(self) -> float | None:
        """Share of the test images that is right; of finished runs."""
        return self.outcome.test_accuracy if self.outcome else None

    @property
    def seconds(self) -> float:
        """Training time; evaluation is not counted."""
        return self.outcome.seconds if self.outcome else 0.0

    def resume(self, *, live: bool = True) -> Run:
        """Go on where the run was stopped, and return it; a run that came to its end stays as it is."""
        if self.state in ("finished", "diverged"):
            print(f"This run {self.state} before: there is nothing to go on with.")
            return self
        return self._go_on(live)

    def _go_on(self, live: bool) -> Run:
        if live and _in_notebook():
            shown: contextlib.AbstractContextManager[Watch] = contextlib.nullcontext(Curve(self.config))
        elif live:
            shown = progress.shown(sys.stdout)
        else:
            shown = contextlib.nullcontext(lambda progress: None)
        with runs.alone(self.folder) as alone, shown as watch:
            if not alone:
                raise ValueError(f"one process trains in a folder: another one is at work in {self.folder}")
            self.outcome, self.record = runs.run(
                self.config, self.folder, device=self.device, data_folder=self.data_folder, watch=watch
            )
        message = self._message(self.outcome)
        if isinstance(watch, Curve):
            watch.end(self.history, message)
        elif live or self.state != "finished":
            print(message)
        return self

    def _message(self, outcome: Outcome) -> str:
        if outcome.state == "stopped":
            return f"{outcome.message} To go on: run = run.resume()"
        if outcome.state == "diverged":
            return outcome.message
        return f"Finished: {_results(self)} of training."

    def __repr__(self) -> str:
        recipe = self.config.recipe
        what = f"{self.config.model}, {self.config.norm}, batch {recipe.batch_size}, seed {self.config.seed}"
        return f"Run({what}: {self.state}, {_results(self)}{f', in {self.folder}' if self.kept else ''})"

    def _repr_html_(self) -> str:
        return Comparison([self])._repr_html_()


class Comparison:
    """A table of runs: what differs between them, and what came out."""

    def __init__(self, compared: Sequence[Run]) -> None:
        flat = [run.config.flat() for run in compared]
        varied = [name for name in flat[0] if len({config.get(name) for config in flat}) > 1]
        more = [name for name in varied if name not in ("norm", "batch_size", "epochs", "seed")]
        names = ["norm", "batch_size", *more, *(["seed"] if "seed" in varied else [])]
        self.rows = [
            {
                **{name.replace("_", " "): config[name] for name in names},
                "epochs": len(run.history) if run.state == "finished" else f"{len(run.history)}, {run.state}",
                "held out": _percent(run.held_out_accuracy),
                "test": _percent(run.test_accuracy),
                "training": f"{run.seconds:,.1f} s",
            }
            for config, run in zip(flat, compared, strict=True)
        ]
        labels = [", ".join([config["norm"], *(_word(name, config[name]) for name in names[1:])]) for config in flat]
        self.labels = [
            label if labels.count(label) == 1 else f"{label}, run {number}" for number, label in enumerate(labels, 1)
        ]

    def __repr__(self) -> str:
        lines = [list(self.rows[0]), *([str(value) for value in row.values()] for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(f"{text:>{width}}" for text, width in zip(line, widths, strict=True)) for line in lines
        )

    def _repr_html_(self) -> str:
        head = "".join(f"<th scope='col'>{html.escape(name)}</th>" for name in self.rows[0])
        body = "".join(
            f"<tr>{''.join(f'<td>{html.escape(str(value))}</td>' for value in row.values())}</tr>" for row in self.rows
        )
        return f"<table class='dataframe'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


# -------------------------------------------------------------------------------------------------------- the display


class Curve:
    """Shows a run in a notebook: a picture by epoch and one line of text, both renewed in their place."""

    def __init__(self, config: Config, clock: Callable[[], float] = time.monotonic) -> None:
        recipe = config.recipe
        self.name, self.epochs, self.clock = f"{config.norm}, batch size {recipe.batch_size}", recipe.epochs, clock
        self.picture, self.line = _Output(), _Output()
        self.drawn = self.told = clock()
        self._draw([])
        self._tell("The first steps …")

    def __call__(self, progress_: Progress) -> None:
        """Take note of the progress; at most once a second something is renewed."""
        now = self.clock()
        if now - self.told >= EVERY:
            self._tell(progress.line(progress_))
            self.told = now
        if progress_.epoch_ended and now - self.drawn >= EVERY:
            self._draw(progress_.history)
            self.drawn = now

    def end(self, history: Sequence[Mapping[str, float]], message: str) -> None:
        """Leave the last state, as a picture and a line that need no kernel."""
        self._draw(history)
        self._tell(message)

    def _draw(self, history: Sequence[Mapping[str, float]]) -> None:
        self.picture.show(_picture({self.name: history}, self.epochs))

    def _tell(self, line: str) -> None:
        self.line.show(({"text/plain": line}, {}))


class _Output:
    """One output of a cell, shown once and then renewed in its place."""

    def __init__(self) -> None:
        self.handle: Any = None

    def show(self, bundle: tuple[dict[str, str], dict[str, Any]]) -> None:
        from IPython.display import display  # only notebooks need it

        content, metadata = bundle
        if self.handle is None:
            self.handle = display(content, metadata=metadata, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self.handle.update(content, metadata=metadata, raw=True)


def _picture(histories: Mapping[str, Sequence[Mapping[str, float]]], epochs: int | None = None) -> Any:
    """Draw histories as a PNG; returns what a notebook displays, with a description for those who cannot see it."""
    from matplotlib.figure import Figure  # not above, since it takes a second to load
    from PIL import Image

    from gnlib import figures

    figure = Figure(figsize=(8, 3), dpi=120, layout="constrained")
    axes = figure.subplots(1, 2)
    figures.curves(histories, axes)
    if epochs is not None:  # of a run that goes on
        for ax in axes:
            ax.set_xlim(0.5, epochs + 0.5)
    if len(histories) == 1:  # more are told apart by a legend
        figure.suptitle(*histories, x=0.01, horizontalalignment="left", fontsize="medium")
    drawn, file = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png")
    Image.open(drawn).convert("P", palette=Image.Palette.ADAPTIVE, colors=64).save(file, "png", optimize=True)
    told = "Held-out accuracy and training loss by epoch: " + "; ".join(
        f"{name}: {_last(history)}" for name, history in histories.items()
    )
    content = {"image/png": base64.b64encode(file.getvalue()).decode(), "text/plain": told}
    return content, {"image/png": {"width": 800, "alt": told}}  # a height too would squeeze it on a phone


def _last(history: Sequence[Mapping[str, float]]) -> str:
    if not history:
        return "no epoch yet"
    last = history[-1]
    held_out = f"held out {_percent(last['held_out_accuracy'])}, " if "held_out_accuracy" in last else ""
    return f"{held_out}loss {last['train_loss']:.3f} after epoch {len(history)}"


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    return hasattr(ipython and ipython.get_ipython(), "kernel")


# ---------------------------------------------------------------------------------------------------------- the words


def _results(run: Run) -> str:
    shares = {"held out": run.held_out_accuracy, "test": run.test_accuracy}
    told = [f"{name} {_percent(value)}" for name, value in shares.items() if value is not None]
    flips = ["with test-time flips"] if run.config.recipe.test_flips else []
    return ", ".join([*told, *flips, f"{run.seconds:,.1f} s"])


def _percent(fraction: float | None) -> str:
    return "–" if fraction is None else f"{100 * fraction:.1f} %"


def _word(name: str, value: object) -> str:
    return f"{name.replace('_', ' ')} {value}"


# ---------------------------------------------------------------------------------------------------------- short runs


def _quick() -> bool:
    return os.environ.get("GNLIB_QUICK", "0") not in ("", "0")


def _quickened(config: Config) -> Config:
    """Shorten a run where GNLIB_QUICK=1 asks for it, as a build of the book may, and say so."""
    recipe = config.recipe
    images = max(QUICK["train_images"], math.ceil(recipe.batch_size / 10) * 10)  # as many of each class
    if not _quick():
        return config
    told = []
    if recipe.epochs > QUICK["epochs"]:
        told.append(f"{QUICK['epochs']} epoch instead of {recipe.epochs}")
        recipe = replace(recipe, epochs=QUICK["epochs"], warmup=min(recipe.warmup, QUICK["epochs"] / 5))
    if config.train_images is None or config.train_images > images:
        told.append(f"{images} training images instead of {config.train_images or 'all'}")
        config = replace(config, train_images=images)
    if told:
        print(f"GNLIB_QUICK: {', '.join(told)}.")
    return replace(config, recipe=recipe)
