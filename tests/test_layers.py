"""Each layer is its namesake of torch.nn: in values, derivatives, state and errors, and to torch's own tools."""

import copy
import inspect
import os
import pickle
import shutil

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode  # a GPU's tensor without a GPU

import gnlib
from gnlib import EACH, Grouping, fused, grouping_of, ops
from tests.layer_references import ONE_OF_EACH, REFERENCES, RUNNING

LAYERS = pytest.mark.parametrize("name", REFERENCES)
EACH_LAYER = pytest.mark.parametrize("name", ONE_OF_EACH)
RUNNING_LAYERS = pytest.mark.parametrize("name", RUNNING)
OFFSETS = pytest.mark.parametrize("offset", [0.0, 1.0, 1e2, 1e4, 1e6])


@pytest.fixture(autouse=True, params=["reference", "fused", "fused, as if large"])
def by(request, monkeypatch):
    """Build all layers for one arithmetic; "as if large" takes the ways round that only large inputs are worth."""
    if request.param == "fused, as if large":
        for limit in ("_WORTH_A_CALL", "_WORTH_A_TABLE", "_LONG_ROW"):
            monkeypatch.setattr(fused, limit, 2)
    with gnlib.arithmetic(request.param.partition(",")[0]):
        yield request.param


def step(layer, x, dy):
    """Run a layer forward and backward; return all that it leaves behind."""
    x = x.detach().requires_grad_()  # detach keeps the strides
    y = layer(x)
    gradients = torch.autograd.grad(y, [x, *layer.parameters()], dy.to(y.dtype))
    names = ["input gradient", *(f"{name} gradient" for name, _ in layer.named_parameters())]
    buffers = {name: buffer.clone() for name, buffer in layer.named_buffers()}
    return {"output": y.detach(), **dict(zip(names, gradients, strict=True)), **buffers}


def cotangent(x, seed=2):
    return torch.randn(x.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(x.dtype)


def assert_close(ours, theirs, conditioning=1.0):
    """Hold float64 results to 1e-12 · max(1, |mean| / sd), in units of the largest value where that is above 1."""
    assert ours.keys() == theirs.keys()
    for name, truth in theirs.items():
        largest = truth.abs().max().item() if truth.numel() else 0.0
        tolerance = 1e-12 * conditioning * max(1.0, largest)
        torch.testing.assert_close(ours[name], truth, rtol=0, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}")


# ---- values and derivatives ----------------------------------------------------------------------------------------


@LAYERS
@OFFSETS
def test_layer_equals_torch_in_double_precision(name, offset):
    reference = REFERENCES[name]
    ours, theirs = reference.pair()
    x = reference.input(offset=offset)
    assert_close(step(ours, x, cotangent(x)), step(theirs, x, cotangent(x)), reference.conditioning(x))


@LAYERS
@pytest.mark.parametrize(
    ("dtype", "offset"),
    [
        *((torch.float32, offset) for offset in (0.0, 1.0, 1e2, 1e4, 1e6)),
        *((torch.bfloat16, offset) for offset in (0.0, 1.0, 1e2, 1e6)),
        *((torch.float16, offset) for offset in (0.0, 1.0, 1e2, 1e4)),
    ],
    ids=lambda value: str(value).removeprefix("torch."),
)
def test_layer_errs_at_most_twice_as_much_as_torch_plus_four_units_in_the_last_place(name, dtype, offset):
    reference = REFERENCES[name]
    ours, theirs = reference.pair(dtype)
    exact = copy.deepcopy(theirs).double()
    x = reference.input(dtype, offset)
    dy = cotangent(x)
    ours, theirs, exact = step(ours, x, dy), step(theirs, x, dy), step(exact, x.double(), dy.double())
    for key, truth in exact.items():
        assert ours[key].dtype == theirs[key].dtype, key
        our_error, their_error = ((result[key].double() - truth).abs().max().item() for result in (ours, theirs))
        ulp = torch.finfo(dtype).eps * truth.abs().max().item()
        assert our_error <= 2 * their_error + 4 * ulp, (key, our_error, their_error, ulp)


@LAYERS
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_second_derivatives_equal_torch(name, offset):
    reference = REFERENCES[name]
    ours, theirs = reference.pair()
    x = reference.input(offset=offset)

    def second(layer):
        leaf, dy = x.clone().requires_grad_(), cotangent(x).requires_grad_()
        sources = [leaf, *layer.parameters()]
        first = torch.autograd.grad(layer(leaf), sources, dy, create_graph=True)
        weights = [cotangent(gradient.detach(), seed) for seed, gradient in enumerate(first)]
        again = torch.autograd.grad(first, [leaf, dy, layer.weight], weights)
        return dict(zip(("input", "cotangent", "weight"), again, strict=True))

    assert_close(second(ours), second(theirs), reference.conditioning(x))


@LAYERS
@pytest.mark.parametrize("options", [{"affine": False}, {"bias": False}], ids=str)
def test_layer_without_affine_or_without_bias_equals_torch(name, options):
    reference = REFERENCES[name]
    ours, theirs = reference.pair(**fitting(reference, options))
    x = reference.input()
    assert_close(step(ours, x, cotangent(x)), step(theirs, x, cotangent(x)), reference.conditioning(x))


@pytest.mark.parametrize("eps", [1e-12, 1e-5, 1.0])
@LAYERS
def test_eps_stands_under_the_root_as_in_torch(name, eps):
    reference = REFERENCES[name]
    ours, theirs = reference.pair(eps=eps)
    x = 1e-3 * reference.input()
    dy = cotangent(x)
    ours, theirs = step(ours, x, dy), step(theirs, x, dy)
    for key, truth in theirs.items():
        torch.testing.assert_close(ours[key], truth, rtol=1e-12, atol=1e-12 * truth.abs().max().item(), msg=key)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_rms_norms_own_eps_is_torchs(dtype):
    x = torch.linspace(1e-4, 3e-4, 7, dtype=dtype)  # so small that eps shows in every dtype but double
    torch.testing.assert_close(RMS(7, dtype=dtype)(x), nn.RMSNorm(7, dtype=dtype)(x))


@pytest.mark.parametrize("name", ["BatchNorm2d", "InstanceNorm2d", "GroupNorm, 3 of 12"])
@pytest.mark.parametrize("positions", [(2, 3, 5, 1, 7), (2, 3, 1, 1, 5, 7)], ids=str)
def test_any_rank_gives_what_its_positions_in_one_row_give(name, positions):
    reference = REFERENCES[name]
    layer, _ = reference.pair()
    x = torch.randn(*reference.shape[:2], *positions, dtype=torch.float64)
    dy = cotangent(x)
    twin = copy.deepcopy(layer)
    result, truth = step(layer, x, dy), step(twin, x.flatten(2), dy.flatten(2))
    for key in ("output", "input gradient"):
        assert result[key].shape == x.shape
        result[key] = result[key].flatten(2)
    assert_close(result, truth)


LAYOUTS = {
    "contiguous": lambda x: x,
    "channels last": lambda x: x.to(memory_format={4: torch.channels_last, 5: torch.channels_last_3d}[x.dim()]),
    "permuted": lambda x: x.transpose(0, -1).contiguous().transpose(0, -1),
    "permuted in the middle": lambda x: x.transpose(1, 2).contiguous().transpose(1, 2),
    "expanded samples": lambda x: x[:1].expand(x.shape),
    "expanded positions": lambda x: x[..., :1].expand(x.shape),
    "every second value": lambda x: x.repeat_interleave(2, -1)[..., ::2],
}


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        (name, layout)
        for name, reference in REFERENCES.items()
        for layout in LAYOUTS
        if len(reference.shape) >= (4 if layout == "channels last" else 3)
    ],
)
def test_memory_layout_changes_no_result_and_channels_last_is_kept(name, layout):
    reference = REFERENCES[name]
    x = LAYOUTS[layout](reference.input())
    ours, theirs = reference.pair()
    dy = LAYOUTS[layout](cotangent(x))
    result = step(ours, x, dy)
    truth = step(theirs, x, dy)
    assert_close(result, truth)
    if layout == "channels last":
        assert result["output"].stride() == x.stride()
        may = [x.stride(), truth["input gradient"].stride()]
        if reference.ours is RMS:
            may.append(x.contiguous().stride())  # as LayerNorm's, ours and torch's
        assert result["input gradient"].stride() in may


