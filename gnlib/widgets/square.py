"""The square as a figure: carries one activation and the state; draws nothing, computes nothing that is shown."""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anywidget
import torch
import traitlets
from torch import Tensor

from gnlib.core import Moments, moments, pool
from gnlib.grouping import Grouping

STATIC = Path(__file__).parent / "static"
MOST_VALUES = 65_536  # what a page can carry, and a slow machine redraw within a frame
PRECISIONS = {
    torch.float16: "float16",
    torch.bfloat16: "bfloat16",
    torch.float32: "float32",
    torch.float64: "float64",
}
PICTURE_SIZE = 96  # pixels; shown at half of that


def _built(name: str) -> str:
    """Read a file of the built front end.

    Raises:
        FileNotFoundError: it was never built; says how.
    """
    path = STATIC / name
    if not path.is_file():
        raise FileNotFoundError(f"{name} is not built: run `make frontend` (or `npm run build`) in the repository")
    return path.read_text("utf8")


class Square(anywidget.AnyWidget):
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

    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)  # anywidget declares it only for those who set it on the class
    # values cross as text: binary traits do not survive in a page without a kernel
    values = traitlets.Unicode().tag(sync=True)  # base64 of the little-endian values, row-major
    precision = traitlets.Unicode("float32").tag(sync=True)
    shape = traitlets.List(traitlets.Int()).tag(sync=True)
    title = traitlets.Unicode().tag(sync=True)
    name = traitlets.Unicode().tag(sync=True)
    sample_names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    channel_names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    sample_pictures = traitlets.List(traitlets.Unicode()).tag(sync=True)  # data: addresses

    sample_blocks = traitlets.Int(1).tag(sync=True)
    channel_groups = traitlets.Int(1).tag(sync=True)
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
        x = _activation(x)
        n_samples, n_channels, *positions = x.shape
        self._x: Tensor = x
        b, g = grouping.resolve(n_samples, n_channels)
        _check_length("sample_names", sample_names, n_samples, "sample")
        _check_length("channel_names", channel_names, n_channels, "channel")
        pictures = [] if sample_pictures is None else _pictures(sample_pictures, n_samples)
        super().__init__(
            _esm=_built("square.js"),
            _css=_built("square.css"),
            values=base64.b64encode(_little_endian(x)).decode("ascii"),
            precision=PRECISIONS[x.dtype],
            shape=list(x.shape),
            title=title,
            name=name,
            sample_names=list(sample_names),
            channel_names=list(channel_names),
            sample_pictures=pictures,
            **{"sample_blocks": b, "channel_groups": g, **_in_sight(n_samples, n_channels, positions), **traits},
        )

    @property
    def x(self) -> Tensor:
        """The activation as it is shown, on the CPU."""
        return self._x

    @property
    def grouping(self) -> Grouping:
        """The point that the figure shows, in whole numbers."""
        return Grouping(self.sample_blocks, self.channel_groups)

    @grouping.setter
    def grouping(self, grouping: Grouping) -> None:
        b, g = grouping.resolve(*self._x.shape[:2])
        with self.hold_trait_notifications():
            self.sample_blocks, self.channel_groups = b, g

    @property
    def moments(self) -> Moments:
        """Count, mean and variance of every block at the present point, each shape (b, g), of ``x`` as it was given."""
        return pool(moments(self._x), self.grouping)

    @traitlets.validate("sample_blocks", "channel_groups")
    def _divides(self, proposal: Any) -> int:
        count: int = proposal.value
        try:
            cut = Grouping(samples=count) if proposal.trait.name == "sample_blocks" else Grouping(channels=count)
            cut.resolve(*self._x.shape[:2])
        except ValueError as error:
            raise traitlets.TraitError(str(error)) from None
        return count

    @traitlets.validate("sample", "channel", "position", "spoiled_sample", "spoiled_channel")
    def _exists(self, proposal: Any) -> int | None:
        axis = proposal.trait.name.removeprefix("spoiled_")
        n_samples, n_channels, *positions = self._x.shape
        size = {"sample": n_samples, "channel": n_channels, "position": torch.Size(positions).numel()}[axis]
        index: int | None = proposal.value
        if index is not None and not 0 <= index < size:
            raise traitlets.TraitError(f"{proposal.trait.name} counts from 0: got {index}; 0 to {size - 1} would do")
        return index

    @traitlets.validate("weight", "bias")
    def _per_channel(self, proposal: Any) -> list[float]:
        n_channels = self._x.shape[1]
        numbers: list[float] = proposal.value
        if numbers and len(numbers) != n_channels:
            raise traitlets.TraitError(
                f"{proposal.trait.name} needs one number a channel: got {len(numbers)} for {n_channels} channels; "
                f"{n_channels} numbers or none would do"
            )
        return numbers


