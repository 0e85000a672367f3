"""The square in Triton: six kernels, and how they are launched. Knows tensors and strides, and no norm by name.

An activation is seen as (N, C, S), and a tile is BS positions by BC channels of one sample; the strides say where they
lie, so the same kernels serve NCHW and channels_last. A cell is a sample's channel, and long cells are split in K::

    forward    moments of cells -> pooled over blocks -> applied            x is read twice, y written once
    backward   sums over cells  -> pooled over blocks -> gradient of x      x and dy are read twice, dx written once

No kernel adds into memory that another one adds into, so the same input gives the same bits, and none waits for the
CPU, so a CUDA graph can hold them. Half types and float32 are accumulated in float32, float64 in float64; the tables
of means are float64 throughout, since a mean's rounding shows where the mean is far from zero.

Imports Triton; :mod:`gnlib.kernels` imports this module when a tensor is there to run on.
"""

from __future__ import annotations

import contextlib
import math
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

# The four were chosen by what the compiler makes of them for an H100 (no spills, accesses of 128 bits), not yet by time
TILE = 4096  # values that a program holds
WIDE = 128  # channels of a tile in channels_last, at most where there are positions enough
WARPS = 4  # of 32 threads, that share a tile
FILL = 132 * 16  # programs that keep an H100 busy: 16 on each of its 132 multiprocessors
LONG_POOL = 4096  # entries of a table that one program pools on its own, where few programs are there to share the work


# ---- on the device --------------------------------------------------------------------------------------------------
# What only says how the cells are grouped stays unspecialized: one compiled kernel serves every point of the square.


