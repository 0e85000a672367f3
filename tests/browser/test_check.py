"""Questions in a real browser: by mouse and by keyboard, kept in the reader's browser alone, and without a script."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from gnlib.widgets import Check
from tests.test_book import HEAD, build

ONE = """How many values share one mean in BatchNorm, for 4 samples of $16 \\times 16$ positions?
- [ ] 256 | Those are the positions $S$ of one cell; BatchNorm pools the cells of all samples.
- [x] 1,024 | $N \\cdot S = 4 \\cdot 256$.
- [ ] 8,192 | That is the whole `activation`."""
SEVERAL = """Which layers do not see that one sample became brighter?
- [x] LayerNorm | It takes away what a sample's values share.
- [x] InstanceNorm | So does it, channel by channel.
- [ ] BatchNorm | Its mean is the whole batch's.
- [ ] none of them | Two are blind to it."""
NUMBER = """What is the variance of 1, 3, 6 and 10?
answer: 11.5 ± 0.01 | 46 / 4.
wrong: 15.3333 ± 0.01 | That is the unbiased one, 46 / 3.
otherwise: Subtract the mean, 5; square; average."""
FIGURE = """
```{code-cell} ipython3
import torch
from gnlib import Grouping
from gnlib.widgets import Square
Square(torch.randn(4, 8, 3, 3), Grouping.everything())
```
"""


def directive(text: str, *options: str) -> str:
    first, rest = text.split("\n", 1)
    return "\n".join([f":::{{check}} {first}", *options, rest, ":::", ""])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small book with three kinds of questions, a figure, a second chapter and the list of all questions."""
    place = tmp_path_factory.mktemp("questions")
    (place / "index.md").write_text(
        f"{HEAD}# Questions\n\n```{{toctree}}\nsecond\nprogress\n```\n\n{FIGURE}\n"
        + directive(ONE, ":name: values", ":reveal: square.b=1&square.g=8")
        + "\n" + directive(SEVERAL, ":name: blind")
        + "\n" + directive(NUMBER, ":name: variance", ":unit: squared units"),
        "utf8",
    )  # fmt: skip
    (place / "second.md").write_text("# Second\n\n" + directive(SEVERAL, ":name: again"), "utf8")
    (place / "progress.md").write_text("# Your progress\n\n:::{progress}\n:::\n", "utf8")
    built = build(place)
    assert built.status == 0, built.warnings
    return built.out


@pytest.fixture
def book(folder: Path, serve: Callable[[Path], Any], watch: Callable[..., Any]) -> Callable[..., Any]:
    """``book("index", width=…, dark=…)`` opens a page of it."""
    server = serve(folder)

    def open_page(name: str = "index", **how: Any) -> Any:
        return watch(f"{server.address}{name}.html", **how)

    return open_page


def question(page: Page, name: str) -> Locator:
    return page.locator(f"form[data-check={name}]")


def said(form: Locator) -> Locator:
    return form.get_by_role("status")


def press(form: Locator, name: str = "Check") -> None:
    form.get_by_role("button", name=name, exact=True).click()


def kept(page: Page) -> dict[str, Any]:
    return json.loads(page.evaluate("localStorage.getItem('gnlib-book.progress') ?? '{\"pages\": {}}'"))["pages"]


# ---------------------------------------------------------------------- answering


def test_a_wrong_choice_is_explained_and_may_be_mended(book: Callable[..., Any]) -> None:
    form = question(book().page, "values")
    form.get_by_label("256", exact=True).check()
    expect(said(form)).to_be_empty()
    press(form)
    expect(said(form)).to_contain_text("Not yet. Those are the positions")
    expect(said(form)).not_to_contain_text("1,024")
    expect(said(form).locator(".katex")).to_have_count(1)
    form.get_by_label("8,192").check()
    expect(said(form)).to_be_empty()
    press(form)
    expect(said(form)).to_contain_text("Not yet. That is the whole activation.")
    expect(form.locator("[data-mark]")).to_have_count(1)
    form.get_by_label("1,024").check()
    press(form)
    expect(said(form)).to_contain_text("Right.")
    expect(form.locator("legend")).to_contain_text("✓ answered")
    expect(form.locator("[data-mark=right]")).to_have_text("1,024")


