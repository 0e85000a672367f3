"""Runs a chapter's anywidget figures in the finished page, with no kernel and without requirejs or html-manager.

myst-nb keeps the state of an executed chapter's widgets, and writes a script element where each is shown. Here every
such element becomes a mount point, the state becomes a small payload, and each ES module becomes a plain script
(browsers refuse modules on file://, and a plain file satisfies the strict Content-Security-Policy).
``static/anywidget-host.js`` does the rest in the browser.

Only what needs no kernel can work: a widget that is no anywidget stops the build with the chapter's name and a way
out. Observers in Python do not run in a page; everything that a reader can move is computed in JavaScript."""

from __future__ import annotations

import hashlib
import json
import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx.transforms.post_transforms import SphinxPostTransform

from gnlib.book.katex_static import write_if_changed
from gnlib.book.node import esbuild

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config
    from sphinx.environment import BuildEnvironment

HERE = Path(__file__).parent
FOLDER = "widgets"  # below _static
VIEW = re.compile(r'<script type="application/vnd\.jupyter\.widget-view\+json">(.*?)</script>', re.DOTALL)
STATE = "ipywidgets_state"  # myst-nb's key
PAYLOAD = "application/vnd.anywidget-static+json"
LARGE = 2000  # characters of a trait that stands in a file of its own
NOT_STATE = {"layout", "tabbable", "tooltip", "comm", "_dom_classes", "_esm", "_css", "_anywidget_id"}
# until the figure stands there, and for good where no script runs
WAITING = "This figure runs in your browser and needs JavaScript. If it does not appear in a moment, reload the page."
ESBUILD = ("--bundle", "--format=iife", "--minify", "--target=es2020", "--charset=utf8", "--log-level=warning")


def key_of(text: str) -> str:
    """Return a module's or a style sheet's name: a hash of its content, fit for a JavaScript variable."""
    return "w" + hashlib.sha256(text.encode()).hexdigest()[:12]


def kind_of(identity: str) -> str:
    """Return what figures of a class are called in the address: the stem of the module, as in ``square.Square``."""
    *_, module, name = f".{identity}".rsplit(".", 2)
    return name.lower() if module in ("", "__main__") else module


