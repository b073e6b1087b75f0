"""Where the keyframes of a playlist are: its segments are read up to where that is known, and no further.

search.nearest(12, pts, reach)    # of the 13th segment, and of its neighbours where they may be nearer
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from av.packet import Packet
from av.video.stream import VideoStream

from stillframe.media.packets import time_of
from stillframe.media.plan import nearest_keyframe
from stillframe.media.playlist import Playlist
from stillframe.media.reader import VideoReader

#: packets of a segment among which the first one shown is (H.264 reorders 16 frames at most)
_FEW_PACKETS = 18
#: segments before and after one of a moment that are read for a keyframe, where it has none
_MOST_NEIGHBOURS = 16


class Part:
    """A segment that is being read, and whose decoder its pictures go to. Its times are the segment's own."""

    def __init__(self, index: int, reader: VideoReader, decoder: VideoReader) -> None:
        self.index = index
        self.reader = reader
        self.decoder = decoder
        #: what is to be added to its times for those of the playlist, once that is known
        self.shift: int | None = None
        self.is_at_start = True
        self._ahead = deque(_few_packets(reader))
        times = [time for packet in self._ahead if (time := time_of(packet)) is not None]
        self.first_pts = min(times, default=0)

    def next_packet(self) -> Packet[VideoStream] | None:
        """The next packet in decode order; None at the segment's end."""
        self.is_at_start = False
        return self._ahead.popleft() if self._ahead else _next_of(self.reader)


@dataclass(slots=True)
class Scan:
    """What is known of a segment: its keyframes up to `ends`, and whether that is all of it."""

    begins: int
    ends: int
    is_whole: bool = False
    keyframes: list[int] = field(default_factory=list)


class KeyframeSearch:
    """The keyframes of one playlist, as far as its segments were read. One segment is held open.

    `opened` opens a segment (None: it is damaged), `time_in` gives a time of a part on the playlist's clock, and
    `pts_of` microseconds of that clock in its ticks.
    """

    def __init__(
        self,
        playlist: Playlist,
        opened: Callable[[int], Part | None],
        time_in: Callable[[Part, int], int],
        pts_of: Callable[[int], int],
    ) -> None:
        self.packets_read = 0
        self._playlist = playlist
        self._opened = opened
        self._time_in = time_in
        self._pts_of = pts_of
        self._scans: dict[int, Scan] = {}
        self._part: Part | None = None

    def is_within(self, index: int, pts: int) -> bool:
        """Whether a segment was opened here before, and `pts` lies in it."""
        scan = self._scans.get(index)
        lasts = self._pts_of(self._playlist.segments[index].duration_us)
        return scan is not None and scan.begins <= pts < scan.begins + lasts

    def nearest(self, index: int, pts: int, reach: int | None) -> int | None:
        """The time of the keyframe nearest to `pts`, which is shown in a segment; None: there is none in reach."""
        here = self._read_until(index, pts)
        if here is None:
            return None
        found, before = list(here.keyframes), self._playlist.preceding(index - 1)
        for _ in range(_MOST_NEIGHBOURS):
            if before is None or (found and found[0] <= pts):
                break
            scan = self._read_until(before, pts)
            if scan is not None:
                found = [*scan.keyframes, *found]
                if reach is not None and pts - scan.begins > reach:
                    break
            before = self._playlist.preceding(before - 1)
        end, after = here.ends, self._playlist.following(index + 1)
        for _ in range(_MOST_NEIGHBOURS):
            if after is None or not _may_be_nearer(found, pts, end, reach):
                break
            scan = self._read_until(after, pts)
            found += scan.keyframes[:1] if scan is not None else []
            end = self._pts_of(self._playlist.segments[after].end_us)
            after = self._playlist.following(after + 1)
        return nearest_keyframe(found, pts, reach)

    def close(self) -> None:
        """Let go of the segment that is held open."""
        part, self._part = self._part, None
        if part is not None:
            part.reader.close()

    def _read_until(self, index: int, pts: int) -> Scan | None:
        """Read a segment up to a keyframe behind `pts`, or through; None when it is damaged."""
        scan = self._scans.get(index)
        if scan is not None and (scan.is_whole or any(time > pts for time in scan.keyframes)):
            return scan
        if self._part is None or self._part.index != index:
            self.close()
            self._part = self._opened(index)
            if self._part is None:
                return None
            begins = self._time_in(self._part, self._part.first_pts)
            scan = self._scans[index] = Scan(begins, begins)
        assert scan is not None
        while not scan.is_whole and not (scan.keyframes and scan.keyframes[-1] > pts):
            packet = self._part.next_packet()
            if packet is None:
                scan.is_whole = True
                break
            self.packets_read += 1
            time = time_of(packet)
            if time is not None and not packet.is_discard:
                shown = self._time_in(self._part, time)
                scan.ends = max(scan.ends, shown)
                if packet.is_keyframe:
                    scan.keyframes.append(shown)
        return scan


def _may_be_nearer(found: list[int], pts: int, end: int, reach: int | None) -> bool:
    """Whether a keyframe behind `end` may be nearer to `pts` than those that were found."""
    if reach is not None and end - pts > reach:
        return False
    return not found or (found[-1] <= pts and end - pts < pts - found[-1])


def _few_packets(reader: VideoReader) -> Iterator[Packet[VideoStream]]:
    for _ in range(_FEW_PACKETS):
        packet = _next_of(reader)
        if packet is None:
            return
        yield packet


def _next_of(reader: VideoReader) -> Packet[VideoStream] | None:
    packet = reader.next_packet()
    assert packet is None or isinstance(packet, Packet)
    return packet
