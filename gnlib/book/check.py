"""``{check}``: a question in the page, and ``{progress}``: the list of all questions.

    :::{check} How many values share one mean in BatchNorm, for 4 samples of 16 × 16 positions?
    - [ ] 256 | Those are the positions of one cell; BatchNorm pools the cells of all samples.
    - [x] 1,024 | 4 samples times 256 positions.
    :::

Several ``[x]`` make several choices, ``answer: 1024 ± 1`` a number (``gnlib/question.py`` has the rules). What stands
between the text and the options belongs to the question. Options of the directive: ``:name:``, the question's name in
addresses and in the reader's progress, by default made of its first words; ``:unit:``, of a number;
``:reveal: square.b=1&square.g=8``, the state of a figure that the reader may look at once an answer is given.

The page holds the whole question: native inputs, and all answers in a fold, for those without JavaScript, for the
search and for print. ``frontend/check_page.js`` adds the button, ``progress_page.js`` the state of
the list. What is answered stays in the reader's browser.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from gnlib.book.katex_static import write_if_changed
from gnlib.book.node import esbuild
from gnlib.question import Question, QuestionError, parse

if TYPE_CHECKING:
    from docutils.statemachine import StringList
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment
    from sphinx.writers.html5 import HTML5Translator

log = logging.getLogger(__name__)
ROOT = Path(__file__).resolve().parents[2]
WORDS_OF_A_NAME = 6
BUNDLE = ("--bundle", "--format=iife", "--minify", "--target=es2022", "--charset=utf8", "--log-level=warning")
ANCHOR = "check-"  # before the name of a question, in the page's addresses


class Check(nodes.General, nodes.Element):  # type: ignore[misc]
    """A question: its Asked, perhaps a Between, then its Choices."""


class Asked(nodes.General, nodes.TextElement):  # type: ignore[misc]
    """The question's own line."""


class Between(nodes.General, nodes.Element):  # type: ignore[misc]
    """What belongs to the question and stands below its line."""


class Choice(nodes.General, nodes.Element):  # type: ignore[misc]
    """One option: its Words and its Why."""


class Words(nodes.General, nodes.TextElement):  # type: ignore[misc]
    """An option as it stands beside its button; empty for any other number."""


class Why(nodes.General, nodes.TextElement):  # type: ignore[misc]
    """Why it is right or wrong."""


class Progress(nodes.General, nodes.Element):  # type: ignore[misc]
    """The list of all questions of the book."""


class CheckDirective(SphinxDirective):
    """The directive ``{check}``."""

    has_content = True
    required_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar[dict[str, Any]] = {
        "name": directives.unchanged_required,
        "unit": directives.unchanged_required,
        "reveal": directives.unchanged_required,
    }

    def run(self) -> list[Any]:
        """Return the question, or say with the line what it lacks."""
        try:
            question = parse(self.arguments[0], list(self.content))
            reveal = self._reveal()
        except QuestionError as error:
            log.warning("%s", error, location=(self.env.docname, self._line(error.line)), type="check")
            return []
        check = Check(kind=question.kind, name=self._name(question), unit=self.options.get("unit", ""), reveal=reveal)
        self.set_source_info(check)
        check["ids"] = [ANCHOR + check["name"]]
        messages = []

        def inline(node: Any, text: str, line: int) -> Any:
            words, said = self.state.inline_text(text, self._line(line))
            messages.extend(said)
            node.extend(words)
            return node

        check += inline(Asked(), question.text, 0)
        if any(line.strip() for line in question.body):
            between = Between()
            self.state.nested_parse(self._lines(len(question.body)), self.content_offset, between)
            check += between
        for option in question.options:
            choice = Choice(right=option.right, value=option.value, tolerance=option.tolerance)
            choice += inline(Words(), option.text, option.line)
            choice += inline(Why(), option.why, option.line)
            check += choice
        return [check, *messages]

    def _line(self, line: int) -> int:
        """Return the chapter's line of a question's line; in MyST the content's offset counts from the directive."""
        return int(self.lineno) + (int(self.content_offset) + line if line else 0)

    def _lines(self, count: int) -> StringList:
        return self.content[:count]

    def _name(self, question: Question) -> str:
        name = self.options.get("name") or "-".join(question.text.split()[:WORDS_OF_A_NAME])
        return nodes.make_id(name) or "question"

    def _reveal(self) -> str:
        reveal = str(self.options.get("reveal", "")).removeprefix("?")
        if reveal and not all(re.fullmatch(r"[a-z][\w-]*\.\w+", key) for key, _ in parse_qsl(reveal) or [("", "")]):
            raise QuestionError(f"reveal must set a figure's state: got {reveal!r}; square.b=1&square.g=8 would do", 0)
        return reveal


