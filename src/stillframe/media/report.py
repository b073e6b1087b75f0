"""What came of a source: every shot, every output, and what it cost. Plain data."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from stillframe.media.geometry import SheetGeometry
from stillframe.media.sink import Output

ShotStatus = Literal["taken", "replaced", "dropped", "skipped", "missing"]


@dataclass(frozen=True, slots=True)
class ShotReport:
    """One requested moment and the frame that was found for it.

    `requested_ms` and `actual_ms` count from the first picture (`actual_ms` is rounded up: asking for it
    again finds the same frame); `actual_pts` is the frame's time in the container's own ticks. `status`:
    taken; replaced (another frame stands for it, `reason` says which and why); dropped (behind the end);
    skipped (KeyframeMiss is skip and no keyframe is near); missing (cannot be had).
    """

    index: int
    requested_ms: int
    status: ShotStatus
    actual_pts: int | None = None
    actual_ms: int | None = None
    keyframe: bool = False
    reason: str | None = None


@dataclass(slots=True)
class Stats:
    """What the work cost. `seconds` is by stage, added up over all threads.

    `reads` are the decoder's; `bytes_read` and `requests` are what was read for them over the network. Of a local file
    the bytes are the decoder's, too, and there are as many requests as reads.
    """

    bytes_read: int = 0
    reads: int = 0
    requests: int = 0
    packets_read: int = 0
    packets_decoded: int = 0
    frames_decoded: int = 0
    decode_errors: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, other: Stats) -> None:
        """Take another thread's or step's numbers in."""
        for name in _COUNTERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for stage, seconds in other.seconds.items():
            self.spend(stage, seconds)

    def __sub__(self, before: Stats) -> Stats:
        """What has come since `before`, seconds left out."""
        return Stats(*(getattr(self, name) - getattr(before, name) for name in _COUNTERS))

    def spend(self, stage: str, seconds: float) -> None:
        """Book seconds on a stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Book the seconds of a `with` block on a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.spend(name, time.perf_counter() - start)


_COUNTERS = (
    *("bytes_read", "reads", "requests"),
    *("packets_read", "packets_decoded", "frames_decoded", "decode_errors"),
)


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a source. `ok` is False when more shots are missing than allowed; `code` and `message` say why."""

    source: str
    size_bytes: int
    duration_ms: int
    ok: bool
    code: str | None
    message: str | None
    shots: tuple[ShotReport, ...]
    outputs: tuple[Output, ...]
    still_width_px: int
    still_height_px: int
    sheet: SheetGeometry | None
    notes: tuple[str, ...]
    stats: Stats
