"""The photographs are the ones we credit, and the features behave as the chapters say."""

import hashlib
import tomllib
import zipfile
from pathlib import Path

import pytest
import torch

from gnlib.photographs import CREDITS, FOLDER, oriented_filters, photographs

ENTRIES = tomllib.loads((FOLDER / "CREDITS.toml").read_text("utf8"))["photograph"]
CAT, COFFEE, ASTRONAUT, FLOWER = range(4)


def test_every_shipped_photograph_is_credited_and_unchanged() -> None:
    shipped = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in FOLDER.glob("*.jpg")}
    assert shipped == {entry["file"]: entry["sha256"] for entry in ENTRIES}


def test_credits_name_author_and_licence() -> None:
    assert [credit.licence for credit in CREDITS] == ["CC0 1.0", "CC0 1.0", "public domain", "CC BY 2.0"]
    for credit in CREDITS:
        assert all(value.strip() for value in vars(credit).values()), credit
        assert credit.author in str(credit)
        assert credit.licence in str(credit)


def test_the_folder_stays_small_enough_for_a_wheel() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 60_000


@pytest.mark.parametrize("size", [1, 16, 50, 64, 128])
def test_photographs_are_four_rgb_images_between_zero_and_one(size: int) -> None:
    images = photographs(size)
    assert images.shape == (4, 3, size, size)
    assert images.dtype == torch.float32
    assert images.min() >= 0
    assert images.max() <= 1


def test_a_reader_may_write_into_the_photographs() -> None:
    photographs().zero_()
    photographs(128).zero_()
    assert photographs().mean() > 0.1


@pytest.mark.parametrize("size", [0, 129])
def test_a_size_that_is_not_stored_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"between 1 and 128, the stored size: got {size}"):
        photographs(size)


def test_photographs_differ_in_brightness_and_contrast() -> None:
    images = photographs().flatten(1)
    brightness, contrast = images.mean(1), images.std(1)
    assert brightness.argmax() == ASTRONAUT
    assert contrast.argmin() == CAT
    assert brightness.max() > 1.4 * brightness.min()
    assert contrast.max() > 1.4 * contrast.min()


def test_features_have_one_map_for_each_orientation() -> None:
    assert oriented_filters(photographs(48), orientations=6, size=10).shape == (4, 6, 10, 10)
    assert 0.9 < oriented_filters(photographs()).std() < 1.1


def test_features_are_linear_in_the_image() -> None:
    images = photographs().double()
    features = oriented_filters(images)
    torch.testing.assert_close(oriented_filters(3 * images), 3 * features, rtol=1e-12, atol=1e-13)
    two = oriented_filters(images[:1] + images[1:2])
    torch.testing.assert_close(two, features[:1] + features[1:2], rtol=1e-12, atol=1e-13)
    assert oriented_filters(torch.zeros(1, 3, 32, 32)).abs().max() == 0


@pytest.mark.parametrize("k", range(8))
def test_each_filter_answers_most_to_brightness_that_rises_in_its_direction(k: int) -> None:
    line = torch.arange(32, dtype=torch.float64)
    across, up = line.view(1, -1), -line.view(-1, 1)
    responses = []
    for other in range(8):
        angle = torch.tensor(other * torch.pi / 4, dtype=torch.float64)
        ramp = torch.cos(angle) * across + torch.sin(angle) * up
        inner = oriented_filters((ramp - ramp.mean()).expand(1, 3, 32, 32))[0, k, 7:9, 7:9]  # where brightness is 0
        responses.append(inner.mean())
    assert torch.stack(responses).argmax() == k


def test_channels_and_samples_differ_in_mean_and_spread() -> None:
    features = oriented_filters(photographs()).flatten(2)  # (4, 8, S)
    channel_spread, sample_spread = features.std((0, 2)), features.std((1, 2))
    assert channel_spread.max() > 2 * channel_spread.min()
    assert sample_spread.max() > 1.4 * sample_spread.min()
    assert features.mean((0, 2)).min() < 0 < features.mean((0, 2)).max()


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 1, 8, 8)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(N, 3, height, width\): got"):
        oriented_filters(torch.zeros(shape))


def test_the_tool_refuses_a_wheel_with_another_picture(tmp_path: Path) -> None:
    from tools.make_photographs import original

    with zipfile.ZipFile(tmp_path / "scikit_image-0.26.0-cp311-any.whl", "w") as wheel:
        wheel.writestr("skimage/data/chelsea.png", b"another picture")
    with pytest.raises(SystemExit, match=r"CREDITS\.toml says 596aa1e7"):
        original(tmp_path, ENTRIES[0]["package"], ENTRIES[0]["path"], ENTRIES[0]["original_sha256"])