def shrink(state: dict[str, Any], docname: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what the page keeps of the widgets' state, and the sources of modules and style sheets by key.

    Raises:
        ExtensionError: a widget cannot work without a kernel; names the chapter, the widget and a way out.
    """
    models: dict[str, Any] = {}
    sources: dict[str, str] = {}

    def keep(text: str | None) -> str | None:
        if not text:
            return None
        sources[key_of(text)] = text
        return key_of(text)

    # layouts and styles are html-manager's way to set CSS; they come with every widget, and the host has none
    widgets = {k: v for k, v in state["state"].items() if not v["model_name"].endswith(("LayoutModel", "StyleModel"))}
    if others := sorted({model["model_name"] for model in widgets.values() if model["model_module"] != "anywidget"}):
        raise ExtensionError(
            f"{docname}: a widget in a page must work without a kernel, and only anywidget's do: got "
            f"{', '.join(others)}; "
            "make it an anywidget, or show it in the notebooks only (cell tag remove-output)"
        )
    for identity, model in widgets.items():
        name, traits = model["model_name"], model["state"]
        if not traits.get("_esm"):
            raise ExtensionError(
                f"{docname}: a widget in a page must bring its module: {traits.get('_anywidget_id', name)} has no "
                "_esm; is the front end built (`npm run build`)?"
            )
        models[identity] = {
            "esm": keep(traits["_esm"]),
            "css": keep(traits.get("_css")),
            "kind": kind_of(traits.get("_anywidget_id", name)),
            "state": {
                k: v for k, v in traits.items() if k not in NOT_STATE and not k.startswith(("_model_", "_view_"))
            },
        }
        if buffers := model.get("buffers"):
            models[identity]["buffers"] = [
                {"path": one["path"], "base64": "".join(one["data"].split())}
                for one in buffers
                if one["encoding"] == "base64"
            ]
            if len(models[identity]["buffers"]) != len(buffers):
                raise ExtensionError(f"{docname}: {name} has a binary trait in an encoding other than base64")
    return {"models": models}, sources


def as_script(payload: dict[str, Any]) -> str:
    """Return data as the text of a script element."""
    text = json.dumps(payload, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return text.replace("<", "\\u003c")


def figures(env: BuildEnvironment) -> dict[str, tuple[str, dict[str, str]]]:
    """Return the payload and the sources of every chapter that has figures; kept with the environment."""
    if not hasattr(env, "gn_figures"):
        env.gn_figures = {}  # type: ignore[attr-defined]
    found: dict[str, tuple[str, dict[str, str]]] = env.gn_figures  # type: ignore[attr-defined]
    return found


def on_read(app: Sphinx, doctree: Any) -> None:
    """Take the widgets' state from myst-nb when it has just read a chapter."""
    docname = app.env.docname
    scripts = getattr(app.env, "nb_metadata", {}).get(docname, {}).get("js_files", {})
    entry = scripts.pop(STATE, None)
    if entry is None:
        return
    payload, sources = shrink(json.loads(entry[1]["body"].replace("\\u003c", "<")), docname)
    if payload["models"]:
        figures(app.env)[docname] = (as_script(payload), sources)


def on_purge(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    """Forget a chapter that is read again."""
    figures(env).pop(docname, None)


class MountPoints(SphinxPostTransform):
    """Puts a mount point where myst-nb shows a widget."""

    default_priority = 210  # after the output's MIME type was chosen
    formats = ("html",)

    def run(self, **options: Any) -> None:
        """Replace them."""
        payload, _ = figures(self.env).get(self.env.docname, ('{"models": {}}', {}))
        kinds = {identity: model["kind"] for identity, model in json.loads(payload)["models"].items()}
        for raw in list(self.document.findall(nodes.raw)):
            if match := VIEW.fullmatch(raw.astext().strip()):
                identity = json.loads(match[1].replace("\\u003c", "<"))["model_id"]
                kind = escape(kinds.get(identity, ""))
                note = f'<p class="gn-mount-note">{WAITING}</p>'
                text = f'<div class="gn-mount" data-model="{escape(identity)}" data-kind="{kind}">{note}</div>'
                raw.replace_self(nodes.raw("", text, format="html"))


def set_apart(models: dict[str, Any]) -> dict[str, str]:
    """Take what is large out of the models' states, so that it comes beside the text and not before it.

    Figures and chapters that show the same activation share it. Returns the values as JSON by key; a model says in
    ``apart`` which trait each of its keys is.
    """
    pieces: dict[str, str] = {}
    for model in models.values():
        for trait, value in list(model["state"].items()):
            text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
            if len(text) > LARGE:
                pieces[key_of(text)] = text
                model.setdefault("apart", {})[trait] = key_of(text)
                del model["state"][trait]
    return pieces


def write_piece(app: Sphinx, key: str, text: str) -> None:
    """Write a trait's value as a plain script that hands it to the host."""
    write_if_changed(
        Path(app.outdir, "_static", FOLDER, f"{key}.js"), f'(window.anywidgetStatic??=[]).push(["{key}",{text}]);'
    )


def write_module(app: Sphinx, key: str, source: str) -> None:
    """Write an ES module as a plain script that hands its exports to the host."""
    path = Path(app.outdir, "_static", FOLDER, f"{key}.js")
    if not path.exists():  # the name is the hash of the content
        hand_over = f'(window.anywidgetStatic??=[]).push(["{key}",{key}]);'
        root = Path(app.confdir, app.config.katex_root).resolve()
        script = esbuild(root, *ESBUILD, f"--global-name={key}", f"--footer:js={hand_over}", text=source)
        write_if_changed(path, script)


def on_page(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Give a page the payload, the first figure's module and values, every style sheet once, and the host.

    What the other figures need is named in the payload: the host asks for it once nothing on the screen waits any more.
    """
    if app.builder.format != "html" or doctree is None or pagename not in figures(app.env):
        return
    payload, sources = figures(app.env)[pagename]
    data = json.loads(payload)
    models = data["models"]
    shown = re.findall(r'class="gn-mount" data-model="([^"]*)"', context.get("body", ""))
    first = next((models[identity] for identity in shown if identity in models), None)
    pieces = set_apart(models)
    for key, text in pieces.items():
        write_piece(app, key, text)
    modules = {model["esm"] for model in models.values()}
    for key in modules:
        write_module(app, key, sources[key])
    now = [first["esm"], *first.get("apart", {}).values()] if first else []
    for key in sorted({*modules, *pieces} - {*now}):
        data.setdefault("modules", {})[key] = context["pathto"](f"_static/{FOLDER}/{key}.js", resource=True)
    # after all scripts, so that the browser meets their names before it reads through the data
    app.add_js_file(None, body=as_script(data), type=PAYLOAD, priority=990)
    for key in now:
        app.add_js_file(f"{FOLDER}/{key}.js", loading_method="async", fetchpriority="high")
    for key in sorted({model["css"] for model in models.values() if model["css"]}):
        write_if_changed(Path(app.outdir, "_static", FOLDER, f"{key}.css"), sources[key])
        app.add_css_file(f"{FOLDER}/{key}.css")
    app.add_js_file("anywidget-host.js", loading_method="async", fetchpriority="high")


def on_config(app: Sphinx, config: Config) -> None:
    """Take myst-nb's own scripts for widgets away, and add ours."""
    config.nb_ipywidgets_js = {}
    config.html_static_path = [*config.html_static_path, str(HERE / "static")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect everything."""
    app.add_post_transform(MountPoints)
    app.connect("config-inited", on_config, priority=900)
    app.connect("doctree-read", on_read)
    app.connect("env-purge-doc", on_purge)
    app.connect("html-page-context", on_page, priority=100)
    return {"parallel_read_safe": False, "parallel_write_safe": False}
