"""Where an MP4's index lies, and what its sample tables say.

libav's own index of an MP4 is in decode order (DTS), which names the wrong GOP for a moment between a
keyframe's DTS and its PTS; the sample tables give true presentation times. Anything odd (several edits,
fragments, tables that contradict each other) gives no table: the caller then seeks and looks.

Source: ISO/IEC 14496-12 (boxes and tables), 23001-7 (encryption), Dolby's `dvcC` / `dvvC` record.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stillframe.media.source import ByteSource

Int64s = npt.NDArray[np.int64]

#: a moov box beyond this is not read (an hour of video needs about 3 MiB)
MAX_MOOV_BYTES = 256 << 20
#: more samples than this in one track is a lie or not a video (46 hours at 60 a second)
MAX_SAMPLES = 10_000_000
_MAX_OFFSET = 1 << 60
_HEAD_BYTES = 64 << 10
_MAX_TOP_LEVEL_BOXES = 2_000


@dataclass(frozen=True)
class SampleTable:
    """The samples of one track in decode order. Times are ticks of `timescale`, `pts` as libav counts them."""

    timescale: int
    pts: Int64s
    duration: Int64s
    keyframe: npt.NDArray[np.bool_]
    offset: Int64s
    size: Int64s

    def sample_extent(self, moment: int) -> tuple[int, int]:
        """The (offset, length) in the file of the sample that is shown at a time."""
        sample = self._shown_at(moment)
        return int(self.offset[sample]), int(self.size[sample])

    def decoding_extent(self, moment: int) -> tuple[int, int]:
        """The (offset, length) of the samples from the keyframe on to the one that is shown at a time."""
        last = self._shown_at(moment)
        keyframes = self.keyframe_samples[: int(np.searchsorted(self.keyframe_samples, last, "right"))]
        usable = keyframes[self.pts[keyframes] <= self.pts[last]]
        first = int(usable[-1]) if len(usable) else 0
        offsets, sizes = self.offset[first : last + 1], self.size[first : last + 1]
        start = int(offsets.min())
        return start, int((offsets + sizes).max()) - start

    @cached_property
    def keyframe_samples(self) -> Int64s:
        """The samples that are keyframes, by number."""
        return np.flatnonzero(self.keyframe)

    @cached_property
    def shown_order(self) -> Int64s:
        """The samples in the order in which they are shown."""
        return np.argsort(self.pts, kind="stable")

    @cached_property
    def shown_order_pts(self) -> Int64s:
        """Their times, which ascend."""
        return self.pts[self.shown_order]

    def _shown_at(self, moment: int) -> int:
        position = int(np.searchsorted(self.shown_order_pts, moment, "right")) - 1
        return int(self.shown_order[max(position, 0)])


@dataclass(frozen=True, slots=True)
class TrackFacts:
    """What a track's boxes say of themselves."""

    track_id: int
    handler: str
    encrypted: bool = False
    dolby_vision_profile: int | None = None
    table: SampleTable | None = None


@dataclass(frozen=True, slots=True)
class Mp4Facts:
    """What the boxes of a file say. `moov_missing` means a file that was cut off, or is still being written."""

    moov_missing: bool = False
    fragmented: bool = False
    #: the last top-level box says it is longer than the file
    cut_off: bool = False
    tracks: dict[int, TrackFacts] = field(default_factory=dict)
    #: the tracks whose samples are encrypted in the first fragment, whatever their sample entries say
    encrypted_in_fragment: frozenset[int] = frozenset()


class _Box(NamedTuple):
    kind: bytes
    start: int  # of the payload
    end: int


