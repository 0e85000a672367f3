"""Makes `.venv` and `node_modules` what the pins say; `make` calls it before everything else.

Runs under any Python >= 3.11 with nothing installed; says nothing and takes no time when all is in place. A set-up
that was interrupted is done again from nothing: `.venv/ready` goes before the first change and comes after the last.
TORCH_INDEX=<address> takes torch from another package index, such as PyTorch's index of small CPU builds.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
READY = VENV / "ready"
PYTHON = VENV / "bin" / "python"
NODE_MODULES_READY = ROOT / "node_modules" / ".ready"
TORCH = "torch==2.13.0"  # outside the hash lock: its CPU, CUDA and macOS builds differ
TRITON = "triton==3.6.0"  # for tests of the GPU kernels where torch's build brings none; its packages are for Linux
NODE = 20  # the oldest Node that runs the front end's tools


def digest(*files: str) -> str:
    text = b"".join((ROOT / file).read_bytes() for file in files)
    return hashlib.sha256(text + TORCH.encode() + sys.version.encode()).hexdigest()


def run(step: str, *command: str | Path) -> None:
    """One step; its output is shown only when it fails."""
    print(f"· {step}", flush=True)
    environment = {**os.environ, "PATH": f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run([*map(str, command)], cwd=ROOT, env=environment, text=True, capture_output=True)
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
        called = " ".join(map(str, command))
        sys.exit(f"Set-up stopped at: {step}\n  {called}\nMend what it says above and call make again.")


def holds(stamp: Path, wanted: str) -> bool:
    return stamp.is_file() and stamp.read_text() == wanted


def machine_has_node() -> bool:
    node, npm = shutil.which("node"), shutil.which("npm")
    if not (node and npm):
        return False
    version = subprocess.run([node, "--version"], text=True, capture_output=True).stdout
    major = version.strip().removeprefix("v").split(".")[0]
    return major.isdigit() and int(major) >= NODE


def has(package: str) -> bool:
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({package!r}) is None)"
    return subprocess.run([PYTHON, "-c", code]).returncode == 0


def python_packages() -> None:
    wanted = digest("requirements/book.txt", "requirements/node.txt", "pyproject.toml", "tools/setup.py")
    if holds(READY, wanted) and PYTHON.exists():
        return
    if not (READY.is_file() and PYTHON.exists()):  # new, interrupted, or made by a Python that is gone
        try:
            run("a new Python environment in .venv", sys.executable, "-m", "venv", "--clear", VENV)
        except SystemExit as stop:
            sys.exit(f"{stop}\nOn Debian and Ubuntu, venv is a package of its own: apt-get install python3-venv")
    READY.unlink(missing_ok=True)
    pip: list[str | Path] = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    locked = [*pip, "--require-hashes", "-r"]
    run("the book's packages, hashes checked", *locked, "requirements/book.txt")
    if not machine_has_node():
        run(f"Node, as this machine has none from {NODE} on", *locked, "requirements/node.txt")
    index = os.environ.get("TORCH_INDEX")
    run(f"{TORCH}, the largest part", *pip, TORCH, *(["--index-url", index] if index else []))
    if sys.platform == "linux" and platform.machine() == "x86_64" and not has("triton"):
        run(f"{TRITON}, which torch's CPU build does not bring", *pip, "--no-deps", TRITON)
    run("gnlib, from this folder", *pip, "--no-deps", "--no-build-isolation", "--editable", ".")
    READY.write_text(wanted)


def node_packages() -> None:
    wanted = digest("package.json", "package-lock.json")
    if holds(NODE_MODULES_READY, wanted):
        return
    run("the front end's packages, hashes checked", "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    NODE_MODULES_READY.write_text(wanted)


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036 - people do call it with an older one
        sys.exit(
            f"The book needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]}.\n"
            "Name another one: make PYTHON=python3.12"
        )
    python_packages()
    node_packages()
