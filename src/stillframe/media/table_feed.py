"""Packets straight from an MP4's sample table: every sample is read by itself, at its place, when it is decoded.

libav's demuxer would read a buffer on behind each one, and read the table again in every thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from av.packet import Packet

from stillframe.media.sample_table import SampleTable
from stillframe.media.source import ByteSource

#: whose samples are decoded just as they are stored; others go through a parser of libav's demuxer first
TABLE_CODECS = frozenset(
    ("h264", "hevc", "av1", "libdav1d", "vp8", "vp9", "libvpx", "libvpx-vp9", "mpeg4", "mjpeg", "prores")
)


@dataclass(frozen=True, slots=True)
class StoredSample:
    """One sample in a source; see `packets.VideoPacket`."""

    source: ByteSource
    offset: int
    size: int
    pts: int
    dts: int
    duration: int
    time_base: Fraction
    is_keyframe: bool
    is_disposable: bool
    is_corrupt: bool
    is_discard: bool

    def load(self) -> Packet[Any]:
        packet: Packet[Any] = Packet(self.source.read_at(self.offset, self.size))
        packet.pts, packet.dts, packet.duration = self.pts, self.dts, self.duration
        packet.time_base = self.time_base
        packet.is_keyframe = self.is_keyframe
        packet.is_corrupt = self.is_corrupt
        return packet


class TableFeed:
    """A `packets.PacketFeed` of the samples of a table."""

    def __init__(self, source: ByteSource, table: SampleTable) -> None:
        self._source = source
        self._table = table
        self._time_base = Fraction(1, table.timescale)
        self._keyframes = frozenset(table.keyframes)
        self._next = 0

    def seek(self, pts: int) -> bool:
        keyframe = self._table.keyframe_before(pts)
        if keyframe is not None:
            self._next = keyframe
        return keyframe is not None

    def rewind(self) -> None:
        self._next = 0

    def next_packet(self) -> StoredSample | None:
        table, sample = self._table, self._next
        if sample >= table.number:
            return None
        offset, size = table.offset(sample), table.sizes[sample]
        if offset >= table.file_size:
            # the file was cut off before it
            return None
        self._next += 1
        return StoredSample(
            self._source,
            offset,
            size,
            table.pts(sample),
            table.dts(sample),
            table.duration(sample),
            self._time_base,
            is_keyframe=sample in self._keyframes,
            is_disposable=table.is_disposable(sample),
            is_corrupt=offset + size > table.file_size,
            is_discard=table.is_discarded(sample),
        )

    def another(self) -> TableFeed:
        return TableFeed(self._source, self._table)
