"""The batch laboratory's Python side: what crosses to the browser, what comes back, and what is refused."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import numpy as np
import pytest
import torch
import traitlets

from gnlib import BatchNorm, Grouping, moments, pool
from gnlib.photographs import oriented_filters, photographs
from gnlib.widgets import BatchLab
from gnlib.widgets.batch_lab import FILE, drawn

X = torch.randn(5, 6, 4, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 2 + 3


def sent(figure: BatchLab, name: str) -> np.ndarray[Any, Any]:
    """A table as the browser reads it."""
    kind = {"float16": "<f2", "float32": "<f4", "float64": "<f8"}
    precision = figure.precision if name == "values" else figure.population_precision
    return np.frombuffer(base64.b64decode(getattr(figure, name)), kind[precision])


def test_draws_are_those_of_the_browser():
    # frontend/batch_draws.test.js has the same numbers
    indices = drawn(7, 1000)
    assert indices.shape == (200, 64)
    assert indices.flatten()[:6].tolist() == [330, 519, 882, 213, 853, 385]
    assert indices.flatten()[-3:].tolist() == [847, 146, 551]


def test_every_image_is_drawn_and_nothing_else():
    for images in (1, 2, 7, 256):
        assert drawn(0, images).unique().tolist() == list(range(images))


def test_the_population_that_crosses_is_the_one_that_is_told():
    figure = BatchLab(X)
    count, mean, var = moments(X)
    assert figure.population.count.unique().item() == 12
    assert torch.equal(figure.population.mean, mean.float().double())
    assert np.array_equal(sent(figure, "means"), mean.flatten().float().numpy())
    assert np.array_equal(sent(figure, "variances"), var.flatten().float().numpy())
    assert figure.positions == count[0, 0] == 12
    assert figure.images == 5
    assert figure.shape == [1, 6, 4, 3]


def test_the_watched_image_is_a_sample_bit_for_bit():
    figure = BatchLab(X, image=3)
    assert np.array_equal(sent(figure, "values"), X[3].flatten().numpy())
    assert torch.equal(figure.image, X[3:4])


def test_without_an_activation_it_brings_cifar_and_the_cat():
    figure = BatchLab()
    assert torch.equal(figure.image, oriented_filters(photographs()[:1]).half())
    assert figure.population.mean.shape == (256, 8)
    assert figure.linear
    assert figure.image_picture.startswith("data:image/jpeg;base64,")
    assert len(figure.channel_names) == 8


def test_the_stored_file_is_small_and_says_where_it_comes_from():
    stored = json.loads(FILE.read_text("utf8"))
    assert FILE.stat().st_size < 12_000
    assert "CIFAR-10" in stored["source"]
    assert stored["data"].startswith("sha256:")
    assert (np.frombuffer(base64.b64decode(stored["variances"]), "<f2") > 0).all()


def test_the_value_watched_first_is_the_farthest_from_the_mean():
    figure = BatchLab(X, channel=2)
    away = (X[0, 2].flatten() - X[:, 2].mean()).abs()
    assert figure.position == away.argmax().item()


def test_a_batch_of_indices_has_the_statistics_of_its_values():
    figure = BatchLab(X, seed=9)
    batch = figure.drawn[13, :8]
    told = pool(type(figure.population)(*(table[batch] for table in figure.population)), Grouping.batch_norm())
    assert torch.allclose(told.mean[0], X[batch].mean((0, 2, 3)), atol=1e-6)
    assert torch.allclose(told.var[0], X[batch].var((0, 2, 3), correction=0), atol=1e-5)


@pytest.mark.parametrize(
    ("traits", "point"),
    [
        ({"batch_size": 8}, (1, 6)),
        ({"batch_size": 8, "samples_per_block": 2}, (4, 6)),
        ({"batch_size": 2, "samples_per_block": 8}, (1, 6)),
        ({"norm": "layer_norm", "batch_size": 8}, (8, 1)),
        ({"norm": "group_norm", "batch_size": 8}, (8, 3)),
        ({"norm": "instance_norm", "batch_size": 8}, (8, 6)),
    ],
)
def test_the_grouping_is_the_point_of_the_square(traits: dict[str, Any], point: tuple[int, int]):
    figure = BatchLab(X, **traits)
    assert figure.grouping.resolve(figure.batch_size, 6) == point


def test_what_is_kept_is_what_the_layer_keeps():
    """The figure's running averages are BatchNorm's own: the test of the browser leans on this."""
    figure = BatchLab(X)
    layer = BatchNorm(6, momentum=0.3).double()
    for batch in figure.drawn[:5, :4]:
        layer(X[batch])
    mean = torch.zeros(6, dtype=torch.float64)
    for batch in figure.drawn[:5, :4]:
        mean += 0.3 * (X[batch].mean((0, 2, 3)) - mean)
    assert layer.running_mean is not None
    assert torch.allclose(layer.running_mean, mean)


@pytest.mark.parametrize(
    ("trait", "value", "message"),
    [
        ("batch_size", 3, "batch_size must be 1, 2, 4, 8, 16, 32 or 64: got 3"),
        ("samples_per_block", 128, "samples_per_block must be 1, 2, 4, 8, 16, 32 or 64: got 128"),
        ("channel", 6, "channel must lie between 0 and 5: got 6"),
        ("position", -1, "position must lie between 0 and 11: got -1"),
        ("draw", 200, "draw must lie between 0 and 199: got 200"),
        ("seed", -1, "seed must lie between 0 and 2147483647: got -1"),
        ("momentum", 0.0, "momentum must lie from 0.0001 to 1: got 0.0"),
        ("momentum", float("nan"), "momentum must lie from 0.0001 to 1: got nan"),
        ("light", 0.05, "light must lie from 0.1 to 1: got 0.05"),
        ("norm", "no_norm", "no_norm"),
        ("statistic", "median", "median"),
    ],
)
def test_a_state_that_cannot_be_is_refused(trait: str, value: object, message: str):
    figure = BatchLab(X)
    before = getattr(figure, trait)
    with pytest.raises(traitlets.TraitError, match=re.escape(message)):
        setattr(figure, trait, value)
    assert getattr(figure, trait) == before
    with pytest.raises(traitlets.TraitError, match=re.escape(message)):
        BatchLab(X, **{trait: value})


@pytest.mark.parametrize(
    ("x", "arguments", "error", "message"),
    [
        (torch.zeros(3), {}, ValueError, "x must have shape (N, C, *), rank 2 or more: got shape (3,)"),
        (torch.zeros(2, 3, dtype=torch.complex64), {}, TypeError, "x must be real"),
        (torch.full((2, 3), float("inf")), {}, ValueError, "x must be finite: got 6 NaN or Inf"),
        (torch.zeros(200, 100), {}, ValueError, "at most 16,384 cells, samples times channels: got 200 × 100; x[:163]"),
        (torch.zeros(2, 20_000), {}, ValueError, "got 2 × 20,000; x[:1, :16384] would do"),
        (torch.zeros(2, 2, 200, 200), {}, ValueError, "x must have at most 65,536 values"),
        (X, {"image": 5}, ValueError, "image must be a sample of x: got 5 for 5 samples; 0 to 4 would do"),
        (X, {"channel_names": ["a"]}, ValueError, "channel_names must name every channel: got 1 for 6 channels"),
    ],
)
def test_what_it_cannot_show_is_refused(x: object, arguments: dict[str, Any], error: type[Exception], message: str):
    with pytest.raises(error, match=re.escape(message)):
        BatchLab(x, **arguments)


def test_a_population_may_be_larger_than_a_figure_can_carry_as_values():
    assert BatchLab(torch.ones(32, 8, 40, 40)).images == 32  # 409,600 values; 256 cells
