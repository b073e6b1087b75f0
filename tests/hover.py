"""Which frame of a film is in a picture on a page: over a player's time bar, or anywhere.

number_over(page, ".plyr__progress", ".plyr__preview-thumb__image-container", 0.5)
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page

from stillframe.testing import barcode


def number_over(page: Page, bar: str, preview: str, share: float, inset_px: int = 0) -> int | None:
    """The number in the preview while the pointer is over a share of the bar; None where none can be read.

    The bar's ends are the film's start and end, but for `inset_px` on both sides.
    """
    box = page.locator(bar).first.bounding_box()
    if box is None:
        return None
    x = box["x"] + inset_px + (box["width"] - 2 * inset_px) * share
    y = box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    # some players take no notice of the first move
    page.mouse.move(x, y + 1)
    return number_at(page, page.locator(preview).first)


def number_at(page: Page, shown: Locator) -> int | None:
    """The number in what is shown there now."""
    box = shown.bounding_box() if shown.is_visible() else None
    if box is None or not box["width"] or not box["height"]:
        return None
    return number_in(np.asarray(Image.open(io.BytesIO(page.screenshot(clip=box))).convert("RGB")))


def number_in(picture: np.ndarray) -> int | None:
    """The number in a picture."""
    try:
        return barcode.read(picture)
    except barcode.Unreadable:
        return None
