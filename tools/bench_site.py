"""Says where the built book stands against its budget: weights, first control, a change of grouping, build times.

`python -m tools.bench_site [--builds] [--runs 5]` measures `_build/html`; `--builds` also builds a copy of the
repository cold, after a change of prose, and with nothing changed. Times depend on the machine: it reports and never
fails.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import SITE, Server
from tools.browser import chromium

ROOT = Path(__file__).resolve().parents[1]
KB = 1024  # bytes
TEXT_PAGE, FIGURE_PAGE = 150, 220  # KB on the wire, gzipped, everything
FIRST_CONTROL = 2.0  # s, at SLOW
CHANGE = 16.0  # ms of main-thread work from one change of grouping to its frame, at MOST_VALUES
BUILDS = {"cold": 90.0, "one chapter's prose changed": 15.0, "nothing changed": 8.0}  # s
SLOW = {"offline": False, "latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 750e3 / 8}  # ms, bytes/s
SLOWER_CPU = 4
MOST_VALUES = (16, 64, 8, 8)  # 65,536 values
KINDS = {
    ".html": "page", ".js": "scripts", ".css": "styles", ".woff2": "fonts",
    ".png": "images", ".jpg": "images", ".svg": "images", ".webp": "images",
}  # fmt: skip
CONTROL = ".gn-figure input:not([disabled])"


def line(what: str, measured: str, budget: str, within: bool) -> None:
    """Print one row of the report."""
    print(f"{what:<46} {measured:>22}   {budget:>9}   {'within' if within else 'OVER'}")


def pages() -> list[Path]:
    """Return the book's pages."""
    return [path for path in sorted(SITE.rglob("*.html")) if path.parent.name == "chapters"]


def has_figure(page: Path) -> bool:
    """Whether a figure is mounted in the page."""
    return 'class="gn-mount"' in page.read_text("utf8")


def weights(browser: Browser, server: Server) -> None:
    """Report what each page brings over the wire."""
    for path in pages():
        name = path.relative_to(SITE).as_posix()
        server.sent.clear()
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(server.address + name, wait_until="networkidle")
        page.evaluate(  # pictures that wait for the reader
            """Promise.all([...document.images].map(one => {
                one.loading = "eager";
                return one.decode().catch(() => null);
            })).then(() => null)"""
        )
        page.close()
        kinds: Counter[str] = Counter()
        for sent, size in dict(server.sent).items():
            kinds[KINDS.get(Path(sent).suffix, "other")] += size
        total, most = kinds.total() / KB, FIGURE_PAGE if has_figure(path) else TEXT_PAGE
        line(f"weight of {name}", f"{total:.0f} KB", f"{most} KB", total <= most)
        print("    " + ", ".join(f"{kind} {size / KB:.0f}" for kind, size in kinds.most_common()))


def first_control(browser: Browser, server: Server, runs: int) -> None:
    """Report when a figure's first control can be used, on a slow network and a slow machine."""
    for path in filter(has_figure, pages()):
        name = path.relative_to(SITE).as_posix()
        seconds = sorted(_first_control(browser, server.address + name) for _ in range(runs))
        median = statistics.median(seconds)
        measured = f"{median:.2f} s ({seconds[0]:.2f}–{seconds[-1]:.2f})"
        line(f"first control of {name}", measured, f"{FIRST_CONTROL:.0f} s", median <= FIRST_CONTROL)


def _first_control(browser: Browser, address: str) -> float:
    context = browser.new_context(viewport={"width": 360, "height": 800})
    page = context.new_page()
    debugger = context.new_cdp_session(page)
    debugger.send("Network.enable")
    debugger.send("Network.emulateNetworkConditions", SLOW)
    debugger.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER_CPU})
    page.add_init_script(
        f"""new MutationObserver((_, observer) => {{
            if (!document.querySelector({json.dumps(CONTROL)})) return;
            window.usable ??= performance.now();
            observer.disconnect();
        }}).observe(document, {{childList: true, subtree: true}});"""
    )
    page.goto(address, wait_until="load", timeout=120_000)
    page.wait_for_selector(CONTROL, state="attached", timeout=120_000)
    usable = float(page.evaluate("window.usable")) / 1000
    context.close()
    return usable


def change_of_grouping(browser: Browser, runs: int) -> None:
    """Report the main thread's work for one change of grouping, with as many values as a figure takes."""
    with tempfile.TemporaryDirectory() as folder:
        address = f"file://{_largest_square(Path(folder))}"
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(address)
        page.wait_for_selector(CONTROL)
        changes = [_work(page) for _ in range(max(runs, 5) * 4)][4:]  # the first ones compile
        page.close()
    median, worst = statistics.median(changes), max(changes)
    line("change of grouping, 65,536 values", f"{median:.1f} ms (≤ {worst:.1f})", f"{CHANGE:.0f} ms", median <= CHANGE)


