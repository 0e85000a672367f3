"""The one function behind the four layers: moments, pool, apply. Knows no layer, no parameter, no training.

An activation ``x`` has N samples, C channels and S positions, shape (N, C, *), where S is the product of the rest. It
is a table of N × C cells, one per sample and channel, which a :class:`~gnlib.grouping.Grouping` cuts into b × g blocks.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from gnlib.grouping import Grouping


class Moments(NamedTuple):
    """Count, mean and variance, a table of each: of all cells, shape (N, C), or of all blocks, shape (b, g).

    The variance is the biased one, the mean of the squared deviations. Of no values, all three are 0.
    """

    #: The number of values behind each mean, int64.
    count: Tensor  # type: ignore[assignment]  # hides tuple.count
    #: The means.
    mean: Tensor
    #: The biased variances.
    var: Tensor


def moments(x: Tensor) -> Moments:
    r"""Measure every cell.

    .. math:: \mu = \frac{1}{S} \sum_s x_s \qquad \sigma^2 = \frac{1}{S} \sum_s (x_s - \mu)^2

    Args:
        x: activation, shape (N, C, *); half types are accumulated in float32.
    Returns:
        count, mean and variance of every cell, each shape (N, C).
    Raises:
        ValueError: x has no channel axis.
        TypeError: x does not hold real floating-point numbers.
    """
    _check(x)
    cells = x.unsqueeze(-1).flatten(2).to(_at_least_float32(x))  # (N, C, S)
    S = cells.shape[2]

    def average(values: Tensor) -> Tensor:
        return values.sum(2, keepdim=True) / max(S, 1)  # (N, C, 1)

    # the mean up to rounding; what it leaves of the values is small, and so its errors
    near = average(cells).detach()
    rest = cells - near
    mean = average(rest)
    # not E[x²] - E[x]², which loses every digit once mean² >> variance
    var = average((rest - mean).square())
    count = torch.full(cells.shape[:2], S, device=x.device)
    wide = _wide(x)
    return Moments(count, (near.to(wide) + mean).squeeze(2), var.squeeze(2).to(wide))


def pool(moments: Moments, grouping: Grouping) -> Moments:
    r"""Join the moments of the cells in each block that ``grouping`` cuts.

    The law of total variance: the mean of the variances plus the variance of the means, cells weighted by their count,

    .. math:: \mu_B = \overline{\mu} \qquad \sigma^2_B = \overline{\sigma^2} + \overline{(\mu - \mu_B)^2}

    Blocks are the cells of a smaller table, so what was pooled can be pooled again: by rank, by block, by batch.

    Args:
        moments: count, mean and variance of every cell, each shape (N, C).
        grouping: which cells share statistics; must divide N and C.
    Returns:
        count, mean and variance of every block, each shape (b, g). The variance is the biased one.
    Raises:
        ValueError: a block count does not divide its axis; names the axis, its size, and the counts that would work.
    Source: Chan, Golub & LeVeque 1979 (Stanford STAN-CS-79-773), for two samples; here for any number of cells.
    """
    N, C = moments.mean.shape
    b, g = grouping.resolve(N, C)
    blocks = (b, N // max(b, 1), g, C // max(g, 1))  # (b, N/b, g, C/g)
    count, mean, var = (table.reshape(blocks) for table in moments)

    def average(table: Tensor) -> Tensor:
        return (count * table).sum((1, 3), keepdim=True) / total.clamp(min=1)

    total = count.sum((1, 3), keepdim=True)  # (b, 1, g, 1)
    block_mean = average(mean)
    block_var = average(var + (mean - block_mean).square())
    return Moments(*(table[:, 0, :, 0] for table in (total, block_mean, block_var)))


def apply(
    x: Tensor, moments: Moments, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    r"""Standardize every value by the moments of its block, then scale and shift every channel.

    .. math:: y = \frac{x - \mu_B}{\sqrt{\sigma^2_B + \epsilon}} \, \gamma_c + \beta_c

    The moments need not come from ``x``: in evaluation BatchNorm brings those that it kept while it was trained.

    Args:
        x: activation, shape (N, C, *).
        moments: count, mean and variance of every block, each shape (b, g); b must divide N and g must divide C.
        weight: γ, shape (C,); 1 if None.
        bias: β, shape (C,); 0 if None.
        eps: ε, added to the variance, in units of x²; keeps a constant block finite.
    Returns:
        activation of x's shape, dtype and memory layout.
    Raises:
        ValueError: the blocks do not divide the samples or the channels; or x has no channel axis.
        TypeError: x does not hold real floating-point numbers.
    """
    _check(x)
    N, C, *positions = x.shape
    narrow = _at_least_float32(x)
    wide = torch.promote_types(moments.var.dtype, narrow)
    mean, var = moments.mean.to(wide), moments.var.to(wide)  # (b, g)
    rstd = torch.rsqrt(var + eps)
    # the mean in x's own precision, so that subtracting it costs no digit
    near = mean.detach().to(narrow)
    missed = (near - mean) * rstd  # what that rounding left out
    of_blocks = (near, rstd, missed)
    near, scale, shift = (_spread(table.to(narrow), N, C) for table in of_blocks)
    if weight is not None:
        scale, shift = scale * weight, shift * weight
    if bias is not None:
        shift = shift + bias
    of_cells = (N, C, *(1 for _ in positions))
    near, scale, shift = (table.view(of_cells) for table in (near, scale, shift))
    return ((x - near) * scale + shift).to(x.dtype)


def normalize(
    x: Tensor, grouping: Grouping, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Normalize x over the blocks that ``grouping`` cuts: measure the cells, pool them, apply the result.

    Args:
        x: activation, shape (N, C, *).
        grouping: which cells share statistics; must divide N and C.
        weight: γ, shape (C,); 1 if None.
        bias: β, shape (C,); 0 if None.
        eps: ε, added to the variance, in units of x².
    Returns:
        activation of x's shape, dtype and memory layout.
    Raises:
        ValueError: a block count does not divide its axis; or x has no channel axis.
        TypeError: x does not hold real floating-point numbers.
    """
    return apply(x, pool(moments(x), grouping), weight, bias, eps)


