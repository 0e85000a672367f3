"""The Python side of the activations figure: what it carries, what it computes, what it refuses."""

from __future__ import annotations

import base64

import pytest
import torch
import traitlets

from gnlib import EACH, Grouping, moments, normalize, pool
from gnlib.photo_net import CLASSES, WIDTHS, numbers, record, trained
from gnlib.photographs import photographs
from gnlib.widgets import Activations

IMAGES = torch.rand(3, 3, 20, 12, generator=torch.Generator().manual_seed(2))


def test_the_photographs_cross_as_bytes_and_the_network_as_float16():
    figure = Activations()
    assert figure.shape == [4, 32, 32]
    pixels = torch.frombuffer(bytearray(base64.b64decode(figure.images)), dtype=torch.uint8).view(4, 3, 32, 32)
    assert (pixels / 255 - photographs(32)).abs().max() <= 0.5 / 255 + 1e-6
    weights = torch.frombuffer(bytearray(base64.b64decode(figure.network)), dtype=torch.float16)
    assert torch.equal(weights, numbers(trained()).half())
    assert figure.classes == ["cat", "", "", ""]
    assert figure.accuracy == record()["accuracy"]


@pytest.mark.parametrize("layer", [1, 2, 3])
@pytest.mark.parametrize("tokens", [False, True])
def test_scores_and_moments_are_those_of_the_network_at_the_point(layer: int, tokens: bool):
    figure = Activations(IMAGES, Grouping.group_norm(4), layer=layer, tokens=tokens)
    x = figure.activation
    N, C, H, W = x.shape
    assert WIDTHS[layer - 1] == C
    rows = x.permute(0, 2, 3, 1).reshape(-1, C) if tokens else x
    for ours, known in zip(figure.moments, pool(moments(rows), Grouping(EACH, 4)), strict=True):
        assert torch.equal(ours, known)
    net = trained()
    pixels = (IMAGES * 255).round() / 255
    known = net(pixels, Grouping(N * H * W if tokens else N, 4), layer=layer, tokens=tokens)
    assert torch.allclose(figure.scores, known)
    assert figure.scores.shape == (3, len(CLASSES))


def test_the_norm_is_where_the_figure_says_it_is():
    figure = Activations(IMAGES, Grouping.batch_norm(), layer=3)
    net, x = trained(), figure.activation
    y = normalize(x, Grouping.batch_norm(), net.weights[2], net.biases[2]).relu()
    scores = net.linear(torch.nn.functional.adaptive_avg_pool2d(y, 2).flatten(1))
    assert torch.allclose(figure.scores, scores)


def test_every_weight_of_one_network_serves_every_point():
    at = record()["accuracy"]
    assert len(at) >= 8
    assert min(at.values()) > 50  # a guess is right in 10
    assert record()["test_images"] == 10_000


def test_another_layer_keeps_point_and_pick_legal():
    figure = Activations(layer=2, channel=31, position=255)
    figure.grouping = Grouping(4, 32)
    figure.layer = 1
    assert (figure.sample_blocks, figure.channel_groups) == (4, 16)
    assert (figure.channel, figure.position) == (15, 255)
    figure.layer = 3
    assert figure.position == 63
    figure.tokens = True
    assert figure.grouping == Grouping(4, 16)  # four blocks of 64 positions
    figure.grouping = Grouping.layer_norm()
    assert figure.sample_blocks == 256
    figure.tokens = False
    assert figure.sample_blocks == 4


@pytest.mark.parametrize(
    ("trait", "value", "message"),
    [
        ("channel_groups", 3, "got 16 channels and 3 groups; 1, 2, 4, 8 or 16 would do"),
        ("sample_blocks", 3, "got 4 samples and 3 blocks; 1, 2 or 4 would do"),
        ("sample", 4, "sample counts from 0: got 4; 0 to 3 would do"),
        ("channel", 16, "channel counts from 0: got 16; 0 to 15 would do"),
        ("position", -1, "position counts from 0: got -1; 0 to 1023 would do"),
        ("layer", 4, "layer"),
        ("change", "colour", "change"),
        ("amount", 3.0, "amount"),
    ],
)
def test_a_state_that_does_not_exist_is_refused(trait: str, value: object, message: str):
    figure = Activations()
    before = getattr(figure, trait)
    with pytest.raises(traitlets.TraitError, match=message):
        setattr(figure, trait, value)
    assert getattr(figure, trait) == before


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.rand(3, 32, 32), r"shape \(N, 3, h, w\): got shape \(3, 32, 32\); \(4, 3, 32, 32\) would do"),
        (torch.rand(2, 1, 8, 8), r"got shape \(2, 1, 8, 8\)"),
        (torch.rand(4, 3, 8, 8) * 255, r"must lie in \[0, 1\]: got .*; images / 255 or clamp"),
        (torch.rand(8, 3, 32, 32), r"at most 4,096 pixels in all: .* 8,192 pixels; images\[:4\] or 22 × 22 pixels"),
        (torch.full((1, 3, 4, 4), float("nan")), r"must lie in \[0, 1\]"),
    ],
)
def test_images_that_cannot_be_shown_are_refused_with_a_way_out(images: torch.Tensor, message: str):
    with pytest.raises(ValueError, match=message):
        Activations(images)


def test_names_and_classes_must_fit():
    with pytest.raises(ValueError, match="got 1 for 3 images; 3 names or none would do"):
        Activations(IMAGES, sample_names=["a"])
    with pytest.raises(ValueError, match=r"classes must be those of the network: got \['tiger'\]"):
        Activations(IMAGES, classes=["tiger", "", ""])
    with pytest.raises(ValueError, match="layer must be 1, 2 or 3: got 0"):
        Activations(layer=0)
