"""Writes a portable notebook of every executed chapter, into the site, and leads the page's buttons to it.

They are made from the *resolved* doctree, where numbers, references, citations and listings from the library are
already what a reader sees; the code comes from the chapter as it was executed. So a notebook holds plain Markdown and
code: no directives, no outputs, no widget state, and the same cell ids from build to build. An element with no rule
here is a warning, so that ``-W`` stops the build.

Cell tags: ``hide-*``, ``remove-input`` and ``remove-cell`` keep the cell, folded; ``book-only`` leaves it out.
"""

from __future__ import annotations

import base64
import hashlib
import mimetypes
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin

import nbformat
from docutils import nodes
from sphinx import addnodes
from sphinx.errors import ExtensionError
from sphinx.locale import admonitionlabels
from sphinx.util import logging

from gnlib.book import address
from gnlib.book.answer import Folded, Summary
from gnlib.book.check import Between, Check, Choice, Progress
from gnlib.book.katex_static import display_tex

if TYPE_CHECKING:
    from sphinx.application import Sphinx

log = logging.getLogger(__name__)
HERE = Path(__file__).parent
FOLDED = {"hide-input", "hide-cell", "remove-input", "remove-cell"}
LEFT_OUT = {"book-only"}
WITHOUT_GPU = "a CPU (in Colab, Runtime > Change runtime type > T4 brings a GPU)"
SILENT = (
    nodes.comment,
    nodes.target,
    nodes.substitution_definition,
    nodes.system_message,
    nodes.title,
    nodes.docinfo,
    nodes.meta,
    addnodes.index,
    addnodes.highlightlang,
    addnodes.toctree,
    addnodes.tabular_col_spec,
    Progress,  # kept by the book's pages
)
EQUATION = re.compile(r"\(\d+(?:\.\d+)*\)")  # how the page refers to one
ADMONITIONS = (nodes.Admonition, addnodes.seealso, nodes.sidebar, nodes.topic)


@dataclass(frozen=True)
class Code:
    """A code cell that stands between pieces of text."""

    source: str
    folded: bool = False