class Running(NamedTuple):
    """The mean and variance that a layer keeps for evaluation, shape (C,) each, and how they follow what it sees."""

    mean: Tensor
    var: Tensor
    batches: Tensor | None  # seen so far, the new one included
    momentum: float | None  # share of the new batch; None for the mean over all batches
    between: bool  # whether the variance between blocks counts: InstanceNorm leaves it out

    def share(self) -> float | Tensor:
        """Return the share of the new batch: 1 / batches where there is no momentum."""
        if self.momentum is not None:
            return self.momentum
        assert self.batches is not None
        return 1 / self.batches.to(torch.promote_types(self.mean.dtype, torch.float32))


@torch.no_grad()
def track(running: Running, blocks: Moments) -> None:
    r"""Move the running values towards the moments of a batch, given as blocks of samples, tables (b, C).

    .. math:: r \leftarrow (1 - m) \, r + m \, \mu_c \qquad s \leftarrow (1 - m) \, s + m \, \tfrac{n}{n - 1} \sigma^2_c

    The running variance follows the unbiased variance, while an output is divided by the biased one, as in torch.nn.
    """
    batch = pool(blocks, Grouping.batch_norm()) if running.between else blocks
    unbiased = batch.var * batch.count / (batch.count - 1)
    share = running.share()
    for kept, seen in ((running.mean, batch.mean), (running.var, unbiased)):
        kept.copy_((1 - share) * kept.to(seen.dtype) + share * seen.mean(0))


