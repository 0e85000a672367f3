"""Images and labels as tensors: where they come from, how they are split, and in which order an epoch sees them.

Every split is the same for every run. What a run's seed decides is the order of an epoch and its crops and flips, which
are functions of (seed, epoch) alone. Knows nothing of models and of training.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gnlib.cifar.archive import CIFAR10, DataError, by_hand, complete, fetch

__all__ = [
    "CLASSES",
    "DataError",
    "Dataset",
    "Split",
    "batches",
    "cache_folder",
    "check",
    "describe",
    "load",
    "standardize",
]

CLASSES = {
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    "digits": tuple("0123456789"),
}
# SHA-256 of each file in the official archive (as torchvision-ruby compares them), to tell people which data they have
OFFICIAL = {
    "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}
RECORD = 1 + 3 * 32 * 32  # bytes: the label, then the red, green and blue values of 32 rows of 32 pixels
TEST_DIGITS = 50  # images of each digit, of which there are 174 to 183
TRAIN_DIGITS = 100  # images of each digit, unless others are asked for
CHUNK = 1024  # images cropped and flipped at once; the choice changes speed, and never a value


class Split(NamedTuple):
    """Holds images and their labels."""

    images: Tensor  # uint8 (n, channels, height, width)
    labels: Tensor  # int64 (n,)


@dataclass(frozen=True)
class Dataset:
    """Holds all that a run reads: three splits, and what to record about them."""

    name: str
    classes: tuple[str, ...]
    train: Split
    held_out: Split  # kept from the training images, to choose hyper-parameters by
    test: Split  # read once, at the end
    mean: tuple[float, ...]  # of each channel over the training images (before a subset is taken), in pixel values
    std: tuple[float, ...]  # likewise
    fingerprint: str  # "sha256:" over all pixels, then all labels, of the whole data set, training images first
    origin: str  # for people

    def to(self, device: torch.device | str) -> Dataset:
        """Return the same data on a device."""
        train, held_out, test = (
            Split(split.images.to(device), split.labels.to(device)) for split in (self.train, self.held_out, self.test)
        )
        return replace(self, train=train, held_out=held_out, test=test)


def load(
    name: str = "cifar10",
    folder: Path | str | None = None,
    *,
    train_images: int | None = None,
    held_out: int | None = None,
    download: bool = True,
    quiet: bool = False,
) -> Dataset:
    """Read a data set, split the same way whatever the seed.

    Args:
        name: "cifar10", or "digits": scikit-learn's 1,797 handwritten digits of 8×8 pixels, which need no download.
        folder: CIFAR-10 in the official binary layout. None: the one that GNLIB_DATA names, else the cache's own, which
            is filled from the network if need be.
        train_images: how many training images to use, the same number of each class. Fewer are always among more.
        held_out: how many images to keep from training, the same number of each class; 0 trains on all.
            None: 5,000 of CIFAR-10, and the 297 digits that 100 training and 50 test images of each class leave.
        download: fill the cache's folder if it is empty.
        quiet: show no progress.
    Returns:
        the data, on the CPU: 45,000, 5,000 and 10,000 images, or 1,000, 297 and 500 digits.
    Raises:
        ValueError: the name or a count cannot be had; names some that can.
        DataError: the data is not there, or is not what it should be; says what to do.
    """
    check(name, train_images=train_images, held_out=held_out)
    pixels, labels, origin = _digits() if name == "digits" else _cifar10(folder, download, quiet)
    # RandomState and not Generator: numpy promises that only its stream stays the same in all versions (NEP 19)
    order = np.random.RandomState(2009).permutation(len(labels))
    shuffled = [order[labels[order] == label] for label in range(10)]  # each class, in an order fixed for all time
    if name == "digits":
        test = np.concatenate([of_class[:TEST_DIGITS] for of_class in shuffled])
        shuffled = [of_class[TEST_DIGITS:] for of_class in shuffled]
    else:
        test = np.arange(50_000, 60_000)
        shuffled = [of_class[of_class < 50_000] for of_class in shuffled]
    train, kept = _split(name, shuffled, held_out)
    mean, std = _mean_and_std(pixels, np.concatenate(train))
    if train_images is not None:
        train = [of_class[: train_images // 10] for of_class in train]
    digest = hashlib.sha256(pixels.data)
    digest.update(labels.data)
    return Dataset(
        name=name,
        classes=CLASSES[name],
        train=_take(pixels, labels, np.concatenate(train)),
        held_out=_take(pixels, labels, np.concatenate(kept)),
        test=_take(pixels, labels, test),
        mean=mean,
        std=std,
        fingerprint=f"sha256:{digest.hexdigest()}",
        origin=origin,
    )


def check(name: str, *, train_images: int | None = None, held_out: int | None = None) -> None:
    """Raise a ValueError unless these images can be had; looks at no data."""
    if name not in CLASSES:
        raise ValueError(f"there is no data set {name!r}: {' or '.join(CLASSES)} would do")
    smallest = 5_000 if name == "cifar10" else 174 - TEST_DIGITS  # images of the smallest class, without the test's
    usual = {"cifar10": 5_000, "digits": 297}[name]
    kept = usual if held_out is None else held_out
    if (kept % 10 and kept != usual) or not 0 <= kept < 10 * smallest:
        raise ValueError(
            f"held_out must be a multiple of the 10 classes from 0 to {10 * smallest - 10:,}"
            f"{'' if usual % 10 == 0 else f', or {usual}'}: got held_out={kept}; "
            f"{_near(kept, 0, 10 * smallest - 10)} would do"
        )
    most = 10 * TRAIN_DIGITS if name == "digits" and kept == usual else 10 * smallest - kept
    if train_images is not None and (train_images % 10 or not 10 <= train_images <= most):
        raise ValueError(
            f"train_images must be a multiple of the 10 classes from 10 to {most:,} "
            f"({kept:,} images are held out): got train_images={train_images}; {_near(train_images, 10, most)} would do"
        )


def _near(count: int, low: int, high: int) -> int:
    return min(max(round(count / 10) * 10, low), high)


def _split(
    name: str, shuffled: Sequence[NDArray[np.intp]], held_out: int | None
) -> tuple[list[NDArray[np.intp]], list[NDArray[np.intp]]]:
    """Cut each class into training images, from the front, and held-out ones, from the end.

    So a subset of the training images has the same images, however many are held out.
    """
    if name == "digits" and held_out in (None, 297):
        ends = [TRAIN_DIGITS for _ in shuffled]
    else:
        ends = [len(of_class) - (5_000 if held_out is None else held_out) // 10 for of_class in shuffled]
    pairs = list(zip(shuffled, ends, strict=True))
    return [of_class[:end] for of_class, end in pairs], [of_class[end:] for of_class, end in pairs]


def _take(pixels: NDArray[np.uint8], labels: NDArray[np.uint8], which: NDArray[np.intp]) -> Split:
    which = np.sort(which)  # the official order; an epoch has its own
    return Split(torch.from_numpy(pixels[which]), torch.from_numpy(labels[which].astype(np.int64)))


def _mean_and_std(pixels: NDArray[np.uint8], which: NDArray[np.intp]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return each channel's mean and standard deviation, in pixel values.

    Counted per value, in whole numbers, so that every machine gets the same to the last digit.
    """
    values, means, stds = np.arange(256), [], []
    counts = np.zeros((pixels.shape[1], 256), np.int64)
    for start in range(0, len(which), CHUNK):
        block = pixels[which[start : start + CHUNK]]
        for channel, count in enumerate(counts):
            count += np.bincount(block[:, channel].ravel(), minlength=256)
    for count in counts:
        number, total, squares = (int(count @ values**power) for power in range(3))
        means.append(total / number)
        stds.append((number * squares - total**2) ** 0.5 / number)
    return tuple(means), tuple(stds)


