"""The host that mounts figures in a finished page: what starts when, under which name, and who can reach it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.stage import wait

HOST = Path(__file__).resolve().parents[2] / "gnlib/book/static/anywidget-host.js"
KINDS = ("dial", "dial", "gauge", "dial")  # of the figures from top to bottom; each needs a module of its kind
PAGE = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Four figures</title>
<link rel="icon" href="data:,"><style>.tall {{ height: 2500px }} html {{ scroll-behavior: smooth }}</style>
<script type="application/vnd.anywidget-static+json">{payload}</script>{head}</head><body><main><h1>Four figures</h1>
<a href="#end">to the end</a>{places}<h2 id="end">End</h2><div class="tall"></div></main>
<script src="host.js"></script><script src="dial.js"></script></body></html>"""
PLACE = """<div class="tall"></div><a href="#">{i}</a><div class="gn-mount" data-model="m{i}" data-kind="{kind}">
<p class="gn-mount-note">wait</p></div>"""
MODULE = """window.arrived = [...(window.arrived ?? []), [KIND, document.readyState]];
(window.anywidgetStatic??=[]).push([KIND, {default: {render({model, el}) {
  const figure = document.createElement('figure'), input = document.createElement('input');
  figure.className = 'gn-figure'; figure.dataset.name = el.dataset.name; figure.style.minHeight = '700px';
  const output = document.createElement('output'); output.textContent = model.get('words') ?? '';
  input.ariaLabel = KIND; figure.append(input, output); el.append(figure);
}}}]);"""

Open = Callable[..., Page]


@pytest.fixture
def open_page(tmp_path: Path, serve: Callable[..., Any], watch: Callable[..., Any]) -> Open:
    """``open_page("#fragment", head="<script …>", without="gauge.js")`` opens a long page with four figures."""

    def go(fragment: str = "", head: str = "", without: str = "", apart: dict[str, Any] | None = None) -> Page:
        models = {
            f"m{i}": {"esm": kind, "css": None, "kind": kind, "state": {}, "apart": (apart or {}).get(f"m{i}", {})}
            for i, kind in enumerate(KINDS)
        }
        payload = json.dumps({"models": models, "modules": {"gauge": "gauge.js", "words": "words.js"}})
        places = "".join(PLACE.format(i=i, kind=kind) for i, kind in enumerate(KINDS))
        (tmp_path / "index.html").write_text(PAGE.format(payload=payload, places=places, head=head))
        shutil.copy(HOST, tmp_path / "host.js")
        (tmp_path / "blind.js").write_text("delete window.IntersectionObserver;")
        if without != "words.js":
            (tmp_path / "words.js").write_text('(window.anywidgetStatic??=[]).push(["words", "many words"]);')
        for kind in set(KINDS):
            if f"{kind}.js" != without:
                (tmp_path / f"{kind}.js").write_text(MODULE.replace("KIND", json.dumps(kind)))
        watched = watch(serve(tmp_path).address + fragment)
        if without:
            watched.check = lambda: None  # the console says what is missing
        page: Page = watched.page
        return page

    return go


def started(page: Page) -> list[str]:
    """The figures that stand in the page, by name, in its order."""
    names: list[str] = page.locator("figure.gn-figure").evaluate_all("all => all.map(one => one.dataset.name)")
    return names


def test_a_figure_starts_a_screen_before_it_is_seen_and_not_earlier(open_page: Open) -> None:
    page = open_page()
    expect(page.locator(".gn-mount-note button")).to_have_count(4)  # all are far below
    assert started(page) == []
    page.evaluate("scrollTo({top: 900, behavior: 'instant'})")  # the first begins at 2,600, a screen is 900 high
    expect(page.locator("figure")).to_have_count(1)
    assert not page.locator("figure").evaluate("one => one.getBoundingClientRect().top < innerHeight")
    assert started(page) == ["dial"]


def test_names_follow_the_page_whichever_figure_starts_first(open_page: Open) -> None:
    page = open_page()
    for place in reversed(page.locator(".gn-mount").all()):
        place.evaluate("one => one.scrollIntoView({behavior: 'instant'})")
        expect(place).to_have_attribute("data-mounted", "true")
    assert started(page) == ["dial", "dial-2", "gauge", "dial-3"]


