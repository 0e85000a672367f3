"""What the Triton kernels compute, on a CPU: run by `tests/test_kernels.py` under TRITON_INTERPRET=1.

Every result is held against core in float64. The interpreter takes milliseconds for each program of a launch, so the
shapes are small and the tiles smaller, with ragged ends, splits and two levels of pooling all the same.
"""

from __future__ import annotations

import pytest
import torch
from triton.runtime.interpreter import GridExecutor

from gnlib import core, kernels, triton_kernels
from gnlib.core import Moments, Running
from gnlib.grouping import Grouping

SHAPE = (4, 6, 5, 7)  # N, C, H, W: all different
EPS = 2.0**-10
LAYOUTS = pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels_last"])
# the interpreter of Triton 3.6, in its own lines
pytestmark = pytest.mark.filterwarnings("ignore:Conversion of an array with ndim:DeprecationWarning")
# the interpreter cuts float32 to bfloat16 where a GPU rounds
TOLERANCES = {torch.float64: 1e-13, torch.float32: 1e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch):
    for name, value in {"TILE": 256, "WIDE": 8, "FILL": 12}.items():
        monkeypatch.setattr(triton_kernels, name, value)


@pytest.fixture(autouse=True)
def _room_is_full_of_nan():
    """Let what no kernel has written be seen."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(before)


def skewed(*shape, offset=3.0, seed=0, dtype=torch.float32, last=False):
    generator = torch.Generator().manual_seed(seed)
    values = (offset + torch.randn(shape, generator=generator, dtype=torch.float64).exp()).to(dtype)
    return values.movedim(1, -1).contiguous().movedim(-1, 1) if last else values


def results(function, x, *tables, dy=None):
    """Return the output and all first derivatives."""
    leaves = [values.detach().requires_grad_() for values in (x, *tables) if values is not None]
    given = iter(leaves)
    y = function(*(None if values is None else next(given) for values in (x, *tables)))
    dy = skewed(*y.shape, seed=9, offset=-2) if dy is None else dy
    return y, *torch.autograd.grad(y, leaves, dy.to(y.dtype))


def error(ours, theirs):
    """Return the largest relative error of any, each in the norm."""
    pairs = [(a.double(), b.double()) for a, b in zip(ours, theirs, strict=True)]
    return max(((a - b).norm() / b.norm().clamp(min=1e-3)).item() for a, b in pairs)


def check(x, b, g, weight=None, bias=None, relu=False, eps=EPS, dy=None, tolerance=None):
    """Hold one point against core in float64, outputs and derivatives."""
    point = Grouping(b, g)

    def by_core(x, weight, bias):
        y = core.normalize(x, point, weight, bias, eps)
        return y.relu() if relu else y

    ours = results(lambda x, w, c: kernels.normalize(x, point, w, c, eps, relu), x, weight, bias, dy=dy)
    wide = (None if values is None else values.double() for values in (x, weight, bias))
    theirs = results(by_core, *wide, dy=dy)
    worst = error(ours, theirs)
    assert worst <= (TOLERANCES[x.dtype] if tolerance is None else tolerance)
    assert [values.dtype for values in ours[:2]] == [x.dtype] * 2
    return ours


def affine(C, dtype=torch.float32):
    return skewed(C, seed=1, offset=-1, dtype=dtype), skewed(C, seed=2, offset=-2, dtype=dtype)


# ---- values and derivatives -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("b", "g"), [(1, 1), (1, 6), (2, 3), (4, 1), (4, 6)])
@LAYOUTS
def test_every_kind_of_point_is_normalized_as_by_core(b, g, last):
    x = skewed(*SHAPE, last=last)
    y, dx, *_ = check(x, b, g, *affine(6))
    assert y.stride() == dx.stride() == x.stride()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("relu", [False, True], ids=["", "relu"])
@LAYOUTS
def test_every_dtype_is_as_exact_as_it_can_be(dtype, relu, last):
    check(skewed(*SHAPE, dtype=dtype, last=last), 2, 3, *affine(6, dtype), relu=relu)


def test_half_values_go_with_float32_tables():
    check(skewed(*SHAPE, dtype=torch.bfloat16), 4, 2, *affine(6))


@pytest.mark.parametrize("tables", [(True, False), (False, True), (False, False)], ids=str)
@pytest.mark.parametrize("relu", [False, True], ids=["", "relu"])
def test_either_table_may_be_missing(tables, relu):
    check(skewed(*SHAPE), 4, 3, *(t if there else None for t, there in zip(affine(6), tables, strict=True)), relu=relu)


@pytest.mark.parametrize("shape", [(6, 8), (4, 6, 9), (2, 6, 3, 2, 5)], ids=str)
@LAYOUTS
def test_activations_may_have_any_rank(shape, last):
    check(skewed(*shape, last=last), 2, 2, *affine(shape[1]))


@pytest.mark.parametrize("shape", [(1, 6, 5, 7), (4, 1, 5, 7), (4, 6, 1, 1), (4, 6, 1, 9), (1, 1, 1, 3)], ids=str)
@LAYOUTS
def test_an_axis_may_have_one_value(shape, last):
    check(skewed(*shape, last=last), 1, 1, *affine(shape[1]))


@LAYOUTS
@pytest.mark.parametrize("shape", [(2, 3, 29, 41), (1, 5, 40, 33)], ids=str)
def test_cells_may_be_longer_than_a_tile_and_end_anywhere(shape, last):
    check(skewed(*shape, last=last), 1, shape[1], *affine(shape[1]))
    _, _, *positions = shape
    cut = triton_kernels.plan(triton_kernels._cells(skewed(*shape, last=last)))
    assert cut.splits > 1
    assert cut.steps > 1
    assert positions[0] * positions[1] % cut.span


@pytest.mark.parametrize(("b", "g"), [(1, 1), (1, 2), (2, 1)])
@LAYOUTS
def test_long_tables_are_pooled_in_two_levels(b, g, last, monkeypatch):
    monkeypatch.setattr(triton_kernels, "LONG_POOL", 3)
    monkeypatch.setattr(triton_kernels, "FILL", 48)
    x = skewed(4, 6, 17, 19, last=last)
    cut = triton_kernels.plan(triton_kernels._cells(x))
    assert cut.splits > 1
    assert [level.last for level in triton_kernels.levels(cut.splits, 4, 6, b, g)] == [False, True]
    check(x, b, g, *affine(6))


@LAYOUTS
@pytest.mark.parametrize("ratio", [1e2, 1e4])  # mean / sd
def test_far_from_zero_no_digit_is_lost_that_the_input_has(last, ratio):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(3, 4, 9, 15, generator=generator, dtype=torch.float64) + ratio
    x = x.float().movedim(1, -1).contiguous().movedim(-1, 1) if last else x.float()
    for b, g in ((1, 4), (3, 2), (3, 4)):
        check(x, b, g, tolerance=1e-6)


def test_a_constant_block_gets_its_bias_whatever_its_level():
    x = torch.full((2, 3, 50), 1e6) * torch.tensor([0.1, 1.0, -3.3])[:, None]
    bias = torch.tensor([1.0, 2.0, 3.0])
    for b in (1, 2):
        y = kernels.normalize(x, Grouping(b, 3), torch.ones(3), bias, 1e-12)
        assert torch.equal(y, bias[:, None].expand_as(x))


def test_a_block_of_one_value_leaves_beta_alone():
    weight, bias = affine(6)
    y, dx, *_ = results(
        lambda x, w, c: kernels.normalize(x, Grouping(4, 6), w, c), skewed(4, 6, offset=3e4), weight, bias
    )
    assert torch.equal(y, bias.expand(4, 6))
    assert not dx.any()


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_what_is_not_a_number_spoils_its_own_block_alone():
    x = skewed(*SHAPE)
    x[1, 2, 3, 4], x[3, 0, 0, 0] = torch.nan, torch.inf
    y = kernels.normalize(x, Grouping(4, 3), relu=True)
    theirs = core.normalize(x, Grouping(4, 3)).relu()
    assert torch.equal(y.isnan(), theirs.isnan())
    assert y[1, 2:4].isnan().all()
    assert y.isnan().sum() == 2 * 2 * 35


@LAYOUTS
def test_the_members_of_a_stack_have_tables_of_their_own(last):
    x = skewed(6, 6, 5, 7, last=last)
    tables = skewed(3, 6, seed=1, offset=-1), skewed(3, 6, seed=2, offset=-2)

    def by_kernels(x, weight, bias):
        stack = x.unflatten(0, (3, 2))
        return torch.vmap(lambda x, w, c: kernels.normalize(x, Grouping(2, 3), w, c, EPS, True))(
            stack, weight, bias
        ).flatten(0, 1)

    def by_core(x, weight, bias):
        y = core.normalize(x, Grouping(6, 3), eps=EPS).unflatten(0, (3, 2))
        return (y * weight[:, None, :, None, None] + bias[:, None, :, None, None]).relu().flatten(0, 1)

    ours, theirs = results(by_kernels, x, *tables), results(by_core, *(table.double() for table in (x, *tables)))
    assert error(ours, theirs) <= 1e-6


# ---- how values lie -------------------------------------------------------------------------------------------------

LIE = {
    "every other channel": lambda x: x.repeat_interleave(2, 1)[:, ::2],
    "every other sample": lambda x: x.repeat_interleave(2, 0)[::2],
    "every other position": lambda x: x.repeat_interleave(2, 3)[..., ::2],
    "height and width exchanged": lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
    "samples last": lambda x: x.movedim(0, -1).contiguous().movedim(-1, 0),
    "some channels, channels_last": lambda x: torch.cat([x, x], 1).movedim(1, -1).contiguous().movedim(-1, 1)[:, :6],
    "one row for all": lambda x: x[..., :1, :].expand(*x.shape),
    "one channel for all": lambda x: x[:, :1].expand(*x.shape),
}


@pytest.mark.parametrize("lie", LIE.values(), ids=LIE)
def test_values_may_lie_in_memory_as_they_like(lie):
    x = lie(skewed(*SHAPE))
    assert x.shape == SHAPE
    assert kernels._is_regular(kernels._regular(x))
    check(x, 2, 3, *affine(6))


@LAYOUTS
def test_a_gradient_may_lie_in_another_way_than_its_activation(last, monkeypatch):
    given = []
    backward = triton_kernels.backward
    monkeypatch.setattr(triton_kernels, "backward", lambda dy, *rest: given.append(dy.stride()) or backward(dy, *rest))
    x = skewed(*SHAPE, last=last)
    for dy in (skewed(*SHAPE, seed=4, last=not last), torch.full((1,), 2.0).expand(SHAPE)):
        _, dx, *_ = check(x, 4, 2, *affine(6), dy=dy)
        assert given.pop() == dx.stride() == x.stride()


@pytest.mark.parametrize("axis", [0, 1, 2], ids=["samples", "channels", "positions"])
def test_values_may_lie_further_apart_than_32_bits_can_count(axis, monkeypatch):
    monkeypatch.setattr(GridExecutor, "_restore_args_dev", lambda *_: None)  # it copies whole storages onto themselves
    strides = [9, 3, 1]
    strides[axis] = 2**30 + 8
    if axis == 2:
        strides[1] = 1
    room = torch.empty(0, dtype=torch.float16).set_(torch.UntypedStorage(2**32 + 2**10))  # hardly any of it is touched
    x = room.as_strided((3, 3, 3), strides)
    x.copy_(skewed(3, 3, 3, dtype=torch.float16))
    assert kernels._regular(x) is x
    check(x, 1, 3)


def test_counting_with_64_bits_gives_the_same_bits(monkeypatch):
    x = skewed(2, 3, 13, 17)
    before = results(lambda x: kernels.normalize(x, Grouping(1, 3)), x)
    monkeypatch.setattr(triton_kernels.Plan, "is_long", lambda *_: True)
    assert all(map(torch.equal, before, results(lambda x: kernels.normalize(x, Grouping(1, 3)), x)))


# ---- moments that are kept ------------------------------------------------------------------------------------------


@LAYOUTS
@pytest.mark.parametrize("relu", [False, True], ids=["", "relu"])
def test_moments_that_were_kept_are_applied_as_by_core(last, relu):
    x, (mean, var), tables = skewed(*SHAPE, last=last), (skewed(6, seed=5), skewed(6, seed=6)), affine(6)

    def by_core(x, weight, bias):
        y = core.normalize_by(x, mean.double(), var.double(), weight, bias, EPS)
        return y.relu() if relu else y

    ours = results(lambda x, w, c: kernels.normalize_by(x, mean, var, w, c, EPS, relu), x, *tables)
    assert error(ours, results(by_core, x.double(), *(table.double() for table in tables))) <= 1e-6
    alone = results(lambda x: kernels.normalize_by(x, mean, var, None, None, EPS), x)
    assert (
        error(alone, results(lambda x: core.normalize_by(x, mean.double(), var.double(), eps=EPS), x.double())) <= 1e-6
    )


@pytest.mark.parametrize("b", [1, 2, 20])
@pytest.mark.parametrize("between", [True, False])
@pytest.mark.parametrize(("momentum", "dtype"), [(0.3, torch.float32), (None, torch.bfloat16), (1.0, torch.float64)])
def test_running_values_follow_blocks_as_by_core(b, between, momentum, dtype):
    count, mean, var = torch.full((b, 67), 30), skewed(b, 67, offset=40).double(), skewed(b, 67, seed=1).double()
    kept = []
    for by_kernels in (True, False):
        running = Running(*(skewed(67, seed=k, dtype=dtype) for k in (3, 4)), torch.tensor(4), momentum, between)
        if by_kernels:
            kernels._track(running, mean, var, 30)
        else:
            core.track(running, Moments(count, mean, var))
        kept.append((running.mean, running.var))
    assert error(*kept) <= {torch.float32: 1e-6, torch.bfloat16: 8e-3, torch.float64: 1e-14}[dtype]


@LAYOUTS
@pytest.mark.parametrize("b", [1, 2, 4])
def test_running_values_follow_a_batch_as_by_core(b, last):
    x, kept = skewed(*SHAPE, last=last), []
    for module in (kernels, core):
        running = Running(torch.zeros(6), torch.ones(6), torch.tensor(1), 0.1, True)
        module.normalize_and_track(x, Grouping(b, 6), running)
        kept.append((running.mean, running.var))
    assert error(*kept) <= 1e-6


def test_tracking_the_blocks_of_channels_is_left_to_core():
    x, kept = skewed(*SHAPE), []
    for module in (kernels, core):
        running = Running(torch.zeros(2), torch.ones(2), None, 0.1, True)  # a group's, not a channel's
        module.normalize_and_track(x, Grouping(1, 2), running)
        kept.append((running.mean, running.var))
    assert error(*kept) <= 1e-6


# ---- the device is tried --------------------------------------------------------------------------------------------


def test_a_device_on_which_the_kernels_compute_what_they_should_passes_the_trial():
    assert kernels._try_out(torch.device("cpu")) is None


@pytest.mark.parametrize("name", ["measure", "apply", "backward"])
def test_a_device_on_which_a_kernel_errs_does_not_pass_the_trial(name, monkeypatch):
    right = getattr(triton_kernels, name)

    def wrong(*given):
        done = right(*given)
        changed = {"measure": lambda: done[0], "apply": lambda: given[1], "backward": lambda: given[2]}[name]()
        changed.view(-1)[0] += 0.1
        return done

    monkeypatch.setattr(triton_kernels, name, wrong)
    assert "differ from core's" in kernels._try_out(torch.device("cpu"))
