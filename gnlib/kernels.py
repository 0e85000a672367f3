"""The contract of core on GPUs: one pair of Triton kernels for every point of the square, as operators of torch.

The operators ``gnlib::normalize``, ``gnlib::apply``, ``gnlib::normalize_backward`` and ``gnlib::track`` are whole to
torch.compile, export and autocast, which see shapes and not what is inside, and say how they are differentiated, twice,
and how vmap carries them. Where Triton cannot run, or computes what it should not, they compute by core.

Knows core, and no layer. Imports Triton only when a tensor is there to run on.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import os
import warnings
from typing import Any

import torch
from torch import Tensor

from gnlib import core
from gnlib.core import Moments, Running
from gnlib.grouping import Grouping

_IS_THERE = importlib.util.find_spec("triton") is not None
_INTERPRETED = _IS_THERE and os.environ.get("TRITON_INTERPRET") == "1"  # Triton's own switch: kernels run on CPUs
# Values from which on three launches pay against torch's one operator. Not measured: at 3 TB/s a copy of 8 MB takes
# as long as a launch from Python, some 5 µs.
WORTH_A_LAUNCH = 0 if _INTERPRETED else 2**22
# Positions of a cell from which on a table of cells is small beside them. Not measured: it is 12 bytes a cell.
WORTH_A_CELL = 0 if _INTERPRETED else 16
_TAKEN = (torch.float16, torch.bfloat16, torch.float32, *([torch.float64] if _INTERPRETED else []))
_MOST_CELLS = 2**31 - 1  # entries of a table that its 32-bit counters reach
_CAPABILITY = 8  # NVIDIA's compute capability that Triton supports: from the A100 on


# ---- the contract ---------------------------------------------------------------------------------------------------


def take(x: Tensor, *tables: Tensor | None) -> bool:
    """Say whether the kernels are to be asked: a large activation of real numbers on a GPU that they run on.

    CPU tensors, float64, few values and few positions are better off with torch's own operators, and to them are left
    derivatives forward and those of torch.func. A shape that the kernels refuse is too, and a warning says so once.
    """
    if not (x.is_cuda or _INTERPRETED) or x.is_meta or not _IS_THERE:
        return False
    if x.dim() < 2 or x.dtype not in _TAKEN or not x.numel() or x.numel() < WORTH_A_LAUNCH:
        return False
    if torch.autograd.forward_ad._current_level >= 0 or _is_differentiated_by_functorch():
        return False
    if any(table is not None and (table.dtype not in _TAKEN or table.device != x.device) for table in tables):
        return False
    N, C = x.shape[:2]
    if x.numel() < N * C * WORTH_A_CELL or not _runs_on(x.device):
        return False
    if N * C > _MOST_CELLS:
        if not torch.compiler.is_compiling():
            _warn(tuple(x.shape), f"{N} × {C} cells are more than the {_MOST_CELLS} that the kernels can count")
        return False
    return True


def _is_differentiated_by_functorch() -> bool:
    """Say whether torch.func takes a derivative: it knows no operator of others, but vmap alone knows these."""
    if not torch._C._are_functorch_transforms_active():
        return False
    functorch = torch._C._functorch
    if torch.compiler.is_compiling():
        return True
    return any(level.key() != functorch.TransformType.Vmap for level in functorch.get_interpreter_stack() or [])


def normalize(
    x: Tensor,
    grouping: Grouping,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    relu: bool = False,
) -> Tensor:
    """Do as :func:`gnlib.core.normalize` does, and if ``relu``, replace what is negative by 0 on the way."""
    return _normalize(x, grouping, weight, bias, eps, relu)[0]


def normalize_and_track(
    x: Tensor,
    grouping: Grouping,
    running: Running | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    relu: bool = False,
) -> Tensor:
    """Do as :func:`gnlib.core.normalize_and_track` does, with ``relu`` as :func:`normalize`."""
    y, mean, var = _normalize(x, grouping, weight, bias, eps, relu)
    if running is not None and x.numel():
        _track(running, mean, var, x.numel() // mean.numel())
    return y


def _track(running: Running, mean: Tensor, var: Tensor, values: int) -> None:
    """Let running values follow the moments of blocks of as many ``values`` each, tables (b, g)."""
    if running.mean.shape != mean.shape[1:]:
        core.track(running, Moments(torch.full(mean.shape, values, device=mean.device), mean, var))
        return
    batches = running.batches if running.momentum is None else None
    share = 0.0 if running.momentum is None else running.momentum
    _track_operator(mean, var, running.mean, running.var, batches, share, values, running.between)


def normalize_by(
    x: Tensor,
    mean: Tensor,
    var: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    relu: bool = False,
) -> Tensor:
    """Do as :func:`gnlib.core.normalize_by` does, without gradients of ``mean`` and ``var``; ``relu`` as there."""
    tables = (table.detach().double().unsqueeze(0) for table in (mean, var))
    y: Tensor = _apply_operator(_regular(x), *tables, weight, bias, eps, relu)
    return y


def _normalize(
    x: Tensor, grouping: Grouping, weight: Tensor | None, bias: Tensor | None, eps: float, relu: bool
) -> tuple[Tensor, Tensor, Tensor]:
    b, g = grouping.resolve(*x.shape[:2])
    done: tuple[Tensor, Tensor, Tensor] = _normalize_operator(_regular(x), weight, bias, b, g, eps, relu)
    return done


def _regular(x: Tensor) -> Tensor:
    """Copy an x whose values lie so that no tile of neighbours can be read."""
    if _is_regular(x):
        return x
    return _to_channels_last(x) if _is_channels_last(x) else x.contiguous()


def _to_channels_last(x: Tensor) -> Tensor:
    return x.movedim(1, -1).contiguous().movedim(-1, 1)


def _is_channels_last(x: Tensor) -> bool:
    return x.dim() > 2 and x.stride(1) == 1 and not x.is_contiguous()


def _is_regular(x: Tensor) -> bool:
    """Say whether the kernels take x as it lies: positions in one row, and they, or the channels, side by side."""
    axes = [(size, stride) for size, stride in zip(x.shape[2:], x.stride()[2:], strict=True) if size > 1]
    for (_, outer), (size, inner) in itertools.pairwise(axes):
        if outer != size * inner:
            return False
    last = axes[-1][1] if axes else x.stride(1)
    return last == 1 or (last > 0 and x.stride(1) == 1)


def _blank(x: Tensor) -> Tensor:
    """Make room for a result in x's memory layout, without gaps."""
    N, C, *positions = x.shape
    if _is_channels_last(x):
        return x.new_empty((N, *positions, C)).movedim(-1, 1)
    return x.new_empty(x.shape)


