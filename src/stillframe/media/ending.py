"""Where a video ends: what is announced, and where its data really ends.

An MP4's sample table says both; of a playlist the beginning of the last segment is read. Elsewhere the last
packets are read: a header may lie (or be of a sound track that is longer), and a file that was cut off announces
more than it holds.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import NamedTuple

from stillframe.media.boxes import Mp4Facts, ends_within_a_box
from stillframe.media.fragment_feed import FragmentFeed
from stillframe.media.fragments import OddFragments
from stillframe.media.packets import time_of
from stillframe.media.playlist_reader import PlaylistReader
from stillframe.media.reader import VideoReader
from stillframe.media.sample_table import SampleTable
from stillframe.media.source import ByteSource

#: how far sound may end before the announced end and still count as reaching it, seconds
_REACH_S = 1
_BACK_OFFS_S = (3, 15, 60)
_DEFAULT_FRAME_S = Fraction(1, 25)


class VideoEnd(NamedTuple):
    """Ends in ticks of the stream (exclusive), a usual picture's length in ticks, and what is worth saying."""

    announced: int
    available: int
    frame_ticks: int
    notes: tuple[str, ...] = ()


def find_end(
    reader: VideoReader,
    table: SampleTable | None,
    boxes: Mp4Facts | None,
    first_pts: int,
    first_duration: int,
) -> VideoEnd:
    """The end of the video stream itself. Moves the reader."""
    if isinstance(reader, PlaylistReader):
        end = max(reader.end_pts, first_pts + 1)
        return VideoEnd(end, end, _frame_ticks(reader, first_duration))
    if table is not None:
        return _with_header_note(reader, first_pts, _table_end(table, first_pts))
    if isinstance(reader.packet_feed, FragmentFeed):
        found = _fragments_end(reader, reader.packet_feed, first_duration)
        if found is not None:
            return found
    return _with_header_note(reader, first_pts, _read_end(reader, boxes, first_pts, first_duration))


def _table_end(table: SampleTable, first_pts: int) -> VideoEnd:
    if table.lost_from is None:
        return VideoEnd(table.end_pts, table.end_pts, table.usual_duration)
    available = max(table.lost_from, first_pts + 1)
    note = "the file was cut off: the end of its data is missing"
    return VideoEnd(table.end_pts, available, table.usual_duration, (note,))


def _fragments_end(reader: VideoReader, feed: FragmentFeed, first_duration: int) -> VideoEnd | None:
    """By the last fragment; a file that was cut off has no index of them, or one that says so."""
    try:
        end = feed.end_pts()
    except OddFragments:
        # the index has promised more than there is
        reader.leave_feed()
        return None
    return VideoEnd(end, end, _frame_ticks(reader, first_duration))


def _read_end(reader: VideoReader, boxes: Mp4Facts | None, first_pts: int, first_duration: int) -> VideoEnd:
    ticks_a_second = 1 / reader.time_base
    frame_ticks = _frame_ticks(reader, first_duration)
    announced = _announced(reader, first_pts)
    last, last_duration, others_end_s = _read_tail(reader, announced, first_pts, frame_ticks)
    measured = max(last if last is not None else first_pts, first_pts) + (last_duration or frame_ticks)
    if announced is None or measured >= announced - 2 * frame_ticks:
        return VideoEnd(measured, measured, frame_ticks)
    others_reach = others_end_s is not None and others_end_s >= announced * reader.time_base - _REACH_S
    near = measured >= announced - _REACH_S * ticks_a_second
    if others_reach or not _cut_off(reader.source, reader.container.format.name, boxes, near=near):
        return VideoEnd(measured, measured, frame_ticks)
    return VideoEnd(
        announced, measured, frame_ticks, ("the file was cut off: the end of its data is missing",)
    )