def read_mp4(source: ByteSource) -> Mp4Facts | None:
    """The facts of an MP4, MOV or 3GP; None when the source is none. Never raises for a damaged file."""
    head = source.read_at(0, _HEAD_BYTES)
    if head[4:8] not in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"sidx"):
        return None
    moov, cut_off, moof = _find_moov(source, head)
    if moov is None:
        return Mp4Facts(moov_missing=True, cut_off=cut_off)
    data = memoryview(source.read_at(moov.start, moov.end - moov.start))
    fragmented = moof is not None
    encrypted = _encrypted_in_fragment(source, moof) if moof is not None else frozenset()
    tracks: dict[int, TrackFacts] = {}
    try:
        movie_timescale, most_samples = 0, min(source.size, MAX_SAMPLES)
        for box in _boxes(data):
            if box.kind == b"mvex":
                fragmented = True
            elif box.kind == b"mvhd":
                version = data[box.start]
                (movie_timescale,) = struct.unpack_from(">I", data, box.start + (20 if version == 1 else 12))
            elif box.kind == b"trak":
                # a sample has a byte at least, and all tracks together no more than the file
                track = _track(data[box.start : box.end], movie_timescale, most_samples)
                tracks[track.track_id] = track
                most_samples -= len(track.table.pts) if track.table else 0
    except (struct.error, IndexError, ValueError, OverflowError):
        # a moov that does not hold together: libav may still make something of it
        return Mp4Facts(
            fragmented=fragmented, cut_off=cut_off, tracks=tracks, encrypted_in_fragment=encrypted
        )
    return Mp4Facts(fragmented=fragmented, cut_off=cut_off, tracks=tracks, encrypted_in_fragment=encrypted)


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


def _find_moov(source: ByteSource, head: bytes) -> tuple[_Box | None, bool, _Box | None]:
    """The moov box, whether the file ends within a box, and the first moof."""
    position, moov = 0, None
    for _ in range(_MAX_TOP_LEVEL_BOXES):
        if position + 8 > source.size:
            break
        header = head[position : position + 16]
        if len(header) < 16:
            header = source.read_at(position, 16)
        size, kind = struct.unpack_from(">I4s", header)
        length_of_header = 8
        if size == 1 and len(header) == 16:
            (size,) = struct.unpack_from(">Q", header, 8)
            length_of_header = 16
        elif size == 0:
            size = source.size - position
        if size < length_of_header:
            return moov, True, None
        end = position + size
        if kind == b"moov":
            if end > source.size or size > MAX_MOOV_BYTES:
                return None, True, None
            moov = _Box(kind, position + length_of_header, end)
        if kind == b"moof":
            return moov, False, _Box(kind, position + length_of_header, end)
        if moov is not None and kind == b"mdat":
            return moov, end > source.size, None
        position = end
    return moov, position > source.size, None


def _encrypted_in_fragment(source: ByteSource, moof: _Box) -> frozenset[int]:
    """The tracks that have a `senc` box in this fragment."""
    data = memoryview(source.read_at(moof.start, min(moof.end - moof.start, MAX_MOOV_BYTES)))
    found = set()
    try:
        for box in _boxes(data):
            if box.kind == b"traf":
                fragment = data[box.start : box.end]
                inner = {part.kind: part.start for part in _boxes(fragment)}
                if b"senc" in inner and b"tfhd" in inner:
                    found.add(struct.unpack_from(">I", fragment, inner[b"tfhd"] + 4)[0])
    except (struct.error, ValueError):
        pass
    return frozenset(found)


def _boxes(data: memoryview, start: int = 0) -> Iterator[_Box]:
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
        yield _Box(bytes(kind), position + header, position + size)
        position += size


