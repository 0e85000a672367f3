"""Says where the built book stands against its budget: weights, first control, a frame of a drag, build times.

`python -m tools.bench_site [--builds] [--runs 5]` measures `_build/html`; `--builds` also builds a copy of the
repository cold, after a change of prose, and with nothing changed. Times depend on the machine: it reports and never
fails.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import json
import os
import re
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

from gnlib.book.anywidget_static import ESBUILD, key_of, shrink
from gnlib.book.node import esbuild
from gnlib.widgets.figure import STATIC, Figure
from tests.browser.conftest import SITE, Server
from tests.figures import RECIPES
from tools.browser import chromium

ROOT = Path(__file__).resolve().parents[1]
KB = 1024  # bytes
TEXT_PAGE, FIGURE_PAGE = 150, 220  # KB on the wire, gzipped, everything
FIRST_CONTROL = 2.0  # s, at SLOW
MODULE = 50  # KB of one figure's program and style, gzipped, with what it shares with others
FRAME = 16.0  # ms of the main thread's own time for one frame of a drag, at SLOWER_CPU
STEPS = 12  # of a drag, one a frame
REST = 0.7  # s after which all parts of a figure show the newest state and its pictures stand still
BUILDS = {"cold": 90.0, "one chapter's prose changed": 15.0, "nothing changed": 8.0}  # s
SLOW = {"offline": False, "latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 750e3 / 8}  # ms, bytes/s
SLOWER_CPU = 4
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


def modules() -> None:
    """Report what each figure's program and style weigh."""
    for stem in sorted({recipe.make().stem for recipe in RECIPES.values()}):
        files = [STATIC / f"{stem}.{kind}" for kind in ("js", "css")]
        sizes = [len(gzip.compress(path.read_bytes(), 9)) / KB for path in files]
        line(
            f"weight of the figure {stem}", f"{sizes[0]:.1f} + {sizes[1]:.1f} KB", f"{MODULE} KB", sum(sizes) <= MODULE
        )


def first_control(browser: Browser, server: Server, runs: int) -> None:
    """Report when a page's first figure can be used, on a slow network and a slow machine, by a link to its state."""
    for path in filter(has_figure, pages()):
        name = path.relative_to(SITE).as_posix()
        address = server.address + name + _link_to_first(path.read_text("utf8"))
        seconds = sorted(_first_control(browser, address) for _ in range(runs))
        median = statistics.median(seconds)
        measured = f"{median:.2f} s ({seconds[0]:.2f}–{seconds[-1]:.2f})"
        line(f"first control of {name}", measured, f"{FIRST_CONTROL:.0f} s", median <= FIRST_CONTROL)


def _link_to_first(page: str) -> str:
    """Return a fragment that goes to the first figure and starts it, wherever it stands."""
    above, kind, _ = re.split(r'class="gn-mount"[^>]*? data-kind="([^"]*)"', page, maxsplit=1)
    section = re.findall(r'<section[^>]* id="([^"]+)"', above)[-1]
    return f"#{section}?{kind}.start=1"


def _first_control(browser: Browser, address: str) -> float:
    """Return the seconds until a control stands in a frame, which is later than in the document."""
    context = browser.new_context(viewport={"width": 360, "height": 800})
    page = context.new_page()
    debugger = context.new_cdp_session(page)
    debugger.send("Network.enable")
    debugger.send("Network.emulateNetworkConditions", SLOW)
    debugger.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER_CPU})
    page.add_init_script(
        f"""new MutationObserver((_, observer) => {{
            const control = document.querySelector({json.dumps(CONTROL)});
            if (!control) return;
            observer.disconnect();
            new ResizeObserver(() => {{
                if (control.clientWidth) window.usable ??= performance.now();
            }}).observe(control);
        }}).observe(document, {{childList: true, subtree: true}});"""
    )
    page.goto(address, wait_until="load", timeout=120_000)
    page.wait_for_selector(CONTROL, state="visible", timeout=120_000)
    look = "const look = () => window.usable ? done(window.usable) : requestAnimationFrame(look); look();"
    usable = float(page.evaluate(f"new Promise(done => {{ {look} }})")) / 1000
    context.close()
    return usable


