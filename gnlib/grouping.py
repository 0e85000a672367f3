"""Says which cells of an (N, C) table share statistics: a point of the square. Knows no torch, only whole numbers."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final


class Each(enum.Enum):
    """The type of ``EACH``."""

    EACH = "each"

    def __repr__(self) -> str:
        return self.name


EACH: Final = Each.EACH
"""As many pieces as the axis is long: every sample, or every channel, on its own."""


@dataclass(frozen=True)
class Grouping:
    """Cuts the samples into ``samples`` blocks and the channels into ``channels`` groups, all of equal size.

    An activation of shape (N, C, *) has N × C cells, one per sample and channel. Cells that lie in the same sample
    block and in the same channel group share one mean and one variance. Cutting further means sharing less::

        (1, 1) everything ──── (1, C) BatchNorm          right: more channel groups
            │                      │                     down:  more sample blocks
        (N, 1) LayerNorm ───── (N, C) InstanceNorm

    GroupNorm walks along the lower edge, ghost BatchNorm along the right one. A layer does not know N, so a count can
    be ``EACH``, which waits for a shape.

    Args:
        samples: number of sample blocks, b: 1 or more, or ``EACH`` for every sample on its own.
        channels: number of channel groups, g: 1 or more, or ``EACH`` for every channel on its own.
    Raises:
        TypeError: a count is neither an int nor ``EACH``.
        ValueError: a count is below 1.
    """

    samples: int | Each = 1  # blocks, b
    channels: int | Each = 1  # groups, g

    def __post_init__(self) -> None:
        for name, count in (("samples", self.samples), ("channels", self.channels)):
            if count is EACH:
                continue
            if not isinstance(count, int) or isinstance(count, bool):
                raise TypeError(f"{name} must be an int or EACH: got {count!r}")
            if count < 1:
                raise ValueError(f"{name} must be at least 1, or EACH: got {name}={count}")

    @classmethod
    def everything(cls) -> Grouping:
        """Make the upper left corner, (1, 1): all cells share one mean and one variance."""
        return cls(1, 1)

    @classmethod
    def batch_norm(cls) -> Grouping:
        """Make the upper right corner, (1, C). Source: Ioffe & Szegedy 2015 (arXiv:1502.03167)."""
        return cls(1, EACH)

    @classmethod
    def layer_norm(cls) -> Grouping:
        """Make the lower left corner, (N, 1). Source: Ba, Kiros & Hinton 2016 (arXiv:1607.06450)."""
        return cls(EACH, 1)

    @classmethod
    def instance_norm(cls) -> Grouping:
        """Make the lower right corner, (N, C). Source: Ulyanov, Vedaldi & Lempitsky 2016 (arXiv:1607.08022)."""
        return cls(EACH, EACH)

    @classmethod
    def group_norm(cls, num_groups: int) -> Grouping:
        """Make a point of the lower edge, (N, g). Source: Wu & He 2018 (arXiv:1803.08494)."""
        return cls(EACH, num_groups)

    @classmethod
    def ghost_batch_norm(cls, blocks: int) -> Grouping:
        """Make a point of the right edge, (b, C). Source: Hoffer, Hubara & Soudry 2017 (arXiv:1705.08741)."""
        return cls(blocks, EACH)

    @classmethod
    def batch_group_norm(cls, num_groups: int) -> Grouping:
        """Make a point of the upper edge, (1, g): groups of channels over the whole batch."""
        return cls(1, num_groups)

    @staticmethod
    def legal(n_samples: int, n_channels: int) -> list[tuple[int, int]]:
        """List every point (b, g) that a shape allows, in ascending order: divisors of N times divisors of C."""
        return [(b, g) for b in divisors(n_samples) for g in divisors(n_channels)]

    def resolve(self, n_samples: int, n_channels: int) -> tuple[int, int]:
        """Return the counts (b, g) for N samples and C channels, with every ``EACH`` filled in.

        Raises:
            ValueError: a count does not divide its axis; names the axis, its size, and the counts that would work.
        """
        b = n_samples if self.samples is EACH else self.samples
        g = n_channels if self.channels is EACH else self.channels
        if self.samples is not EACH and n_samples % b:
            raise ValueError(
                f"sample blocks must divide the samples: got {n_samples} samples and {b} blocks; "
                f"{one_of(divisors(n_samples))} would do"
            )
        if self.channels is not EACH and n_channels % g:
            raise ValueError(
                f"channel groups must divide the channels: got {n_channels} channels and {g} groups; "
                f"{one_of(divisors(n_channels))} would do"
            )
        return b, g

    def name(self, n_samples: int, n_channels: int) -> str:
        """Name this point for N samples and C channels, as in "GroupNorm, 4 groups".

        Where N or C is 1, several names fit. An axis of length 1 then counts as cut into single pieces: one sample
        alone has no batch to share, so at N = 1 the point (1, C) is InstanceNorm and (1, 1) is LayerNorm.

        Raises:
            ValueError: a count does not divide its axis.
        """
        b, g = self.resolve(n_samples, n_channels)
        if b == n_samples:
            return "InstanceNorm" if g == n_channels else "LayerNorm" if g == 1 else f"GroupNorm, {g} groups"
        if g == n_channels:
            return "BatchNorm" if b == 1 else f"Ghost BatchNorm, {b} blocks"
        if b == 1:
            return "Everything together" if g == 1 else f"Batch-group norm, {g} groups"
        return f"No common name ({b} sample blocks, {g} channel group{'s' if g > 1 else ''})"

    def pattern(self, n_samples: int | None = None, n_channels: int | None = None) -> str:
        """Write this point as einops would: what ``reduce`` keeps of (N, C, *), then the lengths it needs.

        ``"n c ... -> 1 c"`` is BatchNorm, ``"n (g c) ... -> n g, g=4"`` is GroupNorm with 4 groups. A count of 1 is
        written ``1``; ``EACH``, or a count as large as its axis where the axis is given, keeps the axis' own letter.
        """
        rows, kept_rows, blocks = _axis("n", "b", self.samples, n_samples)
        columns, kept_columns, groups = _axis("c", "g", self.channels, n_channels)
        return f"{rows} {columns} ... -> {kept_rows} {kept_columns}" + blocks + groups


def divisors(size: int) -> list[int]:
    """List the counts that cut an axis into equal pieces; an empty axis is one empty piece."""
    return [count for count in range(1, max(size, 1) + 1) if size % count == 0]


def one_of(values: list[int]) -> str:
    """Join the values that would work into "1, 2, 3 or 6"."""
    *most, last = map(str, values)
    return f"{', '.join(most)} or {last}" if most else last


def _axis(letter: str, outer: str, count: int | Each, size: int | None) -> tuple[str, str, str]:
    """Return one axis of a pattern: before the arrow, after it, and the length to give."""
    if count == 1:
        return letter, "1", ""
    if count is EACH or count == size:
        return letter, letter, ""
    return f"({outer} {letter})", outer, f", {outer}={count}"
