"""The contract of core at full speed, by torch's own operators, and on GPUs by kernels. Knows core, and no layer.

Each result is as exact as that of the operator whose place it takes: of batch_norm and instance_norm in
:func:`normalize_and_track`, of group_norm and layer_norm in :func:`normalize`. What no operator computes as core does
is left to core: numbers of mixed dtypes, blocks of one value, no values at all. Large activations on a GPU go to
:mod:`gnlib.kernels`, whatever the point.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from gnlib import core, kernels
from gnlib.core import Moments, Running
from gnlib.grouping import Grouping

_HALF = (torch.float16, torch.bfloat16)
_DTYPES = (torch.float32, torch.float64, *_HALF)
# values from which on a way round pays, on one machine: see results/
_WORTH_A_CALL = 2**14  # of a sample in channels_last that batch_norm takes on its own
_WORTH_A_TABLE = 2**19  # of a batch that is measured cell by cell, twice as many if it is one block
_LONG_ROW = 64  # and of a cell in it
_FAR = 2  # standard deviations from zero to the mean of a block


def normalize(
    x: Tensor, grouping: Grouping, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Do as :func:`gnlib.core.normalize` does.

    ====================  ====================================================
    point                 operator
    ====================  ====================================================
    (N, g), as GroupNorm  group_norm; on CPUs in channels_last with some care
    (b, C), as BatchNorm  what :func:`normalize_and_track` takes
    any other             group_norm, blocks as samples
    ====================  ====================================================
    """
    if kernels.take(x, weight, bias):
        return kernels.normalize(x, grouping, weight, bias, eps)
    if x.dim() < 2 or not _takes(x, weight, bias):
        return core.normalize(x, grouping, weight, bias, eps)
    N, C = x.shape[:2]
    b, g = grouping.resolve(N, C)
    if b < N and g == C:
        return normalize_and_track(x, grouping, None, weight, bias, eps)
    # a block of one value leaves β alone, and group_norm a trace of rounding; of β without γ it has no gradient
    if x.numel() == b * g or (weight is None and bias is not None):
        return core.normalize(x, grouping, weight, bias, eps)
    if b == N:
        if x.device.type == "cpu" and _is_channels_last(x) and not torch.compiler.is_compiling():
            return _group_norm_in_channels_last(x, g, weight, bias, eps)
        return torch.group_norm(x, g, weight, bias, eps)
    blocks = torch.unflatten(x, 0, (b, -1)).transpose(1, 2)  # (b, C, N/b, *): channels of a block, as of a sample
    y = torch.group_norm(blocks, g, weight, bias, eps).transpose(1, 2).contiguous().view(x.shape)
    return _to_channels_last(y) if _is_channels_last(x) else y


