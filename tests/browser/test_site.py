"""The built book in a real browser: every page, light and dark, wide and narrow, with everything open that opens."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image, ImageChops
from playwright.sync_api import Page, expect

from tests.browser.conftest import SITE
from tools import check_links

PAGES = sorted(
    path.relative_to(SITE).as_posix()
    for path in SITE.rglob("*.html")
    if path.relative_to(SITE).parts[0] not in ("_static", "_sources")
    and path.relative_to(SITE).as_posix() not in ("index.html", "404.html")  # the one leads on, the other to the web
) or ["run-make-html-first.html"]
CHAPTERS = [page for page in PAGES if (SITE / "notebooks" / f"{Path(page).stem}.ipynb").is_file()]
FIGURES = (
    [page for page in PAGES if 'class="gn-mount"' in (SITE / page).read_text("utf8")]
    if PAGES[0] != "run-make-html-first.html"
    else PAGES
)
WIDTHS = (1280, 360, 320)


def settled(page: Page) -> None:
    """Every figure stands, every font is there, and the reader is at the top again."""
    page.evaluate(
        "document.fonts.ready.then(() => null)"
    )  # no wait_for_function: its polling is eval, which the policy forbids
    for place in page.locator(".gn-mount").all():
        place.scroll_into_view_if_needed()  # a figure starts when the reader comes near
        expect(place).to_have_attribute("data-mounted", "true")
    page.evaluate("scrollTo({top: 0, behavior: 'instant'})")


@pytest.mark.parametrize("width", [1280, 320])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_quiet_and_accessible(
    name: str, dark: bool, width: int, site: Any, watch: Callable[..., Any]
) -> None:
    watched = watch(site.address + name, width=width, dark=dark)
    settled(watched.page)
    assert watched.axe() == []
    for other in (
        width,
        *(other for other in WIDTHS if width < 1280 > other),
    ):  # one layout below 576 px, so axe is asked once
        watched.page.set_viewport_size({"width": other, "height": 900})
        assert watched.overflow() <= 0, other
    assert watched.page.title()
    assert watched.page.locator("html").get_attribute("lang") == "en"
    assert watched.page.locator('meta[name="description"]').get_attribute("content")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_works_from_a_folder(name: str, watch: Callable[..., Any]) -> None:
    watched = watch(f"file://{SITE / name}")
    settled(watched.page)


def test_every_image_says_what_it_shows() -> None:
    for name in PAGES:
        text = re.sub(r"<script.*?</script>", "", (SITE / name).read_text("utf8"), flags=re.DOTALL)
        for image in re.findall(r"<img\b[^>]*>", text):
            alt = re.search(r'\balt="([^"]*)"', image)
            assert alt, f"{name}: {image}"
            assert alt[1].strip(), f"{name}: {image}"
            assert not re.search(r"\.(png|jpg|svg|webp)$|^_images|^\.\./_images", alt[1]), (
                f"{name}: {alt[1]} is a file's name"
            )


def test_every_internal_link_and_anchor_leads_somewhere() -> None:
    assert check_links.faults(SITE) == []


def test_the_front_door_leads_to_the_book(site: Any, watch: Callable[..., Any]) -> None:
    page = watch(site.address).page
    page.wait_for_url(re.compile(r"chapters/index\.html$"))


# ---------------------------------------------------------------------- things that open

OPENS: dict[str, tuple[int, Callable[[Page], Any], str]] = {
    "search": (1280, lambda p: p.locator(".search-button-field").click(), "#pst-search-dialog input"),
    "search by keyboard": (1280, lambda p: p.keyboard.press("Control+k"), "#pst-search-dialog input"),
    "downloads": (
        1280,
        lambda p: p.locator(".dropdown-download-buttons > button").click(),
        ".dropdown-menu.show .dropdown-item",
    ),
    "narrow: chapters": (
        320,
        lambda p: p.locator(".primary-toggle:visible").first.click(),
        "#pst-primary-sidebar-modal .bd-links",
    ),
    "narrow: contents": (
        320,
        lambda p: p.locator(".secondary-toggle:visible").first.click(),
        "#pst-secondary-sidebar-modal .page-toc",
    ),
    "narrow: search": (320, lambda p: p.keyboard.press("Control+k"), "#pst-search-dialog input"),
}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("what", OPENS)
def test_what_opens_is_accessible_and_closes_by_escape(
    what: str, dark: bool, site: Any, watch: Callable[..., Any]
) -> None:
    width, act, seen = OPENS[what]
    watched = watch(site.address + "chapters/index.html", width=width, dark=dark, reduced_motion="reduce")
    settled(watched.page)
    act(watched.page)
    expect(watched.page.locator(seen).first).to_be_visible()
    watched.page.evaluate("Promise.allSettled(document.getAnimations().map(one => one.finished)).then(() => null)")
    assert watched.axe() == []
    assert watched.overflow() <= 0
    watched.page.keyboard.press("Escape")
    expect(watched.page.locator(seen).first).not_to_be_visible()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_running_a_page_is_explained_or_one_click(width: int, dark: bool, site: Any, watch: Callable[..., Any]) -> None:
    watched = watch(site.address + "chapters/group_norm.html", width=width, dark=dark)
    settled(watched.page)
    button = watched.page.locator(".btn-run-button")
    expect(button).to_have_text("Run in Colab")
    if (address := button.get_attribute("href")) is not None:
        assert re.fullmatch(
            r"https://colab\.research\.google\.com/github/[\w.-]+/[\w.-]+/blob/gh-pages/notebooks/group_norm\.ipynb",
            address,
        )
        return
    keyboard = watched.page.keyboard
    button.focus()
    keyboard.press("Enter")
    dialog = watched.page.get_by_role("dialog", name="Run this page in Colab")
    expect(dialog).to_be_visible()
    assert watched.axe("dialog[open]") == []
    assert watched.overflow() <= 0
    with watched.page.expect_download() as started:
        dialog.get_by_role("link", name="this page’s notebook").click()
    assert started.value.suggested_filename == "group_norm.ipynb"
    with watched.page.expect_download() as started:
        dialog.get_by_role("link", name="the book’s library").click()
    assert started.value.suggested_filename.endswith(".whl")
    for close in (lambda: dialog.get_by_role("button", name="Close").click(), lambda: keyboard.press("Escape")):
        expect(dialog).to_be_visible()
        close()
        expect(dialog).not_to_be_visible()
        expect(button).to_be_focused()
        keyboard.press("Enter")


def test_a_phone_has_room_for_the_buttons_that_an_address_adds(site: Any, watch: Callable[..., Any]) -> None:
    watched = watch(site.address + "chapters/group_norm.html", width=320)
    watched.page.evaluate(
        """() => { const one = document.querySelector('.btn-uses-button');
            if (!document.querySelector('.dropdown-source-buttons')) one.after(one.cloneNode(true)); }"""
    )
    assert watched.overflow() <= 0


def test_the_download_of_a_notebook_is_the_portable_one(site: Any, watch: Callable[..., Any]) -> None:
    page = watch(site.address + "chapters/one_core.html").page
    page.locator(".dropdown-download-buttons > button").click()
    with page.expect_download() as started:
        page.locator(".btn-download-notebook-button").click()
    assert Path(started.value.path()).read_bytes() == (SITE / "notebooks" / "one_core.ipynb").read_bytes()


def test_folded_answers_open_by_keyboard_and_are_accessible_open(site: Any, watch: Callable[..., Any]) -> None:
    watched = watch(site.address + "chapters/one_core.html", width=360)
    settled(watched.page)
    answers = watched.page.locator("details.gn-answer")
    assert answers.count() >= 1
    for answer in answers.all():
        expect(answer).not_to_have_attribute("open", re.compile(".*"))
        answer.locator("summary").first.focus()
        watched.page.keyboard.press("Enter")
        expect(answer).to_have_attribute("open", re.compile(".*"))
    assert watched.axe() == []
    assert watched.overflow() <= 0


def test_the_theme_switch_goes_through_light_dark_and_the_systems_own(site: Any, watch: Callable[..., Any]) -> None:
    page = watch(site.address + "chapters/index.html").page
    seen = []
    for _ in range(3):
        page.locator(".theme-switch-button:visible").first.click()
        seen.append(page.locator("html").get_attribute("data-mode"))
    assert sorted(seen) == ["auto", "dark", "light"]


@pytest.mark.parametrize("width", [360, 1280])
def test_what_is_sought_stands_beside_the_magnifier(width: int, site: Any, watch: Callable[..., Any]) -> None:
    page = watch(site.address + "search.html?q=ghost", width=width).page
    field = page.locator("form.bd-search:visible")
    text = field.locator("input").evaluate(
        "one => one.getBoundingClientRect().left + parseFloat(getComputedStyle(one).paddingLeft)"
    )
    icon = field.locator("svg, i").first.bounding_box()
    assert icon
    assert icon["x"] + icon["width"] <= text


def test_search_finds_a_chapter_and_quotes_it(site: Any, watch: Callable[..., Any]) -> None:
    page = watch(site.address + "search.html?q=variance").page
    expect(page.locator("ul.search li a").first).to_be_visible()
    expect(page.locator("ul.search p.context").first).to_be_visible()


@pytest.mark.parametrize(
    ("typed", "page"),
    [
        ("γ", "Notation"),
        ("gamma", "Notation"),
        ("μ", "Batch normalization"),
        ("\N{MICRO SIGN}", "Batch normalization"),
        ("ε", "Notation"),
        ("x̂", "Notation"),
        ("num_groups", "Group normalization"),
        ("GroupNorm", "Group normalization"),
        ("GN", "Group normalization"),
        ("momentum", "Batch normalization"),
        ("unbiased", "Batch normalization"),
        ("normalise", "Why normalize?"),
    ],
)
def test_search_finds_symbols_names_and_spellings(typed: str, page: str, site: Any, watch: Callable[..., Any]) -> None:
    found = watch(f"{site.address}search.html?q={quote(typed)}").page.locator("ul.search a")
    expect(found.get_by_text(page, exact=True).first).to_be_visible()


def test_a_quotation_holds_a_formula_once(site: Any, watch: Callable[..., Any]) -> None:
    page = watch(site.address + "search.html?q=gamma").page
    expect(page.locator("ul.search p.context").first).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert not re.search(r"\\(?:gamma|beta|sigma)", " ".join(page.locator("ul.search p.context").all_inner_texts()))


def test_search_works_from_a_folder(watch: Callable[..., Any]) -> None:
    page = watch(f"file://{SITE / 'search.html'}?q=variance").page
    expect(page.locator("ul.search li a").first).to_be_visible()


def test_the_keyboard_reaches_the_words_first_and_everything_that_scrolls(site: Any, watch: Callable[..., Any]) -> None:
    page = watch(site.address + "chapters/group_norm.html", width=360).page
    settled(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to main content")).to_be_focused()
    unreachable = page.evaluate(
        """() => [...document.querySelectorAll('.bd-article :is(.katex-display, pre, .pst-scrollable-table-container)')]
            .filter(box => box.scrollWidth > box.clientWidth + 1 && getComputedStyle(box).overflowX !== 'visible')
            .filter(box => box.tabIndex < 0).map(box => box.outerHTML.slice(0, 120))"""
    )
    assert unreachable == []


def test_prose_stands_left_of_its_code_and_above_it_on_a_phone(site: Any, watch: Callable[..., Any]) -> None:
    for width, beside in ((1280, True), (1000, True), (800, False), (320, False)):
        page = watch(site.address + "chapters/group_norm.html", width=width).page
        words = page.locator(".gn-beside-words").first.bounding_box()
        code = page.locator(".gn-beside-code").first.bounding_box()
        assert words
        assert code
        assert (code["x"] >= words["x"] + words["width"] - 1) is beside
        assert (code["y"] >= words["y"] + words["height"] - 1) is not beside
        assert code["x"] + code["width"] <= width


def test_80_characters_fit_beside_300_pixels_of_words(site: Any, watch: Callable[..., Any]) -> None:
    page = watch(site.address + "chapters/group_norm.html").page
    inside = """one => one.clientWidth - parseFloat(getComputedStyle(one).paddingLeft)
                           - parseFloat(getComputedStyle(one).paddingRight)"""
    character = """one => {
        const run = document.createElement('span');
        run.textContent = 'x'.repeat(100);
        one.append(run);
        const width = run.getBoundingClientRect().width / 100;
        run.remove();
        return width;
    }"""
    beside = page.locator(".gn-beside-code pre").first
    assert beside.evaluate(inside) >= 80 * beside.evaluate(character)
    assert page.locator(".gn-beside-words").first.evaluate(inside) >= 300
    alone = watch(site.address + "chapters/one_core.html").page.locator(
        "div[class*=literal] pre, .highlight-python pre"
    )
    assert alone.first.evaluate(inside) >= 83 * alone.first.evaluate(character)


@pytest.mark.parametrize("name", CHAPTERS)
def test_the_tables_and_formulas_of_a_text_fit_a_phone(name: str, site: Any, watch: Callable[..., Any]) -> None:
    wide = watch(site.address + name, width=360).page.evaluate(
        """() => [...document.querySelectorAll(".pst-scrollable-table-container, .katex-display")]
            .filter(one => one.scrollWidth > one.clientWidth && !one.closest(".cell_output"))
            .map(one => one.textContent.slice(0, 60))"""
    )
    assert not wide


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("what", "where"),
    [
        (".pst-scrollable-table-container", "results"),
        (".cell_input pre", "group_norm"),
        (".cell_output pre", "group_norm"),
        (".gn-beside pre", "group_norm"),
    ],
)
def test_what_scrolls_sideways_shows_it_until_its_end(
    what: str, where: str, dark: bool, site: Any, watch: Callable[..., Any]
) -> None:
    page = watch(site.address + f"chapters/{where}.html", width=360, dark=dark).page
    settled(page)
    wide = [
        box for box in page.locator(f".bd-article {what}").all() if box.evaluate("b => b.scrollWidth > b.clientWidth")
    ]
    box = wide[0]

    def shade_changes_the_right_edge(to: int) -> bool:
        box.evaluate("(one, to) => one.scrollTo({left: to, behavior: 'instant'})", to)
        pictures = []
        for image in ("", "none"):
            box.evaluate("(one, image) => { one.style.backgroundImage = image }", image)
            place = box.bounding_box()
            assert place
            edge = {"x": place["x"] + place["width"] - 8, "y": place["y"], "width": 8, "height": 20}
            pictures.append(Image.open(io.BytesIO(page.screenshot(clip=edge))).convert("RGB"))
        extrema = ImageChops.difference(*pictures).getextrema()
        return max(most for _, most in extrema) > 16  # of 255; round corners differ by a trace

    box.scroll_into_view_if_needed()
    assert shade_changes_the_right_edge(0)
    assert not shade_changes_the_right_edge(100_000)


@pytest.mark.parametrize("name", PAGES)
def test_every_icon_is_drawn_by_an_icon_font(name: str, site: Any, watch: Callable[..., Any]) -> None:
    page = watch(site.address + name).page
    strangers = page.evaluate(
        """() => [...document.querySelectorAll('*')].flatMap(one => ['::before', '::after'].flatMap(part => {
            const style = getComputedStyle(one, part);
            return /[\ue000-\uf8ff]/.test(style.content) && !style.fontFamily.startsWith('"Font Awesome')
                ? [`${one.outerHTML.slice(0, 90)} ${part}: ${style.fontFamily}`] : [];
        }))"""
    )
    assert strangers == []


def test_no_tip_lies_over_the_dialog_or_stays_on_a_touch_screen(site: Any, watch: Callable[..., Any]) -> None:
    for touch in (False, True):
        page = watch(site.address + "chapters/group_norm.html", width=360, has_touch=touch, is_mobile=touch).page
        settled(page)
        button = page.locator(".btn-run-button")
        if button.get_attribute("href") is not None:
            pytest.skip("this book has an address, and its button is a link")
        if touch:
            button.tap()
        else:
            button.hover()
            expect(page.locator(".tooltip")).to_be_visible()
            button.click()
        expect(page.get_by_role("dialog", name="Run this page in Colab")).to_be_visible()
        expect(page.locator(".tooltip")).to_have_count(1)
        expect(page.locator(".tooltip")).not_to_be_visible()


def test_a_page_prints_its_answers_unfolded(site: Any, watch: Callable[..., Any]) -> None:
    page = watch(site.address + "chapters/one_core.html").page
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details.gn-answer:not([open])").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details.gn-answer[open]").count() == 0


def test_forced_colors_and_no_script_keep_the_words(site: Any, watch: Callable[..., Any]) -> None:
    watched = watch(site.address + "chapters/group_norm.html", forced_colors="active")
    settled(watched.page)
    assert watched.axe() == []
    plain = watch(site.address + "chapters/group_norm.html", java_script_enabled=False)
    expect(plain.page.locator(".gn-mount-note").first).to_contain_text("needs JavaScript")
    expect(plain.page.locator(".katex-html").first).to_be_visible()
    plain.check = lambda: None  # it cannot be asked for CSP events without scripts


# ---------------------------------------------------------------------- figures


def test_the_policy_holds_against_a_script_that_slips_in(site: Any, watch: Callable[..., Any]) -> None:
    watched = watch(site.address + "chapters/index.html")
    watched.page.evaluate(
        """() => {
            const script = document.createElement('script');
            script.textContent = 'window.slipped = true';
            document.head.append(script);
        }"""
    )
    assert watched.page.evaluate("window.slipped") is None
    events = watched.page.evaluate("window.cspEvents.splice(0)")
    assert [event.split()[0] for event in events] == ["script-src-elem"]
    watched.faults.clear()


@pytest.fixture
def broken(tmp_path: Path, serve: Callable[[Path], Any]) -> Callable[..., str]:
    """``broken(edit)`` serves a copy of the book in which ``edit(folder)`` has broken something."""

    def make(edit: Callable[[Path], None]) -> str:
        folder = tmp_path / "html"
        shutil.copytree(SITE, folder)
        edit(folder)
        return str(serve(folder).address)

    return make


def without_modules(folder: Path) -> None:
    for path in (folder / "_static" / "widgets").glob("*.js"):
        path.unlink()


def with_a_module_that_throws(folder: Path) -> None:
    for path in (folder / "_static" / "widgets").glob("*.js"):
        throws = '{default:{render(){throw new Error("no luck")}}}'
        path.write_text(f'(window.anywidgetStatic??=[]).push(["{path.stem}",{throws}]);')


@pytest.mark.parametrize(
    ("edit", "reason"),
    [(without_modules, "a part of it did not arrive"), (with_a_module_that_throws, "no luck")],
    ids=["module missing", "module throws"],
)
def test_a_figure_that_cannot_start_says_so_in_plain_words(
    edit: Callable[[Path], None], reason: str, broken: Callable[..., str], watch: Callable[..., Any]
) -> None:
    watched = watch(broken(edit) + "chapters/index.html")
    place = watched.page.locator(".gn-mount").first
    expect(place).to_have_attribute("data-mounted", "error")
    expect(place.get_by_role("status")).to_contain_text("This figure could not start. Reloading the page may help")
    expect(place.get_by_role("status")).to_contain_text(reason)
    assert watched.axe(".gn-mount") == []
    assert watched.faults  # the console says so too
    watched.faults.clear()


@pytest.mark.parametrize("width", [1280, 800, 360])
@pytest.mark.parametrize("name", FIGURES)
def test_a_page_keeps_room_for_a_figure_that_has_not_started(
    name: str, width: int, site: Any, watch: Callable[..., Any]
) -> None:
    page = watch(site.address + name, width=width).page
    for place in page.locator(".gn-mount").all():
        if place.get_attribute("data-mounted"):
            continue  # it stands in the first screen
        kept = place.evaluate("one => one.offsetHeight")
        place.scroll_into_view_if_needed()
        expect(place).to_have_attribute("data-mounted", "true")
        needed = place.evaluate("one => one.offsetHeight")
        kind = place.get_attribute("data-kind")
        assert abs(kept - needed) <= 0.15 * needed, f"{kind}.css keeps {kept} px, the figure has {needed}"


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("name", FIGURES)
def test_nothing_jumps_when_a_reader_scrolls_past_figures_both_ways(
    name: str, width: int, site: Any, watch: Callable[..., Any]
) -> None:
    page = watch(site.address + name, width=width).page
    page.evaluate(
        """() => { window.jumps = []; new PerformanceObserver(list => list.getEntries().forEach(one => jumps.push(
            [one.value, scrollY, one.sources.map(s => s.node?.className).join()])))
            .observe({type: 'layout-shift', buffered: true}); }"""
    )
    walk = """step => new Promise(done => { const go = () => { const was = scrollY;
        scrollBy({top: step, behavior: 'instant'});
        scrollY === was ? done(null) : setTimeout(() => requestAnimationFrame(go)); }; go(); })"""
    page.evaluate(walk, 400)
    page.evaluate(walk, -400)
    jumps = page.evaluate("jumps")
    assert sum(value for value, *_ in jumps) < 0.1, jumps  # what the web calls good; it is 0 where nothing moves


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("name", FIGURES)
def test_a_link_to_a_section_lands_on_it(name: str, width: int, site: Any, watch: Callable[..., Any]) -> None:
    text = (SITE / name).read_text("utf8")
    for anchor in re.findall(r'<section id="([^"]+)"', text)[2::4]:
        page = watch(f"{site.address}{name}#{anchor}", width=width).page
        page.evaluate(
            """() => new Promise(done => { let last = -1, still = 0; const look = () => {
                still = scrollY === last ? still + 1 : 0; last = scrollY;
                still > 15 ? done(null) : requestAnimationFrame(look); }; look(); })"""
        )
        top, left = page.evaluate(
            """id => [document.getElementById(id).getBoundingClientRect().top,
                document.documentElement.scrollHeight - innerHeight - scrollY]""",
            anchor,
        )
        assert 0 <= top < 120 or (left < 2 and top < 900), (anchor, top)


HOST = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Two views</title>
<script type="application/vnd.anywidget-static+json">{"models":{
 "a":{"esm":"w1","css":null,"state":{"n":1},"buffers":[{"path":["bytes"],"base64":"AQID"}]},
 "b":{"esm":"w1","css":null,"state":{"n":7,"other":"IPY_MODEL_a"}}}}</script></head><body>
<div class="gn-mount" data-model="a"><p>wait</p></div><div class="gn-mount" data-model="a"><p>wait</p></div>
<div class="gn-mount" data-model="b"><p>wait</p></div><div class="gn-mount" data-model="gone"><p>wait</p></div>
<script src="host.js"></script><script src="w1.js"></script></body></html>"""
MODULE = """(window.anywidgetStatic??=[]).push(["w1",{default:async()=>({
 initialize({model}){ window.started = (window.started ?? 0) + 1 },
 render({model, el}){
   const button = document.createElement('button'); el.append(button);
   const draw = () => { button.textContent = model.get('n') + ' ' + (model.get('bytes')?.getUint8(2) ?? '') };
   button.addEventListener('click', () => {
     model.set('n', model.get('n') + 1); model.set('n', model.get('n')); model.save_changes();
   });
   let calls = 0; model.on('change:n', () => { calls++; button.dataset.calls = calls; draw() }); draw();
 }})}]);"""  # fmt: skip


def test_views_of_one_model_stay_in_step_and_others_apart(
    tmp_path: Path, serve: Callable[[Path], Any], watch: Callable[..., Any]
) -> None:
    (tmp_path / "index.html").write_text(HOST)
    (tmp_path / "w1.js").write_text(MODULE)
    shutil.copy(SITE / "_static" / "anywidget-host.js", tmp_path / "host.js")
    watched = watch(serve(tmp_path).address)
    buttons = watched.page.locator("button")
    expect(buttons).to_have_count(3)
    expect(buttons).to_have_text(["1 3", "1 3", "7 "])
    buttons.first.click()
    expect(buttons).to_have_text(["2 3", "2 3", "7 "])
    expect(buttons.nth(1)).to_have_attribute("data-calls", "1")  # setting what is there already tells nobody
    assert watched.page.evaluate("window.started") == 2  # once a model, not once a view
    expect(watched.page.locator(".gn-mount").last).to_contain_text("its data are not in the page")
    watched.faults[:] = [
        fault
        for fault in watched.faults
        if "favicon" not in fault and "its data are not" not in fault and "404" not in fault
    ]
