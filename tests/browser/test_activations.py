"""The activations figure in a real browser: its network against torch's, what no layer sees, on any screen."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from playwright.sync_api import expect
from torch import Tensor

from gnlib import EACH, Grouping, moments, normalize, pool
from gnlib.photo_net import CLASSES, trained
from gnlib.widgets import Activations
from tests.browser.stage import Hands, color, fragment, number, pixels, unit, wait

TABLE, SCORES, LAYERS = "Statistics of each block", "Scores of the ten classes", "The four layers, side by side"
NAMES = {"BatchNorm": (1, "C"), "LayerNorm": ("N", 1), "InstanceNorm": ("N", "C")}
ERASED = 0.01  # the figure's threshold


class Figure(Hands):
    """The figure, and what is particular to it."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.name = self.root.locator(".gn-act-name")
        self.blocks = self.root.get_by_label("Sample blocks", exact=True)
        self.groups = self.root.get_by_label("Channel groups", exact=True)

    def press(self, name: str) -> None:
        self.root.get_by_role("button", name=name, exact=True).click()

    def choose(self, name: str) -> None:
        self.root.get_by_role("radio", name=name, exact=True).check()

    def settled(self) -> None:
        """Wait until the network has spoken."""
        self.settle()
        expect(self.root.locator(".gn-act-bars")).to_have_attribute("aria-busy", "false")

    def scores(self) -> Tensor:
        """The table of scores, (N, 10), as printed."""
        self.settled()
        fold = self.fold(SCORES)
        expect(fold.locator("tbody tr")).to_have_count(len(CLASSES))
        rows = fold.locator("tbody tr").evaluate_all(
            "rows => rows.map(row => [...row.children].map(cell => cell.textContent))"
        )
        assert [row[0].removeprefix("▸ ") for row in rows] == list(CLASSES)
        return torch.tensor([[number(cell.split(" (")[0]) for cell in row[1:]] for row in rows]).T


@pytest.fixture
def show(show: Callable[..., Any]) -> Callable[..., list[Figure]]:
    return functools.partial(show, hands=Figure)


def random_images(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(6))


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize("shape", [(3, 3, 12, 20), (1, 3, 7, 5), (4, 3, 32, 32)], ids=str)
def test_statistics_and_scores_are_those_that_torch_computes(show, shape: tuple[int, ...]):
    square = Activations(random_images(*shape))
    (figure,) = show(square, reduced_motion="reduce")
    for layer, tokens in [(1, False), (2, False), (3, False), (2, True)]:
        figure.set(sample_blocks=1, channel_groups=1, tokens=tokens, layer=layer)
        square.tokens, square.layer = tokens, layer
        x = square.activation.double()
        N, C, H, W = x.shape
        rows = x.permute(0, 2, 3, 1).reshape(-1, C) if tokens else x
        for b, g in {(1, 1), (1, C), (len(rows), 1), (len(rows), 4), (len(rows), C)}:
            figure.set(sample_blocks=b, channel_groups=g)
            square.grouping = Grouping(b, g)
            expect(figure.fold(TABLE).locator("caption")).to_contain_text(f"{b * g:,} block")
            known = pool(moments(rows), Grouping(b, g))
            shown = figure.rows(TABLE)
            assert len(shown) <= 64
            for head, *_, mean, _within, _between, variance, count in shown:
                k = int(head.removeprefix("▸ ").replace(",", "")) - 1
                assert abs(number(mean) - known.mean.flatten()[k].item()) <= unit(mean) + 1e-4
                assert abs(number(variance) - known.var.flatten()[k].item()) <= unit(variance) + 1e-4
                assert int(count.replace(",", "")) == known.count.flatten()[k]
            if len(rows) * H * W > 4 * N or g < C:  # one value a block: 0 on both sides, said below
                assert (figure.scores() - square.scores).abs().max() < 2e-3