MIXED_RMS = pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight")  # torch's own


@MIXED_RMS
@pytest.mark.parametrize("input_dtype", [torch.bfloat16, torch.float16])
@EACH_LAYER
def test_half_input_and_float32_parameters_give_torchs_dtype_and_precision(name, input_dtype):
    reference = REFERENCES[name]
    ours, theirs = reference.pair(torch.float32)
    exact = copy.deepcopy(theirs).double()
    x = reference.input(input_dtype, 1.0)
    dy = cotangent(x)
    ours, theirs, exact = step(ours, x, dy), step(theirs, x, dy), step(exact, x.double(), dy.double())
    for key, truth in exact.items():
        assert ours[key].dtype == theirs[key].dtype, key
        our_error, their_error = ((result[key].double() - truth).abs().max().item() for result in (ours, theirs))
        ulp = torch.finfo(ours[key].dtype if ours[key].is_floating_point() else torch.float32).eps * truth.abs().max()
        assert our_error <= 2 * their_error + 4 * ulp.item(), (key, our_error, their_error)


# ---- training, evaluation, running statistics ----------------------------------------------------------------------


@RUNNING_LAYERS
@pytest.mark.parametrize("momentum", [0.1, None, 0.0, 1.0])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_steps_of_training_and_switches_of_mode_leave_torchs_buffers(name, momentum, offset):
    reference = REFERENCES[name]
    ours, theirs = reference.pair(momentum=momentum, track_running_stats=True)
    for turn, training in enumerate((True, True, False, True, False, True, True)):
        x = reference.input(offset=offset, seed=turn)
        ours.train(training), theirs.train(training)
        assert_close(step(ours, x, cotangent(x)), step(theirs, x, cotangent(x)), reference.conditioning(x))


@RUNNING_LAYERS
@pytest.mark.parametrize("tracked", [True, False])
@pytest.mark.parametrize("options", [{}, {"affine": False}, {"bias": False}], ids=str)
def test_evaluation_equals_torch_with_and_without_running_statistics(name, tracked, options):
    reference = REFERENCES[name]
    ours, theirs = (layer.eval() for layer in reference.pair(track_running_stats=tracked, **options))
    x = reference.input(offset=3.0)
    assert_close(step(ours, x, cotangent(x)), step(theirs, x, cotangent(x)), reference.conditioning(x))


