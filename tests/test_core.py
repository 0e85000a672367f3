"""The laws of the square: what moments, pool, apply and normalize do at every point, to every kind of numbers."""

from __future__ import annotations

import math
import re

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  as everybody writes it
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gnlib import EACH, Grouping, Moments, apply, moments, normalize, pool
from gnlib.core import rms_normalize

law = settings(deadline=None, max_examples=30, derandomize=True)

SHAPE = (6, 8, 3, 5)  # N, C, H, W: all different
POINTS = Grouping.legal(*SHAPE[:2])
CORNERS_AND_EDGES = {
    "everything": (Grouping.everything(), lambda x: whole(x)),
    "BatchNorm": (Grouping.batch_norm(), lambda x: F.batch_norm(x, None, None, training=True)),
    "LayerNorm": (Grouping.layer_norm(), lambda x: F.layer_norm(x, x.shape[1:])),
    "InstanceNorm": (Grouping.instance_norm(), lambda x: F.instance_norm(x)),
    "GroupNorm": (Grouping.group_norm(4), lambda x: F.group_norm(x, 4)),
    "ghost BatchNorm": (
        Grouping.ghost_batch_norm(3),
        lambda x: torch.cat([F.batch_norm(part, None, None, training=True) for part in x.chunk(3)]),
    ),
    "batch-group norm": (
        Grouping.batch_group_norm(2),
        lambda x: torch.cat([whole(part) for part in x.chunk(2, 1)], 1),
    ),
    "left edge": (Grouping(3, 1), lambda x: torch.cat([whole(part) for part in x.chunk(3)])),
}


def whole(x: Tensor, eps: float = 1e-5) -> Tensor:
    """Standardize a tensor as one, as the textbook writes it."""
    return (x - x.mean()) / (x.var(unbiased=False) + eps).sqrt()


