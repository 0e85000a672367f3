"""The batch laboratory in a real browser, with a stand-in for the kernel: its tables against torch, its manners."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  as everybody writes it
from playwright.sync_api import Locator, expect
from torch import Tensor

from gnlib.widgets import BatchLab
from tests.browser.stage import READ, Hands, color, fragment, number, unit, wait

SIZES = [1, 2, 4, 8, 16, 32, 64]
SIZE_TABLE, DRAW_TABLE, BATCH_TABLE = "Numbers by batch size", "The 200 batches, one by one", "The batch shown"
TEST_TABLE, GHOST_TABLE = "Test images, norm by norm", "Noise of a block"


def activation(*shape: int, seed: int = 0) -> Tensor:
    """Images that differ in mean and spread, channels too; in float64."""
    generator = torch.Generator().manual_seed(seed)
    N, C = shape[:2]
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    x = x * torch.linspace(0.5, 1.5, N, dtype=torch.float64).view(N, 1, *(1 for _ in shape[2:]))
    offsets = torch.randn(N, C, generator=generator, dtype=torch.float64)
    return x + offsets.view(N, C, *(1 for _ in shape[2:])) + 0.7


class Lab(Hands):
    """A laboratory, and what is particular to it."""

    figure: BatchLab

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.size = self.root.get_by_role("slider", name=re.compile("^Batch size"))
        self.blocks = self.root.get_by_role("slider", name="Samples per block")
        self.big = self.root.locator(".gn-bl-big")

    def numbers(self, summary: str) -> list[list[str]]:
        self.fold(summary)
        self.settle()
        # an opened fold catches up with the hand in the frame after
        self.page.evaluate(
            "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done())))"
        )
        return self.rows(summary)

    def norm(self, name: str) -> None:
        self.root.get_by_label(name, exact=True).check()


@pytest.fixture
def show(show: Callable[..., Any]) -> Callable[..., list[Lab]]:
    return functools.partial(show, hands=Lab)


def close(text: str, expected: float) -> None:
    """As printed: within half of the last decimal, and rounding of the tables that crossed as float32."""
    off = abs(number(text) - float(expected))
    assert off <= 1.02 * unit(text) + 2e-6 * max(1.0, abs(float(expected))), f"{text}, expected {expected}"


def batches(x: Tensor, lab: BatchLab, size: int, c: int) -> Tensor:
    """All values of one channel in every batch, (200, size · S)."""
    return x[lab.drawn[:, :size], c].flatten(1)


def company(x: Tensor, lab: BatchLab, size: int, image: int) -> Tensor:
    """Every batch with the watched image in its first place, (200, size, C, *)."""
    indices = lab.drawn[:, :size].clone()
    indices[:, 0] = image
    return x[indices]


def level(funnel: Locator) -> float:
    """Read a funnel's line off its axis, whose ticks say numbers."""
    (y0, v0), *_, (y1, v1) = [
        (float(tick.locator("line").get_attribute("y1")), number(tick.locator("text").inner_html()))
        for tick in funnel.locator(".gn-bl-axis > g").all()
    ]
    return v0 + (float(funnel.locator(".gn-bl-true").get_attribute("y1")) - y0) * (v1 - v0) / (y1 - y0)