# ---- who computes ---------------------------------------------------------------------------------------------------

_tried: dict[torch.device, bool] = {}


def _runs_on(device: torch.device) -> bool:
    """Say whether the kernels run on a device and compute there what they should: they are tried on it once."""
    if device.type != "cuda":
        return _INTERPRETED and device.type == "cpu"
    if device in _tried:
        return _tried[device]
    if not _IS_THERE or torch.cuda.get_device_properties(device).major < _CAPABILITY:
        return False
    if torch.compiler.is_compiling():
        return True  # the operators will ask again
    if torch.cuda.is_current_stream_capturing():
        return False  # while a graph is recorded nothing can be tried
    try:
        wrong = _try_out(device)
    except Exception as error:  # whatever a driver, a compiler or the lack of one may raise
        wrong = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    if wrong:
        warnings.warn(f"gnlib leaves {device} to torch's operators, as its kernels fail: {wrong}", RuntimeWarning, 2)
    _tried[device] = not wrong
    return _tried[device]


def _try_out(device: torch.device) -> str | None:
    """Normalize a few values in both layouts, forward and backward, and say what is wrong if they are not core's."""
    generator = torch.Generator().manual_seed(0)
    x, dy = (torch.randn(2, 6, 9, 7, generator=generator) for _ in range(2))
    affine = torch.linspace(0.5, 2, 6), torch.linspace(-1, 1, 6)
    ways: list[Any] = [(_triton(), device, torch.float32), (_ByCore, torch.device("cpu"), torch.float64)]
    for last, (b, g) in itertools.product((False, True), ((1, 6), (2, 2))):
        found = []
        for compute, place, dtype in ways:
            values, gradient, *rest = (table.to(place, dtype) for table in (x, dy, *affine))
            if last:
                values, gradient = _to_channels_last(values), _to_channels_last(gradient)
            y, dx = _blank(values), _blank(values)
            tables = compute.measure(values, b, g)
            compute.apply(values, y, *tables, *rest, 1e-3, True)
            sums = compute.backward(gradient, values, dx, *rest, *tables, 1e-3, True, False, 1)
            found.append([table.cpu().double() for table in (y, dx, sums, *tables)])
        error = max((ours - theirs).abs().max().item() for ours, theirs in zip(*found, strict=True))
        if not error < 1e-3:
            layout = "channels_last" if last else "contiguous"
            return f"{b} × {g} blocks of a {layout} activation differ from core's by {error:.2g}"
    return None


