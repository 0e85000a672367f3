"""The README keeps its word: its code runs, its commands exist, it stays one page."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf8")


def test_its_code_runs():
    [code] = re.findall(r"```python\n(.*?)```", README, re.S)
    exec(code, {})


def test_every_command_it_names_is_a_target():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf8"), re.M))
    named = re.findall(r"(?<![\w-])make ([a-z-]+)", README)
    assert {"book", "test", "help"} <= set(named) <= targets | {"and"}  # "make and git"


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_one_page_is_enough(name: str):
    text = (ROOT / name).read_text("utf8")
    assert len(text.splitlines()) <= 80
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / link).exists(), f"{name} links to {link}"