def normalize_and_track(
    x: Tensor,
    grouping: Grouping,
    running: Running | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalize x over the blocks that ``grouping`` cuts, and let the running values follow, unless there is no value.

    Args, Returns and Raises as for :func:`normalize`; ``running``, if any, is changed in place.
    """
    blocks = pool(moments(x), grouping)
    if running is not None and x.numel():
        track(running, blocks)
    return apply(x, blocks, weight, bias, eps)


def normalize_by(
    x: Tensor, mean: Tensor, var: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Normalize every channel by a mean and a variance that were kept, shape (C,): apply them as one row, (1, C)."""
    count = torch.zeros_like(mean, dtype=torch.int64)  # nobody knows; apply does not ask
    return apply(x, Moments(count[None], mean[None], var[None]), weight, bias, eps)


def rms_normalize(x: Tensor, grouping: Grouping, weight: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    r"""Divide x by the root mean square of its block, and leave the mean where it is.

    .. math:: y = \frac{x}{\sqrt{\overline{x^2} + \epsilon}} \, \gamma_c \qquad \overline{x^2} = \sigma^2_B + \mu_B^2

    Not a point of the square, but made of the same table: ``apply`` with the moments around zero.

    Args:
        x: activation, shape (N, C, *).
        grouping: which cells share statistics; must divide N and C.
        weight: γ, shape (C,); 1 if None.
        eps: ε, added to the mean square, in units of x².
    Returns:
        activation of x's shape, dtype and memory layout.
    Raises:
        ValueError: a block count does not divide its axis; or x has no channel axis.
        TypeError: x does not hold real floating-point numbers.
    """
    count, mean, var = pool(moments(x), grouping)
    around_zero = Moments(count, torch.zeros_like(mean), var + mean.square())
    return apply(x, around_zero, weight, eps=eps)


def normalize_trailing(
    x: Tensor, shape: tuple[int, ...], weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Normalize each leading index of x over its trailing axes: (N, 1) on a table (leading, trailing) of single values.

    Args:
        x: activation, shape (*, shape).
        shape: the trailing axes; at least one, and x must have them.
        weight: γ, of that shape; 1 if None.
        bias: β, of that shape; 0 if None.
        eps: ε, added to the variance, in units of x².
    """
    weight, bias = (None if values is None else values.flatten() for values in (weight, bias))
    return normalize(_table(x, shape), Grouping.layer_norm(), weight, bias, eps).view(x.shape)


def rms_normalize_trailing(
    x: Tensor, shape: tuple[int, ...], weight: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Divide each leading index of x by the root mean square of its trailing axes, as :func:`normalize_trailing`."""
    weight = None if weight is None else weight.flatten()
    return rms_normalize(_table(x, shape), Grouping.layer_norm(), weight, eps).view(x.shape)


def _table(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    return x.reshape(math.prod(x.shape[: x.dim() - len(shape)]), math.prod(shape))  # (leading, trailing)


def _check(x: Tensor) -> None:
    """Refuse what is no activation: an axis too few, or numbers that an average would leave."""
    if x.dim() < 2:
        raise ValueError(f"x must have samples and channels, shape (N, C, *): got shape {tuple(x.shape)}")
    if not x.is_floating_point():
        way = "torch.view_as_real(x)" if x.is_complex() else "x.float()"
        raise TypeError(f"x must hold floating-point numbers: got {x.dtype}; {way} would do")


def _spread(table: Tensor, N: int, C: int) -> Tensor:
    """Copy every block's entry to its cells: (b, g) to (N, C)."""
    b, g = table.shape
    if N % max(b, 1) or C % max(g, 1):
        Grouping(max(b, 1), max(g, 1)).resolve(N, C)  # says what would work
    cells = table[:, None, :, None].expand(b, N // max(b, 1), g, C // max(g, 1))  # (b, N/b, g, C/g)
    return cells.reshape(N, C)


def _at_least_float32(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


def _wide(x: Tensor) -> torch.dtype:
    """Keep tables a size wider than the values, where the device can: they are small, and a mean's rounding shows."""
    if x.dtype in (torch.float16, torch.bfloat16) or x.device.type == "mps":
        return torch.float32
    return torch.float64
