"""An environment as Colab has it: every figure is imported, made and shown there, by a kernel of that environment."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.colab_kernel import colab_kernel
from tests.figures import RECIPES, class_of

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = {
    "ipywidgets": "7.7.1", "IPython": "7.34.0", "traitlets": "5.7.1", "numpy": "2.1.3", "matplotlib": "3.10.0",
    "anywidget": "0.9.21", "ipykernel": "6.17.1",
}  # fmt: skip
VIEW = "application/vnd.jupyter.widget-view+json"
VERSION_CELL = f"""
import importlib, json
print(json.dumps({{name: importlib.import_module(name).__version__ for name in {list(VERSIONS)}}}))
"""
STATE_CELL = """
import json
state = figure.get_state()
plain = (str, int, float, bool, list, dict)
print(json.dumps({name: value for name, value in state.items() if isinstance(value, plain)}))
"""


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What the cells gave: the versions, then for each figure the figure and its state."""
    texts = [VERSION_CELL, *(text for recipe in RECIPES.values() for text in (recipe.code, STATE_CELL))]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in texts])
    client = NotebookClient(notebook, timeout=120, **colab_kernel(tmp_path_factory.mktemp("colab")))
    client.execute(env={**os.environ, "PYTHONPATH": str(ROOT)})
    return [cell.outputs for cell in notebook.cells]


def test_the_environment_is_what_colab_has(outputs: list[Any]) -> None:
    assert json.loads(outputs[0][0]["text"]) == VERSIONS


@pytest.mark.parametrize("name", RECIPES)
def test_a_figure_is_shown_as_a_widget_with_its_module_and_its_state(name: str, outputs: list[Any]) -> None:
    at = 1 + 2 * list(RECIPES).index(name)
    (shown,), (printed,) = outputs[at], outputs[at + 1]
    assert shown["output_type"] in ("display_data", "execute_result"), shown
    assert shown["data"][VIEW]["model_id"]
    state = json.loads(printed["text"])
    here = RECIPES[name].make()
    assert state["_model_module"] == state["_view_module"] == "anywidget"
    assert state["_model_module_version"] == "~0.9.*"  # what Colab's front end must find: its own
    assert state["_anywidget_id"] == f"gnlib.widgets.{here.stem}.{class_of(name)}"
    for trait in type(here).class_traits(sync=True):
        if not trait.startswith("_") and trait not in ("layout", "tabbable", "tooltip"):
            assert state.get(trait) == getattr(here, trait), trait
    assert (state["_esm"], state["_css"]) == (here._esm, here._css)
