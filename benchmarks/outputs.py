"""Check that a contestant really made what it was timed for, and which frames it says it took."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Expectation(Protocol):
    """Something that must be true of the outputs in a folder."""

    def complaint(self, folder: Path) -> str | None:
        """What is wrong, or None."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """`count` JPEG files match `pattern`, each of the given size in pixels."""

    pattern: str
    count: int
    width_px: int
    height_px: int

    def complaint(self, folder: Path) -> str | None:
        """What is wrong, or None."""
        pictures = sorted(folder.glob(self.pattern))
        if len(pictures) != self.count:
            return f"{len(pictures)} pictures {self.pattern} instead of {self.count}"
        for picture in pictures:
            if (size := jpeg_size(picture.read_bytes())) != (self.width_px, self.height_px):
                return f"{picture.name} has {size} pixels instead of {(self.width_px, self.height_px)}"
        return None


@dataclass(frozen=True, slots=True)
class Cues:
    """The WebVTT file `name` has `count` cues."""

    name: str
    count: int

    def complaint(self, folder: Path) -> str | None:
        """What is wrong, or None."""
        found = (folder / self.name).read_text().count(" --> ")
        return None if found == self.count else f"{found} cues in {self.name} instead of {self.count}"


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels from a JPEG's frame header; None if the data is no whole JPEG."""
    if not (data.startswith(b"\xff\xd8") and data.rstrip(b"\0").endswith(b"\xff\xd9")):
        return None
    position = 2
    while position + 9 <= len(data):
        marker, length = data[position + 1], int.from_bytes(data[position + 2 : position + 4], "big")
        if 0xC0 <= marker <= 0xC2:
            height, width = data[position + 5 : position + 7], data[position + 7 : position + 9]
            return int.from_bytes(width, "big"), int.from_bytes(height, "big")
        position += 2 + length
    return None


def frames_taken(printed: str) -> list[int]:
    """The pts of the frames taken, from what `stillframe snap --json` or `floor.py` printed."""
    report = json.loads(printed)
    return report["pts"] if "pts" in report else [shot["actual_pts"] for shot in report["shots"]]
