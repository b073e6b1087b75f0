"""Where an MP4's index lies, and what its boxes say of its tracks.

libav's own index of an MP4 is in decode order (DTS), which names the wrong GOP for a moment between a
keyframe's DTS and its PTS; the sample tables give true presentation times (see `sample_table`).

Source: ISO/IEC 14496-12 (boxes and tables), 23001-7 (encryption), Dolby's `dvcC` / `dvvC` record.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from stillframe.errors import MediaError
from stillframe.media.sample_table import (
    MAX_SAMPLES,
    Edit,
    SampleTable,
    edit_shift,
    read_sample_table,
)
from stillframe.media.source import ByteSource

#: a moov box beyond this is not read (an hour of video needs about 3 MiB)
MAX_MOOV_BYTES = 256 << 20
_HEAD_BYTES = 64 << 10
#: what lies behind the pictures is most often just the index, and wanted at once when it is no longer than that
_TAIL_BYTES = 16 << 20
_MAX_TOP_LEVEL_BOXES = 2_000
_MOST_SIDX_BYTES = 2 << 20


class TrackFacts(NamedTuple):
    """What a track's boxes say of themselves.

    `shift` is what the edit list adds to every time, None when it does more. `fragment_defaults` is what `trex` says
    for the samples of fragments: sample description, duration, size, flags.
    """

    track_id: int
    handler: str
    encrypted: bool = False
    dolby_vision_profile: int | None = None
    table: SampleTable | None = None
    timescale: int = 0
    shift: int | None = None
    fragment_defaults: tuple[int, int, int, int] | None = None


class Mp4Facts(NamedTuple):
    """What the boxes of a file say. `moov_missing` means a file that was cut off, or is still being written.

    `moov_too_large` is the length in bytes of one that is not read.
    """

    moov_missing: bool = False
    moov_too_large: int = 0
    fragmented: bool = False
    #: the last top-level box says it is longer than the file
    cut_off: bool = False
    tracks: Mapping[int, TrackFacts] = MappingProxyType({})
    #: the tracks whose samples are encrypted in the first fragment, whatever their sample entries say
    encrypted_in_fragment: frozenset[int] = frozenset()


class Box(NamedTuple):
    """A box of a file, or of another box: its four letters, and where its payload begins and ends."""

    kind: bytes
    start: int
    end: int


class Layout(NamedTuple):
    """Where an MP4's index lies: moov, whether the file ends within a box, the first moof, and `sidx` before that."""

    moov: Box | None
    cut_off: bool
    moof: Box | None
    sidx: tuple[Box, ...] = ()


def find_index(source: ByteSource) -> Layout | None:
    """Where the index of an MP4, MOV or 3GP lies; None when the source is none, or has very many boxes before it."""
    head = source.read_at(0, _HEAD_BYTES)
    if head[4:8] not in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"sidx"):
        return None
    return _find_moov(source, head)


def read_mp4(source: ByteSource) -> Mp4Facts | None:
    """The facts of an MP4, MOV or 3GP, as `find_index` finds it; else None. Never raises for a damaged file."""
    layout = find_index(source)
    return read_facts(source, layout) if layout is not None else None


def read_facts(source: ByteSource, layout: Layout) -> Mp4Facts:
    """What the index says. Never raises for a damaged file."""
    moov, cut_off, moof, _ = layout
    if moov is not None and moov.end - moov.start > MAX_MOOV_BYTES:
        return Mp4Facts(moov_too_large=moov.end - moov.start)
    if moov is None:
        return Mp4Facts(moov_missing=True, cut_off=cut_off)
    data = memoryview(source.read_at(moov.start, moov.end - moov.start))
    fragmented = moof is not None
    encrypted = _encrypted_in_fragment(source, moof) if moof is not None else frozenset()
    tracks: dict[int, TrackFacts] = {}
    defaults: dict[int, tuple[int, int, int, int]] = {}
    try:
        movie_timescale, most_samples = 0, min(source.size, MAX_SAMPLES)
        for box in boxes_in(data):
            if box.kind == b"mvex":
                fragmented = True
                defaults = _fragment_defaults(data[box.start : box.end])
            elif box.kind == b"mvhd":
                version = data[box.start]
                (movie_timescale,) = struct.unpack_from(">I", data, box.start + (20 if version == 1 else 12))
            elif box.kind == b"trak":
                # a sample has a byte at least, and all tracks together no more than the file
                track = _track(data[box.start : box.end], movie_timescale, source.size, most_samples)
                tracks[track.track_id] = track
                most_samples -= track.table.number if track.table else 0
        for track_id, values in defaults.items():
            if track_id in tracks:
                tracks[track_id] = tracks[track_id]._replace(fragment_defaults=values)
    except (struct.error, IndexError, ValueError, OverflowError):
        # a moov that does not hold together: libav may still make something of it
        return Mp4Facts(
            fragmented=fragmented, cut_off=cut_off, tracks=tracks, encrypted_in_fragment=encrypted
        )
    return Mp4Facts(fragmented=fragmented, cut_off=cut_off, tracks=tracks, encrypted_in_fragment=encrypted)