def _announced(reader: VideoReader, first_pts: int) -> int | None:
    stream, container = reader.stream, reader.container
    if stream.duration:
        return max(stream.start_time or 0, first_pts) + int(stream.duration)
    if container.duration and container.duration > 0:
        start = max(container.start_time or 0, 0)
        return int(Fraction(start + container.duration, 1_000_000) / reader.time_base)
    return None


def _read_tail(
    reader: VideoReader, announced: int | None, first_pts: int, frame_ticks: int
) -> tuple[int | None, int, Fraction | None]:
    """The last picture's time and length in ticks, and where the other streams end in seconds."""
    if reader.seek_near_end():
        found = _read_on(reader)
        if found[0] is not None and (
            announced is None or found[0] + (found[1] or frame_ticks) >= announced - 2 * frame_ticks
        ):
            return found
    if announced is not None:
        for back_off in _BACK_OFFS_S:
            target = max(announced - int(back_off / reader.time_base), first_pts)
            if not reader.seek(target):
                break
            found = _read_on(reader)
            if found[0] is not None:
                return found
            if target == first_pts:
                break
    reader.rewind()
    return _read_on(reader)


def _read_on(reader: VideoReader) -> tuple[int | None, int, Fraction | None]:
    last, last_duration, others_end = None, 0, None
    others = [stream.index for stream in reader.container.streams if stream.type == "audio"]
    reader.listen(others)
    try:
        for packet in reader.demux(reader.stream.index, *others):
            time = time_of(packet)
            if time is None:
                continue
            if packet.stream_index == reader.stream.index:
                reader.packets_read += 1
                if not packet.is_discard and (last is None or time >= last):
                    last, last_duration = time, packet.duration or 0
            elif packet.time_base:
                end = (time + (packet.duration or 0)) * packet.time_base
                others_end = end if others_end is None else max(others_end, end)
    finally:
        reader.listen(others, on=False)
    return last, last_duration, others_end


def _frame_ticks(reader: VideoReader, first_duration: int) -> int:
    if first_duration:
        return max(first_duration, 1)
    rate = reader.stream.average_rate or reader.stream.guessed_rate
    seconds = 1 / Fraction(rate) if rate and Fraction(rate) < 1000 else _DEFAULT_FRAME_S
    return max(int(seconds / reader.time_base), 1)


def _cut_off(source: ByteSource, container: str, boxes: Mp4Facts | None, *, near: bool) -> bool:
    """Whether the outermost box, segment or chunk promises more bytes than the file has."""
    if boxes is not None:
        return boxes.cut_off or (boxes.fragmented and ends_within_a_box(source))
    head = source.read_at(0, 4096)
    if "matroska" in container:
        return _matroska_cut_off(head, source.size)
    if container == "avi" and head[:4] == b"RIFF":
        (length,) = struct.unpack_from("<I", head, 4)
        return bool(8 + length > source.size)
    # where the container does not tell, a video that ends early and alone counts as cut off
    return container in ("flv", "asf") and not near


def _matroska_cut_off(head: bytes, size: int) -> bool:
    position = head.find(b"\x18\x53\x80\x67")
    if position < 0 or position + 12 > len(head):
        return False
    first = head[position + 4]
    length = 9 - first.bit_length()
    if not 1 <= length <= 8:
        return False
    raw = head[position + 4 : position + 4 + length]
    value = int.from_bytes(raw, "big") & ((1 << 7 * length) - 1)
    unknown = value == (1 << 7 * length) - 1
    return not unknown and position + 4 + length + value > size


def _with_header_note(reader: VideoReader, first_pts: int, end: VideoEnd) -> VideoEnd:
    announced_us = reader.container.duration
    if not announced_us or announced_us < 0:
        return end
    said, real = announced_us / 1e6, float((end.announced - first_pts) * reader.time_base)
    if abs(said - real) <= max(2.0, 0.02 * real):
        return end
    note = f"the file's header announces {said:.1f} s, its video lasts {real:.1f} s"
    return VideoEnd(end.announced, end.available, end.frame_ticks, (*end.notes, note))