def skewed(*shape: int, offset: float = 3.0, seed: int = 0) -> Tensor:
    """Draw values that are not symmetric, around a mean far from 0, each cell with a level and a spread of its own."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator, dtype=torch.float64).exp()
    cells = [*shape[:2], *(1 for _ in shape[2:])]
    level, spread = (torch.rand(cells, generator=generator, dtype=torch.float64) for _ in range(2))
    return offset + 4 * level + (0.5 + spread) * x


def block_slices(x: Tensor, b: int, g: int) -> list[tuple[int, int, Tensor]]:
    """Cut x into its blocks with slices, one by one."""
    n, c = len(x) // b, x.shape[1] // g
    return [(i, j, x[i * n : (i + 1) * n, j * c : (j + 1) * c]) for i in range(b) for j in range(g)]


@st.composite
def activations(draw, least=1):
    """An activation of any rank from 2 to 4 whose axes have any length, and a point that its shape allows."""
    N, C = draw(st.integers(1, 6)), draw(st.integers(1, 8))
    positions = draw(st.lists(st.integers(least, 4), max_size=2))
    x = skewed(N, C, *positions, offset=draw(st.sampled_from([0.0, -7.0, 300.0])), seed=draw(st.integers(0, 999)))
    return x, draw(st.sampled_from(Grouping.legal(N, C)))


def close(ours: Tensor, theirs: Tensor, tolerance: float = 1e-12) -> bool:
    return torch.allclose(ours, theirs, rtol=tolerance, atol=tolerance)


# ------------------------------------------------------------------------------------------- measured against others


@law
@given(activations())
def test_cells_are_measured_as_torch_measures_them(drawn):
    x, _ = drawn
    count, mean, var = moments(x)
    values = x.reshape(*x.shape[:2], -1)
    assert count.dtype == torch.int64
    assert torch.equal(count, torch.full(x.shape[:2], values.shape[2]))
    assert close(mean, values.mean(2))
    assert close(var, values.var(2, unbiased=False))


@law
@given(activations())
def test_a_block_has_the_moments_of_all_its_values(drawn):
    x, (b, g) = drawn
    count, mean, var = pool(moments(x), Grouping(b, g))
    assert count.shape == mean.shape == var.shape == (b, g)
    for i, j, block in block_slices(x, b, g):
        assert count[i, j] == block.numel()
        assert close(mean[i, j], block.mean())
        assert close(var[i, j], block.var(unbiased=False))


@law
@given(activations())
def test_every_block_is_standardized_as_the_textbook_writes_it(drawn):
    x, (b, g) = drawn
    y = normalize(x, Grouping(b, g))
    scale = max(1.0, x.abs().max().item())
    for (_, _, ours), (_, _, block) in zip(block_slices(y, b, g), block_slices(x, b, g), strict=True):
        assert close(ours, whole(block), 1e-12 * scale)


@pytest.mark.parametrize("name", CORNERS_AND_EDGES)
@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
def test_corners_and_edges_equal_torch(name, offset):
    grouping, theirs = CORNERS_AND_EDGES[name]
    x = skewed(*SHAPE, offset=offset)
    far = max(1.0, offset)  # |mean| / sd, about
    assert (normalize(x, grouping) - theirs(x)).abs().max() <= 1e-12 * far


@pytest.mark.parametrize("name", CORNERS_AND_EDGES)
@pytest.mark.parametrize("shape", [(6, 4, 3), (3, 8, 2, 2, 2), (9, 12, 5)])
def test_corners_and_edges_equal_torch_at_any_rank(name, shape):
    grouping, theirs = CORNERS_AND_EDGES[name]
    x = skewed(*shape)
    assert (normalize(x, grouping) - theirs(x)).abs().max() <= 1e-11


@pytest.mark.parametrize("name", CORNERS_AND_EDGES)
def test_gradients_equal_torch(name):
    grouping, theirs = CORNERS_AND_EDGES[name]
    upstream = skewed(*SHAPE, seed=1)
    gradients = []
    for function in (lambda x: normalize(x, grouping), theirs):
        x = skewed(*SHAPE).requires_grad_()
        (gradient,) = torch.autograd.grad((function(x) * upstream).sum(), x)
        gradients.append(gradient)
    assert (gradients[0] - gradients[1]).abs().max() <= 1e-11


@pytest.mark.parametrize("G", [1, 2, 4, 8])
def test_weight_and_bias_belong_to_channels(G):
    x, weight, bias = skewed(*SHAPE), skewed(1, 8)[0], -skewed(1, 8, seed=1)[0]
    ours = normalize(x, Grouping.group_norm(G), weight, bias, eps=0.5)
    assert close(ours, F.group_norm(x, G, weight, bias, eps=0.5), 1e-11)
    assert close(normalize(x, Grouping.group_norm(G), weight), F.group_norm(x, G, weight), 1e-11)
    assert close(normalize(x, Grouping.group_norm(G), bias=bias), F.group_norm(x, G, None, bias), 1e-11)


@pytest.mark.parametrize(("b", "g"), POINTS)
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_without_the_mean_a_block_is_divided_by_its_root_mean_square(b, g, offset):
    x, weight = skewed(*SHAPE, offset=offset), skewed(1, 8)[0]
    y = rms_normalize(x, Grouping(b, g), weight, eps=0.5)
    for (_, _, ours), (_, _, block) in zip(
        block_slices(y / weight[:, None, None], b, g), block_slices(x, b, g), strict=True
    ):
        assert close(ours, F.rms_norm(block, block.shape, eps=0.5), 1e-12)
    assert torch.equal(rms_normalize(x, Grouping(b, g)), rms_normalize(x, Grouping(b, g), torch.ones(8), eps=1e-5))


def test_evaluation_is_apply_with_moments_that_were_kept():
    x, mean, var = skewed(*SHAPE), skewed(1, 8), skewed(1, 8, seed=1)
    kept = Moments(torch.zeros(1, 8, dtype=torch.int64), mean, var)
    weight, bias = skewed(2, 8, seed=2)
    theirs = F.batch_norm(x, mean[0], var[0], weight, bias, training=False)
    assert close(apply(x, kept, weight, bias), theirs)


@pytest.mark.parametrize(("b", "g"), [(1, 1), (1, 4), (2, 1), (2, 2), (2, 4)])
@pytest.mark.parametrize("shape", [(2, 4, 3), (2, 4)])
def test_first_and_second_derivatives_are_finite_differences(b, g, shape):
    x = skewed(*shape).requires_grad_()
    weight, bias = (skewed(1, 4, seed=s)[0].requires_grad_() for s in (1, 2))

    def function(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return normalize(x, Grouping(b, g), weight, bias, eps=0.1)

    assert torch.autograd.gradcheck(function, (x, weight, bias))
    assert torch.autograd.gradgradcheck(function, (x, weight, bias))


def test_the_moments_that_apply_is_given_have_gradients_too():
    x = skewed(2, 4, 3).requires_grad_()
    mean, var = (skewed(1, 2, seed=s).requires_grad_() for s in (1, 2))
    count = torch.tensor([[1, 1]])
    assert torch.autograd.gradcheck(lambda x, mean, var: apply(x, Moments(count, mean, var)), (x, mean, var))
    assert torch.autograd.gradcheck(lambda x: pool(moments(x), Grouping(2, 2))[1:], (x,))


# ------------------------------------------------------------------------------------------------------------- laws


@law
@given(activations(), st.data())
def test_pool_after_pool_is_pool(drawn, data):
    x, (b, g) = drawn
    finer = [point for point in Grouping.legal(*x.shape[:2]) if point[0] % b == point[1] % g == 0]
    B, G = data.draw(st.sampled_from(finer))
    at_once = pool(moments(x), Grouping(b, g))
    in_steps = pool(pool(moments(x), Grouping(B, G)), Grouping(b, g))
    assert torch.equal(in_steps.count, at_once.count)
    assert close(in_steps.mean, at_once.mean)
    assert close(in_steps.var, at_once.var, 1e-11)


@law
@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), min_size=1, max_size=4),
    st.integers(0, 999),
)
def test_batches_of_unequal_size_pool_to_what_all_their_values_have(C, sizes, seed):
    pieces = [skewed(n, C, s, offset=50.0 * k, seed=seed + k) for k, (n, s) in enumerate(sizes)]
    rows = [pool(moments(piece), Grouping.batch_norm()) for piece in pieces]  # (1, C) each
    stacked = Moments(*(torch.cat(tables) for tables in zip(*rows, strict=True)))
    count, mean, var = pool(stacked, Grouping.batch_norm())
    values = torch.cat([piece.transpose(0, 1).flatten(1) for piece in pieces], 1)  # (C, all)
    assert torch.equal(count, torch.full((1, C), values.shape[1]))
    if values.shape[1]:
        assert close(mean[0], values.mean(1))
        assert close(var[0], values.var(1, unbiased=False))
    else:
        assert not mean.any()
        assert not var.any()


def test_variance_is_within_plus_between_by_hand():
    one, other = torch.tensor([[[1.0, 3.0]]]), torch.tensor([[[6.0, 10.0, 8.0, 8.0, 7.0, 9.0]]])
    cells = Moments(*(torch.cat(tables) for tables in zip(moments(one), moments(other), strict=True)))
    count, mean, var = pool(cells, Grouping.everything())
    # means 2 and 8, variances 1 and 10/6, counts 2 and 6
    assert count.item() == 8
    assert mean.item() == pytest.approx((2 * 2 + 6 * 8) / 8, rel=1e-7)
    assert var.item() == pytest.approx((2 * 1 + 10) / 8 + (2 * 4.5**2 + 6 * 1.5**2) / 8, rel=1e-7)


@law
@given(activations())
def test_variance_is_the_mean_of_variances_plus_the_variance_of_means(drawn):
    x, (b, g) = drawn
    cells, blocks = moments(x), pool(moments(x), Grouping(b, g))
    for (i, j, means), (_, _, variances) in zip(
        block_slices(cells.mean, b, g), block_slices(cells.var, b, g), strict=True
    ):
        assert close(blocks.var[i, j], variances.mean() + means.var(unbiased=False))
        assert blocks.var[i, j] >= variances.mean() * (1 - 1e-12)  # so cutting further never raises it


@law
@given(activations(), st.data())
def test_averaged_over_all_blocks_a_cut_never_raises_the_variance(drawn, data):
    x, (b, g) = drawn
    finer = [point for point in Grouping.legal(*x.shape[:2]) if point[0] % b == point[1] % g == 0]
    point = data.draw(st.sampled_from(finer))
    cut, whole_blocks = (pool(moments(x), Grouping(*counts)).var.mean() for counts in (point, (b, g)))
    assert cut <= whole_blocks * (1 + 1e-12)


@law
@given(activations(), st.sampled_from([-3.0, -0.01, 0.5, 1e4]), st.sampled_from([-1e3, 0.0, 17.0]))
def test_scale_and_shift_of_a_block_leave_only_the_sign(drawn, scale, shift):
    x, (b, g) = drawn
    y = normalize(x, Grouping(b, g), eps=1e-2)
    z = normalize(scale * x + shift, Grouping(b, g), eps=1e-2 * scale**2)  # eps is in units of x²
    far = max(1.0, abs(shift / scale), x.abs().max().item())  # what rounding the shifted values may cost, in sd
    assert close(z, math.copysign(1, scale) * y, 1e-13 * far)


def test_with_the_same_eps_scale_and_shift_are_forgotten_up_to_eps():
    x = skewed(*SHAPE)
    y = normalize(x, Grouping(2, 4))
    least = pool(moments(x), Grouping(2, 4)).var.min().item()
    gap = (normalize(-10 * x + 4, Grouping(2, 4)) + y).abs()
    assert 0 < gap.max() <= (y.abs() * 1e-5 / least).max()


@law
@given(activations())
def test_a_block_comes_out_with_mean_zero_and_the_spread_that_eps_leaves(drawn):
    x, (b, g) = drawn
    eps = 0.25
    before = pool(moments(x), Grouping(b, g))
    after = pool(moments(normalize(x, Grouping(b, g), eps=eps)), Grouping(b, g))
    assert close(after.mean, torch.zeros(b, g).double(), 1e-11)
    assert close(after.var, before.var / (before.var + eps), 1e-11)


@law
@given(activations(), st.integers(0, 999))
def test_order_inside_a_block_does_not_matter(drawn, seed):
    x, (b, g) = drawn
    x = x.reshape(*x.shape[:2], -1)
    N, C, S = x.shape
    generator = torch.Generator().manual_seed(seed)

    def shuffled(size: int, pieces: int) -> Tensor:
        """Permute inside each piece, and the pieces themselves."""
        inside = [torch.randperm(size // pieces, generator=generator) + k * (size // pieces) for k in range(pieces)]
        return torch.cat([inside[k] for k in torch.randperm(pieces, generator=generator)])

    def shuffle(x: Tensor) -> Tensor:
        return x[samples][:, channels][:, :, positions]

    samples, channels, positions = shuffled(N, b), shuffled(C, g), shuffled(S, 1)
    y = normalize(x, Grouping(b, g), eps=0.1)
    assert close(normalize(shuffle(x), Grouping(b, g), eps=0.1), shuffle(y), 1e-10)


@pytest.mark.parametrize(("b", "g"), POINTS)
def test_a_change_is_noticed_in_its_own_block_only(b, g):
    x = skewed(*SHAPE)
    spoilt = x.clone()
    spoilt[1, 2] *= 3
    changed = (normalize(spoilt, Grouping(b, g)) != normalize(x, Grouping(b, g))).flatten(2).any(2)  # (N, C)
    n, c = 6 // b, 8 // g
    own = torch.zeros(6, 8, dtype=torch.bool)
    own[1 // n * n : 1 // n * n + n, 2 // c * c : 2 // c * c + c] = True
    if (b, g) == (6, 8):
        own[1, 2] = changed[1, 2]  # alone, a cell's own factor is divided away again, up to eps and rounding
    assert torch.equal(changed, own)


def test_samples_do_not_see_each_other_unless_the_batch_is_shared():
    x = skewed(*SHAPE)
    for g in (1, 2, 4, 8):
        alone = torch.cat([normalize(sample[None], Grouping(EACH, g)) for sample in x])
        assert torch.equal(normalize(x, Grouping(EACH, g)), alone)
        assert not torch.allclose(normalize(x, Grouping(1, g)), alone)


def test_channels_do_not_see_each_other_unless_they_share_a_group():
    x = skewed(*SHAPE)
    for b in (1, 2, 3, 6):
        alone = torch.cat([normalize(channel[:, None], Grouping(b, EACH)) for channel in x.unbind(1)], 1)
        assert close(normalize(x, Grouping(b, EACH)), alone)
        assert not torch.allclose(normalize(x, Grouping(b, 1)), alone)


# -------------------------------------------------------------------------------------------------------- precision


@pytest.mark.parametrize(("b", "g"), [(1, 1), (1, 8), (6, 1), (6, 8), (6, 4), (2, 2)])
@pytest.mark.parametrize("offset", [0.0, 1e4, 1e6])
def test_far_from_zero_single_precision_keeps_its_digits(b, g, offset):
    x = skewed(6, 8, 16, 16, offset=offset).float()
    far = pool(moments(x), Grouping(b, g))
    true = pool(moments(x.double()), Grouping(b, g))  # of the very same values
    assert ((far.var - true.var).abs() <= 1e-6 * true.var).all()
    assert ((far.mean - true.mean).abs() <= 1e-6 * true.var.sqrt()).all()
    weight, bias = torch.linspace(-20, 20, 8), torch.linspace(-1, 1, 8)
    y = normalize(x, Grouping(b, g), weight, bias)
    exact = normalize(x.double(), Grouping(b, g), weight.double(), bias.double())
    assert y.dtype == torch.float32
    assert (y - exact).abs().max() <= 1e-6 * exact.abs().max()
    if offset:  # the textbook's shortcut has nothing left here, so this test can tell
        shortcut = x.square().mean() - x.mean().square()
        assert abs(shortcut / x.double().var() - 1) > 0.01


@pytest.mark.parametrize("offset", [1e4, 1e6])
def test_far_from_zero_gradients_keep_their_digits(offset):
    upstream, gradients = skewed(*SHAPE, seed=1), []
    x = skewed(*SHAPE, offset=offset).float()
    for values in (x, x.double()):
        values.requires_grad_()
        y = normalize(values, Grouping(2, 4))
        gradients.append(torch.autograd.grad((y * upstream.to(y.dtype)).sum(), values)[0])
    assert (gradients[0] - gradients[1]).abs().max() <= 1e-5 * gradients[1].abs().max()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("b", "g"), [(1, 1), (1, 4), (2, 1), (2, 4), (2, 2)])
def test_half_types_are_summed_in_single_precision(dtype, b, g):
    x = skewed(2, 4, 64, 64, offset=100.0).to(dtype)  # a sum of 400,000 and more; float16 ends at 65,504
    blocks, true = pool(moments(x), Grouping(b, g)), pool(moments(x.double()), Grouping(b, g))
    assert blocks.mean.dtype == blocks.var.dtype == torch.float32
    assert close(blocks.mean.double(), true.mean, 1e-6)
    assert close(blocks.var.double(), true.var, 1e-5)
    y, exact = normalize(x, Grouping(b, g)), normalize(x.double(), Grouping(b, g))
    assert y.dtype == dtype
    assert ((y.double() - exact).abs() <= torch.finfo(dtype).eps * exact.abs().clamp(min=1e-3)).all()  # one rounding


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_eps_is_added_in_single_precision(dtype):
    x = (skewed(2, 4, 64) * 1e-4).to(dtype)
    exact = normalize(x.double(), Grouping(2, 2), eps=1e-8)
    y = normalize(x, Grouping(2, 2), eps=1e-8)  # float16 rounds 1e-8 to 0
    assert ((y.double() - exact).abs() <= 2 * torch.finfo(dtype).eps * exact.abs().clamp(min=1e-2)).all()
    assert not normalize(torch.full_like(x, 3), Grouping(2, 2), eps=1e-8).any()


def test_affine_parameters_of_another_precision_do_not_change_the_outputs_type():
    x, weight, bias = skewed(2, 4, 6), torch.linspace(0.5, 2, 4), torch.arange(4.0)
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        for parameters in (torch.float16, torch.float32, torch.float64):
            y = normalize(x.to(dtype), Grouping(2, 2), weight.to(parameters), bias.to(parameters))
            exact = normalize(x.to(dtype).double(), Grouping(2, 2), weight.to(parameters).double(), bias.double())
            assert y.dtype == dtype
            assert close(y.double(), exact, 2 * torch.finfo(dtype).eps)


# --------------------------------------------------------------------------------------------------- odd activations


@pytest.mark.parametrize("shape", [(0, 3, 2), (2, 3, 0), (2, 0, 4), (0, 3), (2, 3, 4, 0), (0, 0, 0)])
def test_what_is_empty_has_empty_moments_and_comes_out_empty(shape):
    points = [Grouping(*point) for point in Grouping.legal(*shape[:2])] + [Grouping.instance_norm()]
    for grouping in points:
        x = torch.zeros(shape, requires_grad=True)
        blocks = pool(moments(x), grouping)
        assert blocks.mean.shape == grouping.resolve(*shape[:2])
        assert not any(table.any() for table in blocks)  # not nan either
        y = normalize(x, grouping, torch.ones(shape[1]), torch.ones(shape[1]))
        assert y.shape == x.shape
        (gradient,) = torch.autograd.grad(y.sum(), x)
        assert gradient.shape == x.shape


def test_without_positions_a_cell_is_one_value():
    x = skewed(6, 8)
    count, mean, var = moments(x)
    assert (count == 1).all()
    assert torch.equal(mean, x)
    assert not var.any()
    assert close(normalize(x, Grouping.batch_norm()), F.batch_norm(x, None, None, training=True), 1e-11)
    assert close(normalize(x, Grouping.layer_norm()), F.layer_norm(x, (8,)), 1e-11)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("value", [0.1, -1234.567])  # neither is a binary fraction
def test_a_constant_block_comes_out_as_bias_exactly(dtype, value):
    x = skewed(*SHAPE).to(dtype)
    x[:3, :4] = value
    weight, bias = skewed(2, 8, seed=1).to(dtype)
    for eps in (1e-5, 1e-12):
        y = normalize(x, Grouping(2, 2), weight, bias, eps)
        assert torch.equal(y[:3, :4], bias[None, :4, None, None].expand(3, 4, 3, 5))
        assert y.isfinite().all()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_dtype_and_memory_layout_are_kept(layout, dtype):
    x = skewed(*SHAPE).to(dtype).contiguous(memory_format=layout)
    y = normalize(x, Grouping(2, 4), torch.ones(8), torch.zeros(8))
    assert y.dtype == dtype
    assert y.stride() == x.stride()


def test_channels_last_is_kept_in_three_dimensions():
    x = skewed(2, 4, 3, 5, 6).contiguous(memory_format=torch.channels_last_3d)
    assert normalize(x, Grouping(2, 4)).is_contiguous(memory_format=torch.channels_last_3d)


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.permute(0, 2, 3, 1),
        lambda x: x[:, ::2],
        lambda x: x[:, :, :, 1:3],
        lambda x: x[:, :1].expand(-1, 4, -1, -1),
        lambda x: x.transpose(0, 1).flip(2),
    ],
)
def test_a_view_is_normalized_as_its_copy(view):
    x = view(skewed(*SHAPE))
    copy = x.clone(memory_format=torch.contiguous_format)
    for b, g in Grouping.legal(*x.shape[:2]):
        assert close(normalize(x, Grouping(b, g)), normalize(copy, Grouping(b, g)), 1e-11)
    assert torch.equal(x, copy)  # and left as it was


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(("b", "g"), POINTS)
def test_nan_and_infinity_stay_in_their_block(bad, b, g):
    clean = skewed(*SHAPE)
    x = clean.clone()
    x[4, 5, 1, 2] = bad
    outputs, gradients = [], []
    for values in (x, clean):
        values.requires_grad_()
        y = normalize(values, Grouping(b, g))
        outputs.append(y)
        gradients.append(torch.autograd.grad((y * skewed(*SHAPE, seed=1)).sum(), values)[0])
    for ours, expected in (outputs, gradients):
        blocks = zip(block_slices(ours, b, g), block_slices(expected, b, g), strict=True)
        for (i, j, block), (_, _, untouched) in blocks:
            if (i, j) == (4 // (6 // b), 5 // (8 // g)):
                assert not block.isfinite().any()
            else:
                assert torch.equal(block, untouched)


def test_nothing_is_computed_on_the_meta_device():
    x = torch.empty(SHAPE, device="meta", dtype=torch.float16)
    blocks, y = pool(moments(x), Grouping(2, 4)), normalize(x, Grouping(2, 4))
    assert all(table.is_meta and table.shape == (2, 4) for table in blocks)
    assert (y.is_meta, y.shape, y.dtype) == (True, x.shape, x.dtype)


def test_vmap_adds_an_axis_in_front():
    x = skewed(3, 4, 5).unflatten(0, (3, 1)).expand(3, 2, 4, 5) * torch.linspace(1, 2, 2)[:, None, None]
    mapped = torch.vmap(lambda x: normalize(x, Grouping(2, 2)))(x)
    assert close(mapped, torch.stack([normalize(part, Grouping(2, 2)) for part in x]))


# ----------------------------------------------------------------------------------------------------------- errors

ENTRANCES = {
    "moments": moments,
    "apply": lambda x: apply(x, Moments(torch.tensor([[1]]), torch.tensor([[0.0]]), torch.tensor([[1.0]]))),
    "normalize": lambda x: normalize(x, Grouping.everything()),
}


@pytest.mark.parametrize("enter", ENTRANCES.values(), ids=ENTRANCES)
@pytest.mark.parametrize("shape", [(), (5,)])
def test_an_activation_has_samples_and_channels(enter, shape):
    said = re.escape(f"x must have samples and channels, shape (N, C, *): got shape {shape}")
    with pytest.raises(ValueError, match=f"^{said}$"):
        enter(torch.ones(shape))


@pytest.mark.parametrize("enter", ENTRANCES.values(), ids=ENTRANCES)
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool])
def test_whole_numbers_are_refused(enter, dtype):
    said = re.escape(f"x must hold floating-point numbers: got {dtype}; x.float() would do")
    with pytest.raises(TypeError, match=f"^{said}$"):
        enter(torch.ones(2, 3, 4, dtype=dtype))


@pytest.mark.parametrize("enter", ENTRANCES.values(), ids=ENTRANCES)
def test_complex_numbers_are_refused_with_a_way_that_keeps_both_parts(enter):
    said = re.escape("x must hold floating-point numbers: got torch.complex64; torch.view_as_real(x) would do")
    with pytest.raises(TypeError, match=f"^{said}$"):
        enter(torch.ones(2, 3, 4, dtype=torch.complex64))


def test_blocks_that_do_not_divide_are_refused():
    said = "channel groups must divide the channels: got 8 channels and 3 groups; 1, 2, 4 or 8 would do"
    with pytest.raises(ValueError, match=f"^{said}$"):
        normalize(skewed(*SHAPE), Grouping(EACH, 3))
    with pytest.raises(ValueError, match=f"^{said}$"):
        pool(moments(skewed(*SHAPE)), Grouping(EACH, 3))
    said = "sample blocks must divide the samples: got 6 samples and 4 blocks; 1, 2, 3 or 6 would do"
    with pytest.raises(ValueError, match=f"^{said}$"):
        apply(skewed(*SHAPE), moments(skewed(4, 8)))
