"""What a layer of gnlib is held against: its namesake in torch.nn, arguments for both, a shape for both."""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor, nn

import gnlib


class ChunkedBatchNorm(nn.BatchNorm2d):
    """torch's own ghost batch norm: its batch_norm on each chunk, its BatchNorm2d's state from the whole batch."""

    def __init__(self, num_features: int, block_size: int, *args, **options) -> None:
        super().__init__(num_features, *args, **options)
        self.block_size = block_size

    def forward(self, input: Tensor) -> Tensor:
        whole = super().forward(input)
        if not self.training and self.running_mean is not None:
            return whole
        return torch.cat([self.normalize(part) for part in input.split(self.block_size)])

    def normalize(self, part: Tensor) -> Tensor:
        return nn.functional.batch_norm(part, None, None, self.weight, self.bias, True, eps=self.eps)

    def extra_repr(self) -> str:
        features, rest = super().extra_repr().split(", ", 1)
        return f"{features}, block_size={self.block_size}, {rest}"


class Reference(NamedTuple):
    """A layer of gnlib and the layer of torch.nn whose place it takes."""

    ours: type[nn.Module]
    theirs: type[nn.Module]
    arguments: tuple
    shape: tuple[int, ...]
    options: MappingProxyType = MappingProxyType({})

    def pair(self, dtype: torch.dtype = torch.float64, **options) -> tuple[nn.Module, nn.Module]:
        """Build both, and give both the same values, none of them special."""
        options = {**self.options, "dtype": dtype, **options}
        ours, theirs = self.ours(*self.arguments, **options), self.theirs(*self.arguments, **options)
        values = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for name, entry in theirs.state_dict(keep_vars=True).items():
                if name != "num_batches_tracked":
                    fresh = torch.rand(entry.shape, generator=values, dtype=torch.float64)
                    entry.copy_(fresh - (0.5 if name in ("bias", "running_mean") else -0.5))
        ours.load_state_dict(theirs.state_dict(), strict=True)
        return ours, theirs

    def input(self, dtype: torch.dtype = torch.float64, offset: float = 0.0, seed: int = 1) -> Tensor:
        """Make values whose spread differs from sample to sample and from channel to channel, around ``offset``."""
        values = torch.Generator().manual_seed(seed)
        x = torch.rand(self.shape, generator=values, dtype=torch.float64).square()  # not symmetric
        for axis in range(min(2, x.dim())):
            size = self.shape[axis]
            spread = torch.linspace(0.5, 2, size, dtype=torch.float64)
            x = x * spread.view([size if k == axis else 1 for k in range(x.dim())])
        return (x + offset).to(dtype)

    def conditioning(self, x: Tensor) -> float:
        """Say how far the worst block of x stands from zero: |mean| / sd, at least 1."""
        if issubclass(self.ours, (gnlib.BatchNorm, gnlib.GhostBatchNorm)):
            size = self.arguments[1] if self.ours is gnlib.GhostBatchNorm else len(x)
            blocks = x.unflatten(0, (-1, size)).transpose(1, 2).flatten(2).flatten(0, 1)  # (N/size·C, size·S)
        elif issubclass(self.ours, gnlib.InstanceNorm):
            blocks = x.flatten(2).flatten(0, 1)  # (N·C, S)
        elif issubclass(self.ours, gnlib.GroupNorm):
            blocks = x.reshape(x.shape[0] * self.arguments[0], -1)  # (N·G, C/G·S)
        else:
            blocks = x.reshape(-1, torch.empty(self.arguments[0], device="meta").numel())  # (leading, trailing)
        return max(1.0, (blocks.mean(1).abs() / blocks.std(1, correction=0)).max().item())

    @property
    def keeps_running(self) -> bool:
        return issubclass(self.ours, (gnlib.BatchNorm, gnlib.GhostBatchNorm, gnlib.InstanceNorm))


_affine = MappingProxyType({"affine": True})

REFERENCES = {
    "BatchNorm1d, no positions": Reference(gnlib.BatchNorm, nn.BatchNorm1d, (6,), (8, 6)),
    "BatchNorm1d": Reference(gnlib.BatchNorm, nn.BatchNorm1d, (6,), (4, 6, 7)),
    "BatchNorm2d": Reference(gnlib.BatchNorm, nn.BatchNorm2d, (6,), (4, 6, 5, 7)),
    "BatchNorm3d": Reference(gnlib.BatchNorm, nn.BatchNorm3d, (6,), (4, 6, 2, 3, 5)),
    "BatchNorm2d, one sample": Reference(gnlib.BatchNorm, nn.BatchNorm2d, (6,), (1, 6, 5, 7)),
    "GhostBatchNorm, 2 of 6": Reference(gnlib.GhostBatchNorm, ChunkedBatchNorm, (4, 2), (6, 4, 5, 7)),
    "GhostBatchNorm, 3 of 6": Reference(gnlib.GhostBatchNorm, ChunkedBatchNorm, (4, 3), (6, 4, 5, 7)),
    "GhostBatchNorm, 4 of 4": Reference(gnlib.GhostBatchNorm, ChunkedBatchNorm, (6, 4), (4, 6, 5, 7)),
    "InstanceNorm1d": Reference(gnlib.InstanceNorm, nn.InstanceNorm1d, (6,), (4, 6, 7), _affine),
    "InstanceNorm2d": Reference(gnlib.InstanceNorm, nn.InstanceNorm2d, (6,), (4, 6, 5, 7), _affine),
    "InstanceNorm3d": Reference(gnlib.InstanceNorm, nn.InstanceNorm3d, (6,), (4, 6, 2, 3, 5), _affine),
    "LayerNorm, rank 1": Reference(gnlib.LayerNorm, nn.LayerNorm, (7,), (7,)),
    "LayerNorm, an int": Reference(gnlib.LayerNorm, nn.LayerNorm, (7,), (4, 6, 5, 7)),
    "LayerNorm, two axes": Reference(gnlib.LayerNorm, nn.LayerNorm, ([5, 7],), (4, 6, 5, 7)),
    "LayerNorm, three axes": Reference(gnlib.LayerNorm, nn.LayerNorm, (torch.Size((6, 5, 7)),), (4, 6, 5, 7)),
    "RMSNorm, an int": Reference(gnlib.RMSNorm, nn.RMSNorm, (7,), (4, 6, 5, 7)),
    "RMSNorm, two axes": Reference(gnlib.RMSNorm, nn.RMSNorm, ([5, 7],), (4, 6, 5, 7)),
    **{
        f"GroupNorm, {groups} of 12": Reference(gnlib.GroupNorm, nn.GroupNorm, (groups, 12), (4, 12, 5, 7))
        for groups in (1, 2, 3, 4, 6, 12)
    },
    "GroupNorm, no positions": Reference(gnlib.GroupNorm, nn.GroupNorm, (3, 12), (4, 12)),
    "GroupNorm, one sample": Reference(gnlib.GroupNorm, nn.GroupNorm, (2, 6), (1, 6, 5, 7)),
    "GroupNorm, 3 position axes": Reference(gnlib.GroupNorm, nn.GroupNorm, (2, 6), (3, 6, 2, 3, 5)),
}

ONE_OF_EACH = {
    name: REFERENCES[name]
    for name in (
        *("BatchNorm2d", "GhostBatchNorm, 2 of 6", "InstanceNorm2d"),
        *("LayerNorm, two axes", "RMSNorm, two axes", "GroupNorm, 3 of 12"),
    )
}
RUNNING = {name: reference for name, reference in REFERENCES.items() if reference.keeps_running}
