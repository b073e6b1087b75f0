"""Sizes: of the still, of its place on the canvas, of the sprite sheet and its cells. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from stillframe.errors import ConfigError
from stillframe.media.config import DEFAULT_CAPS, Caps, Fit, SnapshotConfig

#: no video has larger pictures; a side that is derived from an odd aspect can be
MAX_STILL_SIDE_PX = 16_384


class Box(NamedTuple):
    """A rectangle in pixels; x and y may be negative where a part is cut off."""

    x: int
    y: int
    width: int
    height: int


class Placement(NamedTuple):
    """Where the scaled picture lies on the still's canvas (which starts at 0, 0)."""

    canvas: Box
    picture: Box


@dataclass(frozen=True, slots=True)
class SheetGeometry:
    """A grid of cells; all lengths in pixels. Cells are counted from 0, along the lines."""

    cell_width: int
    cell_height: int
    columns: int
    lines: int
    padding: int
    margin: int

    @property
    def cells(self) -> int:
        """How many stills a sheet holds."""
        return self.columns * self.lines

    @property
    def width_px(self) -> int:
        """Width of the whole sheet."""
        return self.columns * self.cell_width + (self.columns - 1) * self.padding + 2 * self.margin

    @property
    def height_px(self) -> int:
        """Height of the whole sheet."""
        return self.lines * self.cell_height + (self.lines - 1) * self.padding + 2 * self.margin

    def cell(self, number: int) -> Box:
        """The rectangle of a cell on its sheet."""
        line, column = divmod(number, self.columns)
        return Box(
            self.margin + column * (self.cell_width + self.padding),
            self.margin + line * (self.cell_height + self.padding),
            self.cell_width,
            self.cell_height,
        )


def still_size(config: SnapshotConfig, display_width: int, display_height: int) -> tuple[int, int]:
    """Width and height of the still: what was asked, the other side by the display aspect.

    Raises ConfigError when the other side becomes absurd, as with a video of one line.
    """
    width, height = _complete(config.width, config.height, display_width, display_height)
    if max(width, height) > MAX_STILL_SIDE_PX:
        path = "Width" if config.height is None else "Height"
        value = config.width if config.height is None else config.height
        allowed = f"such that the still, now {width}x{height}, is at most {MAX_STILL_SIDE_PX} pixels a side"
        raise ConfigError(path, value, allowed)
    return width, height


def cell_size(config: SnapshotConfig, display_width: int, display_height: int) -> tuple[int, int]:
    """Width and height of a cell: its own numbers, else the still's; one given keeps the still's aspect."""
    grid = config.sprite_snapshot_config
    return _complete(grid.cell_width, grid.cell_height, *still_size(config, display_width, display_height))


def place(width: int, height: int, fit: Fit, display_width: int, display_height: int) -> Placement:
    """Lay a picture of the display's aspect onto a canvas: stretched, contained with bars, or covering it."""
    canvas = Box(0, 0, width, height)
    by_width, by_height = Fraction(width, display_width), Fraction(height, display_height)
    if fit == "stretch" or by_width == by_height:
        return Placement(canvas, canvas)
    scale = min(by_width, by_height) if fit == "contain" else max(by_width, by_height)
    inner_width = _nearly(_rounded(display_width * scale), width)
    inner_height = _nearly(_rounded(display_height * scale), height)
    x, y = (width - inner_width) // 2, (height - inner_height) // 2
    return Placement(canvas, Box(x, y, inner_width, inner_height))


def sheet_geometry(
    config: SnapshotConfig, display_width: int, display_height: int, caps: Caps = DEFAULT_CAPS
) -> SheetGeometry:
    """The grid that was asked, cut down to what players can show: fewer lines first, then fewer columns.

    Raises ConfigError when not even one cell fits.
    """
    grid = config.sprite_snapshot_config
    width, height = cell_size(config, display_width, display_height)
    for columns in range(min(grid.columns, caps.sheet_side_px // max(width, 1) + 1), 0, -1):
        lines = _most_lines(config, width, height, columns, caps)
        if lines:
            return SheetGeometry(width, height, columns, lines, grid.padding, grid.margin)
    mebi, rest = divmod(caps.sheet_pixels, 1 << 20)
    area = f"{caps.sheet_pixels:,} pixels" if rest else f"{mebi} Mi pixels"
    allowed = f"small enough for a sheet of at most {caps.sheet_side_px} px a side and {area}"
    raise ConfigError("SpriteSnapshotConfig.CellWidth x CellHeight", f"{width}x{height}", allowed)


def _most_lines(config: SnapshotConfig, width: int, height: int, columns: int, caps: Caps) -> int:
    grid = config.sprite_snapshot_config
    sheet_width = columns * width + (columns - 1) * grid.padding + 2 * grid.margin
    if sheet_width > caps.sheet_side_px:
        return 0
    most_height = min(caps.sheet_side_px, caps.sheet_pixels // sheet_width)
    return max(min(grid.lines, (most_height - 2 * grid.margin + grid.padding) // (height + grid.padding)), 0)


def _complete(width: int | None, height: int | None, like_width: int, like_height: int) -> tuple[int, int]:
    if width is None and height is None:
        return like_width, like_height
    if height is None:
        assert width is not None
        return width, max(_rounded(Fraction(width * like_height, like_width)), 1)
    if width is None:
        return max(_rounded(Fraction(height * like_width, like_height)), 1), height
    return width, height


def _rounded(value: Fraction) -> int:
    return int(value + Fraction(1, 2))


def _nearly(value: int, whole: int) -> int:
    """At least one pixel, and the whole when rounding has missed it by one."""
    return whole if abs(value - whole) <= 1 else max(value, 1)