@dataclass
class Writer:
    """Turns one resolved doctree into text and code, piece by piece: ``str`` is Markdown, ``Code`` a cell."""

    link: Callable[[str], str | None]  # an internal reference's address as seen from the notebook; None: plain text
    page: Callable[
        [str], str
    ]  # how to name the other page that an internal reference leads to; "" where it says so itself
    image: Callable[[Any], str]  # the Markdown address of an image
    number: Callable[[str, Any], str]  # (kind, element) -> "Fig. 1", "(3)" or ""
    sources: list[Any]  # the executed chapter's cells
    macros: dict[str, str] = field(default_factory=dict)
    written: int = 0  # cells of `sources` that stand in the notebook, or were left out

    # ------------------------------------------------------------------ blocks

    def document(self, doctree: Any) -> list[str | Code]:
        """Return the whole chapter; cells that show nothing in the page are in their places."""
        pieces = [*self.blocks(doctree.children, 0), *self.cells_before(len(self.sources))]
        return pieces

    def blocks(self, elements: Iterable[Any], depth: int) -> Iterator[str | Code]:
        """Yield the pieces of some block elements inside ``depth`` sections."""
        for element in elements:
            yield from self.block(element, depth)

    def block(self, element: Any, depth: int) -> Iterator[str | Code]:
        """Yield the pieces of one block element."""
        if isinstance(element, SILENT):
            return
        if isinstance(element, nodes.section):
            yield "#" * (depth + 1) + " " + self.inline(element[0])
            yield from self.blocks(element.children[1:], depth + 1)
        elif isinstance(element, (nodes.paragraph, addnodes.compact_paragraph)):
            yield start_of_lines(self.inline(element))
        elif isinstance(element, nodes.math_block):
            yield self.display(element)
        elif isinstance(element, (nodes.literal_block, nodes.doctest_block)):
            yield fenced(element.astext(), element.get("language", ""))
        elif isinstance(element, (nodes.bullet_list, nodes.enumerated_list)):
            yield from self.items(element, depth)
        elif isinstance(element, nodes.definition_list):
            yield from self.definitions(element, depth)
        elif isinstance(element, nodes.container):
            yield from self.container(element, depth)
        elif isinstance(element, addnodes.glossary):
            yield from self.blocks(element.children, depth)
        elif isinstance(element, nodes.compound):
            if "toctree-wrapper" not in element["classes"]:  # a notebook stands alone
                yield from self.blocks(element.children, depth)
        elif isinstance(element, Folded):
            yield from self.folded(element, depth)
        elif isinstance(element, Check):
            yield from self.question(element, depth)
        elif isinstance(element, ADMONITIONS):
            yield from self.admonition(element, depth)
        elif isinstance(element, nodes.block_quote):
            yield from quoted(self.blocks(element.children, depth))
        elif isinstance(element, nodes.attribution):
            yield f"— {self.inline(element)}"
        elif isinstance(element, nodes.figure):
            yield from self.figure(element, depth)
        elif isinstance(element, nodes.image):
            yield self.picture(element)
        elif isinstance(element, nodes.table):
            yield from self.table(element)
        elif isinstance(element, (nodes.footnote, nodes.citation)):
            yield from self.note(element, depth)
        elif isinstance(element, nodes.rubric):
            yield f"**{self.inline(element)}**"
        elif isinstance(element, nodes.transition):
            yield "---"
        elif isinstance(element, nodes.line_block):
            yield "\\\n".join(self.inline(line) for line in element.findall(nodes.line))
        else:
            log.warning(
                "the notebook has no rule for <%s>: %.80s", element.tagname, element, location=element, type="notebook"
            )

    def display(self, element: Any) -> str:
        tex = self.expand(display_tex(element).strip())
        number = self.number("displaymath", element)
        if number and not element.get("nowrap"):
            tex += rf" \tag{{{number}}}"
        return f"$$\n{tex}\n$$"

    def items(self, element: Any, depth: int) -> Iterator[str | Code]:
        first = element.get("start", 1)
        items = [
            (
                f"{first + i}. " if isinstance(element, nodes.enumerated_list) else "- ",
                list(self.blocks(item.children, depth)),
            )
            for i, item in enumerate(element.children)
        ]
        tight = all(len(pieces) == 1 for _, pieces in items)
        lines: list[str] = []
        for mark, pieces in items:
            for i, piece in enumerate(pieces):
                if isinstance(piece, Code):  # a cell ends the list
                    if lines:
                        yield ("\n" if tight else "\n\n").join(lines)
                    lines = []
                    yield piece
                else:
                    lines.append((mark if i == 0 else " " * len(mark)) + piece.replace("\n", "\n" + " " * len(mark)))
        if lines:
            yield ("\n" if tight else "\n\n").join(lines)

    def definitions(self, element: Any, depth: int) -> Iterator[str | Code]:
        for item in element.children:
            terms = [f"**{self.inline(term)}**" for term in item.children if isinstance(term, nodes.term)]
            first, *rest = [*self.blocks(item[-1].children, depth)] or [""]
            yield f"{', '.join(terms)}: {first}" if isinstance(first, str) else ", ".join(terms)
            yield from rest if isinstance(first, str) else [first, *rest]

    def container(self, element: Any, depth: int) -> Iterator[str | Code]:
        if "cell" in element["classes"] and "cell_index" in element:
            yield from self.cells_before(element["cell_index"] + 1)
        elif "literal-block-wrapper" in element["classes"]:
            caption, *code = element.children
            title = " ".join(filter(None, [self.number("code-block", element), self.inline(caption)]))
            yield f"*{title}*"
            yield from self.blocks(code, depth)
        else:
            yield from self.blocks(element.children, depth)

    def cells_before(self, end: int) -> Iterator[Code]:
        """Yield the code cells up to ``end``, those too that show nothing in the page: later cells may need them."""
        for cell in self.sources[self.written : end]:
            tags = set(cell.metadata.get("tags", []))
            if cell.cell_type == "code" and cell.source.strip() and not tags & LEFT_OUT:
                yield Code(cell.source, folded=bool(tags & FOLDED))
        self.written = max(self.written, end)

    def admonition(self, element: Any, depth: int) -> Iterator[str | Code]:
        if "contents" in element["classes"]:
            return
        first = element[0] if len(element) else None
        if isinstance(first, nodes.title):
            title = self.inline(first)
        else:
            title = str(admonitionlabels.get(element.tagname, element.tagname.capitalize()))
        yield from quoted([f"**{title}**", *self.blocks(element.children, depth)])

    def folded(self, element: Any, depth: int) -> Iterator[str | Code]:
        title = next(self.inline(child) for child in element.children if isinstance(child, Summary))
        pieces = list(self.blocks([child for child in element.children if not isinstance(child, Summary)], depth))
        if any(isinstance(piece, Code) for piece in pieces):  # a fold cannot reach over cells
            yield f"**{title}**"
            yield from (Code(piece.source, folded=True) if isinstance(piece, Code) else piece for piece in pieces)
        else:
            text = "\n\n".join(str(piece) for piece in pieces)
            yield f"<details>\n<summary>{title}</summary>\n\n{text}\n\n</details>"

    def question(self, element: Any, depth: int) -> Iterator[str | Code]:
        """Yield a question as text, and its answers folded."""
        hints = {"one": "One is right.", "several": "Several are right.", "number": "The answer is a number."}
        pieces = [f"**Question.** {self.inline(element[0])} *{hints[element['kind']]}*"]
        choices = []
        for child in element.children:
            if isinstance(child, Between):
                pieces += [str(piece) for piece in self.blocks(child.children, depth)]
            elif isinstance(child, Choice):
                choices.append([self.inline(part) for part in child.children])
        if element["kind"] != "number":
            pieces.append("\n".join(f"- {words}" for words, _ in choices))
        yield from quoted(pieces)
        rights = [child["right"] for child in element.children if isinstance(child, Choice)]
        answers = "\n".join(
            f"- **{words or 'any other number'}**, {'right' if right else 'wrong'}. {why}".rstrip()
            for right, (words, why) in zip(rights, choices, strict=True)
        )
        yield f"<details>\n<summary>All answers, explained</summary>\n\n{answers}\n\n</details>"

    def figure(self, element: Any, depth: int) -> Iterator[str | Code]:
        for child in element.children:
            if isinstance(child, nodes.caption):
                yield f"*{' '.join(filter(None, [self.number('figure', element), self.inline(child)]))}*"
            elif isinstance(child, nodes.legend):
                yield from self.blocks(child.children, depth)
            elif isinstance(child, nodes.reference):  # an image that is a link
                yield self.inline(child)
            else:
                yield from self.block(child, depth)

    def table(self, element: Any) -> Iterator[str]:
        caption = next((child for child in element.children if isinstance(child, nodes.title)), None)
        if caption is not None:
            yield f"*{' '.join(filter(None, [self.number('table', element), self.inline(caption)]))}*"
        head = [self.row(row) for part in element.findall(nodes.thead) for row in part.children]
        body = [self.row(row) for part in element.findall(nodes.tbody) for row in part.children]
        if any("morecols" in entry or "morerows" in entry for entry in element.findall(nodes.entry)):
            log.warning(
                "the notebook has no rule for a table cell that spans others", location=element, type="notebook"
            )
        width = max(len(row) for row in head + body)
        rows = [*(head[:1] or [[""] * width]), ["---"] * width, *head[1:], *body]
        yield "\n".join(f"| {' | '.join(row)} |" for row in rows)

    def row(self, row: Any) -> list[str]:
        def text(entry: Any) -> str:
            pieces = [str(piece) for piece in self.blocks(entry.children, 0)]
            return "<br>".join(pieces).replace("\n", " ").replace("|", r"\|")

        return [text(entry) for entry in row.children]

    def note(self, element: Any, depth: int) -> Iterator[str | Code]:
        label = next(child.astext() for child in element.children if isinstance(child, nodes.label))
        first, *rest = list(self.blocks([c for c in element.children if not isinstance(c, nodes.label)], depth))
        yield f"\\[{label}\\] {first}"
        yield from rest

    # ------------------------------------------------------------------ inside a line

    def inline(self, element: Any) -> str:
        """Return an element's children as one run of Markdown."""
        return "".join(self.run(child) for child in element.children)

    def run(self, element: Any) -> str:
        if isinstance(element, nodes.Text):
            return plain(element.astext())
        if isinstance(element, nodes.math):
            return f"${self.expand(element.astext())}$"
        if isinstance(element, nodes.literal):
            return ticked(element.astext())
        if isinstance(element, (nodes.emphasis, nodes.title_reference, addnodes.literal_emphasis)):
            return f"*{self.inline(element)}*"
        if isinstance(element, (nodes.strong, addnodes.literal_strong)):
            return f"**{self.inline(element)}**"
        if isinstance(element, (nodes.superscript, nodes.subscript)):
            tag = "sup" if isinstance(element, nodes.superscript) else "sub"
            return f"<{tag}>{self.inline(element)}</{tag}>"
        if isinstance(element, nodes.footnote_reference):
            return f"<sup>\\[{element.astext()}\\]</sup>"
        if isinstance(element, nodes.citation_reference):
            return f"\\[{element.astext()}\\]"
        if isinstance(element, nodes.reference):
            return self.reference(element)
        if isinstance(element, nodes.image):
            return self.picture(element)
        if isinstance(element, SILENT):
            return ""
        if isinstance(element, (nodes.Inline, nodes.TextElement)) and not isinstance(element, nodes.raw):
            return self.inline(element)
        log.warning(
            "the notebook has no rule for <%s>: %.80s", element.tagname, element, location=element, type="notebook"
        )
        return ""

    def reference(self, element: Any) -> str:
        text = self.inline(element)
        target = element.get("refuri") or f"#{element.get('refid', '')}"
        if re.match(r"[a-z]+:", target):
            return linked(text, target)
        inside, page = self.link(target), self.page(target)
        written = text if inside is None else linked(text, inside)
        if page and EQUATION.fullmatch(text):
            return f"{written} of {page}"  # not in this notebook
        if page and inside is None and text.casefold() not in page.casefold():
            return f"{written} (see {page})"
        return written

    def picture(self, element: Any) -> str:
        alt = element.get("alt", "").replace("\n", " ").replace("[", "(").replace("]", ")")
        return f"![{alt}]({self.image(element)})"

    def expand(self, tex: str) -> str:
        """Return TeX without the book's own macros, which no notebook knows."""
        for _ in range(20):  # a macro may use another
            for name, meaning in self.macros.items():
                tex = expand_macro(tex, name, meaning)
            if not any(re.search(re.escape(name) + r"(?![A-Za-z])", tex) for name in self.macros):
                return tex
        raise ExtensionError(f"katex_macros use each other in a circle: {', '.join(self.macros)}")


