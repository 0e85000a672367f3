"""Takes the README's moving picture from the built book: the figure, walked once around the square."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, ImageOps
from playwright.sync_api import sync_playwright

from tools.browser import chromium

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "_build" / "html" / "chapters" / "index.html").as_uri()
TARGET = ROOT / ".github" / "square.webp"
CORNER, POINT = 1600, 800  # milliseconds that a frame stays
# everything, LayerNorm, GroupNorm, InstanceNorm, ghost BatchNorm, BatchNorm, and back: (sample blocks, channel groups)
WALK = [(1, 1), (2, 1), (4, 1), (4, 2), (4, 4), (4, 8), (2, 8), (1, 8), (1, 4), (1, 2)]
PAPER = "#fdfcf9"  # the page's own
MARGIN = 14  # pixels of paper around the figure


def frames() -> list[Image.Image]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 1600}, reduced_motion="reduce")
        shots = []
        for b, g in WALK:
            page.goto("about:blank")
            page.goto(f"{PAGE}#the-square?square.b={b}&square.g={g}")
            figure = page.locator(".gn-figure").first
            figure.get_by_label("Sample blocks").first.wait_for()
            shot = Image.open(io.BytesIO(figure.screenshot())).convert("RGB")
            box, last = figure.bounding_box(), figure.locator(".gn-product").first.bounding_box()
            assert box, "the figure is not on the page"
            assert last, "statistics × values is not in the figure"
            upper = shot.crop((0, 0, shot.width, round(last["y"] + last["height"] - box["y"])))
            shots.append(ImageOps.expand(upper, MARGIN, PAPER))
        browser.close()
    return shots


def main() -> None:
    shots = frames()
    stay = [CORNER if b in (1, 4) and g in (1, 4, 8) else POINT for b, g in WALK]
    TARGET.parent.mkdir(exist_ok=True)
    shots[0].save(TARGET, save_all=True, append_images=shots[1:], duration=stay, loop=0, quality=80, method=6)
    print(f"{TARGET.relative_to(ROOT)}: {len(shots)} frames, {TARGET.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
