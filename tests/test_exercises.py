"""The checker of code exercises: right solutions pass, however written; usual mistakes are called by their names."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  as everybody writes it
from torch import Tensor, nn

from gnlib.exercises import EXERCISES, check
from gnlib.exercises.tasks import _wrong
from gnlib.records import summarize, t_quantile

EPS = 1e-5


def per_channel(values: Tensor | float, x: Tensor) -> Tensor | float:
    return values.view(1, -1, *[1] * (x.dim() - 2)) if isinstance(values, Tensor) else values


def standard(z: Tensor, axes: Any, eps: float = EPS, unbiased: bool = False) -> Tensor:
    """The textbook's line, as a reader would write it."""
    return (z - z.mean(axes, keepdim=True)) / (z.var(axes, keepdim=True, unbiased=unbiased) + eps).sqrt()


def groups(x: Tensor, G: int) -> Tensor:
    return x.reshape(x.shape[0], G, -1)


def rest(x: Tensor) -> tuple[int, ...]:
    return tuple(range(2, x.dim()))


# ---------------------------------------------------------------------- right ones


def by_hand(x, num_groups, weight=None, bias=None, eps=EPS):
    y = standard(groups(x, num_groups), 2, eps).reshape(x.shape)
    y = y if weight is None else y * per_channel(weight, x)
    return y if bias is None else y + per_channel(bias, x)


