"""``{answer}``: an exercise's answer, folded until the reader wants it.

    :::{answer}
    Thirty-two, because ...
    :::

or with a title of its own, ``:::{answer} A second way``. It becomes a native ``<details>``, so it needs no script,
opens by keyboard, is found by the browser's search, prints unfolded, and stays folded in the notebooks. An exercise
itself is a plain admonition: ``:::{admonition} Exercise 1`` with ``:class: exercise``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.writers.html5 import HTML5Translator


class Folded(nodes.General, nodes.Element):  # type: ignore[misc]
    """A summary, then what it folds away."""


class Summary(nodes.General, nodes.TextElement):  # type: ignore[misc]
    """The line that stays visible."""


class Answer(SphinxDirective):
    """The directive ``{answer}``."""

    has_content = True
    optional_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[Any]:
        """Return the folded node."""
        self.assert_has_content()
        folded = Folded()
        self.set_source_info(folded)
        words, messages = self.state.inline_text(self.arguments[0] if self.arguments else "Answer", self.lineno)
        folded += Summary("", "", *words)
        self.state.nested_parse(self.content, self.content_offset, folded)
        return [folded, *messages]


def visit_folded(self: HTML5Translator, element: Any) -> None:
    """Open the fold."""
    self.body.append('<details class="gn-answer">')


def depart_folded(self: HTML5Translator, element: Any) -> None:
    """Close the fold."""
    self.body.append("</details>\n")


def visit_summary(self: HTML5Translator, element: Any) -> None:
    """Open the visible line."""
    self.body.append("<summary>")


def depart_summary(self: HTML5Translator, element: Any) -> None:
    """Close the visible line."""
    self.body.append("</summary>\n")


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive ``{answer}``."""
    app.add_node(Folded, html=(visit_folded, depart_folded))
    app.add_node(Summary, html=(visit_summary, depart_summary))
    app.add_directive("answer", Answer)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
