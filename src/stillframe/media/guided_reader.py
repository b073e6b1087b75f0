"""Readers that go straight to the bytes of a keyframe: MPEG-TS, FLV, Matroska and WebM with cues and without.

Where libav would read on and on, these look for the keyframe in a few small pieces of the file, by the times that
the pieces tell (`search.py`), or by the cues (`cues.py`). Whatever is odd about a file ends that for good, and it is
read as libav reads it.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import chain
from typing import Any

import av.error
from av.packet import Packet

from stillframe.media import mkv_packets
from stillframe.media.cues import CueMap
from stillframe.media.flv_layout import FlvLayout
from stillframe.media.guide import Ground, Guide, Wish
from stillframe.media.landmarks import Layout, Odd, Picture
from stillframe.media.mkv_layout import MkvHeader, MkvLayout, cues_at, read_header
from stillframe.media.packets import VideoPacket, time_of
from stillframe.media.patch import Patch
from stillframe.media.reader import VideoReader
from stillframe.media.search import MOST_WINDOWS, WINDOW_BYTES, Found, Terrain
from stillframe.media.source import ByteSource, SourceFile
from stillframe.media.trail import Trail
from stillframe.media.ts_layout import TsLayout

#: pictures at the end among which the last one is
_LAST_PICTURES = 18
_HEAD_BYTES = 64 << 10
_MOST_HEAD_BYTES = 1 << 20
#: what is read from the last cue on to see where the video ends
_MOST_TAIL_BYTES = 4 << 20
_CLUSTER_HEAD_BYTES = 4 << 10
#: much of a first keyframe, most likely
_BEGINNING_BYTES = 128 << 10
_CUES_BYTES = 64 << 10
#: where libav looks for how long an MPEG-TS lasts
_TS_END_BYTES = 250_000
#: from front to back, so much is asked for at once, and so far ahead
_PIECE_BYTES, _AHEAD_BYTES = 1 << 20, 4 << 20


class GuidedReader(VideoReader, ABC):
    """A reader that goes to bytes, where a guide has found the keyframe."""

    @property
    def lists_keyframes(self) -> bool:
        """Whether libav's index has them all: of what it has read through, or of cues."""
        return self._is_odd

    def __init__(self, source: ByteSource, stream_index: int | None = None) -> None:
        self._guide: Guide | None = None
        self._is_odd = False
        self._found: Found | None = None
        #: for moments without a keyframe near them: what their exact frames need
        self._misses: dict[int, Found | None] = {}
        self._tail: Picture | None = None
        #: while the file is read from front to back, and as far as what comes next is hinted at
        self._trail: Trail | None = None
        self._ahead_to = 0
        # libav would come to it bit by bit, and to the end only after all of the beginning
        source.prefetch([(_HEAD_BYTES, _BEGINNING_BYTES - _HEAD_BYTES)])
        source.prefetch([self._soon(source)])
        super().__init__(source, stream_index)

    def guide(self) -> Guide | None:
        """Who looks for keyframes in this file; None when it is too odd for that."""
        if self._guide is None and not self._is_odd:
            try:
                self._guide = Guide(self.source, self._see())
            except Odd:
                self._is_odd = True
        return self._guide

    def share(self, guide: Guide) -> None:
        """Let another reader's guide of the same file look for keyframes."""
        try:
            self._layout(self.source.read_at(0, _HEAD_BYTES))
            self._guide = guide
        except Odd:
            self._is_odd = True

    def read_through(self, until: int | None) -> None:
        """From where it is sent next, read on from shot to shot, up to about a time; None: seek each, as before."""
        self._trail = Trail(super().next_packet) if until is not None else None
        self._ahead_to = self._place_of(until) if until is not None else 0
        assert isinstance(self._file, PieceFile)
        self._file.ahead_to = self._ahead_to

    def next_packet(self) -> VideoPacket | None:
        return self._trail.next_packet() if self._trail is not None else super().next_packet()

    def rewind(self) -> None:
        if self._trail is not None:
            self._trail.forget()
        super().rewind()

    def seek(self, pts: int) -> bool:
        if self._trail is not None:
            if self._trail.seek(pts):
                self.flush()
                return True
            self._trail.forget()
        found, self._found = self._found, None
        try:
            if found is None or found.picture.pts != pts:
                missed = self._misses.pop(pts, None)
                self._misses.clear()
                found = missed or self._find(Wish(pts))
            if found is None:
                raise Odd("there is no keyframe")
            self._go_to(found.picture, found.data)
            self._demand(found.picture)
        except Odd:
            self._give_up()
            return super().seek(pts)
        return True

    def nearest_keyframe(self, pts: int, reach: int | None) -> int | None:
        if self._trail is not None:
            raise Odd("it is found by reading on")
        try:
            found = self._find(Wish(pts, is_nearest=True, reach=reach))
        except Odd:
            self._give_up()
            raise
        if found is None or not found.is_near:
            # the exact frame is asked for next
            self._misses[pts] = found
            return None
        self._found = found
        return found.picture.pts

    def seek_near_end(self) -> bool:
        if self.guide() is None or self._tail is None:
            return False
        try:
            self._go_to(self._tail, b"")
        except Odd:
            self._give_up()
            return False
        return True

    def _place_of(self, pts: int) -> int:
        """Where the keyframe of a time lies; 0 where that is not known."""
        with contextlib.suppress(Odd):
            found = self._find(Wish(pts))
            return found.picture.position if found is not None else 0
        return 0

    def _find(self, wish: Wish) -> Found | None:
        guide = self.guide()
        if guide is None:
            raise Odd("it cannot be searched")
        return guide.found(wish)

    def _go_to(self, picture: Picture, data: bytes) -> None:
        """Read on from a picture, whose first bytes are known. Raises Odd."""
        assert isinstance(self._file, PieceFile)
        self._file.put(picture.position, data)
        self._packets = self.demux(self.stream.index)
        try:
            self.container.seek(picture.position, unsupported_byte_offset=True)
        except (av.error.FFmpegError, OverflowError) as error:
            self._file.raise_error()
            raise Odd("libav cannot go there") from error
        finally:
            self.flush()

    def _demand(self, picture: Picture) -> None:
        """Raise Odd unless the keyframe that was looked for comes first."""
        packet = next(self._packets, None)
        if packet is None or not packet.is_keyframe or time_of(packet) != picture.pts:
            raise Odd("something else is where a keyframe was found")
        self._packets = chain([packet], self._packets)

    def _give_up(self) -> None:
        self._is_odd, self._guide, self._found = True, None, None
        self._misses.clear()

    def _see(self) -> Ground:
        """Look at both ends of the file. Raises Odd."""
        head = self.source.read_at(0, _HEAD_BYTES)
        layout = self._layout(head)
        first = Patch(layout, 0, head, self.source.size)
        while not first.ends and not any(picture.keyframe for picture in first.pictures):
            if len(first.data) >= _MOST_HEAD_BYTES:
                raise Odd("no keyframe at its beginning")
            first.grow_right(self.source.read_at(first.end, WINDOW_BYTES))
        base = _last_window(self.source.size)
        tail = Patch(layout, base, self.source.read_at(base, self.source.size - base), self.source.size)
        while len(tail.pictures) < _LAST_PICTURES and not tail.begins:
            if len(tail.data) > MOST_WINDOWS * WINDOW_BYTES:
                raise Odd("no pictures at its end")
            base = max(tail.base - WINDOW_BYTES, 0)
            tail.grow_left(self.source.read_at(base, tail.base - base))
        if not first.pictures or not tail.pictures:
            raise Odd("no pictures")
        first_pts = min(picture.pts for picture in first.pictures)
        if self.stream.start_time != first_pts:
            # libav may count on where times of 33 bits begin anew
            raise Odd("its times are not those that libav gives")
        self._tail = tail.pictures[0]
        return Terrain(layout, self.source.size, first_pts, max(picture.pts for picture in tail.pictures))

    def _soon(self, source: ByteSource) -> tuple[int, int]:
        """What is wanted of a source as soon as its beginning is read."""
        end = _last_window(source.size)
        return end, source.size - end

    @abstractmethod
    def _layout(self, head: bytes) -> Layout:
        """How the file is laid out, by its first bytes. Raises Odd."""

    def _new_file(self) -> SourceFile:
        return PieceFile(self.source, self._ahead_to)


