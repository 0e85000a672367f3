"""The texts keep the book's promises: short cells, checked answers, sources that exist, one shape for every chapter."""

import ast
import itertools
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import matplotlib.pyplot as plt
import pytest
import torch
import yaml

import gnlib.widgets
from gnlib import Grouping, Moments, moments, normalize, pool
from gnlib.cifar import Config
from gnlib.cifar.training import learning_rate
from gnlib.photographs import CREDITS
from gnlib.question import Question, parse

ROOT = Path(__file__).resolve().parents[1]
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text("utf8"))
PARTS = {part["caption"]: [entry["file"] for entry in part["chapters"]] for part in TOC["parts"]}
PAGES = [TOC["root"], *(file for files in PARTS.values() for file in files)]
CHAPTERS = [file for caption, files in PARTS.items() if caption != "Reference" for file in files]
LONGEST_CELL = 12  # lines; a longer one wants to be a tested function
FIGURE = rf"\b(?:{'|'.join(gnlib.widgets.__all__)})\("  # a figure to touch
WIDEST_CELL = 79  # characters that fit between the margins of a window 1280 pixels wide


class Block(NamedTuple):
    """A fenced piece of a chapter: ```` ```{code-cell} ipython3 ````, its line, what it holds."""

    kind: str
    line: int
    options: str
    body: str


def source(chapter: str) -> str:
    return (ROOT / f"{chapter}.md").read_text("utf8")


@cache
def fenced(chapter: str) -> list[Block]:
    """Every block between ``` fences, with its options taken off."""
    blocks = []
    for match in re.finditer(r"^(`{3,})(\S*).*?\n(.*?)^\1\s*$", source(chapter), flags=re.M | re.S):
        options, body = "", match[3]
        if yaml_options := re.match(r"---\n(.*?)\n---\n", body, flags=re.S):
            options, body = yaml_options[1], body[yaml_options.end() :]
        while body.startswith(":"):
            line, body = body.split("\n", 1)
            options += line + "\n"
        blocks.append(Block(match[2], source(chapter)[: match.start()].count("\n") + 1, options, body.strip("\n")))
    return blocks


def cells(chapter: str) -> list[Block]:
    return [block for block in fenced(chapter) if block.kind == "{code-cell}"]


def answers(chapter: str) -> list[Block]:
    return [block for block in fenced(chapter) if block.kind == "python"]


def prose(chapter: str) -> str:
    """The text without front matter, code and listings."""
    text = re.sub(r"\A---\n.*?\n---\n", "", source(chapter), flags=re.S)
    return re.sub(r"^(`{3,}).*?^\1\s*$", "", text, flags=re.M | re.S)


def test_every_text_has_its_place_in_the_table_of_contents() -> None:
    assert sorted(PAGES) == sorted(f"chapters/{path.stem}" for path in (ROOT / "chapters").glob("*.md"))


@pytest.mark.parametrize("chapter", PAGES)
def test_headings_form_an_outline(chapter: str) -> None:
    levels = [len(hashes) for hashes in re.findall(r"^(#+) ", prose(chapter), flags=re.M)]
    assert levels[0] == 1
    assert levels.count(1) == 1, "a page has one title"
    for above, below in itertools.pairwise(levels):
        assert below <= above + 1, f"a heading of level {below} follows one of level {above}"


@pytest.mark.parametrize("chapter", PAGES)
def test_cells_are_short_enough_to_read(chapter: str) -> None:
    lengths = {cell.line: len(cell.body.splitlines()) for cell in cells(chapter)}
    assert not {line: length for line, length in lengths.items() if length > LONGEST_CELL}
    lines = [line for block in cells(chapter) + answers(chapter) for line in block.body.splitlines()]
    assert not [line for line in lines if len(line) > WIDEST_CELL]


