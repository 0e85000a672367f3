"""Writes frontend/conv_net.golden.json: what gnlib.photo_net says, for the front end's twin to agree with.

Run ``python -m tests.conv_net_golden`` after a change in photo_net.py; a test says when the file is stale. Parameters
and pixels are a formula that both languages know, so the file holds results alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gnlib import Grouping
from gnlib.photo_net import PhotoNet

FILE = Path(__file__).parents[1] / "frontend" / "conv_net.golden.json"
SHAPES = [(4, 8, 8), (1, 1, 1), (3, 5, 6), (2, 16, 4)]  # N, H, W


def main() -> None:
    FILE.write_text(text())


def network() -> PhotoNet:
    """Number i is ((7919·i mod 1000) − 499.5) / 2500, in the order of ``gnlib.photo_net.numbers``."""
    net = PhotoNet().double()
    start = 0
    stages = zip(net.convolutions, net.weights, net.biases, strict=True)
    parts = [part for convolution, *affine in stages for part in (convolution.weight, *affine)]
    for part in (*parts, net.linear.weight, net.linear.bias):
        i = torch.arange(start, start + part.numel())
        part.data = (((7919 * i % 1000) - 499.5).double() / 2500).view(part.shape)
        start += part.numel()
    return net


def images(n: int, h: int, w: int) -> Tensor:
    """Pixel i has the byte 37·i·i mod 256."""
    i = torch.arange(n * 3 * h * w)
    return (37 * i * i % 256).double().view(n, 3, h, w) / 255


def _points(net: PhotoNet, given: Tensor, layer: int, tokens: bool) -> list[tuple[int, int]]:
    x = net.activation(given, layer)
    rows = len(x) * (x[0, 0].numel() if tokens else 1)
    legal = Grouping.legal(rows, x.shape[1])
    return legal[:: max(1, len(legal) // 9)] + legal[-1:]


@torch.no_grad()
def text() -> str:
    """One case a line."""
    net = network()
    cases: list[dict[str, Any]] = []
    for shape in SHAPES:
        given = images(*shape)
        for layer in (1, 2, 3):
            x = net.activation(given, layer)
            for tokens in (False, True):
                for b, g in _points(net, given, layer, tokens):
                    scores = net(given, Grouping(b, g), layer=layer, tokens=tokens)
                    case = {"shape": list(shape), "layer": layer, "tokens": tokens, "b": b, "g": g}
                    case |= {
                        "mean": x.mean().item(),
                        "last": x.flatten()[-1].item(),
                        "scores": scores.flatten().tolist(),
                    }
                    cases.append(case)
    rounded = (json.dumps(case, default=float) for case in cases)
    return "[\n" + ",\n".join(rounded) + "\n]\n"


if __name__ == "__main__":
    main()
