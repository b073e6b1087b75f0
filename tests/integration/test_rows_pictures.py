"""What the pictures look like and where they lie: sizes, Fit, formats and names, sprite sheets.

These are the rows "Size", "Names of the files" and "Sprite sheets" of docs/parameters.md.
"""

from __future__ import annotations

import io
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from taking import Picture, Taken, take

from stillframe.errors import ConfigError
from stillframe.media.config import SpriteSnapshotConfig
from stillframe.testing import Clip, barcode, videos

ORANGE = (255, 128, 1)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """Ten seconds of 192x108, with a keyframe every 0.48 s."""
    return videos.make(tmp_path_factory.mktemp("clip") / "clip.mp4", frames=250, bframes=2)


def is_flat(pixels: Picture, color: tuple[int, int, int]) -> bool:
    assert pixels.size
    return bool((pixels == color).all())


@pytest.mark.parametrize(
    ("parameters", "size"),
    [
        pytest.param({}, (192, 108), id="as it is shown"),
        pytest.param({"width": 135}, (135, 76), id="an odd Width"),
        pytest.param({"height": 77}, (137, 77), id="an odd Height, and an odd Width that follows"),
        pytest.param({"width": 101, "height": 57}, (101, 57), id="both odd"),
        pytest.param({"width": 641}, (641, 361), id="larger than the video, odd"),
    ],
)
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_sizes_are_honoured(
    clip: Clip, parameters: dict[str, Any], size: tuple[int, int], suffix: str
) -> None:
    taken = take(clip, f"{{Count}}.{suffix}", time=960, **parameters)

    (output,) = taken.report.outputs
    assert taken.picture(output.name).shape[1::-1] == size
    assert (output.width_px, output.height_px) == size
    assert (taken.report.still_width_px, taken.report.still_height_px) == size
    assert taken.seen == [24]


@pytest.mark.parametrize("color", ["#ff8001", "DeepSkyBlue"])
def test_contain_shows_the_whole_picture_between_bars(clip: Clip, color: str) -> None:
    grid = SpriteSnapshotConfig(color=color)
    rgb = ORANGE if color.startswith("#") else (0, 191, 255)

    picture = take(clip, time=960, width=120, height=120, fit="contain", sprite_snapshot_config=grid).picture(
        "00001.png"
    )

    assert is_flat(picture[:26], rgb)
    assert is_flat(picture[94:], rgb)
    whole = take(clip, time=960, width=120, height=68).picture("00001.png")
    assert np.array_equal(picture[26:94], whole)
    assert barcode.read(picture[26:94]) == 24


def test_cover_fills_the_canvas_and_cuts_off_both_sides(clip: Clip) -> None:
    picture = take(clip, time=960, width=120, height=120, fit="cover").picture("00001.png")

    whole = take(clip, time=960, width=213, height=120).picture("00001.png")
    assert barcode.read(whole) == 24
    assert np.array_equal(picture, whole[:, 47:167])


def test_stretch_squeezes_the_whole_picture(clip: Clip) -> None:
    picture = take(clip, time=960, width=120, height=120, fit="stretch").picture("00001.png")

    assert picture.shape == (120, 120, 3)
    assert barcode.read(picture) == 24
    for corner in (picture[:5, :5], picture[:5, -5:], picture[-5:, :5], picture[-5:, -5:]):
        assert np.abs(corner.reshape(-1, 3).mean(axis=0) - barcode.background(24)).max() < 12


@pytest.mark.parametrize(
    ("recipe", "size"),
    [
        pytest.param(partial(videos.rotated, degrees=90), (96, 171), id="rotated"),
        pytest.param(
            partial(videos.rotated, degrees=180, mirrored=True), (96, 54), id="mirrored and rotated"
        ),
        pytest.param(videos.anamorphic, (96, 27), id="wide pixels"),
        pytest.param(partial(videos.anamorphic, sar=Fraction(1, 2)), (96, 108), id="narrow pixels"),
        pytest.param(videos.interlaced, (96, 54), id="interlaced"),
    ],
)
def test_what_comes_before_the_size(tmp_path: Path, recipe: Any, size: tuple[int, int]) -> None:
    clip = recipe(tmp_path)
    grid = SpriteSnapshotConfig(columns=2, lines=1)

    still = take(clip, time=400, width=96, frame_type="normal")
    sheet = take(
        clip, "{TileCount}.png", type="Sprite", width=96, frame_type="normal", sprite_snapshot_config=grid
    )

    assert still.picture("00001.png").shape[1::-1] == size
    assert still.seen == [clip.number_at(400)]
    assert barcode.read_sheet(sheet.picture("00001.png"), 2, *size) == [0, clip.number_at(500)]


