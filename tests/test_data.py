"""The data is right or refused, its splits are the same for ever, and an epoch is a function of (seed, epoch)."""

import hashlib
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gnlib.cifar import data
from gnlib.cifar.archive import CIFAR10
from gnlib.cifar.data import DataError, Dataset, Split, batches, check, describe, load, standardize

PACKED = Path(__file__).parents[2] / "shared" / "cifar10" / "cifar10_packed.py"


@pytest.fixture(scope="session")
def cifar10_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not PACKED.exists():
        pytest.skip(f"needs CIFAR-10, which this machine does not have at {PACKED.parent}")
    folder = tmp_path_factory.mktemp("cifar10")
    said = subprocess.run([sys.executable, str(PACKED), str(folder), "bin"], capture_output=True, text=True, check=True)
    (folder / "fingerprint").write_text(said.stdout.strip())
    return folder


@pytest.fixture(scope="session")
def cifar10(cifar10_folder: Path) -> Dataset:
    return load("cifar10", cifar10_folder)


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load("digits")


@pytest.fixture(autouse=True)
def _no_folder_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GNLIB_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def invented_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fill a folder with records that have all that is checked of CIFAR-10, without an image of it."""
    folder = tmp_path_factory.mktemp("invented")
    generator = np.random.RandomState(0)
    for name in CIFAR10.members:
        records = generator.randint(0, 256, (10_000, 3073), np.uint8)
        records[:, 0] = generator.permutation(np.arange(10_000) % 10)
        records.tofile(folder / name)
    return folder


def copy(invented: Path, to: Path, changed: str, change: Callable[[np.ndarray], np.ndarray]) -> Path:
    for name in CIFAR10.members:
        if name == changed:
            change(np.fromfile(invented / name, np.uint8).reshape(10_000, 3073)).tofile(to / name)
        else:
            (to / name).symlink_to(invented / name)
    return to


def rows(images: Tensor) -> list[bytes]:
    return [image.tobytes() for image in images.numpy()]


# ------------------------------------------------------------------------------------------------------- real CIFAR-10


def test_cifar10_has_its_splits_shapes_and_classes(cifar10):
    assert [len(split.labels) for split in (cifar10.train, cifar10.held_out, cifar10.test)] == [45_000, 5_000, 10_000]
    assert cifar10.train.images.shape == (45_000, 3, 32, 32)
    assert cifar10.train.images.dtype == torch.uint8
    assert cifar10.train.labels.dtype == torch.int64
    for split, each in ((cifar10.train, 4_500), (cifar10.held_out, 500), (cifar10.test, 1_000)):
        assert split.labels.bincount().tolist() == [each] * 10
    assert cifar10.classes[:3] == ("airplane", "automobile", "bird")


def test_the_fingerprint_covers_all_pixels_then_all_labels_in_the_official_order(cifar10, cifar10_folder):
    assert cifar10.fingerprint == "sha256:" + (cifar10_folder / "fingerprint").read_text()  # by other code than ours


def test_pixels_and_labels_are_read_as_the_page_of_cifar10_describes_them(cifar10, cifar10_folder):
    record = (cifar10_folder / "test_batch.bin").read_bytes()[3073 * 77 : 3073 * 78]
    assert cifar10.test.labels[77] == record[0]
    assert cifar10.test.images[77, 1, 5, 9] == record[1 + 1024 + 5 * 32 + 9]  # green, sixth row, tenth column


def test_mean_and_std_are_those_that_everybody_uses(cifar10, cifar10_folder):
    whole = load("cifar10", cifar10_folder, held_out=0)
    # rounded to four digits, as in https://github.com/kuangliu/pytorch-cifar/issues/19
    assert [round(mean / 255, 4) for mean in whole.mean] == [0.4914, 0.4822, 0.4465]
    assert [round(std / 255, 4) for std in whole.std] == [0.2470, 0.2435, 0.2616]
    train = cifar10.train.images.double()
    assert cifar10.mean == pytest.approx(train.mean((0, 2, 3)).tolist(), rel=1e-12)
    assert cifar10.std == pytest.approx(train.std((0, 2, 3), correction=0).tolist(), rel=1e-12)
    assert cifar10.mean != whole.mean


def test_the_splits_are_the_ones_that_all_records_were_made_with(cifar10):
    digest = hashlib.sha256()
    for split in (cifar10.train, cifar10.held_out):
        digest.update(hashlib.sha256(split.images.numpy().data).digest())
    assert digest.hexdigest() == "423a33941b8c9e5e4de730c48fdf3ff42e1bd2ba0d9cd88749807b4c5ab88bf0"


def test_a_smaller_subset_is_part_of_a_larger_one_whatever_is_held_out(cifar10, cifar10_folder):
    small, large = (load("cifar10", cifar10_folder, train_images=count) for count in (500, 2_000))
    other = load("cifar10", cifar10_folder, train_images=500, held_out=1_000)
    assert small.train.labels.bincount().tolist() == [50] * 10
    assert not Counter(rows(small.train.images)) - Counter(rows(large.train.images))
    assert not Counter(rows(large.train.images)) - Counter(rows(cifar10.train.images))
    assert torch.equal(small.train.images, other.train.images)
    assert (small.mean, small.fingerprint) == (cifar10.mean, cifar10.fingerprint)


# -------------------------------------------------------------------------------------------------------------- digits


def test_digits_are_split_by_class(digits):
    assert digits.train.images.shape == (1_000, 1, 8, 8)
    assert digits.train.labels.bincount().tolist() == [100] * 10
    assert digits.test.labels.bincount().tolist() == [50] * 10
    assert digits.held_out.labels.bincount().tolist() == [28, 32, 27, 33, 31, 32, 31, 29, 24, 30]  # what is left
    assert int(digits.train.images.max()) == 16
    assert digits.origin.startswith("scikit-learn 1.")
    assert torch.equal(load("digits", held_out=297).held_out.images, digits.held_out.images)  # the number that it has


def test_every_digit_is_in_exactly_one_split(digits):
    from sklearn.datasets import load_digits

    original = Counter(image.astype(np.uint8).tobytes() for image in load_digits().images)
    splits = sum((Counter(rows(split.images)) for split in (digits.train, digits.held_out, digits.test)), Counter())
    assert splits == original


def test_digits_are_the_ones_that_all_records_were_made_with(digits):
    digest = hashlib.sha256()
    for split in (digits.train, digits.held_out, digits.test):
        digest.update(split.images.numpy().data)
    assert digest.hexdigest() == "2611219a2a6b8aa899e83951c7d7590a9376c14b5b24f98e06cb8dbf925b5ebe"
    assert digits.fingerprint == "sha256:87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"


@pytest.mark.parametrize("held_out", [0, 100, 1_230])
def test_other_numbers_of_digits_can_be_held_out(held_out, digits):
    dataset = load("digits", held_out=held_out)
    assert len(dataset.train.labels) + held_out == 1_297
    assert dataset.held_out.labels.bincount(minlength=10).tolist() == [held_out // 10] * 10
    assert torch.equal(dataset.test.images, digits.test.images)


def test_without_scikit_learn_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(DataError, match="not installed: pip install scikit-learn, or take cifar10"):
        load("digits")


# -------------------------------------------------------------------------------------------------------------- choices


@pytest.mark.parametrize(
    ("name", "counts", "message"),
    [
        ("cifar100", {}, "there is no data set 'cifar100': cifar10 or digits would do"),
        ("cifar10", {"held_out": 5_003}, "10 classes from 0 to 49,990: got held_out=5003; 5000 would do"),
        ("cifar10", {"held_out": 50_000}, "got held_out=50000; 49990 would do"),
        ("cifar10", {"held_out": -10}, "got held_out=-10; 0 would do"),
        ("cifar10", {"held_out": 297}, "got held_out=297; 300 would do"),
        ("digits", {"held_out": 298}, "from 0 to 1,230, or 297: got held_out=298; 300 would do"),
        (
            "cifar10",
            {"train_images": 0},
            "from 10 to 45,000 (5,000 images are held out): got train_images=0; 10 would do",
        ),
        ("cifar10", {"train_images": 2_001}, "got train_images=2001; 2000 would do"),
        ("cifar10", {"train_images": 45_010}, "got train_images=45010; 45000 would do"),
        ("cifar10", {"train_images": 45_010, "held_out": 10_000}, "to 40,000 (10,000 images are held out)"),
        ("digits", {"train_images": 1_010}, "got train_images=1010; 1000 would do"),
        ("digits", {"train_images": 960, "held_out": 290}, "got train_images=960; 950 would do"),
    ],
)
def test_a_choice_that_cannot_be_had_is_refused_before_any_data_is_touched(name, counts, message):
    with pytest.raises(ValueError, match="would do") as caught:
        load(name, "/nowhere", **counts)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "held_out", "most"), [("digits", None, 1_000), ("digits", 290, 950), ("digits", 0, 1_240)]
)
def test_the_largest_subset_that_is_offered_can_be_had(name, held_out, most):
    check(name, train_images=most, held_out=held_out)
    assert len(load(name, train_images=most, held_out=held_out).train.labels) == most


# -------------------------------------------------------------------------------------------------------------- folders


def test_any_folder_in_the_official_layout_is_read_and_named(invented_folder):
    dataset = load("cifar10", str(invented_folder))
    assert dataset.origin == f"a folder in the official layout: {invented_folder}"
    assert len(dataset.test.labels) == 10_000


def test_every_training_image_is_in_exactly_one_split(invented_folder):
    # among random images there are no twins, as there are among CIFAR-10's
    dataset = load("cifar10", invented_folder)
    originals = [np.fromfile(invented_folder / f"data_batch_{i}.bin", np.uint8).reshape(-1, 3073) for i in range(1, 6)]
    found = Counter(rows(dataset.train.images)) + Counter(rows(dataset.held_out.images))
    assert found == Counter(record[1:].tobytes() for records in originals for record in records)
    assert len(found) == 50_000


def test_the_environment_names_the_folder_and_an_argument_overrules_it(invented_folder, monkeypatch):
    monkeypatch.setenv("GNLIB_DATA", str(invented_folder))
    assert str(invented_folder) in load("cifar10").origin
    with pytest.raises(DataError, match="/nowhere is not there"):
        load("cifar10", "/nowhere")


def test_the_official_archive_is_told_by_its_files(invented_folder, monkeypatch):
    sums = {name: hashlib.sha256((invented_folder / name).read_bytes()).hexdigest() for name in CIFAR10.members}
    monkeypatch.setattr(data, "OFFICIAL", sums)
    assert load("cifar10", invented_folder).origin == "the official archive"


def test_without_a_folder_the_cache_is_filled_and_read(invented_folder, monkeypatch, tmp_path):
    def fetch(folder: Path, quiet: bool) -> Path:
        folder.parent.mkdir(parents=True)
        folder.symlink_to(invented_folder)
        return folder

    monkeypatch.setattr(data, "fetch", fetch)
    place = tmp_path / "cache" / "gnlib" / "cifar-10-batches-bin"
    assert data.cache_folder() == place
    assert load("cifar10").origin.endswith(str(place))


def test_without_permission_nothing_is_downloaded(monkeypatch):
    monkeypatch.setattr(data, "fetch", lambda *_, **__: pytest.fail("it was fetched"))
    with pytest.raises(
        DataError, match=r"not in .*downloading was not allowed. Put cifar-10-binary.tar.gz \(170,052,171"
    ):
        load("cifar10", download=False)


def test_a_folder_above_the_right_one_and_the_python_version_are_told(tmp_path):
    (tmp_path / "cifar-10-batches-bin").mkdir()
    with pytest.raises(DataError, match=f"lacks data_batch_1.bin, .*Name {tmp_path}/cifar-10-batches-bin instead"):
        load("cifar10", tmp_path)
    (tmp_path / "py").mkdir()
    (tmp_path / "py" / "data_batch_1").write_bytes(b"pickle")
    with pytest.raises(DataError, match="the Python version, which is not read, since it could run code"):
        load("cifar10", tmp_path / "py")


@pytest.mark.parametrize("size", [0, 30_729_999, 30_730_001])
def test_a_file_of_another_size_is_named(invented_folder, tmp_path, size):
    folder = copy(invented_folder, tmp_path, "data_batch_3.bin", lambda records: np.resize(records, size))
    with pytest.raises(DataError, match=rf"data_batch_3.bin must have 30,730,000 bytes, .*: it has {size:,}. Copy it"):
        load("cifar10", folder)


def test_a_file_that_cannot_be_read_is_named(invented_folder, monkeypatch):
    def broken(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(data.np, "fromfile", broken)
    with pytest.raises(DataError, match=r"data_batch_1.bin cannot be read: Input/output error. Copy it once more"):
        load("cifar10", invented_folder)


def test_a_label_out_of_range_is_named(invented_folder, tmp_path):
    def change(records: np.ndarray) -> np.ndarray:
        records[1234, 0] = 10
        return records

    folder = copy(invented_folder, tmp_path, "test_batch.bin", change)
    with pytest.raises(
        DataError, match=r"test_batch.bin must have labels from 0 to 9: 1 .* first record 1,234 with 10"
    ):
        load("cifar10", folder)


@pytest.mark.parametrize(("name", "part"), [("data_batch_2.bin", "5,000 training"), ("test_batch.bin", "1,000 test")])
def test_classes_out_of_balance_are_told(invented_folder, tmp_path, name, part):
    def change(records: np.ndarray) -> np.ndarray:
        records[np.flatnonzero(records[:, 0] == 3)[0], 0] = 4
        return records

    folder = copy(invented_folder, tmp_path, name, change)
    with pytest.raises(DataError, match=rf"is not CIFAR-10: of each class there must be {part} images, .*999, .*,001"):
        load("cifar10", folder)


def test_a_folder_of_blank_images_is_refused(tmp_path):
    records = np.zeros((10_000, 3073), np.uint8)
    records[:, 0] = np.arange(10_000) % 10
    for name in CIFAR10.members:
        records.tofile(tmp_path / name)
    with pytest.raises(DataError, match="every pixel is 0"):
        load("cifar10", tmp_path)


# --------------------------------------------------------------------------------------------------------------- epochs


def split_of(count: int = 23, height: int = 5, width: int = 7) -> Split:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 2, height, width), dtype=torch.uint8, generator=generator)
    return Split(images, torch.arange(count))


def epoch_of(split: Split, batch_size: int = 4, **choices: object) -> list[tuple[Tensor, Tensor]]:
    chosen = {"seed": 0, "epoch": 0, "flip": True, "crop": 2} | choices
    return list(batches(split, batch_size, **chosen))


def same(some: list[tuple[Tensor, Tensor]], others: list[tuple[Tensor, Tensor]]) -> bool:
    return len(some) == len(others) and all(
        torch.equal(a, c) and torch.equal(b, d) for (a, b), (c, d) in zip(some, others, strict=True)
    )


def test_an_epoch_shows_every_image_at_most_once_and_drops_a_ragged_batch():
    shown = epoch_of(split_of())
    labels = torch.cat([labels for _, labels in shown])
    assert [len(images) for images, _ in shown] == [4] * 5
    assert len(labels.unique()) == len(labels) == 20
    assert all(images.dtype == torch.uint8 for images, _ in shown)


def test_without_flips_and_crops_the_images_are_the_split_s_own():
    split = split_of()
    for images, labels in epoch_of(split, flip=False, crop=0):
        assert torch.equal(images, split.images[labels])


def test_an_epoch_depends_on_seed_and_epoch_alone():
    split = split_of()
    first = epoch_of(split)
    torch.manual_seed(77)  # not on what was drawn before
    state = torch.get_rng_state()
    assert same(epoch_of(split), first)
    assert torch.equal(torch.get_rng_state(), state)  # and it draws from nobody else's generator
    for other in ({"seed": 1}, {"epoch": 1}, {"seed": 2**40}):
        assert not same(epoch_of(split, **other), first)
    assert not same(epoch_of(split, seed=0, epoch=1), epoch_of(split, seed=1, epoch=0))


def test_order_and_moves_are_the_same_for_every_batch_size():
    split = split_of(2_100)  # more than one chunk
    whole = torch.cat([images for images, _ in epoch_of(split, 2_100)])
    for size in (1, 3, 700, 1_500):
        part = torch.cat([images for images, _ in epoch_of(split, size)])
        assert torch.equal(part, whole[: len(part)])


@pytest.mark.parametrize("skip", [0, 1, 4, 5, 9])
def test_skipping_batches_leaves_the_others_as_they_are(skip):
    split = split_of()
    assert same(epoch_of(split, skip=skip), epoch_of(split)[skip:])


def test_images_are_shifted_by_reflection_and_mirrored():
    # against numpy's own padding, image by image
    split, crop = split_of(400, width=9), 3
    seen = Counter()
    for images, labels in epoch_of(split, 8, crop=crop):
        for image, label in zip(images.numpy(), labels.tolist(), strict=True):
            padded = np.pad(split.images[label].numpy(), ((0, 0), (crop, crop), (crop, crop)), mode="reflect")
            found = [
                (down, right, flip)
                for down in range(2 * crop + 1)
                for right in range(2 * crop + 1)
                for flip in (False, True)
                if np.array_equal(image, window(padded, down, right, flip))
            ]
            assert len(found) == 1, label
            seen.update(found)
    assert {down for down, _, _ in seen} == {right for _, right, _ in seen} == set(range(7))
    assert 0.35 < sum(count for (_, _, flip), count in seen.items() if flip) / sum(seen.values()) < 0.65


def window(padded: np.ndarray, down: int, right: int, flip: bool) -> np.ndarray:
    image = padded[:, down : down + 5, right : right + 9]
    return image[:, :, ::-1] if flip else image


def test_flips_alone_and_crops_alone_do_nothing_else():
    split = split_of(200)
    for images, labels in epoch_of(split, crop=0):
        plain = split.images[labels]
        assert ((images == plain).flatten(1).all(1) | (images == plain.flip(3)).flatten(1).all(1)).all()
    cropped = torch.cat([images for images, _ in epoch_of(split, flip=False)])
    both = torch.cat([images for images, _ in epoch_of(split)])
    changed = (cropped != both).flatten(1).any(1)
    assert torch.equal(cropped[changed].flip(3).sum(), both[changed].sum())
    assert 0.3 < changed.double().mean() < 0.7


def test_the_split_itself_stays_as_it_is():
    split = split_of()
    before = split.images.clone()
    for images, _ in epoch_of(split):
        images.zero_()
    for images, _ in epoch_of(split, flip=False, crop=0):
        images.zero_()
    assert torch.equal(split.images, before)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"batch_size": 24}, "batch_size must be 1 to the 23 images of the split: got 24; 23 would do"),
        ({"batch_size": 0}, "got 0"),
        ({"crop": 5}, "crop must be 0 to 4, less than an image's side: got 5; 4 would do"),
        ({"crop": -1}, "got -1"),
        ({"skip": -1}, "skip must be 0 batches or more: got -1"),
    ],
)
def test_an_impossible_epoch_is_refused_at_once(choices, message):
    with pytest.raises(ValueError, match=message):
        batches(split_of(), **{"batch_size": 4, "seed": 0, "epoch": 0, "flip": True, "crop": 2} | choices)


# -------------------------------------------------------------------------------------------------------- for a network


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_standardized_images_have_the_dtype_layout_and_values_asked_for(dtype, channels_last):
    images = torch.randint(0, 256, (3, 2, 5, 4), dtype=torch.uint8)
    mean, std = (100.3, 140.7), (60.1, 70.9)
    result = standardize(images, mean, std, dtype, channels_last)
    offset, scale = (torch.tensor(values, dtype=torch.float64).view(2, 1, 1) for values in (mean, std))
    exact = (images.double() - offset) / scale
    assert result.dtype == dtype
    assert result.is_contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    # computed in float32 at least, and then rounded once, to half a last place of each value
    error, computed = (result.double() - exact).abs(), 1e-14 if dtype == torch.float64 else 1e-6
    assert (error <= exact.abs() * torch.finfo(dtype).eps / 2 + computed).all()


def test_the_training_images_have_mean_0_and_variance_1_once_standardized(digits):
    result = standardize(digits.train.images, digits.mean, digits.std, torch.float64, False)
    assert result.mean().item() == pytest.approx(0, abs=1e-12)
    assert result.var(correction=0).item() == pytest.approx(1, abs=1e-12)


def test_a_data_set_moves_as_a_whole(digits):
    moved = digits.to("meta")
    assert {tensor.device.type for split in (moved.train, moved.held_out, moved.test) for tensor in split} == {"meta"}
    assert moved.fingerprint == digits.fingerprint


def test_describe_gives_what_is_printed(digits):
    told = describe(digits)
    assert (told["train"], told["held_out"], told["test"]) == (1_000, 297, 500)
    assert told["shape"] == [1, 8, 8]
    assert told["bytes"] == 1_797 * (64 + 8)
    assert told["fingerprint"] == digits.fingerprint
