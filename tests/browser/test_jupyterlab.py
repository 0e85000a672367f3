"""Every figure in a real JupyterLab with a real kernel: Python moves the page, and the page Python."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

import gnlib.widgets
from tests.browser.conftest import Server
from tests.browser.stage import write_page
from tests.figures import RECIPES, class_of, two_way

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
}
# a view that shows nothing and keeps another widget's model within reach: what the front end has, not what Python says
PROBE = """
import anywidget, traitlets
class Probe(anywidget.AnyWidget):
    _esm = '''export default { async render({ model }) {
        window.probed = await model.widget_manager.get_model(model.get("of")); } }'''
    of = traitlets.Unicode().tag(sync=True)
Probe(of=figure.model_id)
"""
SHOWN = """root => root.outerHTML + [...root.querySelectorAll('input')].map(one => `${one.value} ${one.checked}`).join()
    + [...root.querySelectorAll('canvas')].map(one => one.toDataURL()).join()"""


class Lab:
    """An open notebook: cells to run, and what stands in their outputs."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def run(self, code: str, cell: int = -1) -> str:
        """Run code in a cell of its own, the last by default; return what it printed. An exception fails the test."""
        outputs = self.page.evaluate(
            """async ([code, at]) => {
                const notebook = jupyterapp.shell.currentWidget.content;
                const index = at < 0 ? notebook.widgets.length + at : at;
                notebook.deselectAll();
                notebook.activeCellIndex = index;
                const cell = notebook.widgets[index];
                if (code !== null) cell.model.sharedModel.setSource(code);
                await jupyterapp.commands.execute("notebook:run-cell");
                return cell.model.outputs.toJSON();
            }""",
            [code, cell],
        )
        for output in outputs:
            assert output["output_type"] != "error", "\n".join(output["traceback"])
        return "".join("".join(output.get("text", "")) for output in outputs).strip()

    def show(self, code: str, cell: int = 0) -> Locator:
        """Run a cell that shows a figure."""
        self.run(code, cell)
        root = self.page.locator(".jp-Notebook .jp-Cell").nth(cell).locator("figure.gn-figure")
        expect(root).to_be_visible(timeout=20_000)
        return root

    def trait(self, name: str) -> Any:
        """What Python has."""
        return json.loads(self.run(f"import json; print(json.dumps(figure.{name}))"))

    def reaches_python(self, name: str, before: Any) -> Any:
        """Wait until Python has another value: the page sends a change once the kernel has taken in the one before."""
        until = time.monotonic() + 10
        while (value := self.trait(name)) == before:
            assert time.monotonic() < until, name
        return value


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """One JupyterLab on this machine's loopback, in a folder of its own; it ends with the tests."""
    folder = tmp_path_factory.mktemp("lab")
    homes = {name: str(folder / name.lower()) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
    homes |= {name: str(folder / name.lower()) for name in ("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")}
    for plugin, settings in SETTINGS.items():
        package, _, name = plugin.partition(":")
        path = Path(homes["JUPYTERLAB_SETTINGS_DIR"], package, f"{name}.jupyterlab-settings")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings), "utf8")
    notebooks = folder / "notebooks"
    notebooks.mkdir()
    cells = [nbformat.v4.new_code_cell() for _ in range(len(RECIPES) + 2)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), notebooks / "figures.ipynb")
    token = secrets.token_hex(16)
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0",
        f"--ServerApp.root_dir={notebooks}", f"--IdentityProvider.token={token}", "--expose-app-in-browser",
        "--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly", "--ServerApp.terminals_enabled=False",
    ]  # fmt: skip
    environment = {**os.environ, **homes, "JUPYTER_RUNTIME_DIR": str(folder / "runtime"), "PYTHONPATH": str(ROOT)}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 60
        found: list[Path] = []
        while not found:
            assert process.poll() is None, (folder / "log").read_text()[-3000:]
            assert time.monotonic() < until, (folder / "log").read_text()[-3000:]
            time.sleep(0.1)
            found = [path for path in (folder / "runtime").glob("jpserver-*.json") if path.read_text().endswith("}")]
        yield {"address": json.loads(found[0].read_text())["url"], "token": token}
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def window(browser: Browser, server: dict[str, Any]) -> Iterator[tuple[Page, list[str]]]:
    """One window of JupyterLab; requests that leave this machine are remembered."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    outside: list[str] = []

    def route(one: Any) -> None:
        if one.request.url.startswith((server["address"], "data:", "blob:")):
            one.continue_()
        else:
            outside.append(one.request.url)
            one.abort()

    context.route("**/*", route)
    page = context.new_page()
    page.goto(f"{server['address']}lab/tree/figures.ipynb?token={server['token']}")
    yield page, outside
    context.close()


@pytest.fixture(scope="module")
def lab(window: tuple[Page, list[str]]) -> Lab:
    """The notebook, its kernel ready: a cell for each figure, and two more."""
    page, _ = window
    page.evaluate(
        """async () => {
            while (!window.jupyterapp) await new Promise(done => setTimeout(done, 50));
            await jupyterapp.restored;
            await jupyterapp.commands.execute("docmanager:open", { path: "figures.ipynb" });
            const panel = jupyterapp.shell.currentWidget;
            await panel.context.ready;
            await panel.context.sessionContext.ready;
        }"""
    )
    return Lab(page)


def test_the_recipes_move_every_two_way_trait_of_every_figure() -> None:
    assert {class_of(recipe) for recipe in RECIPES} == set(gnlib.widgets.__all__)
    for name in gnlib.widgets.__all__:
        recipes = [recipe for key, recipe in RECIPES.items() if class_of(key) == name]
        assert {trait for recipe in recipes for trait in recipe.python} == two_way(name), name
        assert {trait for recipe in recipes for trait in recipe.hands} == two_way(name), name


def changes(root: Locator, before: str) -> None:
    """Wait until the figure looks other than before."""
    root.page.wait_for_function(f"([root, before]) => ({SHOWN})(root) !== before", arg=[root.element_handle(), before])


@pytest.mark.parametrize("name", RECIPES)
def test_python_moves_the_figure(name: str, lab: Lab) -> None:
    recipe = RECIPES[name]
    root = lab.show(recipe.code)
    lab.page.evaluate("delete window.probed")
    lab.run(PROBE, -2)
    lab.page.wait_for_function("window.probed")
    for trait, value in recipe.python.items():
        before = root.evaluate(SHOWN)
        lab.run(f"figure.{trait} = {value!r}")
        text = json.dumps(value, separators=(",", ":"))
        lab.page.wait_for_function("([name, value]) => JSON.stringify(probed.get(name)) === value", arg=[trait, text])
        if trait not in recipe.unseen:
            changes(root, before)


@pytest.mark.parametrize("name", RECIPES)
def test_a_hand_moves_python(name: str, lab: Lab) -> None:
    recipe = RECIPES[name]
    root = lab.show(recipe.code)  # the same cell again, and a fresh figure
    for trait, hand in recipe.hands.items():
        before = lab.trait(trait)
        hand(root)
        lab.reaches_python(trait, before)


@pytest.mark.parametrize("name", RECIPES)
def test_two_views_of_one_figure_stay_in_step_in_the_light_and_in_the_dark(name: str, lab: Lab) -> None:
    recipe = RECIPES[name]
    first = lab.show(recipe.code)
    second = lab.show("figure", 1)
    before = second.evaluate(SHOWN)
    trait, hand = next(iter(recipe.hands.items()))
    value = lab.trait(trait)
    hand(first)
    changes(second, before)
    value = lab.reaches_python(trait, value)
    schemes = []
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        lab.page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
        light = str(theme.endswith("Light")).lower()
        lab.page.wait_for_function(f"document.body.dataset.jpThemeLight === '{light}'")
        schemes.append([view.evaluate("one => getComputedStyle(one).colorScheme") for view in (first, second)])
    assert schemes == [["dark", "dark"], ["light", "light"]]
    assert lab.trait(trait) == value


LOOKS = """root => [...root.querySelectorAll('dl, dt, dd, .gn-button')].map(one => {
    const { display, float, overflow, borderRadius } = getComputedStyle(one);
    return [one.tagName, one.className, display, float, overflow, borderRadius].join(' '); })"""


@pytest.mark.parametrize("name", [name for name in RECIPES if class_of(name) != "Check"])
def test_jupyterlabs_styles_of_bare_elements_stay_out(name: str, lab: Lab, tmp_path: Path, browser: Browser) -> None:
    """In an output, terms float and lists are blocks; a page that has only the figure says how it is meant."""
    root = lab.show(RECIPES[name].code)
    write_page(tmp_path, (RECIPES[name].make(),), [0], "en")
    server = Server(tmp_path)
    alone = browser.new_page(viewport={"width": 1280, "height": 900})
    alone.goto(server.address)
    expect(alone.locator("figure.gn-figure")).to_be_visible()
    known = alone.locator("figure.gn-figure").evaluate(LOOKS)
    alone.close()
    server.close()
    assert known
    assert root.evaluate(LOOKS) == known


def test_figures_outlive_their_kernel_and_come_back_with_the_next(lab: Lab) -> None:
    roots = [lab.show(recipe.code, i) for i, recipe in enumerate(RECIPES.values())]
    lab.page.evaluate("jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    for root, recipe in zip(roots, RECIPES.values(), strict=True):
        before = root.evaluate(SHOWN)
        next(iter(recipe.hands.values()))(root)
        changes(root, before)  # the arithmetic is the page's own
    assert lab.run("print('figure' in globals())") == "False"
    for i, recipe in enumerate(RECIPES.values()):
        root = lab.show(recipe.code, i)
        trait, hand = next(iter(recipe.hands.items()))
        before = lab.trait(trait)
        hand(root)
        lab.reaches_python(trait, before)


def test_nothing_left_this_machine(window: tuple[Page, list[str]]) -> None:
    _, outside = window
    assert outside == []