def expand_macro(tex: str, name: str, meaning: str) -> str:
    r"""Return ``tex`` with ``\name{…}…`` replaced by its meaning, ``#1`` … by what stands in the braces."""
    count = max((int(digit) for digit in re.findall(r"#(\d)", meaning)), default=0)
    out, at = "", 0
    for match in re.finditer(re.escape(name) + (r"(?![A-Za-z])" if name[-1].isalpha() else ""), tex):
        if match.start() < at:
            continue  # inside an argument: the next round's
        end, arguments = match.end(), []
        for _ in range(count):
            argument, end = braced(tex, end)
            arguments.append(argument)
        text = re.sub(r"#(\d)", lambda digit, given=arguments: given[int(digit[1]) - 1], meaning)  # type: ignore[misc]
        out += tex[at : match.start()] + (text if count else f"{{{text}}}")
        at = end
    return out + tex[at:]


def braced(tex: str, at: int) -> tuple[str, int]:
    """Return the argument that begins at ``at`` (one character or one group in braces), and where it ends."""
    while at < len(tex) and tex[at].isspace():
        at += 1
    if at >= len(tex) or tex[at] != "{":
        return tex[at : at + 1], at + 1
    depth, i = 0, at
    while i < len(tex):
        if tex[i] == "\\":
            i += 1
        elif tex[i] in "{}":
            depth += 1 if tex[i] == "{" else -1
            if depth == 0:
                return tex[at + 1 : i], i + 1
        i += 1
    return tex[at + 1 :], len(tex)


