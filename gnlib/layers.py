"""The layers as parts of a network: parameters, buffers, state. Knows nothing of how the arithmetic is done.

Signatures, defaults and state dicts are torch.nn's, so each layer swaps with its namesake and loads its checkpoints.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, SupportsIndex

import torch
from torch import Tensor, nn

from gnlib import ops
from gnlib.grouping import Grouping, divisors, one_of
from gnlib.ops import Running


class _Norm(nn.Module):
    """Holds what the layers share: γ and β, ε, and the way through the one core.

    Args:
        shape: shape of γ and of β.
        eps: ε, added to the variance, in units of input².
        affine: learn γ, starting at 1, and β, starting at 0.
        bias: learn β too, where ``affine`` is true.
    """

    _by: ops.Arithmetic
    eps: Any  # float, or RMSNorm's None
    weight: nn.Parameter | None
    bias: nn.Parameter | None

    def __init__(
        self,
        shape: tuple[int, ...],
        eps: float | None,
        affine: bool,
        bias: bool,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        self._by = ops.in_force()
        self.eps = eps
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            values = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
            self.register_parameter(name, values if wanted else None)

    def reset_parameters(self) -> None:
        """Set γ to 1 and β to 0."""
        if self.weight is not None:
            nn.init.ones_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def extra_repr(self) -> str:
        return self._arguments() + ("" if self._by == "fused" else f", arithmetic={self._by!r}")

    def _arguments(self) -> str:
        """Write what the layer was built with, as torch.nn does."""
        raise NotImplementedError

    def _check(self, input: Tensor, num_channels: int, *values: Tensor | None, sized: bool = False) -> None:
        """Refuse what no layer over channels can take: too few axes, a dtype unlike the values', other channels."""
        shape = input.shape
        if len(shape) < 2:
            raise ValueError(
                f"{type(self).__name__} takes samples first, then channels, (N, C, *): "
                f"got shape {tuple(shape)}; a sample on its own would do as x[None]"
            )
        for table in values:
            if table is not None:
                sized = True
                self._check_dtype(input, table)
        if sized and shape[1] != num_channels:
            raise ValueError(
                f"{type(self).__name__} is made for {num_channels} channels: "
                f"got {shape[1]} channels, in shape {tuple(shape)}"
            )

    def _check_dtype(self, input: Tensor, values: Tensor) -> None:
        """Refuse an input that the layer's own values would change in kind, as torch.nn does."""
        own, dtype = values.dtype, input.dtype
        if own == dtype or (own == torch.float32 and dtype in (torch.float16, torch.bfloat16)):
            return
        name = "running_mean" if values is getattr(self, "running_mean", None) else "weight"
        ways = f"x.to({own})"
        if input.is_floating_point():
            ways = f"layer.to(x.dtype) or {ways}"
        raise TypeError(
            f"{type(self).__name__}'s {name} must have the input's dtype, or be float32 where that is a half type: "
            f"got {own} and an input of {dtype}; {ways} would do"
        )


