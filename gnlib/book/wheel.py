"""Builds the library's wheel into the site's ``dist/``, so that the library that Colab installs is always the book's
own.

It is built again only when something that goes into it changed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sphinx.errors import ExtensionError
from sphinx.util import logging

from gnlib.book.freshness import files, fingerprint
from gnlib.book.notebooks import wheel_name

if TYPE_CHECKING:
    from sphinx.application import Sphinx

log = logging.getLogger(__name__)
FRONT_END = "gnlib/widgets/static"
DESCRIBED_BY = ("pyproject.toml", "tools/hatch_build.py", "README.md", "LICENSE")


def build(root: Path, target: Path) -> Path:
    """Build the wheel of the project in ``root`` into the folder ``target``, and return its path.

    Raises:
        ExtensionError: the front end is not built, or the builder failed; carries its message.
    """
    if (root / "gnlib" / "widgets").is_dir() and not list((root / FRONT_END).glob("*.js")):
        raise ExtensionError(
            f"the wheel must hold the built front end, and {FRONT_END} has no module: run `npm run build`"
        )
    described = [root / name for name in DESCRIBED_BY if (root / name).exists()]
    key = fingerprint([*described, *files(root / "gnlib"), *files(root / "results")], root, [sys.version])
    wheel = target / wheel_name(root)
    stamp = target.parent.parent / ".wheel"  # outside the site
    if wheel.exists() and stamp.exists() and stamp.read_text("utf8") == key:
        return wheel
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
        made = list(Path(folder).glob("*.whl"))
        if done.returncode or [path.name for path in made] != [wheel.name]:
            raise ExtensionError(f"the wheel could not be built: {done.stdout}{done.stderr}")
        target.mkdir(parents=True, exist_ok=True)
        for old in target.glob("*.whl"):
            old.unlink()
        shutil.move(made[0], wheel)
    stamp.write_text(key, "utf8")
    log.info("built %s", wheel.name)
    return wheel


def on_finished(app: Sphinx, exception: Exception | None) -> None:
    """Build it beside the site."""
    if exception is None and app.builder.name == "html" and wheel_name(Path(app.confdir)):
        build(Path(app.confdir), Path(app.outdir, "dist"))


def setup(app: Sphinx) -> dict[str, Any]:
    """Build the wheel when the pages are written."""
    app.connect("build-finished", on_finished, priority=800)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
