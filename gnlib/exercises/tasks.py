"""The exercises on the layers: what is asked for, the cases that try it, and the usual mistakes as functions.

Knows nothing of how a reader's function is called or what is said about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from gnlib.core import Moments, apply, moments, normalize, normalize_trailing, pool
from gnlib.grouping import Grouping

Results = dict[str, Tensor]
BUFFERS = ("running_mean", "running_var")
EXACT = 1e-8  # largest difference in float64, in units of 1 + |right value|


@dataclass(frozen=True)
class Case:
    """One call of the reader's function."""

    about: str  # for people: "values far from zero"
    needed: dict[str, Any]  # passed by position
    optional: dict[str, Any] = field(default_factory=dict)  # passed by name, where the function has one
    demands: tuple[str, ...] = ()  # arguments without which the case says nothing
    gradient: bool = False  # compare the gradient with respect to x too
    tolerance: float = EXACT
    hint: str = ""  # what a difference means that shows here first, and is no known mistake


@dataclass(frozen=True)
class Mistake:
    """A wrong function and what it is, as the end of "That is what you get ..."."""

    says: str
    gives: Callable[..., Results]


@dataclass(frozen=True)
class Exercise:
    """What a reader is asked to write."""

    call: str
    right: Callable[..., Results]
    cases: Callable[[], list[Case]]
    mistakes: Callable[[], Iterator[Mistake]]
    returns: tuple[str, ...] = ("y",)


# ---------------------------------------------------------------------- the exercises' values


