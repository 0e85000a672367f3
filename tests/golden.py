"""Writes frontend/golden.json: what core.py says, for the front end's arithmetic to agree with.

Run ``python -m tests.golden`` after a change in core.py or grouping.py; a test says when the file is stale.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gnlib import BatchNorm, Grouping, Moments, apply, moments, pool

FILE = Path(__file__).parents[1] / "frontend" / "golden.json"


def main() -> None:
    FILE.write_text(text())


def text() -> str:
    """One case a line, so that a change shows as a small difference; numbers with all their digits."""
    parts = {"cases": _cases(), "legal": _legal(), "running": _running()}
    lines = (
        f'"{name}": [\n' + ",\n".join(json.dumps(part) for part in part_list) + "\n]"
        for name, part_list in parts.items()
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _cases() -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(1803_08494)

    def random(*shape: int, offset: float = 0.0) -> Tensor:
        x = torch.randn(*shape, generator=generator, dtype=torch.float64) * 2 + offset
        return x.round(decimals=3)  # short in the file, and still the same double in every language

    def every_point(title: str, x: Tensor, **affine: Any) -> list[dict[str, Any]]:
        return [_case(f"{title}, ({b}, {g})", x, b, g, **affine) for b, g in Grouping.legal(*x.shape[:2])]

    affine = {"weight": random(6), "bias": random(6)}
    constant = random(2, 4, 3)
    constant[0, :2] = 0.1  # not a binary fraction: rounding must not make a variance of it
    return [
        *every_point("every point of 4 samples, 6 channels", random(4, 6, 2, 3), **affine),
        *every_point("6 samples, 9 channels", random(6, 9, 2)),
        *every_point("one sample", random(1, 6, 4), **affine),
        *every_point("a prime number of channels", random(3, 7, 2)),
        *every_point("one channel", random(4, 1, 3)),
        *every_point("one cell", random(1, 1, 5)),
        *every_point("no positions: one value a cell", random(4, 6)),
        *every_point("empty positions", random(2, 3, 0)),
        *every_point("no samples", random(0, 3, 2)),
        *every_point("a constant block", constant, eps=1e-3),
        *every_point("far from zero", random(2, 4, 5, offset=1e6)),
        *every_point("a single position", random(2, 4, 1)),
        _case("eps of zero", random(2, 4, 3), 1, 2, eps=0.0),
    ]


def _case(
    title: str, x: Tensor, b: int, g: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> dict[str, Any]:
    grouping = Grouping(b, g)
    cells = moments(x)
    blocks = pool(cells, grouping)
    within, between = within_and_between(cells, grouping)
    return {
        "title": title,
        "shape": list(x.shape),
        "x": x.flatten().tolist(),
        "b": b,
        "g": g,
        "eps": eps,
        "weight": None if weight is None else weight.tolist(),
        "bias": None if bias is None else bias.tolist(),
        "cells": _tables(cells),
        "blocks": _tables(blocks),
        "within": within.tolist(),
        "between": between.tolist(),
        "y": apply(x, blocks, weight, bias, eps).flatten().tolist(),
        "name": grouping.name(*x.shape[:2]),
        "pattern": grouping.pattern(*x.shape[:2]),
    }


def within_and_between(cells: Moments, grouping: Grouping) -> tuple[Tensor, Tensor]:
    """Split every block's variance: the mean of its cells' variances, and the variance of its cells' means."""
    nothing = torch.zeros_like(cells.var)
    within = pool(Moments(cells.count, cells.var, nothing), grouping).mean
    between = pool(Moments(cells.count, cells.mean, nothing), grouping).var
    return within, between


def _tables(m: Moments) -> dict[str, Any]:
    return {name: table.tolist() for name, table in m._asdict().items()}


def _legal() -> list[dict[str, Any]]:
    shapes = [(1, 1), (1, 6), (4, 1), (4, 6), (3, 7), (6, 12), (8, 32), (9, 48)]
    return [{"N": N, "C": C, "points": Grouping.legal(N, C)} for N, C in shapes]


def _running() -> list[dict[str, Any]]:
    """Three training batches of different sizes, then one evaluation."""
    cases = []
    for title, momentum in (("a moving mean", 0.1), ("the mean over all batches", None)):
        generator = torch.Generator().manual_seed(1502_03167)
        layer = BatchNorm(3, momentum=momentum, affine=False, dtype=torch.float64)
        batches = []
        for shape in ((4, 3, 2), (2, 3, 2), (3, 3, 5)):
            x = torch.randn(*shape, generator=generator, dtype=torch.float64) * 3 + 5
            x = x.round(decimals=3)
            layer(x)
            batches.append({"shape": list(shape), "x": x.flatten().tolist()})
        x = torch.randn(2, 3, 4, generator=generator, dtype=torch.float64).round(decimals=3)
        assert layer.running_mean is not None
        assert layer.running_var is not None
        cases.append(
            {
                "title": title,
                "C": 3,
                "momentum": momentum,
                "eps": layer.eps,
                "batches": batches,
                "running_mean": layer.running_mean.tolist(),
                "running_var": layer.running_var.tolist(),
                "shape_eval": list(x.shape),
                "x_eval": x.flatten().tolist(),
                "y_eval": layer.eval()(x).flatten().tolist(),
            }
        )
    return cases


if __name__ == "__main__":
    main()
