"""A page with figures and nothing else, a stand-in for the kernel behind each, and the hands to use them."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from playwright.sync_api import Locator, Page, expect

from gnlib.widgets.figure import STATIC, Figure

PAGE = """<!doctype html>
<html lang="{lang}">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'self'; style-src-elem 'self';
  style-src-attr 'unsafe-inline'; img-src 'self' data:; connect-src 'self'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Figures</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="page.css">
{styles}
<main><h1>Figures</h1><p><a href="#below">below</a></p>{places}<h2 id="below">Below</h2><div class="tall"></div></main>
<script type="module" src="mount.js"></script>
</html>"""

STYLE = """body { margin: 0; color-scheme: light dark; background: light-dark(#fff, #14181e); }
body { color: light-dark(#222, #ddd); }
main { padding: 0 12px; } .tall { height: 1500px; } a { color: inherit; }"""

MOUNT = """
class Model {
  constructor(state) { this.state = state; this.listeners = new Map(); this.saved = []; this.unsaved = {}; }
  get(name) { return this.state[name]; }
  set(name, value) {
    if (JSON.stringify(this.state[name]) === JSON.stringify(value)) return;
    this.state[name] = this.unsaved[name] = value;
    for (const listener of [...(this.listeners.get(`change:${name}`) ?? [])]) listener();
  }
  save_changes() { this.saved.push(this.unsaved); this.unsaved = {}; }
  on(event, listener) { this.listeners.set(event, [...(this.listeners.get(event) ?? []), listener]); }
  off(event, listener) { this.listeners.set(event, (this.listeners.get(event) ?? []).filter((l) => l !== listener)); }
  get listening() { return [...this.listeners.values()].flat().length; }
}
const { states, stems, views } = await (await fetch("states.json")).json();
const modules = await Promise.all(stems.map((stem) => import(`./${stem}.js`)));
window.models = states.map((state) => new Model(state));
const places = document.querySelectorAll("main > div.place");
window.closers = views.map((i, k) => modules[i].default.render({ model: window.models[i], el: places[k] }));
document.body.dataset.ready = "true";
"""


def state(figure: Figure) -> dict[str, Any]:
    """What crosses to the browser, less what Jupyter adds and the module itself."""
    traits = [name for name in type(figure).class_traits(sync=True) if not name.startswith("_")]
    return {name: getattr(figure, name) for name in traits if name not in ("layout", "tabbable", "tooltip")}


def write_page(folder: Path, figures: tuple[Figure, ...], views: list[int], lang: str) -> None:
    """Write a page that shows ``figures[i]`` for every i of ``views``."""
    stems = [figure.stem for figure in figures]
    content = {"states": [state(figure) for figure in figures], "stems": stems, "views": views}
    (folder / "states.json").write_text(json.dumps(content), "utf8")
    styles = "".join(f'<link rel="stylesheet" href="{stem}.css">' for stem in dict.fromkeys(stems))
    places = '<div class="place"></div>' * len(views)
    (folder / "index.html").write_text(PAGE.format(lang=lang, styles=styles, places=places), "utf8")
    (folder / "page.css").write_text(STYLE, "utf8")
    (folder / "mount.js").write_text(MOUNT, "utf8")
    for stem in stems:
        for kind in ("js", "css"):
            shutil.copy(STATIC / f"{stem}.{kind}", folder)


class Hands:
    """One figure of an open page, and the hands to use it."""

    def __init__(self, watched: Any, figure: Any, view: int, model: int) -> None:
        self.watched = watched
        self.page: Page = watched.page
        self.figure = figure
        self.index = model
        self.root = self.page.locator("figure.gn-figure").nth(view)

    def set(self, **traits: object) -> None:
        """Set traits as a kernel would."""
        self.page.evaluate(
            "([i, traits]) => { for (const [k, v] of Object.entries(traits)) models[i].set(k, v); }",
            [self.index, traits],
        )
        self.settle()

    def settle(self) -> None:
        """Wait until every part of the figure shows the newest state."""
        expect(self.root).not_to_have_attribute("data-behind", "")

    def get(self, trait: str) -> Any:
        return self.page.evaluate("([i, trait]) => models[i].get(trait)", [self.index, trait])

    def middle(self, locator: Locator) -> tuple[float, float]:
        box = locator.bounding_box()
        assert box
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def drag(self, handle: Locator, *stops: tuple[float, float]) -> None:
        self.page.mouse.move(*self.middle(handle))
        self.page.mouse.down()
        for x, y in stops:
            self.page.mouse.move(x, y, steps=8)
        self.page.mouse.up()
        self.settle()

    def fold(self, summary: str) -> Locator:
        """Open a fold."""
        fold = self.root.locator("details").filter(has=self.page.locator("summary", has_text=summary))
        if not fold.evaluate("d => d.open"):
            fold.locator("summary").click()
            expect(fold.locator("summary + *")).to_be_visible()
        return fold

    def rows(self, summary: str = "Statistics of each block") -> list[list[str]]:
        """The body of the table in a fold, as printed."""
        text: list[list[str]] = (
            self.fold(summary)
            .locator("table tbody tr")
            .evaluate_all("rows => rows.map(row => [...row.children].map(cell => cell.textContent))")
        )
        return text


def wait(page: Page, condition: str) -> None:
    """Wait until a condition holds in the page. (Playwright's own way evaluates text, which the page's CSP forbids.)"""
    look = f"const look = () => {condition} ? done() : requestAnimationFrame(look); look();"
    page.evaluate(f"() => new Promise(done => {{ {look} }})")


def fragment(page: Page) -> str:
    return page.evaluate("location.hash")


def number(text: str) -> float:
    """Read a number as a figure prints it."""
    text = text.replace("−", "-").replace(",", "").strip()
    if "·10" in text:
        digits, power = text.split("·10")
        return float(digits) * 10.0 ** int(power.translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")))
    return float(text)


def unit(text: str) -> float:
    """Half of the last printed decimal: how far a rounded number may be from the true one."""
    return 0.5 * 10.0 ** -len(text.partition(".")[2])


# a canvas that is read often warns; a copy that says so from the start does not
READ = """canvas => { const copy = new OffscreenCanvas(canvas.width, canvas.height);
  const context = copy.getContext('2d', { willReadFrequently: true }); context.drawImage(canvas, 0, 0);
  return context.getImageData(0, 0, copy.width, copy.height); }"""


def pixels(canvas: Locator) -> torch.Tensor:
    """Read a canvas: (height, width, 4), red, green, blue and opacity."""
    width, height, data = canvas.evaluate(
        f"""c => {{ const {{ width, height, data }} = ({READ})(c); let text = '';
        for (const value of data) text += String.fromCharCode(value); return [width, height, btoa(text)]; }}"""
    )
    return torch.tensor(list(base64.b64decode(data))).view(height, width, 4).double()


def color(t: torch.Tensor) -> torch.Tensor:
    """The figures' color scale, written again: linear between five colors, in 256 steps."""
    stops = torch.tensor([[14, 22, 48], [46, 66, 110], [132, 134, 140], [226, 190, 138], [255, 248, 228]]).double()
    step = ((t.double() + 2.6) / 5.2 * 255).round().clamp(0, 255) / 255 * 4
    low = step.floor().clamp(max=3).long()
    weight = (step - low).unsqueeze(-1)
    return stops[low] * (1 - weight) + stops[low + 1] * weight