def _values(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Draw values whose cells all differ in mean and spread, and that are not symmetric."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    x = x + 0.3 * x.square()
    rows = torch.linspace(0.5, 1.7, shape[0], dtype=torch.float64)
    columns = torch.linspace(-1.1, 2.3, shape[1], dtype=torch.float64)
    tail = [1] * (len(shape) - 2)
    return (x * rows.view(-1, 1, *tail) + (columns * columns).view(1, -1, *tail)).to(dtype)


def _affine(channels: int) -> dict[str, Tensor]:
    return {
        "weight": torch.linspace(0.4, 1.9, channels, dtype=torch.float64),
        "bias": torch.linspace(-0.8, 0.5, channels, dtype=torch.float64).square(),
    }


ONE_PASS = (
    "Where the mean is large, E[x²] - E[x]² subtracts two huge and nearly equal numbers, and no digit is left: "
    "subtract the mean first, then square."
)
THROUGH = "The outputs are right, the gradient is not: the mean and the variance depend on x as well."


def _norm_cases(groups: int | None = None) -> list[Case]:
    """List the cases of a layer that looks at x alone; ``groups`` where it takes a number of groups."""

    def given(x: Tensor, count: int | None = None) -> dict[str, Any]:
        return {"x": x} if groups is None else {"x": x, "num_groups": count or groups}

    x = _values(3, 6, 5, 4)
    both = _affine(6)
    many = ("weight", "bias")
    cases = [
        Case("an ordinary batch", given(x)),
        Case("γ and β", given(_values(3, 6, 5, 4, seed=1)), both, many),
        Case("γ and β, as many positions as channels", given(_values(2, 6, 4, 6, seed=9)), both, many),
        Case("a large ε", given(x), {"eps": 0.5}, ("eps",)),
        Case("no batch: one sample", given(_values(1, 6, 3, 7, seed=2))),
        Case("a sequence", given(_values(4, 6, 7, seed=3))),
        Case("a volume", given(_values(2, 6, 2, 3, 4, seed=4))),
        Case("x not in one piece in memory", given(_values(5, 3, 6, 4, seed=5).transpose(1, 2))),
        Case("channels last", given(_values(3, 6, 4, 5, seed=6).contiguous(memory_format=torch.channels_last))),
        Case("a constant sample", given(torch.cat([_values(2, 6, 3, 3), torch.full((1, 6, 3, 3), 7.0).double()]))),
        Case(
            "values far from zero, in single precision",
            given((_values(3, 6, 16, 16, seed=7) + 10_000).float()),
            tolerance=2e-2,
            hint=ONE_PASS,
        ),
        Case("the gradient", given(_values(3, 6, 4, 2, seed=8)), gradient=True, hint=THROUGH),
    ]
    if groups is not None:
        cases[5:5] = [
            Case("one channel a group", given(x, 6)),
            Case("a single group", given(x, 1)),
            Case("another number of groups", given(_values(2, 12, 3, 5, seed=10), 4)),
            Case("a single value a group", given(_values(3, 6, seed=11), 6), hint="With one value a group, x̂ is 0."),
        ]
    return cases


# ---------------------------------------------------------------------- right and wrong norms


Ids = Callable[..., Tensor]


def _grid(shape: torch.Size) -> tuple[Tensor, Tensor, Tensor, int, int, int]:
    """Number the samples, channels and positions of an activation, each (N, C, S)."""
    N, C = shape[0], shape[1]
    S = shape[2:].numel()
    n, c, s = torch.meshgrid(torch.arange(N), torch.arange(C), torch.arange(S), indexing="ij")
    return n, c, s, N, C, S


def _wrong(
    x: Tensor,
    block: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *,
    unbiased: bool = False,
    divide: str = "root",
    center: bool = True,
    detach: bool = False,
    affine: str = "after",
) -> Results:
    """Standardize over any blocks at all, numbered for each value, with any of the usual slips."""
    shape = x.shape
    if affine == "before":
        x, weight, bias = _scaled(x, weight, bias), None, None
    flat = x.reshape(-1)
    _, index = torch.unique(block.reshape(-1), return_inverse=True)
    count = torch.bincount(index).to(flat.dtype)

    def average(values: Tensor, of: Tensor) -> Tensor:
        return torch.zeros_like(count).index_add(0, index, values) / of

    mean = average(flat, count)
    var = average((flat - mean[index]).square(), (count - 1).clamp(min=1) if unbiased else count)
    if divide == "rms":
        var = var + mean.square()
    if detach:
        mean, var = mean.detach(), var.detach()
    by = {
        "root": lambda: (var + eps).sqrt(),
        "rms": lambda: (var + eps).sqrt(),
        "outside": lambda: var.sqrt() + eps,
        "nothing": lambda: var.sqrt(),
        "default": lambda: (var + 1e-5).sqrt(),
        "variance": lambda: var + eps,
        "one": lambda: torch.ones_like(var),
    }[divide]()
    y = (flat - mean[index] if center else flat) / by[index]
    y = y.view(shape)
    if affine == "shift first":
        y, bias = (y if bias is None else y + _column(bias, y)), None
    elif affine == "no shift":
        bias = None
    elif affine == "no scale":
        weight = None
    elif affine == "none":
        weight = bias = None
    elif affine == "last axis":
        return {"y": y * (1 if weight is None else weight) + (0 if bias is None else bias)}
    elif affine == "swapped":
        weight, bias = bias, weight
    return {"y": _scaled(y, weight, bias)}


def _column(values: Tensor, x: Tensor) -> Tensor:
    return values.view(1, -1, *[1] * (x.dim() - 2))


def _scaled(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    x = x if weight is None else x * _column(weight, x)
    return x if bias is None else x + _column(bias, x)


SLIPS: dict[str, dict[str, Any]] = {
    "with the unbiased variance, which divides by one less than the number of values: norm layers divide by the "
    "number itself, var(..., unbiased=False).": {"unbiased": True},
    "with ε outside the root: it is added to the variance, (var + eps).sqrt().": {"divide": "outside"},
    "without ε.": {"divide": "nothing"},
    "when eps is ignored, and the usual 1e-5 taken.": {"divide": "default"},
    "when you divide by the variance: its root is wanted, the standard deviation.": {"divide": "variance"},
    "when the mean is subtracted and nothing divided.": {"divide": "one"},
    "when the mean is not subtracted before the division.": {"center": False},
    "when the mean is never subtracted: that is RMSNorm.": {"center": False, "divide": "rms"},
    "without γ and β.": {"affine": "none"},
    "without β.": {"affine": "no shift"},
    "without γ.": {"affine": "no scale"},
    "with γ and β applied before the normalization, which takes them out again.": {"affine": "before"},
    "when β is added before the multiplication by γ.": {"affine": "shift first"},
    "with γ and β along the last axis: they belong to the channels, view(1, -1, 1, 1).": {"affine": "last axis"},
    "with γ and β swapped.": {"affine": "swapped"},
    "when no gradient passes through the mean and the variance: do not detach them.": {"detach": True},
}


def _unchanged(x: Tensor, *groups: int, **optional: Any) -> Results:
    return {"y": x}


def _norm_mistakes(
    right: Ids, slips: dict[str, dict[str, Any]] = SLIPS, **blocks: Ids
) -> Callable[[], Iterator[Mistake]]:
    """List every slip of the arithmetic over the right blocks, and right arithmetic over the wrong blocks."""

    def listed() -> Iterator[Mistake]:
        yield Mistake("when nothing is done: x comes back as it came.", _unchanged)
        for says, slip in slips.items():
            yield Mistake(says, _slipped(right, slip))
        for name, ids in blocks.items():
            yield Mistake(BLOCKS[name], _slipped(ids, {}))
            # the two most frequent together
            both = f"{BLOCKS[name].rstrip('.')}; and with the unbiased variance."
            yield Mistake(both, _slipped(ids, {"unbiased": True}))

    return listed


def _slipped(ids: Ids, slip: dict[str, Any]) -> Callable[..., Results]:
    def gives(x: Tensor, *groups: int, **optional: Any) -> Results:
        return _wrong(x, ids(x.shape, *groups), **optional, **slip)

    return gives


BLOCKS = {
    "batch": "when the samples of the batch share their statistics: here every sample has its own.",
    "interleaved": "with interleaved groups, every G-th channel: a group is a run of neighbouring channels.",
    "sizes": "when num_groups is taken for the number of channels in a group: it is the number of groups.",
    "everything": "with one mean and one variance for the whole batch.",
    "batch_norm": "when every channel is pooled over the batch: that is BatchNorm.",
    "layer_norm": "when all channels of a sample are pooled: that is LayerNorm, one group.",
    "instance_norm": "when every channel of every sample is on its own: that is InstanceNorm.",
    "position": "when every position is on its own: the positions of a map share the statistics.",
    "token": "when every position is normalized over its channels, as in a transformer: here a sample's positions "
    "share one mean.",
    "batch_position": "when the mean runs over the batch alone: positions share a channel's statistics too.",
    "text": "when all tokens of a text share one mean: that is GroupNorm(1, C), and every token hears of every other.",
    "feature_of_text": "when every feature is pooled over the tokens of its text: that is InstanceNorm.",
    "feature": "when every feature is pooled over all tokens: that is BatchNorm.",
}


def _of_groups(shape: torch.Size, G: int) -> Tensor:
    n, c, _, _, C, _ = _grid(shape)
    return n * G + c // (C // G)


def _of_batch_groups(shape: torch.Size, G: int) -> Tensor:
    _, c, _, _, C, _ = _grid(shape)
    return c // (C // G)


def _interleaved(shape: torch.Size, G: int) -> Tensor:
    n, c, *_ = _grid(shape)
    return n * G + c % G


def _of_sizes(shape: torch.Size, G: int) -> Tensor:
    n, c, _, _, C, _ = _grid(shape)
    return n * C + c // G


def _of_group_positions(shape: torch.Size, G: int) -> Tensor:
    n, c, s, _, C, S = _grid(shape)
    return (n * G + c // (C // G)) * S + s


def _of_samples(shape: torch.Size, G: int = 1) -> Tensor:
    return _grid(shape)[0]


def _of_channels(shape: torch.Size, G: int = 1) -> Tensor:
    return _grid(shape)[1]


def _of_cells(shape: torch.Size, G: int = 1) -> Tensor:
    n, c, _, _, C, _ = _grid(shape)
    return n * C + c


def _of_all(shape: torch.Size, G: int = 1) -> Tensor:
    return torch.zeros_like(_grid(shape)[0])


def _of_tokens(shape: torch.Size, G: int = 1) -> Tensor:
    n, _, s, _, _, S = _grid(shape)
    return n * S + s


def _of_batch_positions(shape: torch.Size, G: int = 1) -> Tensor:
    _, c, s, _, _, S = _grid(shape)
    return c * S + s


def _right_norm(grouping: Callable[..., Grouping]) -> Callable[..., Results]:
    def right(x: Tensor, *groups: int, **optional: Any) -> Results:
        return {"y": normalize(x, grouping(*groups), **optional)}

    return right


# ---------------------------------------------------------------------- LayerNorm of tokens, features last


TOKEN_SLIPS: dict[str, dict[str, Any]] = {
    says if slip.get("affine") != "last axis" else "with γ and β along the tokens: they belong to the features.": slip
    for says, slip in SLIPS.items()
}


def _token_cases() -> list[Case]:
    """List the cases of the layers, features moved to the end, and one that has more leading axes."""
    moved = [
        replace(case, needed={"x": case.needed["x"].movedim(1, -1)}, about=ABOUT_TOKENS.get(case.about, case.about))
        for case in _norm_cases()
    ]
    lone = Case("tokens without a text", {"x": _values(7, 6, seed=12)})
    return [moved[5], *moved[1:5], *moved[6:], moved[0], lone]


ABOUT_TOKENS = {
    "a sequence": "an ordinary batch of texts",
    "an ordinary batch": "tokens on a plane",
    "γ and β, as many positions as channels": "γ and β, as many tokens as features",
    "no batch: one sample": "no batch: one text",
    "a volume": "tokens in a volume",
    "a constant sample": "a constant text",
}


def _right_token_norm(x: Tensor, **optional: Any) -> Results:
    return {"y": normalize_trailing(x, x.shape[-1:], **optional)}


def _token_mistakes() -> Iterator[Mistake]:
    """List the layers' mistakes, with the features in the second place, where the layers have their channels."""

    def moved(gives: Callable[..., Results]) -> Callable[..., Results]:
        return lambda x, **optional: {"y": gives(x.movedim(-1, 1), **optional)["y"].movedim(1, -1)}

    listed = _norm_mistakes(
        _of_tokens, TOKEN_SLIPS, text=_of_samples, feature_of_text=_of_cells, feature=_of_channels, everything=_of_all
    )
    for mistake in listed():
        yield Mistake(mistake.says, moved(mistake.gives))


# ---------------------------------------------------------------------- BatchNorm, with its memory


def _batch_cases() -> list[Case]:
    def kept(channels: int) -> dict[str, Any]:
        return {
            "running_mean": torch.linspace(-0.5, 1.5, channels, dtype=torch.float64),
            "running_var": torch.linspace(0.3, 2.1, channels, dtype=torch.float64),
            "training": True,
            "momentum": 0.1,
        }

    x = _values(4, 6, 3, 5, seed=20)
    buffers, both = ("running_mean", "running_var"), ("weight", "bias")
    memory = "What is kept is 0.9 of the old value and 0.1 of the batch's; torch keeps the unbiased variance."
    ordinary = [
        replace(case, optional={**kept(case.needed["x"].shape[1]), **case.optional})
        for case in _norm_cases()
        if "one sample" not in case.about and "single precision" not in case.about
    ]
    far = (_values(3, 6, 16, 16, seed=7) + 10_000).float()
    return [
        ordinary[0],
        Case("running statistics after a step of training", {"x": x}, kept(6), buffers, hint=memory),
        Case(
            "running statistics with another momentum", {"x": x}, {**kept(6), "momentum": 0.3}, (*buffers, "momentum")
        ),
        Case("evaluation", {"x": x}, {**kept(6), "training": False}, (*buffers, "training")),
        Case(
            "evaluation of one sample, with γ and β",
            {"x": x[:1]},
            {**kept(6), **_affine(6), "training": False},
            (*buffers, *both, "training"),
        ),
        *ordinary[1:],
        Case(
            "values far from zero, in single precision",
            {"x": far},
            {"training": True, "running_mean": torch.zeros(6), "running_var": torch.ones(6)},
            tolerance=2e-2,
            hint=ONE_PASS,
        ),
    ]


def _batch(
    x: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    training: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    stores: str = "unbiased",
    share: str = "new",
    updates: str = "training",
    looks: str = "right",
) -> Results:
    """Normalize as BatchNorm, with its memory; the keywords after the star are the usual slips with that memory."""
    count, mean, var = pool(moments(x), Grouping.batch_norm())
    kept: Results = {}
    if running_mean is not None and running_var is not None:
        kept = {"running_mean": running_mean, "running_var": running_var}
        n = count[0, 0].item()
        keep = var[0] * (n / max(n - 1, 1) if stores == "unbiased" else 1)
        part = momentum if share == "new" else 1 - momentum
        if updates == "always" or (training and updates == "training"):
            kept["running_mean"] = (1 - part) * running_mean + part * mean[0].detach()
            kept["running_var"] = (1 - part) * running_var + part * keep.detach()
    used = Moments(count, mean, var)
    if running_mean is not None and running_var is not None:
        old = Moments(count, running_mean[None], running_var[None])
        new = Moments(count, kept["running_mean"][None], kept["running_var"][None])
        if not training:
            used = {"batch": used, "updated": new}.get(looks, old)
        elif looks == "memory":
            used = new
    return {"y": apply(x, used, weight, bias, eps), **kept}


MEMORY_SLIPS: dict[str, dict[str, str]] = {
    "when running_var keeps the biased variance: what is kept is the unbiased one (the output is divided by the "
    "biased one).": {"stores": "biased"},
    "with momentum the wrong way round: it is the share of the new value, (1 - momentum) * old + momentum * new.": {
        "share": "old"
    },
    "with both: momentum is the share of the new value, and running_var keeps the unbiased variance.": {
        "share": "old",
        "stores": "biased",
    },
    "when the running statistics are updated in evaluation too.": {"updates": "always"},
    "when the running statistics are updated in evaluation too, before they are used.": {
        "updates": "always",
        "looks": "updated",
    },
    "when the running statistics never change: write into them in place, as running_mean.mul_(...).add_(...).": {
        "updates": "never"
    },
    "when evaluation uses the batch's own statistics: it has the running ones.": {"looks": "batch"},
    "when training normalizes with the running statistics: it uses the batch's own.": {"looks": "memory"},
}


def _batch_mistakes() -> Iterator[Mistake]:
    for says, slip in MEMORY_SLIPS.items():
        yield Mistake(says, _with_memory(slip))
    over_blocks = _norm_mistakes(
        _of_channels,
        everything=_of_all,
        layer_norm=_of_samples,
        instance_norm=_of_cells,
        batch_position=_of_batch_positions,
    )
    for mistake in over_blocks():
        yield Mistake(mistake.says, _output_only(mistake.gives))


def _with_memory(slip: dict[str, Any]) -> Callable[..., Results]:
    return lambda x, **optional: _batch(x, **optional, **slip)


def _output_only(gives: Callable[..., Results]) -> Callable[..., Results]:
    """Give the wrong output of a training step, and let what is kept be what it may."""

    def output(x: Tensor, training: bool = True, momentum: float = 0.1, **optional: Any) -> Results:
        if not training:
            raise ValueError("evaluation has no blocks to cut")
        return gives(x, **{name: value for name, value in optional.items() if name not in BUFFERS})

    return output


# ---------------------------------------------------------------------- moments and pooling


def _moments_cases() -> list[Case]:
    return [
        Case("an ordinary batch", {"x": _values(3, 4, 5, 2)}),
        Case("a sequence", {"x": _values(2, 3, 7, seed=1)}),
        Case("a volume", {"x": _values(2, 3, 2, 3, 4, seed=2)}),
        Case("x not in one piece in memory", {"x": _values(2, 5, 3, 4, seed=3).transpose(1, 2)}),
        Case("one position", {"x": _values(3, 4, 1, 1, seed=4)}, hint="A single value has variance 0."),
        Case(
            "values far from zero, in single precision",
            {"x": (_values(3, 4, 16, 16, seed=5) + 10_000).float()},
            tolerance=2e-2,
            hint=ONE_PASS,
        ),
    ]


def _right_moments(x: Tensor) -> Results:
    _, mean, var = moments(x)
    return {"mean": mean, "var": var}


def _moments_mistakes() -> Iterator[Mistake]:
    def table(x: Tensor, unbiased: bool = False, root: bool = False) -> Results:
        cells = x.flatten(2) if x.dim() > 2 else x[..., None]
        S = cells.shape[2]
        var = cells.var(2, unbiased=False) * (S / (S - 1) if unbiased and S > 1 else 1)
        return {"mean": cells.mean(2), "var": var.sqrt() if root else var}

    yield Mistake(
        "with the unbiased variance, which divides by one less than the number of values: norm layers divide by the "
        "number itself, var(..., unbiased=False).",
        lambda x: table(x, unbiased=True),
    )
    yield Mistake(
        "when the second table holds the standard deviation: its square is wanted.", lambda x: table(x, root=True)
    )
    yield Mistake(
        "when the second table holds the mean of the squares: the mean's own square is still in it.",
        lambda x: {"mean": table(x)["mean"], "var": table(x)["var"] + table(x)["mean"].square()},
    )


def _pool_cases() -> list[Case]:
    def table(N: int, C: int, b: int, g: int, seed: int) -> dict[str, Any]:
        mean, var = _values(N, C, seed=seed), _values(N, C, seed=seed + 50).square() + 0.1
        return {"mean": mean, "var": var, "b": b, "g": g}

    return [
        Case("the whole table in one block", table(4, 6, 1, 1, 0)),
        Case("blocks of two rows and two columns", table(4, 8, 2, 4, 7)),
        Case("BatchNorm's columns", table(4, 6, 1, 6, 1)),
        Case("LayerNorm's rows", table(4, 6, 4, 1, 2)),
        Case("GroupNorm's pairs", table(4, 6, 4, 3, 3)),
        Case("blocks of several rows and columns", table(6, 8, 3, 2, 4)),
        Case("every cell on its own", table(3, 4, 3, 4, 5)),
        Case("one row", table(1, 6, 1, 2, 6)),
    ]


def _pooled(
    mean: Tensor, var: Tensor, b: int, g: int, *, between: str = "biased", of: str = "var", order: str = "runs"
) -> Results:
    """Pool a table of cells of equal count; the keywords after the star are the usual slips."""
    N, C = mean.shape
    if order == "swapped":
        b, g = g, b
        if N % b or C % g:
            raise ValueError("these counts do not divide the table")

    def blocks(table: Tensor) -> Tensor:  # (b, N/b, g, C/g)
        if order == "interleaved":
            return table.reshape(N // b, b, C // g, g).permute(1, 0, 3, 2)
        return table.reshape(b, N // b, g, C // g)

    means, variances = blocks(mean), blocks(var)
    of_block = means.mean((1, 3))
    within = variances.sqrt().mean((1, 3)).square() if of == "deviation" else variances.mean((1, 3))
    if of == "sum":
        within = variances.sum((1, 3))
    spread = (means - of_block[:, None, :, None]).square()
    size = spread.shape[1] * spread.shape[3]
    parts = {
        "biased": spread.mean((1, 3)),
        "unbiased": spread.sum((1, 3)) / max(size - 1, 1),
        "none": torch.zeros_like(within),
        "squares": means.square().mean((1, 3)),
    }
    return {"mean": of_block, "var": within + parts[between]}


POOL_SLIPS: dict[str, dict[str, str]] = {
    "when the variances are averaged and the distance between the cells' means is left out: the variance of the "
    "means belongs to it.": {"between": "none"},
    "when the variance of the means is the unbiased one.": {"between": "unbiased"},
    "when the squares of the means are added: their distance to the block's mean is wanted.": {"between": "squares"},
    "when standard deviations are averaged: variances add up, deviations do not.": {"of": "deviation"},
    "when the variances are added up and not averaged.": {"of": "sum"},
    "when a block takes every b-th row and every g-th column: it is a run of neighbours.": {"order": "interleaved"},
    "when b and g are swapped: b cuts the rows, which are samples, and g the columns.": {"order": "swapped"},
}


def _pool_mistakes() -> Iterator[Mistake]:
    for says, slip in POOL_SLIPS.items():
        yield Mistake(says, _pooled_by(slip))


def _pooled_by(slip: dict[str, Any]) -> Callable[..., Results]:
    return lambda mean, var, b, g: _pooled(mean, var, b, g, **slip)


def _right_pool(mean: Tensor, var: Tensor, b: int, g: int) -> Results:
    _, of_block, spread = pool(Moments(torch.ones_like(mean), mean, var), Grouping(b, g))
    return {"mean": of_block, "var": spread}


# ---------------------------------------------------------------------- the way back


def _backward_cases() -> list[Case]:
    def rows(count: int, m: int, seed: int) -> dict[str, Any]:
        return {"grad": _values(count, m, seed=seed + 70), "x": _values(count, m, seed=seed)}

    return [
        Case("ordinary rows", rows(3, 8, 0)),
        Case("one row", rows(1, 5, 1)),
        Case("two values a row", rows(4, 2, 2)),
        Case("long rows", rows(2, 100, 3)),
        Case("a large ε", rows(3, 6, 4), {"eps": 0.5}, ("eps",)),
        Case("rows not in one piece in memory", {key: value.T for key, value in rows(6, 4, 5).items()}),
        Case("rows far from zero", {**rows(3, 8, 6), "x": _values(3, 8, seed=6) + 1000}, tolerance=1e-6),
    ]


def _back(
    grad: Tensor,
    x: Tensor,
    eps: float = 1e-5,
    *,
    shift: bool = True,
    project: str = "x̂",
    divide: str = "root",
    unbiased: bool = False,
) -> Results:
    """Carry a gradient back through the standardization of each row; the keywords are the usual slips."""
    rest = x - x.mean(1, keepdim=True)
    m = x.shape[1]
    var = rest.square().sum(1, keepdim=True) / (max(m - 1, 1) if unbiased else m)
    root = (var + eps).sqrt()
    hat = rest / root
    back = grad - grad.mean(1, keepdim=True) if shift else grad
    if project == "x̂":
        back = back - hat * (grad * hat).mean(1, keepdim=True)
    elif project == "x":
        back = back - rest * (grad * rest).mean(1, keepdim=True)
    elif project == "sum":
        back = back - hat * (grad * hat).sum(1, keepdim=True)
    elif project == "plus":
        back = back + hat * (grad * hat).mean(1, keepdim=True)
    by = {"root": root, "nothing": torch.ones_like(root), "variance": var + eps, "outside": var.sqrt() + eps}[divide]
    return {"gradient": back / by}


BACK_SLIPS: dict[str, dict[str, Any]] = {
    "when the mean of the incoming gradient is not subtracted: the block's mean depends on x too.": {"shift": False},
    "without the projection on x̂: the block's variance depends on x too.": {"project": "none"},
    "when the mean and the variance are taken for constants.": {"shift": False, "project": "none"},
    "when the projection is taken on x - μ: it is taken on x̂, which is divided by the deviation.": {"project": "x"},
    "when the projection sums over the row: it takes the mean.": {"project": "sum"},
    "when the projection is added: it is subtracted.": {"project": "plus"},
    "when nothing is divided by the standard deviation at the end.": {"divide": "nothing"},
    "when the end divides by the variance: its root is wanted.": {"divide": "variance"},
    "with ε outside the root at the end.": {"divide": "outside"},
    "with the unbiased variance: the forward pass divides by the number of values.": {"unbiased": True},
    "when eps is ignored, and the usual 1e-5 taken.": {"eps": 1e-5},
}


def _back_mistakes() -> Iterator[Mistake]:
    for says, slip in BACK_SLIPS.items():
        yield Mistake(says, _back_by(slip))


def _back_by(slip: dict[str, Any]) -> Callable[..., Results]:
    return lambda grad, x, eps=1e-5: _back(grad, x, **{"eps": eps, **slip})


def _right_backward(grad: Tensor, x: Tensor, eps: float = 1e-5) -> Results:
    x = x.detach().requires_grad_()
    y = normalize(x, Grouping.layer_norm(), eps=eps)
    return {"gradient": torch.autograd.grad(y, x, grad)[0]}


# ---------------------------------------------------------------------- the exercises

OPTIONAL = "weight=None, bias=None, eps=1e-5"

LAYERS: dict[str, Exercise] = {
    "moments": Exercise(
        "moments(x), and returns the tables mean and var, each (N, C)",
        _right_moments,
        _moments_cases,
        _moments_mistakes,
        ("mean", "var"),
    ),
    "pool": Exercise(
        "pool(mean, var, b, g), all cells of the same count, and returns the tables mean and var, each (b, g)",
        _right_pool,
        _pool_cases,
        _pool_mistakes,
        ("mean", "var"),
    ),
    "layer_norm": Exercise(
        f"layer_norm(x, {OPTIONAL}), over all channels and positions of a sample, γ and β one a channel",
        _right_norm(Grouping.layer_norm),
        _norm_cases,
        _norm_mistakes(
            _of_samples,
            everything=_of_all,
            batch_norm=_of_channels,
            instance_norm=_of_cells,
            token=_of_tokens,
            batch_position=_of_batch_positions,
        ),
    ),
    "token_norm": Exercise(
        f"token_norm(x, {OPTIONAL}), x of shape (*, C), over the features of every token",
        _right_token_norm,
        _token_cases,
        _token_mistakes,
    ),
    "instance_norm": Exercise(
        f"instance_norm(x, {OPTIONAL})",
        _right_norm(Grouping.instance_norm),
        _norm_cases,
        _norm_mistakes(
            _of_cells, batch_norm=_of_channels, layer_norm=_of_samples, everything=_of_all, token=_of_tokens
        ),
    ),
    "group_norm": Exercise(
        f"group_norm(x, num_groups, {OPTIONAL})",
        _right_norm(Grouping.group_norm),
        lambda: _norm_cases(3),
        _norm_mistakes(
            _of_groups,
            batch=_of_batch_groups,
            interleaved=_interleaved,
            sizes=_of_sizes,
            position=_of_group_positions,
            layer_norm=_of_samples,
            instance_norm=_of_cells,
            batch_norm=_of_channels,
            everything=_of_all,
        ),
    ),
    "batch_norm": Exercise(
        f"batch_norm(x, running_mean, running_var, training=True, momentum=0.1, {OPTIONAL})",
        _batch,
        _batch_cases,
        _batch_mistakes,
    ),
    "backward": Exercise(
        "backward(grad, x, eps=1e-5): each row of x was standardized, grad is the gradient of the result, and the "
        "gradient of x is wanted",
        _right_backward,
        _backward_cases,
        _back_mistakes,
        ("gradient",),
    ),
}
