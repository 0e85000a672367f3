"""The networks: sizes, what they ask of their norm, and that each option does what it says."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from gnlib.cifar import models
from gnlib.cifar.models import MODELS, DigitsNet, ResNet8, ResNet9, standardize_weights, widths, zero_gamma

SHAPES = {name: (1, 8, 8) if name.startswith("digits") else (3, 32, 32) for name in MODELS}


def convolutions(model: nn.Module) -> list[nn.Conv2d]:
    return [module for module in model.modules() if isinstance(module, nn.Conv2d)]


@pytest.mark.parametrize("name", MODELS)
def test_a_model_gives_scores_for_every_class_and_a_gradient_for_every_parameter(name):
    channels, *size = SHAPES[name]
    model = MODELS[name](nn.BatchNorm2d, channels, 7)
    scores = model(torch.randn(5, channels, *size))
    assert scores.shape == (5, 7)
    functional.cross_entropy(scores, torch.arange(5)).backward()
    for parameter in model.parameters():
        assert not parameter.requires_grad or parameter.grad.abs().sum() > 0


def test_the_vgg_is_the_annotated_implementations():
    model = MODELS["vgg"](nn.BatchNorm2d, 3, 10)
    assert sum(parameter.numel() for parameter in model.parameters()) == 14_728_266
    assert [conv.out_channels for conv in convolutions(model)] == [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6
    assert all(conv.bias is not None for conv in convolutions(model))
    shapes = []
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(lambda module, inputs, output: shapes.append(tuple(output.shape[2:])))
    model(torch.randn(2, 3, 32, 32))
    assert shapes == [(32, 32)] * 2 + [(16, 16)] * 2 + [(8, 8)] * 3 + [(4, 4)] * 3 + [(2, 2)] * 3


@pytest.mark.parametrize(("stages", "last"), [(4, (1, 1)), (3, (2, 2))])
def test_the_digits_nets_last_map_depends_on_its_stages(stages, last):
    assert DigitsNet(nn.BatchNorm2d, stages=stages).features(torch.randn(2, 1, 8, 8)).shape[2:] == last


def test_the_small_resnet_halves_its_map_twice():
    model = ResNet8(nn.BatchNorm2d)
    assert model.blocks(model.stem(torch.randn(2, 3, 32, 32))).shape == (2, 64, 8, 8)


def test_widths_lists_what_the_norm_is_asked_for():
    assert widths("vgg") == [64, 128, 256, 512]
    assert widths("resnet8") == [16, 32, 64]


@pytest.mark.parametrize("make", [ResNet8, ResNet9])
def test_with_zero_gamma_residual_branches_begin_at_zero(make):
    model = make(nn.BatchNorm2d)
    branches = [module for module in model.modules() if hasattr(module, "last_norm")]
    assert len(branches) >= 2
    zero_gamma(model)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            last = any(norm is branch.last_norm for branch in branches)
            assert norm.weight.unique().tolist() == [0.0 if last else 1.0]
    if make is ResNet9:
        x = torch.randn(2, 128, 8, 8)
        assert torch.equal(model.stage1[1](x), x)


def test_zero_gamma_passes_over_norms_without_one():
    zero_gamma(ResNet8(lambda channels: nn.Identity()))


def test_whitened_patches_are_uncorrelated_and_have_variance_one():
    images = torch.randn(200, 3, 32, 32)
    images = images + images.roll(1, 2) + 2 * images.mean(1, keepdim=True)
    model = ResNet9(nn.BatchNorm2d, whitened=True)
    model.whiten(images)
    responses = model.whitening(images).permute(1, 0, 2, 3).flatten(1)  # (24, patches)
    covariance = torch.cov(responses)
    torch.testing.assert_close(covariance[:12, :12], torch.eye(12), atol=5e-3, rtol=0)
    torch.testing.assert_close(responses[12:], -responses[:12])
    assert not model.whitening.weight.requires_grad
    assert model(images[:2]).shape == (2, 10)


def test_a_model_without_whitening_leaves_whiten_alone():
    model = ResNet9(nn.BatchNorm2d)
    before = [parameter.clone() for parameter in model.parameters()]
    model.whiten(torch.randn(10, 3, 32, 32))
    assert all(map(torch.equal, before, model.parameters()))


def test_standardized_filters_have_mean_zero_and_norm_one_however_large_the_weights():
    model = ResNet9(nn.BatchNorm2d, whitened=True)
    frozen = model.whitening.weight.clone()
    x = torch.randn(2, 3, 32, 32)
    standardize_weights(model)
    for conv in convolutions(model):
        if conv is not model.whitening:
            filters = conv.weight.flatten(1)
            torch.testing.assert_close(filters.mean(1), torch.zeros(len(filters)), atol=1e-6, rtol=0)
            torch.testing.assert_close(filters.norm(dim=1), torch.ones(len(filters)))
    assert torch.equal(model.whitening.weight, frozen)
    before = model(x)
    with torch.no_grad():
        model.stem[0].parametrizations.weight.original.mul_(3).add_(1)
    torch.testing.assert_close(model(x), before, atol=1e-4, rtol=1e-4)


def test_he_initialization_keeps_the_scale_of_a_relu_network():
    torch.manual_seed(1)
    conv = nn.Sequential(nn.Conv2d(256, 256, 3, padding=1, bias=False))
    models.initialize(conv)
    x = torch.randn(8, 256, 16, 16).relu() * 2**0.5  # mean square 1
    inner = conv(x)[:, :, 1:-1, 1:-1]  # borders see zeros
    assert inner.square().mean().item() == pytest.approx(2, rel=0.05)
