"""The last pass over the built site: light, safe, accessible. It changes nothing when it runs again.

Per page: scripts and styles that the page does not use are left out. At the end: icon fonts are cut to the icons used
and KaTeX's to the letters used, rules for unused icons leave the style sheet, the theme's faults are mended, and
every page gets a Content-Security-Policy with the hash of each inline script.

Every replacement is counted: a theme update that changes the markup stops the build, and is never skipped in silence.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydata_sphinx_theme
from fontTools import subset
from PIL import Image
from sphinx.errors import ExtensionError
from sphinx.util import logging

from gnlib.book import address, published
from gnlib.book.katex_static import write_if_changed
from gnlib.book.node import esbuild, package

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config

log = logging.getLogger(__name__)
THEME = Path(pydata_sphinx_theme.__file__).parent / "theme" / "pydata_sphinx_theme" / "static"
STYLES = "styles/pydata-sphinx-theme.css"
ICON_FONTS = ("fa-solid-900", "fa-regular-400", "fa-brands-400")
FEWEST_ICON_RULES = 1000  # the theme's style sheet has about 1,900; far fewer means that we no longer recognise them
FINISHED = "data-gn-finished"
SUMMARY_LENGTH = 160  # characters: what search engines show

# a part of a script's or style sheet's name -> what the page's body must hold for it to be kept
NEEDED_FOR = {
    "togglebutton": r'class="[^"]*\b(?:toggle|dropdown)\b',
    "toggleHint": r'class="[^"]*\b(?:toggle|dropdown)\b',
    "toggleOpenOnPrint": r'class="[^"]*\b(?:toggle|dropdown)\b',
    "design-tabs": r'class="sd-tab',
    "sphinx-design": r'class="[^"]*\bsd-',
    "sphinx-thebe": "(?!)",  # its style sheet is added when it is loaded, and it has nothing to do here
    "clipboard": r'class="highlight',
    "copybutton": r'class="highlight',
    "mystnb": r'class="[^"]*\bcell',
    "katex": r'class="katex',
}
# what no page asks for once it is finished
UNUSED = (
    "_static/scripts/fontawesome.js*",
    "_static/**/*.map",
    "_static/vendor/fontawesome/webfonts/*.ttf",
    "_static/**/*webpack-macros.html",
    "_static/locales",
    "_static/images/logo_*",
)


@dataclass(frozen=True)
class Fix:
    """One repair of the theme's markup."""

    what: str
    pattern: re.Pattern[str]
    replacement: str
    count: int | None = None  # on every page; None: as many as there are

    @classmethod
    def of(cls, what: str, pattern: str, replacement: str, count: int | None = None) -> Fix:
        return cls(what, re.compile(pattern, re.DOTALL), replacement, count)

    def apply(self, page: str, name: str) -> str:
        """Return the repaired page.

        Raises:
            ExtensionError: the markup is not what it was when this was written.
        """
        page, count = self.pattern.subn(self.replacement, page)
        if self.count is not None and count != self.count:
            raise ExtensionError(
                f"{name}: {self.what}: found {count} places in the theme's markup, expected {self.count}; "
                "the theme has changed, and FIXES in gnlib/book/finish.py must follow"
            )
        return page


