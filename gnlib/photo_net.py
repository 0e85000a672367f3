"""A small trained network whose norms can be moved around the square: three convolutions, ten classes of CIFAR-10.

It was trained with another grouping at every step, so that one set of weights works at every point;
``tools/make_photo_net.py`` made them. Knows no layer: its norms are core's ``normalize``, where a call puts them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gnlib.core import normalize
from gnlib.grouping import EACH, Grouping

FOLDER = Path(__file__).parent / "data" / "photo_net"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
WIDTHS = (16, 32, 32)  # channels after each convolution
STRIDES = (1, 2, 2)
SIDE = 32  # pixels
EARLIER = Grouping.group_norm(4)  # before the layer that is looked at

Normalize = Callable[..., Tensor]


class PhotoNet(nn.Module):
    """Classify images of 32×32 pixels: three times convolution, norm and ReLU, then the mean of each quarter, linear.

    ::

        image ─ conv 3→16 ─ norm ─ ReLU ─ conv 16→32, /2 ─ norm ─ ReLU ─ conv 32→32, /2 ─ norm ─ ReLU
              ─ mean of each quarter ─ linear 128→10

    Args:
        normalize: who computes the norms; must do as :func:`gnlib.normalize`.
    """

    def __init__(self, normalize: Normalize = normalize) -> None:
        super().__init__()
        widths = (3, *WIDTHS)
        self.normalize = normalize
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
            for before, after, stride in zip(widths[:-1], widths[1:], STRIDES, strict=True)
        )
        self.weights = nn.ParameterList(torch.ones(width) for width in WIDTHS)  # γ of each norm
        self.biases = nn.ParameterList(torch.zeros(width) for width in WIDTHS)  # β of each norm
        self.linear = nn.Linear(4 * WIDTHS[-1], len(CLASSES))

    def forward(self, images: Tensor, grouping: Grouping = EARLIER, *, layer: int = 1, tokens: bool = False) -> Tensor:
        """Return the scores of the ten classes.

        Args:
            images: RGB values in [0, 1], shape (N, 3, 32, 32).
            grouping: where the norms stand, from ``layer`` on; before it they are GroupNorm with 4 groups.
            layer: 1, 2 or 3: the first norm that stands at ``grouping``.
            tokens: whether the norms from ``layer`` on take every position as a sample of its own.
        Returns:
            scores, the logarithms of probabilities up to a constant, shape (N, 10).
        Raises:
            ValueError: the grouping does not fit the samples or channels, or there is no such layer.
        """
        x = self.activation(images, layer)
        rows = len(x) * (x[0, 0].numel() if tokens else 1)
        if grouping.samples == rows:  # each on its own, also where a layer has fewer
            grouping = Grouping(EACH, grouping.channels)
        for index in range(layer - 1, len(WIDTHS)):
            if index >= layer:
                x = self.convolutions[index](x)
            x = self.norm(x, index, same_kind(grouping, WIDTHS[layer - 1], WIDTHS[index]), tokens).relu()
        scores: Tensor = self.linear(functional.adaptive_avg_pool2d(x, 2).flatten(1))  # (N, 32, 2, 2) before
        return scores

    def activation(self, images: Tensor, layer: int) -> Tensor:
        """Return what comes to the norm of a layer, 1, 2 or 3: (N, 16, 32, 32), (N, 32, 16, 16), (N, 32, 8, 8)."""
        if layer not in range(1, len(WIDTHS) + 1):
            raise ValueError(f"layer must be 1, 2 or 3: got {layer}")
        x: Tensor = self.convolutions[0]((images - 0.5) / 0.25)
        for index in range(1, layer):
            x = self.convolutions[index](self.norm(x, index - 1, EARLIER, tokens=False).relu())
        return x

    def norm(self, x: Tensor, index: int, grouping: Grouping, tokens: bool) -> Tensor:
        """Normalize what comes to a norm, counted from 0, scale and shift it."""
        if not tokens:
            return self.normalize(x, grouping, self.weights[index], self.biases[index])
        N, C, H, W = x.shape
        rows = x.permute(0, 2, 3, 1).reshape(N * H * W, C)  # a sample: one position
        rows = self.normalize(rows, _thinned(grouping, len(rows)), self.weights[index], self.biases[index])
        return rows.view(N, H, W, C).permute(0, 3, 1, 2).contiguous()


def same_kind(grouping: Grouping, channels: int, others: int) -> Grouping:
    """Carry a grouping of some channels over to a layer of others: what is GroupNorm there is GroupNorm here.

    One group stays one group, every channel on its own stays so, and any other count stays as it is while two channels
    a group remain.
    """
    g = grouping.channels
    if g is EACH or g == 1:
        return grouping
    return Grouping(grouping.samples, EACH if g == channels else min(g, others // 2))


def _thinned(grouping: Grouping, rows: int) -> Grouping:
    """Carry the blocks of a layer's positions over to a layer of fewer: as many as still cut them evenly."""
    b = grouping.samples
    return Grouping(EACH if b is EACH else math.gcd(b, rows), grouping.channels)


def numbers(net: PhotoNet) -> Tensor:
    """List the parameters as the twin in the front end reads them: kernels, γ, β of each stage; then the rest."""
    stages = zip(net.convolutions, net.weights, net.biases, strict=True)
    parts = [part for convolution, *affine in stages for part in (convolution.weight, *affine)]
    return torch.cat([part.detach().flatten() for part in (*parts, net.linear.weight, net.linear.bias)])


def trained() -> PhotoNet:
    """Load the network with its trained weights, ready for evaluation; its norms have no running statistics."""
    net = PhotoNet()
    net.load_state_dict(read_safetensors((FOLDER / "photo_net.safetensors").read_bytes()))
    return net.float().eval().requires_grad_(False)


def record() -> dict[str, Any]:
    """Return how the weights were made, and the share of test images that the network gets right at some groupings."""
    made: dict[str, Any] = json.loads((FOLDER / "photo_net.json").read_text("utf8"))
    return made


def read_safetensors(data: bytes) -> dict[str, Tensor]:
    """Read tensors of float16 from the bytes of a safetensors file, a format of a header in JSON and plain values."""
    start = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    for name, entry in json.loads(data[8:start]).items():
        if name == "__metadata__":
            continue
        if entry["dtype"] != "F16":
            raise ValueError(f"tensors must be float16: got {entry['dtype']} of {name}; F16 would do")
        first, end = entry["data_offsets"]
        values = torch.frombuffer(bytearray(data[start + first : start + end]), dtype=torch.float16)
        tensors[name] = values.view(entry["shape"])
    return tensors