def plain(text: str) -> str:
    """Return text in which Markdown finds nothing to do."""
    text = re.sub(r"([\\*`$<\[\]])", r"\\\1", text)
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", text)


def start_of_lines(text: str) -> str:
    """Return a paragraph none of whose lines begins like a list, a heading or a quotation."""
    return re.sub(
        r"(?m)^(\s*)(#{1,6} |[-+>] |(\d+)([.)]) )",
        lambda m: m[1] + (m[3] + "\\" + m[4] + " " if m[3] else "\\" + m[2]),
        text,
    )


def linked(text: str, target: str) -> str:
    """Return a link."""
    return f"[{text}]({target.replace(' ', '%20').replace(')', '%29')})"


def ticked(text: str) -> str:
    """Return inline code, whatever backticks it holds."""
    fence = "`" * (max((len(run) for run in re.findall(r"`+", text)), default=0) + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}"


def fenced(text: str, language: str) -> str:
    """Return a block of code, whatever backticks it holds."""
    fence = "`" * max(3, max((len(run) for run in re.findall(r"`+", text)), default=0) + 1)
    name = {"default": "", "none": "", "ipython3": "python", "ipython": "python"}.get(language, language)
    return f"{fence}{name}\n{text.rstrip()}\n{fence}"


def quoted(pieces: Iterable[str | Code]) -> Iterator[str | Code]:
    """Yield pieces as a quotation; a cell interrupts it."""
    text: list[str] = []
    for piece in [*pieces, None]:
        if isinstance(piece, str):
            text.append(piece)
            continue
        if text:
            yield "\n".join(("> " + line).rstrip() for line in "\n\n".join(text).split("\n"))
            text = []
        if piece is not None:
            yield piece


