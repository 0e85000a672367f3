"""The kernels compute what core does, and are operators to all of torch: shown without a GPU, by three ways round it.

Triton's interpreter runs them on a CPU (`interpreted_kernels.py`), its compiler makes code for an H100 of them that is
read and not run (`compile_kernels.py`), and the operators around them are tested with core in the kernels' place.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import gnlib
from gnlib import core, fused, kernels
from gnlib.core import Running
from gnlib.grouping import Grouping

ROOT = Path(__file__).parents[1]
SHAPE = (4, 6, 3, 5)  # N, C, H, W: all different
POINTS = [(1, 6), (4, 2), (2, 3)]
NEEDS_TRITON = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="Triton is not here: it has packages for Linux alone"
)
LAYOUTS = pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels_last"])


def skewed(*shape, offset=3.0, seed=0, dtype=torch.float64, last=False):
    generator = torch.Generator().manual_seed(seed)
    values = (offset + torch.randn(shape, generator=generator, dtype=torch.float64).exp()).to(dtype)
    return values.movedim(1, -1).contiguous().movedim(-1, 1) if last else values


def same(ours, theirs, tolerance=1e-12):
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance * max(1.0, b.abs().max().item()))


# ---- the kernels ----------------------------------------------------------------------------------------------------


@NEEDS_TRITON
@pytest.mark.timeout(900)  # half a minute of one core's time, whenever it gets it
def test_interpreted_the_kernels_compute_what_core_does():
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/interpreted_kernels.py"],
        cwd=ROOT,
        env={**os.environ, "TRITON_INTERPRET": "1"},
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


# shape, layout, dtype, b, g, relu, fixed, affine: once each way that a launch can differ
ALIGNED = [
    ((512, 64, 32, 32), "contiguous", "bfloat16", 1, 64, True, False, True),
    ((512, 64, 32, 32), "channels_last", "bfloat16", 512, 8, True, False, True),
    ((128, 256, 16, 16), "contiguous", "float16", 4, 256, False, True, True),
    ((64, 256, 56, 56), "channels_last", "float32", 64, 1, False, True, False),
]
RAGGED = [
    ((3, 5, 7, 9), "contiguous", "float16", 1, 1, False, False, False),
    ((3, 100, 7, 9), "channels_last", "float32", 3, 1, True, False, True),
    ((4096, 1024), "contiguous", "bfloat16", 1, 1, False, False, True),
    ((1, 2, 2**15, 2**15 + 1), "channels_last", "bfloat16", 1, 2, False, False, True),
]
LONG = [*RAGGED[-1][0]]  # counts with 64 bits, which may need more registers than there are
OF_ACTIVATIONS = {"_moments", "_apply", "_sums", "_input_gradient"}


@functools.cache
def compiled():
    done = subprocess.run(
        [sys.executable, "-m", "tests.compile_kernels", "90", json.dumps(ALIGNED + RAGGED)],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"},
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@NEEDS_TRITON
@pytest.mark.timeout(900)
def test_all_kernels_compile_for_a_gpu_and_keep_their_values_in_registers():
    assert {row["kernel"] for row in compiled()} == OF_ACTIVATIONS | {"_pool", "_pool_sums", "_track"}
    assert [row for row in compiled() if row["spilt"] and row["shape"] != LONG] == []


@NEEDS_TRITON
def test_activations_are_read_and_written_128_bits_at_a_time_in_both_layouts():
    rows = [row for row in compiled() if row["kernel"] in OF_ACTIVATIONS and row["shape"] in [[*c[0]] for c in ALIGNED]]
    assert {row["layout"] for row in rows} == {"contiguous", "channels_last"}
    for row in rows:
        # a tile of 4096 values on 128 threads: as many accesses of 128 bits as hold 32 values
        least = 32 * (32 if row["dtype"] == "float32" else 16) // 128
        assert row["widths"]["LDG"].get("128", 0) >= least, row
        if row["kernel"] in ("_apply", "_input_gradient"):
            assert row["widths"]["STG"] == {"128": least}, row


# ---- the operators, core in the kernels' place ----------------------------------------------------------------------


def by_operator(x, b, g, weight=None, bias=None, relu=False):
    return kernels.normalize(x, Grouping(b, g), weight, bias, 2.0**-6, relu)


def by_core(x, b, g, weight=None, bias=None, relu=False):
    y = core.normalize(x, Grouping(b, g), weight, bias, 2.0**-6)
    return y.relu() if relu else y


@pytest.mark.parametrize(("b", "g"), POINTS)
@pytest.mark.parametrize("tables", [2, 1, 0])
@pytest.mark.parametrize("relu", [False, True], ids=["", "relu"])
@LAYOUTS
def test_where_the_kernels_do_not_run_the_operators_compute_by_core(b, g, tables, relu, last):
    x, affine = skewed(*SHAPE, last=last), skewed(2, 6, seed=1, offset=-2)[:tables]
    found = []
    for function in (by_operator, by_core):
        leaves = [values.clone().requires_grad_() for values in (x, *affine)]
        y = function(leaves[0], b, g, *leaves[1:], relu=relu)
        found.append([y, *torch.autograd.grad(y, leaves, skewed(*SHAPE, seed=9, offset=-2))])
    same(*found)
    assert found[0][0].stride() == found[0][1].stride() == x.stride()


@pytest.mark.parametrize(("b", "g"), POINTS)
@pytest.mark.parametrize("tables", [2, 1, 0])
@pytest.mark.parametrize("relu", [False, True], ids=["", "relu"])
def test_there_are_first_and_second_derivatives_at_every_point(b, g, tables, relu):
    inputs = [values.requires_grad_() for values in (skewed(4, 6, 2), *skewed(2, 6, seed=1, offset=-2)[:tables])]

    def function(x, *affine):
        return by_operator(x, b, g, *affine, relu=relu)

    assert torch.autograd.gradcheck(function, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(function, inputs, fast_mode=True)


@pytest.mark.parametrize("tables", [2, 0])
@pytest.mark.parametrize("relu", [False, True], ids=["", "relu"])
def test_there_are_first_and_second_derivatives_by_moments_that_were_kept(tables, relu):
    inputs = [values.requires_grad_() for values in (skewed(4, 6, 2), *skewed(2, 6, seed=1, offset=-2)[:tables])]
    mean, var = skewed(2, 6, seed=3)

    def function(x, weight=None, bias=None):
        return kernels.normalize_by(x, mean, var, weight, bias, 1e-3, relu)

    same(
        [function(*inputs)],
        [core.normalize_by(inputs[0], mean, var, *inputs[1:], eps=1e-3).clamp(min=0 if relu else -1e9)],
    )
    assert torch.autograd.gradcheck(function, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(function, inputs, fast_mode=True)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("tables", [2, 0])
@LAYOUTS
def test_the_operators_keep_torchs_rules(tables, last):
    x, affine = skewed(*SHAPE, dtype=torch.float32, last=last), [None, None]
    if tables:
        affine = [*skewed(2, 6, seed=1, dtype=torch.float32)]
    of_layers = [None if table is None else table.clone().requires_grad_() for table in affine]
    torch.library.opcheck(kernels._normalize_operator, (x.clone().requires_grad_(), *of_layers, 2, 3, 1e-5, True))
    mean, var = skewed(2, 1, 6, seed=3)
    torch.library.opcheck(kernels._apply_operator, (x.clone().requires_grad_(), mean, var, *of_layers, 1e-5, False))
    mean, var = skewed(2, 2, 3, seed=3)
    given = (x.clone(), x, *affine, mean, var, 1e-5, False, False, 1 if tables else 0)
    torch.library.opcheck(kernels._backward_operator, given)
    kept = skewed(2, 3, seed=4)
    torch.library.opcheck(kernels._track_operator, (mean, var, *kept, torch.tensor(3), 0.0, 20, True))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@LAYOUTS
def test_a_compiler_gets_one_graph_for_every_batch_size(last):
    weight, bias = skewed(2, 6, seed=1)
    torch.compiler.reset()
    compiled = torch.compile(
        lambda x: by_operator(x, 2, 3, weight, bias), fullgraph=True, dynamic=True, backend="aot_eager"
    )
    x = skewed(*SHAPE, last=last).requires_grad_()
    dx = torch.autograd.grad(compiled(x).square().sum(), x)
    same(dx, torch.autograd.grad(by_core(x, 2, 3, weight, bias).square().sum(), x))
    with torch.compiler.set_stance("fail_on_recompile"):
        x = skewed(8, 6, 4, 7, last=last).requires_grad_()
        same([compiled(x)], [by_core(x, 2, 3, weight, bias)])


@pytest.mark.parametrize("hidden", [0, 1, 2, -1])
@pytest.mark.parametrize("which", ["x", "weight", "bias", "all"])
@pytest.mark.parametrize("relu", [False, True], ids=["", "relu"])
def test_under_vmap_a_stack_and_its_gradients_are_as_one_by_one(hidden, which, relu):
    stacks = {"x": skewed(3, *SHAPE), "weight": skewed(3, 6, seed=1), "bias": skewed(3, 6, seed=2, offset=-2)}
    dims = [(hidden if name == "x" else 0) if which in (name, "all") else None for name in stacks]
    given = [
        stack[0] if dim is None else stack.movedim(0, dim) for stack, dim in zip(stacks.values(), dims, strict=True)
    ]
    found = []
    for function in (by_operator, by_core):
        leaves = [values.clone().requires_grad_() for values in given]
        y = torch.vmap(lambda x, w, c, f=function: f(x, 2, 3, w, c, relu), tuple(dims))(*leaves)
        found.append([y, *torch.autograd.grad((y * skewed(*y.shape, seed=9)).sum(), leaves)])
    same(*found, 1e-10)


@pytest.mark.parametrize("tables", [2, 0])
def test_a_stack_of_gradients_goes_backward_as_one_by_one(tables):
    leaves = [values.requires_grad_() for values in (skewed(*SHAPE), *skewed(2, 6, seed=1)[:tables])]
    y, dy = by_operator(leaves[0], 2, 3, *leaves[1:]), skewed(5, *SHAPE, seed=9)
    together = torch.autograd.grad(y, leaves, dy, is_grads_batched=True, retain_graph=True)
    alone = [torch.autograd.grad(y, leaves, each, retain_graph=True) for each in dy]
    same(together, [torch.stack(each) for each in zip(*alone, strict=True)])


def test_moments_that_were_kept_go_under_vmap_too():
    x, (mean, var) = skewed(3, *SHAPE), skewed(2, 3, 6, seed=3)
    ours, theirs = (torch.vmap(module.normalize_by)(x, mean, var) for module in (kernels, core))
    same([ours], [theirs])


def test_under_autocast_the_result_has_the_inputs_dtype():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert by_operator(skewed(*SHAPE, dtype=torch.float32), 2, 3).dtype == torch.float32


def test_a_relu_behind_may_work_in_place():
    x = skewed(*SHAPE).requires_grad_()
    by_operator(x, 2, 3).relu_().square().sum().backward()
    assert x.grad.any()


@pytest.mark.parametrize("shape", [(0, 6, 3), (4, 6, 0), (4, 0, 3)], ids=str)
def test_of_no_values_there_is_nothing_and_no_error(shape):
    x = torch.zeros(shape, requires_grad=True)
    y = kernels.normalize(x, Grouping(1, 1), torch.ones(shape[1], requires_grad=True))
    assert y.shape == shape
    y.sum().backward()
    assert x.grad.shape == shape


# ---- who is taken ---------------------------------------------------------------------------------------------------


@pytest.fixture
def gpu(monkeypatch):
    """Make tensors that seem to lie on a GPU, on which the kernels seem to run."""
    monkeypatch.setattr(kernels, "_IS_THERE", True)
    monkeypatch.setattr(kernels, "_runs_on", lambda device: device.type == "cuda")
    with FakeTensorMode():
        yield lambda *shape, dtype=torch.bfloat16, device="cuda": torch.empty(shape, dtype=dtype, device=device)


def test_large_activations_on_a_gpu_are_taken(gpu):
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        assert kernels.take(gpu(512, 64, 32, 32, dtype=dtype), gpu(64, dtype=torch.float32))


LEFT = {
    "on a CPU": lambda gpu: (gpu(512, 64, 32, 32, device="cpu"),),
    "float64": lambda gpu: (gpu(512, 64, 32, 32, dtype=torch.float64),),
    "few values": lambda gpu: (gpu(4, 64, 32, 32),),
    "no values": lambda gpu: (gpu(0, 64, 32, 32),),
    "few positions": lambda gpu: (gpu(2**14, 1024),),
    "a table of float64": lambda gpu: (gpu(512, 64, 32, 32), None, gpu(64, dtype=torch.float64)),
    "a table elsewhere": lambda gpu: (gpu(512, 64, 32, 32), gpu(64, device="cpu")),
    "no axis of channels": lambda gpu: (gpu(2**23),),
}


@pytest.mark.parametrize("given", LEFT.values(), ids=LEFT)
def test_what_is_better_off_with_torch_is_left_to_it_in_silence(given, gpu):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not kernels.take(*given(gpu))


def test_a_shape_that_is_refused_is_named_once_with_the_reason(gpu):
    kernels._warn.cache_clear()
    x = gpu(2**16, 2**15, 4, 4)
    with pytest.warns(RuntimeWarning, match=r"shape \(65536, 32768, 4, 4\).*65536 × 32768 cells are more than") as seen:
        assert [kernels.take(x) for _ in range(2)] == [False, False]
    assert len(seen) == 1


def test_forward_derivatives_are_left_to_core(gpu):
    x = gpu(512, 64, 32, 32)
    with torch.autograd.forward_ad.dual_level():
        assert not kernels.take(x)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")  # forward mode's own
@pytest.mark.parametrize("transform", [torch.func.grad, torch.func.jacrev, torch.func.jacfwd])
def test_derivatives_of_torch_func_are_left_to_torch_and_vmap_alone_is_not(transform, monkeypatch):
    monkeypatch.setattr(kernels, "_INTERPRETED", True)
    monkeypatch.setattr(kernels, "WORTH_A_LAUNCH", 0)
    monkeypatch.setattr(kernels, "WORTH_A_CELL", 0)
    taken = []

    def function(x):
        taken.append(kernels.take(x))
        return fused.normalize(x, Grouping(2, 3)).square().sum() if taken[-1] is False else x.sum()

    x = skewed(2, *SHAPE, dtype=torch.float32)
    torch.vmap(function)(x)
    torch.vmap(transform(function))(x)
    transform(lambda x: torch.vmap(function)(x).sum())(x)
    assert taken == [True, False, False]


@pytest.fixture
def new_gpu(monkeypatch):
    """Make believe that there is a GPU of capability 9 that nobody has tried yet."""
    monkeypatch.setattr(kernels, "_IS_THERE", True)
    monkeypatch.setattr(kernels, "_tried", {})
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: type("", (), {"major": 9}))
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    return torch.device("cuda", 0)


@pytest.mark.parametrize("wrong", ["2 × 2 blocks differ", None], ids=["wrong", "right"])
def test_a_device_is_tried_once(new_gpu, wrong, monkeypatch):
    calls = []
    monkeypatch.setattr(kernels, "_try_out", lambda device: calls.append(device) or wrong)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert [kernels._runs_on(new_gpu) for _ in range(3)] == [wrong is None] * 3
    assert calls == [new_gpu]
    assert [wrong in str(warning.message) for warning in seen] == ([True] if wrong else [])


def test_a_device_whose_compiler_is_missing_is_left_to_torch_with_the_error(new_gpu, monkeypatch):
    def fails():
        raise RuntimeError("Failed to find C compiler.\nPlease specify via CC")

    monkeypatch.setattr(kernels, "_triton", fails)
    with pytest.warns(RuntimeWarning, match="cuda:0 to torch's operators.*RuntimeError: Failed to find C compiler.$"):
        assert not kernels._runs_on(new_gpu)


def test_while_a_graph_is_recorded_no_device_is_tried(new_gpu, monkeypatch):
    monkeypatch.setattr(kernels, "_try_out", lambda _: pytest.fail("tried"))
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    assert not kernels._runs_on(new_gpu)
    assert kernels._tried == {}


def test_importing_the_library_does_not_import_triton():
    code = "import sys, gnlib, gnlib.kernels; sys.exit('triton.language' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


# ---- layers ------------------------------------------------------------------------------------------------------


@pytest.fixture
def everything_taken(monkeypatch):
    """Let float32 on this CPU be taken, core in the kernels' place, and count the operators' calls."""
    calls = []
    monkeypatch.setattr(kernels, "_INTERPRETED", True)
    monkeypatch.setattr(kernels, "_IS_THERE", True)
    monkeypatch.setattr(kernels, "WORTH_A_LAUNCH", 0)
    monkeypatch.setattr(kernels, "_computer", lambda x: calls.append(x.shape) or kernels._ByCore)
    return calls


LAYERS = {
    "BatchNorm": lambda: gnlib.BatchNorm(6),
    "BatchNorm, mean of all": lambda: gnlib.BatchNorm(6, momentum=None),
    "GhostBatchNorm": lambda: gnlib.GhostBatchNorm(6, 2),
    "InstanceNorm": lambda: gnlib.InstanceNorm(6, affine=True, track_running_stats=True),
    "GroupNorm": lambda: gnlib.GroupNorm(3, 6),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("build", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("compiled", [False, True], ids=["", "compiled"])
@LAYOUTS
def test_layers_go_by_the_kernels_and_end_as_by_core(build, training, compiled, last, everything_taken):
    x = skewed(4, 6, 4, 5, dtype=torch.float32, last=last)
    with gnlib.arithmetic("reference"):
        reference = build().double().train(training)
    layer = build().train(training)
    found = []
    torch.compiler.reset()
    for each, dtype in ((layer, torch.float32), (reference, torch.float64)):
        leaf = x.to(dtype).requires_grad_()
        call = torch.compile(each, fullgraph=True, backend="aot_eager") if compiled and each is layer else each
        y = call(leaf)
        gradients = torch.autograd.grad((y * skewed(*y.shape, seed=9).to(dtype)).sum(), [leaf, *each.parameters()])
        found.append([values.double() for values in (y, *gradients, *each.buffers())])
    same(*found, 2e-5)
    assert everything_taken
    assert found[0][0].stride() == found[0][1].stride() == x.stride()


# ---- the seam -------------------------------------------------------------------------------------------------------


@pytest.fixture
def taking(monkeypatch):
    """Let every activation be taken, and list by whom."""
    calls = []
    monkeypatch.setattr(kernels, "take", lambda *_: True)
    for name in ("normalize", "normalize_and_track", "normalize_by"):
        function = getattr(kernels, name)
        monkeypatch.setattr(kernels, name, lambda *given, f=function, n=name: calls.append(n) or f(*given))
    return calls


def test_what_is_taken_goes_to_the_kernels(taking):
    x, (weight, bias) = skewed(*SHAPE), skewed(2, 6, seed=1)
    same([fused.normalize(x, Grouping(2, 3), weight, bias)], [core.normalize(x, Grouping(2, 3), weight, bias)])
    kept = []
    for module in (fused, core):
        running = Running(torch.zeros(6), torch.ones(6), None, 0.1, True)
        y = module.normalize_and_track(x, Grouping(2, 6), running, weight, bias)
        kept.append((y, running.mean, running.var))
    same(*kept, 1e-6)
    same([fused.normalize_by(x, weight, bias + 9)], [core.normalize_by(x, weight, bias + 9)])
    assert taking == ["normalize", "normalize_and_track", "normalize_by"]