@pytest.mark.parametrize(
    ("template", "name", "form"),
    [
        ("a/{Count}.png", "a/00001.png", "PNG"),
        ("cover.PNG", "cover.PNG", "PNG"),
        ("a-{Count}.jpg", "a-00001.jpg", "JPEG"),
        ("cover.jpeg", "cover.jpeg", "JPEG"),
    ],
)
def test_the_ending_says_the_format(clip: Clip, template: str, name: str, form: str) -> None:
    taken = take(clip, template, time=960)

    assert list(taken.files) == [name]
    assert Image.open(io.BytesIO(taken.files[name])).format == form
    assert taken.seen == [24]


def test_count_numbers_the_stills_with_five_digits(clip: Clip) -> None:
    taken = take(clip, "x/{Count}-{Count}.png", count=12, width=96, frame_type="normal")

    assert taken.names == [f"x/{number:05d}-{number:05d}.png" for number in range(1, 13)]
    assert taken.seen == [clip.number_at(k * 10_000 // 12) for k in range(12)]


def test_tile_count_numbers_the_sheets_with_five_digits(clip: Clip) -> None:
    grid = SpriteSnapshotConfig(columns=1, lines=1)

    taken = take(clip, "s-{TileCount}.png", type="Sprite", count=11, width=96, sprite_snapshot_config=grid)

    assert taken.names == [f"s-{number:05d}.png" for number in range(1, 12)]


@pytest.mark.parametrize(
    ("template", "parameters"),
    [
        pytest.param("x.png", {"count": 2}, id="two stills"),
        pytest.param("x.png", {"interval": 6}, id="two stills by Interval"),
        pytest.param(
            "x.png",
            {
                "type": "Sprite",
                "count": 5,
                "sprite_snapshot_config": SpriteSnapshotConfig(columns=2, lines=2),
            },
            id="two sheets",
        ),
    ],
)
def test_several_files_need_a_placeholder(clip: Clip, template: str, parameters: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="2 files come of it") as caught:
        take(clip, template, **parameters)

    assert caught.value.path == "Output"


@pytest.mark.parametrize(
    ("template", "parameters"),
    [
        pytest.param("x.png", {"interval": 60}, id="one still by Interval"),
        pytest.param("x.png", {"count": 3, "interval": 60}, id="one still, two dropped"),
        pytest.param("x.png", {"type": "Sprite", "count": 5}, id="one sheet"),
    ],
)
def test_one_file_needs_none(clip: Clip, template: str, parameters: dict[str, Any]) -> None:
    assert take(clip, template, **parameters).names == ["x.png"]


def test_quality_is_that_of_jpeg(clip: Clip) -> None:
    def size_bytes(suffix: str, quality: int) -> int:
        return take(clip, f"x.{suffix}", quality=quality).report.outputs[0].size_bytes

    assert size_bytes("jpg", 1) < size_bytes("jpg", 50) < size_bytes("jpg", 100)
    assert size_bytes("png", 1) == size_bytes("png", 100)


def sprite(
    clip: Clip, template: str = "{TileCount}.png", /, *, grid: dict[str, Any], **parameters: Any
) -> Taken:
    cells = SpriteSnapshotConfig(**grid)
    return take(
        clip, template, type="Sprite", frame_type="normal", sprite_snapshot_config=cells, **parameters
    )


@pytest.mark.parametrize(
    ("grid", "width"),
    [
        pytest.param({"columns": 3, "lines": 2}, 96, id="side by side"),
        pytest.param({"columns": 3, "lines": 2, "padding": 4, "margin": 8}, 96, id="padding and margin"),
        pytest.param({"columns": 3, "lines": 2, "padding": 5}, 97, id="odd cells, odd padding"),
        pytest.param({"columns": 3, "lines": 2, "margin": 7}, 97, id="odd cells, odd margin"),
    ],
)
def test_each_cell_has_its_frame(clip: Clip, grid: dict[str, int], width: int) -> None:
    taken = sprite(clip, grid={**grid, "color": "#ff8001"}, width=width)

    height = round(width * 9 / 16)
    padding, margin = grid.get("padding", 0), grid.get("margin", 0)
    sheet = taken.picture("00001.png")
    assert sheet.shape[1::-1] == (3 * width + 2 * padding + 2 * margin, 2 * height + padding + 2 * margin)
    assert barcode.read_sheet(sheet, 3, width, height, padding, margin) == [
        clip.number_at(k * 10_000 // 6) for k in range(6)
    ]
    # all that is no cell is background, to the pixel
    between = np.ones(sheet.shape[:2], bool)
    for line in range(2):
        for column in range(3):
            top, left = margin + line * (height + padding), margin + column * (width + padding)
            between[top : top + height, left : left + width] = False
            assert not is_flat(sheet[top, left : left + width], ORANGE)
    assert not (padding or margin) or is_flat(sheet[between], ORANGE)


def test_the_measured_sheet(clip: Clip) -> None:
    grid = {"columns": 8, "lines": 5, "cell_width": 135, "cell_height": 240, "padding": 4, "margin": 8}

    taken = sprite(clip, grid=grid)

    sheet = taken.picture("00001.png")
    assert sheet.shape[1::-1] == (1124, 1232)
    assert barcode.read_sheet(sheet, 8, 135, 240, 4, 8) == [clip.number_at(k * 250) for k in range(40)]


def test_the_last_sheet_keeps_its_size(clip: Clip) -> None:
    grid = {"columns": 3, "lines": 2, "padding": 4, "margin": 8, "color": "#ff8001"}

    taken = sprite(clip, grid=grid, width=96, count=8, interval=1)

    first, last = taken.picture("00001.png"), taken.picture("00002.png")
    assert taken.names == ["00001.png", "00002.png"]
    assert first.shape == last.shape
    assert barcode.read_sheet(first, 3, 96, 54, 4, 8) == [0, 25, 50, 75, 100, 125]
    assert barcode.read_sheet(last, 3, 96, 54, 4, 8) == [150, 175, None, None, None, None]
    assert is_flat(last[8 + 54 :], ORANGE)
    assert is_flat(last[:, 8 + 2 * (96 + 4) :], ORANGE)


def test_cells_have_a_size_of_their_own(clip: Clip) -> None:
    grid = {"columns": 2, "lines": 1, "cell_width": 48}

    # the aspect is that of the picture that was asked, 1:1
    taken = sprite(clip, grid=grid, width=100, height=100)

    assert barcode.read_sheet(taken.picture("00001.png"), 2, 48, 48) == [0, 125]


def test_contain_puts_bars_into_the_cells(clip: Clip) -> None:
    grid = {"columns": 2, "lines": 1, "cell_width": 96, "cell_height": 96, "color": "#ff8001"}

    sheet = sprite(clip, grid=grid, fit="contain").picture("00001.png")

    assert is_flat(sheet[:21], ORANGE)
    assert is_flat(sheet[75:], ORANGE)
    assert barcode.read_sheet(sheet[21:75], 2, 96, 54) == [0, 125]


def test_a_skipped_shot_takes_no_cell(clip: Clip) -> None:
    grid = SpriteSnapshotConfig(columns=3, lines=1)

    taken = take(
        clip,
        "{TileCount}.png",
        type="Sprite",
        time=300,
        count=5,
        interval_ms=200,
        keyframe_miss="skip",
        width=96,
        sprite_snapshot_config=grid,
    )

    # moments 0.3, 0.5, 0.7, 0.9, 1.1 s; keyframes at 0.48 and 0.96 s
    assert taken.statuses == ["skipped", "taken", "skipped", "taken", "skipped"]
    assert barcode.read_sheet(taken.picture("00001.png"), 3, 96, 54) == [12, 24, None]


def test_a_missing_shot_leaves_its_cell_empty(tmp_path: Path) -> None:
    grid = {"columns": 4, "lines": 2, "color": "#ff8001"}

    taken = sprite(videos.truncated(tmp_path), grid=grid, width=96, count=10)

    assert taken.statuses == ["taken"] * 6 + ["missing"] * 4
    assert taken.names == ["00001.png"]
    sheet = taken.picture("00001.png")
    assert barcode.read_sheet(sheet, 4, 96, 54) == [0, 5, 10, 15, 20, 25, None, None]
    assert is_flat(sheet[54:, 2 * 96 :], ORANGE)


def test_fewer_lines_and_more_sheets(clip: Clip) -> None:
    # 152 lines of 54 px pass 8,192 px
    taken = sprite(clip, "{TileCount}.jpg", grid={"columns": 1, "lines": 200}, width=96, count=153)

    sheet = taken.report.sheet
    assert sheet is not None
    assert (sheet.columns, sheet.lines) == (1, 151)
    assert taken.picture("00001.jpg").shape == (151 * 54, 96, 3)
    first, second = (barcode.read_sheet(taken.picture(name), 1, 96, 54) for name in taken.names)
    asked = [clip.number_at(10_000 * k // 153) for k in range(153)]
    assert first == asked[:151]
    assert second == asked[151:] + [None] * 149
    assert any("1x200" in note and "1x151" in note for note in taken.report.notes)


def test_fewer_columns_when_not_even_one_line_fits(clip: Clip) -> None:
    taken = sprite(clip, "{TileCount}.jpg", grid={"columns": 5, "lines": 2}, width=2048, count=2)

    sheet = taken.report.sheet
    assert sheet is not None
    assert (sheet.columns, sheet.lines) == (4, 1)
    assert taken.picture("00001.jpg").shape == (1152, 8192, 3)
    assert any("5x2" in note and "4x1" in note for note in taken.report.notes)


def test_one_cell_that_is_too_large_is_refused(clip: Clip) -> None:
    with pytest.raises(ConfigError, match="4096x4096"):
        sprite(clip, grid={"columns": 1, "lines": 1, "margin": 1}, width=4096, height=4096, count=1)