# ---------------------------------------------------------------------- the notebook


def in_cells(pieces: Iterable[str | Code]) -> Iterator[str | Code]:
    """Yield one piece a cell: text up to the next heading or code."""
    text: list[str] = []
    for piece in pieces:
        if text and (isinstance(piece, Code) or re.match(r"#{1,6} ", piece)):
            yield "\n\n".join(text)
            text = []
        if isinstance(piece, Code):
            yield piece
        else:
            text.append(piece)
    if text:
        yield "\n\n".join(text)


def notebook(pieces: Iterable[str | Code], attachments: dict[str, dict[str, str]], name: str, gpu: bool) -> Any:
    """Return a valid notebook without outputs; a cell's id is a hash of its text and outlives edits elsewhere.

    With ``gpu`` Colab opens it on a machine that has one.
    """
    cells: list[Any] = []
    seen: dict[str, int] = {}
    for piece in in_cells(pieces):
        if isinstance(piece, Code):
            cell = nbformat.v4.new_code_cell(piece.source)
            if piece.folded:
                cell.metadata["cellView"] = "form"  # Colab
                cell.metadata["jupyter"] = {"source_hidden": True}
        else:
            cell = nbformat.v4.new_markdown_cell(piece)
            if used := {k: v for k, v in attachments.items() if f"(attachment:{quote(k)})" in piece}:
                cell["attachments"] = used
        digest = hashlib.sha256(f"{cell.cell_type}\0{cell.source}".encode()).hexdigest()[:12]
        seen[digest] = seen.get(digest, 0) + 1
        cell["id"] = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        cells.append(cell)
    made = nbformat.v4.new_notebook(
        cells=cells,
        metadata={
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            "colab": {"name": name, "provenance": [], **({"gpuType": "T4"} if gpu else {})},
            **({"accelerator": "GPU"} if gpu else {}),
        },
    )
    nbformat.validate(made)
    return made


def wheel_name(root: Path) -> str:
    """Return the file name of the wheel that is built from ``root``, or ``""`` where there is nothing to build."""
    if not (root / "pyproject.toml").exists():
        return ""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf8"))["project"]
    return f"{re.sub(r'[-_.]+', '_', project['name']).lower()}-{project['version']}-py3-none-any.whl"


