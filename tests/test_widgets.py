"""The Python side of the figures: what crosses to the browser, what comes back, what is refused and how."""

from __future__ import annotations

import base64
import io
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
import traitlets
from PIL import Image
from torch import Tensor

from gnlib import EACH, Grouping, moments, pool
from gnlib.widgets import Square

X = torch.randn(4, 6, 3, 5, generator=torch.Generator().manual_seed(1)) + 2

FORMATS = {"float16": "e", "float32": "f", "float64": "d"}  # struct's letters


def transported(figure: Square) -> Tensor:
    """Read the values as a browser does: bytes, in the precision that the figure names."""
    raw = base64.b64decode(figure.values)
    if figure.precision == "bfloat16":
        raw = b"".join(b"\0\0" + raw[i : i + 2] for i in range(0, len(raw), 2))  # the upper half of a float32
    letter = FORMATS.get(figure.precision, "f")
    values = struct.unpack(f"<{len(raw) // struct.calcsize(letter)}{letter}", raw)
    return torch.tensor(values, dtype=torch.float64).reshape(figure.shape)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_values_cross_exactly_in_their_own_precision(dtype: torch.dtype):
    x = X.to(dtype)
    figure = Square(x)
    assert figure.precision == str(dtype).removeprefix("torch.")
    assert figure.shape == [4, 6, 3, 5]
    assert torch.equal(transported(figure), x.double())
    assert len(base64.b64decode(figure.values)) == x.numel() * x.element_size()


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int64, torch.bool])
def test_whole_numbers_cross_exactly(dtype: torch.dtype):
    x = torch.arange(24).reshape(2, 3, 4).to(dtype)
    assert torch.equal(transported(Square(x)), x.double())


def test_whole_numbers_beyond_float32_keep_every_digit():
    assert transported(Square(torch.tensor([[2**40 + 1, 3]])))[0, 0] == 2**40 + 1


def test_layouts_do_not_matter_only_values_do():
    expected = transported(Square(X))
    assert torch.equal(transported(Square(X.contiguous(memory_format=torch.channels_last))), expected)
    assert torch.equal(transported(Square(X.transpose(2, 3).contiguous().transpose(2, 3))), expected)
    assert torch.equal(transported(Square(X.clone().requires_grad_())), expected)
    assert torch.equal(transported(Square(X.numpy())), expected)


@pytest.mark.parametrize("shape", [(1, 1), (4, 6), (1, 7, 5), (2, 13, 2, 3, 4), (256, 256)])
def test_any_rank_and_size_up_to_the_limit_is_shown(shape: tuple[int, ...]):
    figure = Square(torch.ones(shape))
    assert tuple(figure.shape) == shape
    assert figure.moments.mean.shape == (1, 1)


def test_the_grouping_goes_both_ways():
    figure = Square(X, Grouping.group_norm(3))
    assert figure.grouping == Grouping(4, 3)
    assert (figure.sample_blocks, figure.channel_groups) == (4, 3)
    figure.grouping = Grouping(2, EACH)
    assert (figure.sample_blocks, figure.channel_groups) == (2, 6)
    figure.set_state({"sample_blocks": 1, "channel_groups": 2})  # what a browser sends
    assert figure.grouping == Grouping(1, 2)


@pytest.mark.parametrize("point", Grouping.legal(4, 6))
def test_the_moments_are_those_of_the_blocks_at_the_present_point(point: tuple[int, int]):
    figure = Square(X)
    figure.grouping = Grouping(*point)
    expected = pool(moments(X), Grouping(*point))
    for ours, known in zip(figure.moments, expected, strict=True):
        assert ours.shape == point
        assert torch.equal(ours, known)


def test_what_a_kernel_needs_is_synchronised():
    synced = set(Square.class_traits(sync=True))
    assert {
        "values",
        "precision",
        "shape",
        "sample_blocks",
        "channel_groups",
        "sample",
        "channel",
        "position",
    } <= synced
    assert {"spoiled_sample", "spoiled_channel", "evaluating", "steps", "weight", "bias", "eps"} <= synced


def test_a_first_state_can_be_given():
    figure = Square(X, sample=3, channel=0, position=7, spoiled_sample=1, evaluating=True, eps=0.1, weight=[2.0] * 6)
    assert (figure.sample, figure.channel, figure.position) == (3, 0, 7)
    assert (figure.spoiled_sample, figure.spoiled_channel, figure.evaluating) == (1, None, True)
    assert figure.eps == 0.1


def test_the_first_value_read_lies_in_the_middle_of_a_cell():
    figure = Square(X)
    assert (figure.sample, figure.channel, figure.position) == (1, 2, 1 * 5 + 2)
    figure = Square(torch.ones(1, 1))
    assert (figure.sample, figure.channel, figure.position) == (0, 0, 0)


