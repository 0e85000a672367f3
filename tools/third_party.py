"""Checks third_party.toml, the one manifest of other people's works that we ship, against what is installed.

`--write` renews checksums and versions; `--notices FILE` writes everybody's licence text, published with the book.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = ROOT / "third_party.toml"
Work = dict[str, Any]  # an entry of the manifest


def works() -> list[Work]:
    return list(tomllib.loads(MANIFEST.read_text("utf8"))["work"])


def distribution(work: Work) -> importlib.metadata.Distribution:
    return importlib.metadata.distribution(work["from"].removeprefix("python:"))


def folder(work: Work) -> Path:
    kind, _, name = str(work["from"]).partition(":")
    if kind == "npm":
        return ROOT / "node_modules" / name
    if kind == "repository":
        return ROOT
    spec = importlib.util.find_spec(name)
    assert spec, f"{name} is not installed"
    return Path(str(spec.origin)).parent


def installed_version(work: Work) -> str:
    if work["from"].startswith("npm:"):
        return str(json.loads((folder(work) / "package.json").read_text("utf8"))["version"])
    if work["from"].startswith("python:"):
        return distribution(work).version
    return str(work["version"])


def files(work: Work) -> list[Path]:
    found = [path for pattern in work["files"] for path in sorted(folder(work).glob(pattern)) if path.is_file()]
    assert found, f"third_party.toml: {work['name']}: no file matches {work['files']} in {work['from']}"
    return found


def checksum(work: Work) -> str:
    total = hashlib.sha256()
    for path in files(work):
        total.update(path.relative_to(folder(work)).as_posix().encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


def faults() -> Iterator[str]:
    for work in works():
        if (version := installed_version(work)) != work["version"]:
            yield f"{work['name']}: {version} is installed, the manifest says {work['version']}"
        elif checksum(work) != work["sha256"]:
            yield f"{work['name']}: the files are not those that the manifest's checksum was made from"


def write() -> None:
    text = MANIFEST.read_text("utf8")
    for work in works():
        head, mark, rest = text.partition(f'name = "{work["name"]}"')
        rest = rest.replace(f'version = "{work["version"]}"', f'version = "{installed_version(work)}"', 1)
        rest = rest.replace(f'sha256 = "{work["sha256"]}"', f'sha256 = "{checksum(work)}"', 1)
        text = head + mark + rest
    MANIFEST.write_text(text, "utf8")


def notice(work: Work) -> str:
    if work["notice"] != "dist-info":
        return (folder(work) / str(work["notice"])).read_text("utf8")
    texts = [file for file in distribution(work).files or [] if "licen" in file.name.lower()]
    assert texts, f"{work['name']}: its distribution carries no licence text"
    return "\n".join(file.read_text() for file in texts)


def notices() -> str:
    rule = "=" * 100
    parts = [
        f"{rule}\n{work['name']}, {work['version']}: {work['licence']}\n{rule}\n{notice(work)}" for work in works()
    ]
    return "Works of others in this book, with their licences.\n\n" + "\n\n".join(part.strip() for part in parts) + "\n"


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--write"]:
            write()
        case ["--notices", target]:
            Path(target).write_text(notices(), "utf8")
        case []:
            if found := list(faults()):
                found.append("If the update is meant, read what changed, then: python -m tools.third_party --write")
                sys.exit("\n".join(found))
        case other:
            sys.exit(f"one of --write, --notices FILE, or nothing: got {other}")
