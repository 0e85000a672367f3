"""Normalization layers as grouping choices over one shared core."""

from gnlib.core import Moments, apply, moments, normalize, pool
from gnlib.grouping import EACH, Grouping
from gnlib.layers import BatchNorm, GhostBatchNorm, GroupNorm, InstanceNorm, LayerNorm, RMSNorm, grouping_of
from gnlib.ops import arithmetic

__all__ = [
    "EACH",
    "BatchNorm",
    "GhostBatchNorm",
    "GroupNorm",
    "Grouping",
    "InstanceNorm",
    "LayerNorm",
    "Moments",
    "RMSNorm",
    "apply",
    "arithmetic",
    "grouping_of",
    "moments",
    "normalize",
    "pool",
]
