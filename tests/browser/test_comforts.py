"""What makes reading easier, by keyboard, mouse and finger: glances at links, uses of a symbol, larger pictures."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import SITE
from tests.browser.stage import wait

GROUP_NORM = "chapters/group_norm.html"
LINKS = {  # what a link leads to -> its page, a part of its address, words that the glance must hold
    "a term": ("chapters/notation.html", "#term-cell", "One channel of one sample"),
    "a work": (GROUP_NORM, "bibliography.html#id", "Group normalization. In European Conference"),
    "a formula of another page": (GROUP_NORM, "#equation-eq-apply", "(4)"),
    "a section": (GROUP_NORM, "#one-core", "Four layers, one function"),
    "a figure": (GROUP_NORM, "#fig-batch-size", "Fig."),
}
THEMES = pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])


def link(page: Page, address: str) -> Locator:
    return page.locator(f'.bd-article a.reference.internal[href*="{address}"]:visible').first


def by_keyboard(page: Page, target: Locator) -> None:
    """Put the focus there as the tab key does."""
    page.keyboard.press("Tab")
    target.focus()


# ---------------------------------------------------------------------- glances at links


@pytest.mark.parametrize("what", LINKS)
def test_a_focused_link_says_what_it_leads_to_until_escape(what: str, site: Any, watch: Callable[..., Any]) -> None:
    name, address, words = LINKS[what]
    page = watch(site.address + name).page
    by_keyboard(page, link(page, address))
    glance = page.get_by_role("tooltip")
    expect(glance).to_contain_text(words)
    expect(link(page, address)).to_have_attribute("aria-describedby", "gn-glance")
    page.keyboard.press("Escape")
    expect(glance).not_to_be_visible()
    expect(link(page, address)).to_be_focused()
    expect(link(page, address)).not_to_have_attribute("aria-describedby", re.compile("."))


def test_a_pointer_may_go_into_the_glance_and_leaving_it_closes_it(site: Any, watch: Callable[..., Any]) -> None:
    page = watch(site.address + GROUP_NORM).page
    link(page, "#equation-eq-apply").scroll_into_view_if_needed()
    page.clock.install()
    link(page, "#equation-eq-apply").hover()
    page.clock.run_for(1000)
    glance = page.get_by_role("tooltip")
    expect(glance).to_be_visible()
    glance.hover()
    page.clock.run_for(1000)
    expect(glance).to_be_visible()
    page.mouse.move(2, 2)
    page.clock.run_for(1000)
    expect(glance).not_to_be_visible()


def test_a_finger_sees_the_glance_at_the_first_tap_and_goes_there_at_the_second(
    site: Any, watch: Callable[..., Any]
) -> None:
    page = watch(site.address + "chapters/notation.html", width=360, has_touch=True, is_mobile=True).page
    link(page, "#term-cell").tap()
    expect(page.get_by_role("tooltip")).to_contain_text("Tap again to go there.")
    link(page, "#term-cell").tap()
    page.wait_for_url("**/glossary.html#term-cell")


def test_a_finger_goes_straight_to_a_section(site: Any, watch: Callable[..., Any]) -> None:
    page = watch(site.address + "chapters/index.html", width=360, has_touch=True, is_mobile=True).page
    link(page, "one_core.html#one-core").tap()
    page.wait_for_url("**/one_core.html#one-core")


def test_glances_come_once_and_only_when_one_is_wanted(site: Any, watch: Callable[..., Any]) -> None:
    site.sent.clear()
    page = watch(site.address + GROUP_NORM).page
    texts = "/_static/gn-glance-texts.js"
    assert texts not in [path for path, _ in site.sent]
    for address in ("#one-core", "#equation-eq-apply"):
        link(page, address).hover()
        expect(page.get_by_role("tooltip")).to_be_visible()
    assert [path for path, _ in site.sent].count(texts) == 1


def assert_within(part: Locator, width: int) -> None:
    box = part.bounding_box()
    assert box
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width


def test_glances_work_from_a_folder_and_formulas_in_a_page_without_any(watch: Callable[..., Any]) -> None:
    page = watch(f"file://{SITE / 'chapters/index.html'}").page
    by_keyboard(page, link(page, "#notation"))
    expect(page.get_by_role("tooltip")).to_contain_text("The same letters mean the same things")


@THEMES
@pytest.mark.parametrize("what", LINKS)
def test_an_open_glance_is_accessible_and_within_the_window(
    what: str, dark: bool, site: Any, watch: Callable[..., Any]
) -> None:
    name, address, _ = LINKS[what]
    watched = watch(site.address + name, width=320, dark=dark)
    by_keyboard(watched.page, link(watched.page, address))
    glance = watched.page.get_by_role("tooltip")
    expect(glance).to_be_visible()
    assert watched.axe() == []
    assert watched.overflow() <= 0
    assert_within(glance, 320)
    assert glance.evaluate("one => one.scrollWidth <= one.clientWidth")


# ---------------------------------------------------------------------- uses of a symbol or a name

SYMBOLS = (
    "[...document.querySelectorAll('.bd-article .katex-html .mathnormal')].filter(one => !one.closest('.gn-mount'))"
)
MARKED = "[...CSS.highlights.get('gn-use') ?? []].map(String)"


def symbol(page: Page, letter: str) -> Locator:
    return page.locator(".bd-article .katex-html .mathnormal:visible", has_text=letter).first


def test_a_click_on_a_symbol_marks_every_use_of_it(site: Any, watch: Callable[..., Any]) -> None:
    page = watch(site.address + GROUP_NORM).page
    symbol(page, "γ").click()
    marked = page.evaluate(MARKED)
    assert set(marked) == {"γ"}
    assert len(marked) == page.evaluate(f"{SYMBOLS}.map(one => one.textContent).join('').split('γ').length - 1") > 5
    expect(page.locator(".gn-uses output")).to_contain_text(f"1 of {len(marked)}")
    page.keyboard.press("Escape")
    assert page.evaluate(MARKED) == []
    expect(page.locator(".gn-uses")).not_to_be_visible()


def test_a_hat_makes_another_symbol(site: Any, watch: Callable[..., Any]) -> None:
    page = watch(site.address + "chapters/one_core.html").page
    hats = f"{SYMBOLS}.filter(one => one.textContent === 'x' && one.closest('.katex-accent')).length"
    page.locator(".bd-article .katex-accent:visible").first.click()
    expect(page.locator(".gn-uses select")).to_have_value("symbol x\u0302")
    assert len(page.evaluate(MARKED)) == page.evaluate(hats) > 1


def test_a_click_on_a_name_marks_it_in_the_text_and_in_every_listing(site: Any, watch: Callable[..., Any]) -> None:
    page = watch(site.address + GROUP_NORM).page
    page.locator(".gn-beside-code .n", has_text=re.compile("^num_groups$")).first.click()
    marked = page.evaluate(MARKED)
    assert set(marked) == {"num_groups"}
    where = page.evaluate(
        "[...CSS.highlights.get('gn-use')].map(one => !!one.startContainer.parentElement.closest('pre'))"
    )
    assert set(where) == {True, False}


def test_uses_are_stepped_through_by_keyboard_and_reading_goes_on_there(site: Any, watch: Callable[..., Any]) -> None:
    page = watch(site.address + GROUP_NORM, reduced_motion="reduce").page
    button = page.get_by_role("button", name="Mark a symbol or a name wherever it is used")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Uses of")).to_be_focused()
    page.keyboard.press("ArrowDown")  # the first of all symbols
    expect(page.locator(".gn-uses output")).to_have_text(re.compile(r"^\d+ uses$"))
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Next use")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".gn-uses output")).to_have_text(re.compile(r"^1 of \d+ · \w+"))
    page.keyboard.press("Enter")
    expect(page.locator(".gn-uses output")).to_have_text(re.compile(r"^2 of \d+"))
    now = "[...CSS.highlights.get('gn-use-now')][0]"
    assert page.evaluate(f"{now}.getBoundingClientRect().top > 0 && {now}.getBoundingClientRect().bottom < innerHeight")
    page.evaluate(f"window.used = {now}.startContainer")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement !== document.body && document.activeElement.contains(used)")


def test_a_use_in_a_folded_answer_is_unfolded(site: Any, watch: Callable[..., Any]) -> None:
    page = watch(site.address + GROUP_NORM, reduced_motion="reduce").page
    page.locator("[data-gn-click=uses]").click()
    folded = """() => { const folds = [...document.querySelectorAll('details.gn-answer .highlight .n')];
        return [...document.querySelector('.gn-uses select').options].map(one => one.value)
            .find(name => folds.some(one => `name ${one.textContent}` === name)); }"""
    page.get_by_label("Uses of").select_option(page.evaluate(folded))
    for _ in page.evaluate(MARKED):
        page.get_by_role("button", name="Next use").click()
        wait(page, "[...CSS.highlights.get('gn-use-now')][0].getBoundingClientRect().height > 0")
    expect(page.locator("details.gn-answer[open]").first).to_be_visible()


@THEMES
@pytest.mark.parametrize("width", [1280, 320])
def test_the_bar_of_uses_is_accessible_and_within_the_window(
    width: int, dark: bool, site: Any, watch: Callable[..., Any]
) -> None:
    watched = watch(site.address + GROUP_NORM, width=width, dark=dark)
    symbol(watched.page, "γ").click()
    bar = watched.page.get_by_role("region", name="Uses on this page")
    expect(bar).to_be_visible()
    assert watched.axe() == []
    assert watched.overflow() <= 0
    assert_within(bar, width)
    bar.get_by_role("button", name="Close").click()
    expect(bar).not_to_be_visible()


# ---------------------------------------------------------------------- larger pictures


@THEMES
@pytest.mark.parametrize("width", [1280, 320])
def test_a_picture_fills_the_window_grows_and_moves_by_keyboard(
    width: int, dark: bool, site: Any, watch: Callable[..., Any]
) -> None:
    watched = watch(site.address + "chapters/small_batches.html", width=width, dark=dark)
    page = watched.page
    button = page.get_by_role("button", name=re.compile("^Enlarge Fig")).first
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog.gn-enlarge")
    expect(dialog.get_by_role("region")).to_be_focused()
    view, image = dialog.locator(".gn-enlarge-view"), dialog.locator("img")
    wait(page, "document.querySelector('dialog.gn-enlarge img').complete")
    fits = image.evaluate("one => one.clientWidth")
    assert fits <= width
    assert watched.axe("dialog.gn-enlarge") == []
    assert watched.overflow() <= 0
    for _ in range(2):
        page.keyboard.press("+")
    expect(dialog.locator("output")).to_have_text("200 %")
    assert image.evaluate("one => one.clientWidth") == pytest.approx(2 * fits, abs=2)
    before = view.evaluate("one => one.scrollLeft")
    page.keyboard.press("ArrowRight")
    wait(page, f"document.querySelector('.gn-enlarge-view').scrollLeft > {before}")
    page.keyboard.press("0")
    expect(dialog.locator("output")).to_have_text("100 %")
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()
    expect(button).to_be_focused()


def test_a_picture_is_enlarged_by_a_click_and_by_the_wheel_and_moved_by_dragging(
    site: Any, watch: Callable[..., Any]
) -> None:
    page = watch(site.address + "chapters/small_batches.html").page
    page.locator(".gn-enlargeable img").first.click()
    dialog = page.locator("dialog.gn-enlarge")
    expect(dialog).to_be_visible()
    page.mouse.move(640, 450)
    for _ in range(3):
        page.mouse.wheel(0, -100)
    expect(dialog.locator("output")).to_have_text("300 %")
    view = dialog.locator(".gn-enlarge-view")
    before = view.evaluate("one => one.scrollLeft")
    page.mouse.down()
    page.mouse.move(540, 450, steps=4)
    page.mouse.up()
    assert view.evaluate("one => one.scrollLeft") == pytest.approx(before + 100, abs=2)
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).not_to_be_visible()


def test_without_scripts_links_and_pictures_are_what_they_were(site: Any, watch: Callable[..., Any]) -> None:
    plain = watch(site.address + GROUP_NORM, java_script_enabled=False)
    assert link(plain.page, "bibliography.html#id").get_attribute("title")
    expect(plain.page.locator(".gn-enlarge-open, .gn-glance, .gn-uses")).to_have_count(0)
    plain.check = lambda: None  # it cannot be asked for CSP events without scripts