def demand_index(source: ByteSource, boxes: Mp4Facts | None) -> None:
    """Raise MediaError for an MP4 whose index is not there, or is not read."""
    if boxes is None:
        return
    if boxes.moov_missing:
        message = "its index (moov) is missing: the file was cut off, or is still being written"
        raise MediaError(source.name, "damaged", message)
    if boxes.moov_too_large:
        mebi = -(-boxes.moov_too_large >> 20)
        message = f"its index (moov) has {mebi:,} MiB, more than the {MAX_MOOV_BYTES >> 20} allowed"
        raise MediaError(source.name, "too-large", message)


def refuse_by_boxes(source: ByteSource, boxes: Mp4Facts | None) -> None:
    """Raise MediaError when the boxes tell that no picture can be made."""
    demand_index(source, boxes)
    if boxes is None:
        return
    videos = [track for track in boxes.tracks.values() if track.handler == "vide"]
    hidden = boxes.encrypted_in_fragment
    if videos and all(track.encrypted or track.track_id in hidden for track in videos):
        raise MediaError(source.name, "encrypted", "the video is encrypted (DRM); pictures need its key")


def ends_within_a_box(source: ByteSource) -> bool:
    """Whether the last of all top-level boxes is longer than what is left of the file."""
    position = 0
    while position + 8 <= source.size:
        header = source.read_at(position, 16)
        (size,) = struct.unpack_from(">I", header)
        if size == 1 and len(header) == 16:
            (size,) = struct.unpack_from(">Q", header, 8)
        if size == 0:
            return False
        if size < 8:
            return True
        position += size
    return position > source.size


def _find_moov(source: ByteSource, head: bytes) -> Layout | None:
    position, moov, kind = 0, None, b""
    sidx: list[Box] = []
    for _ in range(_MAX_TOP_LEVEL_BOXES):
        if position + 8 > source.size:
            break
        header = head[position : position + 16]
        if len(header) < 16:
            if moov is None and kind == b"mdat" and source.size - position <= _TAIL_BYTES:
                source.prefetch([(position, source.size - position)])
            header = source.read_at(position, 16)
        size, kind = struct.unpack_from(">I4s", header)
        length_of_header = 8
        if size == 1 and len(header) == 16:
            (size,) = struct.unpack_from(">Q", header, 8)
            length_of_header = 16
        elif size == 0:
            size = source.size - position
        if size < length_of_header:
            return Layout(moov, True, None)
        end = position + size
        if kind == b"moov":
            if end > source.size:
                return Layout(None, True, None)
            moov = Box(kind, position + length_of_header, end)
        if kind == b"moof":
            return Layout(moov, False, Box(kind, position + length_of_header, end), tuple(sidx))
        if kind == b"sidx" and end - position <= _MOST_SIDX_BYTES:
            sidx.append(Box(kind, position + length_of_header, end))
        if moov is not None and kind == b"mdat":
            return Layout(moov, end > source.size, None)
        position = end
    else:
        return Layout(moov, False, None) if moov is not None else None
    return Layout(moov, position > source.size, None)


