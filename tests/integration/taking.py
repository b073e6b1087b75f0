"""Shoot a generated clip into memory, and look at what came."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from stillframe import MemorySink, Report, SnapshotConfig, shoot
from stillframe.testing import Clip, barcode

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Taken:
    """The report of a clip, and its files by name."""

    report: Report
    files: dict[str, bytes]

    def picture(self, name: str) -> Picture:
        return np.asarray(Image.open(io.BytesIO(self.files[name])).convert("RGB"))

    @property
    def names(self) -> list[str]:
        """The pictures' names in order."""
        return sorted(name for name in self.files if not name.endswith(".vtt"))

    @property
    def seen(self) -> list[int | str]:
        """What is on the pictures, in order: a number, or "black"."""
        return [_seen(self.picture(name)) for name in self.names]

    @property
    def statuses(self) -> list[str]:
        return [shot.status for shot in self.report.shots]


def take(clip: Clip, template: str = "{Count}.png", **parameters: Any) -> Taken:
    """Shoot with the parameters of SnapshotConfig, on two threads."""
    config = SnapshotConfig(**parameters)
    sink = MemorySink(template, config)
    report = shoot(clip.path, sink, config, threads=2)
    return Taken(report, sink.files)


def _seen(picture: Picture) -> int | str:
    return "black" if picture.max() < 20 else barcode.read(picture)
