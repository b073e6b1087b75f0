"""Read the segments of an HLS playlist as one video, on the playlist's clock; only those that are asked for.

Within a period the pictures' own timestamps count, from the period's place in the playlist on: EXTINF is rounded, and
only tells where to look. A segment is opened by libav by itself, with its EXT-X-MAP before it. The decoder stays the
same from segment to segment, until the pictures are of another kind.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from types import MappingProxyType
from typing import TypeVar

from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stillframe.errors import MediaError
from stillframe.media.excerpt import Excerpt
from stillframe.media.packets import VideoPacket
from stillframe.media.playlist import Playlist, Segment
from stillframe.media.playlist_keyframes import KeyframeSearch, Part
from stillframe.media.reader import VideoReader
from stillframe.media.source import ByteSource

Result = TypeVar("Result")

#: damaged segments that are passed over before the playlist is given up
_MOST_BROKEN = 8
#: segments that are tried where EXTINF is far from the truth
_MOST_TRIES = 8
#: what timestamps may be away from the playlist's clock, whose durations may be rounded to whole seconds; what is
#: further off begins anew in its segment
_MOST_DRIFT_S, _MOST_DRIFT_PER_SEGMENT_S = 1, Fraction(1, 2)
_TS_PACKET_BYTES = 188
#: MPEG-TS has 33 bits for a time
_WRAP_S = Fraction(1 << 33, 90_000)
#: durations are rounded: a moment just before a segment is looked for in it first
_EARLY_US = 1000


class PlaylistReader(VideoReader):
    """A `VideoReader` over segments. `container` and `stream` are those of the first one."""

    def __init__(self, source: ByteSource, playlist: Playlist, stream_index: int | None = None) -> None:
        self.playlist = playlist
        self._segments = playlist.segments
        self._broken: set[int] = set()

        def home_at(index: int) -> tuple[int, VideoReader]:
            return index, _SegmentReader(segment_bytes(source, playlist.segments[index]), stream_index)

        index, self._home = first_good(playlist, home_at)
        # what is told of the playlist's video is told of its first segment's
        vars(self).update(vars(self._home))
        self.source = source
        self._ticks_a_us = Fraction(1, 1_000_000) / self.time_base
        self._search = KeyframeSearch(playlist, self._part_at, self._time_in, self.pts_of)
        #: where the timestamps of each period begin, as far as it was looked at
        self._bases: dict[int, int | None] = {}
        #: whose decoder is in use
        self._decoding = self._home
        self._waits_for_keyframe = False
        self._part: Part | None = Part(index, self._home, self._home)
        self._last_decoder = self._home
        period = self._segments[index].period
        if playlist.first_of_period(period) == index:
            self._bases[period] = self._base_of(self._part)

    @property
    def end_pts(self) -> int:
        """Where the last segment ends: it begins where its pictures say, and lasts as long as the playlist says."""
        last = self.playlist.preceding(len(self._segments) - 1)
        while last is not None:
            part = self._part_at(last)
            if part is not None:
                after_us = self.playlist.duration_us - self._segments[last].start_us
                end = self._first_pts(part) + self.pts_of(after_us)
                part.reader.close()
                return end
            last = self.playlist.preceding(last - 1)
        return self.pts_of(self.playlist.duration_us)

    def time_us(self, pts: int) -> int:
        """A time in ticks on the playlist's clock."""
        return int(pts / self._ticks_a_us)

    def pts_of(self, time_us: int) -> int:
        """A time on the playlist's clock in ticks."""
        return round(time_us * self._ticks_a_us)

    def is_lost(self, moment: int, pts: int) -> bool:
        """As `VideoReader`, of damaged segments."""
        first_us, last_us = self.time_us(pts), self.time_us(moment)
        return any(first_us < self._segments[index].start_us <= last_us for index in self._broken)

    def seek(self, pts: int) -> bool:
        """Go to the start of the segment that is shown at `pts`, or of one before it."""
        self.flush()
        time_us = self.time_us(pts) + _EARLY_US
        tried: set[int] = set()
        wanted = self._there(self.playlist.at(time_us))
        while wanted is not None and wanted not in tried and len(tried) < _MOST_TRIES:
            tried.add(wanted)
            if not self._go_to(wanted):
                wanted = self.playlist.preceding(wanted - 1)
                continue
            assert self._part is not None
            begins = self._first_pts(self._part)
            if begins > pts:
                wanted = self.playlist.preceding(wanted - 1)
            else:
                # how far the pictures are behind what the durations say
                late_us = self.time_us(begins) - self._segments[wanted].start_us
                wanted = self._there(self.playlist.at(time_us - late_us))
        return self._part is not None

    def nearest_keyframe(self, pts: int, reach: int | None) -> int | None:
        index = self.playlist.at(self.time_us(pts) + _EARLY_US)
        if not self._search.is_within(index, pts):
            if not self.seek(pts) or self._part is None:
                return None
            index = self._part.index
        before = self._search.packets_read
        found = self._search.nearest(index, pts, reach)
        self.packets_read += self._search.packets_read - before
        return found

    def rewind(self) -> None:
        """Go to the very first packet."""
        self.flush()
        first = self.playlist.following(0)
        if first is not None and not self._go_to(first):
            self._go_on_after(first)

    def next_packet(self) -> Packet[VideoStream] | None:
        while self._part is not None:
            packet = self._part.next_packet()
            if packet is None:
                self._go_on_after(self._part.index)
            elif packet.is_keyframe or not self._waits_for_keyframe:
                self._waits_for_keyframe = False
                self.packets_read += 1
                return self._timed(packet, self._part)
        return None

    def feed(self, packet: VideoPacket, *, skip_nonref: bool = False) -> list[VideoFrame]:
        frames: list[VideoFrame] = []
        decoder = packet.opaque if isinstance(packet, Packet) else None
        if isinstance(decoder, VideoReader) and decoder is not self._decoding:
            # pictures of another kind: those before them come first
            frames = self.drain()
            self._decode_by(decoder)
        return frames + super().feed(packet, skip_nonref=skip_nonref)

    def close(self) -> None:
        self._search.close()
        self._leave()
        self._last_decoder = self._home
        self._decode_by(self._home)
        self._home.close()

    def _there(self, index: int) -> int | None:
        """A segment, or the one before it that is there; at the worst the first one."""
        before = self.playlist.preceding(index)
        return before if before is not None else self.playlist.following(index)

    def _go_to(self, index: int) -> bool:
        """Go to the start of a segment; False when it is damaged."""
        self._waits_for_keyframe = False
        if self._part is not None and self._part.index == index and self._part.is_at_start:
            return True
        part = self._part_at(index)
        if part is not None:
            self._leave()
            self._part, self._last_decoder = part, part.decoder
        return part is not None

    def _go_on_after(self, index: int) -> None:
        """Go to the next segment that can be read; past the last one there is none."""
        following = self.playlist.following(index + 1)
        part = None
        while following is not None and (part := self._part_at(following)) is None:
            following = self.playlist.following(following + 1)
        # what is missing was needed by all up to the next keyframe
        self._waits_for_keyframe = following != index + 1
        self._leave()
        self._part = part
        if part is not None:
            self._last_decoder = part.decoder

    def _part_at(self, index: int) -> Part | None:
        """A segment, at its start; None when it is damaged."""
        if index in self._broken:
            return None
        try:
            reader = _SegmentReader(segment_bytes(self.source, self._segments[index]))
        except MediaError:
            self._broken.add(index)
            self.decode_errors += 1
            return None
        try:
            reader.choose(self._home.stream.id)
            goes_on = _are_alike(self._last_decoder, reader)
            return Part(index, reader, self._last_decoder if goes_on else reader)
        except BaseException:
            reader.close()
            raise

    def _leave(self) -> None:
        """Close the segment that is being read; one whose decoder is in use, or will be, is closed after that."""
        part, self._part = self._part, None
        if part is not None and part.decoder is not part.reader:
            part.reader.close()

    def _decode_by(self, reader: VideoReader) -> None:
        """Take another decoder from now on."""
        self.flush()
        before, self._decoding = self._decoding, reader
        self._context = reader._context
        self.flush()
        if before not in (reader, self._home, self._last_decoder):
            before.close()

    def _timed(self, packet: Packet[VideoStream], part: Part) -> Packet[VideoStream]:
        """The packet on the playlist's clock, with the decoder that it is for."""
        if packet.pts is not None:
            packet.pts = self._time_in(part, packet.pts)
        if packet.dts is not None:
            packet.dts = self._time_in(part, packet.dts)
        packet.time_base = self.time_base
        packet.opaque = part.decoder
        return packet

    def _first_pts(self, part: Part) -> int:
        """When the first picture of a segment is shown, on the playlist's clock."""
        return self._time_in(part, part.first_pts)

    def _time_in(self, part: Part, time: int) -> int:
        """A time in a segment on the playlist's clock."""
        if part.shift is None:
            part.shift = self._shift(part)
        return self._rescaled(time, part) + part.shift

    def _base_of(self, part: Part) -> int:
        """The first timestamp in a segment, as it stands there."""
        return self._rescaled(part.first_pts, part)

    def _rescaled(self, ticks: int, part: Part) -> int:
        scale = part.reader.time_base / self.time_base
        return ticks if scale == 1 else round(ticks * scale)

    def _shift(self, part: Part) -> int:
        segment = self._segments[part.index]
        told, own = self.pts_of(segment.start_us), self._base_of(part)
        first = self.playlist.first_of_period(segment.period)
        base = self._period_base(segment.period, first) if first is not None else None
        if first is None or base is None:
            return told - own
        shift = self.pts_of(self._segments[first].start_us) - base
        if part.reader.container.format.name == "mpegts":
            wrap = round(_WRAP_S / self.time_base)
            shift += wrap * round(Fraction(told - own - shift, wrap))
        most_s = _MOST_DRIFT_S + _MOST_DRIFT_PER_SEGMENT_S * (part.index - first)
        has_begun_anew = part.index > first and own + shift <= self.pts_of(self._segments[first].start_us)
        if has_begun_anew or abs(own + shift - told) * self.time_base > most_s:
            # the timestamps have jumped though nobody said so
            return told - own
        return shift

    def _period_base(self, period: int, first: int) -> int | None:
        """The first timestamp of a period, for which its first segment is looked at; None when that is damaged."""
        if period not in self._bases:
            part = self._part_at(first)
            self._bases[period] = None if part is None else self._base_of(part)
            if part is not None:
                part.reader.close()
        return self._bases[period]