def drags(browser: Browser, runs: int) -> None:
    """Report what dragging costs each figure, with as many values as it takes, on a slow machine.

    In the main thread's own time: what other programs of this machine take does not count. One frame of a drag, with
    the parts of it that are script (the rest is style, layout and paint), has the budget. Parts that the figure draws
    later, in other frames, are in the last number: a single step, until nothing moves any more.
    """
    for recipe in RECIPES.values():
        if not recipe.drag:
            continue
        with tempfile.TemporaryDirectory() as folder:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"file://{_alone(Path(folder), recipe.make(recipe.largest))}")
            page.wait_for_selector(CONTROL)
            debugger = page.context.new_cdp_session(page)
            debugger.send("Performance.enable", {"timeDomain": "threadTicks"})
            drag = functools.partial(_drag, page, debugger, recipe.drag)
            for _ in range(3):
                drag(1)  # the first ones compile
            debugger.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER_CPU})
            frames, longest, singles = [], [], []
            for _ in range(max(runs, 5)):
                idle, moved = drag(0), drag(1)
                frames.append([(moved[part] - idle[part]) / STEPS for part in ("TaskDuration", "ScriptDuration")])
                idle, moved = drag(0, steps=1, rested=True), drag(1, steps=1, rested=True)
                singles.append(moved["TaskDuration"] - idle["TaskDuration"])
                browser.start_tracing(page=page, categories=["devtools.timeline", "toplevel"])
                drag(1)
                longest.append(_longest_task(json.loads(browser.stop_tracing())["traceEvents"]))
            page.close()
        whole, script = (statistics.median(part) for part in zip(*frames, strict=True))
        stem = recipe.make().stem
        line(f"frame of a drag, {stem}", f"{whole:.1f} ms ({script:.1f} script)", f"{FRAME:.0f} ms", whole <= FRAME)
        print(
            f"    longest task {statistics.median(longest):.1f} ms, "
            f"a single step with all that follows it {statistics.median(singles):.1f} ms"
        )


def _longest_task(events: list[dict[str, Any]]) -> float:
    """Return the milliseconds of the main thread's longest task between the first and the last step of a drag."""
    inputs = [one for one in events if one["name"] == "EventDispatch" and one["args"]["data"]["type"] == "input"]
    start, end, thread = inputs[0]["ts"], inputs[-1]["ts"], inputs[0]["tid"]
    tasks: list[float] = [
        one["tdur"] / 1000
        for one in events
        if one["name"] == "ThreadControllerImpl::RunTask" and one["tid"] == thread and "tdur" in one
        if one["ts"] + one["dur"] > start and one["ts"] < end
    ]
    return max(tasks)


# forth and back over the stops of a range input; each step comes before a frame, as a pointer's do
WALK = """async ([selector, steps, by]) => {
    const slider = document.querySelector(`.gn-figure ${selector}`);
    const put = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set;
    const task = () => new Promise(done => {
        const channel = new MessageChannel();
        channel.port1.onmessage = done;
        channel.port2.postMessage(0);
    });
    const size = Number(slider.step) || 1;
    window.way ??= 1;
    for (let i = 0; i < steps; i++) {
        const value = Number(slider.value);
        if (value >= Number(slider.max)) way = -1;
        if (value <= Number(slider.min)) way = 1;
        if (by) {
            put.call(slider, String(value + way * size));
            slider.dispatchEvent(new Event("input", { bubbles: true }));
        }
        await new Promise(requestAnimationFrame);
        await task();
    }
}"""


def _drag(
    page: Page, debugger: Any, selector: str, by: int, steps: int = STEPS, rested: bool = False
) -> dict[str, float]:
    """Walk over a range input, or with ``by=0`` stand still as long; return the milliseconds of the thread by kind.

    Counted until the last frame of the walk, or, ``rested``, until everything has come to rest.
    """

    def spent() -> dict[str, float]:
        metrics = debugger.send("Performance.getMetrics")["metrics"]
        return {one["name"]: float(one["value"]) * 1000 for one in metrics}

    before = spent()
    page.evaluate(WALK, [selector, steps, by])
    walked = spent()
    page.wait_for_timeout(1000 * REST)
    after = spent() if rested else walked
    return {name: after[name] - before[name] for name in after}


def _alone(folder: Path, figure: Figure) -> Path:
    """Write a page that holds nothing but one figure."""
    model = {"model_module": "anywidget", "model_name": "AnyModel", "state": figure.get_state()}
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
        '<!DOCTYPE html><html lang="en" data-theme="light"><meta charset="utf-8"><title>One figure</title>'
        f'<link rel="stylesheet" href="figure.css"><script type="application/vnd.anywidget-static+json">{text}</script>'
        '<div class="gn-mount" data-model="a"><p></p></div><script src="anywidget-host.js"></script>'
        '<script src="figure.js"></script>',
        "utf8",
    )
    return page


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
        modules()
        weights(browser, server)
        first_control(browser, server, given.runs)
        drags(browser, given.runs)
        server.close()
        browser.close()
    if given.builds:
        builds()


if __name__ == "__main__":
    main()
