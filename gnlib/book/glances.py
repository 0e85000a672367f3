"""What stands behind a link, for a reader who only wants a glance: ``gn-glances.js`` shows it on hover, focus or tap.

When the built pages are finished, this reads from them what every link inside the book leads to: a term of the
glossary, a cited work, a formula, a footnote, a name of the library, a figure's caption, a section's first sentence.
All stand in one script, ``_static/gn-glance-texts.js``, which a page loads once, when the first is wanted; a script,
because a page may fetch nothing (its policy), and cannot from a folder. Without scripts a link is a link.

Paper has no links: there the works that a page cites stand at its end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from sphinx.errors import ExtensionError

from gnlib.book.katex_static import write_if_changed

if TYPE_CHECKING:
    from sphinx.application import Sphinx

TEXTS = "gn-glance-texts.js"
ARTICLE = re.compile(r"<article.*</article>", re.DOTALL)
LINK = re.compile(r'<a class="[^"]*\breference internal\b[^"]*" href="([^"#]*)#([^"]+)"')


class Glance(NamedTuple):
    """What a link leads to."""

    kind: str  # "term", "work", "formula", "note", "name", "figure" or "section"
    html: str


def element(page: str, start: int) -> str:
    """Return the element whose tag begins at ``start``, with all that is in it."""
    tag = re.compile(r"<([a-z0-9]+)").match(page, start)
    assert tag is not None
    depth = 0
    for match in re.compile(rf"<(/?){tag[1]}\b[^>]*>").finditer(page, start):
        depth += -1 if match[1] else 1
        if depth == 0:
            return page[start : match.end()]
    raise ExtensionError(f"<{tag[1]}> at character {start} does not end: {page[start : start + 80]!r}")


def inside(text: str) -> str:
    """Return an element's content."""
    return text[text.index(">") + 1 : text.rindex("<")]


def first(page: str, tag: str, start: int) -> str:
    """Return the content of the first element of this tag from ``start`` on; "" if there is none."""
    found = re.compile(rf"<{tag}\b[^>]*>").search(page, start)
    return inside(element(page, found.start())) if found else ""


def plain(text: str) -> str:
    """Return a piece of a page without links, marks for links, anchors and scripts of its own."""
    text = re.sub(
        r'<a class="headerlink".*?</a>|<span class="(?:label|backrefs)">.*?</span>\s*(?=<)', "", text, flags=re.DOTALL
    )
    text = re.sub(r"</?a\b[^>]*>", "", text)
    return re.sub(r'\sid="[^"]*"', "", text).strip()


def glance(page: str, anchor: str) -> Glance | None:
    """Return what stands at an anchor of a page; None where there is nothing to say in a glance."""
    place = re.search(rf'<(\w+)(?: class="([^"]*)")? id="{re.escape(anchor)}"', page)
    if place is None:
        return None
    tag, classes, start = place[1], (place[2] or "").split(), place.start()
    if tag == "dt":
        meaning = page.find("<dd", start)
        if "sig" in classes:
            return Glance(
                "name",
                f"<p><code>{plain(inside(element(page, start)))}</code></p><p>{plain(first(page, 'p', meaning))}</p>",
            )
        return Glance(
            "term",
            f"<p><strong>{plain(inside(element(page, start)))}</strong></p>{plain(inside(element(page, meaning)))}",
        )
    if "citation" in classes:
        return Glance("work", f"<p>{plain(first(page, 'p', start))}</p>")
    if "footnote" in classes:
        return Glance("note", plain(inside(element(page, start))))
    if "math" in classes:
        return Glance("formula", plain(inside(element(page, start))))
    if tag == "figure":
        return Glance("figure", plain(first(page, "figcaption", start)))
    heading = re.compile(r"<(h[1-6])\b").search(page, start)
    if heading is None:
        return None
    said = first(page, "p", heading.end())
    return Glance("section", f"<p><strong>{plain(first(page, heading[1], start))}</strong></p><p>{plain(said)}</p>")


def wanted(pages: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the page and the anchor of every link inside the book, from the articles of ``pages`` (name → HTML)."""
    for name, page in pages.items():
        article = ARTICLE.search(page)
        for target, anchor in LINK.findall(article[0]) if article else ():
            folder = PurePosixPath(name).parent
            yield (resolved(folder / target) if target else name), unquote(anchor)


def resolved(path: PurePosixPath) -> str:
    """Return a path without ``..``."""
    parts: list[str] = []
    for part in path.parts:
        parts = parts[:-1] if part == ".." else [*parts, part]
    return "/".join(parts)


def collect(pages: Mapping[str, str]) -> dict[str, Glance]:
    """Return every glance, by its target's page and anchor."""
    found = {f"{name}#{anchor}": glance(pages.get(name, ""), anchor) for name, anchor in sorted(set(wanted(pages)))}
    return {target: one for target, one in found.items() if one is not None}


def script(glances: Mapping[str, Glance]) -> str:
    """Return the script that holds every glance."""
    return f"gnGlances({json.dumps(glances, ensure_ascii=False, separators=(',', ':'))});\n"


WORKS = re.compile(r'<section class="gn-works onlyprint">.*?</section>\n', re.DOTALL)


def with_works(page: str, name: str, glances: Mapping[str, Glance]) -> str:
    """Return a page that names at its end, on paper alone, the works that it cites."""
    page = WORKS.sub("", page)
    targets = {f"{target}#{anchor}" for target, anchor in wanted({name: page})}
    works = sorted({glances[one].html for one in targets & glances.keys() if glances[one].kind == "work"})
    if not works:
        return page
    listed = "".join(works)
    return page.replace(
        "</article>", f'<section class="gn-works onlyprint"><h2>Works cited</h2>{listed}</section>\n</article>'
    )


def on_finished(app: Sphinx, exception: Exception | None) -> None:
    """Write the script with all glances, from the finished pages, and works into those that cite some."""
    if exception is not None or app.builder.name != "html":
        return
    out = Path(app.outdir)
    paths = (out / f"{name}.html" for name in sorted(app.env.found_docs))
    pages = {path.relative_to(out).as_posix(): path.read_text("utf8") for path in paths}
    glances = collect(pages)
    write_if_changed(out / "_static" / TEXTS, script(glances))
    for name, page in pages.items():
        write_if_changed(out / name, with_works(page, name, glances))


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect."""
    app.connect("build-finished", on_finished, priority=800)  # after the last pass
    return {"parallel_read_safe": True, "parallel_write_safe": True}
