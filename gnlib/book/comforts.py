"""What makes a page easier to read, all in the browser: glances at links, uses of a symbol or name, larger pictures.

Each is one script in ``static/``, two of them built from ``gn-parts.js``; a page gets those that have something to do
there. Without scripts nothing is lost.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

MARKABLE = r'class="katex|<code class="[^"]*\bliteral\b|class="highlight'
PICTURE = r"<img\b"
SCRIPTS = {  # its name -> what the page's body must hold
    "gn-parts.js": f"{MARKABLE}|{PICTURE}",  # before the scripts that are built from it
    "gn-glances.js": r'<a class="[^"]*\breference internal\b[^"]*" href="[^"]*#',
    "gn-uses.js": MARKABLE,
    "gn-enlarge.js": PICTURE,
}
USES_BUTTON = {
    "type": "javascript",
    "javascript": "gn:uses",  # finish.py makes it a data attribute
    "text": "",
    "icon": "fas fa-highlighter",
    "tooltip": "Mark a symbol or a name wherever it is used",
    "label": "uses-button",
}


def on_page(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Give the page the scripts that have something to do there, and the button of one."""
    body = context.get("body", "")
    for name, need in SCRIPTS.items():
        if doctree is not None and re.search(need, body):
            app.add_js_file(name, loading_method="defer")
            if name == "gn-uses.js":
                context["header_buttons"].insert(-1, dict(USES_BUTTON))


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect."""
    app.connect("html-page-context", on_page, priority=910)  # after the theme has its buttons, before the last pass
    return {"parallel_read_safe": True, "parallel_write_safe": True}
