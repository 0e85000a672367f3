"""What all figures share: a built module, a title, a name in the address, and tensors as text that a page can carry.

Draws nothing, computes nothing that is shown.
"""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

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


class Figure(anywidget.AnyWidget):
    """Stand for one figure in a page or a notebook: ``frontend/<stem>.jsx``, built.

    A figure computes everything that is shown in the browser; its traits cross both ways while a kernel is there.

    Args:
        title: the sentence above the figure; empty for the figure's own.
        name: what the figure is called in the address, as in ``#anchor?square.b=4``; empty: its stem, the next figure
            of a kind on a page ``square-2``, in the order of the page.
        traits: first values of the figure's traits.

    Raises:
        FileNotFoundError: the front end is not built; says how.
    """

    stem: ClassVar[str]

    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)  # anywidget declares it only for those who set it on the class
    title = traitlets.Unicode().tag(sync=True)
    name = traitlets.Unicode().tag(sync=True)

    def __init__(self, *, title: str = "", name: str = "", **traits: Any) -> None:
        module, style = _built(f"{self.stem}.js"), _built(f"{self.stem}.css")
        super().__init__(_esm=module, _css=style, title=title, name=name, **traits)


class CutFigure(Figure):
    """Stand for a figure of one activation whose table of cells the reader cuts into blocks.

    Args:
        x: activation, shape (N, C, *), real and finite, tensor or array; at most 65,536 values.
        grouping: the point shown first.
        arguments: as in :class:`Figure`.

    Attributes:
        sample_blocks, channel_groups: the point, b and g; one that does not divide its axis raises ``TraitError``.

    Raises:
        TypeError: ``x`` is complex, or no tensor at all.
        ValueError: ``x`` has rank below 2, no values, more than 65,536 values, or values that are not finite.
    """

    values = traitlets.Unicode().tag(sync=True)
    precision = traitlets.Unicode("float32").tag(sync=True)
    shape = traitlets.List(traitlets.Int()).tag(sync=True)
    sample_blocks = traitlets.Int(1).tag(sync=True)
    channel_groups = traitlets.Int(1).tag(sync=True)

    def __init__(self, x: Any, grouping: Grouping, **arguments: Any) -> None:
        self._x: Tensor = activation(x)
        b, g = grouping.resolve(*self._x.shape[:2])
        super().__init__(**carried(self._x), **{"sample_blocks": b, "channel_groups": g, **arguments})

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
        return divides(proposal, *self._x.shape[:2])

    @traitlets.validate("sample", "channel", "position")
    def _picked(self, proposal: Any) -> int:
        return self._exists(proposal)

    @traitlets.validate("weight")
    def _scale_per_channel(self, proposal: Any) -> list[float]:
        return self._per_channel(proposal)

    def _exists(self, proposal: Any) -> int:
        return exists(proposal, *self._x.shape)

    def _per_channel(self, proposal: Any) -> list[float]:
        """Refuse other than one number a channel, or none."""
        n_channels = self._x.shape[1]
        numbers: list[float] = proposal.value
        if numbers and len(numbers) != n_channels:
            raise traitlets.TraitError(
                f"{proposal.trait.name} needs one number a channel: got {len(numbers)} for {n_channels} channels; "
                f"{n_channels} numbers or none would do"
            )
        return numbers


def divides(proposal: Any, rows: int, channels: int) -> int:
    """Validate ``sample_blocks`` or ``channel_groups``: refuse a count that does not divide its axis."""
    count: int = proposal.value
    try:
        cut = Grouping(samples=count) if proposal.trait.name == "sample_blocks" else Grouping(channels=count)
        cut.resolve(rows, channels)
    except ValueError as error:
        raise traitlets.TraitError(str(error)) from None
    return count


def exists(proposal: Any, n_samples: int, n_channels: int, *positions: int) -> int:
    """Validate a pick: refuse an index that its axis does not have; the axis is the last word of the trait's name."""
    name, index = proposal.trait.name, int(proposal.value)
    axes = {"sample": n_samples, "channel": n_channels, "position": torch.Size(positions).numel()}
    size = axes[name.rpartition("_")[2]]
    if not 0 <= index < size:
        raise traitlets.TraitError(f"{name} counts from 0: got {index}; 0 to {size - 1} would do")
    return index


