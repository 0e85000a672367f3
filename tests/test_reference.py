"""The library reference names everything that a program may import, and nothing that is not there."""

import importlib
import re
from pathlib import Path

import pytest

import gnlib
import gnlib.widgets
from gnlib.book.reference import on_docstring

TEXT = (Path(__file__).resolve().parents[1] / "chapters" / "api.md").read_text("utf8")
NAMED = re.findall(r"^\.\. (?:auto\w+|data):: ([\w.]+)$", TEXT, flags=re.M)


def test_every_public_name_has_its_entry_once() -> None:
    full = [name if name.startswith("gnlib.") else f"gnlib.{name}" for name in NAMED]
    assert len(full) == len(set(full))
    wanted = {f"gnlib.{name}" for name in gnlib.__all__} | {f"gnlib.widgets.{name}" for name in gnlib.widgets.__all__}
    assert wanted <= set(full)


@pytest.mark.parametrize("name", NAMED)
def test_every_entry_is_there_and_documented(name: str) -> None:
    module, _, last = (name if name.startswith("gnlib.") else f"gnlib.{name}").rpartition(".")
    thing = getattr(importlib.import_module(module), last)
    assert thing is gnlib.EACH or len(thing.__doc__) > 30


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("(N, C, *)", r"(N, C, \*)"),
        ("(*, shape)", r"(\*, shape)"),
        ("*between* parts", "*between* parts"),
        ("a * b", "a * b"),
        ("    weight, bias: γ and β, each (C,).", "    weight/bias: γ and β, each (C,)."),
        ("    weight: shape (C,); see also: bias.", "    weight: shape (C,); see also: bias."),
        ("a sample, a channel: words", "a sample, a channel: words"),
    ],
)
def test_a_docstring_is_read_as_it_is_meant(said: str, read: str) -> None:
    """A star in a shape is no emphasis, and names that share a line are no types of each other."""
    lines = [said]
    on_docstring(None, "class", "it", None, None, lines)  # type: ignore[arg-type]
    assert lines == [read]
