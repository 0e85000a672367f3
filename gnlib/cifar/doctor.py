"""Looks at a machine as a training would, and says what to do next; changes nothing and fetches nothing."""

from __future__ import annotations

import os
import platform
import shutil
import textwrap
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from gnlib import records
from gnlib.cifar import archive, data
from gnlib.cifar.runs import best_precision, pick_device

NEEDED = ("torch", "numpy", "safetensors", "tqdm")
OPTIONAL = {  # what each is for
    "scikit-learn": "--data digits",
    "matplotlib": "figures",
    "ipython": "notebooks",
    "tensorboard": "--tensorboard",
}
ROOM = 750_000_000  # bytes: four checkpoints of the largest network, the VGG, with Adam's two moments


def examine(device: str = "auto", data_folder: Path | str | None = None, runs: Path = Path("runs")) -> dict[str, Any]:
    """Find out what a training would find here.

    Args:
        device: "auto", or one of torch's.
        data_folder: where CIFAR-10 lies; None for the usual places.
        runs: folder in which runs would be kept.
    Returns:
        versions, device, data and disk, ``problems`` (a list of sentences), ``next`` (commands to go on with), and
        ``ready``: whether a training could begin now. All of JSON's types.
    """
    problems: list[str] = []
    found: dict[str, Any] = {
        "gnlib": _version("gnlib-book"),
        "commit": records.provenance().short,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": {name: _version(name) for name in (*NEEDED, *OPTIONAL)},
        "device": _device(device, problems),
        "data": {"cifar10": _cifar10(data_folder, problems), "digits": _digits()},
        "runs": _runs(runs, problems),
    }
    cifar10, digits = (found["data"][name]["usable"] for name in ("cifar10", "digits"))
    if not cifar10 and not digits:
        problems.append("There is no data yet: fetch CIFAR-10, or install scikit-learn for its digits.")
    found["problems"] = problems
    found["next"] = _next(cifar10, digits, found["device"]["name"] != "cpu")
    found["ready"] = bool(found["device"]["works"] and found["runs"]["writable"] and (cifar10 or digits))
    return found


def describe(found: dict[str, Any]) -> str:
    """Write what :func:`examine` found for people."""
    packages, device, runs = found["packages"], found["device"], found["runs"]
    memory = f", {device['memory_bytes'] / 1e9:.0f} GB" if device["memory_bytes"] else ""
    missing = [f"{name} (for {OPTIONAL[name]})" for name in OPTIONAL if not packages[name]]
    rows = {
        "gnlib": f"{found['gnlib'] or 'not installed'}, commit {found['commit']}",
        "Python": f"{found['python']} on {found['system']}",
        "packages": ", ".join(f"{name} {packages[name]}" for name in packages if packages[name]),
        "missing": ", ".join(missing),
        "device": f"{device['model']}{memory}; --precision auto is {device['precision']}",
        "CPU": f"{device['threads']} threads, {device['cores']} cores",
        "cifar10": found["data"]["cifar10"]["message"],
        "digits": found["data"]["digits"]["message"],
        "runs": f"go into {runs['folder']}, {runs['free_bytes'] / 1e9:.1f} GB free",
    }
    blocks = [
        *(textwrap.fill(text, 100, initial_indent=f"{name:10} ", subsequent_indent=" " * 11, break_on_hyphens=False)
          for name, text in rows.items() if text),
        *(["", "Problems:"] if found["problems"] else []),
        *(textwrap.fill(problem, 100, initial_indent="  ", subsequent_indent="    ") for problem in found["problems"]),
        "", "Next:",
        *(f"  {command}" for command in found["next"]),
    ]  # fmt: skip
    return "\n".join(blocks)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _device(wish: str, problems: list[str]) -> dict[str, Any]:
    try:
        device = pick_device(wish)
        (torch.ones(2, device=device) + 1).sum().item()  # a driver may be there and unable to compute
        works = True
    except (ValueError, RuntimeError) as error:
        problems.append(f"{error}.")
        device, works = torch.device("cpu"), False
    on_gpu = device.type == "cuda"
    return {
        "name": str(device),
        "model": torch.cuda.get_device_name(device) if on_gpu else device.type,
        "memory_bytes": torch.cuda.get_device_properties(device).total_memory if on_gpu else None,
        "precision": best_precision(device),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "works": works,
    }


def _cifar10(folder: Path | str | None, problems: list[str]) -> dict[str, Any]:
    """Say where CIFAR-10 lies, or where it would go, without a look into the files."""
    named = folder or os.environ.get("GNLIB_DATA")
    place = Path(named).expanduser() if named else data.cache_folder()
    usable = archive.complete(place)
    if usable:
        message = f"in {place}"
    elif named:
        message = f"named, but not in {place}"
        problems.append(f"{place} does not hold CIFAR-10: `python -m gnlib data` says what is missing there.")
    else:
        message = f"not here yet; would be fetched into {place}"
    return {"folder": str(place), "usable": usable, "message": message}


def _digits() -> dict[str, Any]:
    usable = _version("scikit-learn") is not None
    message = "come with scikit-learn" if usable else "need scikit-learn: pip install scikit-learn"
    return {"usable": usable, "message": message}


def _runs(folder: Path, problems: list[str]) -> dict[str, Any]:
    folder = folder.resolve()
    there = next(parent for parent in (folder, *folder.parents) if parent.is_dir())
    writable, free = os.access(there, os.W_OK | os.X_OK), shutil.disk_usage(there).free
    if not writable:
        problems.append(f"Runs are kept in {folder}, and {there} cannot be written: change to a folder of your own.")
    elif free < ROOM:
        problems.append(
            f"{there} has {free / 1e6:,.0f} MB free: a run keeps up to {ROOM / 1e6:,.0f} MB of checkpoints; free some."
        )
    return {"folder": str(folder), "writable": writable, "free_bytes": free}


def _next(cifar10: bool, digits: bool, on_gpu: bool) -> list[str]:
    """Name one or two commands that would do something here."""
    run = "python -m gnlib"
    if not cifar10:
        first = f"{run} train --data digits --norm group:8" if digits else "pip install scikit-learn"
        return [first, f"{run} data"]
    if on_gpu:
        return [f"{run} train --norm group:32", f"{run} sweep batch-size --seconds 3600"]
    return [f"{run} train --model resnet8 --norm group:8 --train-images 2000", f"{run} sweep batch-size --reduced"]
