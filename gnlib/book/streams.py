"""Joins what a cell printed exactly as it was printed.

A kernel sends its prints in pieces, cut where the clock says. myst-nb strips each piece and ends it with a newline, so
that a line now and then breaks in two, or a blank one appears, another way in every build. Joined first, there is one
piece.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from myst_nb.core import render

if TYPE_CHECKING:
    from nbformat import NotebookNode
    from sphinx.application import Sphinx

theirs = render.coalesce_streams  # they then order stdout before stderr, and obey \r and \b


def joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Put all pieces of a stream behind its first; leave every other output where it is."""
    first: dict[str, NotebookNode] = {}
    kept = []
    for output in outputs:
        if output["output_type"] == "stream" and output["name"] in first:
            first[output["name"]]["text"] += output["text"]
            continue
        if output["output_type"] == "stream":
            output = output.copy()  # the executed notebook stays as it is
            first[output["name"]] = output
        kept.append(output)
    return kept


def setup(app: Sphinx) -> dict[str, Any]:
    """Let myst-nb see joined streams."""
    render.coalesce_streams = lambda outputs: theirs(joined(outputs))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