def setup_cell(wheel: str, repository: address.Repository | None, gpu: bool = False) -> str:
    """Return the first code cell: on Colab it installs the library, elsewhere it only looks for it."""
    text = (HERE / "setup_cell.py").read_text("utf8")
    text = text[text.index("\n# @title") + 1 :]
    for name, value in (("WHEEL", wheel), ("SITE", repository.wheel("") if repository else "")):
        text, count = re.subn(rf'(?m)^{name} = ""', f'{name} = "{value}"', text)
        assert count == 1, name
    if gpu:
        text = text.replace("a CPU, which is enough here", WITHOUT_GPU)
        assert WITHOUT_GPU in text
    return text.rstrip()


def wants_gpu(app: Sphinx, docname: str) -> bool:
    """Whether the chapter's front matter says ``accelerator: GPU``."""
    return app.env.metadata[docname].get("accelerator") == "GPU"


def path_of(app: Sphinx, docname: str) -> Path:
    """Return where a chapter's notebook stands: all in one folder, by the chapter's stem."""
    return Path(app.outdir, "notebooks", docname.rsplit("/", 1)[-1] + ".ipynb")


def has_notebook(app: Sphinx, docname: str) -> bool:
    """Whether the chapter is executed, and so has a notebook."""
    return "kernelspec" in app.env.metadata.get(docname, {})


def cited(app: Sphinx, docname: str) -> list[Any]:
    """Return the works that a page cites and does not list itself, in the bibliography's order."""
    if "cite" not in app.env.domains:
        return []
    bibtex: Any = app.env.get_domain("cite")
    keys = {target.key for ref in bibtex.citation_refs if ref.docname == docname for target in ref.targets}
    return [
        bibtex.backend.paragraph(work.formatted_entry)
        for work in bibtex.citations
        if work.key in keys and work.bibliography_key.docname != docname
    ]


def on_resolved(app: Sphinx, doctree: Any, docname: str) -> None:
    """Write the notebook of a chapter that Sphinx is about to write."""
    if app.builder.name != "html" or not has_notebook(app, docname):
        return
    repository = address.of(app.config)
    executed = Path(app.outdir).parent / "jupyter_execute" / f"{docname}.ipynb"
    if not executed.exists():
        raise ExtensionError(
            f"{docname} has a kernel and was not executed: its front matter must hold jupytext's text_representation "
            f"with format_name: myst; if it does, remove _build and build again (there is no {executed.name})"
        )
    here = app.builder.get_target_uri(docname)
    attachments: dict[str, dict[str, str]] = {}
    citations = app.env.get_domain("cite").citations if "cite" in app.env.domains else []  # type: ignore[attr-defined]

    def link(target: str) -> str | None:
        return urljoin(repository.site + here, target) if repository else None

    pages = {app.builder.get_target_uri(other): other for other in app.env.found_docs}

    def page(target: str) -> str:
        path, _, place = urljoin(here, target).partition("#")
        other = pages.get(path, docname)
        known = any(place == work.citation_id for work in citations) or place.startswith("term-")
        if other == docname or known:  # the list of references and everyday words need no further name
            return ""
        return "the book’s first page" if other == app.config.root_doc else f"*{plain(app.env.titles[other].astext())}*"

    def image(element: Any) -> str:
        if "://" in element["uri"]:
            return str(element["uri"])
        path = Path(app.srcdir, element["uri"])
        name, kind = path.name, mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        attachments[name] = {kind: base64.b64encode(path.read_bytes()).decode()}
        return f"attachment:{quote(name)}"

    def number(kind: str, element: Any) -> str:
        known = app.env.toc_fignumbers.get(docname, {}).get(kind, {})
        numbers = next((known[identity] for identity in element["ids"] if identity in known), None)
        if kind == "displaymath":
            return ".".join(map(str, numbers)) if numbers else str(element.get("number") or "")
        return app.config.numfig_format.get(kind, "%s") % ".".join(map(str, numbers)) + "." if numbers else ""

    writer = Writer(
        link=link,
        page=page,
        image=image,
        number=number,
        macros=app.config.katex_macros,
        sources=nbformat.read(executed, as_version=4).cells,
    )
    title = app.env.titles[docname].astext()
    book = f"[{app.config.html_title}]({repository.site + here})" if repository else str(app.config.html_title)
    place = f"The first page of {book}" if docname == app.config.root_doc else f"“{title}”, a chapter of {book}"
    lead = f"*{place}. Run the next cell first.*"
    path = path_of(app, docname)
    other = app.env.gn_notebooks.setdefault(path.name, docname)  # type: ignore[attr-defined]
    if other != docname:
        raise ExtensionError(f"two chapters would share the notebook {path.name}: {docname} and {other}; rename one")
    gpu = wants_gpu(app, docname)
    pieces: list[str | Code] = [lead, Code(setup_cell(wheel_name(Path(app.confdir)), repository, gpu), folded=True)]
    pieces += writer.document(doctree)
    if works := cited(app, docname):
        pieces += ["## References", "\n".join(f"- {writer.inline(work)}" for work in works)]
    made = notebook(pieces, attachments, path.name, gpu)
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(made, path)


