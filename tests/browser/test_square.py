"""The square in a real browser, with a stand-in for the kernel: by mouse, finger and keyboard, on any screen."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  as everybody writes it, and as the figure's lines of code do
from playwright.sync_api import Page, expect
from torch import Tensor, nn

from gnlib import Grouping, apply, moments, normalize, pool
from gnlib.widgets import Square
from tests.browser.stage import READ, Hands, color, fragment, number, pixels, unit, wait

N, C = 4, 8
POINTS = Grouping.legal(N, C)


def demo(grouping: Grouping = Grouping.everything(), **arguments: Any) -> Square:  # noqa: B008  frozen
    """Four samples of eight channels that differ in mean and spread, in rows as in columns."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(N, C, 6, 5, generator=generator, dtype=torch.float64)
    x = x * torch.linspace(0.4, 1.3, N).view(N, 1, 1, 1) + torch.linspace(-0.9, 1.2, C).view(1, C, 1, 1)
    return Square(x.float(), grouping, **arguments)


class Figure(Hands):
    """A square, and what is particular to it."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.square = self.figure
        self.blocks = self.root.get_by_label("Sample blocks", exact=True)
        self.groups = self.root.get_by_label("Channel groups", exact=True)
        self.ring = self.root.get_by_role("slider", name="Cut the table")
        self.name = self.root.locator(".gn-name")
        self.notice = self.root.locator(".gn-spoil-section .gn-notice")

    @property
    def point(self) -> tuple[int, int]:
        return self.get("sample_blocks"), self.get("channel_groups")

    def go(self, b: int, g: int) -> None:
        """Go to a point, and wait until the figure shows it."""
        self.set(sample_blocks=b, channel_groups=g)
        expect(self.root.locator(".gn-slider-value")).to_have_text([f"b = {b}", f"g = {g}"])

    def cell(self, n: float, c: float) -> tuple[float, float]:
        """The place on the screen at column c and row n of the first table's lattice."""
        box = self.root.locator("canvas.gn-cells").first.bounding_box()
        assert box
        shape = self.square.shape
        return box["x"] + box["width"] * c / shape[1], box["y"] + box["height"] * n / shape[0]


@pytest.fixture
def show(show: Callable[..., Any]) -> Callable[..., list[Figure]]:
    return functools.partial(show, hands=Figure)


# ---------------------------------------------------------------- mouse


def test_the_ring_cuts_right_for_more_groups_and_down_for_more_blocks(show):
    (figure,) = show(demo())
    expect(figure.name).to_have_text("Everything together")
    seen = []
    figure.page.mouse.move(*figure.middle(figure.ring))
    figure.page.mouse.down()
    for row, column in [
        (-0.1, 4),
        (-0.1, 6),
        (-0.1, 7.2),
        (2, 7.2),
        (3.1, 7.2),
        (3.1, 6),
        (3.1, 4),
        (3.1, 0),
        (2, 0),
        (0, 0),
    ]:
        figure.page.mouse.move(*figure.cell(row, column), steps=4)
        seen.append(figure.point)
    figure.page.mouse.up()
    assert seen == [(1, 2), (1, 4), (1, 8), (2, 8), (4, 8), (4, 4), (4, 2), (4, 1), (2, 1), (1, 1)]


@pytest.mark.parametrize(("b", "g"), [(1, 8), (4, 1), (4, 8), (2, 2)])
def test_the_ring_rests_at_the_upper_left_corner_of_the_last_block(show, b: int, g: int):
    (figure,) = show(demo(), reduced_motion="reduce")
    figure.go(b, g)
    x, y = figure.middle(figure.ring)
    corner_x, corner_y = figure.cell(N - N / b if b > 1 else 0, C - C / g if g > 1 else 0)
    assert abs(x - corner_x) < (2 if g > 1 else 25)  # an uncut axis: at the table's edge, a little outside
    assert abs(y - corner_y) < (2 if b > 1 else 25)
    assert x <= corner_x + 15
    assert y <= corner_y + 15


def test_each_dot_moves_one_cut_alone(show):
    (figure,) = show(demo(), reduced_motion="reduce")
    groups, blocks = figure.root.locator(".gn-dot").all()
    figure.drag(groups, figure.cell(0, 4.1))
    assert figure.point == (1, 2)
    figure.drag(blocks, figure.cell(3.1, 0))
    assert figure.point == (4, 2)


def test_the_map_goes_to_the_point_that_is_clicked(show):
    (figure,) = show(demo())
    glyphs = figure.root.locator(".gn-glyph")
    assert glyphs.count() == len(POINTS)
    for (b, g), glyph in zip(POINTS, glyphs.all(), strict=True):
        figure.page.mouse.click(*figure.middle(glyph))
        assert figure.point == (b, g)
    boxes = {point: glyph.bounding_box() for point, glyph in zip(POINTS, glyphs.all(), strict=True)}
    assert boxes[1, 1]["x"] < boxes[1, 8]["x"]  # right: more channel groups
    assert boxes[1, 1]["y"] < boxes[4, 1]["y"]  # down: more sample blocks


def test_the_buttons_go_to_the_four_layers_and_groupnorm_remembers(show):
    (figure,) = show(demo())
    for name, point in [("BatchNorm", (1, 8)), ("LayerNorm", (4, 1)), ("InstanceNorm", (4, 8)), ("GroupNorm", (4, 4))]:
        button = figure.root.get_by_role("button", name=name, exact=True)
        button.click()
        assert figure.point == point
        expect(button).to_have_attribute("aria-pressed", "true")
        expect(figure.name).to_have_text(name)
        assert figure.root.locator(".gn-presets [aria-pressed=true]").count() == 1
    figure.go(4, 2)
    figure.root.get_by_role("button", name="LayerNorm", exact=True).click()
    figure.root.get_by_role("button", name="GroupNorm", exact=True).click()
    assert figure.point == (4, 2)


def test_a_click_picks_the_cell_and_the_value_under_it(show):
    (figure,) = show(demo(), reduced_motion="reduce")
    figure.go(4, 8)
    figure.page.mouse.click(*figure.cell(2.5, 6.5))
    assert (figure.get("sample"), figure.get("channel")) == (2, 6)
    row, column = divmod(figure.get("position"), 5)
    assert (row, column) in {(2, 2), (3, 2)}
    canvas = figure.root.locator(".gn-zoom canvas").first
    canvas.scroll_into_view_if_needed()
    zoom = canvas.bounding_box()
    figure.page.mouse.click(zoom["x"] + zoom["width"] * 0.9, zoom["y"] + zoom["height"] * 0.05)
    assert figure.get("position") == 4