class ProgressDirective(SphinxDirective):
    """The directive ``{progress}``."""

    def run(self) -> list[Any]:
        """Return its place; the list is known when all chapters have been read."""
        return [Progress()]


# ---------------------------------------------------------------------- what the whole book knows


Line = list[tuple[str, str]]  # a question's line in pieces: ("text", …) or ("math", TeX)


def questions(env: BuildEnvironment) -> dict[str, list[tuple[str, Line]]]:
    """Return name and text of each chapter's questions; kept with the environment."""
    if not hasattr(env, "gn_checks"):
        env.gn_checks = {}  # type: ignore[attr-defined]
    found: dict[str, list[tuple[str, Line]]] = env.gn_checks  # type: ignore[attr-defined]
    return found


def progress_page(env: BuildEnvironment) -> str:
    """Return the page with the list of all questions, or "" where there is none."""
    return str(getattr(env, "gn_progress", ""))


def in_order(env: BuildEnvironment) -> Iterator[str]:
    """Yield the chapters that have questions, in the book's order."""
    toctree: list[str] = []

    def walk(docname: str) -> None:
        if docname not in toctree:
            toctree.append(docname)
            for child in env.toctree_includes.get(docname, ()):
                walk(child)

    walk(env.config.root_doc)
    yield from (docname for docname in toctree if docname in questions(env))
    yield from sorted(set(questions(env)) - set(toctree))


def on_read(app: Sphinx, doctree: Any) -> None:
    """Number a chapter's questions and take down their names."""
    docname = app.env.docname
    checks = list(doctree.findall(Check))
    names: list[tuple[str, Line]] = []
    for number, check in enumerate(checks, 1):
        if check["name"] in dict(names):
            log.warning(
                "a question's name must be the only one of its page: got %s twice; another :name: would do",
                check["name"],
                location=check,
                type="check",
            )
        check["number"], check["of"] = number, len(checks)
        names.append((check["name"], line_of(check[0])))
    if names:
        questions(app.env)[docname] = names
    if any(True for _ in doctree.findall(Progress)):
        app.env.gn_progress = docname  # type: ignore[attr-defined]


def line_of(element: Any) -> Line:
    """Return an element's text and its formulas, in their order; all else, such as a link, is its text."""
    pieces: Line = []
    for leaf in element.findall(lambda node: isinstance(node, (nodes.Text, nodes.math))):
        if isinstance(leaf, nodes.math):
            pieces.append(("math", leaf.astext()))
        elif not isinstance(leaf.parent, nodes.math):
            pieces.append(("text", leaf.astext()))
    return pieces


def plain(element: Any) -> str:
    """Return an element's text; math as its TeX."""
    return " ".join(str(element.astext()).split())