def normalize_and_track(
    x: Tensor,
    grouping: Grouping,
    running: Running | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Do as :func:`gnlib.core.normalize_and_track` does.

    ========================  ======================================  ================================================
    point                     contiguous                              channels_last
    ========================  ======================================  ================================================
    (1, C), as BatchNorm      batch_norm; if large, _CellByCell       batch_norm
    (b, C), as ghost          batch_norm, block by block; if large,   batch_norm, block by block
                              _CellByCell
    (N, C), as InstanceNorm   instance_norm; if large, _CellByCell    batch_norm, sample by sample, if these are large
                                                                      and not tracked; else instance_norm
    ========================  ======================================  ================================================

    A compiler makes loops of its own: of group_norm at (N, C), and else of the three steps of core.
    """
    mean, var = (None, None) if running is None else (running.mean, running.var)
    if kernels.take(x, weight, bias, mean, var):
        return kernels.normalize_and_track(x, grouping, running, weight, bias, eps)
    if x.dim() < 2 or not _takes(x, weight, bias, mean, var):
        return core.normalize_and_track(x, grouping, running, weight, bias, eps)
    N, C = x.shape[:2]
    b, g = grouping.resolve(N, C)
    alone = b == N and (running is None or not running.between)
    if g < C or x.numel() == b * C or not (alone or running is None or running.between):
        return core.normalize_and_track(x, grouping, running, weight, bias, eps)
    if torch.compiler.is_compiling():
        if alone and running is None:
            return normalize(x, grouping, weight, bias, eps)
        return _track_and_apply(x, core.pool(_moments(x), grouping), running, weight, bias, eps)
    if _is_large(x, b):
        done = _CellByCell.apply(x, weight, bias, eps, b, running is not None)  # type: ignore[no-untyped-call]
        y: Tensor = done[0]
        if running is not None:
            n = x.numel() // (b * C)
            _track(running, n, done[1], done[2] * (n / (n - 1)))
        return y
    share = 0.0 if running is None else float(running.share())
    if b == 1:
        return torch.batch_norm(x, weight, bias, mean, var, True, share, eps, _cudnn())
    last = _is_channels_last(x)
    if alone and not (last and running is None and x.device.type == "cpu" and x.numel() >= N * _WORTH_A_CALL):
        y = torch.instance_norm(x, weight, bias, mean, var, True, share, eps, _cudnn())
        return _to_channels_last(y) if last else y
    kept: Any = [(None, None)] * b
    if running is not None and x.dtype not in _HALF:
        kept = x.new_zeros(b, 2, C)
    blocks = [  # with the whole share, what each follows is what it sees
        torch.batch_norm(block, weight, bias, its_mean, its_var, True, 1.0, eps, _cudnn())
        for block, (its_mean, its_var) in zip(torch.split(x, N // b), kept, strict=True)
    ]
    if running is not None and not (isinstance(kept, Tensor) and _track_near(running, x.numel() // (b * C), kept)):
        torch.batch_norm_update_stats(x, mean, var, share)
    return torch.cat(blocks)


def normalize_by(
    x: Tensor, mean: Tensor, var: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Do as :func:`gnlib.core.normalize_by` does, but without gradients of ``mean`` and ``var``."""
    if kernels.take(x, weight, bias, mean, var):
        return kernels.normalize_by(x, mean, var, weight, bias, eps)
    if not _takes(x, weight, bias, mean, var):
        return core.normalize_by(x, mean, var, weight, bias, eps)
    return torch.batch_norm(x, weight, bias, mean, var, False, 0.0, eps, _cudnn())


def normalize_trailing(
    x: Tensor, shape: tuple[int, ...], weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Do as :func:`gnlib.core.normalize_trailing` does: layer_norm."""
    if math.prod(shape) == 1 or not _takes(x, weight, bias):
        return core.normalize_trailing(x, shape, weight, bias, eps)
    return torch.layer_norm(x, shape, weight, bias, eps)


def rms_normalize_trailing(
    x: Tensor, shape: tuple[int, ...], weight: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Do as :func:`gnlib.core.rms_normalize_trailing` does: rms_norm, which warns of a weight in another dtype."""
    if not _takes(x, weight) or (weight is not None and weight.dtype != x.dtype):
        return core.rms_normalize_trailing(x, shape, weight, eps)
    return torch.rms_norm(x, shape, weight, eps)


# ---- which operator -------------------------------------------------------------------------------------------------


def _takes(x: Tensor, *tables: Tensor | None) -> bool:
    """Say whether operators take x and its tables together: x has values, the tables x's dtype, or all float32."""
    dtype = x.dtype
    if dtype not in _DTYPES or not x.numel() or x.is_meta:
        return False
    given = [table.dtype for table in tables if table is not None]
    return given.count(dtype) == len(given) or (dtype in _HALF and given.count(torch.float32) == len(given))


def _is_channels_last(x: Tensor) -> bool:
    return x.dim() > 2 and x.stride(1) == 1 and not x.is_contiguous()


def _is_large(x: Tensor, b: int) -> bool:
    """Say whether batch_norm, which measures a contiguous CPU tensor value by value, takes longer than cell by cell."""
    if x.device.type != "cpu" or x.dtype in _HALF or not x.is_contiguous():
        return False
    return x.numel() >= _WORTH_A_TABLE * (2 if b == 1 else 1) and x[0, 0].numel() >= _LONG_ROW


def _cudnn() -> bool:
    return torch.backends.cudnn.enabled


# ---- ways -----------------------------------------------------------------------------------------------------------


def _to_channels_last(y: Tensor) -> Tensor:
    moved = y.movedim(1, -1)
    # contiguous(memory_format=…) knows no vmap
    return y if moved.is_contiguous() else moved.contiguous().movedim(-1, 1)


def _group_norm_in_channels_last(x: Tensor, g: int, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """Avoid what group_norm does badly there on CPUs: half types in narrow groups, and the variance far from zero.

    It takes the channels of a group a vector at a time; halves that do not fill one are slow. With many positions it
    takes all groups at once, forward, and backward it is less slow. And its variance is E[x²] - E[x]², which loses
    every digit once mean² >> variance: groups that are far from zero are normalized once more, near it.
    """
    N, C, *positions = x.shape
    S = math.prod(positions)
    training = torch.is_grad_enabled() and x.requires_grad
    if x.dtype in _HALF and C // g < (16 if S < 1024 else 8 if training else 0):
        weight, bias = (None if table is None else table.float() for table in (weight, bias))
        return _group_norm_in_channels_last(x.float(), g, weight, bias, eps).to(x.dtype)
    y, mean, rstd = torch.native_group_norm(_to_channels_last(x), weight, bias, N, C, S, g, eps)
    mean = mean.detach()
    if not _exceeds((mean * rstd.detach()).abs(), _FAR):
        return y
    near = mean.repeat_interleave(C // g, 1).view(N, C, *(1 for _ in positions))
    y, *_ = torch.native_group_norm(_to_channels_last(x - near), weight, bias, N, C, S, g, eps)
    return y.to(x.dtype)


def _exceeds(values: Tensor, limit: float) -> bool:
    """Say whether any of the values is larger, or may be: under vmap nobody can look. NaN is not larger."""
    try:
        return bool((values > limit).any())
    except RuntimeError:
        return True


def _joined(parts: tuple[Any, ...]) -> Any:
    return parts[0] if len(parts) == 1 or parts[0] is None else torch.cat(parts)  # one alone needs no copy


def _moments(x: Tensor) -> Moments:
    """Measure every cell in a form that a compiler makes one loop of: core's without its care for large means."""
    cells = x.unsqueeze(-1).flatten(2).to(torch.promote_types(x.dtype, torch.float32))  # (N, C, S)
    var, mean = torch.var_mean(cells, 2, correction=0)
    return Moments(torch.full_like(mean, cells.shape[2], dtype=torch.int64), mean, var)


def _track_and_apply(
    x: Tensor, blocks: Moments, running: Running | None, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    if running is not None:
        core.track(running, blocks)
    return core.apply(x, blocks, weight, bias, eps)


def _track_near(running: Running, n: int, kept: Tensor) -> bool:
    """Track blocks of n values each by what batch_norm kept of them, (b, 2, C), unless they are too far from zero.

    There the means, which are rounded, differ by less than that.
    """
    mean, var = kept.double().unbind(1)
    if _exceeds(mean.square() - _FAR**2 * var, 0.0):
        return False
    _track(running, n, mean, var)
    return True


@torch.no_grad()
def _track(running: Running, n: int, mean: Tensor, var: Tensor) -> None:
    """Do as :func:`gnlib.core.track` does, with blocks of n values each and their unbiased variance, tables (b, C)."""
    b = len(mean)
    if running.between and b > 1:
        of_blocks, mean = mean, mean.mean(0)
        between = (of_blocks - mean).square().sum(0)  # over b - 1 a variance, which var_mean takes long for in few rows
        var = ((n - 1) * var.sum(0) + n * between) / (n * b - 1)
    share = running.share()
    for kept, seen in ((running.mean, mean), (running.var, var)):
        kept.copy_((1 - share) * kept.to(seen.dtype) + share * (seen.mean(0) if seen.dim() > 1 else seen))


class _CellByCell(torch.autograd.Function):
    """Do batch_norm's work in b blocks of a contiguous CPU tensor, as core does: measure the cells, pool them, apply.

    Each step is an operator that takes a vector at a time, which batch_norm, measuring, does not. Takes (x, weight,
    bias, eps, b, tracked); returns y and the blocks' mean and var, tables (b, C) of float64 that have no gradient.
    Unless they are ``tracked``, blocks of one sample are left to group_norm, which tells no variance but mean and rstd.
    """

    @staticmethod
    def forward(
        x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, b: int, tracked: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        N, C = x.shape[:2]
        cells = x.flatten(2)  # (N, C, S)
        S = cells.shape[2]
        if b == N and not tracked:
            y, mean, rstd = torch.native_group_norm(x, weight, bias, N, C, S, C, eps)
            if not _exceeds((mean * rstd).abs(), _FAR):
                return y, mean.double(), rstd.double().pow(-2) - eps

        def measure(cells: Tensor) -> tuple[Tensor, Tensor]:
            mean, square = cells.mean(2).double(), torch.linalg.vector_norm(cells, dim=2).double().square() / S
            mean, square = (table.view(b, N // b, C).mean(1) for table in (mean, square))  # (b, C)
            return mean, (square - mean.square()).clamp(min=0)

        def spread(table: Tensor) -> Tensor:
            return table.to(x.dtype).unsqueeze(1).expand(b, N // b, C).reshape(N, C)

        missed, var = measure(cells)
        mean = missed
        if _exceeds(mean.square() - _FAR**2 * var, 0.0):
            # E[x²] - E[x]² loses every digit once mean² >> variance: once more, near zero
            near = spread(mean)
            cells = cells - near[..., None]
            missed, var = measure(cells)
            mean = near[:: N // b] + missed
        y = torch.empty_like(x)  # not a view of a result, which nobody may change in place behind a Function
        row = (1, N * C, S)  # a cell as a channel
        weight, bias = (None if table is None else table.repeat(N) for table in (weight, bias))
        missed, kept = (spread(table).reshape(-1) for table in (missed, var))
        outputs = y.view(row), x.new_empty(0), x.new_empty(0)
        torch.native_batch_norm(cells.view(row), weight, bias, missed, kept, False, 0.0, eps, out=outputs)
        return y, mean, var

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
        x, weight, _, ctx.eps, *_ = inputs
        _, mean, var = output
        ctx.mark_non_differentiable(mean, var)
        near = mean.to(x.dtype)
        around = var + (mean - near).square()  # backward subtracts the rounded mean, and the spread is that around it
        saved = x, weight, near, torch.rsqrt(around + ctx.eps).to(x.dtype)
        ctx.save_for_backward(*saved)
        ctx.save_for_forward(*saved)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return *_CellByCell._backward(ctx, gradients[0], list(ctx.needs_input_grad[:3])), None, None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> tuple[Tensor, None, None]:
        x, _, *tables = ctx.saved_tensors
        along_x, along_weight, along_bias, *_ = tangents
        N, C, *positions = x.shape
        ones = [1 for _ in positions]
        mean, rstd = (table.repeat_interleave(N // len(table), 0).view(N, C, *ones) for table in tables)
        change = torch.zeros_like(x)
        if along_x is not None:  # the derivative is symmetric: the same forward as backward
            change = change + _CellByCell._backward(ctx, along_x, [True, False, False])[0]
        if along_weight is not None:
            change = change + (x - mean) * rstd * along_weight.view(C, *ones)
        if along_bias is not None:
            change = change + along_bias.view(C, *ones)
        return change, None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[Any, Any]:
        def by_core(
            x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, b: int, tracked: bool
        ) -> tuple[Tensor, Tensor, Tensor]:
            blocks = core.pool(core.moments(x), Grouping.ghost_batch_norm(b))
            return core.apply(x, blocks, weight, bias, eps), blocks.mean, blocks.var

        return torch.vmap(by_core, in_dims)(*inputs), (0, 0, 0)

    @staticmethod
    def _backward(ctx: Any, dy: Tensor, wanted: list[bool]) -> tuple[Any, Any, Any]:
        """Go backward as batch_norm does, block by block; samples alone are one sample with the channels of all."""
        x, weight, mean, rstd = ctx.saved_tensors
        N, b = len(x), len(mean)
        dy = dy.contiguous()
        if b == N:
            row = (1, mean.numel(), -1)
            weight = None if weight is None else weight.repeat(N)
            blocks = [(dy.view(row), x.view(row), mean.view(-1), rstd.view(-1))]
        else:
            blocks = list(zip(*(torch.split(whole, N // b) for whole in (dy, x)), mean, rstd, strict=True))
        done = [
            torch.ops.aten.native_batch_norm_backward(dy, x, weight, None, None, mean, rstd, True, ctx.eps, wanted)
            for dy, x, mean, rstd in blocks
        ]
        dx, *affine = map(_joined, zip(*done, strict=True))
        dweight, dbias = (table.view(b, -1).sum(0) if isinstance(table, Tensor) else None for table in affine)
        return dx.view(x.shape) if isinstance(dx, Tensor) else None, dweight, dbias