def test_every_change_reaches_the_kernel(show):
    (figure,) = show(demo())
    figure.root.get_by_role("button", name="BatchNorm", exact=True).click()
    assert figure.page.evaluate("models[0].saved") == [{"channel_groups": 8}]


# ---------------------------------------------------------------- finger


def swipe(page: Page, start: tuple[float, float], stops: list[tuple[float, float]]) -> None:
    session = page.context.new_cdp_session(page)

    def touch(kind: str, points: list[dict[str, float]]) -> None:
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", [{"x": start[0], "y": start[1]}])
    at = start
    for stop in stops:
        for i in range(1, 9):
            touch("touchMove", [{"x": at[0] + (stop[0] - at[0]) * i / 8, "y": at[1] + (stop[1] - at[1]) * i / 8}])
        at = stop
    touch("touchEnd", [])


def test_a_finger_drags_the_ring_and_scrolls_everywhere_else(show):
    (figure,) = show(demo(), width=390, height=800, has_touch=True, is_mobile=True)
    figure.ring.scroll_into_view_if_needed()
    figure.page.evaluate("document.querySelector('.gn-table').scrollIntoView()")
    before = figure.page.evaluate("scrollY")
    swipe(figure.page, figure.middle(figure.ring), [figure.cell(0, 7.2), figure.cell(3.2, 7.2)])
    assert figure.point == (4, 8)
    assert figure.page.evaluate("scrollY") == before
    x, y = figure.cell(2.5, 2.5)
    swipe(figure.page, (x, y), [(x, y - 200)])
    wait(figure.page, f"scrollY > {before} + 50")
    assert figure.point == (4, 8)


def test_only_what_is_grabbed_takes_touches_from_the_page(show):
    (figure,) = show(demo(), width=390, has_touch=True)
    taking = figure.root.evaluate(
        """root => [...root.querySelectorAll('*')].filter(e => getComputedStyle(e).touchAction === 'none')
           .map(e => e.className)"""
    )
    assert taking
    assert all("gn-handle" in name for name in taking)


@pytest.mark.parametrize("start", ["the map", "Sample blocks", "Channel groups", "γ of channel 3"])
def test_a_swipe_that_starts_on_a_control_scrolls_and_changes_nothing(show, start: str):
    (figure,) = show(demo(Grouping(2, 4)), width=390, height=800, has_touch=True, is_mobile=True)
    page = figure.page
    figure.fold("γ, β, ε")
    control = figure.root.locator(".gn-map") if start == "the map" else figure.root.get_by_label(start).last
    control.evaluate("e => e.scrollIntoView({ block: 'center' })")
    before = page.evaluate("scrollY")
    box = control.bounding_box()
    x, y = box["x"] + box["width"] * 0.95, box["y"] + box["height"] * 0.6  # far from where the thumb is
    swipe(page, (x, y), [(x, y - 200)])
    wait(page, f"scrollY > {before} + 50")
    assert figure.point == (2, 4)
    assert [w for w in figure.get("weight") if w != 1] == []
    # the thumb is back too
    expect(figure.groups).to_have_value("2")
    expect(figure.blocks).to_have_value("1")


def test_a_finger_still_slides_and_taps_a_slider(show):
    (figure,) = show(demo(), width=390, height=800, has_touch=True, is_mobile=True)
    figure.groups.evaluate("e => e.scrollIntoView({ block: 'center' })")
    box = figure.groups.bounding_box()
    y = box["y"] + box["height"] / 2
    swipe(figure.page, (box["x"] + 10, y), [(box["x"] + box["width"] - 10, y)])
    assert figure.point == (1, 8)
    figure.page.touchscreen.tap(box["x"] + box["width"] * 0.35, y)
    assert figure.point == (1, 2)


def test_a_tap_on_the_map_goes_there(show):
    (figure,) = show(demo(), width=390, has_touch=True)
    glyph = figure.root.locator(".gn-glyph").nth(POINTS.index((4, 2)))
    glyph.scroll_into_view_if_needed()
    figure.page.touchscreen.tap(*figure.middle(glyph))
    assert figure.point == (4, 2)


# ---------------------------------------------------------------- keyboard and screen reader


def test_the_ring_obeys_arrows_home_and_end(show):
    (figure,) = show(demo())
    figure.ring.focus()
    reached = []
    keys = "Right Right Down Left End Right Down Up Home Up Left"
    for key in keys.split():
        figure.page.keyboard.press(key if key in ("Home", "End") else f"Arrow{key}")
        reached.append(figure.point)
    assert reached == [
        (1, 2), (1, 4), (2, 4), (2, 2), (4, 8), (4, 8), (4, 8), (2, 8), (1, 1), (1, 1), (1, 1),
    ]  # fmt: skip
    figure.page.keyboard.press("End")
    expect(figure.ring).to_have_attribute("aria-valuetext", "InstanceNorm: 4 sample blocks, 8 channel groups")
    expect(figure.ring).to_have_attribute("aria-valuenow", str(len(POINTS)))


def test_sliders_stop_only_on_divisors_and_say_what_they_mean(show):
    (figure,) = show(Square(torch.randn(6, 12, 2, 2)))
    figure.groups.focus()
    stops = [figure.point[1]]
    while len(stops) < 7:
        figure.page.keyboard.press("ArrowRight")
        stops.append(figure.point[1])
    assert stops == [1, 2, 3, 4, 6, 12, 12]
    expect(figure.groups).to_have_attribute("aria-valuetext", "12 channel groups, 1 channel per group")
    figure.page.keyboard.press("Home")
    figure.blocks.focus()
    figure.page.keyboard.press("End")
    assert figure.point == (6, 1)
    expect(figure.blocks).to_have_attribute("aria-valuetext", "6 sample blocks, 1 sample per block")
    expect(figure.root.locator(".gn-slider-each")).to_have_text(["1 sample per block", "12 channels per group"])


