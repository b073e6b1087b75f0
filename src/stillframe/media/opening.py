"""Open a source and get its first picture, on a thread of its own while other work goes on.

Opening takes libav tens of milliseconds, in which Python can import NumPy. From an MP4's first packet on, what is read
is read by its sample table, where that agrees with libav's own index.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, NamedTuple, Protocol, TypeVar

from av.packet import Packet
from av.video.frame import VideoFrame

from stillframe.errors import MediaError
from stillframe.media.boxes import Mp4Facts, find_index, read_facts, refuse_by_boxes
from stillframe.media.config import DEFAULT_CAPS, Caps, SnapshotConfig
from stillframe.media.foresight import foreseen
from stillframe.media.packets import VideoPacket
from stillframe.media.playlist import playlist_of
from stillframe.media.reader import MAX_PIXELS, VideoReader
from stillframe.media.reader_kinds import open_reader
from stillframe.media.sample_table import SampleTable
from stillframe.media.sniff import refuse_what_is_no_video
from stillframe.media.source import ByteSource
from stillframe.media.table_feed import follow_table

#: packets to look at for a first picture before it is sought further on, keyframe by keyframe
_FIRST_PACKETS = 600
#: packets that tell whether something is shown before the first one's picture (H.264 reorders 16 frames at most)
_FEW_PACKETS = 18


class Wanted(NamedTuple):
    """What a video is opened for."""

    config: SnapshotConfig
    caps: Caps = DEFAULT_CAPS


class Opened(NamedTuple):
    """A reader, the first picture that can be shown, and (pts, keyframe) of the packets read up to it.

    `boxes` is what an MP4's boxes say, `table` its sample table where the reader follows that.
    """

    reader: VideoReader
    first: VideoFrame
    packets: list[tuple[int | None, bool]]
    boxes: Mp4Facts | None = None
    table: SampleTable | None = None

    def close(self) -> None:
        """Close the reader."""
        self.reader.close()


class Closable(Protocol):
    """Something that holds what must be given back."""

    def close(self) -> None:
        """Give it back."""


Thing = TypeVar("Thing", bound=Closable)


class Ahead(Generic[Thing]):
    """Something that is being made on a thread of its own.

    ahead = Ahead(lambda: open_reader(source))
    ...
    reader = ahead.take()
    """

    def __init__(self, make: Callable[[], Thing]) -> None:
        self._make = make
        self._thing: Thing | None = None
        self._is_taken = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="stillframe-open", daemon=True)
        self._thread.start()

    def get(self) -> Thing:
        """The thing, when it is there; `close` closes it. Raises what making it has raised."""
        self._thread.join()
        if self._thing is None:
            assert self._error is not None
            raise self._error
        return self._thing

    def take(self) -> Thing:
        """As `get`, and the thing is the caller's from now on."""
        thing = self.get()
        self._is_taken = True
        return thing

    def close(self) -> None:
        """Close the thing, unless somebody has taken it."""
        self._thread.join()
        if self._thing is not None and not self._is_taken:
            self._thing.close()

    def _run(self) -> None:
        try:
            self._thing = self._make()
        except BaseException as error:
            self._error = error


def open_video(source: ByteSource, wanted: Wanted | None = None) -> Opened:
    """Open a source and decode its first picture. Raises MediaError when there is none, SourceError.

    What is `wanted` of it is hinted at as soon as it is known where that lies.
    """
    refuse_what_is_no_video(source)
    boxes = _boxes(source)
    if boxes is not None and wanted is not None:
        _hint_at(source, boxes, wanted)
    reader = open_reader(source)
    try:
        table = follow_table(reader, boxes) if reader.packet_feed is None else None
        return _first_picture(source, reader)._replace(boxes=boxes, table=table)
    except BaseException:
        reader.close()
        raise


def _boxes(source: ByteSource) -> Mp4Facts | None:
    """What an MP4's boxes say. Raises MediaError when they tell that no picture can be made.

    They are read before libav opens the file: it would ask for the index, and for the first picture, bit by bit.
    """
    layout = find_index(source) if playlist_of(source) is None else None
    if layout is None:
        return None
    facts = read_facts(source, layout)
    refuse_by_boxes(source, facts)
    for track in facts.tracks.values():
        if track.table is not None:
            # libav wants a packet of every stream: others lie behind the first chunk, where there are any
            source.prefetch([track.table.beginning(with_chunk=len(facts.tracks) > 1)])
    return facts