class _SegmentReader(VideoReader):
    """A segment by itself. How long it is need not be known: libav would read the end of an MPEG-TS for that."""

    open_options = MappingProxyType({"skip_estimate_duration_from_pts": "1"})

    def __init__(self, source: ByteSource, stream_index: int | None = None) -> None:
        head = source.read_at(0, _TS_PACKET_BYTES + 1)
        if head[:1] == head[_TS_PACKET_BYTES:] == b"G":
            # one of few packets is too short for libav to know it
            self.container_format = "mpegts"
        super().__init__(source, stream_index)


def first_good(playlist: Playlist, work: Callable[[int], Result]) -> Result:
    """What comes of the first segment with which something can be begun.

    Raises the MediaError of the very first one when that is none of many.
    """
    index, error = playlist.following(0), None
    for _ in range(_MOST_BROKEN):
        if index is None:
            break
        try:
            return work(index)
        except MediaError as broken:
            error = error or broken
        index = playlist.following(index + 1)
    assert error is not None
    raise error


def segment_bytes(source: ByteSource, segment: Segment) -> Excerpt:
    """A segment of a playlist's source as a file of its own."""
    return Excerpt(source, [(segment.map_offset, segment.map_length), (segment.offset, segment.length)])


def _are_alike(one: VideoReader, other: VideoReader) -> bool:
    """Whether the decoder of one segment goes on with another: what is not told there is in the pictures."""
    mine, its = one.stream.codec_context, other.stream.codec_context
    if one is other:
        return True
    return mine.name == its.name and (
        not mine.extradata or not its.extradata or mine.extradata == its.extradata
    )
