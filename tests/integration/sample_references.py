"""The table of sample videos, and the fixed measure by which pictures are compared to its references.

`scripts/make_sample_references.py` writes the table and the references with Debian's ffmpeg;
`test_samples.py` reads them. Both reduce their full-size pictures with the same `reduce`, so that what is
compared is what was decoded, turned and converted, and not one scaler with another.
"""

from __future__ import annotations

import csv
import math
import re
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

RgbPicture = npt.NDArray[np.uint8]

REPOSITORY = Path(__file__).parents[2]
#: The sample videos lie beside the checkout; they are not part of it.
MEDIA = REPOSITORY.parent / "shared" / "media"
SAMPLES = Path(__file__).parent / "samples"
TABLE = SAMPLES / "table.tsv"

#: The longest side of a stored reference, in pixels.
REFERENCE_SIDE_PX = 112


@dataclass(frozen=True, slots=True)
class SampleRow:
    """What must come of one sample video."""

    file: str
    #: "pictures" or "refused"
    outcome: str
    #: why it is refused: the slug of `MediaError.reason`
    reason: str
    #: moments after the first displayed picture, in ms, and the pts of the frame on screen then
    moments_ms: tuple[int, ...]
    expected_pts: tuple[int, ...]
    #: the last good frame of the video, checked by its pts alone
    last_ms: int | None
    last_pts: int | None
    #: a moment before the announced end whose picture the damaged file does not hold
    missing_ms: int | None
    #: the full-size picture: upright, square pixels
    width_px: int | None
    height_px: int | None
    #: "pixels", or "no-pixels: " and why
    comparison: str
    #: the smallest samples of each class; the others run with the marker `full`
    runs_by_default: bool
    note: str

    @property
    def folder(self) -> str:
        return self.file.partition("/")[0]

    @property
    def compares_pixels(self) -> bool:
        return self.comparison == "pixels"

    def reference(self, moment_ms: int) -> Path:
        """Where the reduced reference picture of one moment is kept."""
        name = re.sub(r"[^A-Za-z0-9.]+", "_", self.file)
        return SAMPLES / f"{name}-{moment_ms}.png"


def read_table() -> tuple[SampleRow, ...]:
    """All rows, in the order of the samples' index."""
    with TABLE.open(encoding="utf-8", newline="") as table:
        return tuple(_from_text(row) for row in csv.DictReader(table, delimiter="\t"))


def write_table(rows: list[SampleRow]) -> None:
    """Write all rows, in the order given."""
    names = [field.name for field in fields(SampleRow)]
    with TABLE.open("w", encoding="utf-8", newline="") as table:
        writer = csv.writer(table, delimiter="\t", lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_as_text(getattr(row, name)) for name in names] for row in rows)


def reduce(picture: RgbPicture) -> RgbPicture:
    """Average a height x width x 3 picture over equal boxes, down to at most `REFERENCE_SIDE_PX` a side.

    A smaller picture is returned as it is. Box borders may fall inside a pixel, which then counts in both
    boxes by its share.
    """
    height, width = picture.shape[:2]
    scale = REFERENCE_SIDE_PX / max(height, width)
    if scale >= 1:
        return picture
    averaged = _average(picture.astype(np.float64), max(1, round(height * scale)), axis=0)
    averaged = _average(averaged, max(1, round(width * scale)), axis=1)
    return np.floor(averaged + 0.5).astype(np.uint8)


def psnr(one: RgbPicture, other: RgbPicture) -> float:
    """Peak signal-to-noise ratio in dB over all channels; infinite for equal pictures."""
    if one.shape != other.shape:
        raise ValueError(f"pictures of different shapes: {one.shape} and {other.shape}")
    error = float(np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def _average(values: npt.NDArray[np.float64], boxes: int, axis: int) -> npt.NDArray[np.float64]:
    """Average along one axis: the integral of the values, differenced at the borders of the boxes."""
    values = np.moveaxis(values, axis, 0)
    integral = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])
    borders = np.arange(boxes + 1) * (len(values) / boxes)
    whole = np.minimum(borders.astype(np.intp), len(values) - 1)
    share = (borders - whole).reshape(-1, *[1] * (values.ndim - 1))
    at_borders = integral[whole] + share * values[whole]
    return np.moveaxis(np.diff(at_borders, axis=0) * (boxes / len(values)), 0, axis)


def _from_text(row: dict[str, str]) -> SampleRow:
    return SampleRow(
        file=row["file"],
        outcome=row["outcome"],
        reason=row["reason"],
        moments_ms=_numbers(row["moments_ms"]),
        expected_pts=_numbers(row["expected_pts"]),
        last_ms=_number(row["last_ms"]),
        last_pts=_number(row["last_pts"]),
        missing_ms=_number(row["missing_ms"]),
        width_px=_number(row["width_px"]),
        height_px=_number(row["height_px"]),
        comparison=row["comparison"],
        runs_by_default=row["runs_by_default"] == "yes",
        note=row["note"],
    )


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(",") if number)


def _number(text: str) -> int | None:
    return int(text) if text else None


def _as_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ",".join(str(number) for number in value)
    return str(value)
