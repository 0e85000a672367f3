"""Four free photographs and a bank of oriented filters: real feature maps without a download or a trained network.

Knows nothing about normalization.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

FOLDER = Path(__file__).parent / "data" / "photographs"
SCALE = 14.0  # gives the features of the four photographs a standard deviation near 1; fixed, so that they stay linear


@dataclass(frozen=True)
class Credit:
    """Who made a photograph, and under which licence it is here."""

    file: str
    title: str
    subject: str  # what is to be seen: for alternative texts
    author: str
    licence: str
    licence_url: str
    source: str  # package, version and name there

    def __str__(self) -> str:
        return f"{self.title}, by {self.author}, {self.licence} (cropped and resized from {self.source})"


def _credits() -> tuple[Credit, ...]:
    entries = tomllib.loads((FOLDER / "CREDITS.toml").read_text("utf8"))["photograph"]
    return tuple(Credit(**{name: entry[name] for name in Credit.__dataclass_fields__}) for entry in entries)


CREDITS = _credits()  # one a photograph, in the order of photographs()


@cache
def _originals() -> Tensor:
    pictures = []
    for credit in CREDITS:
        with Image.open(FOLDER / credit.file) as picture:
            rgb = picture.convert("RGB")
            values = torch.frombuffer(bytearray(rgb.tobytes()), dtype=torch.uint8)
        pictures.append(values.view(rgb.height, rgb.width, 3).permute(2, 0, 1))
    return torch.stack(pictures)  # (4, 3, 128, 128)


def photographs(size: int = 64) -> Tensor:
    """Load the cat, the cup, the astronaut and the flower.

    They differ in brightness and contrast, so that one sees what a normalization takes away. ``CREDITS`` names the
    photographers, in the same order.

    Args:
        size: height and width in pixels, from 1 to 128.
    Returns:
        RGB values in [0, 1], shape (4, 3, size, size), float32, a fresh tensor with every call.
    Raises:
        ValueError: the size is not between 1 and 128.
    """
    full = _originals().shape[-1]
    if not 1 <= size <= full:
        raise ValueError(f"size must be between 1 and {full}, the stored size: got {size}")
    return functional.interpolate(_originals() / 255, size=(size, size), mode="area")


def oriented_filters(images: Tensor, orientations: int = 8, size: int = 16) -> Tensor:
    r"""Look at images through a bank of oriented edge filters, as the first layer of a vision network does.

    Filter :math:`k` answers to brightness that rises in the direction :math:`\theta_k = 2\pi k / K`, counted
    anticlockwise from the right: the slope of the image, smoothed by a Gaussian,

    .. math:: w_k = s_k \left(\cos\theta_k\, \partial_x + \sin\theta_k\, \partial_y + d_k\right) * \mathcal{G}

    SIFT and HOG collect such slopes in histograms by direction. As in a trained layer, the filters differ in strength
    :math:`s_k`, by up to four times, and each lets through a little, :math:`d_k`, of the brightness itself; without it
    no channel would have a mean. There is no bias, so the features are linear in the image: an image three times as
    bright has features three times as large.

    Args:
        images: RGB images, shape (N, 3, height, width), a floating dtype.
        orientations: the number of directions :math:`K` round the full circle.
        size: height and width of the feature maps, in positions.
    Returns:
        Feature maps, shape (N, orientations, size, size), in the dtype of the images.
    Raises:
        ValueError: the images are not (N, 3, height, width).
    Source: Lowe 2004 (SIFT) and Dalal & Triggs 2005 (HOG), for the idea of features by direction.
    """
    if images.dim() != 4 or images.shape[1] != 3:
        raise ValueError(f"images must have shape (N, 3, height, width): got {tuple(images.shape)}")
    luma = images.new_tensor([0.299, 0.587, 0.114])  # ITU-R BT.601: how bright red, green and blue look
    grey = (images * luma.view(3, 1, 1)).sum(1, keepdim=True)  # (N, 1, height, width)
    grey = functional.interpolate(grey, size=(2 * size, 2 * size), mode="area")
    responses = functional.conv2d(functional.pad(grey, (2, 2, 2, 2), mode="replicate"), _bank(orientations).to(grey))
    return SCALE * functional.avg_pool2d(responses, 2)  # (N, orientations, size, size)


def _bank(orientations: int) -> Tensor:
    """The filters themselves, shape (orientations, 1, 5, 5), float64; correlated with the image, not flipped."""
    across = torch.arange(-2.0, 3.0, dtype=torch.float64)  # grows to the right
    up = -across.view(-1, 1)  # rows count downwards
    gauss = torch.exp(-(across**2 + up**2) / 2)
    gauss = gauss / gauss.sum()
    angle = torch.arange(orientations, dtype=torch.float64).view(-1, 1, 1) * (2 * math.pi / orientations)
    strength = 2 ** torch.cos(3 * angle)  # neighbours differ: 2, 0.6, 1, 1.6, 0.5, 1.6, 1, 0.6 for eight
    brightness = 0.05 + 0.1 * torch.cos(angle - 2)  # of either sign
    slope = (torch.cos(angle) * across + torch.sin(angle) * up) * gauss
    return (strength * (slope + brightness * gauss)).unsqueeze(1)
