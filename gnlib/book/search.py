"""What the search finds: a symbol by its sign or its name, and a word as readers spell it.

Sphinx indexes a formula's TeX, in which γ is ``gamma_c``. Here a formula is indexed by the names and signs of what it
holds. ``static/gn-search.js`` does the same for what is typed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from docutils import nodes

if TYPE_CHECKING:
    from sphinx.application import Sphinx

COMMAND = re.compile(r"\\(?:(hat|bar|tilde)\s*\{?(\w)\}?|([A-Za-z]+))")
SAME_LETTER = {"varepsilon": "epsilon", "vartheta": "theta", "varphi": "phi", "varrho": "rho"}


def words(tex: str) -> str:
    r"""Return what a formula is found by: ``gamma γ c`` for ``\gamma_c``, ``xhat`` for ``\hat{x}``."""

    def written(match: re.Match[str]) -> str:
        accent, letter, command = match.groups()
        if accent:
            return f" {letter}{accent} "
        name = SAME_LETTER.get(command, command)
        size = "CAPITAL" if name[0].isupper() else "SMALL"
        try:
            return f" {name} {unicodedata.lookup(f'GREEK {size} LETTER {name.upper()}')} "
        except KeyError:
            return " "

    return " ".join(re.sub(r"[^\w]|_", " ", COMMAND.sub(written, tex)).split())


@contextmanager
def formulas_as_words(doctree: Any) -> Iterator[None]:
    """For a while, let every formula of a text hold its words."""
    formulas = [node for kind in (nodes.math, nodes.math_block) for node in doctree.findall(kind)]
    kept = [node.children for node in formulas]
    for node in formulas:
        node.children = [nodes.Text(words(node.astext()))]
    try:
        yield
    finally:
        for node, children in zip(formulas, kept, strict=True):
            node.children = children


def on_builder(app: Sphinx) -> None:
    """Index formulas by their words."""
    builder: Any = app.builder
    if builder.format != "html":
        return
    index_page = builder.index_page

    def index(pagename: str, doctree: Any, title: str) -> None:
        with formulas_as_words(doctree):
            index_page(pagename, doctree, title)

    builder.index_page = index


def on_page(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Give the page of the search its script."""
    if pagename == "search":
        app.add_js_file("gn-search.js", loading_method="defer")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect."""
    app.connect("builder-inited", on_builder, priority=600)  # katex_static gives plain titles first
    app.connect("html-page-context", on_page)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