# ------------------------------------------------------------------------------------------------------------ sources


def cache_folder() -> Path:
    """Return where CIFAR-10 is kept when no folder is named."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "gnlib" / CIFAR10.folder


def _cifar10(
    folder: Path | str | None, download: bool, quiet: bool
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], str]:
    """Read the six files of the official layout, training first: pixels (60,000, 3, 32, 32), labels (60,000,)."""
    named = folder or os.environ.get("GNLIB_DATA")
    place = Path(named).expanduser() if named else cache_folder()
    if named:
        _require_files(place)
    elif download:
        fetch(place, quiet=quiet)
    elif not complete(place):
        raise DataError(f"CIFAR-10 is not in {place} yet, and downloading was not allowed. {by_hand(place)}")
    pixels = np.empty((60_000, 3, 32, 32), np.uint8)
    labels = np.empty(60_000, np.uint8)
    official = True
    for number, name in enumerate(CIFAR10.members):
        records = _records(place / name)
        official = official and hashlib.sha256(records.data).hexdigest() == OFFICIAL[name]
        rows = slice(10_000 * number, 10_000 * (number + 1))
        labels[rows] = records[:, 0]
        pixels[rows] = records[:, 1:].reshape(-1, 3, 32, 32)
        _require_labels(labels[rows], place / name)
    advice = f"Unpack {CIFAR10.name} (sha256 {CIFAR10.sha256}) there anew" + ("." if named else f", or delete {place}.")
    for part, rows, each in (("training", slice(50_000), 5_000), ("test", slice(50_000, None), 1_000)):
        found = np.bincount(labels[rows], minlength=10)
        if (found != each).any():
            raise DataError(
                f"{place} is not CIFAR-10: of each class there must be {each:,} {part} images, and there are "
                f"{', '.join(f'{count:,}' for count in found)}. {advice}"
            )
    if pixels.min() == pixels.max():
        raise DataError(f"{place} is not CIFAR-10: every pixel is {pixels.min()}. {advice}")
    return pixels, labels, "the official archive" if official else f"a folder in the official layout: {place}"


def _require_files(folder: Path) -> None:
    """Check that a folder that was named has the six files."""
    lacking = [name for name in CIFAR10.members if not (folder / name).is_file()]
    if lacking:
        found = "lacks " + ", ".join(lacking) if folder.is_dir() else "is not there"
        if (folder / CIFAR10.folder).is_dir():
            way = f"Name {folder / CIFAR10.folder} instead"
        elif (folder / "data_batch_1").exists():
            way = (
                f"It has the Python version, which is not read, since it could run code; unpack {CIFAR10.name} instead"
            )
        else:
            way = f"Unpack {CIFAR10.spec} there, or name no folder and it will be downloaded"
        raise DataError(f"The data folder {folder} {found}. {way}; --data digits needs no folder.")


def _records(path: Path) -> NDArray[np.uint8]:
    """Read a file's records, (10,000, 3,073): a label, then 3 × 32 × 32 pixel values."""
    size = CIFAR10.members[path.name]
    try:
        records = np.fromfile(path, np.uint8, size + 1)  # one more than there should be, so that a longer file shows
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}. Copy it once more.") from error
    if len(records) != size:
        found = path.stat().st_size
        raise DataError(
            f"{path} must have {size:,} bytes, 10,000 records of {RECORD:,}: it has {found:,}. "
            f"Copy it, or unpack {CIFAR10.name}, once more."
        )
    return records.reshape(-1, RECORD)