def test_a_long_stop_stays_within_a_narrow_figure(show):
    (figure,) = show(Square(torch.randn(4096, 2), Grouping.layer_norm()), width=320)
    box = figure.root.bounding_box()
    last = figure.root.locator(".gn-stops span", has_text="4096")
    expect(last).to_have_count(1)
    assert last.bounding_box()["x"] + last.bounding_box()["width"] <= box["x"] + box["width"]


def test_the_worked_block_follows_a_hand_that_keeps_moving_and_ends_where_it_rests(show):
    (figure,) = show(demo(), reduced_motion="reduce")
    seen = figure.page.evaluate(
        """async () => {
            const figure = document.querySelector('figure.gn-figure');
            const slider = figure.querySelectorAll('.gn-slider input')[1], seen = new Set();
            const heading = figure.querySelector('.gn-block-section .gn-heading');
            const put = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set;
            for (let step = 0; step < 2000 && seen.size < 4; step++) {
                put.call(slider, String((step + Math.floor(step / 5)) % 4)); // out of step with the turns
                slider.dispatchEvent(new Event('input', { bubbles: true }));
                await new Promise(requestAnimationFrame);
                seen.add(heading.textContent.match(/of (\\d+)/)[1]);
            }
            put.call(slider, '3');
            slider.dispatchEvent(new Event('input', { bubbles: true }));
            return [...seen].sort();
        }"""
    )
    assert seen == ["1", "2", "4", "8"]
    figure.settle()
    expect(figure.root.locator(".gn-block-section .gn-heading")).to_contain_text("of 8")


def test_arrow_keys_pick_cells(show):
    (figure,) = show(demo(sample_names=["cat", "cup", "astronaut", "flower"]))
    pick = figure.root.get_by_role("slider", name="Picked picture")
    pick.focus()
    figure.page.keyboard.press("ArrowRight")
    figure.page.keyboard.press("ArrowDown")
    assert (figure.get("sample"), figure.get("channel")) == (2, 3)
    expect(pick).to_have_attribute("aria-valuetext", "sample 3 (astronaut), channel 4, in block 1 of 1")
    figure.page.keyboard.press("Home")
    assert (figure.get("sample"), figure.get("channel")) == (0, 0)


def test_arrow_keys_pick_the_value_in_the_cell(show):
    (figure,) = show(demo(position=0))
    value = figure.root.get_by_role("slider", name="Picked value")
    value.focus()
    for key, position in [("Right", 1), ("Down", 6), ("Left", 5), ("Up", 0), ("Up", 0)]:
        figure.page.keyboard.press(f"Arrow{key}")
        assert figure.get("position") == position
    figure.page.keyboard.press("End")
    assert figure.get("position") == 29
    expect(value).to_have_attribute("aria-valuetext", re.compile(r"^x = −?\d+\.\d+, at 6, 5$"))


def test_all_of_it_is_reached_by_the_tab_key_with_a_visible_focus(show):
    (figure,) = show(demo(), reduced_motion="reduce")
    reached = []
    figure.root.get_by_role("button", name="BatchNorm", exact=True).focus()
    for _ in range(40):
        figure.page.keyboard.press("Tab")
        what = figure.page.evaluate(
            """() => { const e = document.activeElement; const style = getComputedStyle(e);
            return e.closest('.gn-figure') && [e.getAttribute('aria-label') ?? (e.labels?.[0] ?? e).textContent,
            style.outlineStyle, parseFloat(style.outlineWidth)]; }"""
        )
        if not what:
            break
        reached.append(what[0])
        assert what[1:] == ["solid", 3], what
    assert reached == [
        "LayerNorm", "InstanceNorm", "GroupNorm", "Picked picture", "Cut the table", "Sample blocks", "Channel groups",
        "Picked value", "Pick it", "Multiply sample 2 by 3", "Multiply channel 3 by 3", " Training",
        "Copy the line of gnlib", "Copy the line of torch", "γ, β, ε and the running averages",
        "Statistics of each block",
    ]  # fmt: skip


def test_a_summary_is_spoken_once_the_hand_rests(show):
    (figure,) = show(demo())
    live = figure.root.locator("[aria-live=polite]").last
    figure.go(4, 2)
    figure.go(1, 8)
    expect(live).to_contain_text("BatchNorm. 8 means and variances × 120 values each.")
    expect(live).to_contain_text("Samples keep their differences.")
    expect(live).to_contain_text("sample 2, channel 3, in block 3 of 8")


# ---------------------------------------------------------------- numbers


def test_the_table_says_what_torch_computes_at_every_point(show):
    generator = torch.Generator().manual_seed(5)
    tensors = [torch.randn(shape, generator=generator) * 3 - 1 for shape in [(4, 8, 6, 5), (6, 9, 4), (3, 7)]]
    for x, figure in zip(tensors, show(*map(Square, tensors), reduced_motion="reduce"), strict=True):
        check_table(figure, x)


def check_table(figure: Figure, x: Tensor) -> None:
    shape, cells = x.shape, moments(x.double())
    for b, g in Grouping.legal(*shape[:2]):
        figure.go(b, g)
        blocks = pool(cells, Grouping(b, g))
        within = pool(cells._replace(mean=cells.mean * 0), Grouping(b, g)).var
        rows = figure.rows()
        assert len(rows) == b * g
        for k, (block, samples, channels, mean, inside, between, variance, count) in enumerate(rows):
            i, j = divmod(k, g)
            assert block.removeprefix("▸ ") == str(k + 1)
            first, last = i * shape[0] // b + 1, (i + 1) * shape[0] // b
            assert samples == (f"{first}–{last}" if first < last else str(first))
            first, last = j * shape[1] // g + 1, (j + 1) * shape[1] // g
            assert channels == (f"{first}–{last}" if first < last else str(first))
            assert int(count.replace(",", "")) == blocks.count[i, j]
            assert abs(number(mean) - blocks.mean[i, j].item()) <= unit(mean) * 1.000001
            assert abs(number(variance) - blocks.var[i, j].item()) <= unit(variance) * 1.000001
            assert abs(number(inside) - within[i, j].item()) <= unit(inside) * 1.000001
            assert abs(number(inside) + number(between) - number(variance)) <= 3.000001 * unit(variance)


