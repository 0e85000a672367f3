"""The numbers that the front end is checked against are core's own, and fresh."""

import json
import math
from typing import Any

from tests import golden


def test_the_golden_file_is_what_core_says_today():
    said = json.loads(golden.FILE.read_text())
    now = json.loads(golden.text())
    assert differences(said, now) == [], "run: python -m tests.golden"


def test_the_golden_file_stays_small():
    assert golden.FILE.stat().st_size <= 300_000  # bytes


def differences(said: Any, now: Any, where: str = "golden") -> list[str]:
    """List the places that differ; floats may differ by rounding, which machines do differently."""
    if isinstance(now, dict) and isinstance(said, dict) and said.keys() == now.keys():
        return [line for key in now for line in differences(said[key], now[key], f"{where}.{key}")]
    if isinstance(now, list) and isinstance(said, list) and len(said) == len(now):
        pairs = enumerate(zip(said, now, strict=True))
        return [line for i, pair in pairs for line in differences(*pair, f"{where}[{i}]")]
    if isinstance(now, float) and isinstance(said, float):
        return [] if math.isclose(said, now, rel_tol=1e-13, abs_tol=1e-13) else [f"{where}: {said} is now {now}"]
    return [] if said == now else [f"{where}: {said} is now {now}"]