def after(net: Any, x: Tensor, layer: int, point: Grouping) -> tuple[Tensor, Tensor]:
    """x̂ of a layer, and the scores, from what comes to its norm."""
    hat = normalize(x, point)
    y = net.norm(x, layer - 1, point, False).relu()
    for index in range(layer, 3):
        C = net.convolutions[index].out_channels
        kind = Grouping(point.samples, C if point.channels == x.shape[1] else point.channels)
        y = net.norm(net.convolutions[index](y), index, kind, False).relu()
    return hat, net.linear(torch.nn.functional.adaptive_avg_pool2d(y, 2).flatten(1))


@pytest.mark.parametrize("tokens", [False, True], ids=["images", "positions"])
@pytest.mark.parametrize("layer", [1, 2])
def test_the_maps_have_the_colors_of_the_normalized_values(show, layer: int, tokens: bool):
    square = Activations(random_images(3, 3, 8, 8), layer=layer, tokens=tokens, sample=2, channel=0)
    (figure,) = show(square, width=1304, reduced_motion="reduce")
    for g in (1, 4):
        square.grouping = Grouping(EACH, g)
        figure.set(sample_blocks=square.sample_blocks, channel_groups=g)
        x = square.activation.double()
        N, C, H, W = x.shape
        rows = x.permute(0, 2, 3, 1).reshape(-1, C) if tokens else x
        hat = normalize(rows, square.grouping)
        hat = (hat.view(N, H, W, C).permute(0, 3, 1, 2) if tokens else hat)[2]  # (C, H, W)
        shown = pixels(figure.root.locator(".gn-act-grid canvas").nth(1))
        across = C // 4  # maps side by side: 4 of 16, 8 of 32
        width, height = (shown.shape[1] + 6) / across, (shown.shape[0] + 6) / 4
        for c in range(C):
            for row, column in [(0, 0), (0, W - 1), (H - 1, 0), (H // 2, W // 2)]:
                down = int(c // across * height + (height - 6) * (row + 0.5) / H)
                right = int(c % across * width + (width - 6) * (column + 0.5) / W)
                expected = color(hat[c, row, column])
                assert (shown[down, right, :3] - expected).abs().max() <= 4, (g, c, row, column)


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (16, 3, 16, 16), (64, 3, 8, 8), (2, 3, 1, 64)], ids=str)
def test_images_of_any_size_and_number_are_shown(show, shape: tuple[int, ...]):
    square = Activations(random_images(*shape))
    (figure,) = show(square, width=360, reduced_motion="reduce")
    for layer, tokens in [(1, False), (2, True), (3, False)]:
        square.tokens, square.layer = tokens, layer
        square.grouping = Grouping(EACH, 4)
        figure.set(tokens=tokens, layer=layer, sample_blocks=square.sample_blocks, channel_groups=4)
        assert (figure.scores() - square.scores).abs().max() < 2e-3
        assert figure.watched.overflow() == 0


@pytest.mark.parametrize("layer", [1, 2, 3])
@pytest.mark.parametrize(("change", "amount"), [("brightness", 1.0), ("contrast", 1.0), ("channel", -1.5)])
def test_what_each_layer_does_not_see_is_measured(show, layer: int, change: str, amount: float):
    square = Activations(layer=layer, change=change, amount=amount, sample=1, channel=2)
    (figure,) = show(square, reduced_motion="reduce")
    table = figure.fold(LAYERS).locator(".gn-act-noticing")
    expect(figure.root.locator(".gn-act-blind .gn-scroll")).to_have_attribute("aria-busy", "false")
    net, x = trained(), square.activation
    N, C = x.shape[:2]
    other = x.clone()
    if change == "brightness":
        other[1] += amount * x.std(unbiased=False)
    elif change == "contrast":
        other[1] *= 2**amount
    else:
        other[:, 2] *= 2**amount
    rows = table.locator("tbody tr").evaluate_all("rows => rows.map(r => [...r.children].map(c => c.textContent))")
    assert len(rows) == 4
    erasing = []
    for name, *cells in rows:
        name = name.removeprefix("▸ ")
        kind = name.partition(",")[0]
        if kind == "GroupNorm":
            point = Grouping(N, int(re.search(r"\d+", name)[0]))
        else:
            b, g = NAMES[kind]
            point = Grouping(N if b == "N" else 1, C if g == "C" else 1)
        (hat, said), (hat_, said_) = after(net, x, layer, point), after(net, other, layer, point)
        of_values = (hat - hat_).square().flatten(1).mean(1)
        of_scores = (said - said_).square().mean(1)
        others = [0, 2, 3]
        known = [of_values[1], of_values[others].mean(), of_scores[1], of_scores[others].mean()]
        for printed, square_ in zip(cells, known, strict=True):
            assert ("erased" in printed) == (square_.sqrt().item() < ERASED), (name, printed, square_.sqrt())
            assert abs(number(printed.replace("erased", "")) - square_.sqrt().item()) < 2e-3, (name, printed)
        if max(known[:2]) < ERASED**2:
            erasing.append(name)
    said = figure.root.locator(".gn-act-erased")
    expect(said).to_have_text(f"Erased in x̂ by {', '.join(erasing)}." if erasing else "No layer erases this in x̂.")


def test_erased_is_what_theory_says(show):
    """A factor is divided away where whole blocks have it: an image's contrast, a channel's strength."""
    (figure,) = show(Activations(change="contrast"), reduced_motion="reduce")
    said = figure.root.locator(".gn-act-erased")
    expect(said).to_have_text("Erased in x̂ by LayerNorm, InstanceNorm, GroupNorm, 4 groups.")
    figure.choose("channel 2: strength (× c, in all images)")
    expect(said).to_have_text("Erased in x̂ by BatchNorm, InstanceNorm.")


def test_positions_as_samples_change_layernorm_and_leave_batchnorm(show):
    (figure,) = show(Activations(grouping=Grouping.batch_norm()), reduced_motion="reduce")
    before = figure.scores()
    figure.choose("a position")
    assert figure.get("tokens") is True
    assert (figure.get("sample_blocks"), figure.get("channel_groups")) == (1, 16)
    assert (figure.scores() - before).abs().max() < 1e-3
    figure.choose("an image")
    figure.press("LayerNorm")
    of_images = figure.scores()
    figure.choose("a position")
    expect(figure.name).to_have_text("LayerNorm")
    assert figure.get("sample_blocks") == 4096
    assert (figure.scores() - of_images).abs().max() > 0.1
    expect(figure.root.locator(".gn-act-samples")).to_contain_text("4,096 samples")


def test_the_bars_are_the_probabilities_and_name_the_likeliest(show):
    square = Activations(grouping=Grouping.group_norm(4))
    (figure,) = show(square)
    figure.settled()
    chances = square.scores.softmax(1)[0]
    texts = figure.root.locator(".gn-act-bars li").all_inner_texts()
    for text, name, chance in zip(texts, CLASSES, chances, strict=True):
        assert text.split("\n")[0] == name
        assert abs(float(text.split("\n")[-1].removesuffix(" %")) - 100 * chance.item()) <= 0.51
    assert figure.root.locator(".gn-act-bars li.gn-on span").first.inner_text() == CLASSES[chances.argmax()]
    expect(figure.root.locator(".gn-act-says")).to_contain_text("Its class: cat.")
    figure.choose("flower")
    expect(figure.root.locator(".gn-act-says")).to_contain_text("None of the ten classes fits this one")


def test_a_block_of_one_value_is_zero_and_says_so(show):
    (figure,) = show(Activations(tokens=True, grouping=Grouping.instance_norm()), reduced_motion="reduce")
    expect(figure.root.locator(".gn-act-verdict")).to_contain_text("every value comes out as 0")
    expect(figure.root.locator(".gn-act-zooms p").nth(1)).to_have_text("x̂ = 0.00")
    scores = figure.scores()
    assert (scores - scores[0]).abs().max() < 1e-6


# ---------------------------------------------------------------- a change


@pytest.mark.parametrize("tokens", [False, True], ids=["images", "positions"])
@pytest.mark.parametrize(("change", "amount"), [("brightness", -1.0), ("contrast", 1.0), ("channel", 2.0)])
def test_the_image_and_the_changed_image_are_called_equal_where_torch_finds_them_equal(
    show, change: str, amount: float, tokens: bool
):
    square = Activations(change=change, amount=amount, sample=1, channel=2, tokens=tokens)
    (figure,) = show(square, reduced_motion="reduce")
    x = square.activation.double()
    N, C, H, W = x.shape
    other = x.clone()
    if change == "brightness":
        other[1] += amount * x.std(correction=0)
    elif change == "contrast":
        other[1] *= 2**amount
    else:
        other[:, 2] *= 2**amount

    def hat(values: Tensor, point: Grouping) -> Tensor:
        rows = values.permute(0, 2, 3, 1).reshape(-1, C) if tokens else values
        y = normalize(rows, point)
        return y.view(N, H, W, C).permute(0, 3, 1, 2) if tokens else y

    pair = figure.root.locator(".gn-act-pair")
    verdicts = []
    for b, g in [(1, 1), (1, C), (N, 1), (N, 4), (N * H * W if tokens else N, 4)]:
        figure.set(sample_blocks=b, channel_groups=g)
        figure.settle()
        expect(pair).to_have_attribute("aria-busy", "false")
        figure.settle()
        before, after = hat(x, Grouping(b, g)), hat(other, Grouping(b, g))
        moved = (after - before).square().flatten(1).mean(1)
        own, others = moved[1].sqrt().item(), moved[[0, 2, 3]].mean().sqrt().item()
        said = pair.locator(".gn-act-equal p").first.inner_text()
        verdicts.append(said.startswith("Equal"))
        assert verdicts[-1] == (max(own, others) < ERASED), (b, g, said)
        assert pair.locator(".gn-act-two > span").nth(1).inner_text() == ("=" if verdicts[-1] else "≠")
        if own >= ERASED:
            assert abs(number(re.search(r"x̂ of cup differs by ([\d.]+\d)", said)[1]) - own) < 2e-3
        # the maps themselves: the picked channel of the picked image, as it is and changed
        for canvas, values in zip(pair.locator("canvas").all()[2:], (before, after), strict=True):
            shown = pixels(canvas)
            for row, column in [(0, 0), (H - 1, 0), (H // 2, W // 2)]:
                down, right = (
                    int(size * (at + 0.5) / H) for size, at in zip(shown.shape[:2], (row, column), strict=True)
                )
                assert (shown[down, right, :3] - color(values[1, 2, row, column])).abs().max() <= 4
    assert len(set(verdicts)) == 2


def test_the_grouping_that_makes_two_images_equal_is_found_beside_them(show):
    (figure,) = show(Activations(change="contrast", grouping=Grouping.batch_norm()), reduced_motion="reduce")
    found = figure.root.locator(".gn-act-equal p").first
    expect(found).to_contain_text("Not equal")
    figure.choose("LayerNorm")
    expect(found).to_have_text("Equal: LayerNorm erases the change.")
    assert (figure.get("sample_blocks"), figure.get("channel_groups")) == (4, 1)
    expect(figure.root.get_by_role("button", name="LayerNorm")).to_have_attribute("aria-pressed", "true")
    figure.press("BatchNorm")
    expect(figure.root.get_by_role("radio", name="BatchNorm")).to_be_checked()


def test_a_change_is_said_beside_the_picture_and_undone_there(show):
    (figure,) = show(Activations(), reduced_motion="reduce")
    undo = figure.root.get_by_role("button", name=re.compile("undo$"))
    expect(undo).to_have_count(0)
    figure.choose("cat: contrast (all its values × c)")
    expect(undo).to_have_text("cat: contrast × 2 · undo")
    expect(figure.root.locator(".gn-act-maps")).to_contain_text("contrast × 2")
    spoken = figure.root.locator("p.gn-sr[aria-live=polite]")
    expect(spoken).to_contain_text("Changed: cat, contrast × 2. Equal: LayerNorm erases the change.")
    undo.press("Enter")
    assert figure.get("change") == "none"
    expect(figure.root.get_by_role("radio", name="nothing")).to_be_focused()  # the button is gone
    expect(undo).to_have_count(0)
    expect(spoken).not_to_contain_text("Changed")


def test_a_change_by_nothing_says_so(show):
    (figure,) = show(Activations(change="brightness", amount=0.0), reduced_motion="reduce")
    expect(figure.root.locator(".gn-act-equal")).to_contain_text("nothing is changed yet")


def test_the_quietest_channel_is_named(show):
    square = Activations(layer=2)
    (figure,) = show(square, reduced_motion="reduce")
    sd = square.activation.double().transpose(0, 1).flatten(1).std(1, correction=0)
    expect(figure.fold(TABLE)).to_contain_text(
        f"Quietest channel over all images: {sd.argmin() + 1}, σ = {sd.min():.2f}; loudest: {sd.argmax() + 1}, σ"
    )


# ---------------------------------------------------------------- hands


def test_dragging_the_groups_walks_from_layernorm_to_instancenorm(show):
    (figure,) = show(Activations(), reduced_motion="reduce")
    expect(figure.name).to_have_text("LayerNorm")
    box = figure.groups.bounding_box()
    y = box["y"] + box["height"] / 2
    figure.page.mouse.move(box["x"] + 10, y)
    figure.page.mouse.down()
    seen = []
    for part in (0.25, 0.5, 0.75, 1.0):
        figure.page.mouse.move(box["x"] + 10 + part * (box["width"] - 20), y, steps=4)
        seen.append(figure.get("channel_groups"))
    figure.page.mouse.up()
    assert seen == [2, 4, 8, 16]
    expect(figure.name).to_have_text("InstanceNorm")


def test_a_click_on_a_map_picks_channel_and_position(show):
    (figure,) = show(Activations(), reduced_motion="reduce")
    canvas = figure.root.locator(".gn-act-maps canvas").nth(1)
    box = canvas.bounding_box()
    figure.page.mouse.click(box["x"] + box["width"] * 0.9, box["y"] + box["height"] * 0.9)
    assert figure.get("channel") == 15
    assert figure.get("position") > 400
    expect(figure.root.locator(".gn-act-one .gn-heading")).to_have_text("Cat, channel 16")


def test_another_layer_keeps_the_kind_of_norm(show):
    (figure,) = show(Activations(grouping=Grouping.instance_norm()))
    figure.choose("3")
    assert (figure.get("layer"), figure.get("sample_blocks"), figure.get("channel_groups")) == (3, 4, 32)
    expect(figure.name).to_have_text("InstanceNorm")
    figure.choose("1")
    assert figure.get("channel_groups") == 16


def test_worked_by_keyboard_alone_with_a_visible_focus(show):
    (figure,) = show(Activations(change="brightness"), reduced_motion="reduce")
    keyboard = figure.page.keyboard
    figure.root.get_by_role("radio", name="cat", exact=True).focus()
    keyboard.press("ArrowRight")
    assert figure.get("sample") == 1
    reached = []
    for _ in range(40):
        keyboard.press("Tab")
        what = figure.page.evaluate(
            """() => { const e = document.activeElement; const style = getComputedStyle(e);
            const label = e.labels?.[0]?.querySelector('span') ?? e.labels?.[0] ?? e;
            const name = e.getAttribute('aria-label') ?? label.textContent;
            return e.closest('.gn-figure') && [name.trim(), style.outlineStyle, parseFloat(style.outlineWidth)]; }"""
        )
        if not what:
            break
        reached.append(what[0])
        assert what[1:] == ["solid", 3], what
    assert reached == [
        "1", "cup: brightness + 1.28 · undo", "Channel groups", "Sample blocks", "LayerNorm", "GroupNorm",
        "InstanceNorm", "BatchNorm", "an image", "cup: brightness (all its values + c)", "c, added to every value",
        "LayerNorm", LAYERS, "Channel", "Picked position", TABLE, SCORES, "How good the network is",
    ]  # fmt: skip
    figure.groups.focus()
    keyboard.press("End")
    expect(figure.groups).to_have_attribute(
        "aria-valuetext", re.compile("16 channel groups, 1 channel per group: Inst")
    )
    figure.root.get_by_role("slider", name="Picked position").focus()
    before = figure.get("position")
    keyboard.press("ArrowDown")
    assert figure.get("position") == before + 32
    figure.root.get_by_label("c, added to every value").focus()
    keyboard.press("Home")
    assert figure.get("amount") == -2


def test_a_summary_is_spoken_once_the_hand_rests(show):
    (figure,) = show(Activations())
    figure.press("InstanceNorm")
    spoken = figure.root.locator("p.gn-sr[aria-live=polite]")
    expect(spoken).to_contain_text("InstanceNorm. Each map of each image gets mean 0 and spread 1")
    expect(spoken).to_contain_text(re.compile(r"Cat: the network says \w+, \d+ %"))


# ---------------------------------------------------------------- address, views, screens


def test_every_part_of_the_state_survives_a_reload(show):
    (figure,) = show(Activations())
    state = {
        "layer": 2, "tokens": True, "sample_blocks": 64, "channel_groups": 8, "sample": 2, "channel": 30,
        "position": 77, "change": "channel", "amount": -0.75,
    }  # fmt: skip
    for trait, value in state.items():
        figure.set(**{trait: value})
    wait(figure.page, "location.hash.includes('activations.amount=-0.75')")
    figure.page.reload()
    figure.page.wait_for_selector("body[data-ready]")
    assert {name: figure.get(name) for name in state} == state


@pytest.mark.parametrize("nonsense", ["layer=9&activations.g=5", "b=3&activations.n=0", "amount=7", "change=x&a=%"])
def test_nonsense_in_the_address_is_ignored(show, nonsense: str):
    (figure,) = show(Activations(), fragment=f"#?activations.{nonsense}")
    expect(figure.name).to_have_text("LayerNorm")
    assert (figure.get("layer"), figure.get("channel_groups"), figure.get("amount")) == (1, 1, 1)


def test_two_views_stay_in_step_and_end_without_a_trace(show):
    first, second = show(Activations(), views=[0, 0])
    first.press("InstanceNorm")
    expect(second.name).to_have_text("InstanceNorm")
    first.page.evaluate("closers[1](); closers[0]()")
    assert first.page.evaluate("models[0].listening") == 0
    assert first.page.locator("figure.gn-figure").count() == 0


def test_a_kernel_is_told_and_may_tell(show):
    (figure,) = show(Activations())
    figure.press("BatchNorm")
    assert figure.page.evaluate("models[0].saved.at(-1)") == {"sample_blocks": 1, "channel_groups": 16}
    figure.set(sample_blocks=4, channel_groups=4, layer=1)
    expect(figure.name).to_have_text("GroupNorm")
    assert fragment(figure.page) == "" or "activations" in fragment(figure.page)


def test_a_phone_folds_what_is_secondary(show):
    (figure,) = show(Activations(), width=360, reduced_motion="reduce")
    slider = figure.root.get_by_role("slider", name="Channel", exact=True)
    expect(slider).to_have_count(0)
    figure.root.locator("summary", has_text="Cat, channel 2").click()
    slider.press("ArrowRight")
    assert figure.get("channel") == 2
    figure.page.set_viewport_size({"width": 1280, "height": 900})
    expect(figure.root.locator("section.gn-act-one")).to_be_visible()


@pytest.mark.parametrize("width", [320, 724, 1304])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_fault_for_axe_and_no_sideways_scroll(show, width: int, dark: bool):
    (figure,) = show(Activations(change="contrast"), width=width, dark=dark, reduced_motion="reduce")
    for fold in (TABLE, SCORES, "How good the network is"):
        figure.fold(fold)
    figure.settled()
    for traits in ({"sample_blocks": 1, "channel_groups": 16}, {"layer": 3}, {"tokens": True}):
        figure.set(**traits)
        figure.settled()
        assert figure.watched.overflow() == 0, traits
    assert figure.watched.axe() == []


def test_no_fault_for_axe_in_forced_colors(show):
    (figure,) = show(Activations(change="channel"), forced_colors="active", reduced_motion="reduce")
    figure.settled()
    assert figure.watched.axe() == []