def _track(data: memoryview, movie_timescale: int, most_samples: int) -> TrackFacts:
    track_id, timescale, handler = 0, 0, ""
    edits: list[tuple[int, int, int]] = []
    encrypted, profile = False, None
    table: SampleTable | None = None
    for box in _boxes(data):
        if box.kind == b"tkhd":
            (track_id,) = struct.unpack_from(">I", data, box.start + (20 if data[box.start] == 1 else 12))
        elif box.kind == b"edts":
            edits = _edits(data[box.start : box.end])
        elif box.kind == b"mdia":
            media = data[box.start : box.end]
            for inner in _boxes(media):
                if inner.kind == b"mdhd":
                    where = inner.start + (20 if media[inner.start] == 1 else 12)
                    (timescale,) = struct.unpack_from(">I", media, where)
                elif inner.kind == b"hdlr":
                    handler = bytes(media[inner.start + 8 : inner.start + 12]).decode("latin-1")
                elif inner.kind == b"minf" and handler == "vide":
                    for last in _boxes(media[inner.start : inner.end]):
                        if last.kind == b"stbl":
                            tables = media[inner.start : inner.end][last.start : last.end]
                            encrypted, profile = _sample_entry(tables)
                            table = _sample_table(tables, timescale, movie_timescale, edits, most_samples)
    return TrackFacts(track_id, handler, encrypted, profile, None if encrypted else table)


def _edits(data: memoryview) -> list[tuple[int, int, int]]:
    """(duration in movie ticks, media time in media ticks or -1 for an empty edit, rate)."""
    edits = []
    for box in _boxes(data):
        if box.kind == b"elst":
            wide = data[box.start] == 1
            (number,) = struct.unpack_from(">I", data, box.start + 4)
            form = ">Qqi" if wide else ">Iii"
            for k in range(min(number, 1000)):
                edits.append(struct.unpack_from(form, data, box.start + 8 + k * struct.calcsize(form)))
    return edits


def _sample_entry(tables: memoryview) -> tuple[bool, int | None]:
    """Whether the video is encrypted, and its Dolby Vision profile."""
    encrypted, profile = False, None
    for box in _boxes(tables):
        if box.kind == b"senc":
            encrypted = True
        if box.kind != b"stsd":
            continue
        for entry in _boxes(tables[box.start : box.end], 8):
            body = tables[box.start : box.end][entry.start : entry.end]
            encrypted = encrypted or entry.kind in (b"encv", b"drmi")
            # a visual sample entry holds 78 bytes of fields before its boxes
            for inner in _boxes(body, 78) if len(body) >= 86 else ():
                if inner.kind == b"sinf":
                    encrypted = True
                elif inner.kind in (b"dvcC", b"dvvC", b"dvwC") and inner.end - inner.start >= 4:
                    profile = body[inner.start + 2] >> 1
    return encrypted, profile


def _sample_table(
    tables: memoryview,
    timescale: int,
    movie_timescale: int,
    edits: list[tuple[int, int, int]],
    most_samples: int,
) -> SampleTable | None:
    """The table, or None when it is odd in any way."""
    found = {box.kind: tables[box.start : box.end] for box in _boxes(tables)}
    if not {b"stts", b"stsc", b"stsz"} <= found.keys() or not timescale:
        return None
    sizes = _sizes(found[b"stsz"])
    number = 0 if sizes is None else len(sizes)
    if sizes is None or number == 0 or number > most_samples:
        return None
    durations = _runs(found[b"stts"], number, signed=False)
    offsets = _offsets(found, sizes)
    if durations is None or offsets is None:
        return None
    pts = np.cumsum(durations) - durations
    if b"ctts" in found:
        shifts = _runs(found[b"ctts"], number, signed=True)
        if shifts is None:
            return None
        pts = pts + shifts
    keyframe = np.zeros(number, np.bool_)
    if b"stss" in found:
        sync = _uint32s(found[b"stss"], 4, per_entry=1)[:, 0] - 1
        if len(sync) == 0 or sync.min() < 0 or sync.max() >= number:
            return None
        keyframe[sync] = True
    else:
        keyframe[:] = True
    shift = _edit_shift(edits, pts, durations, timescale, movie_timescale)
    if shift is None:
        return None
    return SampleTable(timescale, pts + shift, durations, keyframe, offsets, sizes)


