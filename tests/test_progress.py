"""What people watch while a run goes on: one bar in a terminal, few lines in a file, scalars in TensorBoard."""

from __future__ import annotations

import fcntl
import io
import logging
import os
import pty
import re
import struct
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gnlib.cifar.progress import Lines, TensorBoard, line, shown, together
from gnlib.cifar.training import Progress

STEPS = 40  # an epoch


def story(epochs: int = 2, held_out: bool = True, first: int = 1) -> Iterator[Progress]:
    """A run as the training tells it: a report each step, and one more at each epoch's end."""
    history: list[dict[str, float]] = []
    for step in range(first, epochs * STEPS + 1):
        yield Progress(step, epochs * STEPS, len(history), epochs, 2 / step, 1234.5, step / 10, history, False)
        if step % STEPS == 0:
            entry = {"epoch": step / STEPS, "train_loss": 2 / step, "seconds": step / 10}
            history = [*history, entry | ({"held_out_accuracy": step / 100} if held_out else {})]
            yield Progress(step, epochs * STEPS, len(history), epochs, 2 / step, 1234.5, step / 10, history, True)


class Clock:
    """Goes on by some seconds whenever it is looked at."""

    def __init__(self, seconds: float) -> None:
        self.now, self.seconds = 0.0, seconds

    def __call__(self) -> float:
        self.now += self.seconds
        return self.now


def test_a_line_says_epoch_loss_accuracy_speed_and_time() -> None:
    told = [line(one) for one in story() if one.epoch_ended]
    assert told == [
        "epoch 1/2  loss 0.050  held out 40.0 %  1,234 images/s  00:04, 00:04 left",
        "epoch 2/2  loss 0.025  held out 80.0 %  1,234 images/s  00:08",
    ]
    assert line(next(story(12))) == "epoch  1/12, step 1/480  loss 2.000  1,234 images/s  00:00, 00:47 left"
    assert "held out" not in "".join(map(line, story(held_out=False)))


def test_a_log_file_gets_a_line_an_epoch_and_one_a_minute_in_long_ones() -> None:
    quick: list[str] = []
    watch = Lines(quick.append, clock=Clock(0.001))
    for one in story():
        watch(one)
    assert [text[:9] for text in quick] == ["epoch 1/2", "epoch 2/2"]
    slow: list[str] = []
    watch = Lines(
        slow.append, clock=Clock(5.0), name="7/9"
    )  # looked at once a report, or twice where a line is written
    for one in story():
        watch(one)
    steps = [text for text in slow if "step" in text]
    assert all(text.startswith("7/9  epoch ") for text in slow)
    assert 4 <= len(steps) <= 8  # 80 reports, 5 s each
    assert len(slow) == len(steps) + 2


def test_what_is_no_terminal_gets_lines_at_once(capsys) -> None:
    with shown(sys.stdout) as watch:
        for one in story():
            watch(one)
    told = capsys.readouterr().out
    assert len(told.splitlines()) == 2
    assert "\r" not in told
    with shown(sys.stdout, "a sweep", epochs=False) as watch:
        for one in story():
            watch(one)
    assert capsys.readouterr().out == ""


def test_several_can_watch() -> None:
    first: list[Progress] = []
    second: list[Progress] = []
    watch = together(first.append, second.append)
    for one in story():
        watch(one)
    assert first == second == list(story())


class Terminal:
    """A real one that remembers all that was written."""

    def __init__(self, columns: int = 100) -> None:
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
        self.stream = os.fdopen(theirs, "w")
        self.text = ""
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        while True:
            try:
                part = os.read(self.ours, 4096)
            except OSError:  # the other side was closed
                return
            self.text += part.decode()

    def close(self) -> None:
        self.stream.close()
        self.reader.join()
        os.close(self.ours)

    def screen(self) -> list[str]:
        """What one sees at the end: a carriage return overwrites."""
        rows = []
        for row in self.text.replace("\r\n", "\n").split("\n"):
            cells: list[str] = []
            for part in row.split("\r"):
                cells[: len(part)] = part
            rows.append("".join(cells).rstrip())
        return rows


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    one = Terminal()
    yield one
    if not one.stream.closed:
        one.close()


def test_a_terminal_gets_one_bar_a_second_at_most_and_keeps_a_line_an_epoch(terminal: Terminal) -> None:
    with shown(terminal.stream) as watch:
        for one in story():
            watch(one)
    terminal.close()
    assert terminal.screen() == [
        "epoch 1/2  loss 0.050  held out 40.0 %  1,234 images/s  00:04, 00:04 left",
        "epoch 2/2  loss 0.025  held out 80.0 %  1,234 images/s  00:08",
        "",
    ]
    drawn = re.findall(r"(\d+) % .*? < ", terminal.text)
    assert 1 <= len(drawn) <= 6  # of 80 reports
    assert "epoch 1/2" in terminal.text
    assert ", loss " in terminal.text


def test_a_warning_does_not_tear_the_bar(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal.stream)
    monkeypatch.setattr(logging.getLogger("gnlib"), "handlers", [logging.StreamHandler()])
    with shown(terminal.stream) as watch:
        for one in story(1):
            watch(one)
            if one.step == 20:
                logging.getLogger("gnlib.cifar.checkpoints").warning("The disk is full.")
    terminal.close()
    rows = terminal.screen()
    assert rows[0] == "The disk is full."
    assert rows[1].startswith("epoch 1/1  loss")


def test_a_bar_goes_on_where_the_run_does(terminal: Terminal) -> None:
    with shown(terminal.stream, "3/9 batch") as watch:
        for one in story(first=61):
            watch(one)
            break
    terminal.close()
    assert "3/9 batch  epoch 1/2" in terminal.text
    assert "76 % " in terminal.text
    assert terminal.screen() == [""]


@pytest.mark.filterwarnings("ignore")  # tensorboard's own
def test_tensorboard_reads_what_was_written_and_a_resumed_run_replaces_its_end(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for first, last in ((1, 70), (41, 80)):  # killed after step 70; goes on from the epoch's end
        watch = TensorBoard(tmp_path)
        for one in story():
            if first <= one.step <= last:
                watch(one)
        watch.close()
    read = EventAccumulator(str(tmp_path)).Reload()
    losses = read.Scalars("step/train_loss")
    assert [event.step for event in losses] == list(range(1, 81))
    assert losses[9].value == pytest.approx(0.2)
    held_out = read.Scalars("epoch/held_out_accuracy")
    assert [(event.step, event.value) for event in held_out] == [(40, pytest.approx(0.4)), (80, pytest.approx(0.8))]


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ValueError, match=r"needs the package tensorboard, which is not installed: pip install"):
        TensorBoard(tmp_path)


def test_a_stream_that_is_no_terminal_is_never_given_a_bar() -> None:
    stream = io.StringIO()
    with shown(stream) as watch:
        assert isinstance(watch, Lines)


def test_a_terminal_that_does_not_know_its_width_gets_a_bar_too(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(columns=0)
    monkeypatch.setattr(sys, "stdout", terminal.stream)
    with shown(sys.stdout) as watch:
        watch(next(story()))
    terminal.close()
    assert "epoch 1/2   1 % " in terminal.text