class TsReader(GuidedReader):
    """MPEG-TS."""

    def _soon(self, source: ByteSource) -> tuple[int, int]:
        end = max(source.size - _TS_END_BYTES, 0)
        return end, source.size - end

    def _layout(self, head: bytes) -> Layout:
        return TsLayout(head, self.stream.id, self.codec_name)


class FlvReader(GuidedReader):
    """FLV."""

    def _layout(self, head: bytes) -> Layout:
        return FlvLayout(head, self.codec_name)


class MkvReader(GuidedReader):
    """Matroska and WebM without cues. libav cannot go to a byte in it: its blocks are taken out here."""

    def __init__(self, source: ByteSource, stream_index: int | None = None) -> None:
        self._header: MkvHeader | None = None
        self._at: Picture | None = None
        super().__init__(source, stream_index)

    def demux(self, *indexes: int) -> Iterator[Packet[Any]]:
        if self._at is None:
            return super().demux(*indexes)
        return self._own_packets(self._at, indexes)

    def rewind(self) -> None:
        self._at = None
        super().rewind()

    def _own_packets(self, start: Picture, indexes: tuple[int, ...]) -> Iterator[Packet[Any]]:
        assert self._header is not None
        assert isinstance(self._file, PieceFile)
        sound = [stream for stream in self.container.streams if stream.type == "audio"]
        known = {self._header.track: self.stream} | dict(zip(self._header.sound, sound, strict=False))
        wanted = {number: stream for number, stream in known.items() if stream.index in indexes}
        last: int | None = None
        try:
            for packet in mkv_packets.packets(self._file.read_from, self._header, wanted, start):
                if packet.stream_index == self.stream.index:
                    last = packet.pts
                yield packet
        except Odd:
            self._give_up()
            yield from self._go_on_after(last, indexes)

    def _go_on_after(self, pts: int | None, indexes: tuple[int, ...]) -> Iterator[Packet[Any]]:
        """The packets after one, as libav gives them."""
        self._at = None
        self.rewind()
        self.listen(indexes)
        rest = super().demux(*indexes)
        for packet in rest:
            if packet.stream_index == self.stream.index and packet.pts == pts:
                break
        yield from rest

    def _go_to(self, picture: Picture, data: bytes) -> None:
        assert isinstance(self._file, PieceFile)
        self._file.put(picture.position, data)
        self._at = picture
        self._packets = self.demux(self.stream.index)
        self.flush()

    def _give_up(self) -> None:
        super()._give_up()
        self._at = None

    def _layout(self, head: bytes) -> Layout:
        if self._mkv_layout(head).header.codec == "av1":
            raise Odd("a codec whose keyframes are not known by their blocks")
        return self._mkv_layout(head)

    def _mkv_layout(self, head: bytes) -> MkvLayout:
        if self.stream.metadata.get("alpha_mode") == "1":
            raise Odd("pictures with transparency")
        self._header = read_header(head)
        if self._header.codec not in self.codec_name.replace("dav1d", "av1"):
            raise Odd("libav takes another track")
        return MkvLayout(self._header)


