"""Sets prose beside the code that it explains: prose left, code right, below each other on a narrow screen.

    :::{container} gn-beside
    The first two lines read the shape.

    ```{literalinclude} ../gnlib/core.py
    :pyobject: pool
    :lines: 1-4
    ```
    :::

The last child is the code, everything before it the prose. Containers that follow each other read as one listing.
"""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.application import Sphinx

log = logging.getLogger(__name__)
CLASS = "gn-beside"


def is_code(element: Any) -> bool:
    """Whether ``element`` is a listing, with or without a caption, or an executed cell."""
    if isinstance(element, nodes.container):
        return bool({"literal-block-wrapper", "cell"} & set(element["classes"]))
    return isinstance(element, nodes.literal_block)


class SetBeside(SphinxPostTransform):
    """Wraps prose and code of each ``gn-beside`` container, so that the style sheet can lay them out."""

    default_priority = 200  # after literalinclude, references and cells are what they will be
    formats = ("html",)

    def run(self, **options: Any) -> None:
        """Wrap them; a container that does not end in code is a warning."""
        for container in list(self.document.findall(nodes.container)):
            if CLASS not in container["classes"]:
                continue
            if len(container) < 2 or not is_code(container[-1]):
                log.warning(
                    "%s must hold prose, then one listing: got %s",
                    CLASS,
                    ", ".join(child.tagname for child in container) or "nothing",
                    location=container,
                )
                continue
            *words, code = container.children
            for listing in code.findall(nodes.literal_block):
                listing.rawsource = text = dedent(listing.astext()).strip(
                    "\n"
                )  # a method's lines stand as far left as their prose
                listing.children = [nodes.Text(text)]
            container.children = []
            container["classes"] = [CLASS, "full-width"]  # the theme's name for what may reach into the right margin
            container += nodes.container("", *words, classes=[f"{CLASS}-words"])
            container += nodes.container("", code, classes=[f"{CLASS}-code"])


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the transform."""
    app.add_post_transform(SetBeside)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
