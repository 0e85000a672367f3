"""Questions as they are written: read, refused with their line, laid out in pages, carried into notebooks."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import traitlets

from gnlib.book.check import on_merge
from gnlib.question import QuestionError, parse
from gnlib.widgets import Check
from tests.test_book import HEAD, Built, build

ONE = """How many values share one mean?
- [ ] 256 | Those are one cell's,
  as $|x|$ and `a | b` say.
- [x] 1,024 | All of them.
- [ ] 8,192 | That is everything."""
SEVERAL = """Which?

Some *words* before.

- [x] this
- [X] that | For a reason.
- [ ] neither | There are two."""
NUMBER = """What is the mean of 1 and 4?
answer: 2.5 ± 0.01 | The sum divided by 2.
wrong: 5 | That is the sum.
otherwise: Add the two,
  divide by their count."""

# ---------------------------------------------------------------------- reading


def test_a_choice_is_read_with_its_explanations() -> None:
    question = parse(ONE)
    assert (question.text, question.kind) == ("How many values share one mean?", "one")
    assert [(o.text, o.right) for o in question.options] == [("256", False), ("1,024", True), ("8,192", False)]
    assert question.options[0].why == "Those are one cell's, as $|x|$ and `a | b` say."


def test_several_right_ones_make_several_choices() -> None:
    question = parse(SEVERAL)
    assert question.kind == "several"
    assert [o.right for o in question.options] == [True, True, False]
    assert question.options[0].why == ""
    assert question.body == ("", "Some *words* before.", "")


def test_a_number_is_read_with_its_tolerance_and_the_way_out() -> None:
    question = parse(NUMBER)
    assert question.kind == "number"
    assert [(o.value, o.tolerance, o.right) for o in question.options] == [
        (2.5, 0.01, True),
        (5, 0, False),
        (None, 0, False),
    ]
    assert question.options[2].why == "Add the two, divide by their count."


@pytest.mark.parametrize(("text", "value"), [("1,024", 1024), ("−3", -3), ("2e-3", 0.002), ("-0.5 +- 0.1", -0.5)])
def test_an_author_writes_numbers_as_people_do(text: str, value: float) -> None:
    assert parse(f"What?\nanswer: {text}\notherwise: Think.").options[0].value == value


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 0, "must have a text in its first line"),
        ("What?", 0, "must have a right answer: got 0 options"),
        ("What?\n- [ ] a | no\n- [ ] b | no", 0, "must have a right answer: got 2 options and none marked"),
        ("What?\n- [x] a\n- [ ] b", 2, "a wrong answer must say why it is wrong: got 'b' alone"),
        ("What?\n- [x] a", 1, "a choice needs two options or more"),
        ("What?\n- [x] a\n- [ ] | why", 2, "an option must have a text|must say why"),
        ("What?\n- [x] a\n\nmore words", 3, "below the first option stand options only: got 'more words'"),
        ("What?\n- [x] a\nanswer: 3", 1, "for a choice or for a number, not for both"),
        ("What?\nanswer: three", 1, "answer must be a number, or number ± tolerance: got 'three'"),
        ("What?\nanswer: 3", 1, "one line for all other numbers"),
        ("What?\nanswer: 3\nanswer: 4\notherwise: no", 2, "a number has one answer: got 2"),
        ("What?\nanswer: 3\nwrong: 4\notherwise: no", 2, "must say why it is wrong: got '4' alone"),
        ("What?\nanswer: 3\notherwise:", 2, "must say why it is wrong"),
    ],
)
def test_a_question_that_cannot_be_asked_says_the_rule_and_the_line(text: str, line: int, message: str) -> None:
    with pytest.raises(QuestionError, match=message) as caught:
        parse(text)
    assert caught.value.line == line


# ---------------------------------------------------------------------- in a page


def directive(text: str, *options: str) -> str:
    first, rest = text.split("\n", 1)
    return "\n".join([f":::{{check}} {first}", *options, rest, ":::", ""])


PAGES = {
    "index": HEAD
    + "# Title\n\n```{toctree}\nsecond\nprogress\n```\n\n"
    + directive(ONE, ":name: values", ":reveal: square.b=4&square.g=1")
    + "\n"
    + directive(SEVERAL)
    + "\n"
    + directive(NUMBER, ":unit: metres <m>"),
    "second": "# Second\n\n" + directive(SEVERAL.replace("Which?", "Which of $\\mu$ and `var`?"), ":name: which"),
    "progress": "# Progress\n\n:::{progress}\n:::\n",
}
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("check")
    for name, text in PAGES.items():
        (folder / f"{name}.md").write_text(text, "utf8")
    done = build(folder)
    assert done.status == 0, done.warnings
    return done


def forms(page: str) -> list[str]:
    return re.findall(r'<form class="gn-check".*?</form>', page, re.DOTALL)


def test_a_page_holds_native_inputs_and_every_explanation(built: Built) -> None:
    one, several, number = forms(built.page())
    assert one.count('type="radio"') == 3
    assert several.count('type="checkbox"') == 3
    assert number.count('type="text"') == 1
    assert "<strong>1,024</strong> <em>✓ right</em>" in one
    assert one.count("✗ wrong") == 2
    assert 'class="katex"' in one
    assert "<code" in one
    assert 'data-value="2.5" data-tolerance="0.01"' in number
    assert "metres &lt;m&gt;" in number
    assert "any other number" in number
    assert "<em>words</em> before" in several
    assert "Question 2 of 3" in several
    for form in (one, several, number):
        assert "<details" in form
        assert re.search(r"<fieldset>\s*<legend>", form)
        assert form.count("<label") == form.count("<input")


def test_without_the_script_enter_does_not_reload_the_page(built: Built) -> None:
    assert all('method="dialog"' in form for form in forms(built.page()))


def test_a_question_has_an_address_that_outlives_its_neighbours(built: Built) -> None:
    page = built.page()
    assert 'id="check-values"' in page
    assert 'id="check-which"' in page
    assert 'id="check-what-is-the-mean-of-1"' in page


def test_only_pages_with_questions_carry_the_script(built: Built) -> None:
    for name in PAGES:
        assert ("gn-check.js" in built.page(name)) == (name != "progress")
        assert ("gn-progress.js" in built.page(name)) == (name == "progress")
        assert "gn-check.css" in built.page(name)
    assert "gn-check" not in built.page("search")
    for script in ("gn-check.js", "gn-progress.js"):
        text = (built.out / "_static" / script).read_text("utf8")
        assert len(text) < 16_000
        assert "innerHTML" not in text


def test_the_list_names_every_question_of_the_book_in_its_order(built: Built) -> None:
    page = built.page("progress")
    listed = page[page.index('<div class="gn-progress"') :]
    assert re.findall(r'data-page="([^"]+)"', listed) == ["index", "second"]
    assert re.findall(r'data-question="([^"]+)"', listed) == ["values", "which", "what-is-the-mean-of-1", "which"]
    assert 'href="index.html#check-values">How many values share one mean?</a>' in listed
    assert re.search(r'#check-which">Which of <span class="math.*?<mi>μ</mi>.* and var\?</a>', listed)
    assert "3 questions" in listed
    assert "1 question<" in listed
    assert 'data-progress="progress.html#questions"' in built.page("second")


def test_the_list_is_written_again_after_any_chapter_was_read() -> None:
    """The theme of today has every page written again; the list does not count on it."""
    assert list(on_merge(None, SimpleNamespace(gn_progress="progress"))) == ["progress"]
    assert list(on_merge(None, SimpleNamespace())) == []


def test_the_list_follows_when_a_chapter_changes(tmp_path: Path) -> None:
    for name, text in PAGES.items():
        (tmp_path / f"{name}.md").write_text(text, "utf8")
    assert build(tmp_path).status == 0
    (tmp_path / "second.md").write_text("# Second\n\n" + directive(SEVERAL.replace("Which?", "Which now?")), "utf8")
    page = build(tmp_path).page("progress")
    assert 'second.html#check-which-now">Which now?</a>' in page
    assert "second.html#check-which" in page
    (tmp_path / "second.md").write_text("# Second\n\nNothing is asked.\n", "utf8")
    assert 'data-page="second"' not in build(tmp_path).page("progress")


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("What?\n- [x] a\n- [ ] b", [], r"index\.md:5: WARNING: a wrong answer must say why it is wrong: got 'b'"),
        ("What?\n- [x] a\n- [ ] b", [":name: x"], r"index\.md:6: WARNING: a wrong answer must say why"),
        ("What?\nanswer: 3", [], "one line for all other numbers"),
        (ONE, [":reveal: square"], "reveal must set a figure's state: got 'square'; square.b=1&square.g=8 would do"),
        (ONE, [":colour: red"], "colour"),
        (ONE.replace("All of them", r"$\fooo$"), [], "KaTeX parse error"),
        (ONE + "\n:::\n\n:::{check} " + ONE, [], "must be the only one of its page: got how-many-"),
    ],
)  # fmt: skip
def test_a_faulty_question_stops_the_build_with_its_line(
    text: str, options: list[str], message: str, tmp_path: Path
) -> None:
    (tmp_path / "index.md").write_text("# Title\n\n" + directive(text, *options), "utf8")
    done = build(tmp_path)
    assert done.status == 1
    assert re.search(message, done.warnings), done.warnings


def test_a_notebook_asks_in_words_and_folds_the_answers(built: Built) -> None:
    text = built.markdown()
    assert "> **Question.** How many values share one mean? *One is right.*\n>\n> - 256\n> - 1,024\n> - 8,192" in text
    assert "*Several are right.*\n>\n> Some *words* before.\n>\n> - this" in text
    assert "*The answer is a number.*" in text
    assert text.count("<summary>All answers, explained</summary>") == 3
    assert "- **1,024**, right. All of them." in text
    assert "- **256**, wrong. Those are one cell’s, as $|x|$ and `a | b` say." in text
    assert "- **any other number**, wrong. Add the two, divide by their count." in text
    before = text[: text.index("<details>")]
    assert "All of them" not in before


# ---------------------------------------------------------------------- in a notebook, live


def test_a_widget_carries_the_question_as_a_chapter_would() -> None:
    check = Check(ONE)
    assert (check.kind, check.question) == ("one", "How many values share one mean?")
    assert [option["right"] for option in check.options] == [False, True, False]
    assert Check(NUMBER, unit="m").options[0]["tolerance"] == 0.01
    assert Check(SEVERAL).question == "Which? Some *words* before."
    assert (check.chosen, check.tries, check.solved) == ([], 0, False)
    check.solved = True


@pytest.mark.parametrize(
    ("text", "chosen", "message"),
    [
        (ONE, [3], r"chosen must name options, counted from 0: got \[3\]; up to 1 of 0 to 2 would do"),
        (ONE, [0, 1], "up to 1 of 0 to 2 would do"),
        (SEVERAL, [-1], "up to 3 of 0 to 2 would do"),
        (NUMBER, [0], "its answer is a number"),
    ],
)
def test_a_widget_refuses_options_that_there_are_not(text: str, chosen: list[int], message: str) -> None:
    with pytest.raises(traitlets.TraitError, match=message):
        Check(text).chosen = chosen
    check = Check(SEVERAL)
    check.chosen = [2, 0]
    assert check.chosen == [0, 2]


def test_a_question_may_be_indented_with_the_code_around_it() -> None:
    check = Check("""
        What?
        - [x] a | Because,
          indeed.
        - [ ] b | No.
    """)
    assert [(o["text"], o["why"]) for o in check.options] == [("a", "Because, indeed."), ("b", "No.")]


def test_a_widget_refuses_what_a_chapter_would() -> None:
    with pytest.raises(QuestionError, match="must say why it is wrong"):
        Check("What?\n- [x] a\n- [ ] b")


def test_the_built_module_is_small() -> None:
    assert len(Check(ONE)._esm) < 16_000
