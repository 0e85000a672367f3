"""The square as a figure: carries one activation and the state; draws nothing, computes nothing that is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import traitlets

from gnlib.grouping import Grouping
from gnlib.widgets.figure import CutFigure, activation, check_length, pictures


class Square(CutFigure):
    """Show how an activation is cut into blocks that share a mean and a variance, and let the reader cut it.

    Right in the figure means more channel groups, down more sample blocks. All arithmetic of the figure runs in the
    browser; with a kernel behind it, the traits below follow the reader's hand and can be set from Python::

        square = Square(activation, Grouping.group_norm(4))
        square.grouping = Grouping.batch_norm()
        square.moments.mean  # (b, g): what the figure's table says

    Args:
        x: activation, shape (N, C, *), real and finite, tensor or array; at most 65,536 values.
        grouping: the point shown first.
        title: the sentence above the figure; empty for the figure's own.
        name: what the figure is called in the address, as in ``#anchor?square.b=4``; empty: ``square``, the next figure
            of a page ``square-2``, in the order of the page.
        sample_names: what the samples show, N words.
        channel_names: what the channels respond to, C words.
        sample_pictures: the pictures that the samples were computed from, shape (N, 3 or 1, h, w), in [0, 1].
        traits: first values of the traits below.

    Attributes:
        sample_blocks, channel_groups: the point, b and g; one that does not divide its axis raises ``TraitError``.
        sample, channel, position: the value picked, counted from 0; a cell's positions count on in row-major order.
        spoiled_sample, spoiled_channel: which one is multiplied by 3, or None.
        evaluating: whether blocks that span samples use running statistics instead of their own.
        steps: updates with this batch, momentum 0.1, that the running statistics have seen.
        weight, bias: γ and β of each channel, or empty for ones and zeros.
        eps: added to every variance.

    Raises:
        TypeError: ``x`` is complex, or no tensor at all.
        ValueError: ``x`` has rank below 2, no values, more than 65,536 values, or values that are not finite.
        FileNotFoundError: the front end is not built.
    """

    stem = "square"

    sample_names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    channel_names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    sample_pictures = traitlets.List(traitlets.Unicode()).tag(sync=True)  # data: addresses

    sample = traitlets.Int(0).tag(sync=True)
    channel = traitlets.Int(0).tag(sync=True)
    position = traitlets.Int(0).tag(sync=True)
    spoiled_sample = traitlets.Int(None, allow_none=True).tag(sync=True)
    spoiled_channel = traitlets.Int(None, allow_none=True).tag(sync=True)
    evaluating = traitlets.Bool(False).tag(sync=True)
    steps = traitlets.Int(10, min=0).tag(sync=True)
    weight = traitlets.List(traitlets.Float()).tag(sync=True)
    bias = traitlets.List(traitlets.Float()).tag(sync=True)
    eps = traitlets.Float(1e-5, min=0.0).tag(sync=True)

    def __init__(
        self,
        x: Any,
        grouping: Grouping = Grouping(),  # noqa: B008  frozen
        *,
        title: str = "",
        name: str = "",
        sample_names: Sequence[str] = (),
        channel_names: Sequence[str] = (),
        sample_pictures: Any = None,
        **traits: Any,
    ) -> None:
        x = activation(x)
        n_samples, n_channels, *positions = x.shape
        check_length("sample_names", sample_names, n_samples, "sample")
        check_length("channel_names", channel_names, n_channels, "channel")
        super().__init__(
            x,
            grouping,
            title=title,
            name=name,
            sample_names=list(sample_names),
            channel_names=list(channel_names),
            sample_pictures=[] if sample_pictures is None else pictures(sample_pictures, n_samples),
            **{**_in_sight(n_samples, n_channels, positions), **traits},
        )

    @traitlets.validate("spoiled_sample", "spoiled_channel")
    def _none_or_exists(self, proposal: Any) -> int | None:
        return None if proposal.value is None else self._exists(proposal)

    @traitlets.validate("bias")
    def _shift_per_channel(self, proposal: Any) -> list[float]:
        return self._per_channel(proposal)


def _in_sight(n_samples: int, n_channels: int, positions: list[int]) -> dict[str, int]:
    """Pick a first value away from the corner where the reader's hand begins: the middle of an inner cell."""
    middle = 0
    for size in positions:
        middle = middle * size + size // 2
    return {"sample": min(1, n_samples - 1), "channel": min(2, n_channels - 1), "position": middle}
