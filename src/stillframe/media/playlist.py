"""An HLS playlist as the decoder sees it: no names, only where each segment lies in one source, and when it is shown.

    playlist.segments[playlist.at(61_000_000)]    # the segment that is shown after 61 s

Whoever opens a playlist lays its segments one behind the other into one `ByteSource`, which has this table as its
`playlist`. Pure: nothing is read here.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import NamedTuple

from stillframe.media.source import ByteSource

#: what is read of a segment at least, and how much more than the share up to a moment
_LEAST_BYTES = 128 << 10
_MARGIN_PERCENT = 15


class Segment(NamedTuple):
    """One segment: microseconds on the playlist's clock, bytes of the source. `length` is 0 where it is missing.

    `map_length` bytes from `map_offset` go before it (EXT-X-MAP). Timestamps run on within a `period`, and jump where
    another one begins (EXT-X-DISCONTINUITY).
    """

    start_us: int
    duration_us: int
    offset: int
    length: int
    map_offset: int = 0
    map_length: int = 0
    period: int = 0

    @property
    def end_us(self) -> int:
        """Where the next one begins."""
        return self.start_us + self.duration_us


@dataclass(frozen=True, slots=True)
class Playlist:
    """The segments in their order, at least one of them there; and what is worth saying about them."""

    segments: tuple[Segment, ...]
    notes: tuple[str, ...] = ()

    @property
    def duration_us(self) -> int:
        """The sum of the segments' durations."""
        return self.segments[-1].end_us

    def at(self, time_us: int) -> int:
        """The index of the segment that is shown at a moment; the first and the last one go on for ever."""
        return max(bisect_right(self.segments, time_us, key=lambda segment: segment.start_us) - 1, 0)

    def following(self, index: int) -> int | None:
        """The first segment from `index` on that is there."""
        return next((k for k in range(index, len(self.segments)) if self.segments[k].length), None)

    def preceding(self, index: int) -> int | None:
        """The last segment up to `index` that is there."""
        return next((k for k in range(index, -1, -1) if self.segments[k].length), None)

    def first_of_period(self, period: int) -> int | None:
        """The first segment of a period that is there, if one of it is."""
        index = self.following(bisect_left(self.segments, period, key=lambda segment: segment.period))
        return index if index is not None and self.segments[index].period == period else None

    def gap_at(self, time_us: int) -> tuple[int, int] | None:
        """From when to when nothing is there around a moment; None where something is."""
        index = self.at(time_us)
        if self.segments[index].length:
            return None
        before, after = self.preceding(index), self.following(index)
        return (
            self.segments[before].end_us if before is not None else 0,
            self.segments[after].start_us if after is not None else self.duration_us,
        )

    def extent(self, time_us: int) -> tuple[int, int] | None:
        """The (offset, length) that is read for the picture of a moment: its segment up to about there."""
        segment = self.segments[self.at(time_us)]
        if not segment.length:
            return None
        into_us = min(max(time_us - segment.start_us, 0), segment.duration_us)
        share = segment.length * into_us // max(segment.duration_us, 1)
        wanted = max(share * (100 + _MARGIN_PERCENT) // 100, _LEAST_BYTES)
        return segment.offset, min(wanted, segment.length)


def playlist_of(source: ByteSource) -> Playlist | None:
    """The table of a source that is a playlist's; None for one video."""
    found = getattr(source, "playlist", None)
    return found if isinstance(found, Playlist) else None