@RUNNING_LAYERS
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("built", "later"), [(True, False), (False, True)])
def test_tracking_switched_after_building_does_as_torch_does(name, training, built, later):
    reference = REFERENCES[name]
    outcomes = []
    x = reference.input(offset=3.0)
    for layer in reference.pair(track_running_stats=built):
        layer.train(training).track_running_stats = later
        try:
            outcomes.append(step(layer, x, cotangent(x)))
        except Exception:
            outcomes.append(None)
    ours, theirs = outcomes
    assert (ours is None) == (theirs is None)
    if ours is not None:
        assert_close(ours, theirs)


def test_ghost_batch_norm_and_batch_norm_load_each_others_state():
    ghost, batch = GHOST(4, 2), BATCH(4)
    for seed in range(3):
        x = REFERENCES["GhostBatchNorm, 2 of 6"].input(torch.float32, seed=seed)
        ghost(x), batch(x)
    for key, value in batch.state_dict().items():
        torch.testing.assert_close(ghost.state_dict()[key], value)
    for layer, source in ((GHOST(4, 2), batch), (BATCH(4), ghost)):
        layer.load_state_dict(source.state_dict(), strict=True)
        torch.testing.assert_close(layer.eval()(x), source.eval()(x))


def test_ghost_batch_norm_evaluates_a_batch_of_any_size_by_its_running_values_and_only_by_them():
    x = torch.randn(5, 4, 3)
    assert torch.equal(GHOST(4, 2).eval()(x), BATCH(4).eval()(x))
    with pytest.raises(ValueError, match="got 5 samples and block_size=2; 1 or 5 would do, or a batch of 4 or 6"):
        GHOST(4, 2, track_running_stats=False).eval()(x)


@RUNNING_LAYERS
def test_buffers_hold_no_graph(name):
    layer, _ = RUNNING[name].pair(track_running_stats=True)
    for _ in range(2):
        layer(RUNNING[name].input().requires_grad_()).sum().backward()
    for buffer in layer.buffers():
        assert buffer.grad_fn is None
        assert not buffer.requires_grad


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("BatchNorm2d", (0, 6, 5, 7)),
        ("BatchNorm2d", (4, 6, 0, 7)),
        ("BatchNorm1d, no positions", (0, 6)),
        ("GhostBatchNorm, 2 of 6", (0, 4, 5, 7)),
        ("GhostBatchNorm, 2 of 6", (6, 4, 0, 7)),
        ("LayerNorm, two axes", (0, 6, 5, 7)),
        ("LayerNorm, an int", (0, 7)),
        ("RMSNorm, an int", (0, 7)),
        ("GroupNorm, 3 of 12", (0, 12, 5, 7)),
        ("GroupNorm, no positions", (0, 12)),
    ],
)
def test_empty_batch_does_as_torch_does(name, shape, training):
    reference = REFERENCES[name]
    x = torch.empty(shape, dtype=torch.float64)
    outcomes = []
    for layer in reference.pair():
        outcomes.append(step(layer.train(training), x, x))
    assert_close(*outcomes)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("name", "shape"),
    [("InstanceNorm2d", (0, 6, 5, 7)), ("InstanceNorm2d", (4, 6, 0, 7)), ("GroupNorm, 3 of 12", (4, 12, 0, 7))],
)
def test_no_values_give_zero_gradients_and_leave_the_buffers_where_torch_fails_or_gives_nan(name, shape, training):
    reference = REFERENCES[name]
    layer, _ = reference.pair(**fitting(reference, {"track_running_stats": True}))
    x = torch.empty(shape, dtype=torch.float64)
    before = copy.deepcopy(dict(layer.named_buffers()))
    result = step(layer.train(training), x, x)
    assert result["output"].shape == shape
    assert not result["weight gradient"].any()
    assert not result["bias gradient"].any()
    assert all(torch.equal(result[key], value) for key, value in before.items())


# ---- errors --------------------------------------------------------------------------------------------------------

BATCH, GHOST, INSTANCE = gnlib.BatchNorm, gnlib.GhostBatchNorm, gnlib.InstanceNorm
LAYER, RMS, GROUP = gnlib.LayerNorm, gnlib.RMSNorm, gnlib.GroupNorm
TRAILING = (LAYER, RMS)
NAMESAKE = {
    BATCH: {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d},
    INSTANCE: {2: nn.InstanceNorm1d, 3: nn.InstanceNorm1d, 4: nn.InstanceNorm2d, 5: nn.InstanceNorm3d},
}
SHAPES = [
    *((6,), (1, 6), (2, 6), (1, 6, 1), (2, 6, 1), (1, 6, 2), (2, 5, 3), (1, 6, 1, 1), (2, 6, 1, 1), (2, 5, 3, 2)),
    *((1, 6, 1, 1, 1), (2, 6, 2, 1, 1), (2, 5, 1, 2, 1), (0, 6), (1, 0), (0, 6, 3), (2, 6, 0), (0, 5, 3), (0, 6, 0)),
    *((2, 0, 3), (0, 0, 3), ()),
]
CASES = [
    *((BATCH, (6,), options) for options in ({}, {"affine": False}, {"track_running_stats": False}, {"eps": 0.0})),
    *((BATCH, (6,), {"affine": False, "track_running_stats": False, **more}) for more in ({}, {"eps": -1.0})),
    *((INSTANCE, (6,), {"affine": affine, "track_running_stats": True}) for affine in (True, False)),
    *((INSTANCE, (6,), {"affine": True, **more}) for more in ({}, {"eps": 0.0}, {"eps": -1.0})),
    *((GROUP, (groups, 6), {}) for groups in (-1, 0, 1, 2, 3, 4, 6, 7)),
    *((GROUP, (groups, 6), {"affine": False, **more}) for groups in (1, 2, 5) for more in ({}, {"eps": 0.0})),
    *((GROUP, (2, 6), {"eps": eps}) for eps in (0.0, -1.0)),
    *((LAYER, (shape,), options) for shape in (6, (6, 3), (1,), (), 0, 3) for options in ({}, {"eps": 0.0})),
    *((LAYER, (shape,), {"elementwise_affine": False}) for shape in (6, (6, 3), (), 0)),
    *((LAYER, (6,), {"bias": False, "eps": eps}) for eps in (1e-5, -1.0)),
    *((RMS, (shape,), options) for shape in (6, (6, 3), (1,), (), 0, 3) for options in ({}, {"eps": 0.0})),
    *((RMS, (6,), {"elementwise_affine": False, "eps": eps}) for eps in (None, -1.0)),
]


