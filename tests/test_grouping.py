"""A point of the square: what it accepts, resolves to, is called, and looks like."""

import copy
import dataclasses
import pickle
import re

import pytest
import torch

from gnlib import EACH, Grouping, moments, pool

NAMED = {
    Grouping.everything(): (1, 1),
    Grouping.batch_norm(): (1, 12),
    Grouping.layer_norm(): (6, 1),
    Grouping.instance_norm(): (6, 12),
    Grouping.group_norm(4): (6, 4),
    Grouping.ghost_batch_norm(3): (3, 12),
    Grouping.batch_group_norm(2): (1, 2),
    Grouping(2, 3): (2, 3),
    Grouping(EACH, 3): (6, 3),
}


def test_a_grouping_is_a_value():
    assert Grouping() == Grouping(1, 1) == Grouping.everything()
    assert Grouping(EACH, 4) == Grouping.group_norm(4) != Grouping.batch_group_norm(4)
    assert hash(Grouping(EACH, 4)) == hash(Grouping.group_norm(4))
    assert len({Grouping(2, 3), Grouping(2, 3), Grouping(3, 2)}) == 2
    point = Grouping(2, 3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.samples = 4  # type: ignore[misc]


@pytest.mark.parametrize("point", NAMED, ids=repr)
def test_what_a_grouping_prints_makes_it_again(point):
    assert eval(repr(point), {"Grouping": Grouping, "EACH": EACH}) == point


def test_a_grouping_prints_its_counts():
    assert repr(Grouping.group_norm(4)) == "Grouping(samples=EACH, channels=4)"
    assert repr(EACH) == "EACH"


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_copies_of_each_are_each(again):
    assert again(EACH) is EACH
    assert again(Grouping(EACH, 3)).resolve(5, 6) == (5, 3)


@pytest.mark.parametrize("wrong", [2.0, "2", None, True, False, (2,), torch.tensor(2)], ids=repr)
def test_only_ints_and_each_are_counts(wrong):
    said = re.escape(f"must be an int or EACH: got {wrong!r}")
    with pytest.raises(TypeError, match=f"^samples {said}$"):
        Grouping(wrong, 1)
    with pytest.raises(TypeError, match=f"^channels {said}$"):
        Grouping(1, wrong)


@pytest.mark.parametrize("count", [0, -1])
def test_a_count_is_at_least_one(count):
    with pytest.raises(ValueError, match=f"^samples must be at least 1, or EACH: got samples={count}$"):
        Grouping(count, 1)
    with pytest.raises(ValueError, match=f"^channels must be at least 1, or EACH: got channels={count}$"):
        Grouping(1, count)


@pytest.mark.parametrize("point", NAMED, ids=repr)
def test_a_point_resolves_against_a_shape(point):
    assert point.resolve(6, 12) == NAMED[point]


def test_blocks_that_do_not_divide_are_refused_with_the_counts_that_would_do():
    said = "sample blocks must divide the samples: got 6 samples and 4 blocks; 1, 2, 3 or 6 would do"
    with pytest.raises(ValueError, match=f"^{said}$"):
        Grouping(4, EACH).resolve(6, 8)
    said = "channel groups must divide the channels: got 7 channels and 4 groups; 1 or 7 would do"
    with pytest.raises(ValueError, match=f"^{said}$"):
        Grouping(EACH, 4).resolve(6, 7)
    said = "channel groups must divide the channels: got 1 channels and 2 groups; 1 would do"
    with pytest.raises(ValueError, match=f"^{said}$"):
        Grouping(1, 2).resolve(6, 1)


@pytest.mark.parametrize("ask", [Grouping(4, 1).name, Grouping(1, 5).name])
def test_a_point_that_a_shape_does_not_allow_has_no_name_in_it(ask):
    with pytest.raises(ValueError, match="would do"):
        ask(6, 12)


def test_an_empty_axis_can_be_cut_as_one_likes():
    assert Grouping(3, EACH).resolve(0, 4) == (3, 4)
    assert Grouping(EACH, EACH).resolve(0, 0) == (0, 0)
    assert Grouping.legal(0, 3) == [(1, 1), (1, 3)]


def test_the_legal_points_are_the_divisors_in_ascending_order():
    assert Grouping.legal(4, 6) == [(b, g) for b in (1, 2, 4) for g in (1, 2, 3, 6)]
    assert Grouping.legal(1, 7) == [(1, 1), (1, 7)]
    assert Grouping.legal(1, 1) == [(1, 1)]


@pytest.mark.parametrize("shape", [(1, 1), (1, 12), (8, 1), (9, 48), (7, 11), (6, 10)])
def test_legal_points_are_exactly_those_that_resolve(shape):
    N, C = shape
    allowed = []
    for b in range(1, N + 2):
        for g in range(1, C + 2):
            try:
                allowed.append(Grouping(b, g).resolve(N, C))
            except ValueError:
                continue
    assert Grouping.legal(N, C) == allowed


@pytest.mark.parametrize(
    ("b", "g", "name"),
    [
        (1, 1, "Everything together"),
        (1, 12, "BatchNorm"),
        (6, 1, "LayerNorm"),
        (6, 12, "InstanceNorm"),
        (6, 4, "GroupNorm, 4 groups"),
        (2, 12, "Ghost BatchNorm, 2 blocks"),
        (1, 4, "Batch-group norm, 4 groups"),
        (2, 4, "No common name (2 sample blocks, 4 channel groups)"),
        (3, 1, "No common name (3 sample blocks, 1 channel group)"),
    ],
)
def test_a_point_is_named(b, g, name):
    assert Grouping(b, g).name(6, 12) == name


def test_each_and_its_count_have_one_name():
    assert Grouping(EACH, EACH).name(6, 12) == Grouping(6, 12).name(6, 12) == "InstanceNorm"
    assert Grouping(1, EACH).name(6, 12) == Grouping(1, 12).name(6, 12) == "BatchNorm"


@pytest.mark.parametrize(
    ("shape", "names"),
    [
        # one sample has no batch to share: its points are those of the lower edge
        ((1, 4), {(1, 1): "LayerNorm", (1, 2): "GroupNorm, 2 groups", (1, 4): "InstanceNorm"}),
        # one channel has no others to share with: its points are those of the right edge
        ((4, 1), {(1, 1): "BatchNorm", (2, 1): "Ghost BatchNorm, 2 blocks", (4, 1): "InstanceNorm"}),
        ((1, 1), {(1, 1): "InstanceNorm"}),
    ],
)
def test_where_names_tie_the_axis_of_length_one_counts_as_cut(shape, names):
    assert {point: Grouping(*point).name(*shape) for point in Grouping.legal(*shape)} == names


@pytest.mark.parametrize("shape", [(6, 12), (4, 7), (1, 6), (5, 1)])
def test_every_legal_point_has_a_name_of_its_own(shape):
    points = Grouping.legal(*shape)
    assert len({Grouping(*point).name(*shape) for point in points}) == len(points)


@pytest.mark.parametrize(
    ("point", "pattern"),
    [
        (Grouping.everything(), "n c ... -> 1 1"),
        (Grouping.batch_norm(), "n c ... -> 1 c"),
        (Grouping.layer_norm(), "n c ... -> n 1"),
        (Grouping.instance_norm(), "n c ... -> n c"),
        (Grouping.group_norm(4), "n (g c) ... -> n g, g=4"),
        (Grouping.ghost_batch_norm(2), "(b n) c ... -> b c, b=2"),
        (Grouping.batch_group_norm(4), "n (g c) ... -> 1 g, g=4"),
        (Grouping(2, 4), "(b n) (g c) ... -> b g, b=2, g=4"),
    ],
)
def test_a_point_is_written_as_einops_would(point, pattern):
    assert point.pattern() == pattern


def test_a_pattern_that_knows_the_shape_keeps_a_whole_axis_by_its_letter():
    assert Grouping(6, 4).pattern() == "(b n) (g c) ... -> b g, b=6, g=4"
    assert Grouping(6, 4).pattern(6, 12) == "n (g c) ... -> n g, g=4"
    assert Grouping(2, 12).pattern(6, 12) == "(b n) c ... -> b c, b=2"


@pytest.mark.parametrize(("b", "g"), Grouping.legal(4, 6))
@pytest.mark.parametrize("told", [(), (4, 6)])
def test_a_pattern_read_as_einops_reads_it_means_what_pool_does(b, g, told):
    x = torch.randn(4, 6, 5, dtype=torch.float64) + 3
    point = Grouping(b, g)
    expected = pool(moments(x), point).mean
    assert torch.allclose(reduce_mean(x, point.pattern(*told)), expected, rtol=0, atol=1e-12)


def reduce_mean(x: torch.Tensor, pattern: str) -> torch.Tensor:
    """Do what ``einops.reduce(x, pattern, "mean", **lengths)`` does, for patterns of two axes and an ellipsis."""
    pattern, *given = pattern.split(", ")
    lengths = {letter: int(count) for letter, count in (text.split("=") for text in given)}
    before, after = pattern.split(" -> ")
    axes = re.fullmatch(r"(\(\w \w\)|\w) (\(\w \w\)|\w) \.\.\.", before)
    assert axes
    letters, sizes = [], []
    for axis, size in zip(axes.groups(), x.shape, strict=False):
        *outer, inner = axis.strip("()").split()
        sizes += [lengths.pop(letter) for letter in outer]
        letters += [*outer, inner]
        sizes += [size // (sizes[-1] if outer else 1)]
    assert not lengths, "a length that the pattern does not use"
    kept = after.split()
    parts = x.reshape(*sizes, -1)
    gone = [i for i, letter in enumerate(letters) if letter not in kept] + [len(letters)]
    reduced = parts.mean(gone)
    return reduced.reshape([1 if letter == "1" else sizes[letters.index(letter)] for letter in kept])
