"""Every figure of ``gnlib.widgets``, with all its folds open: for axe, in a narrow window, in forced colors, by Tab.

What only one figure has, such as a handle that must keep its edge, is asked in that figure's own file.
"""

from __future__ import annotations

import pytest

from tests.browser.stage import wait
from tests.figures import RECIPES

FIGURES = pytest.mark.parametrize("figure", RECIPES)
# what a reader gets to by Tab: of a group of radio buttons only the one that is chosen, or the first
STOPS = """[...document.querySelector('figure.gn-figure').querySelectorAll('*')].filter(e => e.tabIndex >= 0 &&
  !e.disabled && e.checkVisibility() && (e.type !== 'radio' || e.checked ||
  ![...document.getElementsByName(e.name)].some(other => other.checked || other.compareDocumentPosition(e) & 4)))"""


def opened(show, figure: str, **screen):
    """Show a figure, open all its folds, and wait for what it computes."""
    (shown,) = show(RECIPES[figure].make(), reduced_motion="reduce", **screen)
    for summary in shown.root.locator("summary:visible").all():
        if not summary.evaluate("s => s.parentElement.open"):
            summary.click()
    wait(shown.page, "!document.querySelector('[aria-busy=true]')")
    return shown


@FIGURES
@pytest.mark.parametrize("width", [320, 724, 1304])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_fault_for_axe_and_no_sideways_scroll(show, figure: str, width: int, dark: bool):
    shown = opened(show, figure, width=width, dark=dark)
    assert shown.watched.axe() == []
    assert shown.watched.overflow() == 0


@FIGURES
def test_no_fault_for_axe_in_forced_colors(show, figure: str):
    assert opened(show, figure, forced_colors="active").watched.axe() == []


@FIGURES
def test_tab_goes_to_all_that_can_be_used_from_top_to_bottom_with_a_visible_focus(show, figure: str):
    shown = opened(show, figure)
    stops = shown.page.evaluate(f"window.stops = {STOPS}, stops.length")
    assert stops >= 3
    shown.page.evaluate("document.querySelector('main a').focus()")
    reached = []
    for _ in range(stops):
        shown.page.keyboard.press("Tab")
        at, outline, width = shown.page.evaluate(
            """() => { const e = document.activeElement, style = getComputedStyle(e);
            return [stops.indexOf(e), style.outlineStyle, parseFloat(style.outlineWidth)]; }"""
        )
        name = shown.page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
        assert (outline, width) == ("solid", 3), name
        assert at >= 0, name
        reached.append(at)
    assert reached == list(range(stops))
