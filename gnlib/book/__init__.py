"""The Sphinx side of the book: everything that turns chapters into a finished site. Nothing outside knows Sphinx.

One line in ``_config.yml``, ``extra_extensions: [gnlib.book]``, loads the parts in the order in which they depend on
each other:

==================  ===================================================================================================
address             the repository's one address, and all that follows from it (Colab, edit and issue links, site)
freshness           chapters are executed again when the library, the front end or torch changed, and only then
streams             what a cell printed, as it printed it
answer, beside      the two forms of our own: ``{answer}`` folds an answer, ``gn-beside`` sets prose beside its code
check               ``{check}`` asks a question in the page, ``{progress}`` lists them all
anywidget_static    figures run in the page, with no kernel
reference           the library's docstrings become a chapter
katex_static        math is drawn at build time
notebooks           a portable notebook of every chapter, from the resolved doctree
wheel               the library's wheel, beside the site
search              symbols are found by sign or name
comforts            scripts that make reading easier: glances at links, uses of a symbol, larger pictures
glances             what a glance at a link shows
published           with an address: a card for links, a sitemap, a page for addresses that lead nowhere
finish              the last pass over the built pages: light, safe, accessible
==================  ===================================================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PARTS = (
    "address",
    "freshness",
    "streams",
    "answer",
    "beside",
    "check",
    "anywidget_static",
    "reference",
    "katex_static",
    "notebooks",
    "wheel",
    "search",
    "comforts",
    "glances",
    "published",
    "finish",
)


def setup(app: Sphinx) -> dict[str, Any]:
    """Load every part."""
    for part in PARTS:
        app.setup_extension(f"{__name__}.{part}")
    return {"parallel_read_safe": True, "parallel_write_safe": False}