def test_the_table_is_a_table(show):
    (figure,) = show(demo())
    figure.go(2, 4)
    fold = figure.fold("Statistics of each block")
    expect(fold.locator("caption")).to_contain_text("8 blocks, 120 values per statistic")
    assert fold.locator("thead th[scope=col]").all_inner_texts() == [
        "Block", "Samples", "Channels", "Mean", "Within", "Between", "Variance", "Values per statistic",
    ]  # fmt: skip
    assert fold.locator("tbody th[scope=row]").count() == 8
    assert fold.locator("tr[aria-current=true] th").inner_text() == "▸ 2"


def test_the_folded_table_is_on_the_page_and_catches_up_once_the_hand_rests(show):
    (figure,) = show(demo())
    folded = figure.root.locator("details:not([open]) tbody tr")
    expect(folded).to_have_count(1)
    figure.go(4, 8)
    assert folded.count() == 1  # a drag does not wait for what nobody sees
    expect(folded).to_have_count(32)


@pytest.mark.parametrize("point", [(1, 1), (1, 8), (4, 1), (4, 4), (2, 2), (4, 8)])
def test_one_value_is_worked_out_with_numbers_that_agree(show, point: tuple[int, int]):
    square = demo(Grouping(*point))
    (figure,) = show(square)
    n, c, p = 3, 5, 17
    figure.set(sample=n, channel=c, position=p)
    expect(figure.root.locator(".gn-block-section .gn-heading")).to_contain_text("share one μ and σ²")
    x = square.x.double()
    y = normalize(x, Grouping(*point))
    expect(figure.root.locator(".gn-zoom p").nth(1)).to_have_text(f"x̂ = {y.flatten(2)[n, c, p]:.2f}".replace("-", "−"))
    text = figure.root.locator(".gn-formulas").inner_text().replace("\n", " ")
    found = [number(t) for t in re.findall(r"−?[\d,]+\.\d+", text)]
    mean, within, between, variance, value, again, variance_again, normalized = found
    b, g = point
    true = pool(moments(x), Grouping(b, g))
    i, j = n * b // N, c * g // C
    assert mean == again == pytest.approx(true.mean[i, j].item(), abs=0.006)
    assert variance == variance_again == pytest.approx(true.var[i, j].item(), abs=0.006)
    assert within + between == pytest.approx(variance, abs=1e-9)
    assert round((value - mean) / math.sqrt(variance + 1e-5), 2) == normalized  # with the numbers as printed
    assert value == pytest.approx(x.flatten(2)[n, c, p].item(), abs=0.006)


def test_the_bar_is_the_whole_variance_and_says_what_share_lies_within(show):
    square = demo()
    (figure,) = show(square, reduced_motion="reduce")
    cells, bar = moments(square.x.double()), figure.root.locator(".gn-parts")
    for b, g in POINTS:
        figure.go(b, g)
        grouping = Grouping(b, g)
        i, j = square.sample * b // N, square.channel * g // C
        within = pool(cells._replace(mean=cells.mean * 0), grouping).var[i, j].item()
        share = within / pool(cells, grouping).var[i, j].item()
        percent = round(100 * share)
        expect(bar).to_have_text(f"bar = σ²: {percent} % within, {100 - percent} % between")
        parts = bar.locator("span").evaluate_all("all => all.map(e => e.getBoundingClientRect().width)")
        assert parts[0] / sum(parts) == pytest.approx(share, abs=0.01)
        whole = bar.locator("p").bounding_box()
        assert sum(parts) == pytest.approx(whole["width"], abs=1)
    figure.go(1, 8)
    figure.root.get_by_label("Evaluation").check()
    expect(bar).to_be_hidden()  # a running variance has no parts


def test_the_verdict_speaks_of_blocks_as_wholes(show):
    (figure,) = show(demo())
    for (b, g), said in {
        (1, 1): "Nothing is cut apart",
        (1, 2): "Each group of 4 channels, over all samples, gets mean 0 and spread 1. Inside, all differences stay.",
        (1, 8): "Each channel, over all samples, gets mean 0 and spread 1. Samples keep their differences.",
        (2, 1): "Each block of 2 samples, as a whole, gets mean 0 and spread 1. Inside, all differences stay.",
        (2, 4): "Each block of 2 samples × 2 channels, as a whole, gets mean 0",
        (2, 8): "In each channel, a block of 2 samples as a whole gets mean 0 and spread 1. Inside, samples keep",
        (4, 1): "Each sample, as a whole, gets mean 0 and spread 1. Channels keep their differences.",
        (4, 4): "In each sample, a group of 2 channels as a whole gets mean 0 and spread 1. Inside, channels keep",
        (4, 8): "Each channel of each sample gets mean 0 and spread 1.",
    }.items():
        figure.go(b, g)
        expect(figure.root.locator(".gn-verdict")).to_contain_text(said)
    figure.set(bias=[0.5] * 8)
    expect(figure.root.locator(".gn-verdict")).to_contain_text("Before γ and β: Each channel of each sample")


def test_statistics_times_values_is_all_values_always(show):
    (figure,) = show(demo())
    for b, g in POINTS:
        figure.go(b, g)
        count, _, each, _, every = figure.root.locator(".gn-product dd").all_inner_texts()
        assert int(count) == b * g
        assert int(count) * int(each) == int(every.replace(",", "")) == 960


@pytest.mark.parametrize("point", [(1, 1), (1, 8), (4, 4), (4, 8)])
def test_the_pictures_have_the_colors_of_the_values(show, point: tuple[int, int]):
    square = demo(Grouping(*point))
    (figure,) = show(square, reduced_motion="reduce")
    figure.set(sample=2, channel=6)
    expect(figure.root.locator(".gn-block-section .gn-heading")).to_contain_text("Block")
    x = square.x.double()
    canvases = figure.root.locator(".gn-zoom canvas").all()
    for canvas, values in zip(canvases, (x, normalize(x, Grouping(*point))), strict=True):
        shown = pixels(canvas)
        rows = ((torch.arange(6) + 0.5) / 6 * shown.shape[0]).long()
        columns = ((torch.arange(5) + 0.5) / 5 * shown.shape[1]).long()
        expected = color(values[2, 6])
        assert (shown[rows][:, columns, :3] - expected).abs().max() <= 2  # one step of the scale


