"""Every generated notebook, as a reader gets it: from an empty folder, and on a Colab that is not ours to run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from gnlib.book.address import Repository
from gnlib.book.notebooks import setup_cell
from tests.colab_kernel import colab_kernel

ROOT = Path(__file__).resolve().parents[1]
SITE = Path(os.environ.get("GNLIB_SITE", ROOT / "_build" / "html"))
# without a book every test fails and says so: none may pass because there is nothing to look at
NOTEBOOKS = sorted((SITE / "notebooks").glob("*.ipynb")) or [SITE / "notebooks" / "run-make-html-first.ipynb"]
# what Colab brings along and nobody may touch
COLABS_OWN = {"torch", "numpy", "ipywidgets", "matplotlib", "pillow", "traitlets"}
SHORT = {"GNLIB_QUICK": "1"}  # the book's build has trained at full length; here it is about finding everything
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem),
]


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def markdown(path: Path) -> str:
    return "\n\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")


@pytest.fixture(autouse=True)
def _one_page_one_notebook(path: Path) -> None:
    """Each notebook belongs to a page of this build."""
    assert (SITE / "chapters" / f"{path.stem}.html").is_file()


def test_it_is_valid_and_holds_no_outputs_and_no_widgets(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    assert "widgets" not in notebook.metadata  # GitHub refuses to show a notebook with half of them
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) > 1
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)


def test_it_speaks_plain_markdown(path: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", markdown(path), flags=re.DOTALL)
    for what, pattern in {
        "a directive": r"^\s*(:{3,}|`{3,}\{)",
        "a role": r"\{[a-z:]+\}`",
        "a target": r"^\([a-z-]+\)=",
        "a resolved but unwritten element": r"<(document|paragraph|reference|inline|container)\b",
        "a macro of the book": r"\\(R|E|Var)\b",
    }.items():
        found = re.search(pattern, text, re.MULTILINE)
        assert not found, f"{what}: {found[0]!r}"


def test_it_names_no_place_on_this_machine(path: Path) -> None:
    text = path.read_text("utf8")
    for place in (str(ROOT), str(Path.home()) + "/", os.path.realpath(ROOT), "/tmp/", "127.0.0.1", "localhost"):
        assert place not in text


def test_no_link_of_it_is_dead(path: Path) -> None:
    attached = {name for cell in read(path).cells for name in cell.get("attachments", {})}
    used = set()
    for target in re.findall(
        r"(?<!\\)\]\(([^)\s]+)", re.sub(r"```.*?```|`[^`\n]*`|\$[^$]*\$", "", markdown(path), flags=re.DOTALL)
    ):
        if target.startswith("attachment:"):
            used.add(target.removeprefix("attachment:"))
        else:
            assert target.startswith(("https://", "http://", "mailto:")), target
    assert used == attached


def test_its_math_is_balanced(path: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", markdown(path), flags=re.DOTALL).replace(r"\$", "")
    assert text.count("$$") % 2 == 0
    assert text.replace("$$", "").count("$") % 2 == 0


def test_its_page_leads_to_it(path: Path) -> None:
    page = (SITE / "chapters" / f"{path.stem}.html").read_text("utf8")
    assert f"notebooks/{path.name}" in page


@pytest.mark.timeout(300)
def test_it_runs_from_an_empty_folder(path: Path, tmp_path: Path) -> None:
    notebook = read(path)
    # a checkout's gnlib, wherever the tests themselves found it
    path_of_python = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    kernel_env = {**os.environ, "PYTHONPATH": path_of_python, **SHORT}
    client = NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute(env=kernel_env)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    printed = "".join(output.get("text", "") for output in first.outputs)
    assert re.fullmatch(r"gnlib \S+, torch \S+, on .+\n", printed), printed
    assert list(tmp_path.iterdir()) == []  # and leaves nothing behind


# ---------------------------------------------------------------------- Colab


@pytest.fixture
def colab(tmp_path: Path) -> dict[str, str]:
    """What the first cell can see of Colab: google.colab is loaded, gnlib is not there; pip is recorded.

    The recorded pip unpacks the wheel, so that what runs afterwards is the library that stands beside the site.
    """
    place = tmp_path / "python"
    (place / "pip").mkdir(parents=True)
    (place / "google" / "colab").mkdir(parents=True)
    (place / "google" / "__init__.py").write_text("")
    (place / "google" / "colab" / "__init__.py").write_text("")
    (place / "pip" / "__init__.py").write_text("")
    (place / "pip" / "__main__.py").write_text(
        textwrap.dedent(f"""
        import json, pathlib, sys, zipfile
        with open({str(tmp_path / "pip.jsonl")!r}, "a") as log:
            log.write(json.dumps(sys.argv[1:]) + "\\n")
        for wheel in sys.argv[1:]:
            if wheel.endswith(".whl"):
                local = pathlib.Path({str(SITE / "dist")!r}, wheel.rsplit("/", 1)[-1])
                zipfile.ZipFile(local).extractall({str(place)!r})
        """)
    )
    (place / "sitecustomize.py").write_text(
        textwrap.dedent(f"""
        import pathlib, sys
        sys.path[:] = [p for p in sys.path if p == {str(place)!r} or not pathlib.Path(p, "gnlib").is_dir()]
        sys.meta_path[:] = [f for f in sys.meta_path if "editable" not in getattr(f, "__module__", type(f).__module__)]
        import google.colab
        """)
    )
    return {**os.environ, "PYTHONPATH": str(place), **SHORT}


def installed(tmp_path: Path) -> list[list[str]]:
    log = tmp_path / "pip.jsonl"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


@pytest.mark.timeout(300)
def test_on_colab_it_installs_the_books_own_wheel_and_runs_with_colabs_own_packages(
    path: Path, tmp_path: Path, colab: dict[str, str]
) -> None:
    wheel = next((SITE / "dist").glob("*.whl"))
    folder = tmp_path / "content"
    folder.mkdir()
    (folder / wheel.name).write_bytes(wheel.read_bytes())  # dropped into the Files panel
    notebook = read(path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    probe = nbformat.v4.new_code_cell("import gnlib, ipywidgets; print(gnlib.__file__, ipywidgets.__version__)")
    notebook.cells = [*code, probe]
    NotebookClient(
        notebook, timeout=240, resources={"metadata": {"path": str(folder)}}, **colab_kernel(tmp_path / "kernel")
    ).execute(env=colab)  # fmt: skip
    calls = installed(tmp_path)
    assert len(calls) == 1
    assert calls[0][:3] == ["install", "--quiet", "--no-deps"]
    assert [Path(what).name for what in calls[0][3:]] == [wheel.name]
    assert not {re.split(r"[<>=\[~!-]", what)[0].lower() for what in calls[0][3:]} & COLABS_OWN
    place, version = probe.outputs[0].text.split()
    assert place.startswith(str(tmp_path / "python"))  # the wheel's library ran, not the checkout's
    assert version == "7.7.1"  # Colab's


def run(source: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", source], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_on_colab_without_the_wheel_it_says_what_to_do(path: Path, tmp_path: Path, colab: dict[str, str]) -> None:
    first = next(cell.source for cell in read(path).cells if cell.cell_type == "code")
    if re.search(r'(?m)^SITE = "https', first):
        pytest.skip("this book has an address, and its notebooks fetch the wheel from there")
    done = run(first, tmp_path, colab)
    assert re.search(
        r"FileNotFoundError: the library must lie beside this notebook: gnlib_book-\S+\.whl is not in", done.stderr
    )
    assert "drop it into the Files panel on the left, and run this cell again" in done.stderr
    assert installed(tmp_path) == []


def test_on_colab_with_an_address_it_takes_the_wheel_beside_the_site(
    path: Path, tmp_path: Path, colab: dict[str, str]
) -> None:
    name = next((SITE / "dist").glob("*.whl")).name
    cell = setup_cell(name, Repository("ada", "square"), gpu="accelerator" in read(path).metadata)
    first = next(cell.source for cell in read(path).cells if cell.cell_type == "code")
    assert re.sub(r"(?m)^SITE = .*", "", cell) == re.sub(r"(?m)^SITE = .*", "", first)
    done = run(cell, tmp_path, colab)
    assert done.returncode == 0, done.stderr
    assert installed(tmp_path) == [["install", "--quiet", "--no-deps", f"https://ada.github.io/square/dist/{name}"]]


def test_elsewhere_without_gnlib_it_says_how_to_get_it(path: Path, tmp_path: Path, colab: dict[str, str]) -> None:
    customize = tmp_path / "python" / "sitecustomize.py"
    customize.write_text(customize.read_text().replace("import google.colab", ""))
    done = run(next(cell.source for cell in read(path).cells if cell.cell_type == "code"), tmp_path, colab)
    assert re.search(
        r"ModuleNotFoundError: gnlib must be installed to run this notebook: pip install "
        r"(https://\S+\.whl|gnlib_book-\S+\.whl, a file from the book's dist/ folder), or `pip install \.`",
        done.stderr,
    )
    assert installed(tmp_path) == []


def test_the_wheel_holds_the_library_and_the_built_figures(path: Path) -> None:
    names = zipfile.ZipFile(next((SITE / "dist").glob("*.whl"))).namelist()
    for needed in ("gnlib/core.py", "gnlib/widgets/static/square.js", "gnlib/widgets/static/square.css"):
        assert needed in names
    assert not [name for name in names if name.startswith(("tests/", "chapters/", "frontend/"))]
