"""The one door through which layers reach the arithmetic: whoever computes it, the contract is core's."""

from __future__ import annotations

import torch
from torch import Tensor

from gnlib import core
from gnlib.core import Moments, apply, moments, pool
from gnlib.grouping import Grouping

__all__ = ["Moments", "apply", "moments", "normalize", "pool", "rms_normalize"]


def normalize(
    x: Tensor, grouping: Grouping, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Normalize as core does, and under autocast in float32 where torch's layer_norm and group_norm do so: on GPUs."""
    return core.normalize(_widened(x, but_on=("cpu", "meta")), grouping, weight, bias, eps)


def rms_normalize(x: Tensor, grouping: Grouping, weight: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """Normalize by the root mean square as core does, under autocast in float32 where torch's rms_norm does so."""
    return core.rms_normalize(_widened(x, but_on=("cpu", "meta", "mps")), grouping, weight, eps)


def _widened(x: Tensor, but_on: tuple[str, ...]) -> Tensor:
    """Give x at least float32 under autocast, as torch does for norms on some devices."""
    device = x.device.type
    if device not in but_on and torch.is_autocast_enabled(device):
        x = x.to(torch.promote_types(x.dtype, torch.float32))
    return x