FIXES = (
    Fix.of(
        "icons are drawn by the style sheet, not by fontawesome.js",
        r'<(?:script|link)[^>]*(?:src|href)="[^"]*scripts/fontawesome\.js[^"]*"[^>]*>(?:</script>)?',
        "",
    ),
    Fix.of(
        "the search button's visible text is its name",
        r'(<button class="btn search-button-field[^>]*?) title="[^"]*" aria-label="[^"]*"',
        r"\1",
        1,
    ),
    Fix.of(
        "the search button's shortcut is not part of its name",
        r'<span class="search-button__kbd-shortcut">',
        '<span class="search-button__kbd-shortcut" aria-hidden="true">',
    ),
    Fix.of(
        "the sidebar is a landmark",
        r'<div id="pst-primary-sidebar" class=',
        '<div id="pst-primary-sidebar" role="complementary" aria-label="Sidebar" class=',
        1,
    ),
    Fix.of(
        "a folded cell's visible text is its name",
        r'<summary aria-label="Toggle hidden content">',
        "<summary>",
    ),
    Fix.of(
        "an entry of a bibliography is an item of its list (ARIA 1.3 took the old role away)",
        r'role="doc-biblioentry"',
        'role="listitem"',
    ),
    Fix.of(
        "the theme's scripts run last, and must not come before the first figure's",
        r'<link rel="preload" as="script" href="[^"]*" />\s*',
        "",
        2,
    ),
    Fix.of(  # browsers break a line behind what KaTeX draws, whatever follows
        "no line begins with the comma behind a formula",
        r'(<span class="math notranslate nohighlight gn-whole">(?:<annotation[^<]*</annotation>|<[^>]*>|[^< \n])*?'
        r"</span></span></span></span>)([,.;:!?)]+)",
        r'<span class="gn-whole">\1\2</span>',
    ),
    Fix.of("no inline handler: print", r'onclick="window\.print\(\)"', 'data-gn-click="print"'),
    Fix.of("no inline handler: full screen", r'onclick="toggleFullScreen\(\)"', 'data-gn-click="fullscreen"'),
    Fix.of("no inline handler: how to run", r'onclick="gn:run"', 'data-gn-click="run" aria-haspopup="dialog"'),
    Fix.of("no inline handler: uses", r'onclick="gn:uses"', 'data-gn-click="uses"'),
    Fix.of(
        "a download is no new window",
        r'target="_blank"(\s+class="btn btn-sm btn-download-(?:notebook|source)-button)',
        r"download\1",
    ),
    Fix.of(
        "the page's name serves a version switcher, which this book has not",
        r"<script>DOCUMENTATION_OPTIONS\.pagename = '[^']*';</script>",
        "",
        1,
    ),
    Fix.of(
        "a place for Read the Docs' advertisements",
        r'<div class="sidebar-primary-items__end sidebar-primary__section">\s*<div class="sidebar-primary-item">\s*'
        r'<div id="ethical-ad-placement".*?</div>\s*</div>\s*</div>',
        "",
    ),
)
INLINE_SCRIPT = re.compile(r"<script(?![^>]*\bsrc=)([^>]*)>(.*?)</script>", re.DOTALL)
RUNS = re.compile(r'type="(?:text/javascript|application/javascript|module)"')
INLINE_STYLE = re.compile(r"<style[^>]*>(.*?)</style>", re.DOTALL)
HANDLER = re.compile(r'\son[a-z]+="[^"]*"')
CHARSET = '<meta charset="utf-8" />'


# ---------------------------------------------------------------------- per page


def on_config(app: Sphinx, config: Config) -> None:
    """Silence sphinx-thebe, which jupyter-book loads always and which fails on every page: this book has no kernel."""
    for listeners in app.events.listeners.values():
        listeners[:] = [
            listener for listener in listeners if not listener.handler.__module__.startswith("sphinx_thebe")
        ]


