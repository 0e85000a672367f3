"""The manifest of other people's works tells the truth about what is installed and shipped."""

import json
import tomllib
from pathlib import Path

import pytest

from tools import third_party

ROOT = Path(__file__).resolve().parents[1]


def test_every_work_is_the_one_that_the_manifest_names():
    assert list(third_party.faults()) == []


def test_a_changed_file_is_noticed(monkeypatch: pytest.MonkeyPatch):
    first, *rest = third_party.works()
    monkeypatch.setattr(third_party, "works", lambda: [{**first, "sha256": "0" * 64}, *rest])
    assert list(third_party.faults()) == [
        f"{first['name']}: the files are not those that the manifest's checksum was made from"
    ]


def test_everything_bundled_into_the_figures_is_in_the_manifest():
    bundled = json.loads((ROOT / "package.json").read_text("utf8"))["dependencies"]
    assert {f"npm:{name}" for name in bundled} <= {work["from"] for work in third_party.works()}


def test_every_photograph_that_we_ship_has_its_credit():
    folder = ROOT / "gnlib" / "data" / "photographs"
    entries = tomllib.loads((folder / "CREDITS.toml").read_text("utf8"))["photograph"]
    assert sorted(entry["file"] for entry in entries) == sorted(path.name for path in folder.glob("*.jpg"))


def test_every_licence_text_is_published():
    text = third_party.notices()
    for work in third_party.works():
        assert work["name"] in text
    for phrase in ("Permission is hereby granted", "Redistribution and use in source and binary forms", "CC BY 2.0"):
        assert phrase in text
