"""Puts the recorded runs into the wheel, as gnlib/results, for gnlib.records.recorded.

Not by `force-include`: at an editable install that would lay a copy into site-packages, a folder `gnlib` beside the
real one.
"""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Results(BuildHookInterface):  # type: ignore[type-arg]
    """Adds results/ to a wheel that is not editable."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the folder."""
        if version != "editable":
            build_data["force_include"]["results"] = "gnlib/results"