def _edit_shift(
    edits: list[tuple[int, int, int]], pts: Int64s, durations: Int64s, timescale: int, movie_timescale: int
) -> int | None:
    """What an edit list adds to every time; None when it cuts into the samples."""
    delay = 0
    if edits and edits[0][1] == -1:
        if not movie_timescale:
            return None
        delay = (edits[0][0] * timescale + movie_timescale // 2) // movie_timescale
        edits = edits[1:]
    if not edits:
        return delay
    if len(edits) > 1 or edits[0][2] != 1 << 16 or not movie_timescale:
        return None
    length, media_time, _ = edits[0]
    if media_time < 0 or media_time > int(pts.min()):
        return None
    tolerance = int(durations.max()) + -(-timescale // movie_timescale)
    end = media_time + length * timescale // movie_timescale
    if length and end + tolerance < int((pts + durations).max()):
        return None
    return delay - media_time


def _sizes(box: memoryview) -> Int64s | None:
    constant, number = struct.unpack_from(">II", box, 4)
    if not 0 < number <= MAX_SAMPLES:
        return None
    if constant:
        return np.full(number, constant, np.int64)
    if len(box) < 12 + 4 * number:
        return None
    return np.frombuffer(box, ">u4", number, 12).astype(np.int64)


def _runs(box: memoryview, number: int, *, signed: bool) -> Int64s | None:
    """Run-length pairs (count, value) spread out over all samples; None when they are not as many."""
    pairs = _uint32s(box, 4, per_entry=2)
    if int(pairs[:, 0].sum()) != number:
        return None
    values = pairs[:, 1]
    if signed:
        # version 0 says unsigned, but writers put negative shifts there as well, and libav reads both signed
        values = values.astype(np.uint32).view(np.int32).astype(np.int64)
    return np.repeat(values, pairs[:, 0])


def _offsets(found: dict[bytes, memoryview], sizes: Int64s) -> Int64s | None:
    """The file offset of every sample, from its chunk's offset and the sizes before it in the chunk."""
    if b"co64" in found:
        (number,) = struct.unpack_from(">I", found[b"co64"], 4)
        if len(found[b"co64"]) < 8 + 8 * number:
            return None
        chunks = np.frombuffer(found[b"co64"], ">i8", number, 8).astype(np.int64)
    elif b"stco" in found:
        chunks = _uint32s(found[b"stco"], 4, per_entry=1)[:, 0]
    else:
        return None
    runs = _uint32s(found[b"stsc"], 4, per_entry=3)
    if len(runs) == 0 or len(chunks) == 0 or runs[0, 0] != 1 or np.any(np.diff(runs[:, 0]) <= 0):
        return None
    if runs[-1, 0] > len(chunks) or runs[:, 1].max() > len(sizes):
        return None
    chunks_per_run = np.diff(np.append(runs[:, 0], len(chunks) + 1))
    samples_per_chunk = np.repeat(runs[:, 1], chunks_per_run)
    if int(samples_per_chunk.sum()) != len(sizes):
        return None
    first_of_chunk = np.cumsum(samples_per_chunk) - samples_per_chunk
    bytes_before = np.cumsum(sizes) - sizes
    chunk_of_sample = np.repeat(np.arange(len(chunks)), samples_per_chunk)
    within = bytes_before - bytes_before[first_of_chunk[chunk_of_sample]]
    offsets: Int64s = chunks[chunk_of_sample] + within
    if offsets.min() < 0 or offsets.max() > _MAX_OFFSET:
        return None
    return offsets


def _uint32s(box: memoryview, count_at: int, *, per_entry: int) -> Int64s:
    (number,) = struct.unpack_from(">I", box, count_at)
    if len(box) < count_at + 4 + 4 * per_entry * number:
        raise ValueError("a table is longer than its box")
    flat = np.frombuffer(box, ">u4", number * per_entry, count_at + 4).astype(np.int64)
    return flat.reshape(number, per_entry)
