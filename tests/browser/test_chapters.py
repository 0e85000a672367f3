"""The figures in the chapters say what the text beside them says."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, expect


def figure(watch: Callable[..., Any], site: Any, stem: str) -> Locator:
    page = watch(f"{site.address}chapters/{stem}.html", reduced_motion="reduce").page
    page.locator(
        ".gn-mount[data-kind=square]"
    ).first.scroll_into_view_if_needed()  # figures start when a reader comes near
    return page.locator("figure.gn-figure[data-figure=square]")


def press(square: Locator, name: str) -> None:
    square.get_by_role("button", name=name, exact=True).click()


def test_the_guess_has_the_answer_that_the_figure_gives(watch: Callable[..., Any], site: Any) -> None:
    square = figure(watch, site, "one_core")
    square.get_by_role("button", name="sample 1 (cat)").click()
    press(square, "BatchNorm")
    expect(square).to_contain_text("32 of 32 cells notice: 8 spoilt and 24 bystanders")
    for layer in ("LayerNorm", "InstanceNorm", "GroupNorm"):
        press(square, layer)
        expect(square).to_contain_text("Nobody notices.")


@pytest.mark.parametrize(
    ("stem", "blocks", "groups"),
    [("index", 1, 1), ("one_core", 1, 1), ("group_norm", 4, 4), ("small_batches", 2, 8)],
)
def test_figures_open_where_the_text_says(
    watch: Callable[..., Any], site: Any, stem: str, blocks: int, groups: int
) -> None:
    square = figure(watch, site, stem)
    for label, count in (("Sample blocks", blocks), ("Channel groups", groups)):
        value = square.get_by_role("slider", name=label, exact=True).get_attribute("aria-valuetext")
        assert value is not None
        assert value.startswith(f"{count} ")


@pytest.mark.parametrize(("groups", "others"), [(4, 1), (8, 0), (2, 3)])
def test_who_notices_a_stronger_channel_is_as_the_exercise_answers(
    watch: Callable[..., Any], site: Any, groups: int, others: int
) -> None:
    square = figure(watch, site, "group_norm")
    square.get_by_role("button", name="channel 3 (rising at 90°)").click()
    slider = square.get_by_role("slider", name="Channel groups", exact=True)
    slider.press("Home")
    for _ in range([1, 2, 4, 8].index(groups)):
        slider.press("ArrowRight")
    samples = 4
    told = f"{samples} spoilt and {others * samples} bystander" if others else "Nobody notices."
    expect(square).to_contain_text(told)
