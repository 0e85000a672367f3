"""Checks that every internal link, picture, script and anchor of the built book leads somewhere. It asks no server.

`python -m tools.check_links [FOLDER]` prints each fault with its page; its exit status is 1 if there is one.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

SITE = Path("_build/html")
LINKS = {
    "a": "href",
    "area": "href",
    "img": "src",
    "script": "src",
    "link": "href",
    "source": "src",
    "iframe": "src",
    "form": "action",
}


@dataclass
class Page(HTMLParser):
    """What a page offers and what it asks for."""

    text: str
    links: list[tuple[str, str]] = field(default_factory=list)
    anchors: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if anchor := given.get("id"):
            self.anchors[anchor] += 1
        if tag == "a" and (name := given.get("name")):
            self.anchors[name] += 0
        if tag == "link" and given.get("rel") == "canonical" and (given.get("href") or "").startswith("http"):
            return
        if target := given.get(LINKS.get(tag, "")):
            self.links.append((tag, target))


def faults(site: Path) -> list[str]:
    """Return one line for each thing that is wrong."""
    pages = {
        path.relative_to(site).as_posix(): Page(path.read_text("utf8"))
        for path in sorted(site.rglob("*.html"))
        if path.relative_to(site).parts[0] not in ("_static", "_sources")
    }
    found: list[str] = []
    for name, page in pages.items():
        found += [f"{name}: the anchor {anchor!r} stands {n} times" for anchor, n in page.anchors.items() if n > 1]
        for tag, target in page.links:
            if fault := _fault(site, pages, name, target):
                found.append(f"{name}: <{tag}> {target}: {fault}")
    return found


def _fault(site: Path, pages: dict[str, Page], name: str, target: str) -> str | None:
    parts = urlsplit(target)
    if parts.scheme or target.startswith("//"):
        return (
            None
            if parts.scheme in ("http", "https", "mailto", "data")
            else f"the scheme {parts.scheme or '//'} goes nowhere"
        )
    if parts.path.startswith("/"):
        return "begins at the server's root, and the book also works from a folder"
    path = (site / name).parent.joinpath(unquote(parts.path)).resolve() if parts.path else (site / name).resolve()
    if not path.is_relative_to(site.resolve()):
        return "leads out of the book"
    if path.is_dir():
        return "is a folder: nothing serves its index on file://"
    if not path.is_file():
        return "no such file"
    anchor = unquote(parts.fragment).split("?")[0]  # a figure's state stands behind the anchor
    inside = path.relative_to(site.resolve()).as_posix()
    if anchor and inside in pages and anchor not in pages[inside].anchors:
        return f"{inside} has no anchor {anchor!r}"
    return None


def main() -> int:
    """Check the folder given, or the built book."""
    site = Path(sys.argv[1]) if len(sys.argv) > 1 else SITE
    if not (site / "index.html").is_file():
        sys.exit(f"no book in {site}: run `make html` first")
    found = faults(site)
    print("\n".join(found) if found else f"every internal link of {site} leads somewhere")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