def outdated(app: Sphinx, env: Any, added: set[str], changed: set[str], removed: set[str]) -> list[str]:
    """Have chapters written again whose notebook is gone."""
    if not hasattr(env, "gn_notebooks"):
        env.gn_notebooks = {}
    for docname in removed:
        path_of(app, docname).unlink(missing_ok=True)
        env.gn_notebooks.pop(path_of(app, docname).name, None)
    known = set(env.found_docs) - added - changed - removed
    return [docname for docname in known if has_notebook(app, docname) and not path_of(app, docname).exists()]


# ---------------------------------------------------------------------- the page's buttons

DIALOG = """
<dialog class="gn-run" aria-labelledby="gn-run-title">
<h2 id="gn-run-title">Run this page in Colab</h2>
<p>Download <a href="{notebook}" download>this page’s notebook</a>{library}.
In <a href="https://colab.research.google.com/" rel="noopener">Colab</a> choose <em>File → Upload notebook</em>,
then {drop}run the first cell.</p>
<form method="dialog"><button class="btn btn-sm">Close</button></form>
</dialog>
"""


def on_page(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Lead the page's buttons to the notebook."""
    if app.builder.name != "html" or doctree is None or not has_notebook(app, pagename):
        return
    stem = pagename.rsplit("/", 1)[-1]
    repository = address.of(app.config)
    to = context["pathto"]
    file = to(f"notebooks/{stem}.ipynb", 1)
    button: dict[str, Any] = {"text": "Run in Colab", "icon": "fa-solid fa-play", "label": "run-button"}
    if repository:
        button |= {
            "type": "link",
            "url": repository.colab(stem),
            "tooltip": "Open this page as a notebook in Google Colab",
        }
    else:
        button |= {"type": "javascript", "javascript": "gn:run", "tooltip": "How to run this page as a notebook"}
        wheel = wheel_name(Path(app.confdir))
        context["body"] += DIALOG.format(
            notebook=escape(file),
            library=f' and <a href="{escape(to(f"dist/{wheel}", 1))}" download>the book’s library</a>' if wheel else "",
            drop="drop the library into the <em>Files</em> panel on the left and " if wheel else "",
        )
    context["header_buttons"].insert(0, button)
    download = {
        "type": "link",
        "url": file,
        "text": ".ipynb",
        "icon": "fas fa-code",
        "tooltip": "Download this page as a notebook",
        "label": "download-notebook-button",
    }
    for group in context["header_buttons"]:
        if group.get("label") == "download-buttons":
            group["buttons"].insert(0, download)
            break
    else:
        raise ExtensionError("the theme has no group of download buttons any more: gnlib/book/notebooks.py must follow")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect everything."""
    app.connect("env-get-outdated", outdated)
    app.connect("doctree-resolved", on_resolved, priority=900)
    app.connect("html-page-context", on_page, priority=900)
    return {"parallel_read_safe": False, "parallel_write_safe": False}