def _largest_square(folder: Path) -> Path:
    """Write a page that holds nothing but the largest figure."""
    import torch

    from gnlib.book.anywidget_static import ESBUILD, key_of, shrink
    from gnlib.book.node import esbuild
    from gnlib.widgets import Square

    square = Square(torch.randn(MOST_VALUES, generator=torch.Generator().manual_seed(0)))
    model = {"model_module": "anywidget", "model_name": "AnyModel", "state": square.get_state()}
    payload, sources = shrink({"state": {"a": model}}, "the benchmark")
    one = payload["models"]["a"]
    key = key_of(sources[one["esm"]])
    hand_over = f'--footer:js=(window.anywidgetStatic??=[]).push(["{key}",{key}]);'
    script = esbuild(ROOT, *ESBUILD, f"--global-name={key}", hand_over, text=sources[one["esm"]])
    (folder / "figure.js").write_text(script, "utf8")
    (folder / "figure.css").write_text(sources.get(one["css"], ""), "utf8")
    shutil.copy(SITE / "_static" / "anywidget-host.js", folder)
    text = json.dumps(payload).replace("<", "\\u003c")
    page = folder / "index.html"
    page.write_text(
        '<!DOCTYPE html><html lang="en" data-theme="light"><meta charset="utf-8"><title>The largest figure</title>'
        f'<link rel="stylesheet" href="figure.css"><script type="application/vnd.anywidget-static+json">{text}</script>'
        '<div class="gn-mount" data-model="a"><p></p></div><script src="anywidget-host.js"></script>'
        '<script src="figure.js"></script>',
        "utf8",
    )
    return page


def _work(page: Page) -> float:
    """Move the slider of channel groups by one stop; return the busy milliseconds until its frame is out."""
    debugger = page.context.new_cdp_session(page)
    debugger.send("Performance.enable")

    def busy() -> float:
        metrics = {one["name"]: one["value"] for one in debugger.send("Performance.getMetrics")["metrics"]}
        return float(metrics["TaskDuration"]) * 1000

    frame = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(null))))"
    page.evaluate(frame)
    idle = busy()
    page.evaluate(frame)
    idle = busy() - idle  # what two frames and the question itself cost
    before = busy()
    page.evaluate(
        f"""() => {{
            const slider = document.querySelectorAll('.gn-figure input[type=range]')[1];
            const next = Number(slider.value) < Number(slider.max) ? Number(slider.value) + 1 : Number(slider.min);
            Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(slider, String(next));
            slider.dispatchEvent(new Event('input', {{bubbles: true}}));
            return {frame};
        }}"""
    )
    work = busy() - before - idle
    debugger.detach()
    return work


def builds() -> None:
    """Report how long the book takes to build, in a copy of the repository."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "book"
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
            "\n"
        )
        for name in filter(None, listed):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_file():
                shutil.copy2(ROOT / name, copy / name)
        shutil.copytree(ROOT / "gnlib/widgets/static", copy / "gnlib/widgets/static")
        (copy / "node_modules").symlink_to(ROOT / "node_modules")
        for what, budget in BUILDS.items():
            if what.startswith("one chapter"):
                with (copy / "chapters" / "group_norm.md").open("a") as chapter:
                    chapter.write("\nOne more sentence.\n")
            seconds = _build(copy)
            line(f"build: {what}", f"{seconds:.1f} s", f"{budget:.0f} s", seconds <= budget)


def _build(folder: Path) -> float:
    start = time.perf_counter()
    done = subprocess.run(
        [str(Path(sys.executable).with_name("jupyter-book")), "build", "-W", "-n", "--keep-going", "."],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode or not (folder / "_build" / "html" / "index.html").is_file():
        sys.exit(f"the book does not build:\n{done.stderr[-3000:]}")
    return time.perf_counter() - start


def main(arguments: Any = None) -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--builds", action="store_true", help="also time cold, incremental and idle builds")
    parser.add_argument("--runs", type=int, default=5, help="runs of each timing (default 5)")
    given = parser.parse_args(arguments)
    if not (SITE / "index.html").is_file():
        sys.exit(f"no book in {SITE}: run `make html` first")
    print(f"{'measured':<46} {'':>22}   {'at most':>9}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        server = Server(SITE)
        weights(browser, server)
        first_control(browser, server, given.runs)
        change_of_grouping(browser, given.runs)
        server.close()
        browser.close()
    if given.builds:
        builds()


if __name__ == "__main__":
    main()