@pytest.mark.parametrize("later", [False, True], ids=["at once", "in the open page"])
def test_an_address_that_names_a_figure_starts_that_one(open_page: Open, later: bool) -> None:
    page = open_page("" if later else "#?dial-3.a=1&gauge.b=2")
    if later:
        page.evaluate("location.hash = '#?dial-3.a=1&gauge.b=2'")
    expect(page.locator("figure")).to_have_count(2)
    assert started(page) == ["gauge", "dial-3"]
    assert page.evaluate("scrollY") == 0


def test_the_tab_key_goes_through_a_figure_that_has_not_started(open_page: Open) -> None:
    page = open_page()
    expect(page.locator(".gn-mount-note button")).to_have_count(4)
    page.get_by_role("link", name="2").focus()
    page.keyboard.press("Tab")
    expect(page.locator("figure[data-name=gauge]")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("gauge")).to_be_focused()
    assert page.locator("figure[data-name=gauge]").get_attribute("tabindex") is None
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="3")).to_be_focused()


@pytest.mark.parametrize("how", ["print", "Control+f", "Meta+f", "F3"])
def test_printing_and_searching_find_every_figure(open_page: Open, how: str) -> None:
    page = open_page()
    wait(page, "window.arrived?.length === 2")
    if how == "print":
        # a page is printed as it stands after the event and its microtasks: no timer, no frame comes before
        assert (
            page.evaluate(
                """async () => { dispatchEvent(new Event('beforeprint'));
                for (let i = 0; i < 50; i++) await null;
                return document.querySelectorAll('figure').length; }"""
            )
            == 4
        )
    else:
        page.keyboard.press(how)
    expect(page.locator("figure")).to_have_count(4)
    assert started(page) == ["dial", "dial-2", "gauge", "dial-3"]


def test_a_browser_that_cannot_tell_what_is_near_starts_everything(open_page: Open) -> None:
    page = open_page(head='<script src="blind.js"></script>')
    expect(page.locator("figure")).to_have_count(4)


def test_programs_of_figures_further_down_come_when_the_page_has_loaded(open_page: Open) -> None:
    page = open_page()
    wait(page, "window.arrived?.length === 2")
    assert page.evaluate("arrived") == [["dial", "loading"], ["gauge", "complete"]]


def test_a_program_that_does_not_arrive_is_said_where_its_figure_would_stand(open_page: Open) -> None:
    page = open_page(without="gauge.js")
    gauge = page.locator("[data-kind=gauge]")
    gauge.scroll_into_view_if_needed()
    expect(gauge).to_have_attribute("data-mounted", "error")
    expect(gauge.get_by_role("status")).to_contain_text("a part of it did not arrive")
    page.locator("[data-kind=dial]").last.scroll_into_view_if_needed()
    expect(page.locator("figure[data-name=dial-3]")).to_be_visible()


@pytest.mark.parametrize("arrives", [True, False])
def test_a_large_value_comes_in_a_file_of_its_own_and_the_figure_waits_for_it(open_page: Open, arrives: bool) -> None:
    page = open_page(apart={"m2": {"words": "words"}}, without="" if arrives else "words.js")
    gauge = page.locator("[data-kind=gauge]")
    gauge.scroll_into_view_if_needed()
    expect(gauge).to_have_attribute("data-mounted", "true" if arrives else "error")
    if arrives:
        expect(page.locator("figure[data-name=gauge] output")).to_have_text("many words")
    else:
        expect(gauge.get_by_role("status")).to_contain_text("a part of it did not arrive")


@pytest.mark.parametrize("how", ["address", "address with a state", "link"])
def test_a_link_past_figures_lands_on_its_target(open_page: Open, how: str) -> None:
    page = open_page({"address": "#end", "address with a state": "#end?gauge.a=1", "link": ""}[how])
    if how == "link":
        wait(page, "window.arrived?.length === 2")
        page.get_by_role("link", name="to the end").click()
    expect(page.locator("figure")).to_have_count(4)  # those before the target have the height that they will have
    page.evaluate(
        """() => new Promise(done => { let last = -1, still = 0; const look = () => {
            still = scrollY === last ? still + 1 : 0; last = scrollY;
            still > 15 ? done(null) : requestAnimationFrame(look); }; look(); })"""
    )
    assert abs(page.evaluate("document.getElementById('end').getBoundingClientRect().top")) < 2
