"""The fast way is core's contract: the same results at every point, and by the operator that was measured fastest."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch

import gnlib
from gnlib import EACH, Grouping, core, fused
from gnlib.core import Running

SHAPE = (6, 8, 3, 5)  # N, C, H, W: all different
POINTS = Grouping.legal(*SHAPE[:2])
BATCH_POINTS = [(b, g) for b, g in POINTS if g == 8]
LAYOUTS = pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
HALF = (torch.bfloat16, torch.float16)
ROOM = ("_WORTH_A_CALL", "_WORTH_A_FUNCTION", "_WORTH_A_TABLE", "_LONG_ROW")


@pytest.fixture(params=["small", "large"])
def size(request, monkeypatch):
    """Take every input for a large one, or none."""
    if request.param == "large":
        for limit in ROOM:
            monkeypatch.setattr(fused, limit, 2)
    return request.param


def skewed(*shape, offset=3.0, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return (offset + torch.randn(shape, generator=generator, dtype=torch.float64).exp()).to(dtype)


def results(function, x, *tables):
    """Return the output and all first derivatives."""
    leaves = [values.clone().requires_grad_() for values in (x, *tables) if values is not None]
    given = iter(leaves)
    y = function(*(None if values is None else next(given) for values in (x, *tables)))
    return y, *torch.autograd.grad(y, leaves, skewed(*y.shape, seed=9).to(y.dtype))


def same(ours, theirs, tolerance=1e-12):
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance * max(1.0, b.abs().max().item()))


AFFINE = pytest.mark.parametrize("affine", [(True, True), (True, False), (False, True), (False, False)], ids=str)


# ---- the contract ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("b", "g"), POINTS)
@LAYOUTS
@AFFINE
def test_every_point_is_normalized_as_by_core(b, g, layout, affine, size):
    x = skewed(*SHAPE).contiguous(memory_format=layout)
    tables = [skewed(8, seed=k) if wanted else None for k, wanted in enumerate(affine, 1)]
    ours, theirs = (
        results(lambda x, w, c, m=module: m.normalize(x, Grouping(b, g), w, c, 1e-3), x, *tables)
        for module in (fused, core)
    )
    same(ours, theirs)
    assert ours[0].stride() == x.stride()


@pytest.mark.parametrize("shape", [(6, 8), (6, 8, 5), (6, 8, 2, 3, 4)], ids=str)
@pytest.mark.parametrize(("b", "g"), POINTS)
def test_activations_of_any_rank_are_normalized_as_by_core(shape, b, g, size):
    x = skewed(*shape)
    ours, theirs = (results(lambda x, m=module: m.normalize(x, Grouping(b, g)), x) for module in (fused, core))
    same(ours, theirs)


@pytest.mark.parametrize(("b", "g"), BATCH_POINTS)
@pytest.mark.parametrize("between", [True, False])
@pytest.mark.parametrize("momentum", [0.3, None])
@LAYOUTS
def test_running_values_follow_as_by_core(b, g, between, momentum, layout, size):
    x = skewed(*SHAPE).contiguous(memory_format=layout)
    weight, bias = skewed(2, 8, seed=1)
    kept = []
    for module in (fused, core):
        running = Running(*(skewed(8, seed=k) for k in (3, 4)), torch.tensor(4), momentum, between)
        y = module.normalize_and_track(x, Grouping(b, g), running, weight, bias)
        kept.append((y, running.mean, running.var))
        assert not running.mean.requires_grad
    same(*kept)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("offset", [0.0, 1e2, 1e4])
@pytest.mark.parametrize("b", [1, 2, 3])
@LAYOUTS
def test_running_values_of_blocks_are_exact_far_from_zero(dtype, offset, b, layout, size):
    x = skewed(*SHAPE, offset=offset, dtype=dtype).contiguous(memory_format=layout)
    running = Running(torch.zeros(8), torch.ones(8), None, 1.0, True)
    fused.normalize_and_track(x, Grouping(b, EACH), running)
    values = x.double().transpose(0, 1).flatten(1)
    torch.testing.assert_close(running.mean.double(), values.mean(1), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(running.var.double(), values.var(1), rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@LAYOUTS
def test_where_nothing_may_wait_for_values_blocks_are_tracked_without_a_look(dtype, layout, monkeypatch, size):
    monkeypatch.setattr(fused, "_may_look_at", lambda x: False)  # as on a GPU
    monkeypatch.setattr(fused, "_is_large", lambda x, b: False)
    monkeypatch.setattr(fused, "_is_far", None)
    x = skewed(*SHAPE, dtype=dtype).contiguous(memory_format=layout)
    found = []
    for module, values in ((fused, x), (core, x.double())):
        running = Running(torch.zeros(8), torch.ones(8), None, 0.3, True)
        found.append((module.normalize_and_track(values, Grouping(2, EACH), running).double(), *running[:2]))
    same(*found, 1e-5 if dtype == torch.float32 else 1e-2)


@pytest.mark.parametrize("width", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
@pytest.mark.parametrize("side", [3, 33])
def test_narrow_groups_in_channels_last_err_at_most_twice_as_much_as_torch(width, dtype, side):
    x = skewed(3, 32, side, side, dtype=dtype).contiguous(memory_format=torch.channels_last)
    weight, bias = skewed(2, 32, seed=1, dtype=dtype)

    groups = 32 // width

    def by_torch(x, weight, bias):
        return torch.group_norm(x.contiguous() if dtype in HALF else x, groups, weight, bias)

    ours = results(lambda x, w, c: fused.normalize(x, Grouping.group_norm(groups), w, c), x, weight, bias)
    theirs = results(by_torch, x, weight, bias)
    truth = results(by_torch, x.double(), weight.double(), bias.double())
    for a, b, exact in zip(ours, theirs, truth, strict=True):
        our_error, their_error = ((each.double() - exact).abs().max() for each in (a, b))
        assert our_error <= 2 * their_error + 4 * torch.finfo(dtype).eps * exact.abs().max()
        assert a.dtype == dtype
    assert ours[0].stride() == ours[1].stride() == x.stride()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("width", [1, 8, 32])
@pytest.mark.parametrize("ratio", [30, 300, 3000])  # mean / sd
@pytest.mark.parametrize("side", [5, 33])
def test_far_from_zero_group_norm_keeps_in_channels_last_the_digits_that_torchs_loses(dtype, width, ratio, side):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(3, 32, side, side, generator=generator, dtype=torch.float64) + ratio
    x[0, 0] -= 2 * ratio  # one channel on the other side
    x = x.to(dtype).contiguous(memory_format=torch.channels_last)
    ours = results(lambda x: fused.normalize(x, Grouping.group_norm(32 // width)), x)
    theirs = results(lambda x: torch.group_norm(x.contiguous(), 32 // width), x)
    truth = results(lambda x: core.normalize(x, Grouping.group_norm(32 // width)), x.double())
    for a, b, exact in zip(ours, theirs, truth, strict=True):
        our_error, their_error = ((each.double() - exact).abs().max() for each in (a, b))
        assert our_error <= 2 * their_error + 4 * torch.finfo(dtype).eps * exact.abs().max()
    assert ours[0].stride() == x.stride()


@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_under_vmap_group_norm_in_channels_last_is_as_exact(offset):
    stack = skewed(3, *SHAPE, offset=offset, dtype=torch.float32).movedim(2, -1).contiguous().movedim(-1, 2)
    assert stack[0].is_contiguous(memory_format=torch.channels_last)
    together = torch.vmap(lambda x: fused.normalize(x, Grouping.group_norm(4)))(stack)
    truth = core.normalize(stack.double().flatten(0, 1), Grouping.group_norm(4)).view(stack.shape)
    assert (together - truth).abs().max() <= 1e-5


def test_trailing_axes_are_normalized_as_by_core():
    x, weight, bias = skewed(4, 3, 5, 7), skewed(5, 7, seed=1), skewed(5, 7, seed=2)
    same(
        results(lambda x, w, c: fused.normalize_trailing(x, (5, 7), w, c, 1e-3), x, weight, bias),
        results(lambda x, w, c: core.normalize_trailing(x, (5, 7), w, c, 1e-3), x, weight, bias),
    )
    same(
        results(lambda x, w: fused.rms_normalize_trailing(x, (5, 7), w, 1e-3), x, weight),
        results(lambda x, w: core.rms_normalize_trailing(x, (5, 7), w, 1e-3), x, weight),
    )


def test_moments_that_were_kept_are_applied_as_by_core():
    x, (mean, var, weight, bias) = skewed(*SHAPE), skewed(4, 8, seed=1)
    same(
        results(lambda x, w, c: fused.normalize_by(x, mean, var, w, c, 1e-3), x, weight, bias),
        results(lambda x, w, c: core.normalize_by(x, mean, var, w, c, 1e-3), x, weight, bias),
    )


@pytest.mark.parametrize("point", [Grouping(1, EACH), Grouping(2, EACH), Grouping(EACH, EACH), Grouping(2, 2)])
def test_statistics_that_are_not_the_largest_come_out_of_large_inputs_too(point):
    x = skewed(8, 6, 80, 90, dtype=torch.float32)  # beyond every limit, in float32
    ours, theirs, truth = (
        function(values, point)
        for function, values in ((fused.normalize, x), (core.normalize, x), (core.normalize, x.double()))
    )
    assert (ours - truth).abs().max() <= 2 * (theirs - truth).abs().max() + 1e-6


# ---- what is left to core --------------------------------------------------------------------------------------------

LEFT = {
    "a wider weight": lambda x: {"weight": torch.rand(8, dtype=torch.float64)},
    "a wider bias": lambda x: {"bias": torch.rand(8, dtype=torch.float64)},
    "integers": lambda x: {"x": x.long()},
    "complex numbers": lambda x: {"x": x.to(torch.complex64)},
    "no samples": lambda x: {"x": x[:0]},
    "no positions": lambda x: {"x": x[..., :0]},
    "no values on the meta device": lambda x: {"x": x.to("meta")},
    "one axis": lambda x: {"x": x[0, 0, 0]},
}


@pytest.mark.parametrize("change", LEFT.values(), ids=LEFT)
@pytest.mark.parametrize("point", [Grouping(1, EACH), Grouping(EACH, EACH), Grouping(EACH, 2)])
@pytest.mark.parametrize("name", ["normalize", "normalize_and_track"])
def test_what_operators_do_not_take_ends_as_in_core(change, point, name):
    x = skewed(*SHAPE, dtype=torch.float32)
    given = {"x": x, "grouping": point, **change(x)}
    if name == "normalize_and_track":
        given["running"] = None
    outcomes = []
    for module in (fused, core):
        try:
            y = getattr(module, name)(**given)
            outcomes.append((y.shape, y.dtype, y.device, None if y.is_meta else y.tolist()))
        except Exception as error:
            outcomes.append((type(error), str(error)))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("kind", ["mean", "weight"])
def test_tables_of_another_dtype_than_the_input_are_left_to_core(kind):
    x, (mean, var, weight, bias) = skewed(*SHAPE, dtype=torch.float32), skewed(4, 8, seed=1, dtype=torch.float32)
    tables = {"mean": mean, "var": var, "weight": weight, "bias": bias}
    tables[kind] = tables[kind].double()
    assert torch.equal(fused.normalize_by(x, **tables), core.normalize_by(x, **tables))
    running = [Running(tables["mean"].clone(), tables["var"].clone(), None, 0.1, True) for _ in range(2)]
    for module, each in zip((fused, core), running, strict=True):
        module.normalize_and_track(x, Grouping.batch_norm(), each, tables["weight"], tables["bias"])
    assert torch.equal(running[0].mean, running[1].mean)
    rows = x.flatten(1)[:, :8]
    if kind == "mean":
        return
    assert torch.equal(
        fused.rms_normalize_trailing(rows, (8,), tables["weight"]),
        core.rms_normalize_trailing(rows, (8,), tables["weight"]),
    )


def test_groups_of_channels_are_tracked_by_core():
    x, kept = skewed(*SHAPE, dtype=torch.float32), []
    for module in (fused, core):
        running = Running(torch.zeros(2), torch.ones(2), None, 0.1, True)  # a group's, not a channel's
        kept.append((module.normalize_and_track(x, Grouping(1, 2), running), running.mean, running.var))
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*kept, strict=True))


def test_a_block_of_one_value_leaves_beta_alone():
    x, bias = skewed(6, 8, offset=3e4, dtype=torch.float32), torch.randn(8)
    assert torch.equal(fused.normalize_and_track(x, Grouping(EACH, EACH), None, torch.ones(8), bias), bias.expand(6, 8))


def test_half_rows_and_a_float32_weight_do_not_make_rms_norm_warn():
    x, weight = skewed(4, 8, dtype=torch.bfloat16), torch.rand(8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fused.rms_normalize_trailing(x, (8,), weight).dtype == torch.bfloat16


# ---- which operator --------------------------------------------------------------------------------------------------

OPERATORS = (
    *("batch_norm", "group_norm", "native_group_norm"),
    *("instance_norm", "layer_norm", "rms_norm"),
)
LAST = torch.channels_last
F32, BF16 = torch.float32, torch.bfloat16
BATCH = lambda: gnlib.BatchNorm(32)  # noqa: E731
INSTANCE = lambda: gnlib.InstanceNorm(32)  # noqa: E731
TRACKING = lambda: gnlib.InstanceNorm(32, track_running_stats=True)  # noqa: E731
GHOST = lambda: gnlib.GhostBatchNorm(32, 2)  # noqa: E731
BY_CELLS = 4  # place of this argument of _BlockByBlock, behind x
GROUPS = {width: lambda G=32 // width: gnlib.GroupNorm(G, 32) for width in (1, 2, 8, 16)}


class Point(torch.nn.Module):
    """A point without a layer of its own."""

    def __init__(self, b, g):
        super().__init__()
        self.grouping = Grouping(b, g)

    def forward(self, x):
        return fused.normalize(x, self.grouping)


TABLE = [
    # layer, shape, memory format, dtype, with gradients: operators, each with the dtype that it is given
    (BATCH, (4, 32, 8, 8), None, F32, True, ["batch_norm float32"]),
    (BATCH, (4, 32, 80, 80), None, F32, True, ["batch_norm float32"]),
    (BATCH, (8, 32, 80, 80), None, F32, True, ["cell by cell float32"]),
    (BATCH, (4, 32, 48, 48), LAST, F32, True, ["batch_norm float32"]),
    (BATCH, (4, 32, 48, 48), None, BF16, True, ["batch_norm bfloat16"]),
    (BATCH, (2048, 32, 5, 5), None, F32, True, ["batch_norm float32"]),
    (BATCH, (36000, 32), None, F32, True, ["batch_norm float32"]),
    (lambda: BATCH().eval(), (4, 32, 48, 48), None, F32, True, ["batch_norm float32"]),
    (GHOST, (4, 32, 8, 8), None, F32, True, ["batch_norm float32"] * 2),
    (GHOST, (4, 32, 8, 8), LAST, BF16, True, ["batch_norm bfloat16"] * 2),
    (GHOST, (4, 32, 48, 48), None, F32, True, ["block by block float32"]),
    (GHOST, (4, 32, 48, 48), LAST, BF16, True, ["block by block bfloat16"]),
    (GHOST, (4, 32, 80, 80), None, F32, True, ["cell by cell float32"]),
    (INSTANCE, (4, 32, 8, 8), None, F32, True, ["instance_norm float32"]),
    (INSTANCE, (4, 32, 80, 80), None, F32, True, ["cell by cell float32", "native_group_norm float32"]),
    (INSTANCE, (4, 32, 48, 48), None, BF16, True, ["instance_norm bfloat16"]),
    (INSTANCE, (4, 32, 8, 8), LAST, F32, True, ["instance_norm float32"]),
    (INSTANCE, (2, 32, 32, 32), LAST, F32, True, ["instance_norm float32"]),
    (INSTANCE, (2, 32, 32, 32), LAST, F32, False, ["batch_norm float32"] * 2),
    (INSTANCE, (64, 32, 16, 16), LAST, F32, True, ["instance_norm float32"]),
    (INSTANCE, (4, 32, 48, 48), LAST, F32, True, ["block by block float32"]),
    (INSTANCE, (4, 32, 48, 48), LAST, BF16, False, ["block by block bfloat16"]),
    (TRACKING, (4, 32, 8, 8), LAST, F32, True, ["instance_norm float32"]),
    (TRACKING, (4, 32, 8, 8), LAST, BF16, True, ["instance_norm bfloat16"]),
    (TRACKING, (4, 32, 48, 48), LAST, F32, True, ["block by block float32"]),
    (TRACKING, (4, 32, 80, 80), None, F32, True, ["cell by cell float32"]),
    (lambda: Point(1, EACH), (4, 32, 8, 8), None, F32, True, ["batch_norm float32"]),
    (lambda: Point(1, 4), (4, 32, 8, 8), None, F32, True, ["group_norm float32"]),
    (GROUPS[2], (4, 32, 48, 48), None, BF16, True, ["group_norm bfloat16"]),
    (GROUPS[1], (4, 32, 8, 8), LAST, F32, True, ["native_group_norm float32"]),
    (GROUPS[8], (4, 32, 8, 8), LAST, BF16, False, ["native_group_norm float32"]),
    (GROUPS[16], (4, 32, 8, 8), LAST, BF16, True, ["native_group_norm bfloat16"]),
    (GROUPS[2], (4, 32, 48, 48), LAST, BF16, True, ["native_group_norm float32"]),
    (GROUPS[2], (4, 32, 48, 48), LAST, BF16, False, ["native_group_norm bfloat16"]),
    (GROUPS[8], (4, 32, 48, 48), LAST, BF16, True, ["native_group_norm bfloat16"]),
    (lambda: gnlib.LayerNorm((32, 8, 8)), (4, 32, 8, 8), LAST, BF16, True, ["layer_norm bfloat16"]),
    (lambda: gnlib.RMSNorm(8), (4, 32, 8, 8), None, F32, True, ["rms_norm float32"]),
]


@pytest.mark.parametrize(("build", "shape", "layout", "dtype", "gradients", "expected"), TABLE)
def test_each_row_of_the_table_goes_its_way(build, shape, layout, dtype, gradients, expected, monkeypatch):
    taken = []

    def spied(name, operator):
        def spy(x, *rest):
            way = "cell by cell" if name == "block by block" and rest[BY_CELLS] else name
            taken.append(f"{way} {x.dtype}".replace("torch.", ""))
            return operator(x, *rest)

        return spy

    for name in OPERATORS:
        monkeypatch.setattr(torch, name, spied(name, getattr(torch, name)))
    monkeypatch.setattr(fused._BlockByBlock, "apply", spied("block by block", fused._BlockByBlock.apply))
    x = torch.randn(shape).to(dtype)
    x = (x if layout is None else x.contiguous(memory_format=layout)).requires_grad_(gradients)
    y = build().to(dtype)(x)
    assert taken == expected
    assert y.stride() == x.stride()
    assert y.dtype == dtype


# ---- a way of our own ------------------------------------------------------------------------------------------------

FORWARD_MODE = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")  # its own
WAYS = pytest.mark.parametrize(
    ("by_cells", "layout"), [(True, None), (False, None), (False, LAST)], ids=["cells", "blocks", "blocks, last"]
)


def block_by_block(x, weight=None, bias=None, *, b, by_cells, eps=0.1, tracked=True):
    return fused._BlockByBlock.apply(x, weight, bias, eps, b, by_cells, tracked)


@FORWARD_MODE
@pytest.mark.parametrize("b", [1, 2, 4])
@pytest.mark.parametrize("tracked", [True, False])
@pytest.mark.parametrize("offset", [0.0, 9.0])
@pytest.mark.parametrize("tables", [2, 1, 0])
@WAYS
def test_there_are_first_and_second_derivatives_backward_and_forward(b, tracked, offset, tables, by_cells, layout):
    x = skewed(4, 2, 3, 1, offset=offset)
    inputs = [x.contiguous(memory_format=layout or torch.contiguous_format)]
    inputs += [skewed(2, seed=k) for k in (1, 2)[:tables]]
    for values in inputs:
        values.requires_grad_()

    def function(*given):
        return block_by_block(*given, b=b, by_cells=by_cells, tracked=tracked)[0]

    assert torch.autograd.gradcheck(function, inputs, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(function, inputs)


@pytest.mark.parametrize("b", [1, 2, 4])
@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize("of_tables", [torch.float32, None], ids=["float32 tables", "half tables"])
@LAYOUTS
def test_halves_and_their_tables_get_gradients_of_their_own_dtype(b, dtype, of_tables, layout):
    x = skewed(4, 8, 3, 5, dtype=dtype).contiguous(memory_format=layout)
    weight, bias = skewed(2, 8, seed=1, dtype=of_tables or dtype)
    ours = results(lambda *given: block_by_block(*given, b=b, by_cells=False)[0], x, weight, bias)
    theirs = results(
        lambda x, w, c: core.normalize(x, Grouping(b, EACH), w, c, 0.1), x.double(), weight.double(), bias.double()
    )
    assert [table.dtype for table in ours] == [dtype, dtype, weight.dtype, bias.dtype]
    same([table.double() for table in ours], theirs, 2 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("b", [1, 2, 4])
@pytest.mark.parametrize("tracked", [True, False])
@WAYS
def test_under_vmap_and_torch_func_it_is_the_same(b, tracked, by_cells, layout):
    stack = skewed(12, 8, 3, 5).contiguous(memory_format=layout or torch.contiguous_format).unflatten(0, (3, 4))
    weight, bias = skewed(2, 8, seed=1)

    def squared(x, weight, bias, function):
        return function(x, weight, bias).square().sum()

    def ours(*given):
        return block_by_block(*given, b=b, by_cells=by_cells, tracked=tracked)[0]

    def theirs(*given):
        return core.normalize(given[0], Grouping(b, EACH), *given[1:], eps=0.1)

    same(*(torch.vmap(function, (0, None, None))(stack, weight, bias) for function in (ours, theirs)))
    same(*(torch.func.grad(squared, (0, 1, 2))(stack[0], weight, bias, function) for function in (ours, theirs)))
    each = [torch.vmap(torch.func.grad(squared, (0, 1, 2)), (0, None, None, None))] * 2
    same(*(grad(stack, weight, bias, function) for grad, function in zip(each, (ours, theirs), strict=True)))


@pytest.mark.parametrize("b", [1, 2, 4])
@pytest.mark.parametrize("tracked", [True, False])
def test_by_cells_a_constant_channel_gets_its_bias_whatever_its_level(b, tracked):
    levels = torch.logspace(-3, 6, 64)
    x = levels[:, None].expand(4, 64, 1003).contiguous()
    y, *_, seen = block_by_block(x, None, levels, b=b, by_cells=True, eps=1e-12, tracked=tracked)
    assert torch.equal(y, x)
    assert seen is None or (seen[1] >= 0).all()


@pytest.mark.parametrize("b", [1, 2, 4])
@WAYS
def test_the_gradient_that_comes_may_have_any_layout(b, by_cells, layout):
    x = skewed(4, 2, 3, 5).contiguous(memory_format=layout or torch.contiguous_format).requires_grad_()
    dy = skewed(4, 2, 3, 5, seed=1)
    y, *_ = block_by_block(x, b=b, by_cells=by_cells)
    assert y.stride() == x.stride()
    for form in (dy.contiguous(memory_format=LAST), dy[:1, :1, :1, :1].expand_as(dy)):
        (dx,) = torch.autograd.grad(y, x, form, retain_graph=True)
        (same_dx,) = torch.autograd.grad(y, x, form.contiguous(), retain_graph=True)
        assert torch.equal(dx, same_dx)
        assert dx.stride() == x.stride()


@pytest.mark.parametrize("b", [1, 2, 8])
@pytest.mark.parametrize("ratio", [0.0, 1.0, 1.9, 2.1, 30.0, 1e4])  # mean / sd
def test_by_cells_the_tables_keep_their_digits_near_zero_and_far(b, ratio):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(8, 6, 3000, generator=generator) + ratio
    y, near, rstd, (mean, var) = block_by_block(x, b=b, by_cells=True, eps=1e-5)
    blocks = x.double().unflatten(0, (b, -1)).transpose(1, 2).flatten(2)  # (b, C, N/b·S)
    exact = core.normalize(x.double(), Grouping(b, EACH))
    for table in (near.double(), mean):
        torch.testing.assert_close(table, blocks.mean(2), rtol=3e-7, atol=3e-7)
    torch.testing.assert_close(var, blocks.var(2), rtol=4e-6, atol=0)
    torch.testing.assert_close(rstd.double(), (blocks.var(2, correction=0) + 1e-5).rsqrt(), rtol=4e-6, atol=0)
    assert (y - exact).abs().max() <= 2e-5
    untracked, *_ = block_by_block(x, b=b, by_cells=True, eps=1e-5, tracked=False)
    assert (untracked - exact).abs().max() <= 2e-5


@pytest.mark.parametrize("b", [1, 2, 4])
@pytest.mark.parametrize("dtype", [torch.float32, *HALF], ids=str)
@LAYOUTS
def test_by_blocks_each_is_what_batch_norm_makes_of_it(b, dtype, layout):
    x = skewed(4, 8, 9, 7, dtype=dtype).contiguous(memory_format=layout)
    weight, bias = skewed(2, 8, seed=1, dtype=torch.float32)
    kept = torch.zeros(2, b, 8)

    def by_torch(x, weight, bias):
        blocks = zip(x.split(4 // b), *kept, strict=True)
        return torch.cat([torch.batch_norm(block, weight, bias, *its, True, 1.0, 0.1, False) for block, *its in blocks])

    ours = results(lambda *given: block_by_block(*given, b=b, by_cells=False)[0], x, weight, bias)
    theirs = results(by_torch, x, weight, bias)
    assert torch.equal(ours[0], theirs[0])
    same(ours[1:], theirs[1:], 8 * torch.finfo(dtype).eps)
    assert torch.equal(block_by_block(x, weight, bias, b=b, by_cells=False)[3], kept)


@pytest.mark.parametrize("shape", [(4, 8), (4, 8, 7), (4, 8, 3, 5), (4, 8, 2, 3, 4)], ids=str)
def test_by_blocks_any_rank_may_have_its_channels_last(shape):
    x = skewed(shape[0], *shape[2:], shape[1]).movedim(-1, 1)
    ours = results(lambda x: block_by_block(x, b=2, by_cells=False)[0], x)
    same(ours, results(lambda x: core.normalize(x, Grouping(2, EACH), eps=0.1), x))
    assert ours[0].stride() == ours[1].stride() == x.stride()


@FORWARD_MODE
@AFFINE
@WAYS
def test_what_needs_no_gradient_may_be_missing_forward_over_reverse(affine, by_cells, layout):
    x = skewed(4, 2, 3, 5).contiguous(memory_format=layout or torch.contiguous_format)
    weight, bias = (skewed(2, seed=k) if wanted else None for k, wanted in enumerate(affine, 1))

    def along(function):
        gradient = torch.func.grad(lambda x: (function(x) ** 3).sum())
        return torch.func.jvp(gradient, (x,), (torch.ones_like(x).cumsum(-1),))

    ours = along(lambda x: block_by_block(x, weight, bias, b=2, by_cells=by_cells)[0])
    same(ours, along(lambda x: core.normalize(x, Grouping(2, EACH), weight, bias, 0.1)), 1e-10)


@FORWARD_MODE
def test_blocks_far_from_zero_are_tracked_in_forward_mode_too():
    layer, x = gnlib.GhostBatchNorm(4, 2), skewed(8, 4, 8, 8, offset=50.0, dtype=torch.float32)
    with torch.autograd.forward_ad.dual_level():
        layer(torch.autograd.forward_ad.make_dual(x, torch.ones_like(x)))
    torch.testing.assert_close(layer.running_mean, 0.1 * x.mean((0, 2, 3)))


@pytest.mark.parametrize("positions", [6, 40])
@pytest.mark.parametrize("layout", [None, LAST], ids=str)
def test_tracking_instance_norm_keeps_float32_statistics_of_halves_unrounded(positions, layout):
    layer = gnlib.InstanceNorm(8, momentum=0.001, track_running_stats=True)
    x = (3 * torch.randn(8, 8, positions, positions, generator=torch.Generator().manual_seed(0))).bfloat16()
    x = x.contiguous(memory_format=layout or torch.contiguous_format)
    for _ in range(50):
        layer(x)
    seen = x.float().var((2, 3)).mean(0)
    torch.testing.assert_close(layer.running_var, seen + 0.999**50 * (1 - seen), rtol=1e-4, atol=0)


@pytest.mark.parametrize("offset", [0.0, 1e3])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_group_norm_takes_sequences_whose_channels_lie_last(offset, dtype):
    x = skewed(4, 50, 16, offset=offset, dtype=dtype).transpose(1, 2)
    ours = results(lambda x: fused.normalize(x, Grouping.group_norm(4)), x)
    theirs = results(lambda x: core.normalize(x, Grouping.group_norm(4)), x)
    same(ours, theirs, 1e-11 if dtype == torch.float64 else 1e-3 if dtype == torch.float32 else 2e-2)
    assert ours[0].stride() == x.stride()


def test_a_constant_block_of_halves_at_a_high_level_gets_its_bias():
    x = torch.full((4, 8, 5, 5), 1e6, dtype=torch.bfloat16)
    tables = torch.ones(8), torch.arange(8.0)
    y = fused.normalize_and_track(x, Grouping(2, EACH), None, *tables)
    assert torch.equal(y, tables[1].view(8, 1, 1).expand(x.shape).bfloat16())


# ---- in a network ----------------------------------------------------------------------------------------------------

LAYERS = {
    "BatchNorm": lambda: gnlib.BatchNorm(8),
    "GhostBatchNorm": lambda: gnlib.GhostBatchNorm(8, 3),
    "InstanceNorm": lambda: gnlib.InstanceNorm(8),
    "InstanceNorm, tracking": lambda: gnlib.InstanceNorm(8, track_running_stats=True),
    "GroupNorm": lambda: gnlib.GroupNorm(2, 8),
    "LayerNorm": lambda: gnlib.LayerNorm((8, 3, 5)),
    "LayerNorm, last axis": lambda: gnlib.LayerNorm(5),
    "RMSNorm": lambda: gnlib.RMSNorm((8, 3, 5)),
    "a point": lambda: Point(2, 4),
}


@pytest.mark.parametrize("build", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@LAYOUTS
def test_a_relu_behind_may_work_in_place(build, training, dtype, layout, size):
    layer = build().to(dtype).train(training)
    found = []
    for inplace in (True, False):
        x = skewed(*SHAPE, dtype=dtype).contiguous(memory_format=layout).requires_grad_()
        torch.nn.Sequential(copy.deepcopy(layer), torch.nn.ReLU(inplace))(x).float().square().sum().backward()
        found.append(x.grad)
    assert torch.equal(*found)
    assert found[0].any()


# ---- compiled --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_a_compiler_gets_one_graph_for_every_batch_size_at_every_point(layout):
    weight, bias = skewed(2, 8, seed=1)
    for b, g in POINTS:
        torch.compiler.reset()
        point = Grouping(EACH if b == 6 else b, g)
        compiled = torch.compile(
            lambda x, point=point: fused.normalize(x, point, weight, bias),
            fullgraph=True,
            dynamic=True,
            backend="aot_eager",
        )
        x = skewed(*SHAPE).contiguous(memory_format=layout)
        same([compiled(x)], [core.normalize(x, point, weight, bias)])
        with torch.compiler.set_stance("fail_on_recompile"):
            x = skewed(12, 8, 4, 7).contiguous(memory_format=layout)
            same([compiled(x)], [core.normalize(x, point, weight, bias)])


@pytest.mark.parametrize(("layer", "expected"), [(INSTANCE, True), (GROUPS[2], True), (BATCH, False), (GHOST, False)])
def test_a_compiler_gets_group_norm_for_samples_alone_and_else_cells_to_pool(layer, expected):
    torch.compiler.reset()
    graphs = []

    def backend(graph, _):
        graphs.append({node.target for node in graph.graph.nodes})
        return graph

    torch.compile(layer(), fullgraph=True, backend=backend)(torch.randn(4, 32, 5, 7))
    assert len(graphs) == 1
    assert (torch.group_norm in graphs[0]) == expected
    assert (torch.var_mean in graphs[0]) == (not expected)