def _encrypted_in_fragment(source: ByteSource, moof: Box) -> frozenset[int]:
    """The tracks that have a `senc` box in this fragment."""
    data = memoryview(source.read_at(moof.start, min(moof.end - moof.start, MAX_MOOV_BYTES)))
    found = set()
    try:
        for box in boxes_in(data):
            if box.kind == b"traf":
                fragment = data[box.start : box.end]
                inner = {part.kind: part.start for part in boxes_in(fragment)}
                if b"senc" in inner and b"tfhd" in inner:
                    found.add(struct.unpack_from(">I", fragment, inner[b"tfhd"] + 4)[0])
    except (struct.error, ValueError):
        pass
    return frozenset(found)


def boxes_in(data: memoryview, start: int = 0) -> Iterator[Box]:
    """The boxes in a payload. Raises ValueError for one that does not fit."""
    position = start
    while position + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        header = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, position + 8)
            header = 16
        elif size == 0:
            size = len(data) - position
        if size < header or position + size > len(data):
            raise ValueError(f"box {kind!r} of {size} bytes does not fit")
        yield Box(bytes(kind), position + header, position + size)
        position += size


def _track(data: memoryview, movie_timescale: int, file_size: int, most_samples: int) -> TrackFacts:
    track_id, timescale, handler = 0, 0, ""
    edits: list[Edit] = []
    encrypted, profile = False, None
    table: SampleTable | None = None
    for box in boxes_in(data):
        if box.kind == b"tkhd":
            (track_id,) = struct.unpack_from(">I", data, box.start + (20 if data[box.start] == 1 else 12))
        elif box.kind == b"edts":
            edits = _edits(data[box.start : box.end])
        elif box.kind == b"mdia":
            media = data[box.start : box.end]
            for inner in boxes_in(media):
                if inner.kind == b"mdhd":
                    where = inner.start + (20 if media[inner.start] == 1 else 12)
                    (timescale,) = struct.unpack_from(">I", media, where)
                elif inner.kind == b"hdlr":
                    handler = bytes(media[inner.start + 8 : inner.start + 12]).decode("latin-1")
                elif inner.kind == b"minf" and handler == "vide":
                    for last in boxes_in(media[inner.start : inner.end]):
                        if last.kind == b"stbl":
                            tables = media[inner.start : inner.end][last.start : last.end]
                            encrypted, profile = _sample_entry(tables)
                            found = {box.kind: tables[box.start : box.end] for box in boxes_in(tables)}
                            table = read_sample_table(
                                found, timescale, movie_timescale, edits, file_size, most_samples
                            )
    shift = edit_shift(edits, timescale, movie_timescale) if timescale else None
    return TrackFacts(track_id, handler, encrypted, profile, None if encrypted else table, timescale, shift)


def _fragment_defaults(mvex: memoryview) -> dict[int, tuple[int, int, int, int]]:
    found = {}
    for box in boxes_in(mvex):
        if box.kind == b"trex":
            track_id, description, duration, size, flags = struct.unpack_from(">IIIII", mvex, box.start + 4)
            found[track_id] = description, duration, size, flags
    return found


def _edits(data: memoryview) -> list[Edit]:
    edits = []
    for box in boxes_in(data):
        if box.kind == b"elst":
            wide = data[box.start] == 1
            (number,) = struct.unpack_from(">I", data, box.start + 4)
            form = ">Qqi" if wide else ">Iii"
            for k in range(min(number, 1000)):
                edits.append(Edit(*struct.unpack_from(form, data, box.start + 8 + k * struct.calcsize(form))))
    return edits


def _sample_entry(tables: memoryview) -> tuple[bool, int | None]:
    """Whether the video is encrypted, and its Dolby Vision profile."""
    encrypted, profile = False, None
    for box in boxes_in(tables):
        if box.kind == b"senc":
            encrypted = True
        if box.kind != b"stsd":
            continue
        for entry in boxes_in(tables[box.start : box.end], 8):
            body = tables[box.start : box.end][entry.start : entry.end]
            encrypted = encrypted or entry.kind in (b"encv", b"drmi")
            # a visual sample entry holds 78 bytes of fields before its boxes
            for inner in boxes_in(body, 78) if len(body) >= 86 else ():
                if inner.kind == b"sinf":
                    encrypted = True
                elif inner.kind in (b"dvcC", b"dvvC", b"dvwC") and inner.end - inner.start >= 4:
                    profile = body[inner.start + 2] >> 1
    return encrypted, profile
