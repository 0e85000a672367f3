"""Imports follow the arrows: grouping ← core ← fused ← ops ← layers, and nothing points back or aside.

The table below is the plan of the house. Rooms that are planned and not yet built have their row already, so that the
first line of each is held to it.
"""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import gnlib
import gnlib.cifar
import gnlib.widgets

ROOT = Path(__file__).parents[1]

# module: (modules of gnlib that it may import, packages that it may import besides Python's own)
ARROWS: dict[str, tuple[set[str], set[str]]] = {
    "gnlib.grouping": (set(), set()),
    "gnlib.core": ({"gnlib.grouping"}, {"torch"}),
    "gnlib.triton_kernels": (set(), {"torch", "triton"}),
    "gnlib.kernels": ({"gnlib.grouping", "gnlib.core", "gnlib.triton_kernels"}, {"torch"}),
    "gnlib.fused": ({"gnlib.grouping", "gnlib.core", "gnlib.kernels"}, {"torch"}),
    "gnlib.ops": ({"gnlib.grouping", "gnlib.core", "gnlib.fused"}, {"torch"}),
    "gnlib.layers": ({"gnlib.grouping", "gnlib.ops"}, {"torch"}),
    "gnlib": ({"gnlib.grouping", "gnlib.core", "gnlib.ops", "gnlib.layers"}, set()),
    "gnlib.exercises": ({"gnlib.exercises.practice", "gnlib.exercises.tasks"}, {"torch"}),
    "gnlib.exercises.practice": ({"gnlib.grouping", "gnlib.core", "gnlib.exercises.tasks"}, {"torch"}),
    "gnlib.exercises.tasks": ({"gnlib.grouping", "gnlib.core"}, {"torch"}),
    "gnlib.photographs": (set(), {"torch", "PIL"}),
    "gnlib.photo_net": ({"gnlib.grouping", "gnlib.core"}, {"torch"}),
    "gnlib.question": (set(), set()),
    "gnlib.widgets": (
        {
            "gnlib.widgets.activations",
            "gnlib.widgets.backward",
            "gnlib.widgets.batch_lab",
            "gnlib.widgets.check",
            "gnlib.widgets.square",
        },
        set(),
    ),
    "gnlib.widgets.activations": (
        {"gnlib.core", "gnlib.grouping", "gnlib.photo_net", "gnlib.photographs", "gnlib.widgets.figure"},
        {"torch", "traitlets"},
    ),
    "gnlib.widgets.backward": (
        {"gnlib.grouping", "gnlib.core", "gnlib.widgets.figure"},
        {"torch", "traitlets"},
    ),
    "gnlib.widgets.check": ({"gnlib.question", "gnlib.widgets.figure"}, {"traitlets"}),
    "gnlib.widgets.figure": ({"gnlib.grouping", "gnlib.core"}, {"torch", "PIL", "anywidget", "traitlets"}),
    "gnlib.widgets.batch_lab": (
        {"gnlib.grouping", "gnlib.core", "gnlib.photographs", "gnlib.widgets.figure"},
        {"torch", "traitlets"},
    ),
    "gnlib.widgets.square": ({"gnlib.grouping", "gnlib.widgets.figure"}, {"torch", "traitlets"}),
    "gnlib.records": (set(), set()),
    "gnlib.figures": ({"gnlib.records"}, {"matplotlib", "numpy"}),
    "gnlib.cifar": ({"gnlib.cifar.data", "gnlib.cifar.notebook", "gnlib.cifar.runs"}, set()),
    "gnlib.cifar.report": ({"gnlib.records"}, set()),
    "gnlib.cifar.archive": (set(), {"tqdm"}),
    "gnlib.cifar.data": ({"gnlib.cifar.archive"}, {"torch", "numpy", "sklearn"}),
    "gnlib.cifar.models": (set(), {"torch"}),
    "gnlib.cifar.checkpoints": (set(), {"torch", "safetensors"}),
    "gnlib.cifar.training": (
        {"gnlib.grouping", "gnlib.records", "gnlib.cifar.checkpoints", "gnlib.cifar.data"},
        {"torch"},
    ),
    "gnlib.cifar.norms": ({"gnlib.grouping", "gnlib.layers", "gnlib.cifar.models"}, {"torch"}),
    "gnlib.cifar.runs": (
        {
            "gnlib.records",
            "gnlib.cifar.data",
            "gnlib.cifar.models",
            "gnlib.cifar.norms",
            "gnlib.cifar.training",
            "gnlib.cifar.checkpoints",
        },
        {"torch"},
    ),
    "gnlib.cifar.experiments": (
        {"gnlib.records", "gnlib.cifar.data", "gnlib.cifar.runs", "gnlib.cifar.training"},
        set(),
    ),
    "gnlib.cifar.progress": ({"gnlib.cifar.training"}, {"torch", "tqdm"}),
    "gnlib.cifar.notebook": (
        {"gnlib.records", "gnlib.figures", "gnlib.cifar.progress", "gnlib.cifar.runs", "gnlib.cifar.training"},
        {"matplotlib", "IPython", "PIL"},
    ),
    "gnlib.cifar.doctor": ({"gnlib.records", "gnlib.cifar.archive", "gnlib.cifar.data", "gnlib.cifar.runs"}, {"torch"}),
    "gnlib.cifar.options": (
        {"gnlib.cifar.experiments", "gnlib.cifar.norms", "gnlib.cifar.runs", "gnlib.cifar.training"},
        set(),
    ),
    "gnlib.cifar.command": (
        {
            "gnlib.records",
            "gnlib.figures",
            "gnlib.cifar.data",
            "gnlib.cifar.doctor",
            "gnlib.cifar.experiments",
            "gnlib.cifar.options",
            "gnlib.cifar.progress",
            "gnlib.cifar.report",
            "gnlib.cifar.runs",
            "gnlib.cifar.training",
        },
        {"torch", "matplotlib"},
    ),
    "gnlib.__main__": ({"gnlib.cifar.command"}, set()),
}
BOOK = "gnlib.book"  # it and all below it: imports only itself of gnlib, and Sphinx and its kin as it likes
OF_THE_BOOK = {"gnlib.question"}  # but for how a question is written, which is one thing in a chapter and a notebook
NEVER = {"tests", "tools"}
KNOW_NO_LAYER = {
    "gnlib.exercises",
    "gnlib.photographs",
    "gnlib.photo_net",
    "gnlib.widgets",
    "gnlib.figures",
    "gnlib.cifar.models",
    "gnlib.cifar.training",
    "gnlib.core",
}

