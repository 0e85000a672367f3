"""The script behind `make record-gpu`: the first seed of all experiments before any second one, within its time."""

from __future__ import annotations

import os
import signal

import pytest
import torch

from gnlib import records
from gnlib.cifar.experiments import SWEEPS, Sweep
from gnlib.cifar.runs import Config
from tools import record


def cells(norm: str, epochs: int = 1) -> tuple[Config, ...]:
    return tuple(Config.of(data="digits", norm=norm, seed=seed, epochs=epochs, batch_size=100) for seed in (0, 1))


@pytest.fixture
def places(monkeypatch, tmp_path):
    monkeypatch.setitem(SWEEPS, "one", Sweep("?", (), cells("batch")))
    monkeypatch.setitem(SWEEPS, "two", Sweep("?", (), cells("layer")))
    return ["one", "two", "--reduced", "--results", str(tmp_path / "results"), "--work", str(tmp_path / "work")]


def test_every_experiment_has_its_first_seed_before_any_has_its_second(places, tmp_path, capsys):
    assert record.main(places) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" %")[0].rpartition(": test")[0] for line in lines[:-1]] == [
        "one 1/1: batch, batch 100, seed 0", "two 1/1: layer, batch 100, seed 0",
        "one 1/1: batch, batch 100, seed 1", "two 1/1: layer, batch 100, seed 1",
    ]  # fmt: skip
    assert lines[-1] == "Runs that still wait: none."
    assert len(records.read(tmp_path / "results" / "one.jsonl")) == 2


def test_what_there_was_no_time_for_is_named(places, capsys):
    assert record.main([*places, "--seconds", "0"]) == 3
    assert capsys.readouterr().out == "Runs that still wait: one 2, two 2.\n"


def test_one_ctrl_c_stops_all_experiments(places, capsys, monkeypatch):
    real, asked, pressed = record.sweep, [], []

    def sweep(name, **settings):
        asked.append(settings["seconds"])
        return real(name, **settings, watch=lambda *cell: ctrl_c)

    def ctrl_c(progress):
        if not pressed:
            pressed.append(True)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(record, "sweep", sweep)
    monkeypatch.setitem(SWEEPS, "one", Sweep("?", (), cells("batch", epochs=100_000)))
    assert record.main(places) == 3
    assert capsys.readouterr().out == "Runs that still wait: one 2, two 2.\n"
    assert all(seconds <= 0 for seconds in asked[1:])


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_the_full_experiments_are_refused_without_a_gpu(capsys):
    assert record.main([]) == 1
    assert "need a CUDA GPU, and there is none: make record-cpu" in capsys.readouterr().err


def test_a_fault_is_told_in_a_line(places, capsys, monkeypatch):
    monkeypatch.delitem(SWEEPS, "two")
    assert record.main(places) == 1
    assert "the sweeps are origin, batch-size, " in capsys.readouterr().err