def test_the_whole_table_is_painted_in_those_colors_too(show):
    square = demo(Grouping.instance_norm())
    (figure,) = show(square, reduced_motion="reduce")
    x = square.x.double()
    canvases = figure.root.locator("canvas.gn-cells").all()
    for canvas, values in zip(canvases, (x, normalize(x, Grouping.instance_norm())), strict=True):
        shown = pixels(canvas)
        for n in range(N):
            for c in range(C):
                height, width = shown.shape[0] // N, shown.shape[1] // C
                cell = shown[n * height : (n + 1) * height, c * width : (c + 1) * width].flatten(0, 1)
                mean = cell[cell[:, 3] > 0][:, :3].mean(0)
                expected = color(values[n, c]).flatten(0, 1).mean(0)
                assert (mean - expected).abs().max() < 6, (n, c)  # 6 × 5 places do not fill a picture's pixels evenly


# ---------------------------------------------------------------- code

NAMES = {"torch": torch, "nn": nn, "F": F, "normalize": normalize, "Grouping": Grouping, "apply": apply}


def run_line(line: str, x: Tensor, **names: Any) -> Tensor:
    """Run a line of code as the figure shows it, comment included."""
    scope = {**NAMES, "x": x, **names}
    code, _, comment = (part.strip() for part in line.partition(" # "))
    if comment.startswith("bn = "):
        scope["bn"] = eval(comment.removeprefix("bn = "), scope)
        if isinstance(scope["bn"], nn.Module):
            scope["bn"].double()
    for module in re.findall(r"nn\.\w+\([^()]*\)", code):
        scope["module"] = eval(module, scope).double()
        code = code.replace(module, "module", 1)
    result = eval(code, scope)
    assert isinstance(result, Tensor)
    return result


def test_the_lines_of_code_compute_what_the_figure_shows(show):
    shapes = [(4, 8, 3, 2), (6, 4, 5), (4, 6), (2, 6, 2, 3, 2), (2, 4, 2, 2, 2, 2), (1, 6, 4, 3)]
    generator = torch.Generator().manual_seed(2)
    tensors = [torch.randn(shape, generator=generator, dtype=torch.float64) + 0.5 for shape in shapes]
    figures = show(*map(Square, tensors), reduced_motion="reduce")
    for x, figure in zip(tensors, figures, strict=True):
        for b, g in Grouping.legal(*x.shape[:2]):
            figure.go(b, g)
            lines = figure.root.locator(".gn-code dd:has(code)").evaluate_all("all => all.map(e => e.textContent)")
            assert len(lines) == 2
            for line in lines:
                result = run_line(line, x)
                assert torch.allclose(result, normalize(x, Grouping(b, g)), atol=1e-9), (b, g, line)


def test_a_line_of_code_is_copied_whole(show):
    (figure,) = show(demo(Grouping.ghost_batch_norm(2)))
    figure.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    for library, line in [
        ("gnlib", "normalize(x, Grouping.ghost_batch_norm(2))"),
        ("torch", "torch.cat([bn(part) for part in x.chunk(2)])  # bn = nn.BatchNorm2d(8)"),
    ]:
        button = figure.root.get_by_role("button", name=f"Copy the line of {library}")
        button.click()
        expect(button).to_have_text("Copied")
        assert figure.page.evaluate("navigator.clipboard.readText()") == line


def test_the_lines_follow_epsilon_and_evaluation(show):
    square = demo(eps=0.25)
    x = square.x.double()
    (figure,) = show(square)
    running = {"weight": None, "bias": None}
    for b, g in POINTS:
        figure.go(b, g)
        for line in figure.root.locator(".gn-code code").all_inner_texts():
            comment = figure.root.locator(".gn-code small").all_inner_texts()
            text = line + "".join(f"  {c.strip()}" for c in comment if "bn = " in c and "bn(" in line)
            assert torch.allclose(run_line(text, x), normalize(x, Grouping(b, g), eps=0.25), atol=1e-9), (b, g, text)
    figure.set(evaluating=True)
    for b, g in [(1, 8), (1, 4), (2, 2)]:
        figure.go(b, g)
        gnlib, other = figure.root.locator(".gn-code code").all_inner_texts()
        kept = pool(moments(x), Grouping(1, g))
        mean, var = kept.mean[0], kept.var[0]
        ours = run_line(gnlib, x, running=kept, **running)
        assert torch.allclose(run_line(other, x, mean=mean, var=var), ours, atol=1e-9)


# ---------------------------------------------------------------- spoil it, train and evaluate