def on_page(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Leave out the scripts and styles that the page does not use."""
    body = context.get("body", "")
    titles = "".join(str(title) for title in app.env.titles.values())  # math in a title stands in every page's sidebar

    def needed(asset: Any) -> bool:
        named = str(getattr(asset, "filename", asset) or "") + str(
            (getattr(asset, "attributes", {}) or {}).get("body", "")
        )
        for part, need in NEEDED_FOR.items():
            if part in named:
                return bool(re.search(need, body)) or (part == "katex" and "<math" in titles)
        return True

    for key in ("script_files", "css_files"):
        context[key][:] = [asset for asset in context[key] if needed(asset)]


# ---------------------------------------------------------------------- the head of a page


def policy(page: str, search: bool) -> str:
    """Return the Content-Security-Policy under which this page, and nothing else, works."""

    def hashes(texts: Iterable[str]) -> list[str]:
        return sorted(
            {f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in texts}
        )

    scripts = hashes(
        body for attributes, body in INLINE_SCRIPT.findall(page) if "type=" not in attributes or RUNS.search(attributes)
    )
    return "; ".join(
        [
            "default-src 'none'",
            " ".join(["script-src 'self'", *scripts]),
            " ".join(["style-src-elem 'self'", *hashes(INLINE_STYLE.findall(page))]),
            "style-src-attr 'unsafe-inline'",  # KaTeX places its boxes with style=""
            "img-src 'self' data:",  # Bootstrap's glyphs are data
            "font-src 'self'",
            "connect-src 'self'" if search else "connect-src 'none'",  # search fetches pages to quote from them
            "form-action 'self'",
            "base-uri 'none'",
        ]
    )


def summary_of(page: str) -> str:
    """Return the first paragraph of a page's article as text, cut at a word."""
    article = re.search(r"<article.*?</article>", page, re.DOTALL)
    paragraph = re.search(r"<p>(.*?)</p>", article[0], re.DOTALL) if article else None
    if paragraph is None:
        return ""
    text = re.sub(r'<span class="katex-html".*?(?=</span></span></span>)', "", paragraph[1], flags=re.DOTALL)
    text = " ".join(html.unescape(re.sub(r"<annotation.*?</annotation>|<[^>]+>", "", text, flags=re.DOTALL)).split())
    if len(text) <= SUMMARY_LENGTH:
        return text
    return text[:SUMMARY_LENGTH].rsplit(" ", 1)[0].rstrip(" ,;:") + " …"


def finish(page: str, name: str, title: str) -> str:
    """Return a page of the theme, repaired and locked."""
    for fix in FIXES:
        page = fix.apply(page, name)
    if name != "search.html":  # searchtools.js needs doctools.js at once; elsewhere nothing may hold up the page
        page = re.sub(r'<script (?=(?:data-[a-z-]+="[^"]*" )?src=)', '<script defer="defer" ', page)
    if handler := HANDLER.search(re.sub(r"<(script|pre)\b.*?</\1>", "", page, flags=re.DOTALL)):
        raise ExtensionError(
            f"{name}: the policy forbids inline handlers, and this page has{handler[0]}; finish.py must follow"
        )
    if page.count(CHARSET) != 1:
        raise ExtensionError(f"{name}: found {page.count(CHARSET)} times {CHARSET} in the theme's markup, expected 1")
    rules = policy(page, search=name == "search.html")
    head = f'{CHARSET}\n    <meta http-equiv="Content-Security-Policy" content="{rules}" {FINISHED}="1" />'
    if '<meta name="description"' not in page:
        words = html.escape(summary_of(page) or title)
        head += f'\n    <meta name="description" content="{words}" />'
    return page.replace(CHARSET, head)


# ---------------------------------------------------------------------- fonts and icons


class Cut:
    """Cuts files down, and remembers what was made of what, so that a second build does not do it again."""

    def __init__(self, memory: Path) -> None:
        self.path = memory
        self.memory: dict[str, list[str]] = json.loads(memory.read_text("utf8")) if memory.exists() else {}

    def font(self, source: Path, target: Path, points: set[int]) -> None:
        """Write ``target``: the font ``source`` with the characters ``points`` alone."""
        wanted = hashlib.sha256(f"{source.stat().st_size} {sorted(points)}".encode()).hexdigest()
        if self.memory.get(target.name) == [wanted, self._content(target)]:
            return
        options = subset.Options(flavor="woff2", layout_features=["*"], notdef_outline=True, recalc_timestamp=False)
        with subset.load_font(str(source), options) as font:
            subsetter = subset.Subsetter(options)
            subsetter.populate(unicodes=(points & set(font.getBestCmap())) or {ord(" ")})
            subsetter.subset(font)
            subset.save_font(font, str(target), options)
        self.memory[target.name] = [wanted, self._content(target)]

    def picture(self, source: Path, target: Path) -> None:
        """Write ``target``: the picture ``source`` as WebP."""
        wanted = self._content(source)
        if self.memory.get(target.name) == [wanted, self._content(target)]:
            return
        with Image.open(source) as picture:
            picture.save(target, lossless=True, method=6)
            if source.suffix != ".png" or target.stat().st_size > LOSSLESS_UP_TO:
                picture.save(target, quality=QUALITY, method=6)
        self.memory[target.name] = [wanted, self._content(target)]

    def _content(self, path: Path) -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""

    def save(self) -> None:
        write_if_changed(self.path, json.dumps(self.memory, indent=1, sort_keys=True))


def icon_rules(theme_css: str, used: set[str]) -> str:
    """Return the theme's style sheet with the rules of the ``used`` icons alone."""
    rule = re.compile(r'((?:\.fa-[a-z0-9-]+:before,?)+)\{content:"([^"]*)"\}')
    slim, count = rule.subn(lambda m: m[0] if set(re.findall(r"\.(fa-[a-z0-9-]+):", m[1])) & used else "", theme_css)
    if count < FEWEST_ICON_RULES:
        raise ExtensionError(
            f"found {count} icon rules in the theme's style sheet, expected {FEWEST_ICON_RULES} or more; "
            "the theme has changed, and icon_rules in gnlib/book/finish.py must follow"
        )
    slim = re.sub(r',url\([^)]*\.ttf\) format\("truetype"\)', "", slim)
    return re.sub(r"/\*# sourceMappingURL=[^*]*\*/", "", slim)


def rules(css: str) -> Iterator[tuple[str, str | None]]:
    """Yield a style sheet's statements in order: (what stands before the braces, what stands in them, or None)."""
    start, depth, body = 0, 0, 0
    for token in re.finditer(r'/\*.*?\*/|"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|[{};]', css, re.DOTALL):
        if token[0] == "{":
            if depth == 0:
                body = token.end()
            depth += 1
        elif token[0] == "}":
            depth -= 1
            if depth == 0:
                yield css[start : body - 1], css[body : token.start()]
                start = token.end()
        elif token[0] == ";" and depth == 0:
            yield css[start : token.end()], None
            start = token.end()
    yield css[start:], None


def unused_rules_out(css: str, known: set[str]) -> str:
    """Return the style sheet without the rules whose every selector asks for a class that nothing could have.

    ``known`` holds the classes of all pages and every word of all scripts; a class that begins with such a word and a
    hyphen stays too, since scripts put names together ("bs-tooltip-" + side).
    """

    def possible(name: str) -> bool:
        parts = name.split("-")
        return name in known or any("-".join(parts[:i]) + "-" in known for i in range(1, len(parts)))

    def matches(selector: str) -> bool:
        outside = re.sub(r":(?:not|is|where|has)\([^()]*(?:\([^()]*\)[^()]*)*\)", "", selector)
        return all(possible(name.replace("\\", "")) for name in re.findall(r"\.((?:[\w-]|\\.)+)", outside))

    kept: list[str] = []
    for before, inside in rules(css):
        head = re.sub(r"/\*.*?\*/", "", before, flags=re.DOTALL).strip()
        if inside is None:
            kept.append(before)
        elif head.startswith(("@media", "@supports", "@layer", "@container")):
            if slim := unused_rules_out(inside, known).strip():
                kept.append(f"{before}{{{slim}}}")
        elif head.startswith("@"):
            kept.append(f"{before}{{{inside}}}")
        else:
            licence = "".join(re.findall(r"/\*!.*?\*/", before, re.DOTALL))  # apart: it may hold a comma
            selectors = re.split(r",(?![^()]*\))", head)
            if used := [selector for selector in selectors if matches(selector)]:
                kept.append(f"{licence}{','.join(used)}{{{inside}}}")
    return "".join(kept)


# 256 colors of terminals, for outputs that none of our cells has; the sixteen that tracebacks use stay
ANSI_COLORS = re.compile(r"div\.highlight \.-Color\[class\*=-(?:BG)?C\d+\] \{[^}]*\}\s*")


def known_names(pages: list[str], scripts: list[str]) -> set[str]:
    """Return the classes that stand in some page, and the words and beginnings of words that stand in some script."""
    known = {name for page in pages for value in re.findall(r'\sclass="([^"]*)"', page) for name in value.split()}
    for script in scripts:
        known.update(re.findall(r"[A-Za-z_][\w-]*", script))
    return known


def code_points(css: str) -> set[int]:
    """Return the characters that a style sheet writes: as escapes, or as the theme's admonitions do, as they are."""
    escaped = {int(point, 16) for point in re.findall(r"\\([ef][0-9a-f]{3})(?![0-9a-f])", css)}
    short = {int(point, 16) for point in re.findall(r'content:"\\([0-9a-f]{2})(?![0-9a-f])', css)}
    return escaped | short | {ord(letter) for letter in css if "\ue000" <= letter <= "\uf8ff"}


def cut_icons(out: Path, pages: list[str], cut: Cut) -> None:
    """Keep the icons that some page or script names."""
    scripts = [path.read_text("utf8") for path in sorted(out.glob("_static/**/*.js")) if path.name != "fontawesome.js"]
    used = set(re.findall(r"\bfa-[a-z0-9-]+", "".join(pages + scripts)))
    for path in out.glob("_static/mystnb.*.css"):
        write_if_changed(path, ANSI_COLORS.sub("", path.read_text("utf8")))
    slim = icon_rules((THEME / STYLES).read_text("utf8"), used)
    write_if_changed(out / "_static" / STYLES, unused_rules_out(slim, known_names(pages, scripts)))
    points: set[int] = set()
    for path in sorted(out.glob("_static/**/*.css")):
        points |= code_points(path.read_text("utf8"))
    for name in ICON_FONTS:
        font = f"vendor/fontawesome/webfonts/{name}.woff2"
        cut.font(
            THEME / font, out / "_static" / font, points
        )  # from the theme's own file: the site's may be cut already


class Letters(HTMLParser):
    """The letters that KaTeX drew on a page: those of Math-Italic, and those of any other of its fonts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.inside: list[str] = []  # the classes of the open elements, from katex-html on
        self.italic: set[int] = set()
        self.other: set[int] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        classes = dict(attributes).get("class") or ""
        if tag == "span" and (self.inside or "katex-html" in classes):
            self.inside.append(classes)

    def handle_endtag(self, tag: str) -> None:
        if tag == "span" and self.inside:
            self.inside.pop()

    def handle_data(self, data: str) -> None:
        if self.inside:
            (self.italic if "mathnormal" in self.inside[-1] else self.other).update(map(ord, data))


def cut_letters(out: Path, pages: list[str], katex: Path, cut: Cut) -> None:
    """Keep the letters of KaTeX's fonts that stand in some formula."""
    drawn = [Letters(page) for page in pages if 'class="katex' in page]
    italic = {letter for page in drawn for letter in page.italic}
    other = {letter for page in drawn for letter in page.other}
    for font in sorted((katex / "dist" / "fonts").glob("*.woff2")):
        wanted = italic if font.stem == "KaTeX_Math-Italic" else other
        cut.font(font, out / "_static" / "katex" / "fonts" / font.name, wanted)


# ---------------------------------------------------------------------- pictures

PICTURE = re.compile(r'<img\b(?![^>]*\swidth=)([^>]*?)\ssrc="((?:\.\./)*_images/)([^"/]+)\.(png|jpe?g)"([^>]*)>')
LOSSLESS_UP_TO = 40 * 1024  # bytes: a chart stays exact; a heavier picture is a photograph, where nobody sees it
QUALITY = 75


def light_pictures(out: Path, page: str, cut: Cut) -> str:
    """Return the page with its pictures as WebP where that is lighter, each with its size, so that nothing jumps."""

    def lighter(match: re.Match[str]) -> str:
        before, folder, name, kind, after = match.groups()
        source, target = out / "_images" / f"{name}.{kind}", out / "_images" / f"{name}.webp"
        if not source.is_file():
            return match[0]
        with Image.open(source) as picture:
            width, height = picture.size
        cut.picture(source, target)
        chosen = min(source, target, key=lambda path: path.stat().st_size).name
        size = f'width="{width}" height="{height}" loading="lazy"'
        return f'<img{before} src="{folder}{chosen}" {size}{after}>'

    return PICTURE.sub(lighter, page)


# ---------------------------------------------------------------------- scripts and styles

WORDY = ("doctools.js", "sphinx_highlight.js", "copybutton.js", "copybutton.css", "pygments.css", "mystnb.*.css")


def minify(app: Sphinx) -> None:
    """Take from scripts and styles what only their readers need: from ours, and from those that come as written."""
    out = Path(app.outdir, "_static")
    ours = (path for path in (Path(__file__).parent / "static").iterdir() if path.suffix in (".css", ".js"))
    sources = [*ours, *(path for name in WORDY for path in out.glob(name))]
    form = ("--minify", "--target=es2022", "--charset=utf8", "--log-level=warning", "--entry-names=[name]")
    root = Path(app.confdir, app.config.katex_root).resolve()
    esbuild(root, *form, f"--outdir={out}", "--allow-overwrite", *map(str, sorted(sources)), text="")


# ---------------------------------------------------------------------- names that change with the content

ASSET = re.compile(r'((?:\.\./)*)(_static/[^"?#]+\.(?:css|js))(?:\?[^"]*)?(?=")')
FONT = re.compile(r"url\(([^)?]+\.woff2)(?:\?[^)]*)?\)")


def content(path: Path) -> str:
    """Return a short hash of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:8]


def stamp_fonts(css: Path) -> None:
    """Have a style sheet ask for each font by its content, so that no browser keeps one with too few letters."""
    text = FONT.sub(lambda m: f"url({m[1]}?v={content(css.parent / m[1])})", css.read_text("utf8"))
    write_if_changed(css, text)


def stamp_assets(out: Path, page: str) -> str:
    """Have a page ask for each style sheet and script by its content: Sphinx's own stamps know the uncut files."""

    def stamped(match: re.Match[str]) -> str:
        path = out / match[2]
        return f"{match[1]}{match[2]}?v={content(path)}" if path.is_file() else match[0]

    return ASSET.sub(stamped, page)


# ---------------------------------------------------------------------- the site


FRONT_PAGE = """<!DOCTYPE html>
<html lang="{language}">
<head>
<meta charset="utf-8" />
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src 'self'; base-uri 'none'" />
<meta http-equiv="refresh" content="0; url={target}" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<meta name="description" content="{title}" />
<title>{title}</title>
<link rel="icon" href="{icon}" />
<link rel="canonical" href="{canonical}" />
</head>
<body><main><h1>{title}</h1><p><a href="{target}">To the book</a></p></main></body>
</html>
"""


def front_page(app: Sphinx) -> str:
    """Return the page at the site's root, which leads to the first chapter."""
    repository = address.of(app.config)
    target = app.builder.get_target_uri(app.config.root_doc)
    icon = "_static/" + Path(app.config.html_favicon).name if app.config.html_favicon else "data:,"
    return FRONT_PAGE.format(
        language=app.config.language,
        target=html.escape(target),
        title=html.escape(app.config.html_title),
        icon=html.escape(icon),
        canonical=html.escape((repository.site if repository else "") + target),
    )


def write_front_page(app: Sphinx, exception: Exception | None) -> None:
    """Write it, before sphinx-external-toc writes one without a language or a title."""
    if exception is None and app.builder.name == "html" and app.config.root_doc != "index":
        write_if_changed(Path(app.outdir, "index.html"), front_page(app))


def on_finished(app: Sphinx, exception: Exception | None) -> None:
    """Finish the site; what is finished already stays as it is."""
    if exception is not None or app.builder.name != "html":
        return
    out = Path(app.outdir)
    site = address.of(app.config)
    cut = Cut(out.parent / ".cut.json")
    pages: dict[Path, str] = {}
    for path in sorted(out.rglob("*.html")):
        inside = path.relative_to(out)
        if inside.parts[0] in ("_static", "_sources") or inside == Path("index.html") != Path(
            f"{app.config.root_doc}.html"
        ):
            continue
        page = path.read_text("utf8")
        if FINISHED not in page:
            title = re.search(r"<title>(.*?)</title>", page, re.DOTALL)
            page = finish(page, inside.as_posix(), html.unescape(title[1]).strip() if title else "")
            if site:
                page = published.described(page, inside.as_posix(), site, app.config.html_title)
                page = published.anchored(page, site) if inside.stem == published.NOWHERE else page
        pages[path] = light_pictures(out, page, cut)
    cut_icons(out, list(pages.values()), cut)
    minify(app)
    stamp_fonts(out / "_static" / STYLES)
    if (out / "_static" / "katex").is_dir():
        cut_letters(
            out, list(pages.values()), package(Path(app.confdir, app.config.katex_root).resolve(), "katex"), cut
        )
        stamp_fonts(out / "_static" / "katex" / "katex.css")
    cut.save()
    for path, page in pages.items():
        write_if_changed(path, stamp_assets(out, page))
    for pattern in UNUSED:
        for path in out.glob(pattern):
            if path.is_dir():
                for inner in sorted(path.rglob("*"), reverse=True):
                    inner.rmdir() if inner.is_dir() else inner.unlink()
                path.rmdir()
            else:
                path.unlink()
    referenced = "".join(pages.values())
    for path in out.glob("_static/widgets/*"):
        if f"widgets/{path.name}" not in referenced:
            path.unlink()  # a module of an earlier build


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect everything, and add the book's own style sheet and script."""
    app.add_css_file("gn-theme.css", priority=900)
    app.add_js_file("gn-theme.js", loading_method="defer")
    app.connect("config-inited", on_config)
    app.connect("html-page-context", on_page, priority=950)
    app.connect("build-finished", write_front_page, priority=100)
    app.connect("build-finished", on_finished, priority=700)  # after myst-nb has put its style sheet there
    return {"parallel_read_safe": True, "parallel_write_safe": False}
