"""The exercises around the layers: first weights, joining devices, folding a norm away, the interval of a mean.

As in ``tasks``: what is asked for, the cases that try it, and the usual mistakes as functions that make them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from gnlib.core import Moments, pool
from gnlib.exercises.tasks import Case, Exercise, Mistake, Results
from gnlib.grouping import Grouping


def _drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _positive(*shape: int, seed: int) -> Tensor:
    return _drawn(*shape, seed=seed).square() + 0.2


def _listed(gives: Callable[..., Results], slips: dict[str, dict[str, Any]]) -> Callable[[], Iterator[Mistake]]:
    """List the mistakes that ``gives`` makes when it is called with the keywords of a slip."""

    def slipped(slip: dict[str, Any]) -> Callable[..., Results]:
        return lambda *needed, **optional: gives(*needed, **{**optional, **slip})

    def listed() -> Iterator[Mistake]:
        for says, slip in slips.items():
            yield Mistake(says, slipped(slip))

    return listed


# ---------------------------------------------------------------------- first weights


def _first_weights_cases() -> list[Case]:
    return [
        Case("a square matrix", {"noise": _drawn(6, 6, seed=0)}),
        Case("more outputs than inputs", {"noise": _drawn(12, 3, seed=1)}),
        Case("more inputs than outputs", {"noise": _drawn(4, 20, seed=2)}),
        Case("a convolution, 3 × 3", {"noise": _drawn(8, 5, 3, 3, seed=3)}),
        Case("a convolution over time, 7 steps", {"noise": _drawn(4, 6, 7, seed=4)}),
        Case("a leaky ReLU", {"noise": _drawn(5, 4, 3, 3, seed=5)}, {"slope": 0.3}, ("slope",)),
    ]


def _first_weights(
    noise: Tensor, slope: float = 0.0, *, gain: float = 2.0, leaks: bool = True, fan: str = "in", root: bool = True
) -> Results:
    products = {"in": noise[0].numel(), "out": noise[:, 0].numel(), "channels": noise.shape[1]}[fan]
    variance = gain / ((1 + slope**2 if leaks else 1) * products)
    return {"weights": noise * (variance**0.5 if root else variance)}


FIRST_WEIGHTS_SLIPS: dict[str, dict[str, Any]] = {
    "without the 2: the ReLU throws half of the mean square away.": {"gain": 1.0},
    "when the outputs are counted: a feature is a sum over the inputs, shape[1] and the kernel.": {"fan": "out"},
    "when the kernel is left out: each of its positions is one more product in the sum.": {"fan": "channels"},
    "when noise is multiplied by the variance: its root is wanted.": {"root": False},
    "with the root of 6/n: that is the bound of a uniform distribution of this spread.": {"gain": 6.0},
    "when the slope is left out: what leaks through adds slope² to the half.": {"leaks": False},
}


# ---------------------------------------------------------------------- joining the statistics of devices


def _join_cases() -> list[Case]:
    def table(*counts: int, channels: int = 4, seed: int) -> dict[str, Tensor]:
        K = len(counts)
        count = torch.tensor(counts, dtype=torch.float64)[:, None].expand(K, channels).clone()
        mean = _drawn(K, channels, seed=seed) + torch.arange(K, dtype=torch.float64)[:, None]
        return {"count": count, "mean": mean, "var": _positive(K, channels, seed=seed + 40) * (count > 1)}

    return [
        Case("two devices with as many values", table(64, 64, seed=0)),
        Case("three devices, the last with fewer values", table(64, 64, 16, seed=1)),
        Case("two devices with two values and with one", table(2, 1, seed=2)),
        Case("one device", table(32, seed=3)),
        Case("eight devices", table(8, 8, 8, 8, 8, 8, 8, 5, channels=3, seed=4)),
        Case("a device with no values", table(16, 0, 8, seed=5)),
    ]


def _right_join(count: Tensor, mean: Tensor, var: Tensor) -> Results:
    joined = pool(Moments(count, mean, var), Grouping.batch_norm())
    return {"mean": joined.mean[0], "var": joined.var[0]}


def _join(
    count: Tensor, mean: Tensor, var: Tensor, *, weighted: bool = True, between: str = "all", unbiased: bool = False
) -> Results:
    share = (count if weighted else torch.ones_like(count)) / (count if weighted else torch.ones_like(count)).sum(0)
    whole = (share * mean).sum(0)
    parts = {
        "all": (share * (mean - whole).square()).sum(0),
        "none": torch.zeros_like(whole),
        "plain": (mean - whole).square().mean(0),
        "squares": (share * mean.square()).sum(0),
        "unbiased": (mean - whole).square().sum(0) / max(len(mean) - 1, 1),
    }
    n = count.sum(0)
    joined = (share * var).sum(0) + parts[between]
    return {"mean": whole, "var": joined * n / (n - 1) if unbiased else joined}


JOIN_SLIPS: dict[str, dict[str, Any]] = {
    "when all devices count alike, and the distance between their means is left out: a device counts by its values, "
    "and the variance of the means belongs to it.": {"weighted": False, "between": "none"},
    "when all devices count alike: each counts by the values that stand behind it.": {"weighted": False},
    "when the distance between the devices' means is left out: the variance of the means belongs to it.": {
        "between": "none"
    },
    "when the distances of the means are averaged plainly: they count by the devices' values too.": {
        "between": "plain"
    },
    "when the squares of the means are added: their distance to the common mean is wanted.": {"between": "squares"},
    "when the variance of the means is the unbiased one.": {"between": "unbiased"},
    "with the unbiased variance: a norm layer divides by the number of values.": {"unbiased": True},
}


# ---------------------------------------------------------------------- folding a norm into what follows it


def _fold_cases() -> list[Case]:
    def given(outputs: int, inputs: int, seed: int) -> dict[str, Tensor]:
        return {
            "weight": _drawn(outputs, inputs, seed=seed),
            "bias": _drawn(outputs, seed=seed + 10),
            "norm_weight": _positive(inputs, seed=seed + 20),
            "norm_bias": _drawn(inputs, seed=seed + 30),
            "running_mean": _drawn(inputs, seed=seed + 40) + 2,
            "running_var": _positive(inputs, seed=seed + 50),
        }

    quiet = given(4, 6, 3)
    quiet["running_var"][2] = 0.0
    return [
        Case("as many features out as in", given(5, 5, 1)),  # first: some mistakes need it to be made at all
        Case("four features in, three out", given(3, 4, 0)),
        Case("a single output", given(1, 8, 2)),
        Case("many features", given(4, 40, 5)),
        Case("a channel that was constant in training", quiet, hint="ε keeps that division safe: (var + eps).sqrt()."),
        Case("a large ε", given(3, 4, 4), {"eps": 0.5}, ("eps",)),
    ]


def _fold(
    weight: Tensor,
    bias: Tensor,
    norm_weight: Tensor,
    norm_bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    eps: float = 1e-5,
    *,
    rows: bool = False,
    through: bool = True,
    mean: bool = True,
    shift: bool = True,
    divide: str = "root",
) -> Results:
    """Fold a norm in evaluation into the linear layer behind it; the keywords after the star are the usual slips."""
    by = {
        "root": (running_var + eps).sqrt(),
        "variance": running_var + eps,
        "outside": running_var.sqrt() + eps,
        "without": running_var.sqrt(),
        "default": (running_var + 1e-5).sqrt(),
    }[divide]
    scale = norm_weight / by
    moved = (norm_bias if shift else torch.zeros_like(norm_bias)) - (scale * running_mean if mean else 0)
    if (rows or not through) and weight.shape[0] != weight.shape[1]:
        raise ValueError("only a square weight takes this mistake")
    return {
        "weight": weight * (scale[:, None] if rows else scale),
        "bias": bias + (weight @ moved if through else moved),
    }


FOLD_SLIPS: dict[str, dict[str, Any]] = {
    "when the rows of the weight are scaled: the norm stands before it, and scales what its columns meet.": {
        "rows": True
    },
    "when the norm's shift is added to the bias as it is: it passes through the weight first.": {"through": False},
    "when the running mean is left out of the bias.": {"mean": False},
    "when the norm's β is left out of the bias.": {"shift": False},
    "when you divide by the variance: its root is wanted.": {"divide": "variance"},
    "with ε outside the root: it is added to the variance, (var + eps).sqrt().": {"divide": "outside"},
    "without ε.": {"divide": "without"},
    "when eps is ignored, and the usual 1e-5 taken.": {"divide": "default"},
}


# ---------------------------------------------------------------------- the interval of a mean


def _interval_cases() -> list[Case]:
    def runs(norms: int, seeds: int, t: float, seed: int) -> dict[str, Any]:
        return {"accuracies": 90 + 2 * _drawn(norms, seeds, seed=seed), "t": t}

    return [  # t: of Student's distribution, 0.975, for one degree of freedom less than there are seeds
        Case("four norms, three seeds", runs(4, 3, 4.303, 0)),
        Case("two norms, five seeds", runs(2, 5, 2.776, 1)),
        Case("one norm, two seeds", runs(1, 2, 12.706, 2)),
        Case("three norms, thirty seeds", runs(3, 30, 2.045, 3)),
        Case("twelve norms, four seeds", runs(12, 4, 3.182, 4)),
        Case("two norms, ten seeds", runs(2, 10, 2.262, 5)),
    ]


def _interval(
    accuracies: Tensor, t: float, *, factor: str = "t", less: int = 1, over: str = "root", power: float = 0.5
) -> Results:
    """Give the mean of each row and half the width of its interval; the keywords after the star are the usual slips."""
    n = accuracies.shape[1]
    mean = accuracies.mean(1)
    spread = ((accuracies - mean[:, None]).square().sum(1) / (n - less)) ** power
    by = {"root": n**0.5, "count": n, "nothing": 1, "one less": (n - 1) ** 0.5, "half": n**0.5 / 2}[over]
    return {"mean": mean, "half_width": {"t": t, "normal": 1.96, "one": 1.0}[factor] * spread / by}


INTERVAL_SLIPS: dict[str, dict[str, Any]] = {
    "with 1.96 in place of t: that holds for many runs, and a few seeds know their own spread badly.": {
        "factor": "normal"
    },
    "without t: that is the standard error, an interval which misses about a third of the time, and more with few "
    "runs.": {"factor": "one"},
    "with the biased standard deviation, over n: the spread of all runs is estimated from n, std(...) over n - 1.": {
        "less": 0
    },
    "without the root of n: that is how far single runs lie apart, not how far their mean is off.": {"over": "nothing"},
    "when you divide by n: by its root.": {"over": "count"},
    "when you divide by the root of n - 1, having divided by n - 1 already.": {"over": "one less"},
    "with the variance: its root is wanted, the standard deviation.": {"power": 1.0},
    "with the whole width of the interval: half of it stands behind ±.": {"over": "half"},
}


PRACTICE: dict[str, Exercise] = {
    "first_weights": Exercise(
        "first_weights(noise, slope=0.0): noise is standard normal, of a weight's shape (out, in, *kernel), and the "
        "weights of a layer with a ReLU behind it are wanted",
        _first_weights,
        _first_weights_cases,
        _listed(_first_weights, FIRST_WEIGHTS_SLIPS),
        ("weights",),
    ),
    "join": Exercise(
        "join(count, mean, var), a row for each device and a column for each channel, and returns mean and var, each "
        "(C,), of all values together",
        _right_join,
        _join_cases,
        _listed(_join, JOIN_SLIPS),
        ("mean", "var"),
    ),
    "fold": Exercise(
        "fold(weight, bias, norm_weight, norm_bias, running_mean, running_var, eps=1e-5), and returns the weight and "
        "the bias of a linear layer that does the work of both",
        _fold,
        _fold_cases,
        _listed(_fold, FOLD_SLIPS),
        ("weight", "bias"),
    ),
    "interval": Exercise(
        "interval(accuracies, t), a row for each norm and a column for each seed, and returns the mean of each row and "
        "half the width of its interval",
        _interval,
        _interval_cases,
        _listed(_interval, INTERVAL_SLIPS),
        ("mean", "half_width"),
    ),
}