def _require_labels(labels: NDArray[np.uint8], path: Path) -> None:
    wrong = np.flatnonzero(labels > 9)
    if len(wrong):
        raise DataError(
            f"{path} must have labels from 0 to 9: {len(wrong):,} of its records have others, "
            f"first record {wrong[0]:,} with {labels[wrong[0]]}. Copy it, or unpack {CIFAR10.name}, once more."
        )


def _digits() -> tuple[NDArray[np.uint8], NDArray[np.uint8], str]:
    """Return scikit-learn's digits: pixels (1,797, 1, 8, 8) with values from 0 to 16, labels (1,797,)."""
    try:
        import sklearn
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError(
            "The digits are scikit-learn's, which is not installed: pip install scikit-learn, or take cifar10."
        ) from error
    bunch: Any = load_digits()
    pixels: NDArray[np.uint8] = bunch.images.astype(np.uint8)[:, None]
    labels: NDArray[np.uint8] = bunch.target.astype(np.uint8)
    return pixels, labels, f"scikit-learn {sklearn.__version__}"


# -------------------------------------------------------------------------------------------------------------- epochs


def batches(
    split: Split, batch_size: int, *, seed: int, epoch: int, flip: bool, crop: int, skip: int = 0
) -> Iterator[tuple[Tensor, Tensor]]:
    """Go once through a split in a random order, each image flipped and shifted at random.

    Order, flips and shifts depend on (seed, epoch) alone: not on the device, the batch size, nor on what was drawn
    before. A last batch that would be smaller is left out.

    Args:
        split: the images, on any device.
        batch_size: images in a batch.
        seed: the run's.
        epoch: counts from 0; another one has another order.
        flip: mirror every other image, on average.
        crop: pixels by which an image is shifted at most, each way; what comes in is reflected at its edge. 0: none.
        skip: batches to leave out at the start; the others stay as they are.
    Returns:
        images uint8 (batch_size, channels, height, width) and labels int64 (batch_size,), on the split's device.
    Raises:
        ValueError: the batch is larger than the split, or the crop than an image allows, or ``skip`` is negative.
    """
    count, _, height, width = split.images.shape
    if not 1 <= batch_size <= count:
        raise ValueError(
            f"batch_size must be 1 to the {count:,} images of the split: got {batch_size}; {count} would do"
        )
    if not 0 <= crop < min(height, width):
        largest = min(height, width) - 1
        raise ValueError(
            f"crop must be 0 to {largest}, less than an image's side: got {crop}; {min(4, largest)} would do"
        )
    if skip < 0:
        raise ValueError(f"skip must be 0 batches or more: got {skip}; 0 would do")
    return _batches(split, batch_size, seed, epoch, flip, crop, skip)


