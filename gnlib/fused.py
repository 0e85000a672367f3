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
_WORTH_A_FUNCTION = 2**18  # of a batch whose blocks get one derivative of ours, not each one of torch's
_WORTH_A_TABLE = 2**19  # of a batch that is measured cell by cell, twice as many if it is one block
_LONG_ROW = 64  # and of a cell in it
_FAR = 2  # standard deviations from zero to the mean of a block, beyond which its variance is measured with more care
_TOO_FAR = 2**10  # and beyond which half types' products are not exact enough in float32


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

    ========================  ====================================  ====================================================
    point                     contiguous                            channels_last
    ========================  ====================================  ====================================================
    (1, C), as BatchNorm      batch_norm; if large, cell by cell    batch_norm
    (b, C), as ghost          batch_norm, block by block; if        batch_norm, block by block
                              large, cell by cell
    (N, C), as InstanceNorm   instance_norm; if large, cell by      batch_norm, sample by sample, if these are large;
                              cell                                  else instance_norm
    ========================  ====================================  ====================================================

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
    share = 0.0 if running is None else float(running.share())
    large, last = _is_large(x, b), _is_channels_last(x)
    if not large:
        if b == 1:
            return torch.batch_norm(x, weight, bias, mean, var, True, share, eps, _cudnn())
        least = max(N * _WORTH_A_CALL, _WORTH_A_FUNCTION if _has_gradient(x) else 0)
        # what half types track in float32 instance_norm rounds to them
        exact = mean is None or mean.dtype == x.dtype
        if alone and exact and not (last and x.numel() >= least and x.device.type == "cpu"):
            y = torch.instance_norm(x, weight, bias, mean, var, True, share, eps, _cudnn())
            return _to_channels_last(y) if last else y
        if x.device.type not in ("cpu", "cuda"):
            return core.normalize_and_track(x, grouping, running, weight, bias, eps)
    x = _to_channels_last(x) if last else x.contiguous()
    looks = _may_look_at(x)
    if large or (looks and x.numel() >= _WORTH_A_FUNCTION):
        given = x, weight, bias, eps, b, large, running is not None
        y, near, rstd, seen = _BlockByBlock.apply(*given)  # type: ignore[no-untyped-call]
    else:
        y, near, rstd, seen = _each_block(x, weight, bias, eps, b)
    if running is not None:
        # far from zero, means that are rounded differ by less than the rounding
        rounded = running.between and b > 1 and seen.dtype != torch.float64
        if rounded and (not looks or _is_far(near, rstd, _FAR)):
            torch.batch_norm_update_stats(x.detach(), mean, var, share)
        else:
            _track(running, share, x.numel() // (b * C), seen)
    # on CPUs batch_norm takes x/σ - μ/σ, in float32 for halves: of a constant block at a high level rounding is left
    if x.dtype in _HALF and looks and _is_far(near, rstd, _TOO_FAR):
        return core.normalize(x, grouping, weight, bias, eps)
    result: Tensor = y
    return result


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
    for table in tables:
        if table is not None and table.dtype != dtype:
            return dtype in _HALF and all(table is None or table.dtype == torch.float32 for table in tables)
    return True


def _has_gradient(x: Tensor) -> bool:
    return torch.is_grad_enabled() and x.requires_grad


def _is_channels_last(x: Tensor) -> bool:
    return not x.is_contiguous() and x.dim() > 2 and x.stride(1) == 1


def _is_large(x: Tensor, b: int) -> bool:
    """Say whether batch_norm, which measures a contiguous CPU tensor value by value, takes longer than cell by cell."""
    if x.numel() < _WORTH_A_TABLE * (2 if b == 1 else 1) or x.dtype in _HALF or x.device.type != "cpu":
        return False
    return x.is_contiguous() and x[0, 0].numel() >= _LONG_ROW


def _may_look_at(x: Tensor) -> bool:
    """Say whether a decision may wait for values: with a GPU all would wait, and no CUDA graph could be recorded."""
    return x.device.type == "cpu"


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
    if x.dtype in _HALF and C // g < (16 if S < 1024 else 8 if _has_gradient(x) else 0):
        weight, bias = (None if table is None else table.float() for table in (weight, bias))
        return _group_norm_in_channels_last(x.float(), g, weight, bias, eps).to(x.dtype)

    def norm(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = _to_channels_last(x)
        if sequence := x.dim() == 3:  # backward knows channels_last by four axes
            x = x.unsqueeze(2)
        y, mean, rstd = torch.native_group_norm(x, weight, bias, N, C, S, g, eps)
        return y.squeeze(2) if sequence else y, mean.detach(), rstd.detach()

    y, mean, rstd = norm(x)
    if not _is_far(mean, rstd, _FAR):
        return y
    near = mean.repeat_interleave(C // g, 1).view(N, C, *(1 for _ in positions))
    return norm(x - near)[0].to(x.dtype)


def _is_far(mean: Tensor, rstd: Tensor, limit: float) -> bool:
    """Say whether a block lies far from zero, or may: under vmap nobody can look. One that holds NaN does not."""
    try:
        low, high = torch.aminmax(torch.nan_to_num(mean * rstd))
        return float(high) > limit or float(low) < -limit
    except RuntimeError:
        return True


def _joined(parts: tuple[Tensor, ...]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)  # one alone needs no copy


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


@torch.no_grad()
def _track(running: Running, share: float, n: int, seen: Tensor) -> None:
    """Do as :func:`gnlib.core.track` does, by means and unbiased variances of blocks of n values each, (2, b, C)."""
    b = seen.shape[1]
    batch = seen.mean(1)  # (2, C)
    if running.between and b > 1:
        mean, var = batch
        between = (seen[0] - mean).square().sum(0)  # over b - 1 a variance, which var_mean takes long for
        var.mul_((n - 1) * b / (n * b - 1)).add_(between, alpha=n / (n * b - 1))
    for kept, new in zip((running.mean, running.var), batch, strict=True):
        if kept.dtype == new.dtype:
            kept.lerp_(new, share)
        else:
            kept.copy_(torch.lerp(kept.to(new.dtype), new, share))


def _each_block(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, b: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Do as :class:`_BlockByBlock` does, but with torch's derivative for each block: quicker where there is little."""
    N, C = x.shape[:2]
    wide = torch.promote_types(x.dtype, torch.float32)
    weight, bias = (None if table is None else table.to(wide) for table in (weight, bias))
    mean, var = seen = x.new_zeros(2, b, C, dtype=wide)
    blocks = [  # with the whole share, what batch_norm keeps is what it sees
        torch.batch_norm(block, weight, bias, its_mean, its_var, True, 1.0, eps, _cudnn())
        for block, its_mean, its_var in zip(torch.split(x, N // b), mean, var, strict=True)
    ]
    return torch.cat(blocks), mean, torch.rsqrt(var + eps), seen


class _BlockByBlock(torch.autograd.Function):
    """Do batch_norm's work in b blocks: one derivative for all, and each written where it belongs.

    Takes (x, weight, bias, eps, b, by_cells, tracked). Returns y and, of the blocks and without gradients, the tables
    of the mean and of 1 / σ that backward goes by, (b, C), and that of the mean and the unbiased variance, (2, b, C):
    of float64 if ``by_cells``, and else as batch_norm rounds them.

    A contiguous CPU tensor can be done ``by_cells``, as core does it: measure the cells, pool them, apply. Each step is
    an operator that takes a vector at a time, which batch_norm, measuring, does not. Blocks of one sample that are not
    ``tracked`` are then left to group_norm, which tells no variance; it is missing.
    """

    @staticmethod
    def forward(
        x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, b: int, by_cells: bool, tracked: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        N, C = x.shape[:2]
        if not by_cells:
            wide = torch.promote_types(x.dtype, torch.float32)
            weight, bias = (None if table is None else table.to(wide) for table in (weight, bias))
            y, seen = torch.empty_like(x), x.new_zeros(2, b, C, dtype=wide)
            near, rstd = torch.empty_like(seen)
            for block, its_y, its_near, its_rstd, its_mean, its_var in zip(
                *(torch.split(_as_picture(whole), N // b) for whole in (x, y)), near, rstd, *seen, strict=True
            ):
                out = its_y, its_near, its_rstd
                torch.native_batch_norm(block, weight, bias, its_mean, its_var, True, 1.0, eps, out=out)
            return y, near, rstd, seen
        cells = x.flatten(2)  # (N, C, S)
        S = cells.shape[2]
        if b == N and not tracked:
            y, near, rstd = torch.native_group_norm(x, weight, bias, N, C, S, C, eps)
            if not _is_far(near, rstd, _FAR):
                return y, near, rstd, None

        def measure(cells: Tensor) -> tuple[Tensor, Tensor]:
            mean, square = cells.mean(2).double(), torch.linalg.vector_norm(cells, dim=2).double().square() / S
            mean, square = (table.view(b, N // b, C).mean(1) for table in (mean, square))  # (b, C)
            return mean, (square - mean.square()).clamp(min=0)

        def spread(table: Tensor) -> Tensor:
            return table.to(x.dtype).unsqueeze(1).expand(b, N // b, C).reshape(N, C)

        missed, var = measure(cells)
        mean = missed
        if _is_far(mean, var.clamp(min=torch.finfo(var.dtype).tiny).rsqrt(), _FAR):
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
        return y, *_tables_of(x, mean, var, eps)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor, Tensor | None]) -> None:
        x, weight, _, ctx.eps, *_ = inputs
        _, near, rstd, seen = output
        ctx.mark_non_differentiable(near, rstd, *(() if seen is None else (seen,)))
        saved = x, weight, near, rstd
        ctx.save_for_backward(*saved)
        ctx.save_for_forward(*saved)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return *_BlockByBlock._backward(ctx, gradients[0], list(ctx.needs_input_grad[:3])), None, None, None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> tuple[Tensor, None, None, None]:
        x, _, *tables = ctx.saved_tensors
        along_x, along_weight, along_bias, *_ = tangents
        N, C, *positions = x.shape
        ones = [1 for _ in positions]
        mean, rstd = (table.repeat_interleave(N // len(table), 0).view(N, C, *ones) for table in tables)
        change = torch.zeros_like(x)
        if along_x is not None:  # the derivative is symmetric: the same forward as backward
            change = change + _BlockByBlock._backward(ctx, along_x, [True, False, False])[0]
        if along_weight is not None:
            change = change + (x - mean) * rstd * along_weight.view(C, *ones)
        if along_bias is not None:
            change = change + along_bias.view(C, *ones)
        return change.to(x.dtype), None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[Any, Any]:
        def by_core(
            x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, b: int, *_: bool
        ) -> tuple[Tensor, ...]:
            blocks = core.pool(core.moments(x), Grouping.ghost_batch_norm(b))
            return core.apply(x, blocks, weight, bias, eps), *_tables_of(x, blocks.mean, blocks.var, eps)

        return torch.vmap(by_core, in_dims)(*inputs), (0, 0, 0, 0)

    @staticmethod
    def _backward(ctx: Any, dy: Tensor, wanted: list[bool]) -> tuple[Any, Any, Any]:
        """Go backward as batch_norm does, block by block; samples alone are one sample with the channels of all."""
        x, weight, near, rstd = ctx.saved_tensors
        N, b = len(x), len(near)
        weight = None if weight is None else weight.to(near.dtype)
        dy = _to_channels_last(dy) if _is_channels_last(x) else dy.contiguous()
        if b == N and x.is_contiguous():
            row = (1, near.numel(), -1)
            weight = None if weight is None else weight.repeat(N)
            blocks = [(dy.view(row), x.view(row), near.view(-1), rstd.view(-1))]
        else:
            blocks = list(zip(*(torch.split(_as_picture(whole), N // b) for whole in (dy, x)), near, rstd, strict=True))
        done = [
            torch.ops.aten.native_batch_norm_backward(dy, x, weight, None, None, near, rstd, True, ctx.eps, wanted)
            for dy, x, near, rstd in blocks
        ]
        dx, *affine = (
            _joined(parts) if want else None for want, parts in zip(wanted, zip(*done, strict=True), strict=True)
        )
        dweight, dbias = (None if table is None else table.view(b, -1).sum(0) for table in affine)
        return None if dx is None else dx.view(x.shape), dweight, dbias


def _as_picture(x: Tensor) -> Tensor:
    """View x by four axes, (N, C, 1, S) unless it has them: by so many batch_norm knows channels_last."""
    return x if x.dim() == 4 else x.view(*x.shape[:2], 1, -1)


def _tables_of(x: Tensor, mean: Tensor, var: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return of blocks, by mean and variance of float64, what :class:`_BlockByBlock` tells of them."""
    near = mean.to(torch.promote_types(x.dtype, torch.float32))
    around = var + (mean - near).square()  # backward subtracts the rounded mean, and the spread is that around it
    n = x.numel() // mean.numel()
    return near, torch.rsqrt(around + eps).to(near.dtype), torch.stack((mean, var * (n / (n - 1)))).double()
