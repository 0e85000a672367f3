"""Shows how a training goes on: a bar in a terminal, lines in a log file, scalars for TensorBoard.

A watcher is any function of a :class:`~gnlib.cifar.training.Progress`. Knows nothing of how the training is done.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from gnlib.cifar.training import Progress, Watch

LOGGERS = [logging.getLogger("gnlib"), logging.getLogger("py.warnings")]  # whose warnings must not tear the bar


def together(*watchers: Watch) -> Watch:
    """Join watchers into one that tells each of them."""

    def tell(progress: Progress) -> None:
        for watch in watchers:
            watch(progress)

    return tell


@contextlib.contextmanager
def shown(stream: TextIO, name: str = "", *, epochs: bool = True) -> Iterator[Watch]:
    """Give the watcher that fits a stream: a bar in a terminal, otherwise lines that a log file can hold.

    Args:
        stream: where to show it.
        name: of the run, for those who watch several.
        epochs: leave a line for every epoch.
    """
    if not stream.isatty():
        yield Lines(lambda text: print(text, file=stream, flush=True), name) if epochs else lambda progress: None
        return
    bar = Bar(stream, name, epochs)
    with logging_redirect_tqdm(LOGGERS):
        try:
            yield bar
        finally:
            bar.close()


class Lines:
    """Writes a line at each epoch's end, and within a long epoch one a minute."""

    def __init__(
        self,
        write: Callable[[str], None] = print,
        name: str = "",
        every: float = 60.0,  # seconds
        clock: Callable[[], float] = time.monotonic,  # seconds
    ) -> None:
        self.write, self.prefix, self.every, self.clock = write, f"{name}  " if name else "", every, clock
        self.last = clock()

    def __call__(self, progress: Progress) -> None:
        """Take note of the progress."""
        if progress.epoch_ended:
            self.last = -math.inf
        if self.clock() - self.last >= self.every:
            self.write(self.prefix + line(progress))
            self.last = self.clock()


class Bar:
    """Moves one bar for the whole run, at most once a second, and leaves a line for every epoch above it."""

    FORMAT = "{desc}{percentage:3.0f} % {bar} {elapsed} < {remaining}{postfix}"

    def __init__(self, stream: TextIO, name: str = "", epochs: bool = True) -> None:
        self.stream, self.name, self.epochs = stream, name, epochs
        self.bar: tqdm[Any] | None = None

    def __call__(self, progress: Progress) -> None:
        """Take note of the progress."""
        epoch = min(progress.epoch + 1, progress.epochs)
        where = f"{self.name}  epoch {epoch}/{progress.epochs} ".lstrip()
        results = "  ".join(_results(progress)[: 2 if self.name else 3])  # a name takes the room of the speed
        if self.bar is None:
            wide = os.get_terminal_size(self.stream.fileno()).columns > 0  # some do not know
            self.bar = tqdm(
                total=progress.steps, initial=progress.step, file=self.stream, bar_format=self.FORMAT, leave=False,
                mininterval=1, miniters=1, dynamic_ncols=wide, desc=where, postfix=results,
            )  # fmt: skip
        if progress.epoch_ended and self.epochs:
            tqdm.write(line(progress), file=self.stream)
        self.bar.set_description_str(where, refresh=False)
        self.bar.set_postfix_str(results, refresh=False)
        self.bar.update(progress.step - self.bar.n)

    def close(self) -> None:
        """Take the bar away; the lines stay."""
        if self.bar is not None:
            self.bar.close()


class TensorBoard:
    """Writes scalars for TensorBoard: by step the training loss and the speed, at each epoch's end all there is.

    Args:
        folder: of the event files; a run that goes on adds one, which takes the place of what the first one wrote
            beyond its last checkpoint.
    Raises:
        ValueError: the package tensorboard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ValueError(
                "--tensorboard needs the package tensorboard, which is not installed: pip install tensorboard; "
                "without it, metrics.jsonl in the run's folder holds the same numbers"
            ) from None
        self.folder, self.make = folder, SummaryWriter
        self.writer: Any = None

    def __call__(self, progress: Progress) -> None:
        """Take note of the progress."""
        if self.writer is None:
            self.writer = self.make(str(self.folder), purge_step=progress.step)
        if progress.epoch_ended:
            for name, value in progress.history[-1].items():
                if name != "epoch":
                    self.writer.add_scalar(f"epoch/{name}", value, progress.step)
            self.writer.flush()
        else:
            self.writer.add_scalar("step/train_loss", progress.train_loss, progress.step)
            self.writer.add_scalar("step/images_per_second", progress.images_per_second, progress.step)

    def close(self) -> None:
        """Write what is left."""
        if self.writer is not None:
            self.writer.close()


# ---------------------------------------------------------------------------------------------------------- the words


def line(progress: Progress) -> str:
    """Say how a run goes: "epoch  3/10  loss 0.412  held out 87.3 %  1,234 images/s  00:30, 01:10 left".

    Within an epoch it begins with the step, and the held-out accuracy is that of the last epoch's end.
    """
    epochs = f"{progress.epochs}"
    if progress.epoch_ended:
        where = f"epoch {progress.epoch:>{len(epochs)}}/{epochs}"
    else:
        where = f"epoch {progress.epoch + 1:>{len(epochs)}}/{epochs}, step {progress.step:,}/{progress.steps:,}"
    return "  ".join([where, *_results(progress), times(progress)])


def times(progress: Progress) -> str:
    """Say how long the training has taken and will take, without the evaluation: "00:30, 01:10 left"."""
    spent = tqdm.format_interval(progress.seconds)
    if progress.step == progress.steps:
        return str(spent)
    left = progress.seconds / max(progress.step, 1) * (progress.steps - progress.step)
    return f"{spent}, {tqdm.format_interval(left)} left"


def _results(progress: Progress) -> list[str]:
    held_out = progress.history[-1].get("held_out_accuracy") if progress.history else None
    return [
        f"loss {progress.train_loss:.3f}",
        *([] if held_out is None else [f"held out {100 * held_out:.1f} %"]),
        f"{progress.images_per_second:,.0f} images/s",
    ]
