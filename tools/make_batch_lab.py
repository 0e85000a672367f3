"""Measures the images that ``BatchLab`` draws its batches from: of each, only means and variances are kept.

The first 256 test images go through the oriented filters of ``gnlib.photographs``; of every image and channel the mean
and the variance over its positions stay, in float16. ::

    python -m tools.make_batch_lab [--data FOLDER]            # writes gnlib/data/batch_lab.json
    python -m tools.make_batch_lab [--data FOLDER] --check    # compares, writes nothing

The folder holds the official binary batches (``python -m gnlib data`` fetches them).
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from pathlib import Path

from torch import Tensor

from gnlib.cifar.data import load
from gnlib.core import moments
from gnlib.photographs import oriented_filters
from gnlib.widgets.batch_lab import FILE

IMAGES = 256


def text(folder: Path | None) -> str:
    """Return the file's content."""
    dataset = load("cifar10", folder, download=False)
    images = dataset.test.images[:IMAGES].double() / 255
    count, mean, var = moments(oriented_filters(images))

    def base64_of(table: Tensor) -> str:
        return base64.b64encode(table.half().numpy().astype("<f2").tobytes()).decode("ascii")

    content = {
        "what": "mean and variance of each image and channel, (images, channels), row-major, base64 of float16",
        "source": f"CIFAR-10, test images 1 to {IMAGES} in the official order, through oriented_filters",
        "data": dataset.fingerprint,
        "images": mean.shape[0],
        "channels": mean.shape[1],
        "positions": int(count[0, 0]),
        "means": base64_of(mean),
        "variances": base64_of(var),
    }
    return json.dumps(content, indent=1) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with CIFAR-10's binary batches")
    parser.add_argument("--check", action="store_true", help="compare with the shipped file, write nothing")
    args = parser.parse_args()
    made = text(args.data)
    if not args.check:
        FILE.write_text(made, "utf8")
    elif made != FILE.read_text("utf8"):
        sys.exit(f"{FILE.name} is not what these images give")
    print(f"{FILE.name}: {len(made):,} bytes")


if __name__ == "__main__":
    main()