NORMS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "LayerNorm": lambda x, groups: F.group_norm(x, 1),
    "GroupNorm": lambda x, groups: F.group_norm(x, groups),
    "InstanceNorm": lambda x, groups: F.group_norm(x, x.shape[1]),
}


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("shape", "c"), [((1, 1, 3), 0), ((2, 3, 4), 2), ((5, 7, 3, 2), 4), ((16, 64, 2, 2), 63), ((9, 4), 1)], ids=str
)
def test_every_table_says_what_torch_says(show, shape: tuple[int, ...], c: int):
    x = activation(*shape)
    N, C = shape[:2]
    image, n, share, momentum, light = N - 1, 16, 4, 0.05, 0.35
    lab = BatchLab(
        x, image=image, channel=c, batch_size=n, samples_per_block=share, seed=5, draw=7, momentum=momentum, light=light
    )  # fmt: skip
    (figure,) = show(lab, width=1200)
    true_mean, true_var = x[:, c].mean(), x[:, c].var(correction=0)
    apart = x[:, c].reshape(N, -1).mean(1).var(correction=0)
    p = lab.position
    value = x[image, c].flatten()[p] if x.dim() > 2 else x[image, c]

    # by size: what 200 batches say, and what the law says
    rows = figure.numbers(SIZE_TABLE)
    assert [number(row[0].lstrip("▸ ")) for row in rows[:-1]] == SIZES
    for size, row in zip(SIZES, rows[:-1], strict=True):
        found = batches(x, lab, size, c)
        mean, var = found.mean(1), found.var(1, correction=0)
        with_me = company(x, lab, size, image)[:, :, c].flatten(1)
        y = (value - with_me.mean(1)) / (with_me.var(1, correction=0) + 1e-5).sqrt()
        for text, expected in zip(
            row[1:],
            [
                mean.mean(), mean.std(correction=0), (apart / size).sqrt(),
                var.sqrt().mean(), var.sqrt().std(correction=0), None,
                var.mean() - true_var, -apart / size, y.mean(), y.std(correction=0),
            ],
            strict=True,
        ):  # fmt: skip
            if expected is not None:
                close(text, expected)
    close(rows[-1][1], true_mean)
    close(rows[-1][4], true_var.sqrt())

    # batch by batch: the first block of every batch, the watched value in it, what a layer keeps
    rows = figure.numbers(DRAW_TABLE)
    assert len(rows) == 24
    running_mean, running_var = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    kept = []
    for indices in lab.drawn[:, :n]:
        for block in indices.view(-1, share):
            part = x[block][:, c : c + 1]
            if part.numel() > 1:  # torch refuses to train on one value
                F.batch_norm(part, running_mean, running_var, training=True, momentum=momentum)
        kept.append((running_mean.item(), running_var.item()))
    first = batches(x, lab, share, c)
    for t, row in enumerate(rows):
        block = company(x, lab, share, image)[t]
        y = F.batch_norm(block, None, None, training=True)[0, c].flatten()[p]
        close(row[1], first[t].mean())
        close(row[2], first[t].std(correction=0))
        close(row[3], y)
        close(row[4], kept[t][0])
        close(row[5], kept[t][1])
    assert "▸ 8" in rows[7][0]

    # what evaluation makes of the watched value, and the line that stands for all images
    close(figure.root.locator(".gn-bl-evaluation").inner_text(), (value - kept[-1][0]) / (kept[-1][1] + 1e-5) ** 0.5)
    if x.dim() > 2:
        assert level(figure.root.locator(".gn-bl-funnel").nth(1)) == pytest.approx(
            ((value - true_mean) / (true_var + 1e-5).sqrt()).item(), rel=0.02, abs=0.05
        )

    # one batch, image by image
    rows = figure.numbers(BATCH_TABLE)
    assert len(rows) == n
    for i, row in enumerate(rows):
        one = image if i == 0 else lab.drawn[7, i].item()
        if i:
            assert row[1] == f"image {one + 1}"
        assert int(row[2]) == i // share + 1
        close(row[3], x[one, c].mean())
        close(row[4], x[one, c].var(correction=0) if x.dim() > 2 else 0.0)

    # the test images, darker and in full light
    rows = figure.numbers(TEST_TABLE)
    groups = max((g for g in range(1, C + 1) if C % g == 0 and C // g >= 2), default=1)
    for row in rows:
        for factor, texts in ((light, row[1:3]), (1.0, row[3:5])):
            dark = x * factor
            if row[0].startswith("▸ BatchNorm"):
                y = (dark[:, c] - kept[-1][0]) / (kept[-1][1] + 1e-5) ** 0.5
            else:
                if dark[0].numel() == 1 or (dark.dim() == 2 and "Instance" in row[0]):
                    continue  # torch refuses one value; golden cases hold the core to it
                y = NORMS[row[0]](dark, groups)[:, c]
            close(texts[0], y.mean())
            close(texts[1], y.std(correction=0))


@pytest.mark.parametrize("name", NORMS)
def test_under_a_norm_of_single_images_the_value_is_torchs_and_stands_still(show, name: str):
    x = activation(6, 8, 5, 5)
    lab = BatchLab(x, image=2, channel=5, batch_size=8)
    (figure,) = show(lab)
    figure.norm(name)
    y = NORMS[name](x, 4)[2, 5].flatten()[lab.position]
    expect(figure.big).to_have_text(f"{y:.2f}".replace("-", "−"))
    for row in figure.numbers(SIZE_TABLE)[:-1]:
        close(row[-2], y)
        assert number(row[-1]) == 0


def test_the_noise_of_a_statistic_is_that_of_the_block_and_that_of_the_gradient_that_of_the_batch(show):
    x = activation(40, 3, 4, 4)
    lab = BatchLab(x, channel=1, batch_size=64, samples_per_block=4)
    (figure,) = show(lab)
    block, batch = figure.numbers(GHOST_TABLE)
    close(block[2], batches(x, lab, 4, 1).mean(1).std(correction=0))
    close(batch[2], batches(x, lab, 64, 1).mean(1).std(correction=0))
    assert number(batch[3]) == pytest.approx(number(block[3]) / 4, rel=0.02)


def test_the_shipped_population_falls_as_the_law_says(show):
    (figure,) = show(BatchLab())
    rows = figure.numbers(SIZE_TABLE)[:-1]
    for row in rows:
        assert number(row[2]) == pytest.approx(number(row[3]), rel=0.15)
    falls = number(rows[0][2]) / number(rows[-1][2])
    assert falls == pytest.approx(8, rel=0.15)  # √64


# ---------------------------------------------------------------- what one sees


def maps(figure: Lab) -> list[list[int]]:
    return [canvas.evaluate(READ) for canvas in figure.root.locator(".gn-bl-maps canvas").all()]


def test_the_cat_changes_with_its_company_under_batchnorm_alone(show):
    (figure,) = show(BatchLab())
    first = maps(figure)
    assert len(first) == 5
    assert all(first[0] != other for other in first[1:])
    for name in NORMS:
        figure.norm(name)
        wait(figure.page, "document.querySelector('.gn-bl-big').textContent.includes('±') === false")
        figure.settle()
        still = maps(figure)
        assert all(still[0] == other for other in still[1:])
    figure.norm("BatchNorm")
    expect(figure.big).to_contain_text("±")
    figure.set(batch_size=1)  # alone in its batch
    expect(figure.big).not_to_contain_text("±")
    expect(figure.root.locator(".gn-bl-verdict")).to_contain_text("BatchNorm over one image is InstanceNorm")


def test_every_square_has_the_color_of_its_images_mean(show):
    lab = BatchLab(batch_size=8, channel=4, draw=3)
    (figure,) = show(lab)
    means = lab.population.mean[:, 4]
    shown = means[lab.drawn[3, :8]]
    shown[0] = lab.image[0, 4].double().mean()
    levels = (shown - means.mean()) / means.std(correction=0)
    fills = figure.root.locator(".gn-bl-batch > rect:not(.gn-bl-me)").evaluate_all(
        "all => all.map(e => getComputedStyle(e).fill.match(/[0-9]+/g).map(Number))"
    )
    # the figure's scale is not cut into 256 steps here: a step is at most 2 of 255
    assert (torch.tensor(fills) - color(levels)).abs().max() <= 2.5


def test_the_batch_is_cut_where_blocks_end(show):
    (figure,) = show(BatchLab(batch_size=32, samples_per_block=4))
    squares = figure.root.locator(".gn-bl-batch > rect:not(.gn-bl-me)")
    expect(squares).to_have_count(32)
    cuts = figure.root.locator(".gn-bl-cuts").get_attribute("d")
    assert cuts
    assert cuts.count("M") == 7  # between eight blocks
    figure.set(samples_per_block=64)
    wait(figure.page, "document.querySelector('.gn-bl-cuts').getAttribute('d') === ''")


# ---------------------------------------------------------------- failures


def both(figure: Lab) -> tuple[float, float, float]:
    """The watched value in training, its sd over the batches, and in evaluation."""
    mean, _, sd = figure.big.inner_text().partition(" ± ")
    return number(mean), number(sd or "0"), number(figure.root.locator(".gn-bl-evaluation").inner_text())


@pytest.mark.parametrize("width", [1280, 360])
def test_batchnorm_fails_in_one_step(show, width: int):
    (figure,) = show(BatchLab(batch_size=64, norm="layer_norm", light=1.0), width=width, reduced_motion="reduce")

    def fail(how: str) -> None:
        button = figure.root.get_by_role("button", name=how)
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
        expect(figure.root.get_by_label("BatchNorm", exact=True)).to_be_checked()

    figure.norm("BatchNorm")
    expect(figure.root.locator(".gn-bl-verdict")).to_contain_text(re.compile(r" 0\.0\d away"))
    mean, noise, evaluated = both(figure)
    assert abs(mean - evaluated) < 0.05
    figure.norm("LayerNorm")
    fail("two images a batch")
    assert both(figure)[1] > 4 * noise
    fail("one image a batch")
    expect(figure.root.locator(".gn-bl-verdict")).to_contain_text(re.compile(r" 1\.\d\d away"))
    mean, noise, evaluated = both(figure)
    assert noise == 0
    assert abs(mean - evaluated) > 1
    figure.norm("GroupNorm")
    fail("darker test images")
    expect(figure.root.get_by_label("Light of the test images")).to_be_in_viewport()
    batch, *others = figure.numbers(TEST_TABLE)
    assert abs(number(batch[1]) - number(batch[3])) > 1
    assert all(abs(number(row[1]) - number(row[3])) < 0.01 for row in others)


def test_norms_of_single_images_are_the_same_in_evaluation(show):
    (figure,) = show(BatchLab(batch_size=2))
    for name in NORMS:
        figure.norm(name)
        expect(figure.root.locator(".gn-bl-evaluation")).to_have_text(figure.big.inner_text())
        expect(figure.root.locator(".gn-bl-funnel").nth(1).locator(".gn-bl-true")).to_have_count(0)


# ---------------------------------------------------------------- hands


def test_the_thumb_stands_under_its_column(show):
    (figure,) = show(BatchLab(), width=1100)
    track = figure.size.bounding_box()
    for i, size in enumerate(SIZES):
        figure.set(batch_size=size)
        column = figure.root.locator(".gn-bl-column").first
        expect(figure.root.locator(".gn-bl-size-name b")).to_have_text(str(size))
        box = column.bounding_box()
        thumb = track["x"] + 10 + (track["width"] - 20) * i / 6
        assert abs(box["x"] + box["width"] / 2 - thumb) < 1


def test_a_click_in_a_funnel_sets_the_batch_size(show):
    (figure,) = show(BatchLab(), width=1100)
    box = figure.root.locator(".gn-bl-funnel").first.bounding_box()
    pitch = (box["width"] - 46 - 50) / 7
    for i in (6, 0, 3):
        figure.page.mouse.click(box["x"] + 46 + (i + 0.5) * pitch, box["y"] + 40)
        assert figure.get("batch_size") == SIZES[i]


def test_batch_size_and_block_are_two_dials(show):
    (figure,) = show(BatchLab(batch_size=32))
    figure.blocks.focus()
    for _ in range(3):
        figure.page.keyboard.press("ArrowLeft")
    assert (figure.get("batch_size"), figure.get("samples_per_block")) == (32, 4)
    figure.size.focus()
    figure.page.keyboard.press("End")
    assert (figure.get("batch_size"), figure.get("samples_per_block")) == (64, 4)  # the block keeps its size
    expect(figure.root.get_by_text("b = 16 sample blocks")).to_be_visible()
    figure.page.keyboard.press("Home")
    figure.page.keyboard.press("End")
    assert figure.get("samples_per_block") == 4
    figure.page.keyboard.press("ArrowLeft")
    figure.page.keyboard.press("ArrowLeft")  # 16
    figure.blocks.focus()
    figure.page.keyboard.press("End")  # the whole batch, whatever its size will be
    assert figure.get("samples_per_block") == 64
    figure.size.focus()
    figure.page.keyboard.press("ArrowRight")
    expect(figure.blocks).to_have_attribute("aria-valuetext", "32 samples per block, 1 sample block")


def test_all_of_it_works_by_keyboard_alone(show):
    (figure,) = show(BatchLab(), reduced_motion="reduce")
    page = figure.page

    def to(name: str, role: str = "slider") -> None:
        control = figure.root.get_by_role(role, name=re.compile(f"^{name}"))
        for _ in range(6):  # in the order in which they stand
            if control.evaluate("e => e === document.activeElement"):
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"the tab key does not reach {name}")

    page.locator("h1").click()
    to("BatchNorm", "radio")
    page.keyboard.press("ArrowRight")
    assert figure.get("norm") == "layer_norm"
    page.keyboard.press("ArrowLeft")
    to("mean", "radio")
    page.keyboard.press("ArrowRight")
    assert figure.get("statistic") == "spread"
    to("Batch size")
    page.keyboard.press("ArrowRight")
    assert figure.get("batch_size") == 4
    to("Value watched")
    before = figure.get("position")
    page.keyboard.press("ArrowLeft")
    assert figure.get("position") == before - 1
    to("Next batch", "button")
    page.keyboard.press("Enter")
    assert figure.get("draw") == 1
    to("Draw 200 new batches", "button")
    page.keyboard.press("Space")
    assert figure.get("seed") == 1
    to("Samples per block")
    page.keyboard.press("ArrowLeft")
    assert figure.get("samples_per_block") == 2
    to("Channel")
    page.keyboard.press("End")
    assert figure.get("channel") == 7
    to("Batch shown")
    page.keyboard.press("End")
    assert figure.get("draw") == 199
    to("Momentum")
    page.keyboard.press("ArrowRight")
    assert figure.get("momentum") == 0.2
    to("Light of the test images")
    page.keyboard.press("Home")
    assert figure.get("light") == 0.1


def test_a_reader_hears_the_result_once_the_hand_rests(show):
    (figure,) = show(BatchLab())
    said = figure.root.locator("p[aria-live]")
    figure.size.focus()
    figure.page.keyboard.press("End")
    expect(said).to_contain_text("batch size 64")
    expect(said).to_contain_text("BatchNorm")
    figure.norm("GroupNorm")
    expect(said).to_contain_text("GroupNorm measures each image by itself")


# ---------------------------------------------------------------- traits, address, end

TRAITS = {
    "norm": "group_norm", "batch_size": 16, "samples_per_block": 2, "channel": 1, "position": 7, "statistic": "spread",
    "seed": 3, "draw": 41, "momentum": 0.5, "light": 0.8,
}  # fmt: skip


def test_every_change_reaches_the_kernel(show):
    (figure,) = show(BatchLab())
    figure.size.focus()
    figure.page.keyboard.press("ArrowRight")
    figure.norm("InstanceNorm")
    assert figure.page.evaluate("models[0].saved") == [{"batch_size": 4}, {"norm": "instance_norm"}]


def test_the_figure_follows_the_kernel(show):
    (figure,) = show(BatchLab())
    figure.set(**TRAITS)
    expect(figure.root.get_by_label("GroupNorm", exact=True)).to_be_checked()
    expect(figure.root.get_by_role("radio", name="spread σ")).to_be_checked()
    expect(figure.size).to_have_attribute("aria-valuetext", "batch size 16")
    expect(figure.blocks).to_have_attribute("aria-valuetext", "2 samples per block, 8 sample blocks")
    expect(figure.root.get_by_text("no. 42 of 200")).to_be_visible()
    expect(figure.root.get_by_label("Momentum")).to_have_attribute("aria-valuetext", "0.5")
    expect(figure.root.get_by_label("Light of the test images")).to_have_value("80")
    expect(figure.root.get_by_role("slider", name="Channel")).to_have_value("2")


def test_a_link_brings_the_state_back(show):
    (figure,) = show(BatchLab())
    figure.set(**TRAITS)
    wait(figure.page, "location.hash.includes('batch_lab.light=0.8')")
    link = fragment(figure.page)
    (other,) = show(BatchLab(), fragment=link)
    assert {name: other.get(name) for name in TRAITS} == TRAITS
    figure.page.evaluate("location.hash = ''")


def test_the_first_state_leaves_no_trace_in_the_address(show):
    (figure,) = show(BatchLab())
    figure.set(batch_size=64)
    wait(figure.page, "location.hash === '#?batch_lab.batch=64'")
    figure.set(batch_size=2)
    wait(figure.page, "location.hash === ''")


def test_the_end_leaves_nothing(show):
    first, _ = show(BatchLab(), BatchLab())
    first.page.evaluate("closers[0](); closers[1]()")
    assert first.page.locator("figure.gn-figure").count() == 0
    assert first.page.evaluate("models.map(m => m.listening)") == [0, 0]


# ---------------------------------------------------------------- manners


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 320])
def test_no_accessibility_fault_in_any_theme_or_width(show, width: int, dark: bool):
    (figure,) = show(BatchLab(batch_size=16, samples_per_block=4), width=width, dark=dark, reduced_motion="reduce")
    for summary in (SIZE_TABLE, GHOST_TABLE, DRAW_TABLE, BATCH_TABLE, TEST_TABLE):
        figure.fold(summary)
    assert figure.watched.axe("figure.gn-figure") == []
    assert figure.watched.overflow() == 0
    figure.norm("LayerNorm")
    expect(figure.big).not_to_contain_text("±")
    assert figure.watched.axe("figure.gn-figure") == []