def test_every_wrong_option_has_its_own_words(book: Callable[..., Any]) -> None:
    page = book().page
    form = question(page, "values")
    words = set()
    for option in ("256", "8,192"):
        form.get_by_label(option, exact=True).check()
        press(form)
        expect(said(form)).to_contain_text("Not yet.")
        words.add(said(form).inner_text())
    assert len(words) == 2


def test_of_several_choices_what_is_missing_is_counted_and_not_told(book: Callable[..., Any]) -> None:
    form = question(book().page, "blind")
    press(form)
    expect(said(form)).to_have_text("Choose one answer or more first.")
    form.get_by_label("LayerNorm").check()
    press(form)
    expect(said(form)).to_have_text("✗ Partly. One right answer is missing.")
    form.get_by_label("BatchNorm").check()
    press(form)
    expect(said(form)).to_have_text("✗ Partly. Its mean is the whole batch’s.")
    form.get_by_label("BatchNorm").uncheck()
    form.get_by_label("InstanceNorm").check()
    press(form)
    expect(said(form)).to_contain_text("✓ Right.")
    expect(said(form)).to_contain_text("InstanceNorm: So does it, channel by channel.")


@pytest.mark.parametrize(
    ("written", "answer"),
    [
        ("11.5", "✓ Right. 46 / 4."),
        ("23/2", "✓ Right."),
        ("11,51", "✓ Right."),
        ("11.52", "✗ Not yet. Subtract the mean"),
        ("46/3", "✗ Not yet. That is the unbiased one"),
        ("eleven", "Write a number first"),
        ("", "Write a number first"),
    ],
)
def test_a_number_is_taken_as_people_write_it(book: Callable[..., Any], written: str, answer: str) -> None:
    page = book().page
    form = question(page, "variance")
    field = form.get_by_label("Your answer squared units")
    field.fill(written)
    field.press("Enter")
    expect(said(form)).to_contain_text(answer)
    assert bool(kept(page)) == (not answer.startswith("Write"))
    assert page.url.endswith("index.html")


