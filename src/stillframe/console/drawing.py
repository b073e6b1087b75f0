"""What a config makes of a video of some size and length, to be drawn: its moments, and its sheet to scale.

drawing = draw(config, Video(1920, 1080, 600_000), caps)          # templates/config/_drawing.html

The moments and the geometry are those of the code that makes the pictures.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from stillframe.console.config_form import field_of, told
from stillframe.errors import ConfigError
from stillframe.media.config import Caps, SnapshotConfig, rgb_of
from stillframe.media.geometry import Box, SheetGeometry, sheet_geometry, still_size
from stillframe.media.shotlist import ShotList, shot_list

#: with more, cells are drawn as a pattern, and moments are not all written down
_MOST_CELLS = 200
_MOST_WRITTEN = 12
#: the time line is so many units long
LINE = 1000
_MOST_SIDE_PX = 16_384
_LONGEST_MS = 24 * 3_600_000
_LENGTH = re.compile(r"(?:(?:(\d{1,2}):)?(\d{1,3}):)?(\d{1,6})(?:\.(\d{1,3}))?", re.ASCII)
_LENGTHS = "a length such as 90, 10:00 or 1:30:00, up to 24 hours"


@dataclass(frozen=True, slots=True)
class Video:
    """The video that is drawn for; `length_ms` is its duration."""

    width_px: int = 1920
    height_px: int = 1080
    length_ms: int = 600_000


@dataclass(frozen=True, slots=True)
class VideoForm:
    """The same as three fields of a form."""

    texts: Mapping[str, str]
    video: Video | None
    errors: Mapping[str, str]

    @classmethod
    def read(cls, form: Mapping[str, str]) -> VideoForm:
        """What somebody has sent, and a usual video where they have not."""
        usual = {"VideoWidth": "1920", "VideoHeight": "1080", "VideoLength": "10:00"}
        texts = {name: form.get(name, "").strip()[:20] or text for name, text in usual.items()}
        numbers: list[int] = []
        errors: dict[str, str] = {}
        for name, parse in (("VideoWidth", _side), ("VideoHeight", _side), ("VideoLength", _length)):
            try:
                numbers.append(parse(name, texts[name]))
            except ConfigError as error:
                errors[name] = told(error)
        return cls(texts, None if errors else Video(*numbers), errors)


class Cell(NamedTuple):
    """A cell of the first sheet, and the moment in it; None: it stays empty."""

    box: Box
    moment_ms: int | None


@dataclass(frozen=True, slots=True)
class SheetDrawing:
    """The first sheet. `cells` is empty where they are too many to be drawn one by one."""

    geometry: SheetGeometry
    color: str
    cells: Sequence[Cell]
    #: cells of it that have a picture
    filled: int
    sheets: int
    on_the_last: int

    @property
    def areas(self) -> Sequence[Box]:
        """What the filled cells cover with the padding behind each: the full lines, and the rest of one."""
        grid = self.geometry
        lines, rest = divmod(self.filled, grid.columns)
        across, down = grid.cell_width + grid.padding, grid.cell_height + grid.padding
        below = grid.margin + lines * down
        boxes = (
            Box(grid.margin, grid.margin, grid.columns * across, lines * down),
            Box(grid.margin, below, rest * across, down),
        )
        return [box for box in boxes if box.width and box.height]

    @property
    def memory_bytes(self) -> int:
        """What one sheet takes in a player, once it is decoded."""
        return self.geometry.width_px * self.geometry.height_px * 4


@dataclass(frozen=True, slots=True)
class Drawing:
    """What is known of the pictures before there is a video; a part that cannot be made is None, and told of."""

    shots: ShotList | None = None
    still: tuple[int, int] | None = None
    sheet: SheetDrawing | None = None
    #: what will be another way than it was asked
    warnings: Sequence[str] = ()
    #: what such a video fails of
    failures: Sequence[str] = ()
    #: by the fields of the config
    flaws: Mapping[str, str] = field(default_factory=dict)

    def ticks(self, length_ms: int) -> Sequence[int]:
        """Where the moments lie on the time line, each place once."""
        moments = self.shots.requested_ms if self.shots is not None else ()
        return sorted({min(LINE, moment * LINE // max(length_ms, 1)) for moment in moments})

    @property
    def written_ms(self) -> Sequence[int]:
        """The moments that are written down."""
        return self.shots.requested_ms[:_MOST_WRITTEN] if self.shots is not None else ()


def draw(config: SnapshotConfig, video: Video, caps: Caps) -> Drawing:
    """What such a video would give."""
    warnings: list[str] = []
    failures: list[str] = []
    flaws: dict[str, str] = {}

    def fail(error: ConfigError) -> None:
        failures.append(f"Such a video would fail: {error}.")
        flaws[field_of(error.path)] = f"For this video it must be {error.allowed}."

    shots: ShotList | None = None
    still: tuple[int, int] | None = None
    sheet: SheetDrawing | None = None
    try:
        shots = shot_list(config, video.length_ms, caps)
    except ConfigError as error:
        fail(error)
    else:
        _look_at_end(config, shots, video, warnings, failures)
    try:
        still = still_size(config, video.width_px, video.height_px)
        if config.makes_sheets:
            geometry = sheet_geometry(config, video.width_px, video.height_px, caps)
            sheet = _sheet(config, geometry, shots)
            warnings += _cut_down(config, geometry, caps)
    except ConfigError as error:
        fail(error)
    return Drawing(shots, still, sheet, warnings, failures, flaws)


def _look_at_end(
    config: SnapshotConfig, shots: ShotList, video: Video, warnings: list[str], failures: list[str]
) -> None:
    """Say what becomes of moments behind the end (docs/parameters.md, "Moments past the end")."""
    if shots.single and config.time >= video.length_ms:
        if config.frame_type == "intra":
            warnings.append("The moment lies behind the end: the last keyframe is taken.")
        else:
            failures.append("The moment lies behind the end: such a video would fail.")
    elif not shots.requested_ms:
        failures.append("All moments lie behind the end: such a video would fail.")
    elif dropped := len(shots.dropped_ms):
        total = dropped + len(shots.requested_ms)
        warnings.append(f"{dropped} of {total} moments lie behind the end: they are dropped.")


def _sheet(config: SnapshotConfig, geometry: SheetGeometry, shots: ShotList | None) -> SheetDrawing:
    moments = shots.requested_ms if shots is not None else ()
    filled = min(len(moments), geometry.cells)
    sheets = max(-(-len(moments) // geometry.cells), 1)
    cells = [
        Cell(geometry.cell(number), moments[number] if number < filled else None)
        for number in range(geometry.cells if geometry.cells <= _MOST_CELLS else 0)
    ]
    red, green, blue = rgb_of(config.sprite_snapshot_config.color)
    return SheetDrawing(
        geometry,
        f"#{red:02x}{green:02x}{blue:02x}",
        cells,
        filled,
        sheets,
        len(moments) - (sheets - 1) * geometry.cells,
    )


def _cut_down(config: SnapshotConfig, geometry: SheetGeometry, caps: Caps) -> Sequence[str]:
    grid = config.sprite_snapshot_config
    if (grid.columns, grid.lines) == (geometry.columns, geometry.lines):
        return ()
    return [
        f"{grid.columns} × {grid.lines} cells would be too large a sheet: it has {geometry.columns} × "
        f"{geometry.lines}, since players show at most {caps.sheet_side_px:,} px a side and "
        f"{caps.sheet_pixels:,} px in all."
    ]


def _side(name: str, text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if not 0 < number <= _MOST_SIDE_PX:
        raise ConfigError(name, text, f"a whole number of pixels from 1 to {_MOST_SIDE_PX}")
    return number


def _length(name: str, text: str) -> int:
    """Milliseconds. Raises ConfigError."""
    if (found := _LENGTH.fullmatch(text)) is None:
        raise ConfigError(name, text, _LENGTHS)
    hours, minutes, seconds, rest = found.groups(default="")
    total = ((int(hours or 0) * 60 + int(minutes or 0)) * 60 + int(seconds)) * 1000 + int(rest.ljust(3, "0"))
    if not 0 < total <= _LONGEST_MS:
        raise ConfigError(name, text, _LENGTHS)
    return total