def test_forced_colors_keep_dots_and_squares(show):
    (figure,) = show(BatchLab(batch_size=16), forced_colors="active")
    on, off = (
        figure.root.locator(selector).first.evaluate("e => getComputedStyle(e).stroke")
        for selector in (".gn-bl-dots.gn-bl-on", ".gn-bl-still .gn-bl-dots")
    )
    assert on != off
    fills = figure.root.locator(".gn-bl-batch > rect:not(.gn-bl-me)").evaluate_all(
        "all => new Set(all.map(e => getComputedStyle(e).fill)).size"
    )
    assert fills > 3


def test_numbers_of_any_size_are_shown(show):
    small, large, constant = show(
        BatchLab(activation(4, 3, 5) * 1e-9), BatchLab(activation(4, 3, 5) * 1e9), BatchLab(torch.ones(3, 2, 4))
    )
    for figure in (small, large, constant):
        for row in figure.numbers(SIZE_TABLE):
            assert "NaN" not in " ".join(row)
            assert "Infinity" not in " ".join(row)
    assert number(small.numbers(SIZE_TABLE)[-1][1]) < 1e-7
    for figure in (small, large):
        sticking_out = figure.root.locator(".gn-bl-axis").evaluate_all(
            "axes => axes.flatMap(a => [...a.querySelectorAll('text')]).map(t => t.getBBox().x).filter(x => x < -1)"
        )
        assert sticking_out == []
    expect(constant.big).to_have_text("0.00")
    expect(constant.root.locator(".gn-bl-verdict")).to_contain_text("company makes no difference")