def test_all_of_it_works_by_keyboard_alone(book: Callable[..., Any]) -> None:
    page = book().page
    form = question(page, "values")
    form.get_by_label("256", exact=True).focus()
    page.keyboard.press("ArrowDown")  # chooses the next, as native radio buttons do
    expect(form.get_by_label("1,024")).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(said(form)).to_contain_text("Right.")
    page.keyboard.press("Tab")
    expect(form.get_by_role("button", name="See it in the figure")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(form.locator("details li").first).to_be_visible()
    page.keyboard.press("Tab")  # the link below
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(question(page, "blind").get_by_label("LayerNorm")).to_be_checked()
    question(page, "variance").get_by_label("Your answer").focus()
    page.keyboard.type("11.5\n")
    expect(said(question(page, "variance"))).to_contain_text("Right.")


def test_a_screen_reader_is_told_question_options_and_verdict(book: Callable[..., Any]) -> None:
    page = book().page
    form = question(page, "values")
    group = form.get_by_role("group", name=re.compile("Question 1 of 3 How many values share one mean"))
    expect(group.get_by_role("radio")).to_have_count(3)
    form.get_by_label("256", exact=True).check()
    press(form)
    tree = form.aria_snapshot()
    assert 'radio "256" [checked]' in tree
    assert re.search(r"status:.*\n?.*strong: Not yet", tree), tree
    assert "✗" not in tree.split("group", 2)[1].split("button")[0]  # said in words, the signs are for the eye
    form = question(page, "variance")
    form.get_by_label("Your answer").fill("3")
    press(form)
    assert form.get_by_label("Your answer").get_attribute("aria-invalid") == "true"


# ---------------------------------------------------------------------- predict, then reveal


def test_the_figure_shows_what_was_asked_once_an_answer_is_given(book: Callable[..., Any]) -> None:
    page = book(reduced_motion="reduce").page
    square = page.locator("figure[data-figure=square]")
    groups = square.get_by_role("slider", name="Channel groups", exact=True)
    expect(groups).to_have_attribute("aria-valuetext", re.compile("^1 "))
    form = question(page, "values")
    button = form.get_by_role("button", name="See it in the figure")
    expect(button).to_be_hidden()
    form.get_by_label("256", exact=True).check()
    press(form)
    expect(button).to_be_visible()
    for _ in range(2):  # again, after the reader has moved on
        button.click()
        expect(groups).to_have_attribute("aria-valuetext", re.compile("^8 "))
        expect(square).to_be_focused()
        expect(square).to_be_in_viewport()
        assert "square.g=8" in page.evaluate("location.hash")
        groups.press("Home")
        expect(groups).to_have_attribute("aria-valuetext", re.compile("^1 "))
    expect(question(page, "blind").get_by_role("button", name="See it in the figure")).to_be_hidden()


# ---------------------------------------------------------------------- progress


def solve(page: Page) -> None:
    form = question(page, "values")
    form.get_by_label("256", exact=True).check()
    press(form)
    form.get_by_label("1,024").check()
    press(form)
    expect(form.locator("legend")).to_contain_text("✓ answered")


def test_progress_outlives_a_reload_and_spoils_nothing(book: Callable[..., Any]) -> None:
    page = book().page
    foot = question(page, "blind").locator(".gn-check-foot")
    expect(foot).to_contain_text("0 of 3 questions on this page answered")
    solve(page)
    expect(foot).to_contain_text("1 of 3 questions on this page answered")
    page.reload()
    form = question(page, "values")
    expect(form.locator("legend")).to_contain_text("✓ answered")
    expect(foot).to_contain_text("1 of 3 questions on this page answered")
    expect(form.get_by_label("1,024")).not_to_be_checked()
    expect(said(form)).to_be_empty()
    answer = kept(page)["index"]["values"]
    assert answer["tries"] == 2
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", answer["solved"])


def test_the_list_shows_exports_forgets_and_imports(book: Callable[..., Any], tmp_path: Path) -> None:
    page = book().page
    solve(page)
    question(page, "blind").get_by_role("link", name="Your progress").click()
    first = page.locator(".gn-progress [data-page=index]")
    expect(page.locator(".gn-progress-all")).to_have_text("1 of 4 questions answered")
    expect(page.get_by_role("progressbar")).to_have_js_property("value", 1)
    expect(first).to_contain_text("1 of 3 questions answered")
    expect(first.locator("[data-question=values]")).to_contain_text("✓ answered")
    expect(page.locator(".gn-progress [data-page=second]")).to_contain_text("0 of 1 question answered")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    path = tmp_path / download.value.suggested_filename
    assert path.name == "normalization-square-progress.json"
    download.value.save_as(path)
    assert json.loads(path.read_text("utf8"))["pages"] == kept(page)

    questions = []
    page.once("dialog", lambda dialog: (questions.append(dialog.message), dialog.dismiss()))
    page.get_by_role("button", name="Forget everything").click()
    assert kept(page)
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Forget everything").click()
    assert questions == ["Forget 1 answered question? A file that you exported stays yours."]
    expect(first).to_contain_text("0 of 3 questions answered")
    assert page.evaluate("localStorage.getItem('gnlib-book.progress')") is None
    expect(page.get_by_role("button", name="Forget everything")).to_be_disabled()

    field = page.get_by_label("Import")
    field.set_input_files(path)
    expect(page.locator(".gn-progress").get_by_role("status")).to_have_text("1 answered question added.")
    expect(first).to_contain_text("1 of 3 questions answered")
    field.set_input_files(path)
    expect(page.locator(".gn-progress").get_by_role("status")).to_have_text("Nothing in it was new.")
    other = tmp_path / "other.json"
    other.write_text("{}")
    field.set_input_files(other)
    expect(page.locator(".gn-progress").get_by_role("status")).to_have_text("This file holds no progress of this book.")
    first.get_by_role("link", name=re.compile("Which layers do not see")).click()
    expect(question(page, "blind")).to_be_in_viewport()


def test_another_tab_is_heard(book: Callable[..., Any]) -> None:
    page = book("progress").page
    other = page.context.new_page()
    other.goto(page.url.replace("progress", "index"))
    solve(other)
    expect(page.locator("[data-page=index] .gn-progress-count")).to_have_text("1 of 3 questions answered")


def test_where_nothing_may_be_kept_questions_work_and_say_so_once(book: Callable[..., Any]) -> None:
    watched = book("second")
    page = watched.page
    page.add_init_script("Object.defineProperty(window, 'localStorage', {get() { throw new Error('denied'); }})")
    page.goto(page.url.replace("second", "index"))
    form = question(page, "values")
    form.get_by_label("1,024").check()
    press(form)
    expect(said(form)).to_contain_text("Your browser keeps nothing for this page")
    expect(form.locator("legend")).to_contain_text("✓ answered")
    other = question(page, "variance")
    other.get_by_label("Your answer").fill("11.5")
    press(other)
    expect(said(other)).to_contain_text("Right.")
    expect(said(other)).not_to_contain_text("keeps nothing")
    expect(other.locator(".gn-check-foot")).to_contain_text("2 of 3")
    # what the theme says of a closed storage is the theme's
    watched.faults[:] = [fault for fault in watched.faults if not re.search("denied|theme mode", fault)]


def test_nothing_leaves_the_browser_and_nothing_else_is_kept(book: Callable[..., Any]) -> None:
    watched = book()
    watched.page.wait_for_load_state("networkidle")  # the figure near the question has all it needs
    asked: list[str] = []
    before = set(watched.page.evaluate("Object.keys(localStorage)"))
    watched.page.on("request", lambda request: asked.append(request.url))
    solve(watched.page)
    fonts = [url for url in asked if ".woff2" in url]  # of the math that an explanation shows for the first time
    assert asked == fonts
    assert set(watched.page.evaluate("Object.keys(localStorage)")) - before == {"gnlib-book.progress"}
    assert watched.page.context.cookies() == []


# ---------------------------------------------------------------------- everywhere


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 320])
def test_questions_are_accessible_answered_or_not(book: Callable[..., Any], width: int, dark: bool) -> None:
    watched = book(width=width, dark=dark)
    page = watched.page
    assert watched.axe("form") == []
    solve(page)
    blind = question(page, "blind")
    blind.get_by_label("BatchNorm").check()
    press(blind)
    blind.locator("summary").click()
    variance = question(page, "variance")
    variance.get_by_label("Your answer").fill("3")
    press(variance)
    assert watched.axe("form") == []
    assert watched.overflow() <= 0
    page.goto(page.url.replace("index", "progress"))
    assert watched.axe(".gn-progress") == []
    assert watched.overflow() <= 0