@pytest.mark.parametrize("chapter", PAGES)
def test_cells_use_only_public_names(chapter: str) -> None:
    code = "\n".join(block.body for block in fenced(chapter) if block.kind in ("{code-cell}", "python"))
    modules = set(re.findall(r"^\s*(?:from|import) ([\w.]+)", code, flags=re.M))
    allowed = {"gnlib", "gnlib.photographs", "gnlib.widgets", "torch", "torch.nn", "matplotlib.pyplot"}
    allowed |= {"gnlib.cifar", "gnlib.cifar.report", "gnlib.exercises", "gnlib.figures", "gnlib.records"}
    allowed |= {"matplotlib_inline.backend_inline", "copy", "gnlib.photo_net", "IPython.display"}
    assert modules <= allowed
    assert not re.findall(r"\b_\w+", "\n".join(re.findall(r"^.*\bgnlib\b.*$", code, flags=re.M)))


@pytest.mark.parametrize("chapter", PAGES)
def test_a_figure_in_the_page_stands_where_its_listing_put_it(chapter: str) -> None:
    """A page has one state of a figure, the last: a later cell that sets it would belie the listing beside it."""
    shown: set[str] = set()
    for cell in cells(chapter):
        statements = ast.parse(cell.body).body
        for target in (node for part in statements for node in ast.walk(part)):
            if isinstance(target, ast.Attribute) and isinstance(target.ctx, ast.Store):
                assert ast.unparse(target.value) not in shown, f"line {cell.line}: {ast.unparse(target)} is set"
        if statements and isinstance(statements[-1], ast.Expr):
            shown.add(ast.unparse(statements[-1]))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_has_its_parts(chapter: str) -> None:
    text = source(chapter)
    headings = re.findall(r"^## (.+)$", text, flags=re.M)
    assert headings[0] == "The question"
    assert headings[-3:] == ["Exercises", "Summary", "Sources"]
    for kind in ("goals", "guess", "sure"):
        assert text.count(f":class: {kind}\n") == 1, kind
    assert text.index(":class: goals") < text.index("## The question") < text.index(":class: guess")
    assert re.search(FIGURE, text)
    assert "{literalinclude} ../gnlib/" in text
    summary = text.split("\n## Summary\n")[1].split("\n:::")[0]
    assert len(re.findall(r"^\d\. ", summary, flags=re.M)) == 5


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_question_has_its_folded_answer(chapter: str) -> None:
    text = source(chapter)
    exercises = re.findall(r"^:+\{admonition\} Exercise (\d+), (.+)$", text, flags=re.M)
    assert [int(number) for number, _ in exercises] == list(range(1, len(exercises) + 1))
    assert {"on paper", "in code", "with the figure"} <= {how for _, how in exercises}
    order = re.findall(r"^:class: (exercise|guess)$|^:+\{(answer)\}", text, flags=re.M)
    assert [answer for _, answer in order[1::2]] == ["answer"] * (len(order) // 2)
    assert [question for question, _ in order[::2]] == ["guess"] + ["exercise"] * len(exercises)
    assert len(order) % 2 == 0


def questions(chapter: str) -> dict[str, Question]:
    """The questions in the page, by their names or first words."""
    found = {}
    for first, rest in re.findall(r"^:::\{check\} ([^\n]*)\n(.*?)^:::$", source(chapter), flags=re.M | re.S):
        name = re.search(r"^:name: (.*)$", rest, flags=re.M)
        body = re.sub(r"^:\w+: .*\n", "", rest, flags=re.M)
        found[name[1] if name else first] = parse(first, body.splitlines())
    return found


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_asks_three_questions(chapter: str) -> None:
    assert len(questions(chapter)) >= 3


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_try_in_a_chapter_is_judged_and_the_answer_passes(chapter: str) -> None:
    code = "\n".join(block.body for block in cells(chapter))
    exercises = re.findall(r'^check\("(\w+)", (\w+)\)$', code, flags=re.M)
    assert exercises, "a try that the checker judges"
    for exercise, function in exercises:
        solved = "\n".join(block.body for block in answers(chapter))
        assert f'assert check("{exercise}", {function})' in solved


def values(shape: tuple[int, ...], grouping: Grouping) -> float:
    return pool(moments(torch.zeros(shape)), grouping).count[0, 0].item()


def turned_by_a_unit_of_rate(length: float) -> float:
    """How far a row of weights before BatchNorm turns, in units of its length, by a step of gradient descent."""
    torch.manual_seed(0)
    h, row, target = torch.randn(32, 6).double(), torch.randn(1, 6).double(), torch.randn(32, 1).double()
    row = (length * row).requires_grad_()
    loss = (normalize(h @ row.T, Grouping.batch_norm(), eps=0) - target).square().mean()
    return (torch.autograd.grad(loss, row)[0].norm() / row.norm()).item()


def kept_of_a_new_batch_by_keras(momentum: float) -> float:
    """What Keras documents: moving = moving * momentum + batch * (1 - momentum); from 0, by a batch of mean 1."""
    return 0 * momentum + 1 * (1 - momentum)


def test_what_questions_ask_for_is_what_the_library_counts() -> None:
    two_cells = Moments(torch.ones(1, 2), torch.tensor([[1.0, 5.0]]), torch.tensor([[2.0, 2.0]]))
    right = {
        "within-and-between": pool(two_cells, Grouping.everything()).var.item(),
        "fewer-groups": values((4, 8, 1), Grouping.group_norm(2)),
        "values-in-a-group": values((8, 256, 14, 14), Grouping.group_norm(32)),
        "rate-for-32": learning_rate(Config.of(batch_size=32, lr=0.1, warmup=0).recipe, 0, 100),
        "last-map": values((16, 3, 2, 2), Grouping.batch_norm()),
        "too-large": 1.2**10,
        "means-of-a-sentence": pool(moments(torch.zeros(6, 512)), Grouping.layer_norm()).mean.numel(),
        "values-of-a-cell": values((8, 3, 32, 32), Grouping.instance_norm()),
        "ten-times-as-long": turned_by_a_unit_of_rate(1) / turned_by_a_unit_of_rate(10),
        "batch-norm-momentum": kept_of_a_new_batch_by_keras(0.997),
    }
    asked = {name: q for chapter in CHAPTERS for name, q in questions(chapter).items() if q.kind == "number"}
    assert set(asked) == set(right)
    for name, question in asked.items():
        near = [option for option in question.options if option.value is not None and option.right]
        assert near[0].value == pytest.approx(right[name], abs=max(near[0].tolerance, 1e-6)), name
    choices = questions("chapters/one_core")["values-of-batch-norm"].options
    (counted,) = (option for option in choices if option.right)
    assert int(counted.text.replace(",", "")) == values((4, 8, 16, 16), Grouping.batch_norm())


def test_who_is_said_to_notice_a_stronger_channel_does() -> None:
    x = torch.randn(4, 8, 5, 5, dtype=torch.float64)
    strong = x.clone()
    strong[:, 0] *= 3
    points = {
        "BatchNorm": Grouping.batch_norm(),
        "LayerNorm": Grouping.layer_norm(),
        "InstanceNorm": Grouping.instance_norm(),
        "GroupNorm, 4 groups": Grouping.group_norm(4),
    }
    for option in questions("chapters/one_core")["strong-channel"].options:
        change = normalize(strong, points[option.text]) - normalize(x, points[option.text])
        assert (change[:, 1:].abs().max().item() < 1e-12) == option.right, option.text


def drawing_nothing(cell: Block) -> str:
    """A cell without its figures to touch: they say nothing that an answer needs."""
    without = re.sub(
        r"^(from gnlib\.widgets|from matplotlib_inline|set_matplotlib_formats).*$", "", cell.body, flags=re.M
    )
    return re.sub(rf"^{FIGURE}.*?\)$", "", without, flags=re.M | re.S)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_answers_hold_where_they_stand(chapter: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code in a folded answer is not run by the book; here it is, in full, after the cells above it, in short."""
    matplotlib.use("Agg")
    known: dict[str, Any] = {}
    assert len(answers(chapter)) >= 3
    for block in sorted(cells(chapter) + answers(chapter), key=lambda block: block.line):
        monkeypatch.setenv("GNLIB_QUICK", "0" if block.kind == "python" else "1")
        if block.kind == "python":
            assert "assert " in block.body, f"line {block.line}: an answer that checks nothing"
            exec(compile(block.body, f"{chapter}.md, answer at line {block.line}", "exec"), known)
        else:
            exec(compile(drawing_nothing(block), f"{chapter}.md, cell at line {block.line}", "exec"), known)
    plt.close("all")


@pytest.mark.parametrize("chapter", PAGES)
def test_pictures_have_captions_and_alternative_texts(chapter: str) -> None:
    for cell in cells(chapter):
        if "plt.show()" not in cell.body:
            continue
        shown = yaml.safe_load(cell.options)["mystnb"]
        assert len(shown["image"]["alt"]) > 60, f"line {cell.line}: say what is to be seen"
        assert len(shown["figure"]["caption"]) > 60, f"line {cell.line}: say what to look for"


def test_the_first_page_credits_every_photograph() -> None:
    rows = [line for line in source("chapters/index").splitlines() if line.startswith("| ")]
    for credit in CREDITS:
        row = next((row for row in rows if credit.title in row), "")
        assert credit.author in row
        assert f"[{credit.licence}]({credit.licence_url})" in row
        assert credit.source.split(",")[0] in row


def test_sources_are_all_cited_and_all_there() -> None:
    entries = re.findall(r"^@\w+\{(\S+),$", (ROOT / "references.bib").read_text("utf8"), flags=re.M)
    assert len(entries) == len(set(entries))
    lists = [keys for chapter in PAGES for keys in re.findall(r"\{cite\}`([^`]+)`", source(chapter))]
    cited = {key for keys in lists for key in keys.split(",")}
    assert cited == set(entries)


def test_every_entry_says_where_to_find_the_work() -> None:
    bib = (ROOT / "references.bib").read_text("utf8")
    for entry in re.split(r"^@", bib, flags=re.M)[1:]:
        assert re.search(r"^\s*(doi|url)\s*=", entry, flags=re.M), entry.splitlines()[0]


@pytest.mark.parametrize("chapter", PAGES)
def test_listings_are_read_from_the_library(chapter: str) -> None:
    """What looks like the library's code is the library's code: no definition of it is pasted."""
    names = {"moments", "pool", "apply", "normalize", "GroupNorm", "BatchNorm", "LayerNorm", "InstanceNorm", "Grouping"}
    pasted = [name for block in fenced(chapter) for name in re.findall(r"^(?:def|class) (\w+)", block.body, flags=re.M)]
    assert not names & set(pasted)


def test_every_glossary_entry_is_used() -> None:
    defined = re.findall(r"^([A-Za-z][\w -]+)$", source("chapters/glossary"), flags=re.M)
    words = " ".join(prose(chapter) for chapter in PAGES) + source("chapters/glossary")
    for term in defined:
        assert len(re.findall(rf"\b{re.escape(term)}", words, flags=re.I)) > 1, term
    used = re.findall(r"\{term\}`(?:[^`<]*<)?([^`>]+)>?`", "".join(source(chapter) for chapter in PAGES))
    assert {term.lower() for term in used} <= {term.lower() for term in defined}


def rows(chapter: str) -> dict[str, list[float]]:
    """The rows of a chapter's tables that hold only numbers, by their first cell; the first of a name counts."""
    found: dict[str, list[float]] = {}
    for line in source(chapter).splitlines():
        head, *row = [cell.strip().replace("−", "-") for cell in line.strip("|").split("|")]
        if line.startswith("|") and all(re.fullmatch(r"[-+]?\d+(\.\d+)?|", cell) for cell in row):
            found.setdefault(head, [float(cell) for cell in row if cell])
    return found


def test_the_papers_tables_agree_with_themselves_and_with_the_chart() -> None:
    table = rows("chapters/group_norm")
    batch, group = table["BatchNorm (%)"], table["GroupNorm (%)"]
    assert table["GroupNorm - BatchNorm"] == [round(g - b, 1) for b, g in zip(batch, group, strict=True)]
    (first,) = table["BatchNorm"]
    for layer in ("LayerNorm", "InstanceNorm", "GroupNorm"):
        error, against = table[layer]
        assert against == round(error - first, 1)
    assert (first, table["GroupNorm"][0]) == (batch[0], group[0])
    assert [table[fixed][-1] for fixed in ("groups", "channels per group")] == [
        table[layer][0] for layer in ("LayerNorm", "InstanceNorm")
    ]
    assert table["groups"][1] == group[0]
    chart = next(cell.body for cell in cells("chapters/group_norm") if "images_per_gpu" in cell.body)
    for drawn in (batch, group):
        assert str(drawn) in chart