class CuedReader(MkvReader):
    """Matroska and WebM with cues."""

    @property
    def lists_keyframes(self) -> bool:
        return True

    def __init__(self, source: ByteSource, stream_index: int | None = None) -> None:
        self._cues: CueMap | None = None
        super().__init__(source, stream_index)

    def seek_near_end(self) -> bool:
        if not super().seek_near_end():
            return False
        assert self._tail is not None
        assert self._cues is not None
        position, size = self._tail.position, self.source.size
        self.source.prefetch([(position, size - position)])
        last = Patch(self._cues.layout, position, self.source.read_at(position, _CLUSTER_HEAD_BYTES), size)
        for keyframe in last.keyframes()[:1]:
            self._cues.learn(keyframe.end - position)
        return True

    def _soon(self, source: ByteSource) -> tuple[int, int]:
        with contextlib.suppress(Odd):
            cues = cues_at(source.read_at(0, _HEAD_BYTES))
            if cues is not None and cues < source.size:
                return cues, min(_CUES_BYTES, source.size - cues)
        return super()._soon(source)

    def _layout(self, head: bytes) -> Layout:
        return self._mkv_layout(head)

    def _see(self) -> Ground:
        head = self.source.read_at(0, _HEAD_BYTES)
        layout = self._mkv_layout(head)
        first = next(iter(Patch(layout, 0, head, self.source.size).pictures), None)
        # libav reads the cues when it is to go somewhere
        if first is None or not VideoReader.seek(self, first.pts):
            raise Odd("its first cluster is not at its beginning")
        cues = sorted(
            {(entry.timestamp, entry.pos) for entry in self.stream.index_entries if entry.is_keyframe}
        )
        size = self.source.size
        if not cues or size - cues[-1][1] > max(size // 4, _MOST_TAIL_BYTES):
            raise Odd("its cues do not tell of all of it")
        assert self._header is not None
        if size - cues[-1][1] <= _MOST_TAIL_BYTES:
            self._tail = Picture(cues[-1][1], cues[-1][0], keyframe=True)
        self._cues = CueMap(layout, size, cues, first.end - first.position, self._header.picture_ticks)
        return self._cues


def _last_window(size: int) -> int:
    """Where the end is looked for first."""
    return max(size - WINDOW_BYTES, 0) // WINDOW_BYTES * WINDOW_BYTES


def promises_cues(head: bytes) -> bool:
    """Whether the first bytes of a Matroska file say that it has cues, or may have them."""
    try:
        return cues_at(head) is not None
    except Odd:
        return True


class PieceFile(SourceFile):
    """A source's face towards libav, with a piece of it at hand: a read that begins there gets no more than that."""

    def __init__(self, source: ByteSource, ahead_to: int = 0) -> None:
        super().__init__(source)
        self._start = 0
        self._piece = b""
        #: as far as it is read from front to back, what comes next is hinted at
        self.ahead_to = ahead_to
        self._hinted = (0, 0)

    def put(self, start: int, piece: bytes) -> None:
        """Have this piece at hand instead of the one before."""
        self._start, self._piece = start, piece

    def read(self, length: int) -> bytes:
        self._look_ahead(self._position, length)
        data = self._at_hand(self._position, length)
        self._position += len(data)
        return data or super().read(length)

    def read_from(self, offset: int, length: int) -> bytes:
        """As the source's own `read_at`."""
        self._look_ahead(offset, length)
        data = self._at_hand(offset, length)
        if len(data) < length:
            data += self._source.read_at(offset + len(data), length - len(data))
        return data

    def _look_ahead(self, offset: int, length: int) -> None:
        """Hint at what is read next: large pieces, and small ones where the end is near or was passed."""
        if not self.ahead_to:
            return
        first, end = self._hinted
        if not first <= offset <= end:
            first = end = offset
        most = min((offset + _AHEAD_BYTES) // _PIECE_BYTES * _PIECE_BYTES, self.ahead_to)
        if offset + length + WINDOW_BYTES > self.ahead_to:
            # else the cache would read on by itself, and by as much as it has before
            most = (offset + length + 2 * WINDOW_BYTES) // WINDOW_BYTES * WINDOW_BYTES
        while end < most:
            piece_end = min(end // _PIECE_BYTES * _PIECE_BYTES + _PIECE_BYTES, most)
            half = (piece_end - end) // 2
            # in halves: a range that is hinted at alone is taken for an index, and kept for others
            self._source.prefetch([(end, half), (end + half, piece_end - end - half)])
            end = piece_end
            self._hinted = first, end

    def _at_hand(self, offset: int, length: int) -> bytes:
        if not self._start <= offset < self._start + len(self._piece):
            return b""
        return self._piece[offset - self._start : offset - self._start + length]