# what a reader's cell may import of gnlib
PUBLIC = {
    "gnlib": set(gnlib.__all__),
    "gnlib.cifar": set(gnlib.cifar.__all__),
    "gnlib.cifar.report": {"Grid", "LEGEND", "as_markdown", "facts", "markdown", "overview", "report", "table"},
    "gnlib.exercises": {"check"},
    "gnlib.figures": {
        "accuracy_by_batch_size",
        "accuracy_by_groups",
        "accuracy_by_values",
        "curves",
        "each_run_by_values",
        "time_by_size",
    },
    "gnlib.records": {"experiments", "latest", "recorded"},
    "gnlib.widgets": set(gnlib.widgets.__all__),
    "gnlib.photographs": {"CREDITS", "oriented_filters", "photographs"},
    "gnlib.photo_net": {"CLASSES", "PhotoNet", "record", "trained"},
}


def modules() -> dict[str, Path]:
    paths = (ROOT / "gnlib").rglob("*.py")
    return {name_of(path.relative_to(ROOT)): path for path in sorted(paths)}


def name_of(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(source: str, module: str, package: bool, known: Iterable[str]) -> Iterator[str]:
    """List what a source imports, wherever in it: at the top, in a function, for types only, relatively."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            here = module.split(".") if package else module.split(".")[:-1]
            above = here[: len(here) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            whole = {f"{origin}.{alias.name}" for alias in node.names}
            for name in whole:  # "from gnlib import ops" imports gnlib.ops, "from gnlib import pool" imports gnlib
                yield name if name in known or name in ARROWS else origin


def complaints(source: str, module: str, package: bool = False, known: Iterable[str] = ()) -> list[str]:
    book = module == BOOK or module.startswith(BOOK + ".")
    if not book and module not in ARROWS:
        return [f"{module} has no place yet: give it a row in ARROWS, tests/test_arrows.py"]
    rooms, packages = ARROWS.get(module, (set(), set()))
    wrong = []
    for name in imports(source, module, package, known):
        top = name.partition(".")[0]
        if top == "gnlib":
            fine = name == BOOK or name.startswith(BOOK + ".") or name in OF_THE_BOOK if book else name in rooms
        else:
            fine = top not in NEVER if book else top in packages or top in sys.stdlib_module_names
        if not fine:
            may = sorted(rooms | packages) or "Python's own"
            wrong.append(f"{module} imports {name}; it may import {BOOK if book else may}")
    return wrong


@pytest.mark.parametrize("module", modules())
def test_a_module_imports_only_along_the_arrows(module):
    path = modules()[module]
    assert complaints(path.read_text(), module, path.name == "__init__.py", modules()) == []


@pytest.mark.parametrize("start", sorted(KNOW_NO_LAYER))
def test_the_table_itself_lets_no_layer_in_by_a_detour(start):
    seen, waiting = set(), [start]
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            waiting += ARROWS[module][0]
    assert not seen & {"gnlib.layers", "gnlib.ops", "gnlib", BOOK}


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("gnlib.core", "from gnlib import ops"),
        ("gnlib.core", "import gnlib.layers as layers"),
        ("gnlib.core", "from gnlib.layers import GroupNorm"),
        ("gnlib.core", "from .layers import GroupNorm"),
        ("gnlib.core", "from . import layers"),
        ("gnlib.core", "from gnlib import GroupNorm"),
        ("gnlib.core", "def late():\n    from gnlib.ops import pool"),
        ("gnlib.core", "if TYPE_CHECKING:\n    from gnlib.layers import GroupNorm"),
        ("gnlib.grouping", "import torch"),
        ("gnlib.layers", "from gnlib.core import pool"),  # by way of ops, or the fast path is missed
        ("gnlib.layers", "from gnlib.fused import pool"),
        ("gnlib.widgets.square", "from gnlib.layers import GroupNorm"),
        ("gnlib.widgets.square", "from ..layers import GroupNorm"),
        ("gnlib.widgets.square", "from sphinx.util import logging"),
        ("gnlib.photographs", "import docutils.nodes"),
        ("gnlib.photographs", "import myst_nb"),
        ("gnlib.photographs", "from gnlib.book.address import find"),
        ("gnlib.cifar.models", "from gnlib import GroupNorm"),
        ("gnlib.ops", "from tests import golden"),
        ("gnlib.book.finish", "from tools import check_links"),
        ("gnlib.book.finish", "from gnlib.core import pool"),
    ],
)
def test_an_arrow_the_wrong_way_is_seen(module, source):
    assert complaints(source, module, known=modules()) != []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "gnlib.core",
            "import math\nimport torch\nfrom torch.nn import functional\nfrom gnlib.grouping import Grouping",
        ),
        ("gnlib.core", "from .grouping import Grouping"),
        ("gnlib.layers", "from gnlib import ops"),
        ("gnlib.book.finish", "from sphinx.util import logging\nfrom gnlib.book import address\nfrom . import node"),
    ],
)
def test_an_arrow_the_right_way_is_let_through(module, source):
    assert complaints(source, module, known=modules()) == []


def test_a_module_without_a_place_is_asked_to_take_one():
    assert complaints("", "gnlib.utils") == [
        "gnlib.utils has no place yet: give it a row in ARROWS, tests/test_arrows.py"
    ]


# ---------------------------------------------------------------------------------------------------------- chapters


def cells(text: str) -> list[str]:
    """Return the code of a chapter: its cells without their options and magics, and the folded answers' code."""
    fences = re.findall(r"^```(?:\{code-cell\}[^\n]*|python)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    found = []
    for fence in fences:
        code = re.sub(r"\A---\n.*?^---\n", "", fence, flags=re.MULTILINE | re.DOTALL)
        found.append(re.sub(r"^(:[\w-]+:|[%!]).*\n", "", code, flags=re.MULTILINE))
    return found


def trespasses(code: str) -> list[str]:
    wrong = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            wrong += [alias.name for alias in node.names if alias.name.partition(".")[0] in {"gnlib", *NEVER}]
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if origin.partition(".")[0] in {"gnlib", *NEVER}:
                names = (alias.name for alias in node.names)
                wrong += [f"{origin}.{name}" for name in names if name not in PUBLIC.get(origin, set())]
    return wrong


@pytest.mark.parametrize("chapter", sorted(path.name for path in (ROOT / "chapters").glob("*.md")))
def test_a_chapter_uses_only_what_a_reader_can_import(chapter):
    text = (ROOT / "chapters" / chapter).read_text()
    found = cells(text)
    assert len(found) >= text.count("```{code-cell}")
    assert [name for code in found for name in trespasses(code)] == []


@pytest.mark.parametrize(
    "code",
    [
        "from gnlib.core import pool",
        "from gnlib import ops",
        "import gnlib.layers",
        "from gnlib.photographs import _bank",
        "from gnlib.widgets import square",
        "from tests import golden",
        "import tools.serve",
    ],
)
def test_a_chapter_that_reaches_behind_the_public_names_is_seen(code):
    chapter = f"Text.\n\n```{{code-cell}} ipython3\n---\nmystnb:\n  image: {{}}\n---\n%matplotlib inline\n{code}\n```\n"
    assert [name for cell in cells(chapter) for name in trespasses(cell)] != []


@pytest.mark.parametrize("module", PUBLIC)
def test_the_public_names_are_there(module):
    assert PUBLIC[module] <= set(dir(importlib.import_module(module)))
