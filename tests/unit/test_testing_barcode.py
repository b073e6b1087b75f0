"""The number in the pixels survives what thumbnails go through, and is never misread."""

from __future__ import annotations

from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from stillframe.testing import Unreadable, barcode


@pytest.mark.parametrize(("width", "height"), [(96, 54), (54, 96), (48, 27), (192, 108), (321, 241)])
def test_survives_a_small_jpeg_cell(width: int, height: int) -> None:
    for number in (0, 1, 255, 256, 0x1555, 0x2AAA, 0x3FFF, *range(7, 16_384, 331)):
        jpeg = BytesIO()
        Image.fromarray(barcode.draw(number, width, height)).save(jpeg, "JPEG", quality=85, subsampling=2)
        assert barcode.read(np.asarray(Image.open(jpeg))) == number


def test_two_pictures_blended_are_refused() -> None:
    numbers = range(0, 16_384, 83)
    for first, second in pairwise(numbers):
        blend = (barcode.draw(first).astype(np.uint16) + barcode.draw(second)) // 2
        with pytest.raises(Unreadable, match=r"grey|marker"):
            barcode.read(blend.astype(np.uint8))


@pytest.mark.parametrize("level", [0, 20, 128, 255])
def test_a_flat_picture_carries_no_number(level: int) -> None:
    with pytest.raises(Unreadable, match="marker"):
        barcode.read(np.full((108, 192, 3), level, np.uint8))


def test_one_wrong_block_is_noticed() -> None:
    picture = barcode.draw(1234)
    rows, columns = barcode.panel(192, 108)
    height, width = (rows.stop - rows.start) // 4, (columns.stop - columns.start) // 8
    for row in (1, 2, 3):
        for column in range(8):
            hurt = picture.copy()
            top, left = rows.start + row * height, columns.start + column * width
            block = hurt[top : top + height, left : left + width]
            block[:] = 255 - block
            with pytest.raises(Unreadable, match="check does not agree"):
                barcode.read(hurt)


@pytest.mark.parametrize("shift_px", [18, 36, 54])
def test_a_shifted_picture_is_refused(shift_px: int) -> None:
    with pytest.raises(Unreadable):
        barcode.read(np.roll(barcode.draw(4711), shift_px, axis=1))


@pytest.mark.parametrize("lies", list(barcode.Orientation))
def test_orientation_is_told(lies: barcode.Orientation) -> None:
    upright = barcode.draw(4711)
    picture = np.rot90(upright[:, ::-1] if lies.mirrored_first else upright, -lies.clockwise_degrees // 90)
    assert barcode.orientation(picture) == (4711, lies)
    if lies is not barcode.Orientation.UPRIGHT:
        with pytest.raises(Unreadable):
            barcode.read(picture)


def test_neighbours_have_backgrounds_far_apart() -> None:
    colours = [np.array(barcode.background(number), int) for number in range(24)]
    assert len({tuple(colour) for colour in colours}) == 12
    assert min(abs(a - b).max() for a, b in pairwise(colours)) > 60


def test_a_sheet_is_read_cell_by_cell() -> None:
    sheet = np.zeros((2 * 54 + 3 + 2 * 5, 3 * 96 + 2 * 3 + 2 * 5, 3), np.uint8)
    for index, number in enumerate((10, 20, 30, 40)):
        top, left = 5 + index // 3 * 57, 5 + index % 3 * 99
        sheet[top : top + 54, left : left + 96] = barcode.draw(number, 96, 54)
    assert barcode.read_sheet(sheet, 3, 96, 54, padding_px=3, margin_px=5) == [10, 20, 30, 40, None, None]
    with pytest.raises(ValueError, match="304x121 px; 3 columns take 308 px"):
        barcode.read_sheet(sheet, 3, 96, 54, padding_px=5, margin_px=5)


def test_what_cannot_be_drawn_says_why() -> None:
    with pytest.raises(ValueError, match="number is 16384, must be 0 to 16383"):
        barcode.draw(16_384)
    with pytest.raises(ValueError, match="16x9 is too small"):
        barcode.draw(1, 16, 9)
