"""The networks that are trained. Each takes its norm as a function of the channel count, and knows none by name.

Input (N, channels, height, width), output (N, classes): scores before the softmax.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

Norm = Callable[[int], nn.Module]  # channels -> layer


class VGG(nn.Module):
    """Stack 13 convolutions, as the annotated implementation does in its CIFAR-10 experiments.

    After every stage a 2 × 2 maximum halves the map: 32, 16, 8, 4, 2, 1. The convolutions keep their bias, which a norm
    makes idle; so did the origin. With a γ and a β for every channel it has 14,728,266 parameters.

    Source: Simonyan & Zisserman 2014 (arXiv:1409.1556); labml.ai, ``labml_nn/experiments/cifar10.py``.
    """

    STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))

    def __init__(self, norm: Norm, channels: int = 3, classes: int = 10) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for stage in self.STAGES:
            for width in stage:
                layers.append(nn.Conv2d(channels, width, 3, padding=1))
                layers += [norm(width), nn.ReLU(inplace=True)]
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.scores = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.scores(self.features(x).flatten(1))
        return scores


class Residual(nn.Module):
    """Add to x what two convolutions make of it; where the shape changes, a 1 × 1 convolution brings x along.

    Source: He et al. 2016 (arXiv:1512.03385).
    """

    def __init__(self, norm: Norm, channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.norm1 = norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = norm(width)
        same = stride == 1 and channels == width
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels, width, 1, stride, bias=False)

    @property
    def last_norm(self) -> nn.Module:
        return self.norm2

    def forward(self, x: Tensor) -> Tensor:
        change = self.norm2(self.conv2(functional.relu(self.norm1(self.conv1(x)))))
        return functional.relu(self.shortcut(x) + change)


class ResNet8(nn.Module):
    """Stack three residual blocks of 16, 32 and 64 channels: small enough for a laptop, 0.08 million parameters.

    Source: He et al. 2016 (arXiv:1512.03385), section 4.2, with n = 1 and 1 × 1 convolutions as shortcuts.
    """

    WIDTHS = (16, 32, 64)

    def __init__(self, norm: Norm, channels: int = 3, classes: int = 10) -> None:
        super().__init__()
        first = self.WIDTHS[0]
        self.stem = nn.Sequential(nn.Conv2d(channels, first, 3, padding=1, bias=False), norm(first), nn.ReLU())
        widths = pairwise((first, *self.WIDTHS))
        self.blocks = nn.Sequential(
            *(Residual(norm, *pair, stride=1 if k == 0 else 2) for k, pair in enumerate(widths))
        )
        self.scores = nn.Linear(self.WIDTHS[-1], classes)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.scores(self.blocks(self.stem(x)).mean((2, 3)))
        return scores


class ResNet9(nn.Module):
    """Learn fast: few, wide layers, two of them residual, 6.6 million parameters.

    ``whitened`` puts a frozen convolution in front, whose filters :meth:`whiten` takes from the training images.

    Source: Page 2018, "How to train your ResNet"; whitening as in Jordan 2024 (arXiv:2404.00498).
    """

    WIDTHS = (64, 128, 256, 512)
    PATCH = 2  # pixels, the whitening filters' side

    def __init__(self, norm: Norm, channels: int = 3, classes: int = 10, *, whitened: bool = False) -> None:
        super().__init__()
        self.whitening: nn.Conv2d | None = None
        if whitened:
            values = channels * self.PATCH**2
            self.whitening = nn.Conv2d(channels, 2 * values, self.PATCH, bias=False)
            channels = 2 * values
        a, b, c, d = self.WIDTHS
        self.stem = _Stage(norm, channels, a, pool=False)
        self.stage1 = nn.Sequential(_Stage(norm, a, b), _Bypass(norm, b))
        self.stage2 = _Stage(norm, b, c)
        self.stage3 = nn.Sequential(_Stage(norm, c, d), _Bypass(norm, d))
        self.scores = nn.Linear(d, classes, bias=False)
        initialize(self)
        if self.whitening is not None:
            self.whitening.weight.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        if self.whitening is not None:
            x = functional.pad(self.whitening(x), (0, 1, 0, 1))  # 31 × 31 back to 32 × 32
        x = self.stage3(self.stage2(self.stage1(self.stem(x))))
        scores: Tensor = self.scores(x.amax((2, 3))) / 8  # keeps the first losses small, as Page does
        return scores

    @torch.no_grad()
    def whiten(self, images: Tensor, eps: float = 5e-4) -> None:
        """Set the first filters so that they whiten the patches of ``images``: uncorrelated, variance 1.

        Args:
            images: standardized training images, shape (n, channels, height, width); a few thousand are enough.
            eps: added to the patches' variances, in units of pixel²; keeps the faintest directions from exploding.
        """
        if self.whitening is None:
            return
        k = self.PATCH
        patches = images.float().unfold(2, k, 1).unfold(3, k, 1)  # (n, channels, h, w, k, k)
        rows = patches.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(0, 2)  # (patches, channels·k²)
        variances, directions = torch.linalg.eigh(torch.cov(rows.T).cpu())
        filters = directions.T / (variances[:, None] + eps).sqrt()  # (channels·k², channels·k²)
        both = torch.cat([filters, -filters])  # a ReLU would lose one side
        self.whitening.weight.copy_(both.view_as(self.whitening.weight))


class _Stage(nn.Sequential):
    """Convolve, halve the map, normalize: the maximum first, so that the norm has a quarter to do."""

    def __init__(self, norm: Norm, channels: int, width: int, pool: bool = True) -> None:
        halve = [nn.MaxPool2d(2)] if pool else []
        super().__init__(
            nn.Conv2d(channels, width, 3, padding=1, bias=False), *halve, norm(width), nn.ReLU(inplace=True)
        )


class _Bypass(nn.Module):
    """Add to x what two stages make of it."""

    def __init__(self, norm: Norm, width: int) -> None:
        super().__init__()
        self.first, self.second = (_Stage(norm, width, width, pool=False) for _ in range(2))

    @property
    def last_norm(self) -> nn.Module:
        return self.second[-2]

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.second(self.first(x))
        return x + change


class DigitsNet(nn.Module):
    """Read 8 × 8 digits: a convolution at full size, then each halves the map, 8, 4, 2, 1.

    Args:
        norm: channels to layer.
        channels: of the images.
        classes: of the answers.
        stages: convolutions, 1 to 4. The last map is 1 × 1 with four of them and 2 × 2 with three; that decides how
            many values stand behind a statistic.
    """

    WIDTHS = (16, 32, 64, 64)

    def __init__(self, norm: Norm, channels: int = 1, classes: int = 10, stages: int = 4) -> None:
        super().__init__()
        widths = pairwise((channels, *self.WIDTHS[:stages]))
        layers: list[nn.Module] = []
        for k, (before, after) in enumerate(widths):
            layers += [nn.Conv2d(before, after, 3, 1 if k == 0 else 2, padding=1, bias=False), norm(after), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.scores = nn.Linear(self.WIDTHS[stages - 1], classes)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.scores(self.features(x).mean((2, 3)))
        return scores


MODELS: dict[str, Callable[[Norm, int, int], nn.Module]] = {
    "resnet9": ResNet9,
    "resnet9-whitened": lambda norm, channels, classes: ResNet9(norm, channels, classes, whitened=True),
    "resnet8": ResNet8,
    "vgg": VGG,
    "digits": DigitsNet,
    "digits-2x2": lambda norm, channels, classes: DigitsNet(norm, channels, classes, stages=3),
}
"""Name to constructor: norm, image channels, classes -> network."""


@cache
def widths(model: str) -> list[int]:
    """List the channel counts that a model asks its norm for, each once, in ascending order."""
    asked: set[int] = set()

    def note(channels: int) -> nn.Module:
        asked.add(channels)
        return nn.Identity()

    with torch.device("meta"):
        MODELS[model](note, 3, 10)
    return sorted(asked)


def initialize(model: nn.Module) -> None:
    """Draw the convolutions' weights so that a ReLU network keeps its scale from layer to layer.

    Source: He et al. 2015 (arXiv:1502.01852), by the number of outputs.
    """
    for module in model.modules():
        # without numbers, as on the meta device, there is nothing to draw, and torch would load its compiler to do so
        if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


@torch.no_grad()
def zero_gamma(model: nn.Module) -> None:
    """Set γ to 0 in the last norm of every residual branch, so that each block begins as the identity.

    Source: Goyal et al. 2017 (arXiv:1706.02677), section 5.1; used by Wu & He 2018 (arXiv:1803.08494).
    """
    for module in model.modules():
        if isinstance(module, (Residual, _Bypass)):
            weight = getattr(module.last_norm, "weight", None)
            if weight is not None:
                nn.init.zeros_(weight)


class StandardizedWeight(nn.Module):
    """Standardize each filter: mean 0 and variance 1 over all that it sees of its input.

    Source: Qiao et al. 2019 (arXiv:1903.10520).
    """

    def forward(self, weight: Tensor) -> Tensor:
        var, mean = torch.var_mean(weight, (1, 2, 3), correction=0, keepdim=True)  # (out, 1, 1, 1)
        # over a fan-in of n values a filter of variance 1 would make sums of variance n: / √n keeps the scale
        return (weight - mean) / (var * weight[0].numel() + 1e-10).sqrt()


def standardize_weights(model: nn.Module) -> None:
    """Let every learnt convolution of the model see its weights standardized."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.weight.requires_grad:
            parametrize.register_parametrization(module, "weight", StandardizedWeight())