def refusals() -> dict[str, tuple[object, type[Exception], str]]:
    return {
        "rank 1": (torch.ones(3), ValueError, r"rank 2 or more: got shape \(3,\); x.reshape\(1, -1\) would do"),
        "no values": (torch.ones(2, 0, 4), ValueError, r"got shape \(2, 0, 4\), which has none"),
        "complex": (torch.ones(2, 2, dtype=torch.complex64), TypeError, "x must be real: got torch.complex64; x.abs"),
        "NaN": (torch.tensor([[1.0, float("nan")]]), ValueError, "got 1 NaN or Inf of 2 values; x.nan_to_num"),
        "infinite": (torch.tensor([[1.0, float("inf")]]), ValueError, "x must be finite"),
        "text": ("cat", TypeError, "x must be a tensor or an array: got str"),
        "ragged": (np.array(["a", "b"]), TypeError, "x must be a tensor or an array: got ndarray"),
    }


@pytest.mark.parametrize("case", refusals())
def test_what_cannot_be_shown_is_refused_with_a_way_out(case: str):
    x, error, message = refusals()[case]
    with pytest.raises(error, match=message):
        Square(x)


@pytest.mark.parametrize(
    "shape",
    [(300, 300), (65_537, 1), (1, 70_000), (8, 64, 56, 56), (4, 512, 7, 7), (2, 3, 1000, 1000), (3, 5, 40, 40, 40)],
)
def test_too_large_a_tensor_is_refused_with_a_slice_that_works(shape: tuple[int, ...]):
    x = torch.zeros(1).expand(shape)
    with pytest.raises(ValueError, match=r"at most 65,536 values: got shape .* values; x\[.*\] would do") as error:
        Square(x)
    advice = str(error.value).split("; ")[-1].removesuffix(" would do")
    smaller = eval(advice, {"x": x})
    assert 65_536 // 20 < smaller.numel() <= 65_536
    assert Square(smaller.contiguous()).shape == list(smaller.shape)


@pytest.mark.parametrize(
    ("trait", "value", "message"),
    [
        ("sample_blocks", 3, "got 4 samples and 3 blocks; 1, 2 or 4 would do"),
        ("channel_groups", 4, "got 6 channels and 4 groups; 1, 2, 3 or 6 would do"),
        ("channel_groups", 0, "must be at least 1"),
        ("sample", 4, "sample counts from 0: got 4; 0 to 3 would do"),
        ("position", 15, "position counts from 0: got 15; 0 to 14 would do"),
        ("spoiled_channel", -1, "spoiled_channel counts from 0: got -1; 0 to 5 would do"),
        ("weight", [1.0], "got 1 for 6 channels; 6 numbers or none would do"),
    ],
)
def test_a_state_that_does_not_exist_is_refused(trait: str, value: object, message: str):
    figure = Square(X)
    before = getattr(figure, trait)
    with pytest.raises(traitlets.TraitError, match=message):
        setattr(figure, trait, value)
    assert getattr(figure, trait) == before


def test_a_grouping_that_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="got 6 channels and 4 groups; 1, 2, 3 or 6 would do"):
        Square(X, Grouping.group_norm(4))
    figure = Square(X)
    with pytest.raises(ValueError, match="got 4 samples and 3 blocks"):
        figure.grouping = Grouping(3, 2)
    assert figure.grouping == Grouping(1, 1)


def test_pictures_become_small_images_in_the_page():
    pictures = torch.zeros(4, 3, 200, 100)
    pictures[:, 0] = 1.0  # red
    figure = Square(X, sample_pictures=pictures)
    for address in figure.sample_pictures:
        head, data = address.split(",")
        assert head == "data:image/jpeg;base64"
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            assert max(image.size) <= 96
            red, green, blue = image.convert("RGB").getpixel((10, 10))  # type: ignore[misc]
            assert red > 240
            assert max(green, blue) < 15
    assert len(Square(X, sample_pictures=torch.rand(4, 1, 8, 8)).sample_pictures) == 4  # grey ones too


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"sample_pictures": torch.rand(3, 3, 8, 8)},
            r"one picture a sample: got shape \(3, 3, 8, 8\); \(4, 3, h, w\)",
        ),
        ({"sample_pictures": torch.full((4, 3, 8, 8), 255.0)}, r"must lie in \[0, 1\]: got 255 to 255; pictures / 255"),
        ({"sample_names": ["cat"]}, "got 1 for 4 samples; 4 names or none would do"),
        ({"channel_names": ["a"] * 7}, "got 7 for 6 channels; 6 names or none would do"),
    ],
)
def test_names_and_pictures_must_fit(arguments: dict[str, object], message: str):
    with pytest.raises(ValueError, match=message):
        Square(X, **arguments)  # type: ignore[arg-type]


def test_a_missing_front_end_says_how_to_build_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr("gnlib.widgets.figure.STATIC", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"square\.js is not built: run `make frontend`"):
        Square(X)


def test_the_widget_carries_its_module_and_its_style():
    figure = Square(X)
    assert "export{" in figure._esm.replace(" ", "")
    assert ".gn-figure" in figure._css