def _activation(given: Any) -> Tensor:
    """Bring what was given into a tensor that the figure can carry exactly, or say what would do."""
    try:
        x: Tensor = torch.as_tensor(given).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        kind = type(given).__name__
        raise TypeError(f"x must be a tensor or an array: got {kind}; torch.as_tensor says: {error}") from None
    shape = tuple(x.shape)
    if x.is_complex():
        raise TypeError(f"x must be real: got {x.dtype}; x.abs(), x.real or x.imag would do")
    if x.ndim < 2:
        raise ValueError(f"x must have shape (N, C, *), rank 2 or more: got shape {shape}; x.reshape(1, -1) would do")
    if x.numel() == 0:
        raise ValueError(f"x must have values to show: got shape {shape}, which has none; every axis must be 1 or more")
    if x.numel() > MOST_VALUES:
        raise ValueError(
            f"x must have at most {MOST_VALUES:,} values: got shape {shape}, {x.numel():,} values; "
            f"{_smaller(shape)} would do"
        )
    if x.dtype not in PRECISIONS:
        exact = x.double()  # whole numbers and the float8 types; a float64 holds all but the largest of them
        x = exact.float() if bool((exact.float().double() == exact).all()) else exact
    if not bool(torch.isfinite(x).all()):
        count = int((~torch.isfinite(x)).sum())
        raise ValueError(f"x must be finite: got {count:,} NaN or Inf of {x.numel():,} values; x.nan_to_num() would do")
    return x.contiguous()


def _in_sight(n_samples: int, n_channels: int, positions: list[int]) -> dict[str, int]:
    """Pick a first value away from the corner where the reader's hand begins: the middle of an inner cell."""
    middle = 0
    for size in positions:
        middle = middle * size + size // 2
    return {"sample": min(1, n_samples - 1), "channel": min(2, n_channels - 1), "position": middle}


def _smaller(shape: tuple[int, ...]) -> str:
    """Write the slice that brings a shape under the limit: thin the positions first, then cut samples and channels."""
    step = 1
    sizes = list(shape)
    while torch.Size(sizes).numel() > MOST_VALUES and max(sizes[2:], default=1) > 8:
        step *= 2
        sizes[2:] = [-(-size // step) for size in shape[2:]]
    while torch.Size(sizes).numel() > MOST_VALUES:
        axis = 0 if sizes[0] >= sizes[1] and sizes[0] > 1 else 1 if sizes[1] > 1 else sizes.index(max(sizes))
        sizes[axis] = -(-sizes[axis] // 2)
    parts = [f":{size}" if size < whole else ":" for size, whole in zip(sizes[:2], shape[:2], strict=True)]
    for size, whole in zip(sizes[2:], shape[2:], strict=True):
        stride = f"::{step}" if step > 1 else ":"
        parts.append(stride if size == -(-whole // step) else f":{size * step}:{step}" if step > 1 else f":{size}")
    return f"x[{', '.join(parts)}]"


def _little_endian(x: Tensor) -> bytes:
    whole_numbers = {2: torch.int16, 4: torch.int32, 8: torch.int64}[x.element_size()]
    values = x.view(whole_numbers).numpy()  # bit patterns: numpy knows no bfloat16
    return (values.byteswap() if sys.byteorder == "big" else values).tobytes()


def _check_length(argument: str, given: Sequence[str], size: int, what: str) -> None:
    if len(given) not in (0, size):
        raise ValueError(
            f"{argument} must name every {what}: got {len(given)} for {size} {what}s; {size} names or none would do"
        )


def _pictures(pictures: Any, n_samples: int) -> list[str]:
    """Turn pictures into small JPEGs inside ``data:`` addresses, which a page under a strict CSP may show."""
    from PIL import Image

    pictures = torch.as_tensor(pictures).detach().cpu().float()
    shape = tuple(pictures.shape)
    if len(shape) != 4 or shape[0] != n_samples or shape[1] not in (1, 3) or 0 in shape:
        raise ValueError(
            f"sample_pictures must have one picture a sample: got shape {shape}; "
            f"({n_samples}, 3, h, w) or ({n_samples}, 1, h, w) would do"
        )
    low, high = pictures.min().item(), pictures.max().item()
    if not (low >= 0 and high <= 1):  # also refuses NaN
        raise ValueError(
            f"sample_pictures must lie in [0, 1]: got {low:.3g} to {high:.3g}; pictures / 255 or clamp(0, 1) would do"
        )
    addresses = []
    for picture in (pictures * 255).round().byte().permute(0, 2, 3, 1):  # (h, w, 3 or 1)
        image = Image.fromarray(picture.expand(-1, -1, 3).contiguous().numpy())
        image.thumbnail((PICTURE_SIZE, PICTURE_SIZE))
        file = io.BytesIO()
        image.save(file, "JPEG", quality=85)
        addresses.append("data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii"))
    return addresses
