r"""Draws math at build time with KaTeX, so that the reader's browser runs no script for it and asks nobody for one.

A formula that KaTeX cannot draw is a warning with its place, so that ``-W`` stops the build.

Settings: ``html_math_renderer: katex_static``; ``katex_root``, a folder whose ``node_modules`` holds katex (``npm
ci``); ``katex_macros: {'\R': '\mathbb{R}'}``."""

from __future__ import annotations

import atexit
import json
import re
import subprocess
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from docutils import nodes
from markupsafe import escape
from sphinx.errors import ExtensionError
from sphinx.locale import _
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

from gnlib.book.node import node, package

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.writers.html5 import HTML5Translator

log = logging.getLogger(__name__)
HERE = Path(__file__).parent
SHORT = 20  # characters of TeX
NUMBERED = r"equation|align|gather|alignat|multline|flalign|eqnarray"


class Katex:
    """One Node process that draws formulas for the length of a build."""

    def __init__(self, root: Path, macros: dict[str, str]) -> None:
        package(root, "katex")
        self.process = subprocess.Popen(
            [node(), str(HERE / "katex_server.mjs"), str(root / "package.json")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf8",
        )
        self.drawn: dict[tuple[str, bool], dict[str, Any]] = {}
        self.version: str = self._ask({"macros": macros})["version"]
        atexit.register(self.close)

    def _pipes(self) -> tuple[IO[str], IO[str]]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        return self.process.stdin, self.process.stdout

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        to, back = self._pipes()
        to.write(json.dumps(question) + "\n")
        to.flush()
        line = back.readline()
        if not line:
            raise ExtensionError(f"the KaTeX process ended with code {self.process.wait()}; its last words stand above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def draw(self, tex: str, display: bool) -> dict[str, Any]:
        """Return ``html`` or ``error``, and ``warnings``."""
        key = (tex, display)
        if key not in self.drawn:
            self.drawn[key] = self._ask({"tex": tex, "display": display})
        return self.drawn[key]

    def close(self) -> None:
        """End the process."""
        to, back = self._pipes()
        if self.process.poll() is None:
            to.close()
            self.process.wait(timeout=5)
        back.close()
        atexit.unregister(self.close)


def draw(translator: HTML5Translator, element: Any, tex: str, display: bool) -> str:
    """Return the formula as HTML; where KaTeX refuses it, warn and return the TeX as code."""
    app = translator.builder.app
    katex: Katex | None = getattr(app, "gn_katex", None)
    if katex is None:
        katex = Katex(Path(app.confdir, app.config.katex_root).resolve(), app.config.katex_macros)
        app.gn_katex = katex  # type: ignore[attr-defined]
    answer = katex.draw(tex, display)
    for warning in answer["warnings"]:
        log.warning("KaTeX: %s, in: %s", warning, tex, location=element, type="katex")
    if "error" in answer:
        log.warning("%s, in: %s", answer["error"], tex, location=element, type="katex")
        return f"<code>{translator.encode(tex)}</code>"
    return str(answer["html"])


def display_tex(element: Any) -> str:
    """Return a display formula's TeX so that KaTeX numbers nothing: Sphinx gives the number, once a block."""
    tex = re.sub(rf"\\(begin|end)\{{({NUMBERED})\}}", r"\\\1{\2*}", element.astext())
    tex = re.sub(r"\\label\{[^}]*\}", "", tex)
    if element.get("nowrap") or re.match(rf"\s*\\begin\{{({NUMBERED})\*", tex):
        return tex
    parts = [part for part in tex.split("\n\n") if part.strip()]
    parts = [rf"\begin{{split}}{part}\end{{split}}" if r"\\" in part else part for part in parts]
    return parts[0] if len(parts) == 1 else r"\begin{aligned}" + r"\\".join(parts) + r"\end{aligned}"


def visit_math(self: HTML5Translator, element: Any) -> None:
    """Write an inline formula; a short one, ``m = 2``, does not break across lines."""
    drawn = draw(self, element, element.astext(), False)
    whole = " gn-whole" if len(element.astext()) <= SHORT or drawn.count('class="katex-base"') == 1 else ""
    self.body.append(self.starttag(element, "span", "", CLASS="math notranslate nohighlight" + whole))
    self.body.append(drawn + "</span>")
    raise nodes.SkipNode


def visit_displaymath(self: HTML5Translator, element: Any) -> None:
    """Write a display formula, with its number and a link to itself."""
    self.body.append(self.starttag(element, "div", CLASS="math notranslate nohighlight"))
    if element.get("number"):
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, element)})')
        self.add_permalink_ref(element, _("Link to this equation"))
        self.body.append("</span>")
    self.body.append(draw(self, element, display_tex(element), True) + "</div>\n")
    raise nodes.SkipNode


def plain_title(app: Sphinx, page: str) -> str | None:
    """Return a title that holds math as text; None where it holds none.

    ``<title>`` and the search index strip tags, which would leave a formula there three times over.
    """
    title = app.env.titles.get(page)
    if title is None or not list(title.findall(nodes.math)):
        return None
    return str(escape(title.astext()))


def on_page(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Give ``<title>`` the plain title."""
    if (title := plain_title(app, pagename)) is not None:
        context["title"] = title


def on_builder(app: Sphinx) -> None:
    """Put KaTeX's style sheet and fonts into the site, and plain titles into the search index."""
    builder: Any = app.builder
    if builder.format != "html" or builder.math_renderer_name != "katex_static":
        return
    dist = package(Path(app.confdir, app.config.katex_root).resolve(), "katex") / "dist"
    target = Path(app.outdir, "_static", "katex")
    (target / "fonts").mkdir(parents=True, exist_ok=True)
    css = (dist / "katex.min.css").read_text("utf8")
    css, count = re.subn(r',url\([^)]*\.(?:woff|ttf)\) format\("(?:woff|truetype)"\)', "", css)  # woff2 is enough today
    if not count:
        raise ExtensionError(f"{dist}/katex.min.css names no woff or ttf fonts: has its form changed?")
    write_if_changed(target / "katex.css", css)
    for font in (dist / "fonts").glob("*.woff2"):
        if not (target / "fonts" / font.name).exists():  # finish.py cuts these; the originals stay where they are
            (target / "fonts" / font.name).write_bytes(font.read_bytes())
    app.add_css_file("katex/katex.css", priority=300)

    index_page = builder.index_page

    def index_plain(pagename: str, doctree: Any, title: str) -> None:
        index_page(pagename, doctree, plain_title(app, pagename) or title)

    builder.index_page = index_plain


def write_if_changed(path: Path, text: str) -> None:
    """Write ``text``, but leave a file that already holds it alone, so that its date tells the truth."""
    if not path.exists() or path.read_text("utf8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf8")


def on_finished(app: Sphinx, exception: Exception | None) -> None:
    """End the KaTeX process."""
    katex: Katex | None = getattr(app, "gn_katex", None)
    if katex is not None:
        katex.close()
        del app.gn_katex  # type: ignore[attr-defined]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer ``katex_static``."""
    app.add_html_math_renderer("katex_static", (visit_math, None), (visit_displaymath, None))
    app.add_config_value("katex_root", ".", "html")
    app.add_config_value("katex_macros", {}, "html")
    app.connect("builder-inited", on_builder)
    app.connect("html-page-context", on_page, priority=200)
    app.connect("build-finished", on_finished)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
