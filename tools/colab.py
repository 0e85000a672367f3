"""Makes `.colab`, an environment with the notebook side of Colab: its ipywidgets, IPython, traitlets, numpy.

`python -m tools.colab` does nothing when it is there. torch and what else the library needs is not fetched a second
time: it is found in the environment that runs this, after everything of `.colab`'s own.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".colab"
PYTHON = FOLDER / "bin" / "python"
LOCKED = ROOT / "requirements" / "colab.txt"
READY = FOLDER / "ready"
LAST = "zz_what_the_book_has.pth"  # read last, so that its line comes after the environment's own packages


def wanted() -> str:
    """Return what the stamp must say: the pins, this file, and the Python below both environments."""
    text = LOCKED.read_bytes() + Path(__file__).read_bytes()
    return hashlib.sha256(text + sys.version.encode() + sys.prefix.encode()).hexdigest()


def is_ready() -> bool:
    """Whether the environment is there and as the pins say."""
    return READY.is_file() and READY.read_text() == wanted() and PYTHON.exists()


def make() -> None:
    """Make the environment from nothing; the stamp comes last."""
    print("· an environment as Colab has it, in .colab", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(FOLDER)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(PYTHON), "install", "--disable-pip-version-check", "--quiet"]
    done = subprocess.run([*pip, "--require-hashes", "-r", str(LOCKED)], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}\n.colab could not be made; mend what it says above and call this again")
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = subprocess.run([str(PYTHON), "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    Path(own, LAST).write_text(sysconfig.get_path("purelib") + "\n", "utf8")
    READY.write_text(wanted())


if __name__ == "__main__":
    if not is_ready():
        make()