def test_without_a_script_the_answers_are_in_a_fold(book: Callable[..., Any]) -> None:
    page = book(java_script_enabled=False).page
    form = question(page, "values")
    expect(form.get_by_role("button")).to_have_count(0)
    form.locator("summary").click()
    expect(form.locator("li").nth(1)).to_contain_text("1,024 ✓ right")
    field = question(page, "variance").get_by_label("Your answer")
    field.fill("3")
    field.press("Enter")
    expect(field).to_have_value("3")
    assert page.url.endswith("index.html")


def test_it_works_from_a_folder(folder: Path, watch: Callable[..., Any]) -> None:
    watched = watch((folder / "index.html").as_uri())
    solve(watched.page)
    watched.page.reload()
    expect(question(watched.page, "values").locator("legend")).to_contain_text("✓ answered")


def test_forced_colors_leave_the_choice_and_the_verdict(book: Callable[..., Any]) -> None:
    page = book(forced_colors="active").page
    form = question(page, "values")
    form.get_by_label("256", exact=True).check()
    press(form)
    expect(said(form)).to_contain_text("✗ Not yet.")
    content = form.locator("[data-mark=wrong]").evaluate("label => getComputedStyle(label, '::after').content")
    assert "✗" in content


# ---------------------------------------------------------------------- in a notebook, with a kernel


def test_a_widget_asks_the_same_and_tells_the_kernel(show: Callable[..., Any]) -> None:
    (hands,) = show(Check(ONE.replace("$16 \\times 16$", "16 × 16"), title="Warm-up"))
    form = hands.root.locator("form")
    expect(form.locator("legend")).to_contain_text("Warm-up")
    form.get_by_label("256").check()
    assert hands.get("chosen") == [0]
    press(form)
    expect(said(form)).to_contain_text("Not yet. Those are the positions")
    assert (hands.get("tries"), hands.get("solved")) == (1, False)
    form.get_by_label("1,024").check()
    press(form)
    expect(form.locator("legend")).to_contain_text("✓ answered")
    assert (hands.get("tries"), hands.get("solved")) == (2, True)
    assert hands.page.evaluate("models[0].saved.map(one => Object.keys(one)).flat()").count("tries") == 2