def _batches(
    split: Split, batch_size: int, seed: int, epoch: int, flip: bool, crop: int, skip: int
) -> Iterator[tuple[Tensor, Tensor]]:
    images, labels = split
    count, device = len(labels), images.device
    generator = torch.Generator().manual_seed(_mix(seed, epoch))  # on the CPU, so that every device sees the same
    order = torch.randperm(count, generator=generator)
    mirrored = torch.randint(2, (count,), generator=generator)
    shifts = torch.randint(2 * crop + 1, (2, count), generator=generator)  # down, right
    if not flip:
        mirrored.zero_()
    order, mirrored, shifts = order.to(device), mirrored.to(device), shifts.to(device)
    end = count // batch_size * batch_size
    step = max(1, CHUNK // batch_size) * batch_size  # images; whole batches
    for start in range(skip * batch_size, end, step):
        some = slice(start, min(start + step, end))
        chosen = images.index_select(0, order[some])
        if flip or crop:
            chosen = _move(chosen, shifts[0, some], shifts[1, some], mirrored[some], crop)
        yield from zip(torch.split(chosen, batch_size), torch.split(labels[order[some]], batch_size), strict=True)


def _mix(seed: int, epoch: int) -> int:
    """Return a seed that no other (seed, epoch) is likely to have; their sum is the same for (0, 1) and (1, 0)."""
    return int.from_bytes(hashlib.sha256(f"seed {seed} epoch {epoch}".encode()).digest()[:7])


def _move(images: Tensor, down: Tensor, right: Tensor, mirrored: Tensor, crop: int) -> Tensor:
    """Shift each image by its own number of pixels, reflected at the edges, and mirror some."""
    _, channels, height, width = images.shape
    rows = _sources(height, crop, images.device)[down]  # (n, height): where each row comes from
    columns = _sources(width, crop, images.device)
    columns = torch.stack([columns, columns.flip(1)])[mirrored, right]  # (n, width)
    places = rows[:, :, None] * width + columns[:, None, :]  # (n, height, width)
    places = places.flatten(1)[:, None].expand(-1, channels, -1)  # (n, channels, height·width)
    return images.flatten(2).gather(2, places).view(images.shape)


def _sources(size: int, crop: int, device: torch.device) -> Tensor:
    """Return, for each shift from 0 to 2·crop, the positions that an axis is read at: (2·crop + 1, size)."""
    shift = torch.arange(2 * crop + 1, device=device)[:, None] - crop
    place = (torch.arange(size, device=device) + shift).abs()  # reflected at the start …
    return size - 1 - (size - 1 - place).abs()  # … and at the end


def standardize(
    images: Tensor,
    mean: Sequence[float] | Tensor,
    std: Sequence[float] | Tensor,
    dtype: torch.dtype,
    channels_last: bool,
) -> Tensor:
    """Return (images - mean) / std of each channel, as a network takes it.

    Args:
        images: uint8 (n, channels, height, width).
        mean: of each channel, in pixel values, as a Dataset has it; or a tensor of them, which is not copied if it is
            float32 and on the images' device.
        std: likewise.
        dtype: of the result; computed in float32 where that is a half type.
        channels_last: lay the values out with the channels innermost.
    """
    exact = torch.promote_types(dtype, torch.float32)
    scale, offset = (
        torch.as_tensor(values, dtype=exact, device=images.device)[:, None, None] for values in (std, mean)
    )
    form = torch.channels_last if channels_last else torch.contiguous_format
    # the bytes are moved before they become floats: four times less to move
    return ((images.contiguous(memory_format=form).to(exact) - offset) / scale).to(dtype)


def describe(dataset: Dataset) -> dict[str, object]:
    """Return what people ask about a data set: counts in images, size in bytes, mean and std in pixel values."""
    splits = {"train": dataset.train, "held_out": dataset.held_out, "test": dataset.test}
    return {
        "name": dataset.name,
        "origin": dataset.origin,
        "fingerprint": dataset.fingerprint,
        "classes": list(dataset.classes),
        "shape": list(dataset.train.images.shape[1:]),
        **{name: len(split.labels) for name, split in splits.items()},
        "mean": list(dataset.mean),
        "std": list(dataset.std),
        "bytes": sum(tensor.nbytes for split in splits.values() for tensor in split),
    }
