"""A norm in a word: what each word makes, and what is refused with which way out."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from gnlib import Grouping, moments, normalize, pool
from gnlib.cifar import norms
from gnlib.cifar.norms import SPECS, check, norm_of, values_per_statistic

N, C, H, W = 4, 12, 5, 3
WORDS = {
    "batch": Grouping.batch_norm(),
    "layer": Grouping.layer_norm(),
    "instance": Grouping.instance_norm(),
    "group:3": Grouping.group_norm(3),
    "groups-of:2": Grouping.group_norm(6),
    "ghost:2": Grouping.ghost_batch_norm(2),
}


@pytest.mark.parametrize("spec", WORDS)
def test_a_word_makes_the_layer_at_its_point_of_the_square(spec):
    x = torch.randn(N, C, H, W) + 3
    torch.testing.assert_close(norm_of(spec)(C)(x), normalize(x, WORDS[spec]))


def test_every_kind_of_word_is_tested():
    assert {spec.partition(":")[0] for spec in SPECS} == {spec.partition(":")[0] for spec in [*WORDS, "none"]}


@pytest.mark.parametrize("spec", [*WORDS, "none"])
def test_all_norms_have_one_gamma_and_one_beta_a_channel_and_nothing_else_to_learn(spec):
    layer = norm_of(spec)(C)
    assert [(name, tuple(value.shape)) for name, value in layer.named_parameters()] == [
        ("weight", (C,)),
        ("bias", (C,)),
    ]


@pytest.mark.parametrize("spec", [*WORDS, "none"])
def test_gamma_starts_where_it_is_told(spec):
    assert norm_of(spec, gamma=0.5)(C).weight.unique().tolist() == [0.5]


def test_none_only_scales_and_shifts():
    layer = norm_of("none")(C)
    x = torch.randn(N, C, H, W)
    assert torch.equal(layer(x), x)
    with torch.no_grad():
        layer.weight.copy_(torch.arange(C))
        layer.bias.fill_(7)
    torch.testing.assert_close(layer(x)[:, 5], 5 * x[:, 5] + 7)
    assert layer(x.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize(
    "spec", ["grop:8", "group", "group:", "group:0", "group:-1", "group:x", "batch:2", "", "8", "group:08"]
)
def test_an_unknown_word_is_refused_with_those_there_are(spec):
    with pytest.raises(ValueError, match=r"norm must be one of batch, layer, .* with whole numbers for G and K: got"):
        norm_of(spec)


def test_groups_that_some_layer_cannot_have_are_refused_for_the_whole_model():
    with pytest.raises(
        ValueError,
        match=r"group:32 must divide the channels of every layer: resnet8 has layers of 16, 32, 64 channels; "
        r"1, 2, 4, 8 or 16 groups would do",
    ):
        check("group:32", "resnet8", 128)
    check("group:32", "resnet9", 128)
    with pytest.raises(ValueError, match=r"groups-of:3 must divide .* 1, 2, 4, 8 or 16 channels a group would do"):
        check("groups-of:3", "resnet8", 128)


def test_blocks_that_do_not_divide_the_batch_are_refused():
    with pytest.raises(ValueError, match=r"got 32; ghost:K with K = 1, 2, 4, 8, 16 or 32 would do"):
        check("ghost:3", "resnet8", 32)


def test_an_unknown_model_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"model must be one of resnet9, .*: got 'resnet'"):
        check("batch", "resnet", 32)


@pytest.mark.parametrize("spec", WORDS)
def test_values_per_statistic_counts_what_the_core_pools(spec):
    x = torch.randn(N, C, H, W)
    counts = pool(moments(x), WORDS[spec]).count.unique().tolist()
    assert [values_per_statistic(norm_of(spec)(C), x.shape)] == counts


def test_what_takes_no_statistics_has_no_values():
    assert values_per_statistic(norm_of("none")(C), torch.Size((N, C, H, W))) is None
    assert values_per_statistic(torch.nn.ReLU(), torch.Size((N, C, H, W))) is None


def test_ghost_blocks_are_images_at_a_time():
    x = torch.randn(N, C, H, W)
    apart = torch.cat([functional.batch_norm(block, None, None, training=True) for block in x.split(2)])
    torch.testing.assert_close(norm_of("ghost:2")(C)(x), apart)
    assert norms.norm_of("ghost:2")(C).num_features == C
