"""Packets straight from an MP4's sample table: every sample is read by itself, at its place, when it is decoded.

libav's demuxer would read a buffer on behind each one, and read the table again in every thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import takewhile
from types import MappingProxyType
from typing import Any

from av.packet import Packet

from stillframe.media.boxes import Mp4Facts
from stillframe.media.packets import packet_of
from stillframe.media.reader import VideoReader
from stillframe.media.sample_table import SampleTable
from stillframe.media.source import ByteSource

#: whose samples are decoded just as they are stored; others go through a parser of libav's demuxer first
TABLE_CODECS = frozenset(
    ("h264", "hevc", "av1", "libdav1d", "vp8", "vp9", "libvpx", "libvpx-vp9", "mpeg4", "mjpeg", "prores")
)
#: at the beginning, and all over the file
_COMPARED_SAMPLES = 32


class IndexedReader(VideoReader):
    """A reader of a container whose index tells the frame rate: libav is not to read twenty pictures to guess it."""

    open_options = MappingProxyType({"fpsprobesize": "0"})


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
        packet = packet_of(self.source.read_at(self.offset, self.size))
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

    def is_lost(self, moment: int, pts: int) -> bool:
        """Never: what the file does not hold any more is at its end, and known to be missing."""
        return False

    def another(self) -> TableFeed:
        return TableFeed(self._source, self._table)


def follow_table(reader: VideoReader, boxes: Mp4Facts | None) -> SampleTable | None:
    """Make a reader that was just opened follow the sample table; None, and it is as it was, where it had better not.

    The table must say what libav's own index says, and the first packet be shown when libav shows it.
    """
    table = _table_in_ticks(reader, boxes)
    if table is None or reader.codec_name not in TABLE_CODECS or not _is_libavs_index(reader, table):
        return None
    first = reader.next_packet()
    if first is None or first.pts != table.pts(0):
        reader.rewind()
        return None
    reader.follow(TableFeed(reader.source, table))
    return table


def table_of(
    reader: VideoReader, boxes: Mp4Facts | None, seen: Sequence[tuple[int | None, bool]]
) -> SampleTable | None:
    """The sample table of a video that is read by libav, when its first times are just those that libav has given."""
    table = _table_in_ticks(reader, boxes)
    if table is None or len(seen) > table.number:
        return None
    if any(pts != table.pts(sample) for sample, (pts, _) in enumerate(seen)):
        return None
    # libav may know more keyframes than stss lists; a listed one must be one, though
    listed = takewhile(lambda sample: sample < len(seen), table.keyframes)
    return table if all(seen[sample][1] for sample in listed) else None


def _table_in_ticks(reader: VideoReader, boxes: Mp4Facts | None) -> SampleTable | None:
    if boxes is None or boxes.fragmented or reader.stream.id not in boxes.tracks:
        return None
    table = boxes.tracks[reader.stream.id].table
    return table if table is not None and Fraction(1, table.timescale) == reader.time_base else None


def _is_libavs_index(reader: VideoReader, table: SampleTable) -> bool:
    """Whether both have the same number of samples, and some of them at the same places, in the same time."""
    entries = reader.stream.index_entries
    if len(entries) != table.number:
        return False
    step = max(table.number // _COMPARED_SAMPLES, 1)
    samples = {*range(min(_COMPARED_SAMPLES, table.number)), *range(0, table.number, step), table.number - 1}
    keyframes = frozenset(table.keyframes)
    shift = entries[0].timestamp - table.dts(0)
    return all(
        (entry.pos, entry.size, entry.timestamp - shift) == (table.offset(k), table.sizes[k], table.dts(k))
        and entry.is_keyframe == (k in keyframes)
        for k in samples
        for entry in (entries[k],)
    )
