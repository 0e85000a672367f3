"""Decides when chapters are executed again: when the library, the built front end or torch changed, and only then.

jupyter-cache's key is the cells' text alone, so after an edit of the library it would serve outputs of the old one
beside listings of the new one. Here its folder is named after the content of everything that cells may use."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sphinx.application import ENV_PICKLE_FILENAME

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config

USED_BY_CELLS = ("torch", "numpy", "matplotlib", "anywidget", "ipywidgets", "pillow")
KEPT = 3  # caches: this one and those of the last two states, for those who go back and forth between branches
NOT_CONTENT = {"__pycache__", ".mypy_cache", ".ruff_cache"}


def files(folder: Path) -> list[Path]:
    """Return every file below ``folder`` that is content, in a stable order."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and not NOT_CONTENT & set(path.parts))


def fingerprint(paths: Iterable[Path], root: Path, extra: Iterable[str] = ()) -> str:
    """Return a short hash of the files' names and contents, and of ``extra``."""
    digest = hashlib.sha256()
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode() + content)
    for text in extra:
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()[:16]


def versions() -> list[str]:
    """Return Python's version and those of the packages that cells use."""
    found = [sys.version]
    for name in USED_BY_CELLS:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} none")
    return found


def on_config(app: Sphinx, config: Config) -> None:
    """Name the cache of executed cells, and make Sphinx read everything again when what it reads with has changed."""
    root = Path(app.confdir)
    book = Path(__file__).parent
    seen_by_cells = [
        path for folder in ("gnlib", "results") for path in files(root / folder) if book not in path.parents
    ]
    key = fingerprint(seen_by_cells, root, versions())
    caches = Path(app.outdir).parent / ".jupyter_cache"
    config.nb_execution_cache_path = str(caches / key)
    config.book_sources = fingerprint(files(book), book, [key])

    old = sorted(
        (path for path in caches.glob("*") if path.name != key), key=lambda path: path.stat().st_mtime, reverse=True
    )
    for path in old[KEPT - 1 :]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def on_finished(app: Sphinx, exception: Exception | None) -> None:
    """Forget what was read if there were warnings: Sphinx would pass over the faulty chapters next time and succeed."""
    if app._warncount or exception is not None:
        Path(app.doctreedir, ENV_PICKLE_FILENAME).unlink(missing_ok=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Set the cache's folder; there is nothing to configure."""
    app.add_config_value("book_sources", "", "env", str)  # derived; "env": a change reads and writes every page again
    app.connect("config-inited", on_config, priority=100)
    app.connect("build-finished", on_finished, priority=999)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