def test_a_widget_follows_the_kernel(show: Callable[..., Any]) -> None:
    hands, number = show(Check(SEVERAL), Check(NUMBER, unit="m"))
    form = hands.root.locator("form")
    hands.set(chosen=[0, 2])
    expect(form.get_by_label("LayerNorm")).to_be_checked()
    expect(form.get_by_label("BatchNorm")).to_be_checked()
    hands.set(chosen=[])
    expect(form.locator(":checked")).to_have_count(0)
    hands.set(solved=True)
    expect(form.locator("legend")).to_contain_text("✓ answered")
    hands.set(solved=False)
    expect(form.locator("legend")).not_to_contain_text("answered")
    number.set(number="11.5")
    field = number.root.get_by_label("Your answer m")
    expect(field).to_have_value("11.5")
    field.press("Enter")
    expect(said(number.root)).to_contain_text("Right. 46 / 4.")
    hands.set(question="Another?")
    expect(hands.root.get_by_role("group", name="Question Another?")).to_be_visible()


def test_two_widgets_keep_their_radio_buttons_apart(show: Callable[..., Any]) -> None:
    one, other = show(Check(ONE), views=[0, 0])
    one.root.get_by_label("256").check()
    expect(other.root.get_by_label("256")).to_be_checked()  # the same question twice
    one, other = show(Check(ONE), Check(ONE))
    one.root.get_by_label("256").check()
    other.root.get_by_label("1,024").check()
    expect(one.root.get_by_label("256")).to_be_checked()


def test_a_closed_widget_listens_to_nobody(show: Callable[..., Any]) -> None:
    (hands,) = show(Check(ONE))
    assert hands.page.evaluate("models[0].listening") > 0
    hands.page.evaluate("closers[0]()")
    assert hands.page.evaluate("models[0].listening") == 0
    expect(hands.root).to_have_count(0)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 320])
def test_a_widget_is_accessible(show: Callable[..., Any], width: int, dark: bool) -> None:
    one, _several, number = show(Check(ONE), Check(SEVERAL), Check(NUMBER), width=width, dark=dark)
    assert one.watched.axe("main") == []
    one.root.get_by_label("256").check()
    press(one.root)
    number.root.get_by_label("Your answer").fill("11.5")
    press(number.root)
    number.root.locator("summary").click()
    assert one.watched.axe("main") == []
    assert one.watched.overflow() <= 0


# ---------------------------------------------------------------------- the book's own


def test_every_question_of_the_book_takes_its_right_answer_and_shows_what_it_promises(
    watch: Callable[..., Any], site: Any
) -> None:
    page = watch(f"{site.address}chapters/gallery.html").page
    chapters = page.locator(".gn-progress [data-page]")
    stems = chapters.evaluate_all("all => all.map(one => [one.dataset.page, one.querySelectorAll('ol li').length])")
    assert len(stems) >= 4
    for stem, count in stems:
        page = watch(f"{site.address}{stem}.html", reduced_motion="reduce").page
        forms = page.locator("form.gn-check")
        expect(forms).to_have_count(count)
        for form in forms.all():
            kind = form.get_attribute("data-kind")
            facts = form.locator("li").evaluate_all("all => all.map(li => [li.dataset.right === '', li.dataset.value])")
            if kind == "number":
                form.get_by_label("Your answer").fill(next(value for right, value in facts if right))
            else:
                for option, (right, _) in zip(form.locator("label").all(), facts, strict=True):
                    if right:
                        option.click()
            press(form)
            expect(said(form)).to_contain_text("✓ Right.")
            if reveal := form.get_attribute("data-reveal"):
                press(form, "See it in the figure")
                told = page.evaluate("location.hash")
                assert all(pair in told for pair in reveal.split("&")), (stem, reveal, told)
                expect(page.locator("figure.gn-figure:focus")).to_have_count(1)
        expect(forms.first.locator(".gn-check-foot")).to_contain_text(f"{count} of {count} question")
