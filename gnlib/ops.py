"""The one door through which layers reach the arithmetic: whoever computes it, the contract is core's."""

from __future__ import annotations

import torch
from torch import Tensor

from gnlib import core
from gnlib.core import Moments, apply, moments, pool
from gnlib.grouping import Grouping

__all__ = ["Moments", "apply", "moments", "normalize", "pool"]


def normalize(
    x: Tensor, grouping: Grouping, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Normalize as core does, and under autocast in float32 where torch's layer_norm and group_norm do so: on GPUs."""
    if x.device.type not in ("cpu", "meta") and torch.is_autocast_enabled(x.device.type):
        x = x.to(torch.promote_types(x.dtype, torch.float32))
    return core.normalize(x, grouping, weight, bias, eps)
