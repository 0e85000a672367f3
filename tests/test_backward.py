"""The Python side of the backward figure: what it carries, what it computes by autograd, what it refuses."""

from __future__ import annotations

import base64

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
import traitlets
from torch import Tensor

from gnlib import Grouping
from gnlib.widgets import Backward

generator = torch.Generator().manual_seed(4)
X = torch.randn(4, 6, 3, 5, generator=generator) * 2 + 1
GRAD = torch.randn(4, 6, 3, 5, generator=generator, dtype=torch.float64)
WEIGHT = [1.0, -0.5, 2.0, 0.25, 1.5, 3.0]


def through_torch(x: Tensor, grad: Tensor, b: int, g: int, eps: float, weight: Tensor) -> Tensor:
    """The gradient of torch's own group_norm, a block of samples turned into one sample of more positions."""
    x = x.clone().requires_grad_()
    N, C = x.shape[:2]
    S = x[0, 0].numel()
    blocks = x.reshape(b, N // b, C, S).transpose(1, 2).reshape(b, C, N // b * S)
    y = F.group_norm(blocks, g, eps=eps).reshape(b, C, N // b, S).transpose(1, 2).reshape(N, C, S)
    (dx,) = torch.autograd.grad((y * weight.view(C, 1)).reshape(x.shape), x, grad)
    return dx


@pytest.mark.parametrize("point", Grouping.legal(4, 6))
@pytest.mark.parametrize("eps", [1e-5, 0.3])
def test_the_input_gradient_is_torchs(point: tuple[int, int], eps: float):
    figure = Backward(X, GRAD, Grouping(*point), eps=eps, weight=WEIGHT, changed_x=[[7, 3.5]])
    x = X.double()
    x.view(-1)[7] = 3.5
    expected = through_torch(x, GRAD, *point, eps, torch.tensor(WEIGHT).double())
    assert torch.allclose(figure.input_gradient, expected, rtol=1e-10, atol=1e-12)


def test_the_first_push_is_one_at_the_picked_value_and_nothing_elsewhere():
    figure = Backward(X, sample=2, channel=3, position=4)
    expected = torch.zeros(4, 6, 15, dtype=torch.float64)
    expected[2, 3, 4] = 1
    assert torch.equal(figure.output_gradient.flatten(2), expected)
    assert figure.push == "alone"
    moved = figure.input_gradient.flatten(1).abs().amax(1) > 0  # LayerNorm: one sample is a block
    assert moved.tolist() == [False, False, True, False]


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_a_given_gradient_crosses_exactly_and_is_what_comes_in(dtype: torch.dtype):
    grad = GRAD.to(dtype)
    figure = Backward(X, grad)
    assert (figure.push, figure.changed_gradient) == ("given", [])
    assert figure.gradient_precision == str(dtype).removeprefix("torch.")
    assert base64.b64decode(figure.gradient) == grad.numpy().tobytes()
    assert torch.equal(figure.output_gradient, grad.double())


@pytest.mark.parametrize("push", ["alike", "along"])
@pytest.mark.parametrize("point", [(1, 1), (4, 3), (1, 6)])
def test_two_pushes_come_out_as_nothing(push: str, point: tuple[int, int]):
    figure = Backward(X, grouping=Grouping(*point), push=push, changed_gradient=[], weight=WEIGHT, eps=0.0)
    assert figure.output_gradient.abs().min() > 0
    assert figure.input_gradient.abs().max() < 1e-13


def test_where_gamma_is_0_nothing_is_pushed():
    figure = Backward(X, push="alike", changed_gradient=[], weight=[0.0, *WEIGHT[1:]])
    assert torch.equal(figure.output_gradient[:, 0], torch.zeros(4, 3, 5, dtype=torch.float64))
    assert torch.allclose(figure.output_gradient[:, 2], torch.tensor(0.5).double())


def test_what_a_browser_sends_is_what_python_reads():
    figure = Backward(X)
    figure.set_state({"changed_gradient": [[5, 2], [0, -1.5]], "changed_x": [[1, 4.25]], "channel_groups": 3})
    assert figure.changed_gradient == [[0, -1.5], [5, 2.0]]
    assert figure.output_gradient.flatten()[[0, 1, 5]].tolist() == [-1.5, 0, 2]
    assert figure.activation.flatten()[1] == 4.25
    assert torch.equal(figure.x, X)  # as it was given
    assert figure.grouping == Grouping(4, 3)
    figure.changed_gradient = [(3, 1)]
    assert figure.changed_gradient == [[3, 1.0]]


def test_what_a_kernel_needs_is_synchronised():
    synced = set(Backward.class_traits(sync=True))
    content = {"values", "precision", "shape", "gradient", "gradient_precision", "title", "name"}
    state = {
        "sample_blocks",
        "channel_groups",
        "sample",
        "channel",
        "position",
        "push",
        "changed_gradient",
        "changed_x",
    }
    assert content | state | {"weight", "eps", "w", "rate"} <= synced


@pytest.mark.parametrize(
    ("trait", "value", "message"),
    [
        ("channel_groups", 4, "got 6 channels and 4 groups; 1, 2, 3 or 6 would do"),
        ("position", 15, "position counts from 0: got 15; 0 to 14 would do"),
        ("push", "given", "push must be one of alone, alike, along: got 'given'"),
        ("changed_gradient", [[360, 1.0]], r"places from 0 to 359, finite values: got \[360, 1.0\]"),
        ("changed_gradient", [[0.5, 1.0]], r"takes pairs \(place, value\)"),
        ("changed_x", [[0, float("nan")]], "finite values"),
        ("changed_x", [3], "changed_x takes pairs"),
        ("weight", [1.0], "got 1 for 6 channels; 6 numbers or none would do"),
        ("w", [0.0, 0.0], r"w needs two weights, not both 0: got \[0.0, 0.0\]"),
        ("rate", 0.0, "rate must be above 0: got 0.0"),
    ],
)
def test_a_state_that_does_not_exist_is_refused(trait: str, value: object, message: str):
    figure = Backward(X)
    before = getattr(figure, trait)
    with pytest.raises(traitlets.TraitError, match=message):
        setattr(figure, trait, value)
    assert getattr(figure, trait) == before


@pytest.mark.parametrize(
    ("grad", "error", "message"),
    [
        (torch.ones(4, 6, 3), ValueError, r"grad must have x's shape: got \(4, 6, 3\) for x of \(4, 6, 3, 5\)"),
        (torch.full((4, 6, 3, 5), float("inf")), ValueError, r"grad must be finite: .*; grad.nan_to_num\(\) would do"),
        ("loss", TypeError, "grad must be a tensor or an array: got str"),
    ],
)
def test_a_gradient_that_cannot_be_one_of_x_is_refused(grad: object, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        Backward(X, grad)
