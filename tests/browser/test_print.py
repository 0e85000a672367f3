"""A page on paper: all of it, light, within the sheet, and nothing that only a screen can use."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.stage import wait

A4 = rb"/MediaBox \[0 0 594\.9\d* 841\.\d*\]"  # points


def on_paper(page: Page) -> None:
    """Lay the page out as on a sheet of A4 between its margins."""
    page.set_viewport_size({"width": 665, "height": 980})
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")


@pytest.mark.parametrize("chapter", ["group_norm", "small_batches"])
def test_printing_waits_for_what_waits_for_the_reader(chapter: str, site: Any, watch: Callable[..., Any]) -> None:
    page = watch(f"{site.address}chapters/{chapter}.html").page
    page.evaluate(
        """() => { window.print = () => { window.missing = [
            ...document.querySelectorAll('.gn-mount:not([data-mounted=true])'),
            ...[...document.images].filter(one => !one.complete || !one.naturalWidth)].length; }; }"""
    )
    page.keyboard.press("Control+p")
    wait(page, "'missing' in window")
    assert page.evaluate("missing") == 0


def test_the_menus_button_prints_too(site: Any, watch: Callable[..., Any]) -> None:
    page = watch(site.address + "chapters/notation.html").page
    page.evaluate("window.print = () => { window.printed = true; }")
    page.get_by_role("button", name="Download this page").click()
    page.locator(".btn-download-pdf-button").click()
    wait(page, "window.printed")


def test_a_sheet_holds_the_words_and_not_what_only_a_screen_can_use(site: Any, watch: Callable[..., Any]) -> None:
    watched = watch(site.address + "chapters/group_norm.html", dark=True)
    page = watched.page
    page.locator(".gn-mount").first.scroll_into_view_if_needed()
    expect(page.locator(".gn-mount").first).to_have_attribute("data-mounted", "true")
    on_paper(page)
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    expect(page.locator(".bd-article h1")).to_be_visible()
    expect(page.locator(".gn-figure canvas").first).to_be_visible()
    for gone in (".bd-sidebar-primary", ".bd-sidebar-secondary", ".bd-header-article", "#jb-print-docs-body",
                 ".prev-next-footer", ".gn-tools", ".gn-enlarge-open", ".gn-spoil-section"):  # fmt: skip
        for one in page.locator(gone).all():
            expect(one).not_to_be_visible()
    assert watched.overflow() <= 0
    assert page.locator(".gn-figure").first.evaluate(
        "one => one.getBoundingClientRect().right <= document.documentElement.clientWidth"
    )
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_link_to_a_source_is_printed_with_its_address_and_no_other(site: Any, watch: Callable[..., Any]) -> None:
    page = watch(site.address + "chapters/index.html").page
    on_paper(page)
    after = "one => getComputedStyle(one, '::after').content"
    outside = page.locator('.bd-article a.reference.external[href^="https://creativecommons.org"]').first
    assert outside.get_attribute("href") in outside.evaluate(after)
    inside = page.locator(".bd-article a.reference.internal").first
    assert inside.evaluate(after) == "none"


def test_the_works_cited_stand_at_the_end_of_a_sheet_and_not_of_a_screen(site: Any, watch: Callable[..., Any]) -> None:
    page = watch(site.address + "chapters/group_norm.html").page
    works = page.get_by_role("heading", name="Works cited")
    expect(works).not_to_be_visible()
    on_paper(page)
    expect(works).to_be_visible()
    expect(page.locator(".gn-works")).to_contain_text("Yuxin Wu and Kaiming He. Group normalization.")


def test_the_sheet_is_a4(site: Any, watch: Callable[..., Any]) -> None:
    page = watch(site.address + "chapters/notation.html").page
    pdf = page.pdf(prefer_css_page_size=True)
    assert re.search(A4, pdf)