def _triton() -> Any:
    from gnlib import triton_kernels  # not before it is needed: Triton takes its time, and is not everywhere

    return triton_kernels


def _computer(x: Tensor) -> Any:
    return _triton() if x.numel() and _runs_on(x.device) else _ByCore


class _ByCore:
    """What the kernels compute, composed of core: for devices on which they do not run, and to hold them against."""

    @staticmethod
    def measure(x: Tensor, blocks: int, groups: int) -> tuple[Tensor, Tensor]:
        _, mean, var = core.pool(core.moments(x), Grouping(max(blocks, 1), max(groups, 1)))
        mean, var = (table.double().reshape(blocks, groups) for table in (mean, var))
        return mean, var

    @staticmethod
    def apply(
        x: Tensor,
        y: Tensor,
        mean: Tensor,
        var: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        eps: float,
        relu: bool,
    ) -> None:
        out = _hat(x, mean, var, eps) * _of_samples(weight, x, 1) + _of_samples(bias, x, 0)
        y.copy_(out.relu() if relu else out)

    @staticmethod
    def backward(dy: Tensor, x: Tensor, dx: Tensor, *rest: Any) -> Tensor:
        found, sums = _composed_backward(dy, x, *rest)
        dx.copy_(found)
        return sums

    @staticmethod
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
        running = Running(kept_mean, kept_var, batches, share if batches is None else None, between)
        core.track(running, Moments(torch.full(mean.shape, values, device=mean.device), mean, var))