def the_chapters(x, G):
    """Exercise 2 of the chapter on GroupNorm, by BatchNorm alone, for any rank."""
    N, C, *positions = x.shape
    blocks = x.reshape(1, N * G, C // G, *positions)
    if blocks.numel() == N * G:
        return torch.zeros_like(x)
    return F.batch_norm(blocks, None, None, training=True).reshape(x.shape)


def layer(x, weight=None, bias=None, eps=EPS):
    return F.group_norm(x, 1, weight, bias, eps)


def instance(x, gamma=1.0, beta=0.0, epsilon=EPS):
    return standard(x, rest(x), epsilon) * per_channel(gamma, x) + per_channel(beta, x)


def tables(x):
    cells = x.flatten(2)
    return cells.mean(2), cells.var(2, unbiased=False)


def three_tables(x):
    return (torch.full(x.shape[:2], x[0, 0].numel()), *tables(x))


def pooled(mean, var, b, g):
    N, C = mean.shape
    mean, var = (table.reshape(b, N // b, g, C // g) for table in (mean, var))
    of_block = mean.mean((1, 3), keepdim=True)
    return of_block[:, 0, :, 0], (var + (mean - of_block) ** 2).mean((1, 3))


def back(grad, x, eps=EPS):
    root = (x.var(1, keepdim=True, unbiased=False) + eps).sqrt()
    hat = (x - x.mean(1, keepdim=True)) / root
    return (grad - grad.mean(1, keepdim=True) - hat * (grad * hat).mean(1, keepdim=True)) / root


def back_by_autograd(grad, x, eps=EPS):
    x = x.detach().requires_grad_()
    return torch.autograd.grad(F.layer_norm(x, x.shape[1:], eps=eps), x, grad)[0]


def he(noise, slope=0.0):
    """torch's own initialization: it draws what ``noise`` is, so its factor can be read off."""
    torch.manual_seed(0)
    drawn = torch.empty_like(noise)
    nn.init.kaiming_normal_(drawn, a=slope, nonlinearity="leaky_relu")
    torch.manual_seed(0)
    return noise * (drawn / torch.empty_like(noise).normal_()).mean()


def joined(count, mean, var):
    """As if the values were there: each device's, made to have its mean and variance."""

    def values(n, mean, var):
        z = torch.randn(int(n), dtype=mean.dtype)
        z = z - z.sum() / max(len(z), 1)
        return mean + z * (n * var / z.square().sum()).sqrt().nan_to_num(0)

    columns = [
        torch.cat(list(map(values, *of_channel))) for of_channel in zip(*(z.T for z in (count, mean, var)), strict=True)
    ]
    return torch.stack([z.mean() for z in columns]), torch.stack([z.var(unbiased=False) for z in columns])


def folded(weight, bias, gamma, beta, mean, var, eps=EPS):
    """Two layers of torch, asked what they make of 0 and of the unit vectors."""
    norm = nn.BatchNorm1d(len(mean), eps=eps, dtype=weight.dtype).eval()
    for tensor, value in zip([*norm.parameters(), *norm.buffers()], [gamma, beta, mean, var], strict=False):
        tensor.data.copy_(value)
    probes = torch.cat([torch.zeros(1, len(mean)), torch.eye(len(mean))]).to(weight)
    zero, *units = F.linear(norm(probes), weight, bias)
    return (torch.stack(units) - zero).T.detach(), zero.detach()


def of_summaries(accuracies, t):
    """By the book's own summaries, whose t is exact and not rounded to three digits."""
    found = [summarize(row.tolist()) for row in accuracies]
    exact = t_quantile(0.975, accuracies.shape[1] - 1)
    assert exact == pytest.approx(t, rel=2e-4)
    return tuple(torch.tensor([[one.mean, one.half_width * t / exact] for one in found], dtype=torch.float64).T)


def tokens(x, weight=None, bias=None, eps=EPS):
    return F.layer_norm(x, x.shape[-1:], weight, bias, eps)


RIGHT: list[tuple[str, Callable[..., Any]]] = [
    ("group_norm", F.group_norm),
    ("group_norm", by_hand),
    ("group_norm", the_chapters),
    ("layer_norm", layer),
    ("layer_norm", lambda x, eps=EPS: F.layer_norm(x, x.shape[1:], eps=eps)),
    ("instance_norm", instance),
    ("batch_norm", F.batch_norm),
    ("batch_norm", lambda x: F.batch_norm(x, None, None, training=True)),
    ("moments", tables),
    ("moments", three_tables),
    ("pool", pooled),
    ("backward", back),
    ("backward", back_by_autograd),
    ("token_norm", tokens),
    ("token_norm", lambda x: standard(x, -1)),
    ("first_weights", he),
    ("join", joined),
    ("fold", folded),
    ("interval", of_summaries),
]


@pytest.mark.parametrize(("exercise", "function"), RIGHT, ids=lambda what: getattr(what, "__name__", what))
def test_a_right_function_passes(exercise: str, function: Callable[..., Any]) -> None:
    report = check(exercise, function)
    assert report, report
    assert report.right == report.cases >= 6
    assert str(report).startswith(f"{exercise}: right, in all {report.cases} cases.")


def test_every_exercise_is_among_them() -> None:
    assert {exercise for exercise, _ in RIGHT} == set(EXERCISES)


def test_what_a_function_does_not_take_is_not_checked_and_said() -> None:
    whole, part = check("group_norm", F.group_norm), check("group_norm", the_chapters)
    assert part.cases < whole.cases
    assert "does not take it: weight, bias, eps." in str(part)
    assert "Not checked" not in str(whole)


def test_a_layer_with_its_own_parameters_may_be_wrapped() -> None:
    def norm(x, num_groups, **more):
        return F.group_norm(x, num_groups, **more)

    assert check("group_norm", norm)


def test_torchs_layer_norm_of_a_transformer_is_another_layer() -> None:
    def of_tokens(x):
        return nn.LayerNorm(x.shape[1], dtype=x.dtype)(x.movedim(1, -1)).movedim(-1, 1)

    report = check("layer_norm", of_tokens)
    assert not report
    assert "over its channels, as in a transformer" in report.mistake


# ---------------------------------------------------------------------- wrong ones, as readers write them


def memory(x, running_mean, running_var, training=True, momentum=0.1, *, share=None, unbiased=True, always=False):
    """BatchNorm by hand, with the places open where one slips."""
    share = momentum if share is None else share(momentum)
    axes = (0, *rest(x))
    if training or always:
        running_mean.copy_((1 - share) * running_mean + share * x.mean(axes).detach())
        running_var.copy_((1 - share) * running_var + share * x.var(axes, unbiased=unbiased).detach())
    if training:
        return standard(x, axes)
    return (x - per_channel(running_mean, x)) / (per_channel(running_var, x) + EPS).sqrt()


def rebinding(x, running_mean, running_var, training=True, momentum=0.1):
    axes = (0, *rest(x))
    if not training:
        return (x - per_channel(running_mean, x)) / (per_channel(running_var, x) + EPS).sqrt()
    running_mean = (1 - momentum) * running_mean + momentum * x.mean(axes)
    running_var = (1 - momentum) * running_var + momentum * x.var(axes)
    return standard(x, axes)


def slipped(**slip: Any) -> Callable[..., Tensor]:
    def batch_norm(x, running_mean, running_var, training=True, momentum=0.1):
        return memory(x, running_mean, running_var, training, momentum, **slip)

    return batch_norm


def always_the_batchs(x, running_mean, running_var, training=True, momentum=0.1):
    if training:
        return memory(x, running_mean, running_var, True, momentum)
    return standard(x, (0, *rest(x)))


def unbiased(x, G):
    return standard(groups(x, G), 2, unbiased=True).reshape(x.shape)


def scale_first(x, num_groups, weight=None, bias=None):
    x = x if weight is None else x * per_channel(weight, x)
    return F.group_norm(x if bias is None else x + per_channel(bias, x), num_groups)


def scaled_last(x, num_groups, weight=None, bias=None):
    y = F.group_norm(x, num_groups)
    y = y if weight is None else y * (weight if y.shape[-1] == len(weight) else per_channel(weight, y))
    return y if bias is None else y + (bias if y.shape[-1] == len(bias) else per_channel(bias, y))


def no_shift(x, num_groups, weight=None, bias=None):
    return F.group_norm(x, num_groups, weight)


def shift_first(x, num_groups, weight=None, bias=None):
    y = F.group_norm(x, num_groups)
    y = y if bias is None else y + per_channel(bias, x)
    return y if weight is None else y * per_channel(weight, x)


def swapped(x, num_groups, weight=None, bias=None):
    return F.group_norm(x, num_groups, bias, weight)


def interleaved(x, G):
    N, C = x.shape[:2]
    z = x.reshape(N, C // G, G, -1)
    return standard(z, (1, 3)).reshape(x.shape)


def sizes(x, size):
    return F.group_norm(x, x.shape[1] // size)


def over_the_batch(x, G):
    N, C = x.shape[:2]
    return standard(x.reshape(N, G, C // G, -1), (0, 2, 3)).reshape(x.shape)


def each_position(x, G):
    N, C = x.shape[:2]
    return standard(x.reshape(N, G, C // G, -1), 2).reshape(x.shape)


def detached(x, G):
    z = groups(x, G)
    mean, var = z.mean(2, keepdim=True).detach(), z.var(2, keepdim=True, unbiased=False).detach()
    return ((z - mean) / (var + EPS).sqrt()).reshape(x.shape)


def of_groups(line: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    return lambda x, G: line(groups(x, G)).reshape(x.shape)


def mean(z: Tensor) -> Tensor:
    return z.mean(2, keepdim=True)


def var(z: Tensor) -> Tensor:
    return z.var(2, keepdim=True, unbiased=False)


def pooling(line: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., tuple[Tensor, Tensor]]:
    def pool(mean, var, b, g):
        N, C = mean.shape
        mean, var = (table.reshape(b, N // b, g, C // g) for table in (mean, var))
        return mean.mean((1, 3)), line(mean, var)

    return pool


def pool_runs(mean, var, b, g):
    N, C = mean.shape
    mean, var = (table.reshape(N // b, b, C // g, g) for table in (mean, var))
    of_block = mean.mean((0, 2), keepdim=True)
    return of_block[0, :, 0], (var + (mean - of_block) ** 2).mean((0, 2))


def backing(line: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def backward(grad, x, eps=EPS):
        root = (x.var(1, keepdim=True, unbiased=False) + eps).sqrt()
        hat = (x - x.mean(1, keepdim=True)) / root
        return line(grad, hat, root)

    return backward


def over(z: Tensor) -> Tensor:
    return z.mean(1, keepdim=True)


def weights(variance: Callable[..., float]) -> Callable[..., Tensor]:
    return lambda noise, slope=0.0: noise * variance(noise, slope) ** 0.5


def join(line: Callable[..., Tensor], plainly: bool = False) -> Callable[..., tuple[Tensor, Tensor]]:
    def joined(count, mean, var):
        share = torch.full_like(count, 1 / len(count)) if plainly else count / count.sum(0)
        whole = (share * mean).sum(0)
        return whole, line(share, mean, var, whole, count)

    return joined


def fold(line: Callable[..., tuple[Tensor, Tensor]]) -> Callable[..., tuple[Tensor, Tensor]]:
    def folded(weight, bias, gamma, beta, mean, var, eps=EPS):
        return line(weight, bias, gamma / (var + eps).sqrt(), beta, mean)

    return folded


def fold_by(scale: Callable[..., Tensor]) -> Callable[..., tuple[Tensor, Tensor]]:
    def folded(weight, bias, gamma, beta, mean, var, eps=EPS):
        by = scale(gamma, var, eps)
        return weight * by, bias + weight @ (beta - by * mean)

    return folded


def interval(line: Callable[..., Tensor]) -> Callable[..., tuple[Tensor, Tensor]]:
    return lambda accuracies, t: (accuracies.mean(1), line(accuracies, t, accuracies.shape[1]))


def along_the_tokens(x, weight=None, bias=None):
    y = F.layer_norm(x, x.shape[-1:])
    shape = (-1, 1) if x.dim() > 2 and weight is not None and x.shape[-2] == len(weight) else (-1,)
    y = y if weight is None else y * weight.view(shape)
    return y if bias is None else y + bias.view(shape)


def over_last(x: Tensor) -> Tensor:
    return x.mean(-1, keepdim=True)


def deviation(x: Tensor) -> Tensor:
    return (x.var(-1, keepdim=True, unbiased=False) + EPS).sqrt()


WRONG: list[tuple[str, str, Callable[..., Any]]] = [
    ("group_norm", "x comes back as it came", lambda x, G: x),
    ("group_norm", "with the unbiased variance", unbiased),
    ("group_norm", "ε outside the root", of_groups(lambda z: (z - mean(z)) / (var(z).sqrt() + EPS))),
    ("group_norm", "without ε", of_groups(lambda z: (z - mean(z)) / var(z).sqrt())),
    ("group_norm", "divide by the variance", of_groups(lambda z: (z - mean(z)) / (var(z) + EPS))),
    ("group_norm", "nothing divided", of_groups(lambda z: z - mean(z))),
    ("group_norm", "the mean is not subtracted", of_groups(lambda z: z / (var(z) + EPS).sqrt())),
    ("group_norm", "RMSNorm", of_groups(lambda z: z / (z.square().mean(2, keepdim=True) + EPS).sqrt())),
    ("group_norm", "no gradient passes", detached),
    ("group_norm", "the usual 1e-5", lambda x, G, eps=0.1: F.group_norm(x, G)),
    ("group_norm", "without γ and β", lambda x, G, weight=None, bias=None: F.group_norm(x, G)),
    ("group_norm", "without β", no_shift),
    ("group_norm", "applied before the normalization", scale_first),
    ("group_norm", "along the last axis", scaled_last),
    ("group_norm", "β is added before the multiplication", shift_first),
    ("group_norm", "γ and β swapped", swapped),
    ("group_norm", "interleaved groups", interleaved),
    ("group_norm", "number of channels in a group", sizes),
    ("group_norm", "samples of the batch share", over_the_batch),
    ("group_norm", "every position is on its own", each_position),
    ("group_norm", "LayerNorm, one group", lambda x, G: F.group_norm(x, 1)),
    ("group_norm", "InstanceNorm", lambda x, G: F.group_norm(x, x.shape[1]) if x.dim() > 2 else x * 0),
    ("group_norm", "BatchNorm", lambda x, G: standard(x, (0, *rest(x)))),
    ("layer_norm", "every position is normalized over its channels", lambda x: standard(x, 1)),
    ("layer_norm", "BatchNorm", lambda x: standard(x, (0, *rest(x)))),
    ("layer_norm", "InstanceNorm", lambda x: standard(x, rest(x))),
    ("layer_norm", "for the whole batch", lambda x: standard(x, tuple(range(x.dim())))),
    ("instance_norm", "LayerNorm", lambda x: standard(x, tuple(range(1, x.dim())))),
    ("instance_norm", "BatchNorm", lambda x: standard(x, (0, *rest(x)))),
    ("instance_norm", "with the unbiased variance", lambda x: standard(x, rest(x), unbiased=True)),
    ("batch_norm", "running_var keeps the biased variance", slipped(unbiased=False)),
    ("batch_norm", "momentum the wrong way round", slipped(share=lambda m: 1 - m)),
    ("batch_norm", "with both", slipped(share=lambda m: 1 - m, unbiased=False)),
    ("batch_norm", "updated in evaluation", slipped(always=True)),
    ("batch_norm", "never change", rebinding),
    ("batch_norm", "evaluation uses the batch's own", always_the_batchs),
    ("batch_norm", "InstanceNorm", lambda x: standard(x, rest(x))),
    ("batch_norm", "the mean runs over the batch alone", lambda x: standard(x, 0)),
    ("batch_norm", "for the whole batch", lambda x: standard(x, tuple(range(x.dim())))),
    ("batch_norm", "with the unbiased variance", lambda x: standard(x, (0, *rest(x)), unbiased=True)),
    ("moments", "with the unbiased variance", lambda x: (x.flatten(2).mean(2), x.flatten(2).var(2))),
    ("moments", "holds the standard deviation", lambda x: (tables(x)[0], tables(x)[1].sqrt())),
    ("moments", "mean of the squares", lambda x: (tables(x)[0], x.flatten(2).square().mean(2))),
    ("pool", "the distance between the cells' means is left out", pooling(lambda m, v: v.mean((1, 3)))),
    (
        "pool",
        "variance of the means is the unbiased one",
        pooling(lambda m, v: v.mean((1, 3)) + m.var((1, 3), unbiased=m[0, :, 0].numel() > 1)),
    ),
    (
        "pool",
        "deviations do not",
        pooling(lambda m, v: v.sqrt().mean((1, 3)) ** 2 + m.var((1, 3), unbiased=False)),
    ),
    ("pool", "added up and not averaged", pooling(lambda m, v: v.sum((1, 3)) + m.var((1, 3), unbiased=False))),
    ("pool", "the squares of the means are added", pooling(lambda m, v: (v + m**2).mean((1, 3)))),
    ("pool", "every b-th row", pool_runs),
    ("pool", "b and g are swapped", lambda mean, var, b, g: pooled(mean, var, g, b)),
    ("backward", "taken for constants", backing(lambda d, hat, root: d / root)),
    ("backward", "without the projection", backing(lambda d, hat, root: (d - over(d)) / root)),
    (
        "backward",
        "the mean of the incoming gradient",
        backing(lambda d, hat, root: (d - hat * over(d * hat)) / root),
    ),
    (
        "backward",
        "nothing is divided",
        backing(lambda d, hat, root: d - over(d) - hat * over(d * hat)),
    ),
    (
        "backward",
        "the projection is added",
        backing(lambda d, hat, root: (d - over(d) + hat * over(d * hat)) / root),
    ),
    (
        "backward",
        "sums over the row",
        backing(lambda d, hat, root: (d - over(d) - hat * (d * hat).sum(1, keepdim=True)) / root),
    ),
    (
        "backward",
        "taken on x - μ",
        backing(lambda d, hat, root: (d - over(d) - hat * root * over(d * hat * root)) / root),
    ),
    ("backward", "eps is ignored", lambda grad, x, eps=0.1: back(grad, x)),
    ("token_norm", "that is GroupNorm(1, C)", lambda x: F.layer_norm(x, x.shape[1:])),
    ("token_norm", "that is InstanceNorm", lambda x: standard(x, tuple(range(1, x.dim() - 1)) or -1)),
    ("token_norm", "that is BatchNorm", lambda x: standard(x, tuple(range(x.dim() - 1)))),
    ("token_norm", "with the unbiased variance", lambda x: standard(x, -1, unbiased=True)),
    ("token_norm", "ε outside the root", lambda x: (x - over_last(x)) / (x.std(-1, False, keepdim=True) + EPS)),
    ("token_norm", "RMSNorm", lambda x: F.rms_norm(x, x.shape[-1:], eps=EPS)),
    ("token_norm", "along the tokens", along_the_tokens),
    ("token_norm", "no gradient passes", lambda x: (x - over_last(x).detach()) / deviation(x).detach()),
    ("first_weights", "without the 2", weights(lambda z, a: 1 / (z[0].numel() * (1 + a * a)))),
    ("first_weights", "the outputs are counted", weights(lambda z, a: 2 / (z[:, 0].numel() * (1 + a * a)))),
    ("first_weights", "the kernel is left out", weights(lambda z, a: 2 / (z.shape[1] * (1 + a * a)))),
    ("first_weights", "by the variance", weights(lambda z, a: (2 / (z[0].numel() * (1 + a * a))) ** 2)),
    ("first_weights", "a uniform distribution", weights(lambda z, a: 6 / (z[0].numel() * (1 + a * a)))),
    ("first_weights", "the slope is left out", weights(lambda z, a: 2 / z[0].numel())),
    ("join", "all devices count alike, and", lambda count, mean, var: (mean.mean(0), var.mean(0))),
    ("join", "all devices count alike:", join(lambda w, m, v, whole, n: (w * (v + (m - whole) ** 2)).sum(0), True)),
    ("join", "means is left out", join(lambda w, m, v, whole, n: (w * v).sum(0))),
    ("join", "averaged plainly", join(lambda w, m, v, whole, n: (w * v).sum(0) + ((m - whole) ** 2).mean(0))),
    ("join", "squares of the means", join(lambda w, m, v, whole, n: (w * (v + m**2)).sum(0))),
    (
        "join",
        "variance of the means is the unbiased one",
        join(lambda w, m, v, whole, n: (w * v).sum(0) + ((m - whole) ** 2).sum(0) / max(len(m) - 1, 1)),
    ),
    (
        "join",
        "divides by the number of values",
        join(lambda w, m, v, whole, n: (w * (v + (m - whole) ** 2)).sum(0) * n.sum(0) / (n.sum(0) - 1)),
    ),
    ("fold", "the rows of the weight", fold(lambda w, b, s, beta, m: (s[:, None] * w, b + w @ (beta - s * m)))),
    ("fold", "as it is", fold(lambda w, b, s, beta, m: (w * s, b + beta - s * m))),
    ("fold", "the running mean is left out", fold(lambda w, b, s, beta, m: (w * s, b + w @ beta))),
    ("fold", "the norm's β is left out", fold(lambda w, b, s, beta, m: (w * s, b - w @ (s * m)))),
    ("fold", "divide by the variance", fold_by(lambda gamma, var, eps: gamma / (var + eps))),
    ("fold", "ε outside the root", fold_by(lambda gamma, var, eps: gamma / (var.sqrt() + eps))),
    ("fold", "without ε", fold_by(lambda gamma, var, eps: gamma / var.sqrt())),
    ("fold", "eps is ignored", fold_by(lambda gamma, var, eps: gamma / (var + EPS).sqrt())),
    ("interval", "1.96 in place of t", interval(lambda a, t, n: 1.96 * a.std(1) / n**0.5)),
    ("interval", "that is the standard error", interval(lambda a, t, n: a.std(1) / n**0.5)),
    ("interval", "the biased standard deviation", interval(lambda a, t, n: t * a.std(1, unbiased=False) / n**0.5)),
    ("interval", "without the root of n", interval(lambda a, t, n: t * a.std(1))),
    ("interval", "divide by n", interval(lambda a, t, n: t * a.std(1) / n)),
    ("interval", "the root of n - 1", interval(lambda a, t, n: t * a.std(1) / (n - 1) ** 0.5)),
    ("interval", "with the variance", interval(lambda a, t, n: t * a.var(1) / n**0.5)),
    ("interval", "the whole width", interval(lambda a, t, n: 2 * t * a.std(1) / n**0.5)),
]


@pytest.mark.parametrize(("exercise", "says", "function"), WRONG, ids=[f"{one[0]}: {one[1]}" for one in WRONG])
def test_a_mistake_is_called_by_its_name(exercise: str, says: str, function: Callable[..., Any]) -> None:
    report = check(exercise, function)
    assert not report
    assert report.right < report.cases
    assert says in report.mistake, report
    flat = " ".join(str(report).split())
    assert says in flat
    assert re.search(r"is -?[\d.e-]+|is nan|shape", flat), "no number to look at"


def test_the_first_case_that_differs_is_shown_with_its_shape_and_one_place() -> None:
    report = " ".join(str(check("group_norm", unbiased)).split())
    shape = re.search(r"x of shape \((\d+), (\d+), (\d+), (\d+)\), num_groups=(\d+)", report)
    told = re.search(r"y\[(\d+), (\d+), (\d+), (\d+)\] is (\S+), and should be (\S+)", report)
    assert shape
    assert told
    assert all(int(at) < int(size) for at, size in zip(told.groups()[:4], shape.groups()[:4], strict=True))
    n = int(shape[2]) // int(shape[5]) * int(shape[3]) * int(shape[4])  # values a group
    assert float(told[5]) / float(told[6]) == pytest.approx(((n - 1) / n) ** 0.5, rel=1e-4)


def test_every_line_fits_a_notebook() -> None:
    for exercise, _, function in WRONG[:6]:
        assert all(len(line) <= 80 for line in str(check(exercise, function)).splitlines())


# ---------------------------------------------------------------------- what is no number


def nothing(x, G):
    standard(groups(x, G), 2)


def stumbling(x, num_groups):
    z = x.view(num_groups, 7)
    return z


def one_pass(x, G):
    z = groups(x, G)
    var = z.square().mean(2, keepdim=True) - mean(z) ** 2
    return ((z - mean(z)) / (var + EPS).sqrt()).reshape(x.shape)


def in_place(x, G):
    x -= 1
    return F.group_norm(x, G)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (nothing, "returns None. Was the last line a `return`?"),
        (stumbling, r"raises RuntimeError in its line `z = x\.view\(num_groups, 7\)`: shape '\[3, 7\]' is invalid"),
        (in_place, "changes x in place"),
        (lambda x, G: (x, x), "returns a tuple; one tensor is wanted"),
        (lambda x, G: x.flatten(1), r"y has shape \(3, 120\), and should have \(3, 6, 5, 4\)"),
        (lambda x, G: F.group_norm(x.float(), G), "y is torch.float32, and should be torch.float64"),
        (lambda x, G: F.group_norm(x.float(), G).double(), "was something made float32"),
        (lambda x, G: F.group_norm(x.detach(), G), "hangs on x by no gradient"),
        (lambda x: x, r"must take x and num_groups: got \(x\)"),
        (lambda x, G, colour: x, "asks for colour, which nobody would pass"),
        (lambda x, G: standard(x.view(x.shape[0], G, -1), 2).view(x.shape), "`reshape` takes any layout, `view` does"),
        (one_pass, "subtracts two huge and nearly equal numbers"),
    ],
)
def test_what_goes_wrong_otherwise_is_said_in_a_sentence(function: Callable[..., Any], says: str) -> None:
    report = check("group_norm", function)
    assert not report
    assert re.search(says, " ".join(str(report).split())), report


def test_a_stop_by_the_reader_stops() -> None:
    def endless(x, G):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check("group_norm", endless)


def test_an_unknown_exercise_names_those_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"got 'groupnorm'; moments, pool, layer_norm, .* would do"):
        check("groupnorm", F.group_norm)
    with pytest.raises(TypeError, match=r"got Tensor; check\('moments', my_moments\) without brackets"):
        check("moments", torch.zeros(2))  # type: ignore[arg-type]


@pytest.mark.parametrize("eps", [1e-5, 0.5])
def test_the_function_with_the_slips_has_none_when_none_is_asked_for(eps: float) -> None:
    x = torch.randn(3, 4, 5, dtype=torch.float64)
    ids = torch.arange(3).view(3, 1, 1).expand(3, 4, 5)
    assert torch.allclose(_wrong(x, ids, eps=eps)["y"], F.layer_norm(x, (4, 5), eps=eps), atol=1e-12)
