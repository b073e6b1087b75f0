"""A number in the pixels: draw it into a picture, read it back from whatever became of that picture.

    picture = barcode.draw(42, 192, 108)
    assert barcode.read(picture) == 42

The code lies in the middle three quarters of the picture, eight blocks wide and four high::

    W W B W B B W B     a fixed row: says which way is up, and what white and black have become
    n n n n n n n n     the number's upper eight bits, every other one inverted, so that none is all black
    n n n n n n n n     its lower eight bits, likewise
    c c c c c c c c     a CRC-8 of the number

Around it lies a flat colour that depends on the number (:func:`background`). The number survives scaling (to
96x54 and below), JPEG, and lossy video. What does not survive is refused with :class:`Unreadable`, never
misread: two pictures blended into one, a picture that is turned, mirrored, shifted or combed.
"""

from __future__ import annotations

import colorsys
from enum import Enum
from itertools import pairwise

import numpy as np
import numpy.typing as npt

__all__ = ["Orientation", "Unreadable", "background", "draw", "orientation", "panel", "read", "read_sheet"]

Picture = npt.NDArray[np.uint8]

# Among larger numbers there are four that look the same upside down.
LARGEST = 0x3FFF
_COLUMNS, _ROWS = 8, 4
_MARGIN = 1 / 8
_MARKER = (1, 1, 0, 1, 0, 0, 1, 0)
_INVERTED = 0xAAAA
_BACKGROUND_COUNT = 12
# A block counts as white or black only in the outer thirds between the marker's black and white.
_CLEAR_WHITE, _CLEAR_BLACK = 0.67, 0.33
_LEAST_CONTRAST = 48.0


class Unreadable(ValueError):
    """The picture carries no number, or a damaged one: it is not the picture that was drawn, look at it."""


class Orientation(Enum):
    """What was done to an upright picture: mirrored left to right or not, and then turned clockwise."""

    UPRIGHT = (0, False)
    TURNED_90 = (90, False)
    TURNED_180 = (180, False)
    TURNED_270 = (270, False)
    MIRRORED = (0, True)
    MIRRORED_TURNED_90 = (90, True)
    MIRRORED_TURNED_180 = (180, True)
    MIRRORED_TURNED_270 = (270, True)

    @property
    def clockwise_degrees(self) -> int:
        return self.value[0]

    @property
    def mirrored_first(self) -> bool:
        """True when the picture was flipped left to right before it was turned."""
        return self.value[1]


def draw(number: int, width_px: int = 192, height_px: int = 108) -> Picture:
    """Draw ``number`` (0 to 16,383) into a new ``height_px`` x ``width_px`` x 3 picture, RGB, full range.

    Raises ValueError when the number does not fit in 14 bits or the picture is too small for the blocks.
    """
    if not 0 <= number <= LARGEST:
        raise ValueError(f"number is {number}, must be 0 to {LARGEST}")
    if width_px < 32 or height_px < 16:
        raise ValueError(
            f"a picture of {width_px}x{height_px} is too small for a number, draw at least 32x16"
        )
    picture = np.empty((height_px, width_px, 3), np.uint8)
    picture[:] = background(number)
    blocks = 255 * np.array(_rows(number), np.uint8)
    rows, columns = (
        np.diff(_edges(length, count)) for length, count in ((height_px, _ROWS), (width_px, _COLUMNS))
    )
    picture[panel(width_px, height_px)] = blocks.repeat(rows, axis=0).repeat(columns, axis=1)[:, :, None]
    return picture


def panel(width_px: int, height_px: int) -> tuple[slice, slice]:
    """The rows and columns that the blocks take; all else is background."""
    rows, columns = _edges(height_px, _ROWS), _edges(width_px, _COLUMNS)
    return slice(rows[0], rows[-1]), slice(columns[0], columns[-1])


def read(rgb: Picture) -> int:
    """Read the number from an upright picture of any size, height x width x 3, RGB or RGBA.

    Raises Unreadable when there is none, or when a block is grey, or when the check does not agree.
    """
    if rgb.ndim != 3 or rgb.shape[2] < 3:
        raise Unreadable(f"a picture has the shape height x width x 3, this is {rgb.shape}")
    if rgb.shape[0] < 8 or rgb.shape[1] < 16:
        raise Unreadable(f"a picture of {rgb.shape[1]}x{rgb.shape[0]} is too small to carry a number")
    levels = _block_levels(rgb[:, :, :3])
    marker = np.array(_MARKER, bool)
    white, black = float(levels[0][marker].min()), float(levels[0][~marker].max())
    if white - black < _LEAST_CONTRAST:
        raise Unreadable(f"the marker is not there: its white is {white:.0f}, its black {black:.0f} of 255")
    relative = (levels[1:].ravel() - black) / (white - black)
    for index, level in enumerate(relative):
        if _CLEAR_BLACK <= level <= _CLEAR_WHITE:
            raise Unreadable(f"block {index} is grey ({level:.0%} of white): blended or blurred pictures?")
    bits = (relative > 0.5).astype(np.uint8)
    upper, lower, check = (int(byte) for byte in np.packbits(bits))
    number = (upper << 8 | lower) ^ _INVERTED
    if check != _crc8(number) or number > LARGEST:
        raise Unreadable(f"the blocks say {number}, and the check does not agree")
    return number


