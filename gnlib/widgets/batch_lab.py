"""Batches drawn from a population of images: carries its table of cells and the state; draws nothing that is shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
import traitlets
from torch import Tensor

from gnlib.core import Moments, moments
from gnlib.grouping import Grouping
from gnlib.photographs import oriented_filters, photographs
from gnlib.widgets.figure import Figure, activation, carried, check_length, pictures

FILE = Path(__file__).parents[1] / "data" / "batch_lab.json"
DRAWS = 200  # batches
MOST = 64  # images in a batch
SIZES = (1, 2, 4, 8, 16, 32, 64)  # images in a batch, and images that share a statistic
MOST_CELLS = 16_384  # what a page can carry, and a slow machine pool within a frame
NORMS = ("batch_norm", "layer_norm", "group_norm", "instance_norm")
STATISTICS = ("mean", "spread")


class BatchLab(Figure):
    """Draw batches of 1 to 64 images, and show what a statistic of a batch is worth to the images in it.

    A batch's mean and variance are the pool of its images' cells, so the figure carries no image but one: of the
    population only the count, mean and variance of every cell. All arithmetic runs in the browser; with a kernel
    behind it, the traits below follow the reader's hand and can be set from Python::

        lab = BatchLab(activation)
        lab.batch_size = 8
        lab.drawn[:, :8]  # which images are in the 200 batches
        lab.population  # count, mean and variance of every image and channel, each (N, C)

    Args:
        x: activation, shape (N, C, *), real and finite, tensor or array; its N samples are the population, and N · C is
            at most 16,384. None: the oriented filters' answers to 256 test images of CIFAR-10, and to a cat.
        image: which sample of ``x`` is watched while its company changes. It has at most 65,536 values.
        title: the sentence above the figure; empty for the figure's own.
        name: what the figure is called in the address; empty: ``batch_lab``, the next figure of a page ``batch_lab-2``.
        image_name: what the watched sample is called, as in "the cat"; empty: by its number.
        image_picture: the picture that it was computed from, shape (3 or 1, h, w), in [0, 1].
        channel_names: what the channels respond to, C words.
        linear: whether x is linear in the image, without a bias, so that half of x is what half of the light gives.
        traits: first values of the traits below.

    Attributes:
        norm: "batch_norm", "layer_norm", "group_norm" or "instance_norm".
        batch_size: images in a batch, n: 1, 2, 4, … 64.
        samples_per_block: the most images of a batch that share a statistic; 64 for the whole batch, less for ghost
            batches.
        channel, position: the value watched, counted from 0; positions count on in row-major order.
        statistic: which guess is drawn, "mean" or "spread".
        seed: which 200 batches.
        draw: which of them is shown, from 0.
        momentum: the weight of a new batch in the running averages, above 0 and at most 1.
        light: what every activation of the test images is multiplied by, from 0.1 to 1.

    Raises:
        TypeError: ``x`` is complex, or no tensor at all.
        ValueError: ``x`` has rank below 2, too many cells, no such image, or values that are not finite.
        FileNotFoundError: the front end is not built.
    """

    stem = "batch_lab"

    values = traitlets.Unicode().tag(sync=True)  # of the watched image, shape (1, C, *)
    precision = traitlets.Unicode("float32").tag(sync=True)
    shape = traitlets.List(traitlets.Int()).tag(sync=True)
    means = traitlets.Unicode().tag(sync=True)  # of the population, (N, C), base64 as ``values``
    variances = traitlets.Unicode().tag(sync=True)
    population_precision = traitlets.Unicode("float16").tag(sync=True)
    images = traitlets.Int().tag(sync=True)  # N
    positions = traitlets.Int().tag(sync=True)  # values of every cell of the population
    image_name = traitlets.Unicode().tag(sync=True)
    image_picture = traitlets.Unicode().tag(sync=True)  # data: address
    channel_names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    linear = traitlets.Bool(False).tag(sync=True)

    norm = traitlets.Enum(NORMS, "batch_norm").tag(sync=True)
    batch_size = traitlets.Int(2).tag(sync=True)
    samples_per_block = traitlets.Int(MOST).tag(sync=True)
    channel = traitlets.Int(0).tag(sync=True)
    position = traitlets.Int(0).tag(sync=True)
    statistic = traitlets.Enum(STATISTICS, "mean").tag(sync=True)
    seed = traitlets.Int(0).tag(sync=True)
    draw = traitlets.Int(0).tag(sync=True)
    momentum = traitlets.Float(0.1).tag(sync=True)
    light = traitlets.Float(0.5).tag(sync=True)

    def __init__(
        self,
        x: Any = None,
        *,
        image: int = 0,
        image_picture: Any = None,
        channel_names: Sequence[str] = (),
        **arguments: Any,
    ) -> None:
        if x is None:
            cells, watched, more = _cifar_and_cat()
        else:
            cells, watched, more = _given(x, image)
        self._population, self._watched = cells, watched
        check_length("channel_names", channel_names, watched.shape[1], "channel")
        if image_picture is not None:
            more["image_picture"] = pictures(torch.as_tensor(image_picture)[None], 1)[0]
        if channel_names:
            more["channel_names"] = list(channel_names)
        means, variances = carried(cells.mean), carried(cells.var)
        traits = {
            **carried(watched),
            "means": means["values"],
            "variances": variances["values"],
            "population_precision": means["precision"],
            "images": cells.mean.shape[0],
            "positions": int(cells.count[0, 0]),
            **more,
            **arguments,
        }
        if "position" not in traits:
            traits["position"] = _farthest(cells, watched, int(traits.get("channel", 0)))
        super().__init__(**traits)

    @property
    def population(self) -> Moments:
        """Count, mean and variance of every image and channel that the batches are drawn from, each shape (N, C)."""
        count, mean, var = self._population
        return Moments(count, mean.double(), var.double())

    @property
    def image(self) -> Tensor:
        """The watched image's activation, shape (1, C, *), on the CPU."""
        return self._watched

    @property
    def drawn(self) -> Tensor:
        """Which images of the population are in the 200 batches, shape (200, 64); a batch of n is the first n of a row.

        Where the watched image stands in a batch, it takes the place of the first.
        """
        return drawn(self.seed, self.images)

    @property
    def grouping(self) -> Grouping:
        """The point of the square that normalizes a batch as the figure shows it."""
        n, groups = self.batch_size, _usual_groups(self._watched.shape[1])
        shared = min(self.samples_per_block, n)
        return {
            "batch_norm": Grouping.batch_norm() if shared == n else Grouping.ghost_batch_norm(n // shared),
            "layer_norm": Grouping.layer_norm(),
            "group_norm": Grouping.group_norm(groups),
            "instance_norm": Grouping.instance_norm(),
        }[self.norm]

    @traitlets.validate("batch_size", "samples_per_block")
    def _is_size(self, proposal: Any) -> int:
        size: int = proposal.value
        if size not in SIZES:
            sizes = ", ".join(map(str, SIZES[:-1]))
            raise traitlets.TraitError(f"{proposal.trait.name} must be {sizes} or {SIZES[-1]}: got {size}")
        return size

    @traitlets.validate("channel", "position", "draw", "seed")
    def _counts_inside(self, proposal: Any) -> int:
        index: int = proposal.value
        name = proposal.trait.name
        size = {
            "channel": self._watched.shape[1],
            "position": self._watched[0, 0].numel(),
            "draw": DRAWS,
            "seed": 2**31,
        }[name]
        if not 0 <= index < size:
            raise traitlets.TraitError(f"{name} must lie between 0 and {size - 1}: got {index}")
        return index

    @traitlets.validate("momentum", "light")
    def _is_weight(self, proposal: Any) -> float:
        value: float = proposal.value
        least, rule = (0.1, "from 0.1 to 1") if proposal.trait.name == "light" else (1e-4, "from 0.0001 to 1")
        if not least <= value <= 1:  # also refuses NaN
            raise traitlets.TraitError(f"{proposal.trait.name} must lie {rule}: got {value}")
        return value


def drawn(seed: int, images: int) -> Tensor:
    """Draw 200 batches of 64 indices below ``images``, with replacement; the twin of ``drawn`` in batch_draws.js.

    Args:
        seed: which batches, from 0.
        images: how many there are to draw from.
    Returns:
        indices, shape (200, 64), int64.
    """
    counter = _hash(torch.tensor(seed)) + torch.arange(DRAWS * MOST)
    return ((_hash(counter & 0xFFFFFFFF) * images) >> 32).view(DRAWS, MOST)


def _hash(x: Tensor) -> Tensor:
    """Spread the bits of whole numbers below 2³² over 32 bits (Ettinger's lowbias32)."""
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & 0xFFFFFFFF  # a product that overflows int64 keeps its lower bits
    x = ((x ^ (x >> 15)) * 0x846CA68B) & 0xFFFFFFFF
    return x ^ (x >> 16)


@cache
def _stored() -> dict[str, Any]:
    stored: dict[str, Any] = json.loads(FILE.read_text("utf8"))
    return stored


def _cifar_and_cat() -> tuple[Moments, Tensor, dict[str, Any]]:
    """Return the stored population, the cat's feature maps, and what they are called."""
    import base64

    stored = _stored()
    shape = (stored["images"], stored["channels"])

    def table(name: str) -> Tensor:
        return torch.frombuffer(bytearray(base64.b64decode(stored[name])), dtype=torch.float16).view(shape).clone()

    cat = photographs()[:1]
    cells = Moments(torch.full(shape, stored["positions"]), table("means"), table("variances"))
    channels = stored["channels"]
    more = {
        "image_name": "the cat",
        "image_picture": pictures(cat, 1)[0],
        "channel_names": [f"rising at {360 * k // channels}°" for k in range(channels)],
        "linear": True,
        "channel": 3,  # the channel whose mean differs most between images, next to its spread
    }
    return cells, oriented_filters(cat, channels).half(), more


def _given(x: Any, image: int) -> tuple[Moments, Tensor, dict[str, Any]]:
    given = activation(x, most=None)
    N, C = given.shape[:2]
    if N * C > MOST_CELLS:
        raise ValueError(
            f"x must have at most {MOST_CELLS:,} cells, samples times channels: got {N:,} × {C:,}; "
            f"x[:{max(1, MOST_CELLS // C)}{'' if C <= MOST_CELLS else f', :{MOST_CELLS}'}] would do"
        )
    if not 0 <= image < N:
        raise ValueError(f"image must be a sample of x: got {image} for {N} samples; 0 to {N - 1} would do")
    count, mean, var = moments(given.double())
    # as float32, so that a page need not carry more digits than anybody reads
    return Moments(count, mean.float(), var.float()), activation(given[image : image + 1]), {}


def _usual_groups(channels: int) -> int:
    """The largest legal G up to 32 that leaves two channels or more a group; the twin of ``usualGroups``."""
    return max((g for g in range(1, 33) if channels % g == 0 and channels // g >= 2), default=1)


def _farthest(cells: Moments, watched: Tensor, c: int) -> int:
    """The value of a channel that lies farthest from the population's mean: the one that feels its company most."""
    if not 0 <= c < watched.shape[1]:
        return 0  # refused in a moment, by its own validator
    return int((watched[0, c].double().flatten() - cells.mean[:, c].double().mean()).abs().argmax())
