"""Sizes of stills, cells and sheets, and the caps on sheets."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillframe.errors import ConfigError
from stillframe.media.config import Caps, Fit, SnapshotConfig, SpriteSnapshotConfig
from stillframe.media.geometry import Box, SheetGeometry, cell_size, place, sheet_geometry, still_size

FULL_HD = (1920, 1080)
PORTRAIT = (1080, 1920)
MAX_SIDE_PX = 8192
MAX_PIXELS = 16 * 1024 * 1024


def grid(
    columns: int = 10, lines: int = 10, padding: int = 0, margin: int = 0, **others: Any
) -> SnapshotConfig:
    """A sprite; `cell` is its size."""
    cell_width, cell_height = others.pop("cell", (None, None))
    cells = SpriteSnapshotConfig(cell_width, cell_height, padding, margin, columns, lines)
    return SnapshotConfig(type="Sprite", sprite_snapshot_config=cells, **others)


@pytest.mark.parametrize(
    ("width", "height", "display", "size"),
    [
        pytest.param(None, None, FULL_HD, FULL_HD, id="none: as it is shown"),
        pytest.param(None, None, (321, 241), (321, 241), id="none, odd"),
        pytest.param(160, None, FULL_HD, (160, 90), id="Width keeps the aspect"),
        pytest.param(None, 90, FULL_HD, (160, 90), id="Height keeps the aspect"),
        pytest.param(135, None, PORTRAIT, (135, 240), id="an odd Width is honoured"),
        pytest.param(135, None, FULL_HD, (135, 76), id="an odd Width, the other rounded: 75.94"),
        pytest.param(None, 77, FULL_HD, (137, 77), id="an odd Height, the other rounded to odd: 136.9"),
        pytest.param(100, None, (200, 101), (100, 51), id="a half is rounded up: 50.5"),
        pytest.param(120, 120, FULL_HD, (120, 120), id="both, whatever the aspect"),
        pytest.param(101, 57, FULL_HD, (101, 57), id="both odd"),
        pytest.param(4096, None, (192, 108), (4096, 2304), id="larger than the video"),
        pytest.param(8, None, (1920, 40), (8, 1), id="never less than a pixel"),
    ],
)
def test_still_size(
    width: int | None, height: int | None, display: tuple[int, int], size: tuple[int, int]
) -> None:
    assert still_size(SnapshotConfig(width=width, height=height), *display) == size


@pytest.mark.parametrize(
    ("config", "size"),
    [
        pytest.param(grid(), FULL_HD, id="as it is shown"),
        pytest.param(grid(width=160), (160, 90), id="as the still"),
        pytest.param(grid(width=100, height=100), (100, 100), id="as the still, both given"),
        pytest.param(grid(cell=(160, None)), (160, 90), id="CellWidth keeps the aspect"),
        pytest.param(grid(cell=(None, 45)), (80, 45), id="CellHeight keeps the aspect"),
        pytest.param(grid(cell=(135, 241)), (135, 241), id="both, odd"),
        pytest.param(grid(cell=(50, None), width=100, height=100), (50, 50), id="the aspect is the still's"),
        pytest.param(grid(cell=(160, None), width=640), (160, 90), id="the cell's goes over the still's"),
    ],
)
def test_cell_size(config: SnapshotConfig, size: tuple[int, int]) -> None:
    assert cell_size(config, *FULL_HD) == size


@pytest.mark.parametrize(
    ("fit", "canvas", "display", "picture"),
    [
        pytest.param("stretch", (120, 120), FULL_HD, Box(0, 0, 120, 120), id="stretch: squeezed"),
        pytest.param("contain", (120, 120), FULL_HD, Box(0, 26, 120, 68), id="contain: bars above and below"),
        pytest.param("contain", (120, 120), PORTRAIT, Box(26, 0, 68, 120), id="contain: bars left and right"),
        pytest.param("cover", (120, 120), FULL_HD, Box(-47, 0, 213, 120), id="cover: cut off left and right"),
        pytest.param(
            "cover", (120, 120), PORTRAIT, Box(0, -47, 120, 213), id="cover: cut off above and below"
        ),
        pytest.param("contain", (160, 90), FULL_HD, Box(0, 0, 160, 90), id="contain: nothing to do"),
        pytest.param("cover", (160, 90), FULL_HD, Box(0, 0, 160, 90), id="cover: nothing to do"),
        pytest.param("contain", (135, 76), FULL_HD, Box(0, 0, 135, 76), id="contain: no bar of half a pixel"),
        pytest.param(
            "cover", (135, 76), FULL_HD, Box(0, 0, 135, 76), id="cover: nothing lost but half a pixel"
        ),
        pytest.param(
            "contain", (400, 100), FULL_HD, Box(111, 0, 178, 100), id="contain: up to the lower side"
        ),
        pytest.param("contain", (100, 100), (4000, 10), Box(0, 49, 100, 1), id="contain: at least a line"),
        pytest.param(
            "contain", (101, 100), (100, 100), Box(0, 0, 101, 100), id="contain: no bar of one pixel"
        ),
        pytest.param(
            "contain", (102, 100), (100, 100), Box(1, 0, 100, 100), id="contain: bars of a pixel each"
        ),
        pytest.param(
            "cover", (101, 100), (100, 100), Box(0, 0, 101, 100), id="cover: nothing lost but a line"
        ),
        pytest.param("cover", (102, 100), (100, 100), Box(0, -1, 102, 102), id="cover: two lines cut off"),
    ],
)
def test_place(fit: Fit, canvas: tuple[int, int], display: tuple[int, int], picture: Box) -> None:
    placement = place(*canvas, fit, *display)

    assert placement.canvas == Box(0, 0, *canvas)
    assert placement.picture == picture


SIDES = st.integers(8, 4096)


@settings(deadline=None)
@given(SIDES, SIDES, SIDES, SIDES)
def test_contain_lies_inside_and_cover_around(width: int, height: int, shown_w: int, shown_h: int) -> None:
    inside = place(width, height, "contain", shown_w, shown_h).picture
    around = place(width, height, "cover", shown_w, shown_h).picture

    assert inside.width == width or inside.height == height
    assert inside.x >= 0
    assert inside.y >= 0
    assert inside.x + inside.width <= width
    assert inside.y + inside.height <= height
    assert around.width == width or around.height == height
    assert around.x <= 0
    assert around.y <= 0
    assert around.x + around.width >= width
    assert around.y + around.height >= height
    for picture in (inside, around):
        # the other side keeps the aspect, but for the rounding and a last pixel's bar that nobody wants
        by_height, by_width = (
            Fraction(shown_w, shown_h) * picture.height,
            Fraction(shown_h, shown_w) * picture.width,
        )
        assert abs(by_height - picture.width) <= 2 or abs(by_width - picture.height) <= 2


@pytest.mark.parametrize(
    ("config", "size"),
    [
        pytest.param(grid(width=160), (1600, 900), id="10x10 of 160x90"),
        pytest.param(grid(8, 5, padding=4, margin=8, cell=(135, 240)), (1124, 1232), id="as measured of IMS"),
        pytest.param(grid(3, 2, padding=4, margin=8, cell=(96, 54)), (312, 128), id="3x2"),
        pytest.param(
            grid(1, 1, padding=1000, margin=0, cell=(96, 54)), (96, 54), id="one cell has no padding"
        ),
        pytest.param(grid(1, 1, margin=1000, cell=(96, 54)), (2096, 2054), id="one cell has a margin"),
        pytest.param(grid(2, 1, padding=1000, cell=(96, 54)), (1192, 54), id="padding only between"),
    ],
)
def test_sheet_size(config: SnapshotConfig, size: tuple[int, int]) -> None:
    sheet = sheet_geometry(config, *FULL_HD)

    assert (sheet.width_px, sheet.height_px) == size
    cells = config.sprite_snapshot_config
    assert (sheet.columns, sheet.lines) == (cells.columns, cells.lines)


def test_cells_go_along_the_lines() -> None:
    sheet = SheetGeometry(cell_width=96, cell_height=54, columns=3, lines=2, padding=4, margin=8)

    assert sheet.cells == 6
    assert [sheet.cell(number) for number in range(6)] == [
        Box(8, 8, 96, 54),
        Box(108, 8, 96, 54),
        Box(208, 8, 96, 54),
        Box(8, 66, 96, 54),
        Box(108, 66, 96, 54),
        Box(208, 66, 96, 54),
    ]


@pytest.mark.parametrize(
    ("config", "columns", "lines"),
    [
        pytest.param(grid(10, 91, cell=(160, 90)), 10, 91, id="8190 high: just fits"),
        pytest.param(grid(10, 92, cell=(160, 90)), 10, 91, id="8280 high: a line less"),
        pytest.param(grid(10, 100, cell=(160, 90)), 10, 91, id="9000 high: fewer lines"),
        pytest.param(grid(20, 20, cell=(400, 225)), 20, 9, id="36 Mpx: fewer lines"),
        pytest.param(grid(4, 1, cell=(2048, 2048)), 4, 1, id="8192x2048 are 16 Mi pixels: just fits"),
        pytest.param(grid(4, 1, cell=(2048, 2049)), 3, 1, id="a pixel higher: a column less"),
        pytest.param(grid(10, 10), 4, 2, id="10x10 of 1920x1080: 4 columns, then 2 lines"),
        pytest.param(grid(10_000, 1, cell=(160, 90)), 51, 1, id="10,000 columns: 8160 wide"),
        pytest.param(
            grid(10_000, 10_000, cell=(8, 8)), 1024, 256, id="the largest grid of the smallest cells"
        ),
        pytest.param(grid(2, 2, cell=(4096, 4096)), 1, 1, id="the largest cell: alone"),
        pytest.param(grid(3, 1, padding=1, cell=(2730, 100)), 3, 1, id="8192 wide with its padding"),
        pytest.param(grid(3, 1, padding=2, cell=(2730, 100)), 2, 1, id="8194 wide with its padding"),
        pytest.param(grid(3, 1, margin=1, cell=(2730, 100)), 3, 1, id="8192 wide with its margin"),
        pytest.param(grid(3, 1, margin=2, cell=(2730, 100)), 2, 1, id="8194 wide with its margin"),
        pytest.param(
            grid(1, 3, padding=2, margin=0, cell=(100, 2730)), 1, 2, id="8194 high with its padding"
        ),
        pytest.param(grid(1, 3, margin=2, cell=(100, 2730)), 1, 2, id="8194 high with its margin"),
    ],
)
def test_a_sheet_that_is_too_large_gets_fewer_lines_then_fewer_columns(
    config: SnapshotConfig, columns: int, lines: int
) -> None:
    sheet = sheet_geometry(config, *FULL_HD)

    assert (sheet.columns, sheet.lines) == (columns, lines)
    assert max(sheet.width_px, sheet.height_px) <= MAX_SIDE_PX
    assert sheet.width_px * sheet.height_px <= MAX_PIXELS


@pytest.mark.parametrize(
    ("config", "display", "shown"),
    [
        pytest.param(grid(), (8192, 4320), "8192x4320", id="8K, no size given"),
        pytest.param(grid(), (9000, 100), "9000x100", id="wider than a sheet may be"),
        pytest.param(grid(), (100, 9000), "100x9000", id="higher than a sheet may be"),
        pytest.param(grid(margin=1, cell=(4096, 4096)), FULL_HD, "4096x4096", id="for its margin alone"),
        pytest.param(grid(width=4096), PORTRAIT, "4096x7282", id="by the side that follows"),
    ],
)
def test_one_cell_that_is_too_large_is_refused(
    config: SnapshotConfig, display: tuple[int, int], shown: str
) -> None:
    with pytest.raises(ConfigError, match="8192 px a side and 16 Mi pixels") as caught:
        sheet_geometry(config, *display)

    assert caught.value.path.startswith("SpriteSnapshotConfig")
    assert caught.value.value == shown


@settings(deadline=None, max_examples=200)
@given(
    columns=st.integers(1, 300),
    lines=st.integers(1, 300),
    padding=st.integers(0, 1000),
    margin=st.integers(0, 1000),
    cell=st.tuples(st.integers(8, 3000), st.integers(8, 3000)),
)
def test_a_sheet_is_as_large_as_it_may_be(
    columns: int, lines: int, padding: int, margin: int, cell: tuple[int, int]
) -> None:
    def fits(columns: int, lines: int) -> bool:
        width = columns * cell[0] + (columns - 1) * padding + 2 * margin
        height = lines * cell[1] + (lines - 1) * padding + 2 * margin
        return max(width, height) <= MAX_SIDE_PX and width * height <= MAX_PIXELS

    if not fits(1, 1):
        with pytest.raises(ConfigError):
            sheet_geometry(grid(columns, lines, padding, margin, cell=cell), *FULL_HD)
        return

    sheet = sheet_geometry(grid(columns, lines, padding, margin, cell=cell), *FULL_HD)

    assert fits(sheet.columns, sheet.lines)
    # lines are given up before columns: a column is missing only where even one line would not fit
    assert sheet.columns == columns or not fits(sheet.columns + 1, 1)
    assert sheet.lines == lines or not fits(sheet.columns, sheet.lines + 1)
    assert (sheet.cell_width, sheet.cell_height) == cell


@settings(deadline=None)
@given(
    st.builds(
        SheetGeometry,
        cell_width=st.integers(8, 60),
        cell_height=st.integers(8, 60),
        columns=st.integers(1, 5),
        lines=st.integers(1, 5),
        padding=st.integers(0, 5),
        margin=st.integers(0, 5),
    )
)
def test_cells_lie_on_the_sheet_and_not_on_each_other(sheet: SheetGeometry) -> None:
    cells = [sheet.cell(number) for number in range(sheet.cells)]

    for before, after in pairwise(cells):
        right, below = after.x - before.x - before.width, after.y - before.y - before.height
        assert right == sheet.padding or (after.x == sheet.margin and below == sheet.padding)
    assert (cells[0].x, cells[0].y) == (sheet.margin, sheet.margin)
    assert cells[-1].x + cells[-1].width + sheet.margin == sheet.width_px
    assert cells[-1].y + cells[-1].height + sheet.margin == sheet.height_px


@pytest.mark.parametrize(
    ("caps", "columns", "lines"),
    [
        (Caps(), 10, 10),
        (Caps(sheet_side_px=1000), 10, 10),
        (Caps(sheet_side_px=999), 9, 9),
        (Caps(sheet_pixels=1_000_000), 10, 10),
        (Caps(sheet_pixels=999_999), 10, 9),
        (Caps(sheet_pixels=100_000), 10, 1),
        (Caps(sheet_pixels=99_999), 9, 1),
        (Caps(sheet_side_px=100, sheet_pixels=10_000), 1, 1),
    ],
)
def test_an_operator_may_lower_what_a_sheet_may_be(caps: Caps, columns: int, lines: int) -> None:
    sheet = sheet_geometry(grid(10, 10, cell=(100, 100)), *FULL_HD, caps)
    assert (sheet.columns, sheet.lines) == (columns, lines)
