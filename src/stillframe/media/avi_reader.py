"""AVI: its index, which libav reads when it opens the file, says where every picture lies, and which are keyframes.

It counts pictures in the order of decoding and says nothing of when they are shown. So it tells where to look; what is
taken is what libav reads there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple

import av.error

from stillframe.media.landmarks import Odd
from stillframe.media.packets import VideoPacket
from stillframe.media.plan import nearest_keyframe
from stillframe.media.reader import VideoReader

#: pictures that are read behind the one that is wanted: they might be shown before it
_HELD_PICTURES = 20
#: a chunk's head, and what libav reads at once
_HEAD_BYTES, _BUFFER_BYTES = 8, 32 << 10


class _Entry(NamedTuple):
    """One chunk of the video; `dts` in ticks."""

    dts: int
    position: int
    size: int


class AviIndex:
    """The pictures of one file in the order of decoding; `delay` is how much later than that keyframes are shown."""

    def __init__(self, entries: Sequence[_Entry], keyframes: Sequence[int], delay: int) -> None:
        self._entries = entries
        self._keyframes = keyframes
        self._delay = delay
        self._times = [entries[number].dts + delay for number in keyframes]

    @property
    def last_pictures(self) -> _Entry:
        """Where those begin among which the last one is."""
        return self._entries[max(len(self._entries) - _HELD_PICTURES, 0)]

    def nearest_keyframe(self, time: int, reach: int | None) -> int | None:
        """The time of the keyframe nearest to a time, at most `reach` ticks away (None: any)."""
        return nearest_keyframe(self._times, time, reach)

    def keyframe_extent(self, time: int) -> tuple[int, int]:
        """The (offset, length) that the keyframe nearest to a time needs."""
        nearest = self.nearest_keyframe(time, None)
        assert nearest is not None
        entry = self._entries[self._keyframes[self._times.index(nearest)]]
        return entry.position, max(_HEAD_BYTES + entry.size, _BUFFER_BYTES)

    def decoding_extent(self, moment: int) -> tuple[int, int]:
        """The (offset, length) from the keyframe on to the picture of a moment, and those that are read with it."""
        shown = max(bisect_right(self._entries, moment - self._delay, key=lambda entry: entry.dts) - 1, 0)
        first = self._entries[self._keyframes[max(bisect_right(self._keyframes, shown) - 1, 0)]]
        last = self._entries[min(shown + _HELD_PICTURES, len(self._entries) - 1)]
        return first.position, max(last.position + _HEAD_BYTES + last.size - first.position, _BUFFER_BYTES)


class AviReader(VideoReader):
    """A reader that knows where the pictures lie."""

    open_options = MappingProxyType({"fpsprobesize": "0"})
    _delay: int | None = None

    @cached_property
    def index(self) -> AviIndex | None:
        """What the file's index says; None when it has none that tells of all pictures, one after the other."""
        entries = [
            (_Entry(entry.timestamp, entry.pos, entry.size), entry.is_keyframe)
            for entry in self.stream.index_entries
        ]
        pictures = [entry for entry, _ in entries]
        keyframes = [number for number, (_, is_keyframe) in enumerate(entries) if is_keyframe]
        # what libav makes up while it reads tells of the beginning only
        announced = self.stream.duration
        is_whole = announced is not None and bool(pictures) and pictures[-1].dts >= announced - _HELD_PICTURES
        in_order = all(one.position < next_one.position for one, next_one in pairwise(pictures))
        if not is_whole or not in_order or not keyframes or self._delay is None:
            return None
        return AviIndex(pictures, keyframes, self._delay)

    def next_packet(self) -> VideoPacket | None:
        packet = super().next_packet()
        if self._delay is None and packet is not None and packet.is_keyframe and packet.pts is not None:
            self._delay = packet.pts - (packet.dts if packet.dts is not None else packet.pts)
        return packet

    def seek_near_end(self) -> bool:
        if self.index is None:
            return False
        last = self.index.last_pictures
        self.source.prefetch([(last.position, self.source.size - last.position)])
        self._packets = self.demux(self.stream.index)
        try:
            self.container.seek(last.dts, stream=self.stream, any_frame=True)
        except av.error.FFmpegError:
            self._file.raise_error()
            return False
        finally:
            self.flush()
        return True

    def nearest_keyframe(self, pts: int, reach: int | None) -> int | None:
        if self._delay is None:
            self.rewind()
            self.next_packet()
        if self.index is None:
            raise Odd("it has no index of its pictures")
        return self.index.nearest_keyframe(pts, reach)
