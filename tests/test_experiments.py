"""The sweeps: what they ask, that they go on where they were, and that processes can share them."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections import Counter

import pytest

from gnlib import records
from gnlib.cifar import experiments
from gnlib.cifar.experiments import SWEEPS, Sweep, cells_of, sweep
from gnlib.cifar.runs import Config, rehearse

TINY = tuple(
    Config.of(data="digits", norm=norm, seed=seed, epochs=2, batch_size=100)
    for seed in (0, 1) for norm in ("batch", "group:8")
)  # fmt: skip


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    monkeypatch.setitem(SWEEPS, "tiny", Sweep("Does it sweep?", TINY, ()))
    return {"results": tmp_path / "results", "work": tmp_path / "work", "device": "cpu"}


@pytest.mark.parametrize("name", SWEEPS)
@pytest.mark.parametrize("reduced", [False, True])
def test_every_run_of_every_sweep_can_work(name, reduced):
    cells = SWEEPS[name].reduced if reduced else SWEEPS[name].cells
    for cell in {replaced(cell): cell for cell in cells}.values():
        rehearse(cell)


def replaced(cell: Config) -> tuple[object, ...]:
    """Name what a rehearsal depends on."""
    return cell.model, cell.norm, cell.recipe.batch_size


@pytest.mark.parametrize("name", SWEEPS)
def test_no_run_stands_twice_in_a_sweep(name):
    for cells in (SWEEPS[name].cells, SWEEPS[name].reduced):
        keys = Counter(records.key(name, cell.flat()) for cell in cells)
        assert max(keys.values(), default=1) == 1


@pytest.mark.parametrize("name", ["origin", "batch-size", "groups", "ghost"])
def test_the_first_seed_is_whole_before_the_second_begins(name):
    first_of = {}
    for number, cell in enumerate(SWEEPS[name].cells):
        if name != "batch-size" or cell.recipe.batch_size in (2, 8, 32, 128):  # the sizes between come after all seeds
            first_of.setdefault(cell.seed, []).append(number)
    assert max(first_of[0]) < min(first_of[1])


def test_the_origins_settings_are_its_own():
    for cell in SWEEPS["origin"].cells:
        recipe = cell.recipe
        assert (recipe.batch_size, recipe.epochs, recipe.optimizer, recipe.lr) == (64, 10, "adam", 2.5e-4)
        assert (recipe.lr_images, recipe.weight_decay, recipe.schedule, recipe.warmup) == (0, 0.0, "constant", 0.0)
        assert (recipe.crop, recipe.flip, recipe.precision) == (4, True, "float32")
    assert SWEEPS["origin"].cells[0].norm == "group:16"


def test_the_batch_sizes_and_norms_are_those_that_were_promised():
    cells = SWEEPS["batch-size"].cells
    assert {cell.recipe.batch_size for cell in cells} == {2, 4, 8, 16, 32, 64, 128, 256}
    assert {cell.norm for cell in cells} == {"batch", "layer", "instance", "group:32", "none"}
    assert {cell.seed for cell in cells} == {0, 1, 2}
    reduced = SWEEPS["batch-size"].reduced
    assert {(cell.train_images, cell.recipe.batch_size) for cell in reduced} == {(2000, 2), (2000, 8), (2000, 32)}


def test_the_speedrun_begins_with_batch_norm_and_tunes_on_held_out_images():
    cells = SWEEPS["speedrun"].cells
    assert cells[0].norm == "batch"
    assert all(cell.held_out == 0 for cell in cells if cell.norm == "batch")
    tuned = [cell for cell in cells if cell.held_out is None]
    assert {cell.weight_standardization for cell in tuned} == {True, False}


def test_a_sweep_records_every_run_once(tiny):
    seen = []

    def watch(cell, number, of):
        seen.append((cell.norm, cell.seed, number, of))
        return lambda progress: None

    swept = sweep("tiny", **tiny, watch=watch)
    assert (swept.finished, swept.recorded, swept.left, swept.stopped) == (4, 0, 0, False)
    assert seen == [("batch", 0, 1, 4), ("group:8", 0, 2, 4), ("batch", 1, 3, 4), ("group:8", 1, 4, 4)]
    found = records.read(tiny["results"] / "tiny.jsonl")
    assert [record.config for record in found] == [cell.flat() for cell in TINY]
    again = sweep("tiny", **tiny)
    assert (again.finished, again.recorded, again.left) == (0, 4, 0)
    assert len(records.read(tiny["results"] / "tiny.jsonl")) == 4
    assert list((tiny["work"] / "tiny").iterdir()) == []


def test_what_is_recorded_is_not_run_again_whichever_file_order(tiny):
    sweep("tiny", **tiny)
    file = tiny["results"] / "tiny.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([lines[3], lines[0]]))
    swept = sweep("tiny", **tiny)
    assert (swept.finished, swept.recorded) == (2, 2)


def test_a_sweep_that_ran_out_of_time_goes_on_in_mid_run(tiny, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(experiments.time, "monotonic", lambda: now[0])

    def watch(cell, number, of):
        def tick(progress):
            now[0] += 1.0 if number == 2 else 0.0

        return tick

    swept = sweep("tiny", **tiny, seconds=1.0, watch=watch)
    assert (swept.finished, swept.left, swept.stopped) == (1, 3, True)
    half_done = list((tiny["work"] / "tiny").iterdir())
    assert len(half_done) == 1
    assert list((half_done[0] / "checkpoints").glob("step-*"))
    rest = sweep("tiny", **tiny)
    assert (rest.finished, rest.recorded, rest.left, rest.stopped) == (3, 1, 0, False)
    at_once = {**tiny, "results": tiny["results"] / "at-once", "work": tiny["work"] / "at-once"}
    sweep("tiny", **at_once)
    one, other = (
        {records.key("", r.config): r.results["test_loss"] for r in records.read(place["results"] / "tiny.jsonl")}
        for place in (tiny, at_once)
    )
    assert one == other


def test_two_processes_share_a_sweep_and_no_run_is_made_twice(tiny, tmp_path):
    source = textwrap.dedent("""
        import sys, torch
        from pathlib import Path
        from gnlib.cifar.experiments import SWEEPS, Sweep, sweep
        from gnlib.cifar.runs import Config
        torch.set_num_threads(1)
        cells = tuple(Config.of(data="digits", norm="batch", seed=seed, epochs=1) for seed in range(6))
        SWEEPS["tiny"] = Sweep("Shared?", cells, ())
        place = Path(sys.argv[1])
        print(sweep("tiny", results=place / "results", work=place / "work", device="cpu").finished)
    """)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", source, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(2)
    ]
    finished = [int(process.communicate()[0]) for process in processes]
    assert sum(finished) == 6
    seeds = [record.config["seed"] for record in records.read(tmp_path / "results" / "tiny.jsonl")]
    assert sorted(seeds) == [0, 1, 2, 3, 4, 5]


def test_an_unknown_sweep_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"the sweeps are origin, batch-size, .*: got 'batchsize'"):
        cells_of("batchsize")
    with pytest.raises(ValueError, match=r"speedrun has no reduced form, .*; origin, .* have one"):
        cells_of("speedrun", reduced=True)