def noticing(b: int, g: int, *, sample: bool, channel: bool) -> int:
    """How many cells notice, by theory: all in a block with a spoilt cell, unless the whole block was scaled."""
    cells = set()
    if sample and b < N:
        cells |= {(n, c) for n in range(N) for c in range(C) if n * b // N == 1 * b // N}
    if channel and g < C:
        cells |= {(n, c) for n in range(N) for c in range(C) if c * g // C == 2 * g // C}
    return len(cells)


@pytest.mark.parametrize("what", ["sample", "channel"])
def test_who_notices_is_counted_and_drawn_at_every_point(show, what: str):
    (figure,) = show(demo())
    figure.root.get_by_role(
        "button", name="Multiply sample 2" if what == "sample" else "Multiply channel 3"
    ).last.click()
    for b, g in POINTS:
        figure.go(b, g)
        expected = noticing(b, g, sample=what == "sample", channel=what == "channel")
        if expected:
            expect(figure.notice).to_contain_text(f"{expected} of 32 cells notice")
        else:
            expect(figure.notice).to_contain_text("Nobody notices.")
    inked = figure.root.locator(".gn-glyph").evaluate_all(
        "glyphs => glyphs.map(g => (g.querySelector('.gn-ink').getAttribute('d').match(/M/g) ?? []).length)"
    )
    for (b, g), blocks in zip(POINTS, inked, strict=True):
        expected = noticing(b, g, sample=what == "sample", channel=what == "channel")
        assert blocks * (N // b) * (C // g) == expected, (b, g)


def test_heads_of_rows_and_columns_spoil_too_and_marks_are_shapes(show):
    (figure,) = show(demo(Grouping.batch_norm(), sample_pictures=torch.rand(4, 3, 16, 16)))
    head = figure.root.get_by_role("button", name="Spoil sample 3 ×3", exact=True)
    head.click()
    assert figure.get("spoiled_sample") == 2
    expect(head).to_have_attribute("aria-pressed", "true")
    expect(figure.notice).to_have_text(re.compile("32 of 32 cells notice: 8 spoilt .*and 24 bystanders"))
    own, others = (
        figure.root.locator(f".gn-marks {kind}").get_attribute("d") for kind in (".gn-own", ".gn-bystanders")
    )
    assert own.count("h") == 16  # eight squares
    assert others.count("M") == 24
    head.click()
    assert figure.get("spoiled_sample") is None
    expect(figure.root.locator(".gn-marks")).to_have_count(0)


def test_a_cell_notices_from_the_threshold_on_that_the_figure_names(show):
    square = demo(Grouping.layer_norm())
    (figure,) = show(square)
    figure.set(spoiled_sample=1)
    expect(figure.notice).to_contain_text("A cell notices if its x̂ moves")
    told = figure.notice.inner_text()
    least = float(re.search(r"moves by more than (\d\.\d+) \(root mean square\)", told)[1])
    x = square.x.double()
    spoilt, eps = x.clone(), torch.logspace(-6, 0, 13)  # the larger ε, the less of it σ divides away
    spoilt[1] *= 3
    seen = set()
    for e in eps.tolist():
        figure.set(eps=e)
        moved = normalize(spoilt, Grouping.layer_norm(), eps=e) - normalize(x, Grouping.layer_norm(), eps=e)
        rms = moved.flatten(2).square().mean(-1).sqrt()
        count = int((rms > least).sum())
        expect(figure.notice).to_contain_text(f"{count} of 32 cells notice" if count else "Nobody notices.")
        seen.add(count)
    assert len(seen) > 2  # nobody, some, all


def test_running_averages_come_from_the_batch_before_it_was_spoilt_and_the_figure_says_so(show):
    square = demo(Grouping.batch_norm(), evaluating=True)
    (figure,) = show(square)
    mode = figure.root.locator(".gn-mode-section .gn-notice")
    expect(mode).to_have_text("All use running averages, after 10 steps on this batch.")
    figure.set(spoiled_sample=1)
    expect(mode).to_have_text("All use running averages, after 10 steps on the batch before it was spoilt.")
    expect(figure.fold("γ, β, ε")).to_contain_text("Training steps on the batch before it was spoilt")
    x = square.x.double()
    spoilt = x.clone()
    spoilt[1] *= 3
    layer = nn.BatchNorm2d(C).double()
    for _ in range(10):
        layer(x)
    y = layer.eval()(spoilt)[square.sample, square.channel].flatten()[square.position]
    assert square.sample == 1
    expect(figure.root.locator(".gn-zoom p").nth(1)).to_have_text(f"x̂ = {y:.2f}".replace("-", "−"))


def test_in_evaluation_samples_do_not_see_each_other(show):
    square = demo(Grouping.batch_norm())
    (figure,) = show(square)
    figure.root.get_by_role("button", name="Multiply sample 2 by 3").click()
    figure.root.get_by_label("Evaluation").check()
    assert figure.get("evaluating") is True
    expect(figure.notice).to_have_text(re.compile("8 of 32 cells notice: 8 spoilt .*and 0 bystanders"))
    figure.root.get_by_role("button", name="Multiply sample 2 by 3").click()

    layer = nn.BatchNorm2d(C).double()
    for _ in range(10):
        layer(square.x.double())
    y = layer.eval()(square.x.double())
    n, c, p = 1, 2, square.position
    expected = f"x̂ = {y.flatten(2)[n, c, p]:.2f}".replace("-", "−")
    expect(figure.root.locator(".gn-zoom p").nth(1)).to_have_text(expected)

    figure.go(4, 8)
    assert figure.root.locator(".gn-mode-section fieldset").evaluate("f => f.disabled")
    expect(figure.root.locator(".gn-mode-section .gn-notice")).to_contain_text("training and evaluation are the same")
    expect(figure.root.get_by_label("Training", exact=True)).to_be_checked()


def test_gamma_beta_and_epsilon_change_the_output(show):
    square = demo(Grouping.layer_norm())
    (figure,) = show(square)
    fold = figure.fold("γ, β, ε")
    fold.get_by_label("γ of channel 3").focus()
    figure.page.keyboard.press("Home")
    fold.get_by_label("β of channel 3").focus()
    figure.page.keyboard.press("End")
    weight, bias = torch.ones(C), torch.zeros(C)
    weight[2], bias[2] = -2, 2
    assert figure.get("weight") == weight.tolist()
    assert figure.get("bias") == bias.tolist()
    y = normalize(square.x.double(), Grouping.layer_norm(), weight.double(), bias.double())
    expected = f"y = {y.flatten(2)[1, 2, square.position]:.2f}".replace("-", "−")
    expect(figure.root.locator(".gn-zoom p").nth(1)).to_have_text(expected)
    expect(figure.root.locator(".gn-code code").first).to_have_text("normalize(x, Grouping.layer_norm(), weight, bias)")
    fold.get_by_role("button", name="Back to the defaults").click()
    assert (figure.get("weight"), figure.get("bias"), figure.get("eps")) == ([], [], 1e-5)


def test_the_quietest_channel_is_named_and_what_epsilon_makes_of_it_is_said(show):
    quiet = 5
    x = torch.randn(N, C, 6, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    x[:, quiet] *= 0.004
    (figure,) = show(Square(x, Grouping.batch_norm(), channel=1))
    note = figure.root.locator(".gn-quietest")
    sd = x[:, quiet].std(correction=0).item()
    expect(note).to_contain_text(f"The quietest channel is channel 6: σ = {sd:.3g}")
    expect(note).to_contain_text("ε is next to nothing")
    note.get_by_role("button", name="Pick it").click()
    expect(note).to_contain_text("This is the quietest channel")
    assert figure.get("channel") == quiet
    spread = normalize(x, Grouping.batch_norm())[:, quiet].std(correction=0).item()
    assert spread < 0.9
    expect(note).to_contain_text(f"ε keeps the block’s spread at {spread:.2f}")
    figure.set(sample_blocks=1, channel_groups=1)
    expect(note).to_contain_text("ε is next to nothing")


def test_a_dead_channel_is_called_dead(show):
    x = torch.randn(N, C, 6, 5, generator=torch.Generator().manual_seed(3))
    x[:, 2] = 0.5
    (figure,) = show(Square(x, Grouping.batch_norm(), channel=2))
    expect(figure.root.locator(".gn-quietest")).to_have_text(
        "The quietest channel, channel 3, is dead: all its values are equal, σ = 0. "
        "The block is constant: without ε, 0 would be divided by 0."
    )


# ---------------------------------------------------------------- the address


def test_a_link_reproduces_the_state_and_a_reload_keeps_it(show):
    (figure,) = show(demo(), fragment="#below?square.b=4&square.g=2")
    expect(figure.name).to_have_text("GroupNorm")
    assert figure.point == (4, 2)
    assert figure.page.evaluate("scrollY") > 0  # the anchor before the state still works
    length = figure.page.evaluate("history.length")
    figure.root.get_by_role("button", name="BatchNorm", exact=True).click()
    figure.root.get_by_role("button", name="Multiply sample 2 by 3").click()
    wait(figure.page, "location.hash === '#below?square.b=1&square.g=8&square.bright=2'")
    assert figure.page.evaluate("history.length") == length  # the back button leaves the page, as ever
    figure.page.reload()
    figure.page.wait_for_selector("body[data-ready]")
    assert figure.point == (1, 8)
    assert figure.get("spoiled_sample") == 1
    assert fragment(figure.page) == "#below?square.b=1&square.g=8&square.bright=2"


def test_every_part_of_the_state_survives_a_reload(show):
    (figure,) = show(demo())
    state = {
        "sample_blocks": 2, "channel_groups": 4, "sample": 3, "channel": 7, "position": 29, "spoiled_sample": 0,
        "spoiled_channel": 5, "evaluating": True, "steps": 25, "weight": [1.5, *[1] * 7], "bias": [*[0] * 7, -0.25],
        "eps": 0.1,
    }  # fmt: skip
    figure.set(**state)
    wait(figure.page, "location.hash.includes('square.eps=0.1')")
    figure.page.reload()
    figure.page.wait_for_selector("body[data-ready]")
    assert {name: figure.get(name) for name in state} == state


def test_a_first_state_leaves_the_address_alone_and_plain_anchors_work(show):
    (figure,) = show(demo())
    assert fragment(figure.page) == ""
    figure.go(4, 8)
    wait(figure.page, "location.hash === '#?square.b=4&square.g=8'")
    figure.page.get_by_role("link", name="below").click()
    wait(figure.page, "scrollY > 0")
    assert fragment(figure.page) == "#below"
    assert figure.point == (4, 8)  # an anchor does not undo the reader's work
    figure.page.go_back()
    wait(figure.page, "location.hash === '#?square.b=4&square.g=8'")
    figure.go(1, 1)
    wait(figure.page, "location.hash === ''")


def test_figures_of_one_page_do_not_collide(show):
    first, second = show(
        demo(), demo(Grouping.layer_norm()), fragment="#?square-2.g=4&square-2.b=4&square.b=2&square.g=8"
    )
    assert (first.point, second.point) == ((2, 8), (4, 4))
    second.go(4, 8)
    wait(first.page, "location.hash.includes('square-2.b=4&square-2.g=8')")
    assert "square.b=2&square.g=8" in fragment(first.page)
    assert first.point == (2, 8)
    names = first.page.locator("figure.gn-figure").evaluate_all("all => all.map(f => f.dataset.name)")
    assert names == ["square", "square-2"]


@pytest.mark.parametrize(
    "nonsense", ["b=3&square.g=5", "b=-1&square.n=99", "b=x&square.p=1.5", "gamma=1 2&square.eps=-4", "b=%"]
)
def test_nonsense_in_the_address_is_ignored(show, nonsense: str):
    (figure,) = show(demo(), fragment=f"#?square.{nonsense}")
    assert figure.point == (1, 1)
    expect(figure.name).to_have_text("Everything together")


# ---------------------------------------------------------------- views, ends, homes


def test_two_views_of_one_model_stay_in_step(show):
    first, second = show(demo(), views=[0, 0])
    first.root.get_by_role("button", name="InstanceNorm", exact=True).click()
    expect(second.name).to_have_text("InstanceNorm")
    second.groups.focus()
    second.page.keyboard.press("Home")
    expect(first.name).to_have_text("LayerNorm")


def test_closing_a_view_takes_everything_away(show):
    first, second = show(demo(), views=[0, 0])
    listening = first.page.evaluate("models[0].listening")
    first.page.evaluate("closers[1]()")
    assert first.page.locator("figure.gn-figure").count() == 1
    assert first.page.evaluate("models[0].listening") == listening / 2
    first.page.evaluate("closers[0]()")
    assert first.page.evaluate("models[0].listening") == 0
    assert first.page.locator("main > div.place").evaluate_all("all => all.map(e => e.childElementCount)") == [0, 0]
    first.page.evaluate("location.hash = '#?square.b=4'; models[0].set('channel_groups', 8)")
    wait(first.page, "location.hash === '#?square.b=4'")
    assert second.point == (1, 8)  # nobody listens to the address any more


def test_new_values_from_a_kernel_are_shown(show):
    (figure,) = show(demo(Grouping.everything()), reduced_motion="reduce")
    other = Square(torch.full((4, 8, 6, 5), 7.0))
    figure.set(values=other.values)
    expect(figure.root.locator(".gn-zoom p").first).to_have_text("x = 7.00")


def test_dark_follows_the_page_and_not_only_the_machine(show):
    (figure,) = show(demo())

    def scheme() -> str:
        return figure.root.evaluate("f => getComputedStyle(f).colorScheme")

    assert scheme() == "light"
    for element, attribute, value, expected in [
        ("documentElement", "data-theme", "dark", "dark"),
        ("documentElement", "data-theme", "light", "light"),
        ("documentElement", "theme", "dark", "dark"),
        ("body", "data-jp-theme-light", "false", "dark"),
        ("body", "data-jp-theme-light", "true", "light"),
        ("body", "class", "vscode-dark", "dark"),
        ("body", "class", "vscode-light", "light"),
    ]:
        figure.page.evaluate("([e, a, v]) => document[e].setAttribute(a, v)", [element, attribute, value])
        assert scheme() == expected, (attribute, value)
        figure.page.evaluate("([e, a]) => document[e].removeAttribute(a)", [element, attribute])
    figure.page.emulate_media(color_scheme="dark")
    assert scheme() == "dark"
    figure.page.evaluate("document.documentElement.dataset.theme = 'light'")
    assert scheme() == "light"


def test_an_unknown_language_falls_back_to_english(show):
    (figure,) = show(demo(), lang="xx")
    expect(figure.blocks).to_be_visible()


# ---------------------------------------------------------------- screens


@pytest.mark.parametrize("width", [320, 724, 1304])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_fault_for_axe_and_no_sideways_scroll(show, width: int, dark: bool):
    pictures = torch.rand(4, 3, 16, 16)
    (figure,) = show(
        demo(Grouping.group_norm(4), sample_pictures=pictures), width=width, dark=dark, reduced_motion="reduce"
    )
    figure.fold("Statistics of each block")
    figure.fold("γ, β, ε")
    figure.set(spoiled_sample=1)
    for b, g in [(1, 1), (4, 8)]:
        figure.go(b, g)
        assert figure.watched.axe() == []
        assert figure.watched.overflow() == 0


def test_no_fault_for_axe_in_forced_colors(show):
    (figure,) = show(demo(Grouping.batch_norm()), forced_colors="active", reduced_motion="reduce")
    figure.set(spoiled_sample=1)
    figure.fold("Statistics of each block")
    assert figure.watched.axe() == []
    for handle in figure.root.locator(".gn-ring span, .gn-dot span").all():
        border, ground = handle.evaluate("e => [getComputedStyle(e).borderColor, getComputedStyle(e).backgroundColor]")
        assert border != "rgba(0, 0, 0, 0)" or ground != "rgba(0, 0, 0, 0)"


@pytest.mark.parametrize("width", [320, 724, 1304])
def test_nothing_moves_under_the_finger_when_the_cut_changes(show, width: int):
    (figure,) = show(demo(), width=width, reduced_motion="reduce")
    watched = "canvas.gn-cells, .gn-slider input, .gn-map, .gn-presets, .gn-grid > section, .gn-code-section"

    def places() -> list[list[float]]:
        return figure.root.locator(watched).evaluate_all(
            "all => all.map(e => { const b = e.getBoundingClientRect(); return [b.left, b.top + scrollY, b.width]; })"
        )

    before = places()
    for b, g in POINTS:
        figure.go(b, g)
        for old, new in zip(before, places(), strict=True):
            assert new == pytest.approx(old, abs=1), (b, g)


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_pieces_drift_only_for_those_who_want_motion(show, motion: str):
    (figure,) = show(demo(), reduced_motion=motion)
    frames = figure.page.evaluate(
        """async () => {
          const canvas = document.querySelectorAll('canvas.gn-cells')[1], seen = new Set();
          const look = () => { const d = (READ)(canvas).data;
            let sum = 0; for (let i = 0; i < d.length; i += 97) sum += d[i] * (i % 1009); return sum; };
          seen.add(look());
          models[0].set('channel_groups', 8);
          for (let i = 0; i < 40; i++) { await new Promise(requestAnimationFrame); seen.add(look()); }
          return seen.size; }""".replace("READ", READ)
    )
    assert frames == 2 if motion == "reduce" else frames > 4
    animated = figure.root.evaluate(
        "f => f.getAnimations({ subtree: true }).filter(a => a.playState === 'running').length"
    )
    assert motion != "reduce" or animated == 0


# ---------------------------------------------------------------- every kind of tensor


def kinds() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(7)

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    return {
        "one sample": noise(1, 7, 5, 9),
        "one cell": noise(1, 1, 4, 4),
        "one value": noise(1, 1),
        "prime channels": noise(3, 13, 4, 4),
        "no positions": noise(6, 12) * 40 + 200,
        "a strip": noise(5, 6, 24),
        "a volume": noise(3, 4, 5, 6, 7) * 2e-3,
        "a constant block": torch.cat([torch.ones(1, 4, 3, 3), noise(3, 4, 3, 3)]),
        "all zero": torch.zeros(2, 4, 3, 3),
        "far from zero": noise(4, 4, 3, 3) + 1e6,
        "huge": noise(2, 4, 3, 3) * 1e30,
        "tiny": noise(2, 4, 3, 3) * 1e-30,
        "many channels": noise(2, 256, 4, 4),
        "many samples": noise(256, 3, 2, 2),
    }


@pytest.mark.parametrize("width", [320, 724])
def test_any_tensor_is_shown_at_any_point(show, width: int):
    tensors = kinds()
    figures = show(*map(Square, tensors.values()), width=width, reduced_motion="reduce")
    for (kind, x), figure in zip(tensors.items(), figures, strict=True):
        n, c = x.shape[:2]
        for b, g in [(1, 1), (1, c), (n, 1), (n, c)]:
            figure.go(b, g)
            text = figure.root.inner_text()
            assert "NaN" not in text, kind
            assert "Infinity" not in text, kind
            assert figure.watched.overflow() == 0, kind
        rows = figure.rows()
        assert len(rows) == min(64, n * c), kind
        cells = moments(x.double())
        for row in rows:
            k = int(row[0].removeprefix("▸ ").replace(",", "")) - 1
            assert number(row[3]) == pytest.approx(cells.mean.flatten()[k].item(), rel=0.01, abs=0.006), kind
            assert number(row[6]) == pytest.approx(cells.var.flatten()[k].item(), rel=0.01, abs=0.006), kind


def test_a_block_of_one_value_comes_out_as_zero(show):
    (figure,) = show(Square(torch.randn(4, 6), Grouping.instance_norm()))
    expect(figure.root.locator(".gn-verdict")).to_have_text(
        "A block of one value has no spread: every value comes out as 0."
    )
    expect(figure.root.locator(".gn-zoom p").nth(1)).to_have_text("x̂ = 0.00")


def test_many_blocks_are_shown_some_rows_at_a_time(show):
    (figure,) = show(Square(torch.randn(16, 16, 2, 2), Grouping.instance_norm(), sample=5, channel=0))
    fold = figure.fold("Statistics of each block")
    expect(fold).to_contain_text("Rows 65 to 128 of 256")  # those around the picked block
    fold.get_by_role("button", name="Next rows").click()
    expect(fold).to_contain_text("Rows 129 to 192 of 256")
