"""Training from a notebook: a real kernel, the stop button, and what stays when the kernel is gone."""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from gnlib.cifar import Run, compare, notebook, resume, seeds, train
from gnlib.cifar.runs import Config
from gnlib.cifar.training import Progress

TINY: dict[str, Any] = {"data": "digits", "device": "cpu", "batch_size": 100, "epochs": 2, "live": False}


@pytest.fixture(autouse=True)
def _no_quick_and_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GNLIB_QUICK", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


# ----------------------------------------------------------------------------------------------------- a real notebook

CELLS = [
    "from gnlib.cifar import compare, train",
    "run = train('group:8', data='digits', device='cpu', batch_size=10, epochs=20)",
    "before = (run.state, len(run.history) < 20, run.test_accuracy)\nrun",
    "same = run.resume()",
    "print(before, same is run, run.state, len(run.history), run.folder.is_dir())\nprint(run)",
    "quick = train('batch', data='digits', device='cpu', batch_size=100, epochs=1, live=False)",
    "compare(run, quick)",
    "print(run.folder)",
]


class StopsTheSecond(NotebookClient):
    """Presses the stop button in the second cell, when an epoch has been drawn."""

    renewed = 0

    def process_message(self, message: Any, cell: Any, index: int) -> Any:
        if index == 1 and message["msg_type"] == "update_display_data":
            self.renewed += 1
            if self.renewed == 2:
                os.kill(self.km.provisioner.pid, signal.SIGINT)
        return super().process_message(message, cell, index)


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    here = tmp_path_factory.mktemp("notebook")
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    client = StopsTheSecond(made, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(here)}})
    client.execute(env={**os.environ, "OMP_NUM_THREADS": "1", "GNLIB_QUICK": ""})
    assert list(here.iterdir()) == []  # nothing is left beside the notebook
    return made.cells


def text(output: Any) -> str:
    return output.text if output.output_type == "stream" else output.data["text/plain"]


def test_the_stop_button_stops_saves_and_says_how_to_go_on(cells: list[Any]) -> None:
    picture, line = cells[1].outputs
    assert re.fullmatch(r"Stopped after (step|epoch) \S+ of \S+\. To go on: run = run\.resume\(\)", text(line))
    assert "image/png" in picture.data
    assert "stopped" in text(cells[2].outputs[0])


def test_it_goes_on_to_the_end(cells: list[Any]) -> None:
    told = text(cells[4].outputs[0]).splitlines()
    assert told[0] == "('stopped', True, None) True finished 20 True"
    assert re.fullmatch(
        r"Run\(digits, group:8, batch 10, seed 0: finished, held out \S+ %, test \S+ %, \S+ s\)", told[1]
    )


def test_what_stays_is_one_picture_and_one_line(cells: list[Any]) -> None:
    for cell in (cells[1], cells[3]):
        assert [sorted(output.data) for output in cell.outputs] == [["image/png", "text/plain"], ["text/plain"]]
        picture = cell.outputs[0]
        assert base64.b64decode(picture.data["image/png"]).startswith(b"\x89PNG")
        assert picture.metadata["image/png"]["alt"].startswith("Held-out accuracy and training loss by epoch")
    assert "after epoch 20" in text(cells[3].outputs[0])
    assert text(cells[3].outputs[1]).startswith("Finished: held out 9")


def test_it_is_silent_when_it_is_not_live(cells: list[Any]) -> None:
    assert cells[5].outputs == []


def test_runs_are_compared_in_one_picture_and_a_table(cells: list[Any]) -> None:
    picture, table = cells[6].outputs
    assert "group:8, batch size 10: " in text(picture)
    assert "batch, batch size 100: " in text(picture)
    assert table.data["text/html"].count("<tr>") == 3
    assert "<th scope='col'>held out</th>" in table.data["text/html"]
    assert len(text(table).splitlines()) == 3


def test_the_kernels_end_removes_what_nobody_kept(cells: list[Any]) -> None:
    folder = Path(text(cells[7].outputs[0]).strip())
    assert folder.name.startswith("gnlib-")
    assert not folder.exists()


# ------------------------------------------------------------------------------------------------------------ the parts


def test_a_run_tells_its_story() -> None:
    run = train("group:4", seed=3, **TINY)
    assert isinstance(run, Run)
    assert run.state == run.record.outcome == "finished"
    assert [entry["epoch"] for entry in run.history] == [1, 2]
    assert run.held_out_accuracy == run.history[-1]["held_out_accuracy"] == run.record.results["held_out_accuracy"]
    assert run.test_accuracy == run.record.results["test_accuracy"]
    assert run.seconds == run.record.seconds
    assert (run.config.norm, run.config.seed, run.config.recipe.batch_size) == ("group:4", 3, 100)
    assert run.resume() is run
    assert "flips" not in repr(run)
    assert "with test-time flips" in repr(train("group:4", test_flips=True, **TINY))


