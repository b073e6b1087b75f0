"""The rows of the far benchmark: what is made from which video, and how much that may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from catalogue import (
    FRAGMENTS_MFRA,
    FRAGMENTS_SIDX,
    MKV,
    MKV_WITHOUT_CUES,
    REMOTE_GOP50_HOUR,
    REMOTE_GOP250_HOUR,
    TRANSPORT_STREAM,
    Copy,
    LongFile,
)

KEYFRAMES_VTT = {"type": "WebVtt", "is_spt_frag": True, "count": 100, "width": 160}
SHEET = {"type": "Sprite", "count": 100, "width": 160}
EXACT = {"frame_type": "normal"}


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that the work may take: a share of the object in percent, or MiB; requests; seconds."""

    requests: int
    seconds: float
    percent: float | None = None
    mib: float | None = None

    def in_words(self) -> str:
        """The bounds as the table shows them."""
        size = f"{self.percent:g} %" if self.percent is not None else f"{self.mib:g} MiB"
        return f"{size}, {self.requests} requests, {self.seconds:g} s"


@dataclass(frozen=True, slots=True)
class Row:
    """One piece of work. `mbit` is what the wire carries in a second; None is no limit."""

    name: str
    title: str
    film: LongFile | Copy
    work: dict[str, Any]
    bounds: Bounds
    mbit: float | None = None
    template: str = "{Count}.jpg"
    #: whether others do it, too; they are slow
    peers: bool = True


def all_rows() -> list[Row]:
    """Every row of the table."""
    hour = "60 min, GOP 250, index at the end"
    rows = [
        Row(
            "keyframe-sheet",
            f"100 keyframe cells, sheet and VTT, {hour}",
            REMOTE_GOP250_HOUR,
            KEYFRAMES_VTT,
            Bounds(108, 1.0, percent=1.7),
            template="film.vtt",
        ),
        Row(
            "keyframe-sheet-100",
            "the same at 100 Mbit/s",
            REMOTE_GOP250_HOUR,
            KEYFRAMES_VTT,
            Bounds(108, 1.6, percent=1.7),
            mbit=100,
            template="film.vtt",
            peers=False,
        ),
        Row(
            "exact-sheet",
            "100 exact cells, 60 min, GOP 50",
            REMOTE_GOP50_HOUR,
            SHEET | EXACT | {"time": 2_000},
            Bounds(110, 3.9, percent=4),
            template="{TileCount}.jpg",
        ),
    ]
    # a quarter, a half and the whole of a GOP after the keyframe
    for place, moment_ms in (("5 %", 182_480), ("50 %", 1_804_960), ("90 %", 3_249_960)):
        rows.append(
            Row(
                f"still-{place.split()[0]}",
                f"one exact still near {place}, {hour}",
                REMOTE_GOP250_HOUR,
                EXACT | {"count": 1, "time": moment_ms},
                Bounds(7, 0.75, mib=6),
                peers=place == "50 %",
            )
        )
    middle = {"count": 1, "time": 301_000}
    for film, title, many, one in (
        (MKV, "Matroska with cues, 10 min", Bounds(120, 1.4, percent=10), Bounds(10, 0.5, mib=1.5)),
        (
            FRAGMENTS_MFRA,
            "fragmented MP4 with mfra, 10 min",
            Bounds(130, 1.6, percent=11),
            Bounds(18, 0.9, mib=4),
        ),
        (
            FRAGMENTS_SIDX,
            "fragmented MP4 with sidx, 10 min",
            Bounds(130, 1.6, percent=11),
            Bounds(18, 0.9, mib=4),
        ),
    ):
        rows.append(
            Row(
                f"{film.name}-100",
                f"100 keyframe cells, {title}",
                film,
                SHEET,
                many,
                template="{TileCount}.jpg",
                peers=film is not FRAGMENTS_SIDX,
            )
        )
        still = EXACT | middle
        shown = film is not FRAGMENTS_SIDX
        rows.append(Row(f"{film.name}-1", f"one exact still, {title}", film, still, one, peers=shown))
    for film, title in (
        (TRANSPORT_STREAM, "MPEG-TS, 10 min"),
        (MKV_WITHOUT_CUES, "Matroska without cues, 10 min"),
    ):
        rows.append(
            Row(
                f"{film.name}-100",
                f"100 keyframe cells, {title}",
                film,
                SHEET,
                Bounds(560, 2.5, percent=40),
                template="{TileCount}.jpg",
            )
        )
        rows.append(
            Row(
                f"{film.name}-10",
                f"10 keyframe cells, {title}",
                film,
                SHEET | {"count": 10},
                Bounds(70, 0.8, percent=5),
                template="{TileCount}.jpg",
                peers=False,
            )
        )
        rows.append(
            Row(f"{film.name}-1", f"one keyframe still, {title}", film, middle, Bounds(12, 0.5, mib=1.5))
        )
    return rows