class GroupNorm(_Norm):
    r"""Normalize each sample over groups of its channels.

    .. math:: y = \frac{x - \mu_{n,g}}{\sqrt{\sigma^2_{n,g} + \epsilon}} \, \gamma_c + \beta_c

    Args:
        num_groups: G, number of channel groups; must divide ``num_channels``.
        num_channels: C, number of channels.
        eps: ε, added to the variance, in units of input².
        affine: learn γ, starting at 1, and β, starting at 0, shape (C,) each.
        bias: learn β too, where ``affine`` is true.
    Shape:
        input and output (N, C, *).
    Raises:
        ValueError: the groups do not divide the channels; or a lone sample has one value a group.
    Source: Wu & He 2018 (arXiv:1803.08494).
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(
                f"num_groups must divide the channels: "
                f"got {num_channels} channels and num_groups={num_groups}; "
                f"{one_of(divisors(num_channels))} would do"
            )
        super().__init__((num_channels,), eps, affine, bias, device, dtype)
        self.num_groups = int(num_groups)
        self.num_channels = num_channels
        self.affine = affine
        self.reset_parameters()

    @property
    def grouping(self) -> Grouping:
        return Grouping.group_norm(self.num_groups)

    def forward(self, input: Tensor) -> Tensor:
        weight = self.weight
        self._check(input, self.num_channels, weight)
        if input.numel() == self.num_groups:
            raise ValueError(
                f"a group must hold more than one value: got a lone sample "
                f"of shape {tuple(input.shape)} and num_groups={self.num_groups}"
            )
        return ops.normalize(input, self.grouping, weight, self.bias, self.eps, by=self._by)

    def _arguments(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class _TrailingNorm(_Norm):
    """Adds to the shared base a trailing shape: the input is seen as a table (leading, trailing), one value a cell."""

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None,
        elementwise_affine: bool,
        bias: bool,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        if isinstance(normalized_shape, SupportsIndex):  # an int of Python's or of numpy's
            normalized_shape = (operator.index(normalized_shape),)
        shape = tuple(normalized_shape)
        super().__init__(shape, eps, elementwise_affine, bias, device, dtype)
        self.normalized_shape = shape
        self.elementwise_affine = elementwise_affine
        self.reset_parameters()

    def _normalize(self, x: Tensor, shape: tuple[int, ...], weight: Tensor | None, bias: Tensor | None) -> Tensor:
        """Normalize each leading index over the trailing axes of ``shape``."""
        raise NotImplementedError

    def forward(self, input: Tensor) -> Tensor:
        shape = self.normalized_shape
        leading = input.dim() - len(shape)
        if not shape or leading < 0 or input.shape[leading:] != shape:
            raise ValueError(
                f"the input must end in normalized_shape: got shape {tuple(input.shape)} "
                f"and normalized_shape={self.normalized_shape}"
            )
        weight, bias = self.weight, self.bias
        if input.is_contiguous() or input.dim() not in (4, 5) or input.stride(1) != 1:
            return self._normalize(input, shape, weight, bias)
        if leading > 1:
            output = self._normalize(input, shape, weight, bias)
            # channels_last is kept; contiguous(memory_format=…) knows no vmap
            return output.movedim(1, -1).contiguous().movedim(-1, 1)
        # a row may have its values in any order, so in the order in which channels_last has them
        affine = (None if values is None else values.movedim(0, -1) for values in (weight, bias))
        return self._normalize(input.movedim(1, -1), (*shape[1:], shape[0]), *affine).movedim(-1, 1)


class LayerNorm(_TrailingNorm):
    r"""Normalize each leading index over all that trails it: each token over its features, each image over (C, H, W).

    .. math:: y = \frac{x - \mu_n}{\sqrt{\sigma^2_n + \epsilon}} \, \gamma_{c,s} + \beta_{c,s}

    The input is seen as a table (leading, trailing) with one value a cell. As in torch.nn, γ and β belong to elements;
    the layer with the same statistics and one γ and β per channel is ``GroupNorm(1, C)``.

    Args:
        normalized_shape: the trailing shape to normalize over; an int stands for the last axis alone.
        eps: ε, added to the variance, in units of input².
        elementwise_affine: learn γ, starting at 1, and β, starting at 0, shape ``normalized_shape`` each.
        bias: learn β too, where ``elementwise_affine`` is true.
    Shape:
        input and output (*, normalized_shape).
    Raises:
        ValueError: the input does not end in ``normalized_shape``.
    Source: Ba, Kiros & Hinton 2016 (arXiv:1607.06450).
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(normalized_shape, eps, elementwise_affine, bias, device, dtype)

    @property
    def grouping(self) -> Grouping:
        return Grouping.layer_norm()

    def _normalize(self, x: Tensor, shape: tuple[int, ...], weight: Tensor | None, bias: Tensor | None) -> Tensor:
        if weight is not None:
            self._check_dtype(x, weight)
        return ops.normalize_trailing(x, shape, weight, bias, self.eps, by=self._by)

    def _arguments(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class RMSNorm(_TrailingNorm):
    r"""Divide each leading index by the root mean square of all that trails it, and leave the mean where it is.

    .. math:: y = \frac{x}{\sqrt{\overline{x^2} + \epsilon}} \, \gamma_{c,s}

    It is LayerNorm without the subtraction, and so no point of the square.

    Args:
        normalized_shape: the trailing shape to normalize over; an int stands for the last axis alone.
        eps: ε, added to the mean square, in units of input²; None for the machine epsilon of the input's dtype, and
            of float32 where that is a half type.
        elementwise_affine: learn γ, starting at 1, shape ``normalized_shape``. It may have any dtype, as in torch.nn.
    Shape:
        input and output (*, normalized_shape).
    Raises:
        ValueError: the input does not end in ``normalized_shape``.
    Source: Zhang & Sennrich 2019 (arXiv:1910.07467).
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(normalized_shape, eps, elementwise_affine, False, device, dtype)

    def _normalize(self, x: Tensor, shape: tuple[int, ...], weight: Tensor | None, bias: Tensor | None) -> Tensor:
        eps = self.eps
        if eps is None:
            eps = torch.finfo(torch.promote_types(x.dtype, torch.float32)).eps
        return ops.rms_normalize_trailing(x, shape, weight, eps, by=self._by)

    def _arguments(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class _RunningNorm(_Norm):
    """Adds to the shared base a memory of the statistics, for evaluation: running mean and running variance.

    A running value moves by ``momentum`` towards what each training batch shows. ``running_var`` follows the unbiased
    variance, while the output is normalized by the biased one, as in torch.nn.

    Args:
        num_features: C, number of channels.
        momentum: share of the new batch in the running values; None for the mean over all batches so far.
        track_running_stats: keep running values; without them evaluation normalizes like training.
    """

    _version = 2  # as torch.nn: since version 2, num_batches_tracked is saved
    num_batches_tracked: Tensor | None
    running_mean: Tensor | None
    running_var: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
        bias: bool,
    ) -> None:
        super().__init__((num_features,), eps, affine, bias, device, dtype)
        self.num_features = num_features
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        for name, fresh in (
            ("running_mean", torch.zeros(num_features, device=device, dtype=dtype)),
            ("running_var", torch.ones(num_features, device=device, dtype=dtype)),
            ("num_batches_tracked", torch.tensor(0, device=device)),
        ):
            self.register_buffer(name, fresh if track_running_stats else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget all batches: mean 0, variance 1."""
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Set γ to 1 and β to 0, and forget all batches."""
        self.reset_running_stats()
        super().reset_parameters()

    def _kept(self) -> tuple[Tensor, Tensor] | None:
        """Return running mean and running variance, if any are kept."""
        mean, var = self.running_mean, self.running_var
        return None if mean is None or var is None else (mean, var)

    def _arguments(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *args: Any
    ) -> None:
        old = local_metadata.get("version") is None or local_metadata["version"] < 2
        if old and self.num_batches_tracked is not None:
            own = self.num_batches_tracked
            state_dict.setdefault(prefix + "num_batches_tracked", torch.tensor(0) if own.is_meta else own)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)


class _BatchNorm(_RunningNorm):
    """Normalizes by the batch in training, by the running statistics in evaluation; subclasses say how it is cut."""

    _shared = "batch"  # whose samples share statistics

    def _cut(self, n_samples: int) -> int:
        """Return the number of blocks, b, into which a batch of N samples is cut."""
        raise NotImplementedError

    def forward(self, input: Tensor) -> Tensor:
        kept, weight, bias = self._kept(), self.weight, self.bias
        self._check(input, self.num_features, weight, kept and kept[0])
        if self.eps < 0 or (self.eps == 0 and (self.training or kept is None)):
            raise ValueError(f"eps must be positive, or at least 0 in evaluation: got eps={self.eps}")
        if not self.training and kept is not None:
            return ops.normalize_by(input, *kept, weight, bias, self.eps, by=self._by)
        N, C = input.shape[:2]
        b = self._cut(N)
        if input.numel() == b * C > 0:
            raise ValueError(
                f"a channel must hold more than one value in the {self._shared}: got shape {tuple(input.shape)}; "
                f"a larger {self._shared} would do, or eval()"
            )
        running = None
        batches = self.num_batches_tracked if self.training and self.track_running_stats else None
        if kept is not None and batches is not None:
            batches.add_(1)
            running = Running(*kept, batches, self.momentum, between=True)
        grouping = Grouping.ghost_batch_norm(b)
        return ops.normalize_and_track(input, grouping, running, weight, bias, self.eps, by=self._by)


class BatchNorm(_BatchNorm):
    r"""Normalize each channel over the whole batch; in evaluation, by the running statistics.

    .. math:: y = \frac{x - \mu_c}{\sqrt{\sigma^2_c + \epsilon}} \, \gamma_c + \beta_c

    Takes the place of torch's BatchNorm1d, BatchNorm2d and BatchNorm3d alike.

    Args:
        num_features: C, number of channels.
        eps: ε, added to the variance, in units of input².
        momentum: share of the new batch in the running values; None for the mean over all batches so far.
        affine: learn γ, starting at 1, and β, starting at 0, shape (C,) each.
        track_running_stats: keep running values; without them evaluation normalizes like training.
        bias: learn β too, where ``affine`` is true.
    Shape:
        input and output (N, C, *).
    Raises:
        ValueError: statistics are taken over one value a channel; or eps is not positive.
    Source: Ioffe & Szegedy 2015 (arXiv:1502.03167).
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    @property
    def grouping(self) -> Grouping:
        return Grouping.batch_norm()

    def _cut(self, n_samples: int) -> int:
        return 1


class GhostBatchNorm(_BatchNorm):
    r"""Normalize each channel over small blocks of the batch; in evaluation, by the running statistics.

    .. math:: y = \frac{x - \mu_{b,c}}{\sqrt{\sigma^2_{b,c} + \epsilon}} \, \gamma_c + \beta_c

    A large batch then has the noise of small ones. The running statistics follow the whole batch, whose mean and
    variance are pooled from the blocks', so the state is that of a ``BatchNorm`` that saw the same batches.

    Args:
        num_features: C, number of channels.
        block_size: samples that share statistics, N / b; must divide every batch of N that is normalized by itself.
        eps: ε, added to the variance, in units of input².
        momentum: share of the new batch in the running values; None for the mean over all batches so far.
        affine: learn γ, starting at 1, and β, starting at 0, shape (C,) each.
        track_running_stats: keep running values; without them evaluation normalizes like training.
        bias: learn β too, where ``affine`` is true.
    Shape:
        input and output (N, C, *).
    Raises:
        ValueError: block_size does not divide N; statistics are taken over one value; or eps is not positive.
    Source: Hoffer, Hubara & Soudry 2017 (arXiv:1705.08741), algorithm 1; there the running values take in each block.
    """

    _shared = "block"

    def __init__(
        self,
        num_features: int,
        block_size: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        if block_size < 1:
            raise ValueError(f"block_size must be at least 1 sample: got block_size={block_size}")
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)
        self.block_size = operator.index(block_size)

    def _cut(self, n_samples: int) -> int:
        if n_samples % self.block_size:
            below = n_samples // self.block_size * self.block_size
            batches = [below, below + self.block_size] if below else [self.block_size]
            raise ValueError(
                f"block_size must divide the samples: got {n_samples} samples and block_size={self.block_size}; "
                f"{one_of(divisors(n_samples))} would do, or a batch of {one_of(batches)}"
            )
        return max(n_samples // self.block_size, 1)

    def _arguments(self) -> str:
        return super()._arguments().replace(", ", f", block_size={self.block_size}, ", 1)


class InstanceNorm(_RunningNorm):
    r"""Normalize each channel of each sample on its own.

    .. math:: y = \frac{x - \mu_{n,c}}{\sqrt{\sigma^2_{n,c} + \epsilon}} \, \gamma_c + \beta_c

    Takes the place of torch's InstanceNorm1d, InstanceNorm2d and InstanceNorm3d, but for one thing: the first axis is
    always samples. Those classes also take one sample without its axis, (C, *); here it would be read as C samples, so
    it is refused unless its second axis happens to be C long; write ``x[None]``. For the same reason a number of
    channels other than C is an error even where no value is kept per channel (torch warns).

    Args:
        num_features: C, number of channels.
        eps: ε, added to the variance, in units of input².
        momentum: share of the new batch in the running values; with None they never move, as in torch.nn.
        affine: learn γ, starting at 1, and β, starting at 0, shape (C,) each. Off by default, as in torch.nn.
        track_running_stats: keep running values and evaluate by them. Off by default, as in torch.nn.
        bias: learn β too, where ``affine`` is true.
    Shape:
        input and output (N, C, *).
    Raises:
        ValueError: another number of channels; or statistics are taken over a single position.
    Source: Ulyanov, Vedaldi & Lempitsky 2016 (arXiv:1607.08022).
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    @property
    def grouping(self) -> Grouping:
        return Grouping.instance_norm()

    def forward(self, input: Tensor) -> Tensor:
        kept, weight, bias = self._kept(), self.weight, self.bias
        # a lone sample would pass for a batch of other channels
        self._check(input, self.num_features, weight, sized=True)
        if not self.training and self.track_running_stats:
            assert kept is not None
            return ops.normalize_by(input, *kept, weight, bias, self.eps, by=self._by)
        if math.prod(input.shape[2:]) == 1:
            raise ValueError(
                f"a channel of a sample must have more than one position: got shape {tuple(input.shape)}; "
                "larger maps would do, or LayerNorm"
            )
        running = None
        if kept is not None and self.momentum is not None:
            running = Running(*kept, self.num_batches_tracked, self.momentum, between=False)
        return ops.normalize_and_track(input, self.grouping, running, weight, bias, self.eps, by=self._by)


def grouping_of(layer: nn.Module) -> Grouping:
    """Return the point of the square where a layer of torch.nn or of gnlib stands.

    LayerNorm's samples are all its leading axes, and its cells are single values.

    Raises:
        TypeError: the layer does not pool whole cells with mean and variance; or it is a GhostBatchNorm, whose number
            of sample blocks is the batch's: ``Grouping.ghost_batch_norm(N // layer.block_size)``.
    """
    match layer:
        case GroupNorm() | LayerNorm() | BatchNorm() | InstanceNorm():
            return layer.grouping
        case GhostBatchNorm():
            raise TypeError(
                f"GhostBatchNorm has no point until a batch is known, it has blocks of {layer.block_size} samples: "
                f"Grouping.ghost_batch_norm(N // {layer.block_size}) would do"
            )
        case nn.GroupNorm():
            return Grouping.group_norm(layer.num_groups)
        case nn.LayerNorm():
            return Grouping.layer_norm()
        case nn.BatchNorm1d() | nn.BatchNorm2d() | nn.BatchNorm3d() | nn.SyncBatchNorm():
            return Grouping.batch_norm()
        case nn.InstanceNorm1d() | nn.InstanceNorm2d() | nn.InstanceNorm3d():
            return Grouping.instance_norm()
    raise TypeError(
        f"only layers that pool whole cells with mean and variance stand on the square: got {type(layer).__name__}; "
        "BatchNorm, LayerNorm, InstanceNorm or GroupNorm would do"
    )
