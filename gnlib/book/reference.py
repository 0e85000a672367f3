"""The library's docstrings as a chapter: Sphinx's autodoc and napoleon, taught to read ours.

No inventory of another project is fetched: what is not of this library is named and not linked, so that the page works
anywhere.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sphinx.util import inspect

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config

LONE_STAR = re.compile(r"(?<=[ (])\*(?=[,)])")  # as in (N, C, *): to reStructuredText the start of emphasis
# "weight, bias: γ and β" of a docstring: Sphinx reads what stands before a blank as a type
NAMES = re.compile(r"(?<=^ {4})\w+(?:, \w+)+(?=: )")
SETTINGS: dict[str, Any] = {
    "autodoc_typehints_format": "short",
    "autodoc_preserve_defaults": True,
    "autodoc_member_order": "bysource",
    "python_use_unqualified_type_names": True,
    "napoleon_numpy_docstring": False,
    "napoleon_use_ivar": True,  # attributes in a list, as arguments
    # in ours a colon in "Returns" is a colon, and sets off no type
    "napoleon_custom_sections": ["Returns", "Shape", "Source"],
}


def on_config(app: Sphinx, config: Config) -> None:
    """Set autodoc and napoleon."""
    for name, value in SETTINGS.items():
        setattr(config, name, value)
    config.nitpick_ignore_regex = [*config.nitpick_ignore_regex, ("py:(class|exc)", ".*")]


def on_docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Let a star be a star, and names that share a line be names."""
    lines[:] = [NAMES.sub(lambda names: names[0].replace(", ", "/"), LONE_STAR.sub(r"\\*", line)) for line in lines]


def on_signature(app: Sphinx, what: str, name: str, obj: Any, options: Any, *shown: str) -> tuple[str, str] | None:
    """Show what a figure takes; traitlets puts a signature of its own before it."""
    if what != "class" or "AnyWidget" not in [base.__name__ for base in obj.__mro__]:
        return None
    signature = inspect.signature(obj.__init__, bound_method=True)
    return inspect.stringify_signature(signature, show_return_annotation=False, unqualified_typehints=True), ""


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect."""
    app.setup_extension("sphinx.ext.autodoc")
    app.setup_extension("sphinx.ext.napoleon")
    app.connect("config-inited", on_config)
    app.connect("autodoc-process-docstring", on_docstring, priority=100)  # before napoleon
    app.connect("autodoc-process-signature", on_signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
