"""How each figure of ``gnlib.widgets`` is made and moved: for the tests with a live kernel, and for the measurements.

A figure that has no line here fails them, and so does a trait that is neither two-way nor content.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Locator

import gnlib.widgets
from gnlib.widgets.figure import Figure

Hand = Callable[[Locator], Any]  # what a hand does to the figure's root


@dataclass(frozen=True)
class Recipe:
    """One figure."""

    code: str  # a cell; it leaves the figure in the name `figure`
    python: dict[str, Any]  # every two-way trait: a value for Python to set, unlike the first one
    hands: dict[str, Hand]  # every two-way trait: what moves it in the page
    content: set[str] = field(default_factory=set)  # the traits that only its author sets
    unseen: set[str] = field(default_factory=set)  # two-way traits that show nothing in this figure's first state
    largest: str = ""  # a cell with as many values as the figure takes; empty: `code`
    drag: str = ""  # the range input that is dragged to measure a step, as a selector; empty: the figure has none

    def make(self, code: str = "") -> Figure:
        """Make the figure here."""
        names: dict[str, Any] = {}
        exec(code or self.code, names)
        made: Figure = names["figure"]
        return made


def press(label: str, *keys: str) -> Hand:
    """Press keys on the slider whose name begins so."""

    def hand(root: Locator) -> None:
        control = root.get_by_role("slider", name=re.compile(f"^{re.escape(label)}")).first
        for key in keys:
            control.press(key)

    return hand


def click(name: str, role: Any = "button") -> Hand:
    """Click what has this role and name."""
    return lambda root: root.get_by_role(role, name=name, exact=True).first.click()


def unfolded(summary: str, hand: Hand) -> Hand:
    """Open a fold first."""

    def then(root: Locator) -> None:
        fold = root.locator("details", has=root.page.locator("summary", has_text=summary))
        if fold.get_attribute("open") is None:
            fold.locator("summary").click()
        hand(root)

    return then


def fill(label: str, text: str) -> Hand:
    """Write into a field."""
    return lambda root: root.get_by_label(label, exact=True).fill(text)


def both(*hands: Hand) -> Hand:
    """Do one after the other."""

    def then(root: Locator) -> None:
        for hand in hands:
            hand(root)

    return then


QUESTION = """
Which layer needs no batch?
- [ ] BatchNorm | It pools the samples of a batch.
- [x] LayerNorm | One sample is enough.
"""
PARAMETERS = "γ, β, ε"

# by class; a second figure of a class has a word after a comma
RECIPES = {
    "Activations": Recipe(
        code="from gnlib.widgets import Activations\nfigure = Activations()\nfigure",
        content={"images", "shape", "network", "accuracy", "sample_names", "classes"},
        unseen={"amount"},
        python={
            "layer": 2, "tokens": True, "sample_blocks": 1, "channel_groups": 8, "sample": 3, "channel": 5,
            "position": 9, "change": "contrast", "amount": 0.5,
        },
        hands={
            "layer": click("2", "radio"),
            "tokens": click("a position", "radio"),
            "sample_blocks": press("Sample blocks", "ArrowLeft"),
            "channel_groups": press("Channel groups", "ArrowRight"),
            "sample": click("flower", "radio"),
            "channel": lambda root: root.locator(".gn-act-one .gn-named-slider input").press("ArrowRight"),
            "position": press("Picked position", "ArrowRight"),
            "change": lambda root: root.get_by_role("radio", name=re.compile("brightness")).check(),
            "amount": both(
                lambda root: root.get_by_role("radio", name=re.compile("contrast")).check(),
                press("c, multiplied", "ArrowRight"),
            ),
        },
        drag=".gn-act-sliders input",
    ),
    "Backward": Recipe(
        code=(
            "import torch\nfrom gnlib.widgets import Backward\n"
            "figure = Backward(torch.randn(4, 4, 3, generator=torch.Generator().manual_seed(8)), sample=1)\nfigure"
        ),
        largest="import torch\nfrom gnlib.widgets import Backward\nfigure = Backward(torch.randn(16, 64, 8, 8))",
        content={"values", "precision", "shape", "gradient", "gradient_precision"},
        python={
            "sample_blocks": 2, "channel_groups": 4, "sample": 3, "channel": 2, "position": 2, "push": "alike",
            "changed_gradient": [[4, 0.5]], "changed_x": [[5, 1.5]], "weight": [1.5] * 4, "eps": 0.1,
            "w": [0.75, 1.25], "rate": 2.5,
        },
        hands={
            "sample_blocks": press("Sample blocks", "ArrowLeft"),
            "channel_groups": press("Channel groups", "ArrowRight"),
            "sample": press("Picked value", "ArrowDown"),
            "channel": press("Picked value", "ArrowRight", "ArrowRight", "ArrowRight"),
            "position": press("Picked value", "ArrowRight"),
            "push": click("All alike"),
            "changed_gradient": press("Its gradient dy", "ArrowRight"),
            "changed_x": press("Its value x", "ArrowRight"),
            "weight": unfolded("γ and ε", press("γ of channel", "End")),
            "eps": unfolded("γ and ε", press("ε, added", "End")),
            "w": press("Length of w", "ArrowRight"),
            "rate": press("Step size", "ArrowRight"),
        },
        drag=".gn-picked-value label:nth-of-type(2) input",
    ),
    "BatchLab": Recipe(
        code="from gnlib.widgets import BatchLab\nfigure = BatchLab()\nfigure",
        content={
            "values", "precision", "shape", "means", "variances", "population_precision", "images", "positions",
            "image_name", "image_picture", "channel_names", "linear",
        },
        python={
            "batch_size": 16, "samples_per_block": 4, "norm": "group_norm", "channel": 5, "position": 9,
            "statistic": "spread", "seed": 3, "draw": 7, "momentum": 0.5, "light": 0.2,
        },
        hands={
            "batch_size": press("Batch size", "ArrowRight"),
            "samples_per_block": press("Samples per block", "ArrowLeft"),
            "norm": click("LayerNorm", "radio"),
            "statistic": click("spread σ", "radio"),
            "seed": click("Draw 200 new batches"),
            "draw": press("Batch shown", "ArrowRight"),
            "channel": press("Channel", "ArrowRight"),
            "momentum": press("Momentum: weight of a new batch", "ArrowRight"),
            "light": press("Light of the test images", "ArrowLeft"),
            "position": press("Value watched", "ArrowRight"),
        },
        drag=".gn-bl-size input",
    ),
    "Check": Recipe(
        code=f'from gnlib.widgets import Check\nfigure = Check("""{QUESTION}""")\nfigure',
        content={"question", "kind", "options", "unit"},
        unseen={"number", "tries"},
        python={"chosen": [1], "number": "3", "tries": 2, "solved": True},
        hands={
            "chosen": click("BatchNorm", "radio"),
            "tries": click("Check"),
            "solved": both(click("LayerNorm", "radio"), click("Check")),
        },
    ),
    "Check, a number": Recipe(
        code=(
            "from gnlib.widgets import Check\n"
            'figure = Check("How many?\\nanswer: 11.5 ± 0.1\\notherwise: Count.")\nfigure'
        ),
        content={"question", "kind", "options", "unit"},
        python={"number": "3"},
        hands={"number": fill("Your answer", "11.5")},
    ),
    "Square": Recipe(
        code=(
            "import torch\nfrom gnlib.widgets import Square\n"
            "figure = Square(torch.randn(4, 8, 6, 5, generator=torch.Generator().manual_seed(3)))\nfigure"
        ),
        largest="import torch\nfrom gnlib.widgets import Square\nfigure = Square(torch.randn(16, 64, 8, 8))",
        content={"values", "precision", "shape", "sample_names", "channel_names", "sample_pictures"},
        python={
            "sample_blocks": 2, "channel_groups": 4, "sample": 3, "channel": 5, "position": 7, "spoiled_sample": 1,
            "spoiled_channel": 2, "evaluating": True, "steps": 20, "weight": [1.5] * 8, "bias": [0.5] * 8, "eps": 0.1,
        },
        hands={
            "sample_blocks": press("Sample blocks", "ArrowRight"),
            "channel_groups": press("Channel groups", "ArrowRight"),
            "sample": press("Picked picture", "ArrowDown"),
            "channel": press("Picked picture", "ArrowRight"),
            "position": press("Picked value", "ArrowRight"),
            "spoiled_sample": lambda root: root.get_by_role("button", name="Multiply sample").click(),
            "spoiled_channel": lambda root: root.get_by_role("button", name="Multiply channel").click(),
            "evaluating": click("Evaluation", "radio"),
            "steps": unfolded(PARAMETERS, lambda root: root.locator(".gn-parameters input").nth(3).press("End")),
            "weight": unfolded(PARAMETERS, lambda root: root.locator(".gn-parameters input").nth(0).press("Home")),
            "bias": unfolded(PARAMETERS, lambda root: root.locator(".gn-parameters input").nth(1).press("Home")),
            "eps": unfolded(PARAMETERS, lambda root: root.locator(".gn-parameters input").nth(2).press("End")),
        },
        drag=".gn-slider:nth-child(2) input",
    ),
}  # fmt: skip

# of every figure, besides what Jupyter adds
AUTHORS = {"title", "name"}
JUPYTERS = {"layout", "tabbable", "tooltip"}


def class_of(recipe: str) -> str:
    """Return the name of the class that a recipe makes."""
    return recipe.partition(",")[0]


def two_way(name: str) -> set[str]:
    """Return the traits of a class of figures that a reader's hand moves."""
    traits = {trait for trait in getattr(gnlib.widgets, name).class_traits(sync=True) if not trait.startswith("_")}
    return traits - AUTHORS - JUPYTERS - RECIPES[name].content
