"""The first cell of every notebook, from its title on; ``notebooks.py`` fills in WHEEL and SITE. It must run with no
gnlib in sight."""
# ruff: noqa: E402

# @title Set up: run this cell first
# On Colab it installs the book's library and leaves torch, numpy and ipywidgets alone; elsewhere it only looks for it.
import importlib.metadata
import importlib.util
import pathlib
import subprocess
import sys

WHEEL = ""
SITE = ""


def missing(name: str) -> bool:
    return importlib.util.find_spec(name) is None


def install(*what: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", *what], check=True)
    importlib.invalidate_caches()


beside = sorted(pathlib.Path().glob("gnlib_book-*.whl"))
if missing("gnlib") and "google.colab" in sys.modules:
    if not SITE and not beside:
        raise FileNotFoundError(
            f"the library must lie beside this notebook: {WHEEL} is not in {pathlib.Path().resolve()}; download it "
            "from the book's page (Run in Colab), drop it into the Files panel on the left, and run this cell again"
        )
    install(SITE + WHEEL if SITE else str(beside[-1]), *(name for name in ("anywidget", "psygnal") if missing(name)))
elif missing("gnlib"):
    raise ModuleNotFoundError(
        f"gnlib must be installed to run this notebook: pip install {SITE + WHEEL}"
        + ("" if SITE else ", a file from the book's dist/ folder")
        + ", or `pip install .` in the book's repository"
    )

import torch

device = torch.cuda.get_device_name() if torch.cuda.is_available() else "a CPU, which is enough here"
print(f"gnlib {importlib.metadata.version('gnlib-book')}, torch {torch.__version__}, on {device}")