def read_sheet(
    rgb: Picture,
    columns: int,
    cell_width_px: int,
    cell_height_px: int,
    padding_px: int = 0,
    margin_px: int = 0,
) -> list[int | None]:
    """Read the numbers of a sprite sheet's cells, row by row; None where a cell carries none.

    Raises ValueError when the sheet is not as large as that many columns and a whole number of rows make it.
    """
    height_px, width_px = rgb.shape[:2]
    expected_px = 2 * margin_px + columns * cell_width_px + (columns - 1) * padding_px
    lines, rest = divmod(height_px - 2 * margin_px + padding_px, cell_height_px + padding_px)
    if width_px != expected_px or rest or lines < 1:
        raise ValueError(
            f"the sheet has {width_px}x{height_px} px; {columns} columns take {expected_px} px, "
            f"and {height_px} px are no whole number of lines"
        )
    numbers: list[int | None] = []
    for index in range(columns * lines):
        line, column = divmod(index, columns)
        top = margin_px + line * (cell_height_px + padding_px)
        left = margin_px + column * (cell_width_px + padding_px)
        try:
            numbers.append(read(rgb[top : top + cell_height_px, left : left + cell_width_px]))
        except Unreadable:
            numbers.append(None)
    return numbers


def orientation(rgb: Picture) -> tuple[int, Orientation]:
    """Read the number from a picture that may be turned or mirrored, and say how it lies.

    Raises Unreadable when no orientation of the picture carries a number.
    """
    for candidate in Orientation:
        # Undo the turn, then the mirror.
        upright = np.rot90(rgb, candidate.clockwise_degrees // 90)
        if candidate.mirrored_first:
            upright = upright[:, ::-1]
        try:
            return read(upright), candidate
        except Unreadable:
            continue
    raise Unreadable("the picture carries no number, turned or mirrored as it may be")


def background(number: int) -> tuple[int, int, int]:
    """The colour around the number's blocks, RGB: one of twelve hues, so that neighbours never look alike."""
    # Five steps of twelve: consecutive numbers land on far-apart hues, and all twelve are used.
    hue = (number * 5 % _BACKGROUND_COUNT) / _BACKGROUND_COUNT
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.6, 0.75)
    return round(red * 255), round(green * 255), round(blue * 255)


def _rows(number: int) -> list[tuple[int, ...]]:
    written = number ^ _INVERTED
    return [_MARKER, *(_bits(byte) for byte in (written >> 8, written & 0xFF, _crc8(number)))]


def _bits(byte: int) -> tuple[int, ...]:
    return tuple(byte >> shift & 1 for shift in range(7, -1, -1))


def _crc8(number: int) -> int:
    # Polynomial x^8+x^2+x+1. The start value keeps the number 0 from having the check 0.
    remainder = 0xA5
    for byte in (number >> 8, number & 0xFF):
        remainder ^= byte
        for _ in range(8):
            remainder = (remainder << 1 ^ 0x07) & 0xFF if remainder & 0x80 else remainder << 1
    return remainder


def _edges(length_px: int, blocks: int) -> list[int]:
    inside = 1 - 2 * _MARGIN
    return [round(length_px * (_MARGIN + inside * index / blocks)) for index in range(blocks + 1)]


def _block_levels(rgb: Picture) -> npt.NDArray[np.float64]:
    """The mean brightness of the inner half of each block, 4 x 8, of 255."""
    rows, columns = _inner_halves(rgb.shape[0], _ROWS), _inner_halves(rgb.shape[1], _COLUMNS)
    return np.array([[rgb[row, column].mean() for column in columns] for row in rows])


def _inner_halves(length_px: int, blocks: int) -> list[slice]:
    halves = []
    for start, end in pairwise(_edges(length_px, blocks)):
        first = start + round((end - start) / 4)
        halves.append(slice(first, max(first + 1, end - round((end - start) / 4))))
    return halves