def test_its_folder_goes_when_the_run_does_unless_it_was_named(tmp_path: Path) -> None:
    run = train(**TINY)
    folder = run.folder
    assert (folder / "record.json").exists()
    del run
    assert not folder.exists()
    run = train(**TINY, folder=tmp_path / "kept")
    assert str(tmp_path / "kept") in repr(run)
    del run
    assert (tmp_path / "kept" / "record.json").exists()
    again = resume(tmp_path / "kept", live=False)
    assert (again.state, len(again.history)) == ("finished", 2)


def test_elsewhere_it_writes_lines(capsys) -> None:
    run = train(**{**TINY, "live": True})
    told = capsys.readouterr().out.splitlines()
    assert [line[:9] for line in told[:2]] == ["epoch 1/2", "epoch 2/2"]
    assert told[2:] == [f"Finished: {notebook._results(run)} of training."]
    train(**TINY)
    assert capsys.readouterr().out == ""


def test_a_diverged_run_says_where_even_when_it_is_not_live(capsys) -> None:
    run = train("none", lr=1e30, **TINY)
    assert run.state == "diverged"
    assert capsys.readouterr().out.startswith("Diverged at step")
    assert run.resume() is run
    assert "nothing to go on with" in capsys.readouterr().out


def test_settings_are_those_of_the_command_line() -> None:
    with pytest.raises(TypeError, match=r"settings are accumulate, .*: got epoch"):
        train(epoch=3)
    with pytest.raises(ValueError, match="group:7 must divide the channels"):
        train("group:7")
    with pytest.raises(ValueError, match=r"compare\(\*runs\) needs at least one run"):
        compare()


def test_a_table_of_runs_shows_what_differs() -> None:
    settings = (("batch", 0.1, 0), ("batch", 0.2, 0), ("none", 0.2, 1), ("none", 0.2, 1))
    runs = [
        Run(Config.of(data="digits", norm=norm, lr=lr, seed=seed), None, device="cpu", data_folder=None)
        for norm, lr, seed in settings
    ]
    table = compare(*runs)
    assert table.labels == [
        "batch, batch size 32, lr 0.1, seed 0", "batch, batch size 32, lr 0.2, seed 0",
        "none, batch size 32, lr 0.2, seed 1, run 3", "none, batch size 32, lr 0.2, seed 1, run 4",
    ]  # fmt: skip
    assert list(table.rows[0]) == ["norm", "batch size", "lr", "seed", "epochs", "held out", "test", "training"]
    assert table.rows[0]["held out"] == "–"
    assert list(compare(runs[0]).rows[0]) == ["norm", "batch size", "epochs", "held out", "test", "training"]


class Counted:
    """Stands for an output of a notebook, and counts."""

    def __init__(self) -> None:
        self.shown: list[Any] = []

    def show(self, bundle: Any) -> None:
        self.shown.append(bundle)


def test_a_notebook_is_renewed_once_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "_Output", Counted)
    now = [0.0]
    curve = notebook.Curve(Config.of(data="digits", epochs=50), clock=lambda: now[0])
    history: list[dict[str, float]] = []
    for report in range(1000):  # ten seconds
        now[0] += 0.01
        ended = report % 20 == 19
        if ended:
            history = [*history, {"epoch": len(history) + 1, "train_loss": 0.5, "held_out_accuracy": 0.9}]
        curve(Progress(report + 1, 1000, len(history), 50, 0.5, 100.0, now[0], history, ended))
    assert 8 <= len(curve.line.shown) <= 11
    assert 8 <= len(curve.picture.shown) <= 11
    curve.end(history, "Finished.")
    assert curve.line.shown[-1][0] == {"text/plain": "Finished."}
    assert "after epoch 50" in curve.picture.shown[-1][0]["text/plain"]


# ---------------------------------------------------------------------------------------------------------- short runs


def test_gnlib_quick_shortens_and_says_so(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv("GNLIB_QUICK", "1")
    run = train("batch", data="digits", device="cpu", live=False)
    assert capsys.readouterr().out == "GNLIB_QUICK: 1 epoch instead of 3, 200 training images instead of all.\n"
    assert (len(run.history), run.record.data["train"]) == (1, 200)
    large = train("batch", data="digits", device="cpu", batch_size=256, epochs=1, live=False)
    assert capsys.readouterr().out == "GNLIB_QUICK: 260 training images instead of all.\n"
    assert large.state == "finished"
    small = train("batch", data="digits", device="cpu", train_images=100, epochs=1, live=False)
    assert capsys.readouterr().out == ""
    assert small.record.data["train"] == 100
    assert list(seeds(5)) == [0, 1]
    assert capsys.readouterr().out == "GNLIB_QUICK: 2 seeds instead of 5.\n"


@pytest.mark.parametrize("value", [None, "", "0"])
def test_without_gnlib_quick_nothing_is_shortened(value: str | None, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    if value is not None:
        monkeypatch.setenv("GNLIB_QUICK", value)
    assert list(seeds(5)) == [0, 1, 2, 3, 4]
    assert notebook._quickened(Config.of()) == Config.of()
    assert capsys.readouterr().out == ""


def test_importing_it_loads_neither_matplotlib_nor_ipython() -> None:
    source = (
        "import sys, gnlib.cifar; print(sorted({'matplotlib', 'IPython', 'sklearn', 'tensorboard'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
