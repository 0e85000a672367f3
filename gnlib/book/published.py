"""What only a published book has: a card for those who pass a link on, a sitemap, a page for those who are lost.

All of it holds the address of the site, so without an address (``gnlib.book.address``) none of it is written.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont
from sphinx.errors import ExtensionError

from gnlib.book import address
from gnlib.book.address import Repository
from gnlib.book.katex_static import write_if_changed

if TYPE_CHECKING:
    from sphinx.application import Sphinx

CARD = "_static/card.png"
SIZE = (1200, 630)  # pixels: what those who show cards ask for
CARD_SAYS = (
    "The square of norms: LayerNorm, BatchNorm, InstanceNorm and everything together, each a table cut in its way."
)
PAPER, INK, BLUE, ORANGE = "#fdfcf9", "#1c1c1f", "#0a6490", "#a8370a"
NOWHERE = "404"
LOST = """<h1>There is no such page</h1>
<p>The address may be mistyped, or the page may have got another name. The search finds words, symbols and names of the
library; or begin <a class="reference internal" href="{start}">at the first page</a>.</p>"""


def described(page: str, name: str, site: Repository, book: str) -> str:
    """Return a page with what a card of it says (Open Graph): title, first sentence, address, picture."""
    title, said = (
        re.search(r"<title>(.*?)</title>", page, re.DOTALL),
        re.search(r'<meta name="description" content="([^"]*)" />', page),
    )
    if title is None or said is None:
        raise ExtensionError(f"{name}: a card needs the page's title and description, which the last pass writes")
    says = {
        "og:type": "article",
        "og:site_name": html.escape(book),
        "og:title": re.sub(r"\s+", " ", title[1]).split(" &#8212; ")[0].strip(),
        "og:description": said[1],
        "og:url": site.site + name,
        "og:image": site.site + CARD,
        "og:image:width": str(SIZE[0]),
        "og:image:height": str(SIZE[1]),
        "og:image:alt": CARD_SAYS,
    }
    tags = "".join(f'\n    <meta property="{key}" content="{value}" />' for key, value in says.items())
    return page.replace(said[0], said[0] + tags + '\n    <meta name="twitter:card" content="summary_large_image" />')


def anchored(page: str, site: Repository) -> str:
    """Return a page whose every address holds wherever the page is shown: it stands in for pages that are not there."""
    relative = r'((?:href|src|action|data-content_root)=")(?![a-z]+:|#|/)(?:\./)?'
    return re.sub(relative, rf"\g<1>{site.site}", page)


def sitemap(names: Iterable[str], site: Repository) -> str:
    """Return the list of all pages for search engines."""
    pages = "".join(f"<url><loc>{html.escape(site.site + name)}</loc></url>\n" for name in sorted(names))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{pages}</urlset>\n'
    )


def card(title: str) -> Image.Image:
    """Draw the picture of the card: the book's title, and a table of cells cut in four ways."""

    def font(family: str, size: int) -> Any:
        return ImageFont.truetype(font_manager.findfont(family), size)

    picture = Image.new("RGB", SIZE, PAPER)
    draw = ImageDraw.Draw(picture)
    draw.multiline_text((80, 190), title.replace(" ", "\n"), INK, font("DejaVu Serif:bold", 62), spacing=18)
    corners = {"everything": (1, 1), "BatchNorm": (1, 4), "LayerNorm": (4, 1), "InstanceNorm": (4, 4)}
    cell, gap = 36, 8  # pixels
    for k, (name, (samples, channels)) in enumerate(corners.items()):
        left, top = 690 + 260 * (k % 2), 70 + 270 * (k // 2)
        for row in range(4):
            for column in range(4):
                x = left + cell * column + gap * (column * channels // 4)
                y = top + cell * row + gap * (row * samples // 4)
                shade = BLUE if (row * samples // 4 + column * channels // 4) % 2 == 0 else ORANGE
                draw.rectangle((x, y, x + cell - 2, y + cell - 2), fill=shade)
        draw.text((left, top + 4 * cell + 3 * gap + 12), name, INK, font("DejaVu Sans", 24))
    return picture


def on_collect(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Add the page for addresses that lead nowhere."""
    if address.of(app.config):
        start = app.builder.get_target_uri(app.config.root_doc)
        yield NOWHERE, {"title": "There is no such page", "body": LOST.format(start=html.escape(start))}, "page.html"


def on_finished(app: Sphinx, exception: Exception | None) -> None:
    """Write the sitemap and the card's picture; take away those of an earlier build that had an address."""
    if exception is not None or app.builder.name != "html":
        return
    site, out = address.of(app.config), Path(app.outdir)
    if site is None:
        for name in ("sitemap.xml", CARD, f"{NOWHERE}.html"):
            (out / name).unlink(missing_ok=True)
        return
    names = [app.builder.get_target_uri(name) for name in app.env.found_docs]
    write_if_changed(out / "sitemap.xml", sitemap(names, site))
    card(app.config.html_title).save(out / CARD, optimize=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect."""
    app.connect("html-collect-pages", on_collect)
    app.connect("build-finished", on_finished, priority=800)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