def _hint_at(source: ByteSource, boxes: Mp4Facts, wanted: Wanted) -> None:
    tables = [track.table for track in boxes.tracks.values() if track.table is not None]
    # of several it is libav that chooses one
    extents = foreseen(tables[0], *wanted) if len(tables) == 1 and not boxes.fragmented else []
    if extents:
        source.prefetch(extents)


def _first_picture(source: ByteSource, reader: VideoReader) -> Opened:
    """The first picture that can be shown."""
    return _lone_first_picture(source, reader) or _first_decodable_picture(source, reader)


def _lone_first_picture(source: ByteSource, reader: VideoReader) -> Opened | None:
    """The first packet's picture, decoded alone, where nothing is shown before it; else None, and all is rewound."""
    packets: list[VideoPacket] = []
    while len(packets) < _FEW_PACKETS and (packet := reader.next_packet()) is not None:
        _refuse_encrypted(source, packet)
        packets.append(packet)
    seen = [(packet.pts, packet.is_keyframe) for packet in packets]
    pts = packets[0].pts if packets and packets[0].is_keyframe and not packets[0].is_discard else None
    if pts is not None and all(later is not None and later > pts for later, _ in seen[1:]):
        frames = reader.feed(packets[0]) + reader.drain()
        reader.flush()
        # of an interlaced frame, there may be just one field in the packet
        if len(frames) == 1 and not (frames[0].is_corrupt or frames[0].interlaced_frame):
            _refuse_zero_size(source, frames[0].width, frames[0].height)
            reader.lone_first = frames[0]
            return Opened(reader, frames[0], seen)
    reader.rewind()
    return None


def _first_decodable_picture(source: ByteSource, reader: VideoReader) -> Opened:
    seen: list[tuple[int | None, bool]] = []
    damaged: VideoFrame | None = None
    at_end = False
    while not at_end:
        packet = reader.next_packet()
        at_end = packet is None
        if packet is not None:
            _refuse_encrypted(source, packet)
            seen.append((packet.pts, packet.is_keyframe))
        # a long undecodable start is gone through by its keyframes
        if packet is not None and len(seen) > _FIRST_PACKETS and not packet.is_keyframe:
            continue
        for frame in reader.feed(packet) if packet is not None else reader.drain():
            _refuse_zero_size(source, frame.width, frame.height)
            if not frame.is_corrupt:
                _demand_a_keyframe(source, reader, seen)
                return Opened(reader, frame, seen)
            damaged = damaged or frame
    if damaged is not None:
        return Opened(reader, damaged, seen)
    if not seen:
        raise MediaError(source.name, "no-picture", "there is a video stream, but no pictures are in it")
    size = reader.stream.codec_context.width * reader.stream.codec_context.height
    if size > MAX_PIXELS:
        message = (
            f"its pictures have {size / 1e6:.0f} million pixels, more than the {MAX_PIXELS / 1e6:.0f} allowed"
        )
        raise MediaError(source.name, "too-large", message)
    _refuse_zero_size(source, reader.stream.codec_context.width, reader.stream.codec_context.height)
    message = f"none of its {len(seen)} video packets can be decoded ({reader.codec_name})"
    raise MediaError(source.name, "no-picture", message)


def _demand_a_keyframe(source: ByteSource, reader: VideoReader, seen: list[tuple[int | None, bool]]) -> None:
    """Refuse a short stream without any keyframe: what decoders make of it is grey."""
    if any(is_keyframe for _, is_keyframe in seen):
        return
    for _ in range(_FIRST_PACKETS):
        packet = reader.next_packet()
        if packet is None:
            message = "no picture can be made of it: there is no keyframe to decode from"
            raise MediaError(source.name, "no-picture", message)
        if packet.is_keyframe:
            return


def _refuse_encrypted(source: ByteSource, packet: VideoPacket) -> None:
    if not isinstance(packet, Packet):
        return
    if packet.has_sidedata("encryption_info") or packet.has_sidedata("encryption_init_info"):
        raise MediaError(source.name, "encrypted", "the video is encrypted; pictures need its key")


def _refuse_zero_size(source: ByteSource, width: int, height: int) -> None:
    if width <= 0 or height <= 0:
        raise MediaError(source.name, "zero-size", "its pictures have no width or no height")