def outcome(build, x, training):
    """Tell whether building a layer and running it forward and backward raises."""
    try:
        layer = build().train(training)
        y = layer(x)
        if y.requires_grad:
            y.sum().backward()
    except Exception as error:
        return error
    return y.shape, y.dtype


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors is a no-op")  # torch's own, LayerNorm(0)
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_layer_raises_exactly_where_torch_raises(shape, training):
    for ours, arguments, options in CASES:
        theirs = NAMESAKE[ours].get(len(shape), nn.BatchNorm2d) if ours in NAMESAKE else getattr(nn, ours.__name__)
        if ours is INSTANCE and len(shape) == 2:
            continue  # torch reads it as one sample without its axis
        if 0 in shape and ours is BATCH and shape[1] != 6:
            continue  # torch counts no channels where there are no values
        if 0 in shape[:1] and ours is INSTANCE:
            continue  # torch fails on the first of no samples (IndexError); ours has nothing to do
        x = torch.randn(shape)
        results = [outcome(lambda c=c, a=arguments, o=options: c(*a, **o), x, training) for c in (ours, theirs)]
        raised = [isinstance(result, Exception) for result in results]
        assert raised[0] == raised[1], (ours.__name__, arguments, options, results)
        assert raised[0] or results[0] == results[1]


DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.complex64, torch.bool]


@MIXED_RMS
@EACH_LAYER
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("affine", [True, False], ids=["affine", "no affine"])
def test_layer_takes_exactly_the_dtypes_that_torch_takes(name, training, affine):
    reference = REFERENCES[name]
    options = fitting(reference, {"affine": affine})
    for tracked in (True, False) if reference.keeps_running else (None,):
        if tracked is not None:
            options["track_running_stats"] = tracked
        for own in (torch.float64, torch.float32, torch.bfloat16, torch.float16):
            for given in DTYPES:
                if reference.ours is RMS and given.is_complex:
                    continue  # torch squares complex numbers as they are, which is no mean square
                x = torch.ones(reference.shape, dtype=given)
                results = []
                for layer in reference.pair(own, **options):
                    results.append(outcome(lambda layer=layer: layer, x, training))
                raised = [isinstance(result, Exception) for result in results]
                assert raised[0] == raised[1], (own, given, options, results)
                assert raised[0] or results[0] == results[1], (own, given, options, results)


@pytest.mark.parametrize("shape", [(6, 7), (6, 5, 7), (6, 5, 7, 2)])
@pytest.mark.parametrize("options", [{}, {"affine": True}, {"track_running_stats": True}], ids=str)
def test_a_sample_without_its_axis_is_refused_by_instance_norm(shape, options):
    with pytest.raises(ValueError, match=f"is made for 6 channels: got {shape[1]} channels"):
        gnlib.InstanceNorm(6, **options)(torch.randn(shape))


@pytest.mark.parametrize(
    ("build", "shape", "error", "message"),
    [
        (lambda: GROUP(4, 6), (2, 6), ValueError, "got 6 channels and num_groups=4; 1, 2, 3 or 6 would do"),
        (lambda: GROUP(0, 6), (2, 6), ValueError, "got 6 channels and num_groups=0; 1, 2, 3 or 6 would do"),
        (lambda: GROUP(2, 6), (6,), ValueError, r"got shape \(6,\); a sample on its own would do as x\[None\]"),
        (lambda: GROUP(2, 6), (2, 4, 3), ValueError, "made for 6 channels: got 4 channels"),
        (lambda: GROUP(6, 6), (1, 6, 1), ValueError, "more than one value: got a lone sample"),
        (lambda: BATCH(6), (1, 6, 1), ValueError, r"a larger batch would do, or eval\(\)"),
        (
            lambda: GHOST(6, 4),
            (6, 6),
            ValueError,
            "got 6 samples and block_size=4; 1, 2, 3 or 6 would do, or a batch of 4 or 8",
        ),
        (lambda: GHOST(6, 8), (6, 6), ValueError, "block_size=8; 1, 2, 3 or 6 would do, or a batch of 8$"),
        (lambda: GHOST(6, 0), (6, 6), ValueError, "at least 1 sample: got block_size=0"),
        (lambda: GHOST(6, 1), (2, 6, 1), ValueError, r"in the block: got shape \(2, 6, 1\); a larger block would do"),
        (lambda: BATCH(6, eps=-1.0), (2, 6), ValueError, "got eps=-1.0"),
        (lambda: BATCH(6).double(), (2, 6), TypeError, "got torch.float64 and an input of torch.float32"),
        (lambda: INSTANCE(6), (2, 6, 1, 1), ValueError, "larger maps would do, or LayerNorm"),
        (lambda: LAYER((5, 7)), (2, 7, 5), ValueError, r"got shape \(2, 7, 5\) and normalized_shape=\(5, 7\)"),
        (lambda: RMS((5, 7)), (2, 7, 5), ValueError, r"got shape \(2, 7, 5\) and normalized_shape=\(5, 7\)"),
    ],
)
def test_an_error_names_the_rule_the_values_and_a_way_out(build, shape, error, message):
    with pytest.raises(error, match=message):
        build()(torch.randn(shape))


