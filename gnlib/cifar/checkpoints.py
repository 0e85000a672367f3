"""Keeps a training safe on disk: what was saved is whole, and survives a crash, a full disk and a damaged file.

A checkpoint is a folder of its own, ``step-00000123``, with the weights (``model.safetensors``), what the trainer needs
to go on (``trainer.pt``) and the checksums of both (``manifest.json``). It is written beside its place, flushed to the
disk and renamed into it, so that it is there whole or not at all. Knows nothing of how the training is done.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import os
import pickle
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

log = logging.getLogger(__name__)
UNREADABLE = (
    OSError, ValueError, KeyError, EOFError, RuntimeError, pickle.UnpicklingError, safetensors.SafetensorError,
)  # fmt: skip
WEIGHTS, TRAINER, MANIFEST = "model.safetensors", "trainer.pt", "manifest.json"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds."""

    step: int  # optimizer steps done
    weights: dict[str, Tensor]
    trainer: dict[str, Any]  # tensors, numbers, strings, lists and dicts


def save(folder: Path, step: int, model: nn.Module, trainer: dict[str, Any], score: float, keep: int = 2) -> bool:
    """Save a checkpoint, then delete all but the ``keep`` newest and the one with the best score.

    Args:
        folder: where the checkpoints of one run stand; made if it is not there.
        step: optimizer steps done.
        model: its parameters and buffers are saved.
        trainer: whatever else is needed to go on; must load again with ``weights_only=True``.
        score: more is better, such as an accuracy.
        keep: newest checkpoints to keep.
    Returns:
        whether it was saved. If the disk is full or not writable it was not: the older checkpoints are left as they
        are, and a warning says so.
    """
    target = folder / f"step-{step:08d}"
    part = folder / f".{target.name}.{os.getpid()}.part"
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    state = io.BytesIO()
    torch.save(trainer, state)
    files = {WEIGHTS: safetensors.torch.save(tensors), TRAINER: state.getvalue()}
    manifest = {"step": step, "score": score, "sha256": {name: _sha256(content) for name, content in files.items()}}
    files[MANIFEST] = json.dumps(manifest).encode()
    try:
        part.mkdir(parents=True)
        for name, content in files.items():
            _write(part / name, content)
        _flush(part)
        if target.exists():  # from a run that was taken up again before it
            shutil.rmtree(target)
        part.rename(target)
        _flush(folder)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        log.warning(
            "Step %d was not saved (%s): %.1f MB are needed in %s. Training goes on; the older checkpoints are kept, "
            "and the next epoch's end tries again.",
            step, error.strerror or error, sum(map(len, files.values())) / 1e6, folder,
        )  # fmt: skip
        return False
    _prune(folder, keep)
    return True


def load(folder: Path) -> Checkpoint | None:
    """Load the newest checkpoint that is whole; None if there is none.

    A damaged one is set aside as ``step-….damaged``, with a warning, and the one before it is tried.
    """
    for leftover in folder.glob(".step-*.part"):  # of a process that was killed while it saved
        shutil.rmtree(leftover, ignore_errors=True)
    for place in reversed(_all(folder)):
        try:
            return _read(place)
        except UNREADABLE as error:
            aside = _free(place.with_suffix(".damaged"))
            place.rename(aside)
            log.warning("The checkpoint %s is damaged (%s) and set aside as %s.", place, error, aside.name)
    return None


def load_weights(place: Path, model: nn.Module) -> None:
    """Load a checkpoint's weights into a model of the same kind.

    Args:
        place: a checkpoint's folder, or its ``model.safetensors``.
        model: receives the values, in the memory format that it has.
    """
    file = place / WEIGHTS if place.is_dir() else place
    model.load_state_dict(safetensors.torch.load_file(file))


def _read(place: Path) -> Checkpoint:
    manifest = json.loads((place / MANIFEST).read_bytes())
    contents = {}
    for name in (WEIGHTS, TRAINER):
        contents[name] = (place / name).read_bytes()
        if _sha256(contents[name]) != manifest["sha256"][name]:
            raise ValueError(f"{name} is not what was saved")
    # weights_only: a file from somewhere else may hold a pickle that runs code
    trainer = torch.load(io.BytesIO(contents[TRAINER]), map_location="cpu", weights_only=True)
    return Checkpoint(manifest["step"], safetensors.torch.load(contents[WEIGHTS]), trainer)


def _all(folder: Path) -> list[Path]:
    return sorted(place for place in folder.glob("step-*") if place.name.removeprefix("step-").isdigit())


def _prune(folder: Path, keep: int) -> None:
    def score(place: Path) -> float:
        try:
            return float(json.loads((place / MANIFEST).read_bytes())["score"])
        except (OSError, ValueError, KeyError):
            return float("-inf")

    places = _all(folder)
    best = max(places, key=score)
    for place in places[:-keep]:
        if place != best:
            shutil.rmtree(place, ignore_errors=True)


def _write(file: Path, content: bytes) -> None:
    with file.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())


def _flush(folder: Path) -> None:
    """Make the names in a folder as durable as the files; not every system or mounted drive can do that to a folder."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _free(place: Path) -> Path:
    return next(name for k in range(1000) if not (name := Path(f"{place}{f'-{k}' if k else ''}")).exists())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