def _built(name: str) -> str:
    """Read a file of the built front end.

    Raises:
        FileNotFoundError: it was never built; says how.
    """
    path = STATIC / name
    if not path.is_file():
        raise FileNotFoundError(f"{name} is not built: run `make frontend` (or `npm run build`) in the repository")
    return path.read_text("utf8")


def carried(x: Tensor) -> dict[str, Any]:
    """Return the traits in which an activation crosses to the browser: ``values``, ``precision`` and ``shape``.

    As text: binary traits do not survive in a page without a kernel. Base64 of the little-endian values, row-major.
    """
    values = base64.b64encode(_little_endian(x)).decode("ascii")
    return {"values": values, "precision": PRECISIONS[x.dtype], "shape": list(x.shape)}


def activation(given: Any, most: int | None = MOST_VALUES, name: str = "x") -> Tensor:
    """Bring what was given as ``name`` into a tensor that a figure can carry exactly, or say what would do.

    most: values that the figure takes; None: any number.
    """
    try:
        x: Tensor = torch.as_tensor(given).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        kind = type(given).__name__
        raise TypeError(f"{name} must be a tensor or an array: got {kind}; torch.as_tensor says: {error}") from None
    shape = tuple(x.shape)
    if x.is_complex():
        raise TypeError(f"{name} must be real: got {x.dtype}; {name}.abs(), {name}.real or {name}.imag would do")
    if x.ndim < 2:
        raise ValueError(
            f"{name} must have shape (N, C, *), rank 2 or more: got shape {shape}; {name}.reshape(1, -1) would do"
        )
    if x.numel() == 0:
        raise ValueError(
            f"{name} must have values to show: got shape {shape}, which has none; every axis must be 1 or more"
        )
    if most is not None and x.numel() > most:
        raise ValueError(
            f"{name} must have at most {most:,} values: got shape {shape}, {x.numel():,} values; "
            f"{_smaller(shape, name)} would do"
        )
    if x.dtype not in PRECISIONS:
        exact = x.double()  # whole numbers and the float8 types; a float64 holds all but the largest of them
        x = exact.float() if bool((exact.float().double() == exact).all()) else exact
    if not bool(torch.isfinite(x).all()):
        count = int((~torch.isfinite(x)).sum())
        raise ValueError(
            f"{name} must be finite: got {count:,} NaN or Inf of {x.numel():,} values; {name}.nan_to_num() would do"
        )
    return x.contiguous()


def _smaller(shape: tuple[int, ...], name: str) -> str:
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
    return f"{name}[{', '.join(parts)}]"


def _little_endian(x: Tensor) -> bytes:
    whole_numbers = {2: torch.int16, 4: torch.int32, 8: torch.int64}[x.element_size()]
    values = x.view(whole_numbers).numpy()  # bit patterns: numpy knows no bfloat16
    return (values.byteswap() if sys.byteorder == "big" else values).tobytes()


def check_length(argument: str, given: Sequence[str], size: int, what: str) -> None:
    if len(given) not in (0, size):
        raise ValueError(
            f"{argument} must name every {what}: got {len(given)} for {size} {what}s; {size} names or none would do"
        )


def pictures(given: Any, n_samples: int) -> list[str]:
    """Turn pictures into small JPEGs inside ``data:`` addresses, which a page under a strict CSP may show."""
    from PIL import Image

    images = torch.as_tensor(given).detach().cpu().float()
    shape = tuple(images.shape)
    if len(shape) != 4 or shape[0] != n_samples or shape[1] not in (1, 3) or 0 in shape:
        raise ValueError(
            f"sample_pictures must have one picture a sample: got shape {shape}; "
            f"({n_samples}, 3, h, w) or ({n_samples}, 1, h, w) would do"
        )
    low, high = images.min().item(), images.max().item()
    if not (low >= 0 and high <= 1):  # also refuses NaN
        raise ValueError(
            f"sample_pictures must lie in [0, 1]: got {low:.3g} to {high:.3g}; pictures / 255 or clamp(0, 1) would do"
        )
    addresses = []
    for picture in (images * 255).round().byte().permute(0, 2, 3, 1):  # (h, w, 3 or 1)
        image = Image.fromarray(picture.expand(-1, -1, 3).contiguous().numpy())
        image.thumbnail((PICTURE_SIZE, PICTURE_SIZE))
        file = io.BytesIO()
        image.save(file, "JPEG", quality=85)
        addresses.append("data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii"))
    return addresses
