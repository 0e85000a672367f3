"""`make bench-gpu` checks before it times: shown by a rehearsal on a CPU, with core in the kernels' place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import gpu, layers
from gnlib import kernels

ROOT = Path(__file__).parents[1]


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_without_a_gpu_it_says_what_is_missing_and_what_would_do():
    done = subprocess.run([sys.executable, "-m", "benchmarks.gpu"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
    assert "make bench-gpu needs a GPU, and" in done.stderr
    assert "`make bench-cpu` measures without" in done.stderr
    assert done.stdout == ""


@pytest.fixture
def one_case(monkeypatch):
    """Leave of the cases the first, so that a rehearsal takes seconds."""
    monkeypatch.setattr(
        gpu, "cases", lambda shapes, dtypes: [layers.Case("GroupNorm", *shapes[0], "NCHW", dtypes[0], "training")]
    )
    monkeypatch.setattr(gpu, "NORMS", ("BatchNorm", "GroupNorm"))


def test_a_rehearsal_checks_then_times_everything_and_records_nothing(one_case, tmp_path, capsys):
    assert gpu.main(["--rehearse", "--rounds", "2", "--seed", "1", "--results", str(tmp_path)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("a rehearsal: 0 wrong, seed 1, ")
    kinds = [line.partition(":")[0] for line in told[1:-1]]
    assert kinds == ["gpu-layers"] + ["gpu-launch"] * 2 + ["gpu-plans"] * 4
    assert all("gnlib " in line and "torch " in line and "noise " in line for line in told[1:-1])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "spoil", [lambda y: y * 1.1, lambda y: y + torch.rand(()) * 1e-9], ids=["wrong", "not the same"]
)
def test_what_is_not_exact_or_not_repeatable_is_named_and_nothing_is_timed(spoil, one_case, monkeypatch, capsys):
    right = kernels.normalize
    monkeypatch.setattr(kernels, "normalize", lambda *given, **options: spoil(right(*given, **options).double()))
    assert gpu.main(["--rehearse", "--dry"]) == 1
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("WRONG: batch, (2, 4, 3, 5), NCHW, torch.float32: ")
    assert " wrong, seed " in told[-1]


def test_time_that_is_up_begins_nothing_more(one_case, capsys):
    assert gpu.main(["--rehearse", "--dry", "--seconds", "0"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_case_says_whether_it_keeps_its_budget():
    def told(us, size=67e6, dtype="bfloat16"):
        times = {f"{name}{wall}": [1e-6, 1e-6] for name in ("torch", "torch_again", "copy") for wall in ("", "_wall")}
        times |= {"gnlib": [us * 1e-6] * 2, "gnlib_wall": [9e-6] * 2}
        return gpu.line(
            layers.record("gpu-layers", {"mode": "training", "dtype": dtype}, times, int(size), 1.0, "a GPU")
        )

    assert told(4.1).startswith("gnlib 4.10; torch 1.00; wall 9 µs, torch 1; budget 4.2: kept")
    assert "budget 4.2: over" in told(4.3)
    assert "budget" not in told(4.3, size=6e6)
    assert "budget" not in told(4.3, dtype="float32")


def test_the_constants_of_a_plan_are_put_back():
    pytest.importorskip("triton")
    module = kernels._triton()
    before = module.TILE, module.WARPS
    with gpu.cut_by({"TILE": 64, "WARPS": 1}):
        assert (module.TILE, module.WARPS) == (64, 1)
    assert before == (module.TILE, module.WARPS)
