"""The small trained network: its norms are core's, its weights are read exactly, and it does what its record says."""

from __future__ import annotations

import json
import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  as everybody writes it
from safetensors.torch import load_file, save

from gnlib import EACH, Grouping, fused
from gnlib.photo_net import FOLDER, WIDTHS, PhotoNet, numbers, read_safetensors, record, same_kind, trained
from gnlib.photographs import photographs
from tests import conv_net_golden
from tests.test_golden import differences

IMAGES = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(5))


def randomly(net: PhotoNet) -> PhotoNet:
    torch.manual_seed(2)
    for affine in (*net.weights, *net.biases):
        torch.nn.init.uniform_(affine, -1.5, 1.5)
    return net.double().requires_grad_(False)


def by_torch(net: PhotoNet, images: torch.Tensor, norm: object) -> torch.Tensor:
    """The same network in torch's own functions, with one norm throughout."""
    x = (images - 0.5) / 0.25
    for index, convolution in enumerate(net.convolutions):
        x = F.conv2d(x, convolution.weight, stride=convolution.stride, padding=1)
        x = norm(x, net.weights[index], net.biases[index]).relu()  # type: ignore[operator]
    return F.linear(F.adaptive_avg_pool2d(x, 2).flatten(1), net.linear.weight, net.linear.bias)


NORMS = {
    "BatchNorm": (Grouping.batch_norm(), lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True)),
    "InstanceNorm": (Grouping.instance_norm(), lambda x, w, b: F.instance_norm(x, None, None, w, b)),
    "GroupNorm": (Grouping.group_norm(4), lambda x, w, b: F.group_norm(x, 4, w, b)),
    "LayerNorm": (Grouping.layer_norm(), lambda x, w, b: F.group_norm(x, 1, w, b)),
}


@pytest.mark.parametrize("name", NORMS)
def test_the_network_is_the_one_that_torch_computes(name: str):
    net, (grouping, norm) = randomly(PhotoNet()), NORMS[name]
    assert torch.allclose(net(IMAGES.double(), grouping), by_torch(net, IMAGES.double(), norm), atol=1e-9)


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_norms_before_the_layer_stay_group_norm_whatever_the_grouping(layer: int):
    net = randomly(PhotoNet())
    x = net.activation(IMAGES.double(), layer)
    assert x.shape == (4, WIDTHS[layer - 1], 32 >> layer - 1, 32 >> layer - 1)
    scores = {blocks: net(IMAGES.double(), Grouping(blocks, EACH), layer=layer) for blocks in (1, 2, EACH)}
    # a companion changes an image's scores at a shared block, and not at its own
    others = IMAGES.double().flip(0).clone()
    others[0] = IMAGES[0]
    for blocks, before in scores.items():
        same = torch.allclose(net(others, Grouping(blocks, EACH), layer=layer)[0], before[0], atol=1e-9)
        assert same == (blocks is EACH)


def test_a_position_as_a_sample_is_layer_norm_over_channels_alone():
    net = randomly(PhotoNet())

    def norm(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(x.permute(0, 2, 3, 1), (x.shape[1],), w, b).permute(0, 3, 1, 2)

    scores = net(IMAGES.double(), Grouping.layer_norm(), tokens=True)
    assert torch.allclose(scores, by_torch(net, IMAGES.double(), norm), atol=1e-9)


def test_batch_norm_does_not_care_whether_positions_are_samples_and_layer_norm_does():
    net = randomly(PhotoNet())

    def moves(grouping: Grouping) -> float:
        images = IMAGES.double()
        return (net(images, grouping, tokens=True) - net(images, grouping)).abs().max().item()

    assert moves(Grouping.batch_norm()) < 1e-9
    assert moves(Grouping.layer_norm()) > 1e-3


def test_each_position_named_by_its_number_is_each():
    net = randomly(PhotoNet())
    images = IMAGES[:3, :, :5, :7].double()
    named = net(images, Grouping(3 * 5 * 7, 2), tokens=True)
    assert torch.equal(named, net(images, Grouping(EACH, 2), tokens=True))


@pytest.mark.parametrize(
    ("grouping", "channels", "others", "expected"),
    [
        (Grouping(4, 1), 16, 32, Grouping(4, 1)),
        (Grouping(4, 16), 16, 32, Grouping(4, EACH)),
        (Grouping(4, EACH), 16, 32, Grouping(4, EACH)),
        (Grouping(1, 8), 16, 32, Grouping(1, 8)),
        (Grouping(1, 16), 32, 16, Grouping(1, 8)),
    ],
)
def test_a_kind_stays_a_kind_where_channels_are_more_or_fewer(grouping, channels, others, expected):
    assert same_kind(grouping, channels, others) == expected


def test_a_layer_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="layer must be 1, 2 or 3: got 4"):
        PhotoNet().activation(IMAGES, 4)


def test_core_and_the_quick_arithmetic_give_the_same_network():
    net = trained()
    scores = net(IMAGES, Grouping(2, 4))
    net.normalize = fused.normalize
    assert torch.allclose(net(IMAGES, Grouping(2, 4)), scores, atol=1e-4)


def test_the_weights_are_read_as_the_format_s_own_library_reads_them():
    path = FOLDER / "photo_net.safetensors"
    ours, theirs = read_safetensors(path.read_bytes()), load_file(path)
    assert ours.keys() == theirs.keys() == PhotoNet().state_dict().keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert path.stat().st_size <= 100_000


def test_weights_of_another_type_are_refused():
    with pytest.raises(ValueError, match="tensors must be float16: got F32 of a; F16 would do"):
        read_safetensors(save({"a": torch.zeros(2)}))


def test_the_numbers_are_every_parameter_once():
    net = trained()
    assert numbers(net).numel() == sum(p.numel() for p in net.parameters()) == record()["parameters"]
    assert torch.equal(numbers(net)[: 16 * 27].view(16, 3, 3, 3), net.convolutions[0].weight)
    assert torch.equal(numbers(net)[-10:], net.linear.bias)


def test_the_record_says_how_often_the_network_is_right_and_it_is_better_than_a_guess():
    said = record()
    assert said["test_images"] == 10_000
    assert set(said["accuracy"]) >= {"BatchNorm", "LayerNorm", "GroupNorm, 4 groups", "InstanceNorm"}
    assert all(30 < percent < 100 for percent in said["accuracy"].values())
    assert json.loads((FOLDER / "photo_net.json").read_text()) == said


def test_the_network_has_been_trained_and_sees_a_cat_in_the_cat():
    """Weights in another order would still load; they would not know a cat."""
    cat = trained()(photographs(32), Grouping.group_norm(4))[0].softmax(0)
    assert cat[3] > 0.1
    assert math.isclose(cat.sum(), 1, rel_tol=1e-5)


def test_the_golden_file_is_what_the_network_says_today():
    said = json.loads(conv_net_golden.FILE.read_text())
    assert differences(said, json.loads(conv_net_golden.text()), "conv_net") == [], (
        "run: python -m tests.conv_net_golden"
    )