def on_purge(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    """Forget a chapter that is read again."""
    questions(env).pop(docname, None)
    if progress_page(env) == docname:
        env.gn_progress = ""  # type: ignore[attr-defined]


def on_merge(app: Sphinx, env: BuildEnvironment) -> Iterable[str]:
    """Write the list again when anything was read: its lines are other pages'."""
    return [page] if (page := progress_page(env)) else []


# ---------------------------------------------------------------------- HTML

KINDS = {"one": "radio", "several": "checkbox"}


def visit_check(self: HTML5Translator, element: Any) -> None:
    """Write the whole question."""
    page = self.builder.current_docname
    put = self.body.append
    kind, name = element["kind"], element["name"]
    choices = [child for child in element.children if isinstance(child, Choice)]
    list_of_all = progress_page(self.builder.env)
    link = f"{self.builder.get_relative_uri(page, list_of_all)}#questions" if list_of_all else ""
    facts = {"check": name, "kind": kind, "page": page, "reveal": element["reveal"], "progress": link}
    data = "".join(f' data-{key}="{escape(value)}"' for key, value in facts.items() if value)
    # method="dialog": outside of a dialog it does nothing, so that without the script Enter does not reload the page
    put(f'<form class="gn-check" id="{ANCHOR}{escape(name)}" method="dialog" novalidate{data}>\n<fieldset>')
    put(f'<legend><span class="gn-check-count">Question {element["number"]} of {element["of"]}</span> ')
    put('<span class="gn-check-asked">')
    inside(self, element[0])
    put("</span></legend>\n")
    for between in element.children:
        if isinstance(between, Between):
            put('<div class="gn-check-between">')
            inside(self, between)
            put("</div>\n")
    if kind == "number":
        unit = f" <span>{escape(element['unit'])}</span>" if element["unit"] else ""
        field = '<input type="text" inputmode="decimal" autocomplete="off" spellcheck="false">'
        put(f'<label class="gn-check-number"><span>Your answer</span> {field}{unit}</label>\n')
    else:
        put('<div class="gn-check-options">')
        for i, choice in enumerate(choices):
            put(f'<label><input type="{KINDS[kind]}" name="{escape(name)}" value="{i}"><span>')
            inside(self, choice[0])
            put("</span></label>\n")
        put("</div>\n")
    put('</fieldset>\n<div class="gn-check-row"><details class="gn-check-all gn-answer">')
    put("<summary>All answers, explained</summary><ul>\n")
    for choice in choices:
        value = "" if choice["value"] is None else f' data-value="{choice["value"]:.12g}"'
        value += f' data-tolerance="{choice["tolerance"]:.12g}"' if choice["tolerance"] else ""
        mark = "✓ right" if choice["right"] else "✗ wrong"
        put(f"<li{' data-right' if choice['right'] else ''}{value}><strong>")
        if plain(choice[0]):
            inside(self, choice[0])
        else:
            put("any other number")
        put(f'</strong> <em>{mark}</em> <span class="gn-check-why">')
        inside(self, choice[1])
        put("</span></li>\n")
    put('</ul></details></div>\n<p class="gn-check-foot"></p>\n</form>\n')
    raise nodes.SkipNode


def inside(self: HTML5Translator, element: Any) -> None:
    """Write what stands in an element, and nothing around it."""
    for child in element.children:
        child.walkabout(self)


def visit_progress(self: HTML5Translator, element: Any) -> None:
    """Write the list of all questions."""
    builder, put = self.builder, self.body.append
    here = builder.current_docname
    count = sum(len(asked) for asked in questions(builder.env).values())
    put('<div class="gn-progress" id="questions"><div class="gn-progress-head">')
    put(f'<p class="gn-progress-all">{count} question{"s" * (count != 1)}</p></div><ul>\n')
    for docname in in_order(builder.env):
        uri = builder.get_relative_uri(here, docname)
        asked = questions(builder.env)[docname]
        title = escape(builder.env.titles[docname].astext())
        put(f'<li data-page="{escape(docname)}"><a href="{escape(uri)}">{title}</a>')
        put(f' <span class="gn-progress-count">{len(asked)} question{"s" * (len(asked) > 1)}</span><ol>\n')
        for name, line in asked:
            target = f"{uri}#{ANCHOR}{name}"
            put(f'<li data-question="{escape(name)}"><a href="{escape(target)}">')
            for kind, text in line:
                piece = nodes.math("", text) if kind == "math" else nodes.Text(text)
                element += piece  # a formula that cannot be drawn says where it stands
                piece.walkabout(self)
            put("</a></li>\n")
        put("</ol></li>\n")
    put("</ul></div>\n")
    raise nodes.SkipNode


def on_page(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Give a page with questions, or with the list, the script and the style."""
    if app.builder.format != "html" or doctree is None:
        return
    scripts = {"check": pagename in questions(app.env), "progress": pagename == progress_page(app.env)}
    for name, wanted in scripts.items():
        if wanted:
            app.add_js_file(f"gn-{name}.js", loading_method="defer")
    if any(scripts.values()):
        app.add_css_file("gn-check.css")


def on_builder(app: Sphinx) -> None:
    """Bundle the scripts and the style into the site."""
    if app.builder.format != "html":
        return
    for name, kind, text in (
        ("gn-check.js", "js", 'import "./frontend/check_page.js";'),
        ("gn-progress.js", "js", 'import "./frontend/progress_page.js";'),
        ("gn-check.css", "css", '@import "./frontend/check.css";'),
    ):
        write_if_changed(Path(app.outdir, "_static", name), esbuild(ROOT, *BUNDLE, f"--loader={kind}", text=text))


def skip(self: HTML5Translator, element: Any) -> None:
    """Never called: visit_check writes what is inside."""
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Add both directives."""
    app.add_node(Check, html=(visit_check, None))
    app.add_node(Progress, html=(visit_progress, None))
    for part in (Asked, Between, Choice, Words, Why):
        app.add_node(part, html=(skip, None))
    app.add_directive("check", CheckDirective)
    app.add_directive("progress", ProgressDirective)
    app.connect("doctree-read", on_read)
    app.connect("env-purge-doc", on_purge)
    app.connect("env-updated", on_merge)
    app.connect("builder-inited", on_builder)
    app.connect("html-page-context", on_page, priority=110)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