@triton.jit
def _tile(C, K, BC: tl.constexpr, BACKWARDS: tl.constexpr, LONG: tl.constexpr):
    """Return the sample, the channels and the split that this program takes."""
    program = tl.program_id(0)
    if BACKWARDS:  # begin where the kernel before has ended: that part of x may still be in the cache
        program = tl.num_programs(0) - 1 - program
    rest = program // K
    wide = tl.cdiv(C, BC)
    n = (rest // wide).to(tl.int64)
    c = rest % wide * BC + tl.arange(0, BC)
    k = program % K
    if LONG:  # a sample spans 2³¹ values or more
        c, k = c.to(tl.int64), k.to(tl.int64)
    return n, c, k


@triton.jit
def _affine(weight, bias, n, c, C, together, ACC: tl.constexpr):
    """Load γ and β of the channels c, of the samples that share them."""
    gamma = tl.full(c.shape, 1, ACC)
    beta = tl.full(c.shape, 0, ACC)
    at = n // together * C + c
    if weight is not None:
        gamma = tl.load(weight + at, mask=c < C, other=0).to(ACC)
    if bias is not None:
        beta = tl.load(bias + at, mask=c < C, other=0).to(ACC)
    return gamma, beta


@triton.jit
def _statistics(mean, var, eps, n, c, C, nb, cg, ACC: tl.constexpr):
    """Load what the blocks of the channels c have: where it stands, the mean, what its rounding left out, 1 / sd."""
    at = n // nb * (C // cg) + c // cg
    exact = tl.load(mean + at, mask=c < C, other=0)
    near = exact.to(ACC)
    rstd = 1 / tl.sqrt((tl.load(var + at, mask=c < C, other=1) + eps).to(ACC))
    return at, near, (exact - near).to(ACC), rstd


@triton.jit(do_not_specialize=["N", "K", "steps"])
def _moments(
    x, mean, m2, N, C, S, K, steps, xn, xc, xs,
    BS: tl.constexpr, BC: tl.constexpr, ACC: tl.constexpr, LONG: tl.constexpr
):  # fmt: skip
    """Per split and cell: the mean, and the sum of the squared deviations from it."""
    n, c, k = _tile(C, K, BC, False, LONG)
    first = k * steps * BS
    s = first + tl.arange(0, BS)
    row = x + n * xn
    # around a value of the cell itself everything is small, and so is its rounding
    near = tl.load(row + first * xs + c * xc, mask=c < C, other=0).to(ACC)
    at = s[:, None] * xs + c[None, :] * xc
    lane_mean = tl.zeros([BS, BC], ACC)
    lane_m2 = tl.zeros([BS, BC], ACC)
    seen = tl.zeros([1, 1], ACC)
    for i in range(0, steps):  # each lane by itself (Welford 1962)
        keep = (s[:, None] + i * BS < S) & (c[None, :] < C)
        values = tl.load(row + at, mask=keep, other=0).to(ACC) - near[None, :]
        seen += 1
        rest = tl.where(keep, values - lane_mean, 0)
        lane_mean += rest * (1 / seen)
        lane_m2 += rest * (values - lane_mean)
        row += BS * xs
    # lanes are pooled as cells are, and as blocks are: by the law of total variance
    size = tl.minimum(tl.maximum(tl.cdiv(S - s, BS), 0), steps).to(ACC)[:, None]
    total = tl.sum(size, 0)
    cell_mean = tl.sum(size * lane_mean, 0) / total
    rest = lane_mean - cell_mean[None, :]
    cell = (k * N + n) * C + c
    tl.store(mean + cell, near.to(tl.float64) + cell_mean.to(tl.float64), mask=c < C)
    tl.store(m2 + cell, tl.sum(lane_m2 + size * rest * rest, 0), mask=c < C)


@triton.jit
def _entry(e, block, split, N, C, S, nb, cg, span, SPLITS: tl.constexpr):
    """Return where entry e of a block stands in its table, its sample, channel and how many positions it stands for."""
    k = e // (nb * cg)
    if SPLITS:  # each split is pooled on its own
        k += split
    n = block // (C // cg) * nb + e // cg % nb
    c = block % (C // cg) * cg + e % cg
    return (k * N + n).to(tl.int64) * C + c, n, c, tl.minimum(S - k * span, span)


@triton.jit(do_not_specialize=["N", "K", "nb", "cg", "span", "cells"])
def _pool(
    mean, m2, block_mean, block_var, N, C, S, K, nb, cg, span, cells,
    SPLITS: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    """Per block: the mean, and the variance, or where splits stay apart the squared deviations.

    An entry stands for as many ``cells``: 1, until a table is pooled that was pooled already.
    """
    program = tl.program_id(0)
    block = program
    split = 0
    count = K * nb * cg
    if SPLITS:
        block = program % (N // nb * (C // cg))
        split = program // (N // nb * (C // cg))
        count = nb * cg
    near = tl.load(mean + _entry(0, block, split, N, C, S, nb, cg, span, SPLITS)[0])
    sizes = tl.zeros([BLOCK], tl.float64)
    sums = tl.zeros([BLOCK], tl.float64)
    for start in range(0, count, BLOCK):
        e = start + tl.arange(0, BLOCK)
        at, _, _, size = _entry(e, block, split, N, C, S, nb, cg, span, SPLITS)
        weight = tl.where(e < count, size.to(tl.float64) * cells, 0)
        sizes += weight
        sums += tl.where(e < count, weight * (tl.load(mean + at, mask=e < count, other=0) - near), 0)
    total = tl.sum(sizes, 0)
    shift = tl.sum(sums, 0) / total
    squares = tl.zeros([BLOCK], tl.float64)
    for start in range(0, count, BLOCK):
        e = start + tl.arange(0, BLOCK)
        at, _, _, size = _entry(e, block, split, N, C, S, nb, cg, span, SPLITS)
        rest = tl.load(mean + at, mask=e < count, other=0) - near - shift
        spread = tl.load(m2 + at, mask=e < count, other=0).to(tl.float64)
        squares += tl.where(e < count, spread + size.to(tl.float64) * cells * rest * rest, 0)
    tl.store(block_mean + program, near + shift)
    if SPLITS:
        tl.store(block_var + program, tl.sum(squares, 0))
    else:
        tl.store(block_var + program, tl.sum(squares, 0) / total)


@triton.jit(do_not_specialize=["K", "nb", "cg", "together"])
def _apply(
    x, y, mean, var, weight, bias, eps: tl.float64, C, S, K, nb, cg, together, xn, xc, xs, yn, yc, ys,
    RELU: tl.constexpr, BS: tl.constexpr, BC: tl.constexpr, ACC: tl.constexpr, LONG: tl.constexpr
):  # fmt: skip
    """y = (x - mean) / sd · γ + β"""
    n, c, k = _tile(C, K, BC, True, LONG)
    s = k * BS + tl.arange(0, BS)
    keep = (s[:, None] < S) & (c[None, :] < C)
    gamma, beta = _affine(weight, bias, n, c, C, together, ACC)
    _, near, missed, rstd = _statistics(mean, var, eps, n, c, C, nb, cg, ACC)
    scale = rstd * gamma
    values = tl.load(x + n * xn + (s[:, None] * xs + c[None, :] * xc), mask=keep, other=0).to(ACC)
    out = (values - near[None, :]) * scale[None, :] + (beta - missed * scale)[None, :]
    if RELU:
        out = tl.where(out <= 0, 0, out)  # what is not a number stays so
    tl.store(y + n * yn + (s[:, None] * ys + c[None, :] * yc), out.to(y.dtype.element_ty), mask=keep)


@triton.jit
def _standardized(values, dy, near, missed, rstd, gamma, beta, RELU: tl.constexpr):
    """Return x̂, and dy where ReLU has let it through: its mask is computed anew, so that no y has to be kept."""
    hat = (values - near[None, :]) * rstd[None, :] - (missed * rstd)[None, :]
    if RELU:
        scale = rstd * gamma
        out = (values - near[None, :]) * scale[None, :] + (beta - missed * scale)[None, :]
        dy = tl.where(out <= 0, 0, dy)
    return hat, dy


@triton.jit(do_not_specialize=["N", "K", "steps", "nb", "cg", "together"])
def _sums(
    dy, x, sums, products, mean, var, weight, bias, eps: tl.float64, N, C, S, K, steps, nb, cg, together,
    dn, dc, ds, xn, xc, xs,
    RELU: tl.constexpr, BS: tl.constexpr, BC: tl.constexpr, ACC: tl.constexpr, LONG: tl.constexpr
):  # fmt: skip
    """Per split and cell: the sums of dy and of dy · x̂."""
    n, c, k = _tile(C, K, BC, False, LONG)
    s = k * steps * BS + tl.arange(0, BS)
    gamma, beta = _affine(weight, bias, n, c, C, together, ACC)
    _, near, missed, rstd = _statistics(mean, var, eps, n, c, C, nb, cg, ACC)
    row, along = x + n * xn, dy + n * dn
    at_x = s[:, None] * xs + c[None, :] * xc
    at_dy = s[:, None] * ds + c[None, :] * dc
    of_dy = tl.zeros([BS, BC], ACC)
    of_products = tl.zeros([BS, BC], ACC)
    for i in range(0, steps):
        keep = (s[:, None] + i * BS < S) & (c[None, :] < C)
        gradient = tl.load(along + at_dy, mask=keep, other=0).to(ACC)
        values = tl.load(row + at_x, mask=keep, other=0).to(ACC)
        hat, gradient = _standardized(values, gradient, near, missed, rstd, gamma, beta, RELU)
        of_dy += gradient
        of_products += tl.where(keep, gradient * hat, 0)
        row += BS * xs
        along += BS * ds
    cell = (k * N + n) * C + c
    tl.store(sums + cell, tl.sum(of_dy, 0), mask=c < C)
    tl.store(products + cell, tl.sum(of_products, 0), mask=c < C)


@triton.jit(do_not_specialize=["N", "K", "nb", "cg", "span", "cells", "together"])
def _pool_sums(
    sums, products, block_sums, block_products, weight, N, C, S, K, nb, cg, span, cells, together,
    SPLITS: tl.constexpr, BLOCK: tl.constexpr, ACC: tl.constexpr
):  # fmt: skip
    """Per block: the means of γ · dy and of γ · dy · x̂, or where splits stay apart their sums."""
    program = tl.program_id(0)
    block = program
    split = 0
    count = K * nb * cg
    if SPLITS:
        block = program % (N // nb * (C // cg))
        split = program // (N // nb * (C // cg))
        count = nb * cg
    sizes = tl.zeros([BLOCK], tl.float64)
    of_dy = tl.zeros([BLOCK], ACC)
    of_products = tl.zeros([BLOCK], ACC)
    for start in range(0, count, BLOCK):
        e = start + tl.arange(0, BLOCK)
        at, n, c, size = _entry(e, block, split, N, C, S, nb, cg, span, SPLITS)
        gamma = tl.full([BLOCK], 1, ACC)
        if weight is not None:
            gamma = tl.load(weight + n // together * C + c, mask=e < count, other=0).to(ACC)
        sizes += tl.where(e < count, size.to(tl.float64) * cells, 0)
        of_dy += gamma * tl.load(sums + at, mask=e < count, other=0)
        of_products += gamma * tl.load(products + at, mask=e < count, other=0)
    total = tl.sum(sizes, 0).to(ACC)
    if SPLITS:
        total = total * 0 + 1
    tl.store(block_sums + program, tl.sum(of_dy, 0) / total)
    tl.store(block_products + program, tl.sum(of_products, 0) / total)


@triton.jit(do_not_specialize=["K", "nb", "cg", "together"])
def _input_gradient(
    dy, x, dx, mean, var, block_sums, block_products, weight, bias, eps: tl.float64, C, S, K, nb, cg, together,
    dn, dc, ds, xn, xc, xs, on, oc, os,
    RELU: tl.constexpr, FIXED: tl.constexpr, BS: tl.constexpr, BC: tl.constexpr, ACC: tl.constexpr, LONG: tl.constexpr
):  # fmt: skip
    """dx = (γ · dy - mean of γ · dy - x̂ · mean of γ · dy · x̂) / sd, or where the moments are FIXED γ · dy / sd."""
    n, c, k = _tile(C, K, BC, True, LONG)
    s = k * BS + tl.arange(0, BS)
    keep = (s[:, None] < S) & (c[None, :] < C)
    gamma, beta = _affine(weight, bias, n, c, C, together, ACC)
    at, near, missed, rstd = _statistics(mean, var, eps, n, c, C, nb, cg, ACC)
    out = tl.load(dy + n * dn + (s[:, None] * ds + c[None, :] * dc), mask=keep, other=0).to(ACC)
    if RELU or not FIXED:
        values = tl.load(x + n * xn + (s[:, None] * xs + c[None, :] * xc), mask=keep, other=0).to(ACC)
        hat, out = _standardized(values, out, near, missed, rstd, gamma, beta, RELU)
    out = out * gamma[None, :]
    if not FIXED:
        mean_dy = tl.load(block_sums + at, mask=c < C, other=0)
        mean_product = tl.load(block_products + at, mask=c < C, other=0)
        out = out - mean_dy[None, :] - hat * mean_product[None, :]
    out = out * rstd[None, :]
    tl.store(dx + n * on + (s[:, None] * os + c[None, :] * oc), out.to(dx.dtype.element_ty), mask=keep)


@triton.jit(do_not_specialize=["b", "C"])
def _track(
    mean, var, kept_mean, kept_var, batches, share: tl.float64, unbiased: tl.float64, b, C,
    BETWEEN: tl.constexpr, BR: tl.constexpr, BC: tl.constexpr
):  # fmt: skip
    """Per channel: move the running mean and variance towards those of b blocks of samples."""
    c = tl.program_id(0) * BC + tl.arange(0, BC)
    near = tl.load(mean + c, mask=c < C, other=0)
    sums = tl.zeros([BR, BC], tl.float64)
    spreads = tl.zeros([BR, BC], tl.float64)
    squares = tl.zeros([BR, BC], tl.float64)
    for start in range(0, b, BR):
        row = start + tl.arange(0, BR)
        keep = (row[:, None] < b) & (c[None, :] < C)
        at = row[:, None].to(tl.int64) * C + c[None, :]
        rest = tl.where(keep, tl.load(mean + at, mask=keep, other=0) - near[None, :], 0)
        sums += rest
        spreads += tl.load(var + at, mask=keep, other=0)
        if BETWEEN:
            squares += rest * rest
    shift = tl.sum(sums, 0) / b
    spread = tl.sum(spreads, 0) / b
    if BETWEEN:
        spread += tl.sum(squares, 0) / b - shift * shift
    new = tl.full([BC], 0, tl.float64) + share
    if batches is not None:
        new = 1 / (tl.load(batches) + tl.zeros([BC], tl.int64)).to(tl.float64)
    old_mean = tl.load(kept_mean + c, mask=c < C, other=0).to(tl.float64)
    old_var = tl.load(kept_var + c, mask=c < C, other=0).to(tl.float64)
    moved_mean = (1 - new) * old_mean + new * (near + shift)
    moved_var = (1 - new) * old_var + new * (spread * unbiased)
    if kept_mean.dtype.element_ty != tl.float64:  # halves are made of float32: the interpreter makes none of float64
        moved_mean, moved_var = moved_mean.to(tl.float32), moved_var.to(tl.float32)
    tl.store(kept_mean + c, moved_mean.to(kept_mean.dtype.element_ty), mask=c < C)
    tl.store(kept_var + c, moved_var.to(kept_var.dtype.element_ty), mask=c < C)


# ---- how a tensor is cut --------------------------------------------------------------------------------------------


def _up(number: int) -> int:
    """Return the power of two from ``number`` on."""
    return 1 << max(number - 1, 0).bit_length()


def _times(whole: int, part: int) -> int:
    return -(-whole // part)


class Plan(NamedTuple):
    """How the kernels cut an activation (N, C, S) into tiles and programs."""

    BS: int  # positions of a tile, a power of two
    BC: int  # channels of a tile, a power of two
    steps: int  # tiles that one program of a measuring kernel walks along
    tiles: int  # along the positions
    strips: int  # programs side by side for one row of tiles: samples times channels / BC

    @property
    def splits(self) -> int:
        """K: programs that share a cell."""
        return _times(self.tiles, self.steps)

    @property
    def span(self) -> int:
        """Positions of a split; the last one may have fewer."""
        return self.steps * self.BS

    def is_long(self, *views: Tensor) -> bool:
        """Say whether 32 bits cannot count as far as the tiles of a sample reach."""
        reaches = (
            (view.shape[1] + self.BC) * view.stride(1) + (view.shape[2] + self.span) * view.stride(2) for view in views
        )
        return max(reaches) >= 2**31


def plan(x: Tensor) -> Plan:
    """Cut x, shape (N, C, S), so that a tile's neighbours are neighbours in memory and the device has work."""
    N, C, S = x.shape
    if C > 1 and x.stride(1) == 1:  # channels_last
        BS = min(_up(S), max(TILE // min(_up(C), WIDE), 1))
        BC = min(_up(C), max(TILE // BS, 1))
    else:
        BS = min(_up(S), TILE)
        BC = min(_up(C), max(TILE // BS, 1))
    tiles, strips = _times(S, BS), N * _times(C, BC)
    steps = _times(tiles, min(tiles, _times(FILL, strips)))
    return Plan(BS, BC, steps, tiles, strips)


class Level(NamedTuple):
    """One call of a pooling kernel, on a table (K, N, C) whose entries stand for ``cells`` cells each."""

    N: int
    C: int
    nb: int  # N / blocks
    cg: int  # C / groups
    cells: int
    last: bool  # joins the splits


def levels(K: int, N: int, C: int, blocks: int, groups: int) -> list[Level]:
    """Cut the pooling of a table in two where few programs would pool long lists: the pooled can be pooled again."""
    nb, cg = N // blocks, C // groups
    one = Level(N, C, nb, cg, 1, True)
    if blocks * groups >= 64 or K * nb * cg <= LONG_POOL:
        return [one]
    parts = next((m for m in range(1, nb) if nb % m == 0 and nb // m * cg <= LONG_POOL), nb)
    finer = Level(N, C, nb // parts, cg, 1, False)
    if finer.nb * finer.cg == 1:
        return [one]
    return [finer, Level(blocks * parts, groups, parts, 1, finer.nb * finer.cg, True)]


# ---- launches -------------------------------------------------------------------------------------------------------


def _cells(x: Tensor) -> Tensor:
    """View x as (N, C, S)."""
    return x.unsqueeze(-1).flatten(2)


def _device(x: Tensor) -> contextlib.AbstractContextManager[Any]:
    """Let Triton launch where x is; it would launch on the current device."""
    return torch.cuda.device(x.device) if x.is_cuda else contextlib.nullcontext()


def _accumulator(x: Tensor) -> tuple[Any, torch.dtype]:
    return (tl.float64, torch.float64) if x.dtype == torch.float64 else (tl.float32, torch.float32)


def _together(N: int, C: int, *affine: Tensor | None) -> int:
    """Return how many samples share a row of γ and β, of which there may be several: shape (C,) or (parts, C)."""
    return next((N // (table.numel() // C) for table in affine if table is not None), max(N, 1))


def measure(x: Tensor, blocks: int, groups: int) -> tuple[Tensor, Tensor]:
    """Return mean and variance of every block, tables (b, g) of float64."""
    view = _cells(x)
    N, C, S = view.shape
    cut, (ACC, wide) = plan(view), _accumulator(x)
    K = cut.splits
    mean = torch.empty(K, N, C, dtype=torch.float64, device=x.device)
    m2 = torch.empty(K, N, C, dtype=wide, device=x.device)
    with _device(x):
        _moments[(cut.strips * K,)](
            view, mean, m2, N, C, S, K, cut.steps, *view.stride(),
            BS=cut.BS, BC=cut.BC, ACC=ACC, LONG=cut.is_long(view), num_warps=WARPS,
        )  # fmt: skip
        for level in levels(K, N, C, blocks, groups):
            shape = (level.N // level.nb, level.C // level.cg)
            pooled = [
                torch.empty(shape if level.last else (K, *shape), dtype=dtype, device=x.device)
                for dtype in (torch.float64, torch.float64 if level.last else wide)
            ]
            entries = level.nb * level.cg * (K if level.last else 1)
            _pool[(pooled[0].numel(),)](
                mean, m2, *pooled, level.N, level.C, S, K, level.nb, level.cg, cut.span, level.cells,
                SPLITS=not level.last, BLOCK=min(_up(entries), 1024),
            )  # fmt: skip
            mean, m2 = pooled
    return mean, m2


def apply(
    x: Tensor, y: Tensor, mean: Tensor, var: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, relu: bool
) -> None:
    """Fill y with x, standardized by the moments of its block, scaled and shifted."""
    view, out = _cells(x), _cells(y)
    N, C, S = view.shape
    b, g = mean.shape
    cut, (ACC, _) = plan(view), _accumulator(x)
    with _device(x):
        _apply[(cut.strips * cut.tiles,)](
            view, out, mean, var, weight, bias, eps, C, S, cut.tiles, N // b, C // g, _together(N, C, weight, bias),
            *view.stride(), *out.stride(),
            RELU=relu, BS=cut.BS, BC=cut.BC, ACC=ACC, LONG=cut.is_long(view, out), num_warps=WARPS,
        )  # fmt: skip


def backward(
    dy: Tensor,
    x: Tensor,
    dx: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    var: Tensor,
    eps: float,
    relu: bool,
    fixed: bool,
    parts: int,
) -> Tensor:
    """Fill dx with the gradient of x, and return those of β and γ, shape (2, parts, C), in the accumulators' dtype."""
    along, view, out = _cells(dy), _cells(x), _cells(dx)
    N, C, S = view.shape
    b, g = mean.shape
    nb, cg = N // b, C // g
    cut, (ACC, wide) = plan(view), _accumulator(x)
    K, together = cut.splits, _together(N, C, weight, bias)
    long = cut.is_long(along, view, out)
    tiles = {"BS": cut.BS, "BC": cut.BC, "ACC": ACC, "LONG": long, "num_warps": WARPS}
    table = torch.empty(2, K, N, C, dtype=wide, device=x.device)
    pooled: list[Any] = [None, None]
    with _device(x):
        if parts or not fixed:
            _sums[(cut.strips * K,)](
                along, view, *table, mean, var, weight, bias, eps, N, C, S, K, cut.steps, nb, cg, together,
                *along.stride(), *view.stride(), RELU=relu, **tiles,
            )  # fmt: skip
        if not fixed:
            pooled, gamma = [*table], weight
            for level in levels(K, N, C, b, g):
                shape = (level.N // level.nb, level.C // level.cg)
                joined = torch.empty(2, *(shape if level.last else (K, *shape)), dtype=wide, device=x.device)
                entries = level.nb * level.cg * (K if level.last else 1)
                _pool_sums[(math.prod(joined.shape[1:]),)](
                    *pooled, *joined, gamma, level.N, level.C, S, K, level.nb, level.cg, cut.span, level.cells,
                    together, SPLITS=not level.last, BLOCK=min(_up(entries), 1024), ACC=ACC,
                )  # fmt: skip
                pooled, gamma = [*joined], None
        _input_gradient[(cut.strips * cut.tiles,)](
            along, view, out, mean, var, *pooled, weight, bias, eps, C, S, cut.tiles, nb, cg, together,
            *along.stride(), *view.stride(), *out.stride(), RELU=relu, FIXED=fixed, **tiles,
        )  # fmt: skip
    if not parts:
        return table.new_empty(2, 0, C)
    return table.view(2, K, parts, N // parts, C).sum((1, 3))


def track(
    mean: Tensor,
    var: Tensor,
    kept_mean: Tensor,
    kept_var: Tensor,
    batches: Tensor | None,
    share: float,
    values: int,
    between: bool,
) -> None:
    """Do as :func:`gnlib.core.track` does, for blocks of as many ``values`` each, tables (b, C)."""
    b, C = mean.shape
    count = values * b if between else values
    unbiased = count / (count - 1) if count > 1 else math.nan
    BC = min(_up(C), 64)
    with _device(mean):
        _track[(_times(C, BC),)](
            mean, var, kept_mean, kept_var, batches, share, unbiased, b, C,
            BETWEEN=between, BR=min(_up(b), 16), BC=BC,
        )  # fmt: skip