# ---- blocks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("offset", [0.0, 0.1, 3e4])
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        *((lambda: GROUP(6, 6), shape) for shape in ((4, 6), (4, 6, 1, 1))),
        *((lambda: LAYER(1), (4, 6, 1)), (lambda: LAYER((1, 1)), (1, 1))),
    ],
)
def test_a_block_of_one_value_gives_exactly_beta(layer, shape, offset, dtype):
    layer = layer().to(dtype)
    with torch.no_grad():
        layer.bias.copy_(torch.randn(layer.bias.shape))
        layer.weight.copy_(torch.randn(layer.weight.shape))
    x = (torch.randn(shape) + offset).to(dtype).requires_grad_()
    y = layer(x)
    beta = layer.bias.view(-1, *[1] * (len(shape) - 2)) if isinstance(layer, GROUP) else layer.bias
    assert torch.equal(y, beta.expand(shape))
    (gradient,) = torch.autograd.grad(y, x, torch.randn(shape).to(dtype))
    scale = layer.weight.abs().max().item() * layer.eps**-0.5
    assert gradient.abs().max() <= 8 * scale * torch.finfo(dtype).eps


@EACH_LAYER
@pytest.mark.parametrize("poison", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("layout", ["contiguous", "channels last"])
def test_nan_and_inf_stay_inside_their_block(name, poison, layout):
    reference = REFERENCES[name]
    layer, _ = reference.pair()
    clean = LAYOUTS[layout](reference.input())
    sick = clean.clone()
    sick[1, 2, 3, 4] = poison
    block = torch.zeros(clean.shape, dtype=torch.bool)
    where = {
        BATCH: (slice(None), 2),
        GHOST: (slice(0, 2), 2),
        INSTANCE: (1, 2),
        LAYER: (1, 2),
        RMS: (1, 2),
        GROUP: (1, slice(0, 4)),
    }[reference.ours]
    block[where] = True
    clean, sick = step(layer, clean, cotangent(clean)), step(layer, sick, cotangent(clean))
    for key in ("output", "input gradient"):
        assert torch.equal(clean[key][~block], sick[key][~block])
        assert sick[key][1, 2, 3, 4].isnan()


@pytest.mark.parametrize("name", [name for name in ONE_OF_EACH if not name.startswith("RMSNorm")])
def test_a_constant_block_gives_beta_and_finite_gradients(name):
    reference = REFERENCES[name]
    layer, _ = reference.pair(torch.float32)
    x = torch.full(reference.shape, 0.1)
    result = step(layer, x, cotangent(x))
    beta = layer.bias if reference.ours is LAYER else layer.bias.view(-1, 1, 1)
    theirs = (step(reference.pair(torch.float32)[1], x, cotangent(x))["output"] - beta).abs().max().item()
    torch.testing.assert_close(result["output"], beta.detach().expand(x.shape), rtol=0, atol=max(1e-6, theirs))
    assert all(value.isfinite().all() for value in result.values())


# ---- state ---------------------------------------------------------------------------------------------------------

OPTIONS = pytest.mark.parametrize(
    "options", [{}, {"affine": False}, {"bias": False}, {"track_running_stats": True}], ids=str
)


def fitting(reference, options):
    """Say the options in the layer's own words, and leave out those that it does not have."""
    if reference.ours is RMS:
        options = {key: value for key, value in options.items() if key != "bias"}
    if reference.ours in TRAILING:
        options = {{"affine": "elementwise_affine"}.get(key, key): value for key, value in options.items()}
    if not reference.keeps_running:
        options = {key: value for key, value in options.items() if key != "track_running_stats"}
    return options


@LAYERS
@OPTIONS
def test_state_dicts_have_torchs_keys_and_load_strictly_both_ways(name, options):
    reference = REFERENCES[name]
    ours, theirs = reference.pair(**fitting(reference, options))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert ours.state_dict()._metadata == theirs.state_dict()._metadata
    x = reference.input()
    ours(x), theirs(2 * x)
    for source, target in ((ours, theirs), (theirs, ours)):
        fresh = copy.deepcopy(target)
        assert fresh.load_state_dict(source.state_dict(), strict=True) == nn.modules.module._IncompatibleKeys([], [])
        for key, value in source.state_dict().items():
            assert torch.equal(fresh.state_dict()[key], value)


@RUNNING_LAYERS
@pytest.mark.parametrize("version", [None, 1])
def test_a_checkpoint_without_a_batch_counter_loads_as_in_torch(name, version):
    layers = RUNNING[name].pair(track_running_stats=True)
    for layer in layers:
        layer(RUNNING[name].input())
    states = []
    for layer in layers:
        old = layers[1].state_dict()
        del old["num_batches_tracked"]
        old._metadata[""] = {} if version is None else {"version": version}
        layer.load_state_dict(old, strict=True)
        states.append(layer.state_dict())
    assert states[0].keys() == states[1].keys()
    for key in states[0]:
        assert torch.equal(states[0][key], states[1][key]), key


@pytest.mark.parametrize("cls", [gnlib.InstanceNorm, nn.InstanceNorm2d])
def test_running_statistics_in_an_old_checkpoint_are_refused_where_none_are_kept(cls):
    old = {"running_mean": torch.zeros(6), "running_var": torch.ones(6)}
    with pytest.raises(RuntimeError, match="running_mean"):
        cls(6).load_state_dict(old, strict=True)


@RUNNING_LAYERS
def test_a_new_checkpoint_must_have_its_batch_counter(name):
    layer, _ = RUNNING[name].pair(track_running_stats=True)
    state = layer.state_dict()
    del state["num_batches_tracked"]
    with pytest.raises(RuntimeError, match="num_batches_tracked"):
        layer.load_state_dict(state, strict=True)


@LAYERS
@OPTIONS
def test_repr_reads_as_torchs_and_names_the_reference(name, options, by):
    reference = REFERENCES[name]
    ours, theirs = reference.pair(**fitting(reference, options))
    said = ", arithmetic='reference'" if by == "reference" else ""
    assert ours.extra_repr() == theirs.extra_repr() + said


@pytest.mark.parametrize(
    "name", ["BatchNorm2d", "InstanceNorm2d", "LayerNorm, an int", "RMSNorm, an int", "GroupNorm, 1 of 12"]
)
def test_signature_is_torchs(name):
    ours, theirs = (
        [(p.name, p.kind, p.default) for p in inspect.signature(cls.__init__).parameters.values()]
        for cls in (REFERENCES[name].ours, REFERENCES[name].theirs)
    )
    assert ours == theirs


@LAYERS
def test_public_attributes_are_torchs(name):
    ours, theirs = REFERENCES[name].pair()
    public = {key: value for key, value in vars(theirs).items() if not key.startswith("_")}
    assert public == {key: value for key, value in vars(ours).items() if not key.startswith("_")}


@LAYERS
def test_reset_parameters_starts_anew(name):
    reference = REFERENCES[name]
    ours, _ = reference.pair()
    ours(reference.input())
    ours.reset_parameters()
    fresh = reference.theirs(*reference.arguments, **reference.options, dtype=torch.float64)
    for key, value in fresh.state_dict().items():
        assert torch.equal(ours.state_dict()[key], value), key


@EACH_LAYER
def test_half_and_back_moves_what_torch_moves(name):
    ours, theirs = REFERENCES[name].pair(torch.float32)
    x = REFERENCES[name].input(torch.float16)
    for layer in (ours, theirs):
        layer.half()(x)
    assert {k: v.dtype for k, v in ours.state_dict().items()} == {k: v.dtype for k, v in theirs.state_dict().items()}
    assert ours(x).dtype == torch.float16


@EACH_LAYER
@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
def test_a_copy_after_a_step_of_training_goes_on_on_its_own(name, how):
    reference = REFERENCES[name]
    layer, _ = reference.pair()
    x = reference.input()
    layer(x).sum().backward()
    twin = copy.deepcopy(layer) if how == "deepcopy" else pickle.loads(pickle.dumps(layer))
    before = {key: value.clone() for key, value in layer.state_dict().items()}
    result = step(twin, 2 * x, cotangent(x))
    assert all(torch.equal(value, before[key]) for key, value in layer.state_dict().items())
    again = step(layer, 2 * x, cotangent(x))
    assert all(torch.equal(again[key], result[key]) for key in result)


@LAYERS
def test_meta_device_gives_shapes_and_no_values(name):
    reference = REFERENCES[name]
    layer = reference.ours(*reference.arguments, **reference.options, device="meta")
    assert all(value.is_meta for value in layer.state_dict().values())
    y = layer(torch.empty(reference.shape, device="meta"))
    assert y.is_meta
    assert y.shape == reference.shape
    layer.to_empty(device="cpu").reset_parameters()
    assert layer(reference.input(torch.float32)).isfinite().all()


# ---- what tools do with a layer ------------------------------------------------------------------------------------


@EACH_LAYER
@pytest.mark.parametrize("given", [torch.float32, torch.bfloat16])
def test_autocast_gives_torchs_dtypes(name, given):
    ours, theirs = REFERENCES[name].pair(torch.float32)
    x = REFERENCES[name].input(given)
    with torch.autocast("cpu", torch.bfloat16):
        results = [step(layer, x, cotangent(x)) for layer in (ours, theirs)]
    assert {k: v.dtype for k, v in results[0].items()} == {k: v.dtype for k, v in results[1].items()}


@pytest.mark.parametrize("device", ["cuda", "xpu", "mps"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("enabled", [True, False])
def test_autocast_on_a_gpu_widens_what_torch_widens(device, dtype, enabled, by, monkeypatch):
    for module in (gnlib.core, fused):  # no arithmetic: the machine may have no GPU
        for name in ("normalize", "normalize_trailing", "rms_normalize_trailing"):
            monkeypatch.setattr(module, name, lambda x, *_: x)
    by = by.partition(",")[0]
    with FakeTensorMode() as mode, torch.no_grad():
        x = FakeTensor(mode, torch.empty(4, 6, 5, dtype=dtype, device="meta"), torch.device(device))
        torch.set_autocast_enabled(device, enabled)
        try:
            ours = ops.normalize(x, Grouping.group_norm(2), None, None, 1e-5, by=by)
            assert ours.dtype == nn.functional.group_norm(x, 2).dtype
            ours = ops.normalize_trailing(x, (5,), None, None, 1e-5, by=by)
            assert ours.dtype == nn.functional.layer_norm(x, (5,)).dtype
            ours = ops.rms_normalize_trailing(x, (5,), None, 1e-5, by=by)
            assert ours.dtype == nn.functional.rms_norm(x, (5,)).dtype
        finally:
            torch.set_autocast_enabled(device, False)


@EACH_LAYER
def test_functional_call_uses_and_moves_only_what_it_is_given(name):
    reference = REFERENCES[name]
    ours, theirs = reference.pair()
    x = reference.input()
    results = []
    for layer in (ours, theirs):
        before = copy.deepcopy(layer.state_dict())
        given = {key: value + 1 for key, value in before.items()}
        y = torch.func.functional_call(layer, given, (x,))
        assert all(torch.equal(value, before[key]) for key, value in layer.state_dict().items())
        results.append({"output": y, **given})
    assert_close(*results)


@EACH_LAYER
def test_per_sample_gradients_and_vmap_equal_a_loop(name):
    reference = REFERENCES[name]
    options = {"track_running_stats": False} if reference.keeps_running else {}
    layer, _ = reference.pair(**options)
    stack = torch.stack([reference.input(seed=seed) for seed in range(3)])
    torch.testing.assert_close(torch.vmap(layer)(stack), torch.stack([layer(x) for x in stack]), rtol=0, atol=1e-12)

    dy = cotangent(stack[0])

    def loss(parameters, x):
        return (torch.func.functional_call(layer, parameters, (x,)) * dy).sum()

    parameters = dict(layer.named_parameters())
    at_once = torch.vmap(torch.func.grad(loss), (None, 0))(parameters, stack)
    for key in parameters:
        one_by_one = torch.stack([torch.func.grad(loss)(parameters, x)[key] for x in stack])
        torch.testing.assert_close(at_once[key], one_by_one, rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")  # torch.func.jvp's own
@EACH_LAYER
def test_forward_mode_derivative_equals_torch(name):
    reference = REFERENCES[name]
    x = reference.input()
    options = {"track_running_stats": False} if reference.keeps_running else {}
    ours, theirs = (torch.func.jvp(layer, (x,), (cotangent(x),))[1] for layer in reference.pair(**options))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


COMPILER = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")


COMPILED = {
    "BatchNorm in training": ("BatchNorm2d", {}, True),
    "BatchNorm, momentum None": ("BatchNorm2d", {"momentum": None}, True),
    "BatchNorm in evaluation": ("BatchNorm2d", {}, False),
    "GhostBatchNorm": ("GhostBatchNorm, 2 of 6", {}, True),
    "InstanceNorm, tracking": ("InstanceNorm2d", {"track_running_stats": True}, True),
    "InstanceNorm": ("InstanceNorm2d", {}, True),
    "LayerNorm": ("LayerNorm, two axes", {}, True),
    "GroupNorm": ("GroupNorm, 3 of 12", {}, True),
}


COMPILED_BY = pytest.mark.parametrize("by", ["reference", "fused"], indirect=True)  # to a compiler no size is large


@COMPILED_BY
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning")  # inductor's own
@pytest.mark.parametrize(
    ("case", "backend"),
    [
        *((case, "aot_eager") for case in COMPILED),
        *((case, "inductor") for case in ("BatchNorm in training", "LayerNorm", "GroupNorm")),
    ],
)
def test_torch_compile_takes_the_whole_layer_as_one_graph(case, backend):
    if backend == "inductor" and not COMPILER and not os.environ.get("CI"):
        pytest.skip("no C++ compiler found")
    name, options, training = COMPILED[case]
    torch.compiler.reset()
    reference = REFERENCES[name]
    layer, _ = reference.pair(**options)
    layer.train(training)
    plain = copy.deepcopy(layer)
    compiled = torch.compile(layer, fullgraph=True, backend=backend)
    for seed in range(2):
        x = reference.input(seed=seed)
        result = step(compiled, x, cotangent(x))
        result = {key.replace("_orig_mod.", ""): value for key, value in result.items()}
        assert_close(result, step(plain, x, cotangent(x)))


@COMPILED_BY
def test_ghost_batch_norm_is_compiled_once_for_every_batch_size():
    torch.compiler.reset()
    layer, _ = REFERENCES["GhostBatchNorm, 2 of 6"].pair()
    plain = copy.deepcopy(layer)
    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend="aot_eager")
    compiled(torch.randn(6, 4, 5, 7, dtype=torch.float64))
    with torch.compiler.set_stance("fail_on_recompile"):
        x = torch.randn(10, 4, 3, 5, dtype=torch.float64)
        torch.testing.assert_close(compiled(x), plain(x), rtol=0, atol=1e-12)


@COMPILED_BY
@EACH_LAYER
@pytest.mark.parametrize("training", [True, False])
def test_torch_export_keeps_the_layer_for_every_batch_and_picture_size(name, training):
    reference = REFERENCES[name]
    layer, _ = reference.pair()
    layer.train(training)
    plain = copy.deepcopy(layer)
    x = reference.input()
    free = (0, 1) if reference.ours in TRAILING else (0, 2, 3)  # not those that hold parameters
    if reference.ours is GHOST and training:
        free = (2, 3)  # a grouping counts blocks in whole numbers, and no symbol is one
    sizes = {axis: torch.export.Dim(f"axis_{axis}", min=2) for axis in free}
    module = torch.export.export(layer, (x,), dynamic_shapes=(sizes,)).module()
    for axis in free:
        x = x.narrow(axis, 1, 3)
    torch.testing.assert_close(module(x), plain(x), rtol=0, atol=1e-12)
    for key, value in plain.state_dict().items():
        torch.testing.assert_close(module.state_dict()[key], value, rtol=0, atol=1e-12)


# ---- the point of a layer ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "point"),
    [
        ("BatchNorm1d", Grouping(1, EACH)),
        ("BatchNorm2d", Grouping(1, EACH)),
        ("BatchNorm3d", Grouping(1, EACH)),
        ("InstanceNorm1d", Grouping(EACH, EACH)),
        ("InstanceNorm2d", Grouping(EACH, EACH)),
        ("InstanceNorm3d", Grouping(EACH, EACH)),
        ("LayerNorm, two axes", Grouping(EACH, 1)),
        ("GroupNorm, 3 of 12", Grouping(EACH, 3)),
    ],
)
def test_grouping_of_gives_torchs_layer_and_ours_the_same_point(name, point):
    assert [grouping_of(layer) for layer in REFERENCES[name].pair()] == [point, point]


def test_grouping_of_puts_synchronized_batch_norm_where_batch_norm_stands():
    assert grouping_of(nn.SyncBatchNorm(6)) == Grouping.batch_norm()


def test_grouping_of_a_ghost_waits_for_a_batch():
    layer = GHOST(6, 4)
    with pytest.raises(TypeError, match=r"blocks of 4 samples: Grouping\.ghost_batch_norm\(N // 4\) would do"):
        grouping_of(layer)
    x = torch.randn(8, 6, 3)
    torch.testing.assert_close(layer(x), gnlib.normalize(x, Grouping.ghost_batch_norm(len(x) // layer.block_size)))


@pytest.mark.parametrize("layer", [nn.RMSNorm(6), RMS(6), nn.LocalResponseNorm(2), nn.Linear(2, 3), nn.Identity()])
def test_grouping_of_refuses_what_is_not_on_the_square(layer):
    with pytest.raises(TypeError, match=f"got {type(layer).__name__}; BatchNorm, LayerNorm"):
        grouping_of(layer)


def test_counts_may_be_numpys_integers_as_in_torch():
    x = torch.randn(4, 6, 3, 5)
    assert torch.equal(gnlib.GroupNorm(np.int64(2), 6)(x), gnlib.GroupNorm(2, 6)(x))
    assert torch.equal(gnlib.LayerNorm(np.int64(5))(x), gnlib.LayerNorm(5)(x))
    assert torch.equal(RMS(np.int64(5))(x), RMS(5)(x))
    assert torch.equal(GHOST(6, np.int64(2))(x), GHOST(6, 2)(x))


def test_a_way_out_of_another_dtype_is_one_that_works():
    x = torch.ones(4, 6, 3, 5)
    with pytest.raises(TypeError, match=r"layer\.to\(x\.dtype\) or x\.to\(torch\.float32\) would do"):
        gnlib.GroupNorm(2, 6)(x.double())
    with pytest.raises(TypeError, match=r"int64; x\.to\(torch\.float32\) would do"):  # no layer holds integers
        gnlib.GroupNorm(2, 6)(x.long())


# ---- who computes ----------------------------------------------------------------------------------------------------


def test_a_layer_computes_as_it_was_told_when_it_was_built(by):
    own = by.partition(",")[0]
    with gnlib.arithmetic("reference"):
        reference = gnlib.GroupNorm(2, 6)
        with gnlib.arithmetic("fused"):
            quick = gnlib.GroupNorm(2, 6)
        assert "reference" in repr(gnlib.BatchNorm(6))
    assert ("reference" in repr(gnlib.BatchNorm(6))) == (own == "reference")
    for layer, named in ((reference, True), (quick, False)):
        for twin in (layer, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
            assert ("arithmetic='reference'" in repr(twin)) == named


def test_an_arithmetic_that_is_not_there_is_refused_and_an_error_inside_leaves_the_choice_as_it_was(by):
    with pytest.raises(ValueError, match="got 'fast'; 'fused' or 'reference' would do"), gnlib.arithmetic("fast"):
        pass
    with pytest.raises(KeyError), gnlib.arithmetic("reference"):
        raise KeyError
    assert ops.in_force() == by.partition(",")[0]
