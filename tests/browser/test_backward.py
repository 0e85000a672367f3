"""The backward figure in a real browser: its numbers against autograd, by mouse and by keyboard, on any screen."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from playwright.sync_api import expect
from torch import Tensor

from gnlib import Grouping, moments, normalize, pool
from gnlib.widgets import Backward
from tests.browser.stage import Hands, fragment, number, pixels, unit, wait

N, C, S = 4, 4, 3
TABLE, AFFINE, PARAMETERS = "Every number of the block", "Gradients of γ and β", "γ and ε"
POINTS = Grouping.legal(N, C)


def demo(grouping: Grouping = Grouping.group_norm(2), **arguments: Any) -> Backward:  # noqa: B008  frozen
    x = torch.randn(N, C, S, generator=torch.Generator().manual_seed(8), dtype=torch.float64) * 0.7 + 0.4
    return Backward(x.float(), grouping=grouping, **{"sample": 2, "channel": 1, "position": 0, **arguments})


class Figure(Hands):
    """A backward figure, and what is particular to it."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.said = self.root.locator(".gn-said")
        self.why = self.root.locator(".gn-said-why")
        self.ring = self.root.locator(".gn-pull")
        self.blocks = self.root.get_by_label("Sample blocks", exact=True)
        self.groups = self.root.get_by_label("Channel groups", exact=True)
        self.dy = self.root.get_by_label("Its gradient dy")
        self.value = self.root.get_by_label("Its value x")

    def go(self, b: int, g: int) -> None:
        self.set(sample_blocks=b, channel_groups=g)
        expect(self.root.locator(".gn-slider-value")).to_have_text([f"b = {b}", f"g = {g}"])

    def push(self, name: str) -> Any:
        return self.root.get_by_role("button", name=name, exact=True)

    def number(self, row: int) -> str:
        """What stands at the end of a stage for the picked value."""
        return self.root.locator(".gn-stage-number").nth(row).inner_text()

    def as_python(self) -> Backward:
        """The figure's Python side in the state that the browser shows."""
        names = ["sample_blocks", "channel_groups", "push", "changed_gradient", "changed_x", "weight", "eps"]
        self.figure.set_trait("changed_gradient", [])
        for name in names:
            setattr(self.figure, name, self.get(name))
        return self.figure


@pytest.fixture
def show(show: Callable[..., Any]) -> Callable[..., list[Figure]]:
    return functools.partial(show, hands=Figure)


# ---------------------------------------------------------------- numbers


def near(printed: str, exact: float) -> None:
    """The printed number is the exact one, rounded; below the rounding of sums it is 0."""
    shown = number(printed)
    if "·10" in printed:
        assert shown == pytest.approx(exact, rel=0.006, abs=1e-13), printed
    else:
        assert abs(shown - exact) <= unit(printed) * 1.000001, (printed, exact)


