"""The one door through which layers reach the arithmetic: whoever computes it, the contract is core's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import torch
from torch import Tensor

from gnlib import core, fused
from gnlib.core import Running
from gnlib.grouping import Grouping

__all__ = [
    "Arithmetic",
    "Running",
    "arithmetic",
    "in_force",
    "normalize",
    "normalize_and_track",
    "normalize_by",
    "normalize_trailing",
    "rms_normalize_trailing",
]

Arithmetic = Literal["fused", "reference"]
"""Who computes: ``fused``, by torch's own operators where they are faster, or ``reference``, by core's few lines."""

_in_force: Arithmetic = "fused"


@contextmanager
def arithmetic(by: Arithmetic) -> Iterator[None]:
    """Let the layers that are built in this context compute by ``by``, for as long as they live.

    A layer reads the choice once, when it is built, so that no compiled graph holds another than its repr says.

    Raises:
        ValueError: ``by`` is neither "fused" nor "reference".
    """
    global _in_force
    if by not in get_args(Arithmetic):
        raise ValueError(f"arithmetic must be one that is there: got {by!r}; 'fused' or 'reference' would do")
    before, _in_force = _in_force, by
    try:
        yield
    finally:
        _in_force = before


def in_force() -> Arithmetic:
    """Return who computes for a layer that is built now."""
    return _in_force


def normalize(
    x: Tensor, grouping: Grouping, weight: Tensor | None, bias: Tensor | None, eps: float, *, by: Arithmetic
) -> Tensor:
    """Normalize as core does, and under autocast in float32 where torch's layer_norm and group_norm do so: on GPUs."""
    compute = fused.normalize if by == "fused" else core.normalize
    return compute(_widened(x, but_on=("cpu", "meta")), grouping, weight, bias, eps)


def normalize_trailing(
    x: Tensor, shape: tuple[int, ...], weight: Tensor | None, bias: Tensor | None, eps: float, *, by: Arithmetic
) -> Tensor:
    """Normalize trailing axes as core does, under autocast in float32 as :func:`normalize`."""
    compute = fused.normalize_trailing if by == "fused" else core.normalize_trailing
    return compute(_widened(x, but_on=("cpu", "meta")), shape, weight, bias, eps)


def rms_normalize_trailing(
    x: Tensor, shape: tuple[int, ...], weight: Tensor | None, eps: float, *, by: Arithmetic
) -> Tensor:
    """Divide by the root mean square as core does, under autocast in float32 where torch's rms_norm does so."""
    compute = fused.rms_normalize_trailing if by == "fused" else core.rms_normalize_trailing
    return compute(_widened(x, but_on=("cpu", "meta", "mps")), shape, weight, eps)


def normalize_and_track(
    x: Tensor,
    grouping: Grouping,
    running: Running | None,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    *,
    by: Arithmetic,
) -> Tensor:
    """Normalize and track as core does; as torch's batch_norm, never widened."""
    compute = fused.normalize_and_track if by == "fused" else core.normalize_and_track
    return compute(x, grouping, running, weight, bias, eps)


def normalize_by(
    x: Tensor,
    mean: Tensor,
    var: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    *,
    by: Arithmetic,
) -> Tensor:
    """Normalize by moments that were kept, as core does; as torch's batch_norm, never widened."""
    compute = fused.normalize_by if by == "fused" else core.normalize_by
    return compute(x, mean, var, weight, bias, eps)


def _widened(x: Tensor, but_on: tuple[str, ...]) -> Tensor:
    """Give x at least float32 under autocast, as torch does for norms on some devices."""
    device = x.device.type
    if device not in but_on and torch.is_autocast_enabled(device):
        x = x.to(torch.promote_types(x.dtype, torch.float32))
    return x
