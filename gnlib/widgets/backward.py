"""The backward pass as a figure: carries an activation, an incoming gradient and the state; draws nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import traitlets
from torch import Tensor

from gnlib.core import apply, moments, normalize, pool
from gnlib.grouping import Grouping
from gnlib.widgets.figure import CutFigure, activation, carried

PUSHES = ("alone", "given", "alike", "along")


class Backward(CutFigure):
    r"""Show how a gradient comes back through the mean and the variance of its block, and let the reader push it.

    With :math:`d = \gamma \, dy`, means over the block:

    .. math:: dx = \frac{d - \overline{d} - \hat{x} \, \overline{d \, \hat{x}}}{\sqrt{\sigma^2_B + \epsilon}}

    All arithmetic of the figure runs in the browser; with a kernel behind it, the traits below follow the reader's hand
    and can be set from Python::

        backward = Backward(activation, grouping=Grouping.group_norm(2))
        backward.changed_gradient = [(5, 1.0)]  # dy of the sixth value, all others 0
        backward.input_gradient  # dx: what the figure's table says, by torch's own autograd

    Args:
        x: activation, shape (N, C, *), real and finite, tensor or array; at most 65,536 values. Small ones show best.
        grad: the gradient that comes in, dy, of x's shape; None: 0 everywhere but for 1 at the picked value.
        grouping: the point shown first.
        title: the sentence above the figure; empty for the figure's own.
        name: what the figure is called in the address, as in ``#anchor?backward.b=4``; empty: ``backward``, the next
            figure of a page ``backward-2``, in the order of the page.
        traits: first values of the traits below.

    Attributes:
        sample_blocks, channel_groups: the point, b and g; one that does not divide its axis raises ``TraitError``.
        sample, channel, position: the value picked, counted from 0; a cell's positions count on in row-major order.
        push: what dy is where the reader set nothing: ``"alone"`` 0, ``"given"`` as in ``grad``, ``"alike"`` 1 / γ,
            ``"along"`` x̂ / γ; no push where γ is 0.
        changed_gradient, changed_x: what the reader set: pairs of a place in the flattened tensor and a value.
        weight: γ of each channel, or empty for ones.
        eps: added to every variance.
        w, rate: the two weights of the neuron below, not both 0, and the size of its steps.

    Raises:
        TypeError: ``x`` or ``grad`` is complex, or no tensor at all.
        ValueError: ``x`` has rank below 2, no values, more than 65,536 values, or values that are not finite; ``grad``
            has another shape.
        FileNotFoundError: the front end is not built.
    """

    stem = "backward"

    gradient = traitlets.Unicode().tag(sync=True)  # as `values`, or empty
    gradient_precision = traitlets.Unicode("float32").tag(sync=True)

    sample = traitlets.Int(0).tag(sync=True)
    channel = traitlets.Int(0).tag(sync=True)
    position = traitlets.Int(0).tag(sync=True)
    push = traitlets.Unicode("alone").tag(sync=True)
    changed_gradient: Any = traitlets.List().tag(sync=True)
    changed_x: Any = traitlets.List().tag(sync=True)
    weight = traitlets.List(traitlets.Float()).tag(sync=True)
    eps = traitlets.Float(1e-5, min=0.0).tag(sync=True)
    w = traitlets.List(traitlets.Float(), [0.5, -0.8]).tag(sync=True)
    rate = traitlets.Float(1.0).tag(sync=True)

    def __init__(
        self,
        x: Any,
        grad: Any = None,
        grouping: Grouping = Grouping.layer_norm(),  # noqa: B008  frozen
        *,
        title: str = "",
        name: str = "",
        **traits: Any,
    ) -> None:
        x = activation(x)
        self._grad: Tensor | None = None if grad is None else activation(grad, name="grad")
        second = {"sample": min(1, x.shape[0] - 1), "channel": min(1, x.shape[1] - 1), "position": 0}
        picked: dict[str, Any] = {**second, **traits}
        if self._grad is None:
            n, c, p = (picked[axis] for axis in ("sample", "channel", "position"))
            S = x[0, 0].numel()
            first: dict[str, Any] = {"changed_gradient": [[(n * x.shape[1] + c) * S + p, 1.0]]}
        elif self._grad.shape != x.shape:
            raise ValueError(
                f"grad must have x's shape: got {tuple(self._grad.shape)} for x of {tuple(x.shape)}; "
                "the gradient of the norm's output would do"
            )
        else:
            carries = carried(self._grad)
            first = {"push": "given", "gradient": carries["values"], "gradient_precision": carries["precision"]}
        super().__init__(x, grouping, title=title, name=name, **{**picked, **first, **traits})

    @property
    def activation(self) -> Tensor:
        """The activation with the reader's changes, in float64, of x's shape."""
        return _changed(self._x.double(), self.changed_x)

    @property
    def output_gradient(self) -> Tensor:
        """The gradient dy that comes in, with the reader's changes, in float64, of x's shape."""
        x = self.activation
        if self.push == "given" and self._grad is not None:
            base = self._grad.double()
        elif self.push in ("alike", "along"):
            inverse = torch.tensor([1 / g if g else 0.0 for g in self.weight] or [1.0] * x.shape[1], dtype=x.dtype)
            along = normalize(x, self.grouping, eps=self.eps) if self.push == "along" else torch.ones_like(x)
            base = along * inverse.view(1, -1, *[1] * (x.ndim - 2))
        else:
            base = torch.zeros_like(x)
        return _changed(base, self.changed_gradient)

    @property
    def input_gradient(self) -> Tensor:
        """The gradient dx that reaches the activation, in float64, by autograd through :func:`gnlib.normalize`."""
        x = self.activation.requires_grad_()
        weight = torch.tensor(self.weight, dtype=torch.float64) if self.weight else None
        y = apply(x, pool(moments(x), self.grouping), weight, eps=self.eps)
        (dx,) = torch.autograd.grad(y, x, self.output_gradient)
        return dx

    @traitlets.validate("push")
    def _known(self, proposal: Any) -> str:
        push: str = proposal.value
        known = [one for one in PUSHES if one != "given" or self._grad is not None]
        if push not in known:
            raise traitlets.TraitError(f"push must be one of {', '.join(known)}: got {push!r}")
        return push

    @traitlets.validate("changed_gradient", "changed_x")
    def _places(self, proposal: Any) -> list[list[float]]:
        name, size = proposal.trait.name, self._x.numel()
        kept: dict[int, float] = {}
        for pair in proposal.value:
            if not _is_change(pair) or not 0 <= pair[0] < size:
                raise traitlets.TraitError(
                    f"{name} takes pairs (place, value), places from 0 to {size - 1}, finite values: got {pair!r}; "
                    f"[(0, 1.0)] would do"
                )
            kept[int(pair[0])] = float(pair[1])
        return [[place, kept[place]] for place in sorted(kept)]

    @traitlets.validate("w")
    def _has_a_direction(self, proposal: Any) -> list[float]:
        w: list[float] = proposal.value
        if len(w) != 2 or not any(w):
            raise traitlets.TraitError(f"w needs two weights, not both 0: got {w}; [0.5, -0.8] would do")
        return w

    @traitlets.validate("rate")
    def _goes_somewhere(self, proposal: Any) -> float:
        rate: float = proposal.value
        if not rate > 0:
            raise traitlets.TraitError(f"rate must be above 0: got {rate}; 1.0 would do")
        return rate


def _is_change(pair: Any) -> bool:
    if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
        return False
    place, value = pair
    return isinstance(place, int) and isinstance(value, int | float) and abs(value) < float("inf")


def _changed(values: Tensor, pairs: Sequence[Sequence[float]]) -> Tensor:
    result = values.clone()
    for place, value in pairs:
        result.view(-1)[int(place)] = value
    return result
