"""A real browser on real files: served from this machine, nothing from outside, nothing wrong in the console."""

from __future__ import annotations

import functools
import gzip
import http.server
import mimetypes
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.stage import Hands, write_page
from tools.browser import chromium

ROOT = Path(__file__).resolve().parents[2]
SITE = Path(os.environ.get("GNLIB_SITE", ROOT / "_build" / "html"))
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OUTSIDE = re.compile(r"^(?!http://127\.0\.0\.1:|data:|blob:|file:)")
mimetypes.add_type("font/woff2", ".woff2")
mimetypes.add_type("text/javascript", ".mjs")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    quiet = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    return {**browser_type_launch_args, "executable_path": chromium(), "args": quiet}


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves gzipped text as a real host would, and counts what it sent in ``sent`` (path, bytes on the wire)."""

    protocol_version = "HTTP/1.1"
    sent: list[tuple[str, int]]

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if path.is_dir():
            path /= "index.html"
        if not path.is_file():
            self.send_error(404)
            return
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        body = path.read_bytes()
        self.send_response(200)
        if kind.startswith("text/") or kind.endswith(("javascript", "json", "svg+xml")):
            body = gzip.compress(body, 6)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.sent.append((self.path.split("?")[0], len(body)))


class Http(http.server.ThreadingHTTPServer):
    def handle_error(self, *request: Any) -> None:
        """Say nothing of a page that was closed before all it had asked for was there."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(*request)


class Server:
    """A folder on http://127.0.0.1:<free port>/."""

    def __init__(self, folder: Path) -> None:
        self.sent: list[tuple[str, int]] = []
        handler = type("CountingHandler", (Handler,), {"sent": self.sent})
        self.http = Http(("127.0.0.1", 0), functools.partial(handler, directory=str(folder)))
        self.address = f"http://127.0.0.1:{self.http.server_port}/"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture(scope="session")
def site() -> Iterator[Server]:
    """The built book. Build it first: ``make html``."""
    assert (SITE / "index.html").is_file(), f"no book in {SITE}: run `make html` first"
    server = Server(SITE)
    yield server
    server.close()


@pytest.fixture
def serve() -> Iterator[Callable[[Path], Server]]:
    """``serve(folder)`` puts any folder on this machine's loopback for the length of a test."""
    servers: list[Server] = []

    def start(folder: Path) -> Server:
        servers.append(Server(folder))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


class Watched:
    """A page whose faults are remembered: outside requests, console errors, CSP events, failed loads."""

    def __init__(self, context: BrowserContext) -> None:
        self.faults: list[str] = []
        self.page: Page = context.new_page()
        context.route(OUTSIDE, self._refuse)  # what stays on this machine is not brought here to be let through
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.faults.append(f"page error: {error}"))
        self.page.on("response", lambda r: r.status >= 400 and self.faults.append(f"{r.status}: {r.url}"))
        self.page.add_init_script(
            "window.cspEvents = []; document.addEventListener('securitypolicyviolation',"
            " e => cspEvents.push(`${e.effectiveDirective} ${e.blockedURI} ${e.sample}`));"
        )

    def _refuse(self, route: Any) -> None:
        self.faults.append(f"outside request: {route.request.url}")
        route.abort()

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"console {message.type}: {message.text}")

    def check(self) -> None:
        """Nothing went wrong up to now."""
        faults = self.faults + [f"CSP: {event}" for event in self.page.evaluate("window.cspEvents ?? []")]
        assert not faults, "\n".join(faults)

    def axe(self, selector: str | None = None) -> list[str]:
        """axe-core's violations (WCAG 2.2 AA and best practice), one line each."""
        self.page.evaluate(AXE.read_text("utf8"))  # through the debugger: the page's CSP stays in force
        return self.page.evaluate(
            """([selector, tags]) => axe.run(selector ?? document, {runOnly: tags, preload: false, selectors: false,
                   resultTypes: ['violations']}).then(result => result.violations.flatMap(v =>
                   v.nodes.map(n => `${v.id}: ${n.html.slice(0, 200)} | ${n.failureSummary}`)))""",
            [selector, AXE_RULES],
        )

    def overflow(self) -> int:
        """Pixels by which the page is wider than its window."""
        width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        # two frames: a figure lays itself out anew in the frame after its width changed
        frames = "requestAnimationFrame(() => requestAnimationFrame(() => done"
        return self.page.evaluate(f"() => new Promise(done => {frames}({width}))))")


@pytest.fixture
def watch(browser: Browser) -> Iterator[Callable[..., Watched]]:
    """``watch(address, width=1280, dark=False, …)`` opens an address in a fresh context; the end of the test checks it.

    Further keywords go to Playwright's ``new_context`` (``reduced_motion``, ``forced_colors``, ``has_touch``, …).
    """
    opened: list[tuple[BrowserContext, Watched]] = []

    def open_page(address: str, *, width: int = 1280, height: int = 900, dark: bool = False, **context: Any) -> Watched:
        scheme = "dark" if dark else "light"
        fresh = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, **context)
        watched = Watched(fresh)
        opened.append((fresh, watched))
        watched.page.goto(address, wait_until="load")
        return watched

    yield open_page
    try:
        for _, watched in opened:
            watched.check()
    finally:
        for context, _ in opened:
            context.close()


@pytest.fixture
def show(tmp_path: Path, serve: Callable[..., Any], watch: Callable[..., Any]) -> Callable[..., list[Any]]:
    """``show(figure, …, views=[0, 0, 1], fragment="#…", width=700, …)`` opens a page with these figures."""

    def open_page(
        *figures: Any,
        views: list[int] | None = None,
        fragment: str = "",
        lang: str = "en",
        width: int = 724,
        hands: type[Hands] = Hands,
        **context: Any,
    ) -> list[Any]:
        views = list(range(len(figures))) if views is None else views
        folder = tmp_path / f"page{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        write_page(folder, figures, views, lang)
        watched = watch(serve(folder).address + fragment, width=width, **context)
        watched.page.wait_for_selector("body[data-ready]")
        return [hands(watched, figures[model], view, model) for view, model in enumerate(views)]

    return open_page
