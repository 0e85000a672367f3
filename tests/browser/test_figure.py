"""What every figure has, whatever it shows: a link to its present state, full screen, a name, an end."""

from __future__ import annotations

import pytest
import torch
from playwright.sync_api import expect

from gnlib.widgets import Square
from tests.browser.stage import fragment, wait

COPY, FULL, LEAVE = "Copy a link to this state", "Full screen", "Leave full screen"


def square(**arguments: object) -> Square:
    return Square(torch.randn(4, 8, 6, 5, generator=torch.Generator().manual_seed(3)), **arguments)


def test_the_copied_link_shows_the_same_state_in_another_window(show, watch):
    (figure,) = show(square(), permissions=["clipboard-read", "clipboard-write"], fragment="#below")
    figure.root.get_by_role("button", name="InstanceNorm", exact=True).click()
    figure.root.get_by_role("button", name=COPY).click()  # at once: the address bar is still behind
    expect(figure.root.locator(".gn-tools [aria-live]")).to_have_text("Link copied")
    link = figure.page.evaluate("navigator.clipboard.readText()")
    assert link.endswith("#below?square.b=4&square.g=8")
    other = watch(link)
    expect(other.page.locator("figure.gn-figure .gn-name")).to_have_text("InstanceNorm")


def test_a_link_leads_to_the_section_that_the_figure_stands_in(show):
    (figure,) = show(square(), permissions=["clipboard-read", "clipboard-write"], fragment="#below")
    figure.page.evaluate("document.querySelector('main').id = 'the-idea'")
    figure.root.get_by_role("button", name=COPY).click()
    expect(figure.root.locator(".gn-tools [aria-live]")).to_have_text("Link copied")
    assert figure.page.evaluate("navigator.clipboard.readText()").endswith("/#the-idea")


def test_without_a_clipboard_the_link_stands_in_the_address_bar(show):
    (figure,) = show(square(), permissions=[])
    figure.page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('closed')); }")
    figure.root.get_by_role("button", name="LayerNorm", exact=True).click()
    figure.root.get_by_role("button", name=COPY).click()
    expect(figure.root.locator(".gn-tools [aria-live]")).to_contain_text("now stands in the address bar")
    assert fragment(figure.page) == "#?square.b=4&square.g=1"


def test_the_words_go_away_again(show):
    (figure,) = show(square(), permissions=["clipboard-write"])
    figure.page.clock.install()
    figure.root.get_by_role("button", name=COPY).click()
    said = figure.root.locator(".gn-tools [aria-live]")
    expect(said).to_have_text("Link copied")
    figure.page.clock.fast_forward(4500)
    expect(said).to_be_empty()


def test_a_notebook_has_no_link_to_copy(show):
    first, _ = show(square(), square())
    expect(first.root.get_by_role("button", name=COPY)).to_be_visible()
    first.page.evaluate("document.body.dataset.jpThemeLight = 'true'; closers[1](); closers[0]()")
    first.page.evaluate("document.querySelector('main > div.place').id = 'again'")
    first.page.evaluate(
        "import('./square.js').then(m => m.default.render({ model: models[0], el: document.getElementById('again') }))"
    )
    expect(first.root.get_by_role("button", name=FULL)).to_be_visible()
    expect(first.root.get_by_role("button", name=COPY)).to_have_count(0)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_full_screen_is_entered_and_left_by_keyboard_and_scrolls(show, dark: bool):
    (figure,) = show(square(), dark=dark, reduced_motion="reduce")
    figure.root.get_by_role("button", name=FULL).focus()
    figure.page.keyboard.press("Enter")
    wait(figure.page, "document.fullscreenElement?.matches('.gn-figure') === true")
    leave = figure.root.get_by_role("button", name=LEAVE)
    expect(leave).to_be_focused()
    ground = figure.root.evaluate("f => getComputedStyle(f).backgroundColor")
    assert ground == ("rgb(20, 24, 30)" if dark else "rgb(255, 255, 255)")
    assert figure.root.evaluate("f => f.scrollWidth <= f.clientWidth")
    assert figure.root.evaluate("f => getComputedStyle(f).overflowY") == "auto"
    assert figure.watched.axe("figure.gn-figure") == []
    figure.page.keyboard.press("Enter")
    wait(figure.page, "document.fullscreenElement === null")
    expect(figure.root.get_by_role("button", name=FULL)).to_be_focused()


@pytest.mark.parametrize("width", [320, 724])
def test_the_tools_do_not_lie_over_the_title(show, width: int):
    (figure,) = show(square(title="A title so long that it certainly needs more than a line or two"), width=width)
    tools = figure.root.locator(".gn-tools").bounding_box()
    lines = figure.root.locator(".gn-lead strong").evaluate(
        """e => { const range = document.createRange(); range.selectNodeContents(e);
           return [...range.getClientRects()].map(r => [r.right, r.top]); }"""
    )
    assert lines
    assert all(right <= tools["x"] + 1 for right, top in lines if top < tools["y"] + tools["height"])
