"""Finds the Chromium that the browser tests drive; installs one where that can be done without asking.

`python -m tools.browser` prints its path; `python -m tools.browser --install` makes sure that there is one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MACOS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
WAY_OUT = (
    "install Chromium or Chrome (Debian: apt-get install chromium), or set CHROMIUM=/path/to/it, then run this again"
)


def find() -> str | None:
    """$CHROMIUM, else an installed browser, else Playwright's own; None where there is none."""
    if given := os.environ.get("CHROMIUM"):
        if not shutil.which(given):
            sys.exit(f"CHROMIUM={given} is not a program; {WAY_OUT}")
        return shutil.which(given)
    for name in (*NAMES, *MACOS):
        if found := shutil.which(name):
            return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).is_file() else None


def install() -> str:
    """Debian's package as root, else Playwright's own download."""
    if found := find():
        return found
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], check=False, env=quiet)
        subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], check=False, env=quiet)
    if found := find():
        return found
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)
    return chromium()


def chromium() -> str:
    """The path of a browser, or the end of the program with a way out."""
    return find() or sys.exit(f"the browser tests need Chromium, and none was found: {WAY_OUT}")


if __name__ == "__main__":
    print(install() if "--install" in sys.argv[1:] else chromium())
