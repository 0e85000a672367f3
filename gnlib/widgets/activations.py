"""A small trained network as a figure: carries its weights, images and the state; computes nothing that is shown."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import torch
import traitlets
from torch import Tensor

from gnlib.core import Moments, moments, pool
from gnlib.grouping import Grouping
from gnlib.photo_net import CLASSES, WIDTHS, PhotoNet, numbers, record, trained
from gnlib.photographs import photographs
from gnlib.widgets.figure import MOST_VALUES, Figure, carried, check_length, divides, exists

CHANGES = ("none", "brightness", "contrast", "channel")
MOST = 2.0  # standard deviations, or doublings
SIDE = 32  # pixels of the photographs: what the network was trained on


class Activations(Figure):
    """Show what comes to a norm layer of a small trained network, what leaves it, and what the network then says.

    The network is :class:`gnlib.photo_net.PhotoNet`, whose weights work at every point of the square. From the chosen
    layer on its norms stand where the reader puts them; before it they are GroupNorm with 4 groups. All arithmetic runs
    in the browser; with a kernel behind it, the traits below follow the reader's hand and can be set from Python::

        figure = Activations()
        figure.grouping = Grouping.instance_norm()
        figure.scores.softmax(1)  # (N, 10): what the figure's bars say

    Args:
        images: RGB images in [0, 1], shape (N, 3, h, w), rounded to 8 bits; 16 · N · h · w is at most 65,536, as with
            four images of 32 × 32. None: the four photographs of ``gnlib.photographs``.
        grouping: the point shown first.
        layer: the norm layer shown first, 1, 2 or 3.
        sample_names: what the images show, N words.
        classes: the class that each image belongs to, N of ``gnlib.photo_net.CLASSES``, or "" where none fits.
        title: the sentence above the figure; empty for the figure's own.
        name: what the figure is called in the address, as in ``#anchor?activations.g=4``; empty: ``activations``.
        traits: first values of the traits below.

    Attributes:
        layer: which norm, 1, 2 or 3.
        tokens: whether every position is a sample of its own, N · h · w of them, or every image.
        sample_blocks, channel_groups: the point, b and g; one that does not divide its axis raises ``TraitError``.
        sample, channel, position: the value picked, counted from 0; a map's positions count on in row-major order.
        change: what is done to the layer's input: "none", "brightness" (a number is added to all of the picked image),
            "contrast" (all of the picked image is multiplied) or "channel" (the picked channel of all images is).
        amount: standard deviations of the layer's whole input to add, or the power of two to multiply by; −2 to 2.

    Raises:
        ValueError: the images have another shape, are too many or too large, or do not lie in [0, 1].
        FileNotFoundError: the front end is not built.
    """

    stem = "activations"

    images = traitlets.Unicode().tag(sync=True)  # base64 of one byte a value, (N, 3, h, w)
    shape = traitlets.List(traitlets.Int()).tag(sync=True)  # N, h, w
    network = traitlets.Unicode().tag(sync=True)  # base64 of float16, see gnlib.photo_net.numbers
    accuracy = traitlets.Dict().tag(sync=True)  # percent of the test images, by point
    sample_names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    classes = traitlets.List(traitlets.Unicode()).tag(sync=True)

    layer = traitlets.Int(1, min=1, max=len(WIDTHS)).tag(sync=True)
    tokens = traitlets.Bool(False).tag(sync=True)
    sample_blocks = traitlets.Int(1).tag(sync=True)
    channel_groups = traitlets.Int(1).tag(sync=True)
    sample = traitlets.Int(0).tag(sync=True)
    channel = traitlets.Int(0).tag(sync=True)
    position = traitlets.Int(0).tag(sync=True)
    change = traitlets.Enum(CHANGES, "none").tag(sync=True)
    amount = traitlets.Float(1.0, min=-MOST, max=MOST).tag(sync=True)

    def __init__(
        self,
        images: Any = None,
        grouping: Grouping = Grouping.layer_norm(),  # noqa: B008  frozen
        *,
        layer: int = 1,
        sample_names: Sequence[str] = (),
        classes: Sequence[str] = (),
        title: str = "",
        name: str = "",
        **traits: Any,
    ) -> None:
        if images is None:
            images = photographs(SIDE)
            sample_names = sample_names or ["cat", "cup", "astronaut", "flower"]
            classes = classes or ["cat", "", "", ""]
        pixels = _pixels(images)
        n_samples, _, height, width = pixels.shape
        check_length("sample_names", sample_names, n_samples, "image")
        check_length("classes", classes, n_samples, "image")
        if unknown := set(classes) - {"", *CLASSES}:
            raise ValueError(
                f"classes must be those of the network: got {sorted(unknown)}; '' or {', '.join(CLASSES)} would do"
            )
        self._pixels = pixels
        self._net: PhotoNet = trained()
        self._size = (n_samples, height, width)
        if layer not in range(1, len(WIDTHS) + 1):
            raise ValueError(f"layer must be 1, 2 or 3: got {layer}")
        tokens = bool(traits.get("tokens", False))
        C, H, W = self._shape_at(layer)
        b, g = grouping.resolve(n_samples * H * W if tokens else n_samples, C)
        first = {"layer": layer, "tokens": tokens, "sample_blocks": b, "channel_groups": g}
        middle = {"channel": min(1, C - 1), "position": H // 2 * W + W // 2}
        super().__init__(
            title=title,
            name=name,
            images=base64.b64encode(pixels.numpy().tobytes()).decode("ascii"),
            shape=[n_samples, height, width],
            network=carried(numbers(self._net).half()[None])["values"],
            accuracy=record()["accuracy"],
            sample_names=list(sample_names),
            classes=list(classes),
            **{**first, **middle, **traits},
        )

    @property
    def activation(self) -> Tensor:
        """What comes to the norm of the chosen layer, before any change, shape (N, C, h, w)."""
        return self._net.activation(self._pixels / 255, self.layer)

    @property
    def grouping(self) -> Grouping:
        """The point that the figure shows, in whole numbers."""
        return Grouping(self.sample_blocks, self.channel_groups)

    @grouping.setter
    def grouping(self, grouping: Grouping) -> None:
        b, g = grouping.resolve(self._rows(), WIDTHS[self.layer - 1])
        with self.hold_trait_notifications():
            self.sample_blocks, self.channel_groups = b, g

    @property
    def moments(self) -> Moments:
        """Count, mean and variance of every block at the present point, each shape (b, g), before any change."""
        x = self.activation
        if self.tokens:
            x = x.permute(0, 2, 3, 1).flatten(0, 2)  # (N·h·w, C)
        return pool(moments(x), self.grouping)

    @property
    def scores(self) -> Tensor:
        """The network's scores of the ten classes at the present point, before any change, shape (N, 10)."""
        return self._net(self._pixels / 255, self.grouping, layer=self.layer, tokens=self.tokens)  # type: ignore[no-any-return]

    def _shape_at(self, layer: int) -> tuple[int, int, int]:
        """Channels, height and width of what comes to a layer's norm."""
        _, height, width = self._size
        halvings = layer - 1
        return WIDTHS[layer - 1], -(-height // 2**halvings), -(-width // 2**halvings)

    def _rows(self) -> int:
        """Samples of the chosen layer's norm: images, or positions."""
        _, H, W = self._shape_at(self.layer)
        return self._size[0] * (H * W if self.tokens else 1)

    @traitlets.validate("sample_blocks", "channel_groups")
    def _divides(self, proposal: Any) -> int:
        return divides(proposal, self._rows(), WIDTHS[self.layer - 1])

    @traitlets.validate("sample", "channel", "position")
    def _exists(self, proposal: Any) -> int:
        return exists(proposal, self._size[0], *self._shape_at(self.layer))

    @traitlets.observe("layer", "tokens")
    def _stay_legal(self, _: Any) -> None:
        """Keep the point and the pick where another layer, or other samples, allow them."""
        if not self.shape:
            return  # still under construction
        C, H, W = self._shape_at(self.layer)
        rows = self._rows()
        with self.hold_trait_notifications():
            self.sample_blocks = self.sample_blocks if rows % self.sample_blocks == 0 else rows
            self.channel_groups = self.channel_groups if C % self.channel_groups == 0 else C
            self.channel = min(self.channel, C - 1)
            self.position = min(self.position, H * W - 1)


def _pixels(given: Any) -> Tensor:
    """Bring images into bytes, or say what would do."""
    images = torch.as_tensor(given).detach().cpu().float()
    shape = tuple(images.shape)
    if len(shape) != 4 or shape[1] != 3 or 0 in shape:
        raise ValueError(f"images must have shape (N, 3, h, w): got shape {shape}; (4, 3, 32, 32) would do")
    n_samples, _, height, width = shape
    if n_samples * WIDTHS[0] * height * width > MOST_VALUES:
        most = MOST_VALUES // (WIDTHS[0] * height * width)
        side = int((MOST_VALUES / WIDTHS[0] / n_samples) ** 0.5)
        ways = [f"images[:{most}]"] * (most > 0) + [f"{side} × {side} pixels"] * (side > 0)
        raise ValueError(
            f"images must have at most {MOST_VALUES // WIDTHS[0]:,} pixels in all: got shape {shape}, "
            f"{n_samples * height * width:,} pixels; {' or '.join(ways) or 'fewer images'} would do"
        )
    low, high = images.min().item(), images.max().item()
    if not (low >= 0 and high <= 1):  # also refuses NaN
        raise ValueError(
            f"images must lie in [0, 1]: got {low:.3g} to {high:.3g}; images / 255 or clamp(0, 1) would do"
        )
    return (images * 255).round().byte().contiguous()