def check_block(figure: Figure, x: Tensor, dy: Tensor, weight: Tensor, eps: float) -> None:
    """Every row shown of the table against torch's autograd in float64."""
    b, g = figure.get("sample_blocks"), figure.get("channel_groups")
    n_samples, n_channels = x.shape[:2]
    x = x.double().clone().requires_grad_()
    normalized = normalize(x, Grouping(b, g), eps=eps)
    shape = (1, -1, *[1] * (x.ndim - 2))
    (dx,) = torch.autograd.grad(normalized * weight.view(shape), x, dy.double())
    block = (figure.get("sample") * b // n_samples, figure.get("channel") * g // n_channels)

    def inside(values: Tensor) -> Tensor:
        rows = slice(block[0] * n_samples // b, (block[0] + 1) * n_samples // b)
        columns = slice(block[1] * n_channels // g, (block[1] + 1) * n_channels // g)
        return values.detach().reshape(n_samples, n_channels, -1)[rows, columns].flatten()

    d = inside(dy.double() * weight.view(shape))
    hat = inside(normalized)
    columns = [inside(x), hat, inside(dy.double()), d, d - d.mean(), hat * (d * hat).mean(), inside(dx)]
    rows = figure.rows(TABLE)
    assert len(rows) == min(24, d.numel()) or d.numel() > 24
    size = x[0, 0].numel()
    for head, *cells in rows:
        place = [int(part) - 1 for part in head.removeprefix("▸ ").replace(",", " ").split()]
        n, c = place[:2]
        p = place[2] if len(place) > 2 else 0
        k = (n - block[0] * n_samples // b) * (n_channels // g) + c - block[1] * n_channels // g
        for printed, known in zip(cells, columns, strict=True):
            near(printed, known[k * size + p].item())


def shapes() -> list[tuple[int, ...]]:
    return [(1, 1), (2, 1, 5), (4, 6, 2, 3), (3, 7), (16, 64), (1, 8, 4, 4)]


@pytest.mark.parametrize("shape", shapes(), ids=str)
def test_the_table_says_what_autograd_computes(show, shape: tuple[int, ...]):
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(shape, generator=generator) * 3 - 1
    grad = torch.randn(shape, generator=generator)
    weight = torch.randn(shape[1], generator=generator).double()
    (figure,) = show(Backward(x, grad, weight=weight.tolist()), reduced_motion="reduce")
    n, c = shape[:2]
    for b, g in {(1, 1), (1, c), (n, 1), (n, c), *Grouping.legal(n, c)[1:-1:4]}:
        figure.go(b, g)
        figure.set(sample=n - 1, channel=c // 2)
        for eps in (1e-5, 0.25):
            figure.set(eps=eps)
            expect(figure.fold(TABLE).locator("caption")).to_contain_text(
                f"of {b * g:,}: {n * c * x[0, 0].numel() // (b * g):,} value"
            )
            check_block(figure, x, grad, weight, eps)


def test_numbers_follow_the_reader_and_python_reads_the_same(show):
    (figure,) = show(demo(), reduced_motion="reduce")
    place = (2 * C + 1) * S
    for traits in [
        {"changed_gradient": [[place, -0.8], [place + 1, 0.35]]},
        {"changed_x": [[place, 2.25]]},
        {"weight": [1.0, -0.5, 2.0, 1.0]},
        {"push": "along"},
        {"push": "alike", "sample_blocks": 1, "channel_groups": 4},
        {"eps": 0.5},
    ]:
        figure.set(**traits)
        model = figure.as_python()
        figure.fold(TABLE)
        check_block(
            figure, model.activation, model.output_gradient, torch.tensor(model.weight or [1.0] * C).double(), model.eps
        )
        dx = model.input_gradient.flatten()[place].item()
        assert abs(number(figure.number(3)) - dx) <= unit(figure.number(3)) * 1.000001


@pytest.mark.parametrize("point", [(1, 4), (4, 1), (2, 2)])
def test_gradients_of_gamma_and_beta_are_autograds(show, point: tuple[int, int]):
    generator = torch.Generator().manual_seed(6)
    x, grad = torch.randn(4, 4, 5, generator=generator), torch.randn(4, 4, 5, generator=generator)
    (figure,) = show(Backward(x, grad, Grouping(*point)), reduced_motion="reduce")
    weight, bias = torch.ones(4, dtype=torch.float64), torch.zeros(4, dtype=torch.float64)
    y = normalize(x.double(), Grouping(*point), weight.requires_grad_(), bias.requires_grad_())
    known = torch.autograd.grad(y, [weight, bias], grad.double())
    rows = figure.rows(AFFINE)
    assert len(rows) == 4
    for c, (_, gamma, of_weight, of_bias) in enumerate(rows):
        assert gamma == "1.00"
        near(of_weight, known[0][c].item())
        near(of_bias, known[1][c].item())


def test_the_two_sums_are_zero_but_for_what_epsilon_leaves(show):
    (figure,) = show(demo(), reduced_motion="reduce")
    sums = figure.root.locator(".gn-sums dd:not(.gn-note)")
    for eps in [1e-5, 0.1, 0.0]:
        figure.set(eps=eps)
        model = figure.as_python()
        block = (slice(2, 3), slice(0, 2))
        hat = normalize(model.activation, model.grouping, eps=eps)[block]
        along = (model.input_gradient[block] * hat).sum().item()
        expect(sums.first).to_have_text("0, up to rounding")
        if eps == 0:
            expect(sums.last).to_have_text("0, up to rounding")
            continue
        d = model.output_gradient[block]
        variance = pool(moments(model.activation), model.grouping).var[2, 0].item()
        left = (d * hat).sum().item() / math.sqrt(variance + eps) * eps / (variance + eps)
        assert along == pytest.approx(left, rel=1e-9)
        expect(figure.root.locator(".gn-sums .gn-note").last).to_contain_text("what ε leaves")
        assert number(sums.last.inner_text()) == pytest.approx(left, rel=1e-3)


def test_the_shares_are_of_the_whole_push(show):
    (figure,) = show(demo(eps=0.0), reduced_motion="reduce")
    hat = normalize(figure.figure.activation, Grouping.group_norm(2), eps=0.0)[2, :2].flatten()
    taken = 1 / 6, hat[3].item() ** 2 / 6  # of a push of one value
    for kind, share in zip(("alike", "along", "through"), (*taken, 1 - sum(taken)), strict=True):
        name = {"alike": "the mean takes", "along": "x̂ takes", "through": "comes through"}[kind]
        said = figure.root.locator(".gn-share-names > div", has_text=name).locator("dd").inner_text()
        assert float(said.removesuffix(" %")) == pytest.approx(100 * share, abs=0.51)
        width = figure.root.locator(f".gn-share-bar .gn-share-{kind}").bounding_box()["width"]
        whole = figure.root.locator(".gn-share-bar").bounding_box()["width"]
        assert width / whole == pytest.approx(share, abs=0.01)


def test_the_table_is_a_table(show):
    (figure,) = show(demo())
    fold = figure.fold(TABLE)
    model = figure.figure
    cell = pool(moments(model.x.double()), model.grouping)
    expect(fold.locator("caption")).to_contain_text("Block 5 of 8: 6 values.")
    caption = fold.locator("caption").inner_text()
    found = dict(re.findall(r"(μ|σ²|√\(σ² \+ ε\)|mean of γ dy|mean of γ dy · x̂) = (−?[\d.]+)", caption))
    near(found["μ"], cell.mean[2, 0].item())
    near(found["σ²"], cell.var[2, 0].item())
    near(found["√(σ² + ε)"], math.sqrt(cell.var[2, 0].item() + 1e-5))
    near(found["mean of γ dy"], 1 / 6)
    assert fold.locator("thead th[scope=col]").all_inner_texts() == [
        "Sample, channel, position", "x", "x̂", "dy", "γ dy", "γ dy − mean", "part along x̂", "dx",
    ]  # fmt: skip
    assert fold.locator("tbody th[scope=row]").count() == 6
    assert fold.locator("tr[aria-current=true] th").inner_text() == "▸ 3, 2, 1"


# ---------------------------------------------------------------- who moves


@pytest.mark.parametrize("point", POINTS)
def test_one_push_moves_exactly_its_block(show, point: tuple[int, int]):
    (figure,) = show(demo(Grouping(*point)), reduced_motion="reduce")
    b, g = point
    size = N * C * S // (b * g)
    expect(figure.said).to_have_text(f"One value is pushed, {size} gradients move.")
    outside = N * C * S - size
    expect(figure.why).to_contain_text(f"the other {outside} stand still" if outside else "there is no other")
    canvas = figure.root.locator(".gn-moved canvas")
    shown = pixels(canvas)
    blue = (shown[..., 2] - shown[..., 0] > 60) & (shown[..., 3] > 20)
    grey = (shown[..., 2] - shown[..., 0] < 20) & (shown[..., 3] > 20)
    total = blue.sum() + grey.sum()
    assert blue.sum().item() / total.item() == pytest.approx(1 / (b * g), abs=0.02)
    rows, columns = torch.nonzero(blue, as_tuple=True)
    frame = figure.root.locator(".gn-moved-block").bounding_box()
    box = canvas.bounding_box()
    scale = shown.shape[1] / box["width"]
    assert columns.min().item() / scale == pytest.approx(frame["x"] + 3 - box["x"], abs=2)
    assert columns.max().item() / scale == pytest.approx(frame["x"] + frame["width"] - 3 - box["x"], abs=2)
    assert rows.min().item() / scale == pytest.approx(frame["y"] + 3 - box["y"], abs=2)
    assert rows.max().item() / scale == pytest.approx(frame["y"] + frame["height"] - 3 - box["y"], abs=2)


def test_all_alike_and_along_the_normalized_values_come_out_as_nothing(show):
    (figure,) = show(demo())
    figure.push("All alike").click()
    expect(figure.said).to_have_text("Push all alike: nothing comes through.")
    expect(figure.push("All alike")).to_have_attribute("aria-pressed", "true")
    assert figure.root.locator(".gn-share-names dd").all_inner_texts() == ["100 %", "0 %", "0 %"]
    figure.push("Along x̂").click()
    expect(figure.said).to_have_text("Push along x̂: only what ε lets pass.")
    most = figure.as_python().input_gradient.abs().max().item()
    assert number(re.search(r"largest gradient is (.*)\.", figure.why.inner_text())[1]) == pytest.approx(most, rel=1e-3)
    figure.set(eps=0.0)
    expect(figure.said).to_have_text("Push along x̂: nothing comes through.")
    assert figure.number(3) == "0.00"
    figure.push("One value").click()
    expect(figure.said).to_have_text("One value is pushed, 6 gradients move.")
    assert figure.get("changed_gradient") == [[27, 1]]


def test_a_block_of_one_value_and_a_constant_one_say_so(show):
    (figure,) = show(Backward(torch.randn(4, 6), grouping=Grouping.instance_norm()))
    expect(figure.said).to_have_text("A block of one value: its gradient is always 0.")
    assert figure.number(3) == "0.00"
    figure.go(4, 1)
    expect(figure.said).to_have_text("One value is pushed, 6 gradients move.")
    (figure,) = show(Backward(torch.full((2, 4), 7.0)))
    expect(figure.why).to_contain_text("ε alone stands under the root, and dx is 316 ×")
    assert number(figure.number(3)) == pytest.approx(0.75 / math.sqrt(1e-5), abs=0.01)
    figure.set(eps=0.0)
    expect(figure.said).to_have_text("A constant block without ε: 0 / 0.")
    assert "NaN" not in figure.root.inner_text()


def test_a_given_gradient_is_shown_and_the_map_shows_what_the_hand_moved(show):
    generator = torch.Generator().manual_seed(2)
    x, grad = torch.randn(N, C, S, generator=generator), torch.randn(N, C, S, generator=generator) * 0.01
    (figure,) = show(Backward(x, grad, Grouping.batch_norm()), reduced_motion="reduce")
    expect(figure.said).to_have_text("The gradient as it was given.")
    canvas = figure.root.locator(".gn-moved canvas")

    def lit() -> float:
        shown = pixels(canvas)
        blue = (shown[..., 2] - shown[..., 0] > 60) & (shown[..., 3] > 20)
        return blue.sum().item() / (shown[..., 3] > 20).sum().item()

    assert lit() == 0
    figure.dy.focus()
    figure.page.keyboard.press("ArrowRight")
    expect(figure.said).to_have_text("One value is changed, 12 gradients move.")
    assert lit() == pytest.approx(0.25, abs=0.02)
    figure.root.get_by_role("button", name="Undo all").click()
    expect(figure.said).to_have_text("The gradient as it was given.")
    assert (figure.get("push"), figure.get("changed_gradient")) == ("given", [])


# ---------------------------------------------------------------- mouse and finger


def test_the_ring_pulls_the_gradient_of_the_picked_value(show):
    (figure,) = show(demo(), reduced_motion="reduce")
    x, y = figure.middle(figure.ring)
    figure.drag(figure.ring, (x, y + 60))
    ((place, value),) = figure.get("changed_gradient")
    assert place == (2 * C + 1) * S
    plot = figure.root.locator(".gn-stage-plot").nth(1).bounding_box()
    per_pixel = 2 * 1.2 / (plot["height"] - 12)
    assert value == pytest.approx(1 - 60 * per_pixel, abs=0.06)
    assert figure.middle(figure.ring)[1] == pytest.approx(y + 60, abs=3)
    assert figure.page.evaluate("models[0].saved.length") > 3  # and the kernel hears of every step


def test_a_mouse_drags_any_value_and_a_click_only_picks(show):
    (figure,) = show(demo(), reduced_motion="reduce")
    for row, trait in [(1, "changed_gradient"), (0, "changed_x")]:
        plot = figure.root.locator(".gn-stage-plot").nth(row)
        box = plot.bounding_box()
        step = (box["width"] - 46) / 6
        x, y = box["x"] + 46 + step * 5.5, box["y"] + box["height"] * 0.3
        before = figure.get(trait)
        figure.page.mouse.click(x, y)
        assert (figure.get("sample"), figure.get("channel"), figure.get("position")) == (2, 1, 2)
        assert figure.get(trait) == before
        figure.page.mouse.move(x - step * 4, y)
        figure.page.mouse.down()
        figure.page.mouse.move(x - step * 4, y + 12, steps=4)
        figure.page.mouse.up()
        assert (figure.get("channel"), figure.get("position")) == (0, 1)
        assert (2 * C * S + 1) in dict(figure.get(trait))
    expect(figure.said).to_have_text("2 values are pushed, 6 gradients move.")


def test_a_click_in_the_table_picks_the_value_under_it(show):
    (figure,) = show(demo(Grouping.instance_norm()), reduced_motion="reduce")
    box = figure.root.locator(".gn-moved canvas").bounding_box()
    figure.page.mouse.click(box["x"] + box["width"] * 3.75 / 4, box["y"] + box["height"] * 0.5 / 4)
    assert (figure.get("sample"), figure.get("channel"), figure.get("position")) == (0, 3, 2)
    expect(figure.root.locator(".gn-picked-value .gn-heading")).to_have_text("Sample 1, channel 4, position 3")
    expect(figure.root.locator(".gn-stage-cells span")).to_have_text(["sample 1, channel 4"])


def test_only_what_is_grabbed_takes_touches_from_the_page(show):
    (figure,) = show(demo(), width=390, has_touch=True)
    taking = figure.root.evaluate(
        """root => [...root.querySelectorAll('*')].filter(e => getComputedStyle(e).touchAction === 'none')
           .map(e => e.className)"""
    )
    assert len(taking) == 3
    assert all("gn-handle" in name for name in taking)


# ---------------------------------------------------------------- the weights in front


def plane(figure: Figure) -> dict[str, str]:
    rows = figure.root.locator(".gn-plane-numbers > div").evaluate_all(
        "rows => rows.map(row => [...row.children].map(cell => cell.textContent))"
    )
    return dict(rows)


INPUTS = [[-1.2, 0.4], [-0.7, -0.9], [-0.3, 1.1], [0.1, -0.4], [0.4, 0.8], [0.8, -1.2], [1.1, 0.5], [-0.2, -0.3]]
TARGETS = [-1, -1, 1, -1, 1, 1, 1, -1]


def neuron(w: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Loss and gradient by torch's own BatchNorm."""
    w = w.double().clone().requires_grad_()
    z = torch.tensor(INPUTS).double() @ w
    normalized = torch.nn.functional.batch_norm(z[:, None], None, None, training=True, eps=eps)[:, 0]
    loss = 0.5 * (normalized - torch.tensor(TARGETS)).square().mean()
    (gradient,) = torch.autograd.grad(loss, w)
    return loss.detach(), gradient


@pytest.mark.parametrize("width", [320, 1304])
def test_the_shade_is_the_loss_in_every_direction(show, width: int):
    (figure,) = show(demo(), width=width)
    shade = pixels(figure.root.locator(".gn-plane-picture canvas"))[..., 3]  # 10 to 130 in nine bands
    side = shade.shape[0]
    assert shade.shape == (side, side)
    ways = torch.arange(0, 360, 15) * math.pi / 180
    directions = torch.stack([ways.cos(), ways.sin()], 1)
    losses = torch.stack([neuron(w, 1e-5)[0] for w in directions])
    low, high = 0.1785, 1.8215  # at 30° and −150°, the best and the worst direction
    assert losses.min().item() == pytest.approx(low, abs=1e-3)
    for length in (0.3, 0.6, 0.95):
        places = (directions * length * side / 2).round().long()
        seen = shade[side // 2 - places[:, 1], side // 2 + places[:, 0]]
        bands = (losses - low) / (high - low) * 9
        assert ((seen - 10) / 15 - (bands - 0.5)).abs().max() < 0.8  # a band, and the pixel's own width


@pytest.mark.parametrize(("w", "eps"), [([0.5, -0.8], 1e-5), ([-1.5, 1.25], 1e-5), ([0.3, 0.4], 0.1)])
def test_the_plane_says_what_autograd_computes(show, w: list[float], eps: float):
    (figure,) = show(demo(eps=eps, w=w, rate=0.7))
    loss, gradient = neuron(torch.tensor(w), eps)
    said = plane(figure)
    near(said["loss"], loss.item())
    near(said["|∇L|"], gradient.norm().item())
    along = (gradient @ torch.tensor(w).double()).item()
    assert number(said["w · ∇L"].removesuffix("what ε leaves")) == pytest.approx(along, rel=1e-3)
    to = torch.tensor(w).double() - 0.7 * gradient
    near(said["|w| after the step"].split(" = ")[1], to.norm().item())
    cosine = (to @ torch.tensor(w).double() / to.norm() / torch.tensor(w).double().norm()).item()
    assert float(said["turned by"].removesuffix("°")) == pytest.approx(math.degrees(math.acos(cosine)), abs=0.06)
    formula = said["|w| after the step"].split(" = ")[0]
    inner = re.fullmatch(r"√\(([\d.]+)² \+ ([\d.]+)²(?: ([−+]) ([\d.]+))?\)", formula)
    lean = float(inner[4]) * (1 if inner[3] == "+" else -1) if inner[4] else 0
    assert math.sqrt(float(inner[1]) ** 2 + float(inner[2]) ** 2 + lean) == pytest.approx(to.norm().item(), abs=2e-3)


def test_steps_make_the_weights_longer_and_each_turns_them_less(show):
    (figure,) = show(demo())
    lengths, turns = [], []
    for _ in range(4):
        said = plane(figure)
        lengths.append(float(said["|w|"]))
        turns.append(float(said["turned by"].removesuffix("°")))
        figure.root.get_by_role("button", name="Take a step").click()
        _, gradient = neuron(torch.tensor(figure.get("w")), 1e-5)
        expect(figure.root.locator(".gn-plane-numbers dd").nth(2)).to_have_text(f"{gradient.norm().item():.3f}")
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1]
    assert turns == sorted(turns, reverse=True)
    figure.root.get_by_role("button", name="Back to the start").click()
    assert figure.get("w") == [0.5, -0.8]


def test_the_tip_is_dragged_and_its_sliders_turn_and_stretch(show):
    (figure,) = show(demo(), reduced_motion="reduce")
    tip = figure.root.locator(".gn-tip")
    tip.scroll_into_view_if_needed()
    picture = figure.root.locator(".gn-plane-picture svg").bounding_box()
    middle = picture["x"] + picture["width"] / 2, picture["y"] + picture["height"] / 2
    figure.drag(tip, (middle[0] - 58, middle[1]))
    length = 58 / (picture["width"] / 2 / 2.6)
    assert figure.get("w") == pytest.approx([-length, 0], abs=0.03)
    loss = plane(figure)["loss"]
    figure.root.get_by_label("Length of w").focus()
    figure.page.keyboard.press("End")
    assert math.hypot(*figure.get("w")) == pytest.approx(2.5, abs=1e-5)
    assert plane(figure)["loss"] == loss  # the loss knows no length
    figure.root.get_by_label("Direction of w").focus()
    figure.page.keyboard.press("Home")
    figure.page.keyboard.press("ArrowRight")
    assert figure.get("w") == pytest.approx(
        [2.5 * math.cos(math.radians(-179)), 2.5 * math.sin(math.radians(-179))], abs=1e-4
    )


# ---------------------------------------------------------------- keyboard and screen reader


def test_all_of_it_is_reached_by_the_tab_key_with_a_visible_focus(show):
    (figure,) = show(demo(), reduced_motion="reduce")
    reached = []
    figure.push("One value").focus()
    for _ in range(40):
        figure.page.keyboard.press("Tab")
        what = figure.page.evaluate(
            """() => { const e = document.activeElement; const style = getComputedStyle(e);
            const name = e.getAttribute('aria-label') ?? (e.labels?.[0]?.querySelector('span') ?? e).textContent;
            return e.closest('.gn-figure') && [name, style.outlineStyle, parseFloat(style.outlineWidth)]; }"""
        )
        if not what:
            break
        reached.append(what[0])
        assert what[1:] == ["solid", 3], what
    assert reached == [
        "All alike", "Along x̂", "Which value", "Its gradient dy", "Its value x", "Picked value", "Sample blocks",
        "Channel groups", "Take a step", "Back to the start", "Direction of w", "Length of w", "Step size η",
        PARAMETERS, TABLE, AFFINE,
    ]  # fmt: skip


def test_worked_by_keyboard_alone(show):
    (figure,) = show(demo(), reduced_motion="reduce")
    keyboard = figure.page.keyboard
    figure.root.get_by_label("Which value").focus()
    keyboard.press("End")
    assert (figure.get("channel"), figure.get("position")) == (1, 2)
    keyboard.press("Tab")
    expect(figure.dy).to_be_focused()
    keyboard.press("ArrowRight")
    keyboard.press("ArrowRight")
    place = (2 * C + 1) * S
    assert figure.get("changed_gradient") == [[place, 1], [place + 2, 0.1]]
    keyboard.press("Tab")
    before = figure.figure.x.flatten()[place + 2].item()
    keyboard.press("End")
    ((at, value),) = figure.get("changed_x")
    assert at == place + 2
    assert value > before
    keyboard.press("Tab")
    pick = figure.root.get_by_role("slider", name="Picked value")
    keyboard.press("Shift+Tab")
    pick.focus()
    for key, where in [
        ("ArrowRight", (2, 2, 0)),
        ("ArrowUp", (1, 2, 0)),
        ("ArrowLeft", (1, 1, 2)),
        ("Home", (0, 0, 0)),
        ("ArrowLeft", (0, 0, 0)),
        ("End", (3, 3, 2)),
    ]:
        keyboard.press(key)
        assert tuple(figure.get(axis) for axis in ("sample", "channel", "position")) == where
    expect(pick).to_have_attribute("aria-valuetext", "Sample 4, channel 4, position 3, in block 8 of 8")
    figure.blocks.focus()
    keyboard.press("Home")
    assert (figure.get("sample_blocks"), figure.get("channel_groups")) == (1, 2)
    expect(figure.blocks).to_have_attribute("aria-valuetext", "1 sample block, 4 samples per block")
    fold = figure.fold(PARAMETERS)
    fold.get_by_label("γ of channel 4").focus()
    keyboard.press("End")
    assert figure.get("weight") == [1, 1, 1, 2]
    fold.get_by_label("ε, added").focus()
    keyboard.press("End")
    assert figure.get("eps") == 10
    fold.get_by_role("button", name="Back to the defaults").press("Enter")
    assert (figure.get("weight"), figure.get("eps")) == ([], 1e-5)


def test_a_summary_is_spoken_once_the_hand_rests(show):
    (figure,) = show(demo())
    live = figure.root.locator("p[aria-live=polite]").last
    figure.go(1, 4)
    expect(live).to_contain_text(
        "One value is pushed, 12 gradients move. A block of 12 values; the other 36 stand still."
    )
    expect(live).to_contain_text(re.compile(r"Sample 3, channel 2, position 1: dy = 1\.00, dx = \d\.\d+\."))


# ---------------------------------------------------------------- address, views, kernel


def test_every_part_of_the_state_survives_a_reload(show):
    (figure,) = show(demo())
    state = {
        "sample_blocks": 2, "channel_groups": 1, "sample": 3, "channel": 0, "position": 2, "push": "along",
        "changed_gradient": [[1, 0.5], [40, -1.25]], "changed_x": [[7, 3.5]], "weight": [1, 0.5, 1, -2], "eps": 0.1,
        "w": [-0.25, 1.5], "rate": 0.4,
    }  # fmt: skip
    figure.set(**state)
    wait(figure.page, "location.hash.includes('backward.rate=0.4')")
    figure.page.reload()
    figure.page.wait_for_selector("body[data-ready]")
    assert {name: figure.get(name) for name in state} == state


def test_a_first_state_leaves_no_trace_and_changes_taken_back_neither(show):
    (figure,) = show(demo())
    assert fragment(figure.page) == ""
    figure.set(changed_gradient=[])
    wait(figure.page, "location.hash === '#?backward.dy=none'")
    expect(figure.said).to_have_text("Nothing is pushed, nothing moves.")
    figure.root.get_by_role("button", name="Undo all").click()
    wait(figure.page, "location.hash === ''")


@pytest.mark.parametrize(
    "nonsense", ["b=3&backward.dy=1", "push=hard&backward.w=0 0", "dy=99~1&backward.x=1~a", "push=given"]
)
def test_nonsense_in_the_address_is_ignored(show, nonsense: str):
    (figure,) = show(demo(), fragment=f"#?backward.{nonsense}")
    expect(figure.said).to_have_text("One value is pushed, 6 gradients move.")


def test_a_kernel_sets_and_hears_everything(show):
    first, second = show(demo(), views=[0, 0])
    first.set(push="alike", changed_gradient=[])
    expect(second.said).to_have_text("Push all alike: nothing comes through.")
    second.push("One value").click()
    expect(first.said).to_have_text("One value is pushed, 6 gradients move.")
    assert first.page.evaluate("models[0].saved.at(-1)") == {"push": "alone", "changed_gradient": [[27, 1]]}
    listening = first.page.evaluate("models[0].listening")
    first.page.evaluate("closers[1]()")
    assert first.page.evaluate("models[0].listening") == listening / 2
    first.page.evaluate("closers[0]()")
    assert first.page.evaluate("models[0].listening") == 0
    assert first.page.locator("figure.gn-figure").count() == 0


# ---------------------------------------------------------------- screens


@pytest.mark.parametrize("width", [320, 724, 1304])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_fault_for_axe_and_no_sideways_scroll(show, width: int, dark: bool):
    (figure,) = show(demo(), width=width, dark=dark, reduced_motion="reduce")
    for summary in (PARAMETERS, TABLE, AFFINE):
        figure.fold(summary)
    for b, g in [(1, 1), (4, 4)]:
        figure.go(b, g)
        assert figure.watched.axe() == []
        assert figure.watched.overflow() == 0


def test_no_fault_for_axe_in_forced_colors(show):
    (figure,) = show(demo(), forced_colors="active", reduced_motion="reduce")
    figure.fold(TABLE)
    assert figure.watched.axe() == []
    for handle in figure.root.locator(".gn-pull span, .gn-shift span, .gn-tip span").all():
        border, ground = handle.evaluate("e => [getComputedStyle(e).borderColor, getComputedStyle(e).backgroundColor]")
        assert border != "rgba(0, 0, 0, 0)" or ground != "rgba(0, 0, 0, 0)"


@pytest.mark.parametrize("width", [320, 724, 1304])
def test_nothing_moves_under_the_hand(show, width: int):
    (figure,) = show(demo(), width=width, reduced_motion="reduce")
    watched = ".gn-stage-plot, .gn-picked-value input, .gn-push .gn-buttons, .gn-slider input, .gn-plane-picture"

    def places() -> list[list[float]]:
        return figure.root.locator(watched).evaluate_all(
            "all => all.map(e => { const b = e.getBoundingClientRect(); return [b.left, b.top + scrollY, b.width]; })"
        )

    before = places()
    for traits, said in [
        ({"changed_gradient": [[27, -1.15]]}, "One value is pushed"),
        ({"changed_gradient": [[27, 0.0]]}, "Nothing is pushed"),
        ({"push": "alike", "changed_gradient": []}, "Push all alike"),
        ({"push": "along"}, "Push along x̂: only"),
        (
            {"push": "alone", "changed_gradient": [[27, 1]], "changed_x": [[27, 1.5], [28, -0.25]]},
            "One value is pushed",
        ),
    ]:
        figure.set(**traits)
        expect(figure.said).to_contain_text(said)
        assert places() == [pytest.approx(old, abs=1) for old in before], traits


def kinds() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(7)

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    return {
        "one value": noise(1, 1),
        "one sample": noise(1, 7, 5, 9),
        "prime channels": noise(3, 13, 4, 4),
        "no positions": noise(6, 12) * 40 + 200,
        "a volume": noise(3, 4, 5, 6, 7) * 2e-3,
        "a constant block": torch.cat([noise(3, 4, 3, 3), torch.ones(1, 4, 3, 3)]),
        "all zero": torch.zeros(2, 4, 3, 3),
        "far from zero": noise(4, 4, 3, 3) + 1e6,
        "huge": noise(2, 4, 3, 3) * 1e30,
        "tiny": noise(2, 4, 3, 3) * 1e-30,
        "many channels": noise(2, 256, 4, 4),
        "many samples": noise(256, 3, 2, 2),
        "the most values": noise(16, 64, 8, 8),
    }


@pytest.mark.parametrize("width", [320, 724])
def test_any_tensor_is_shown_at_any_point(show, width: int):
    tensors = kinds()
    figures = show(*map(Backward, tensors.values()), width=width, reduced_motion="reduce")
    for (kind, x), figure in zip(tensors.items(), figures, strict=True):
        n, c = x.shape[:2]
        for b, g in [(1, 1), (1, c), (n, 1), (n, c)]:
            figure.go(b, g)
            figure.set(sample=n - 1)
            text = figure.root.inner_text()
            assert "NaN" not in text, kind
            assert "Infinity" not in text, kind
            assert "undefined" not in text, kind
            assert figure.watched.overflow() == 0, kind


def test_a_large_block_shows_the_values_around_the_picked_one(show):
    (figure,) = show(Backward(torch.randn(16, 64), grouping=Grouping.everything(), sample=9), width=1304)
    expect(figure.root.locator(".gn-window")).to_contain_text(re.compile(r"Values \d+ to \d+ of the block’s 1,024\."))
    expect(figure.said).to_have_text("One value is pushed, 1,024 gradients move.")
    before = figure.root.locator(".gn-window").inner_text()
    figure.root.get_by_label("Which value").focus()
    figure.page.keyboard.press("End")
    expect(figure.root.locator(".gn-window")).not_to_have_text(before)
    expect(figure.fold(TABLE)).to_contain_text("Rows 1,009 to 1,024 of 1,024")