def _composed_backward(
    dy: Tensor,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    var: Tensor,
    eps: float,
    relu: bool,
    fixed: bool,
    parts: int,
) -> tuple[Tensor, Tensor]:
    """Return the gradients of x, and of β and γ, shape (2, parts, C), so that they can be differentiated again."""
    N, C = x.shape[:2]
    b, g = mean.shape
    if not fixed and x.numel():
        _, mean, var = core.pool(core.moments(x), Grouping(b, g))  # anew: they depend on x
    hat = _hat(x, mean, var, eps)
    gamma, dy = _of_samples(weight, x, 1), dy.to(hat.dtype)
    if relu:
        dy = dy * ((hat * gamma + _of_samples(bias, x, 0)) > 0)
    dx = gamma * dy

    def mean_of_blocks(values: Tensor) -> Tensor:
        blocks = values.unsqueeze(-1).flatten(2).mean(2).view(b, N // b, g, C // g).mean((1, 3))
        return _of_cells(blocks, x)

    if not fixed and x.numel():
        dx = dx - mean_of_blocks(dx) - hat * mean_of_blocks(dx * hat)
    dx = dx * _of_cells(torch.rsqrt(var + eps).to(hat.dtype), x)
    if not parts:
        return dx.to(x.dtype), hat.new_empty(2, 0, C)
    sums = torch.stack([values.unsqueeze(-1).flatten(2).sum(2) for values in (dy, dy * hat)])  # (2, N, C)
    return dx.to(x.dtype), sums.view(2, parts, N // parts, C).sum(2)


def _hat(x: Tensor, mean: Tensor, var: Tensor, eps: float) -> Tensor:
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return core.apply(wide, Moments(torch.zeros_like(mean, dtype=torch.int64), mean, var), eps=eps)


def _of_cells(table: Tensor, x: Tensor) -> Tensor:
    """Copy every block's entry to its cells: (b, g) to (N, C, 1, …)."""
    (N, C, *positions), (b, g) = x.shape, table.shape
    spread = table[:, None, :, None].expand(b, N // max(b, 1), g, C // max(g, 1))
    return spread.reshape(N, C, *(1 for _ in positions))


def _of_samples(table: Tensor | None, x: Tensor, otherwise: float) -> Tensor | float:
    """Copy every part's row of γ or β to its samples: (C,) or (parts, C) to (N, C, 1, …)."""
    if table is None:
        return otherwise
    wide = table.to(torch.promote_types(x.dtype, torch.float32))
    return _of_cells(wide.view(max(_parts(x.shape[1], table), 1), x.shape[1]), x)


@functools.cache
def _warn(shape: tuple[int, ...], reason: str) -> None:
    text = f"an activation of shape {shape} is left to torch's operators, which may be slower: {reason}"
    warnings.warn(text, RuntimeWarning, stacklevel=4)


# ---- operators ------------------------------------------------------------------------------------------------------


@torch.library.custom_op("gnlib::normalize", mutates_args=())
def _normalize_operator(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, blocks: int, groups: int, eps: float, relu: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return y and the blocks' mean and variance, tables (b, g) of float64 without gradients.

    γ and β have shape (C,), or (parts, C): the samples are cut into as many parts, and each has a row of its own.
    """
    y = _blank(x)
    mean, var = _computer(x).measure(x, blocks, groups)
    _computer(x).apply(x, y, mean, var, weight, bias, eps, relu)
    return y, mean, var


@torch.library.custom_op("gnlib::apply", mutates_args=())
def _apply_operator(
    x: Tensor, mean: Tensor, var: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, relu: bool
) -> Tensor:
    """Return y, by moments of blocks, tables (b, g) of float64, that have no gradients."""
    y = _blank(x)
    _computer(x).apply(x, y, mean, var, weight, bias, eps, relu)
    return y


@torch.library.custom_op("gnlib::normalize_backward", mutates_args=())
def _backward_operator(
    dy: Tensor,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    var: Tensor,
    eps: float,
    relu: bool,
    fixed: bool,
    parts: int,
) -> tuple[Tensor, Tensor]:
    """Return the gradient of x, and those of β and γ, shape (2, parts, C); ``fixed`` moments are not x's own."""
    dx = _blank(x)
    if dy.stride() != dx.stride():  # one copy is better than neighbours that are far apart
        dy = torch.empty_like(dx).copy_(dy)
    sums: Tensor = _computer(x).backward(dy, x, dx, weight, bias, mean, var, eps, relu, fixed, parts)
    return dx, sums


@torch.library.custom_op("gnlib::track", mutates_args=("kept_mean", "kept_var"))
def _track_operator(
    mean: Tensor,
    var: Tensor,
    kept_mean: Tensor,
    kept_var: Tensor,
    batches: Tensor | None,
    share: float,
    values: int,
    between: bool,
) -> None:
    """Move running values, by ``share`` or 1 / batches, towards blocks of as many ``values`` each, tables (b, C)."""
    _computer(mean).track(mean, var, kept_mean, kept_var, batches, share, values, between)


@_normalize_operator.register_fake
def _(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, blocks: int, groups: int, eps: float, relu: bool
) -> tuple[Tensor, Tensor, Tensor]:
    mean, var = (x.new_empty((blocks, groups), dtype=torch.float64) for _ in range(2))
    return _blank(x), mean, var


@_apply_operator.register_fake
def _(x: Tensor, *_: Any) -> Tensor:
    return _blank(x)


@_backward_operator.register_fake
def _(dy: Tensor, x: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    wide = torch.promote_types(x.dtype, torch.float32)
    return _blank(x), x.new_empty((2, rest[-1], x.shape[1]), dtype=wide)


@_track_operator.register_fake
def _(*_: Any) -> None:
    return None


# ---- derivatives ----------------------------------------------------------------------------------------------------


def _parts(C: int, *affine: Tensor | None) -> int:
    """Return how many rows of γ or β there are."""
    return next((table.numel() // C if C else 1 for table in affine if table is not None), 0)


def _keep_for_normalize(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    x, weight, bias, _, _, ctx.eps, ctx.relu = inputs
    _, mean, var = output
    ctx.fixed, ctx.places = False, (0, 1, 2, 7)
    ctx.mark_non_differentiable(mean, var)
    ctx.save_for_backward(x, weight, bias, mean, var)


def _keep_for_apply(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, mean, var, weight, bias, ctx.eps, ctx.relu = inputs
    ctx.fixed, ctx.places = True, (0, 3, 4, 7)
    ctx.save_for_backward(x, weight, bias, mean, var)


def _first_derivative(ctx: Any, dy: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
    x, weight, bias, mean, var = ctx.saved_tensors
    parts = _parts(x.shape[1], weight, bias)
    dx, sums = _backward_operator(dy, x, weight, bias, mean, var, ctx.eps, ctx.relu, ctx.fixed, parts)
    *places, count = ctx.places
    gradients: list[Tensor | None] = [None] * count
    gradients[places[0]] = dx
    for place, table, gradient in zip(places[1:], (weight, bias), (sums[1], sums[0]) if parts else (None, None)):  # noqa: B905
        if table is not None and gradient is not None:
            gradients[place] = gradient.reshape(table.shape).to(table.dtype)
    return tuple(gradients)


def _keep_for_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *tensors, ctx.eps, ctx.relu, ctx.fixed, ctx.parts = inputs
    ctx.save_for_backward(*tensors)


def _second_derivative(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
    """Differentiate the composition: seldom asked for, so not worth kernels."""
    dy, x, weight, bias, mean, var = ctx.saved_tensors

    def function(dy: Tensor, x: Tensor, *affine: Tensor) -> tuple[Tensor, Tensor]:
        rest = iter(affine)
        gamma, beta = (None if table is None else next(rest) for table in (weight, bias))
        return _composed_backward(dy, x, gamma, beta, mean, var, ctx.eps, ctx.relu, ctx.fixed, ctx.parts)

    _, vjp, *_ = torch.func.vjp(function, *(table for table in (dy, x, weight, bias) if table is not None))
    found = iter(vjp(gradients))
    return *(None if table is None else next(found) for table in (dy, x, weight, bias)), *[None] * 6


_normalize_operator.register_autograd(_first_derivative, setup_context=_keep_for_normalize)
_apply_operator.register_autograd(_first_derivative, setup_context=_keep_for_apply)
_backward_operator.register_autograd(_second_derivative, setup_context=_keep_for_backward)


# ---- vmap -----------------------------------------------------------------------------------------------------------
# A stack of activations is one activation with as many times the samples, the blocks and the parts.


def _fold(info: Any, table: Tensor | None, dim: int | None) -> Any:
    """Join the axis that vmap hides with the first axis; what has no such axis is the same for all."""
    if table is None:
        return None
    stack = table.expand(info.batch_size, *table.shape) if dim is None else table.movedim(dim, 0)
    return stack.flatten(0, 1)


def _fold_affine(info: Any, C: int, tables: tuple[Any, ...], dims: tuple[Any, ...]) -> list[Any]:
    """Give every member of the stack its rows of γ and β, unless one row serves them all."""
    if all(dim is None for dim in dims) and _parts(C, *tables) <= 1:
        return [*tables]
    rows = []
    for table, dim in zip(tables, dims, strict=True):
        if table is not None:
            stack = table.expand(info.batch_size, *table.shape) if dim is None else table.movedim(dim, 0)
            table = stack.reshape(-1, C)
        rows.append(table)
    return rows


def _unfold(info: Any, table: Tensor, axis: int = 0) -> Tensor:
    return torch.unflatten(table, axis, (info.batch_size, table.shape[axis] // info.batch_size))


@_normalize_operator.register_vmap
def _(
    info: Any, in_dims: Any, x: Tensor, weight: Any, bias: Any, blocks: int, groups: int, eps: float, relu: bool
) -> Any:
    x = _regular(_fold(info, x, in_dims[0]))
    affine = _fold_affine(info, x.shape[1], (weight, bias), in_dims[1:3])
    done = _normalize_operator(x, *affine, blocks * info.batch_size, groups, eps, relu)
    return tuple(_unfold(info, table) for table in done), (0, 0, 0)


@_apply_operator.register_vmap
def _(
    info: Any, in_dims: Any, x: Tensor, mean: Tensor, var: Tensor, weight: Any, bias: Any, eps: float, relu: bool
) -> Any:
    x, mean, var = (_fold(info, *pair) for pair in zip((x, mean, var), in_dims[:3], strict=True))
    affine = _fold_affine(info, x.shape[1], (weight, bias), in_dims[3:5])
    return _unfold(info, _apply_operator(_regular(x), mean, var, *affine, eps, relu)), 0


@_backward_operator.register_vmap
def _(
    info: Any,
    in_dims: Any,
    dy: Tensor,
    x: Tensor,
    weight: Any,
    bias: Any,
    mean: Tensor,
    var: Tensor,
    eps: float,
    relu: bool,
    fixed: bool,
    parts: int,
) -> Any:
    dims = in_dims[:2] + in_dims[4:6]
    dy, x, mean, var = (_fold(info, *pair) for pair in zip((dy, x, mean, var), dims, strict=True))
    affine = _fold_affine(info, x.shape[1], (weight, bias), in_dims[2:4])
    x, parts = _regular(x), parts * info.batch_size
    dx, sums = _backward_operator(dy, x, *affine, mean, var, eps, relu, fixed, parts)
    return (_unfold(info, dx), _unfold(info, sums, 1)), (0, 1)
