"""What was saved is whole: after a kill, on a full disk, with a damaged file, and with a file that means harm."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import pickle
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from gnlib.cifar import checkpoints

MB = 1_000_000


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))


def save(folder: Path, step: int, model: nn.Module | None = None, score: float = 0.5, keep: int = 2, **trainer) -> bool:
    return checkpoints.save(folder, step, model or network(), trainer, score, keep)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_was_saved_is_loaded(tmp_path):
    model = network().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model[0](torch.randn(2, 3, 5, 5)).sum().backward()
    optimizer.step()
    assert save(tmp_path, 123, model, optimizer=optimizer.state_dict(), history=[{"epoch": 1, "loss": 0.25}])
    found = checkpoints.load(tmp_path)
    assert found.step == 123
    assert found.trainer["history"] == [{"epoch": 1, "loss": 0.25}]
    assert found.weights.keys() == model.state_dict().keys()
    assert all(torch.equal(found.weights[name], value) for name, value in model.state_dict().items())
    momentum = found.trainer["optimizer"]["state"][0]["momentum_buffer"]
    assert torch.equal(momentum, optimizer.state_dict()["state"][0]["momentum_buffer"])


def test_the_newest_is_loaded(tmp_path):
    for step in (9, 10, 100):
        save(tmp_path, step)
    assert checkpoints.load(tmp_path).step == 100


def test_where_nothing_was_saved_there_is_none(tmp_path):
    assert checkpoints.load(tmp_path / "nowhere") is None


def test_the_newest_and_the_best_are_kept(tmp_path):
    for step, score in ((1, 0.3), (2, 0.9), (3, 0.5), (4, 0.6), (5, 0.7)):
        save(tmp_path, step, score=score, keep=2)
    assert names(tmp_path) == ["step-00000002", "step-00000004", "step-00000005"]


def test_a_step_can_be_saved_again(tmp_path):
    save(tmp_path, 7, mark="first")
    save(tmp_path, 7, mark="second")
    assert checkpoints.load(tmp_path).trainer == {"mark": "second"}
    assert names(tmp_path) == ["step-00000007"]


@pytest.mark.parametrize("file", [checkpoints.WEIGHTS, checkpoints.TRAINER, checkpoints.MANIFEST])
@pytest.mark.parametrize("damage", ["cut", "bit", "gone"])
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_is_used(tmp_path, caplog, file, damage):
    save(tmp_path, 1, mark="good")
    save(tmp_path, 2, mark="bad")
    victim = tmp_path / "step-00000002" / file
    content = bytearray(victim.read_bytes())
    if damage == "gone":
        victim.unlink()
    elif damage == "cut":
        victim.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2] ^= 0x80
        victim.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert checkpoints.load(tmp_path).trainer == {"mark": "good"}
    assert "step-00000002 is damaged" in caplog.text
    assert names(tmp_path) == ["step-00000001", "step-00000002.damaged"]
    assert checkpoints.load(tmp_path).step == 1  # and it stays so


def test_a_second_damaged_checkpoint_of_the_same_step_is_set_aside_too(tmp_path):
    for _ in range(2):
        save(tmp_path, 2)
        (tmp_path / "step-00000002" / checkpoints.WEIGHTS).write_bytes(b"")
        assert checkpoints.load(tmp_path) is None
    assert names(tmp_path) == ["step-00000002.damaged", "step-00000002.damaged-1"]


def test_a_full_disk_leaves_the_old_checkpoint_and_says_what_is_needed(tmp_path, caplog, monkeypatch):
    save(tmp_path, 1, mark="old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with caplog.at_level(logging.WARNING):
        assert save(tmp_path, 2, nn.Linear(1000, 500), mark="new") is False
    assert "Step 2 was not saved (No space left on device): 2.0 MB are needed" in caplog.text
    assert checkpoints.load(tmp_path).trainer == {"mark": "old"}
    assert names(tmp_path) == ["step-00000001"]


def test_a_drive_that_cannot_flush_a_folder_still_keeps_checkpoints(tmp_path, monkeypatch):
    flush = os.fsync

    def of_files_alone(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").is_dir():
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", of_files_alone)
    assert save(tmp_path, 1)
    assert checkpoints.load(tmp_path).step == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_write_that_the_disk_refuses_is_no_checkpoint(tmp_path, monkeypatch):
    write = checkpoints._write
    monkeypatch.setattr(checkpoints, "_write", lambda file, content: write(Path("/dev/full"), content))
    assert save(tmp_path, 1) is False
    assert checkpoints.load(tmp_path) is None


def test_a_file_that_would_run_code_is_refused(tmp_path, caplog):
    class Harm:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harmed"),)

    save(tmp_path, 1)
    place = tmp_path / "step-00000001"
    evil = pickle.dumps(Harm(), protocol=2)
    content = io.BytesIO()
    torch.save({"optimizer": Harm()}, content)
    for harm in (evil, content.getvalue()):
        (place / checkpoints.TRAINER).write_bytes(harm)
        manifest = json.loads((place / checkpoints.MANIFEST).read_text())
        manifest["sha256"][checkpoints.TRAINER] = checkpoints._sha256(harm)  # whoever means harm can compute it
        (place / checkpoints.MANIFEST).write_text(json.dumps(manifest))
        assert checkpoints.load(tmp_path) is None
        assert not (tmp_path / "harmed").exists()
        next(tmp_path.glob("*.damaged*")).rename(place)


def test_a_process_killed_while_it_saves_leaves_the_checkpoint_before(tmp_path):
    """Kill -9 at many moments of an endless saving; what is left always loads, and is whole."""
    source = textwrap.dedent("""
        import sys, torch
        from pathlib import Path
        from torch import nn
        from gnlib.cifar import checkpoints
        model = nn.Linear(500, 500)
        step = 0
        while True:
            step += 1
            with torch.no_grad():
                model.weight.fill_(step)
            checkpoints.save(Path(sys.argv[1]), step, model, {"step": step}, 0.0)
            print(step, flush=True)
    """)
    for wait in (0.0, 0.003, 0.007):
        command = [sys.executable, "-c", source, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            said = [process.stdout.readline() for _ in range(5)]
            time.sleep(wait)  # not a condition: it moves the kill to another moment of a save
            process.kill()
            said += process.stdout.readlines()
        found = checkpoints.load(tmp_path)
        assert found.trainer == {"step": found.step}
        assert found.weights["weight"].unique().tolist() == [found.step]
        assert found.step >= max(int(line) for line in said if line.endswith("\n"))
        assert not list(tmp_path.glob("*.damaged*"))
        assert not list(tmp_path.glob(".*"))


def test_weights_alone_load_into_a_model_of_the_same_kind(tmp_path):
    model, other = network(), network().to(memory_format=torch.channels_last)
    save(tmp_path, 1, model)
    checkpoints.load_weights(tmp_path / "step-00000001", other)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True))
    assert other[0].weight.is_contiguous(memory_format=torch.channels_last)
