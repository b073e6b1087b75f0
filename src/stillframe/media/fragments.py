"""Fragmented MP4: where the fragments lie, and what each one says of its samples.

The index is the file's own: `sidx` in front of the fragments, or `mfra` behind them. Its times are only where to look;
what a fragment's own boxes say is what counts. Anything odd is `OddFragments`: the caller then lets libav read on.

Source: ISO/IEC 14496-12, sections 8.8 (movie fragments) and 8.16 (segment index).
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import NamedTuple

from stillframe.media.boxes import Box, Layout, TrackFacts, boxes_in
from stillframe.media.source import ByteSource

#: of boxes that lie between two fragments
_MOST_BOXES_BETWEEN = 16
_MOST_FRAGMENTS = 500_000
_MOST_SAMPLES = 100_000
_MOST_MOOF_BYTES = 4 << 20
_TAIL_BYTES = 64 << 10
_MOST_MFRA_BYTES = 16 << 20
_KEPT_FRAGMENTS, _KEPT_SAMPLES = 256, 200_000
#: what a file may count on from there, and still stay within 64 bits
_MOST_TIME = 1 << 62

_BASE_OFFSET, _DESCRIPTION, _DURATION, _SIZE, _FLAGS, _BASE_IS_MOOF = 0x1, 0x2, 0x8, 0x10, 0x20, 0x20000
_RUN_OFFSET, _RUN_FIRST_FLAGS = 0x1, 0x4
_RUN_DURATION, _RUN_SIZE, _RUN_FLAGS, _RUN_SHIFT = 0x100, 0x200, 0x400, 0x800
#: of a sample's flags: it is no sync sample, or depends on others
_NO_KEYFRAME = 0x10000 | 0x1000000


class OddFragments(Exception):
    """The fragments are not as their index says, or in a form that is left to libav."""


class FragmentSample(NamedTuple):
    """One sample; times in ticks of the track, as libav counts them."""

    offset: int
    size: int
    pts: int
    dts: int
    duration: int
    is_keyframe: bool
    is_disposable: bool


@dataclass(frozen=True, slots=True)
class Fragment:
    """One moof, the track's samples in it, and where the next box after its pictures lies."""

    offset: int
    samples: tuple[FragmentSample, ...]
    head_bytes: int
    end: int


class FragmentTable:
    """The fragments of one track. Safe to use from several threads.

    `times` and `offsets` are those of the index, ascending: where fragments begin from which decoding can begin, or
    a run of several of them.
    """

    def __init__(
        self, source: ByteSource, track: TrackFacts, entries: Sequence[tuple[int, int]], first: int, end: int
    ) -> None:
        self.source = source
        self.timescale = track.timescale
        earliest = dict(reversed([(offset, time) for time, offset in entries]))
        self.offsets = sorted(earliest)
        self.times = [earliest[offset] for offset in self.offsets]
        if self.times != sorted(self.times) or self.times[-1] > _MOST_TIME:
            raise OddFragments("the index's times are not in order")
        if not first <= self.offsets[0] <= self.offsets[-1] < end:
            raise OddFragments("the index is not in order")
        #: where the first fragment begins, and behind the last one
        self.first, self.end = first, end
        self._track = track
        self._lock = Lock()
        self._kept: OrderedDict[int, Fragment] = OrderedDict()
        self._kept_samples = 0
        #: the index's entries that cannot be read, or not to their end
        self._lost: set[int] = set()

    def place_of(self, time: int) -> int:
        """The number of the index's last entry that begins at or before a time; of the first for an earlier one."""
        return max(bisect_right(self.times, time) - 1, 0)

    def end_of(self, place: int) -> int:
        """Where the fragments of an entry end."""
        return self.offsets[place + 1] if place + 1 < len(self.offsets) else self.end

    def fragment_at(self, offset: int) -> Fragment | None:
        """The first fragment at or after a place between boxes; None at the end. Raises OddFragments, SourceError."""
        with self._lock:
            if offset in self._kept:
                self._kept.move_to_end(offset)
                return self._kept[offset]
        found = self._read(offset)
        if found is not None:
            with self._lock:
                if offset not in self._kept:
                    self._kept[offset] = found
                    self._kept_samples += len(found.samples)
                while len(self._kept) > _KEPT_FRAGMENTS or self._kept_samples > _KEPT_SAMPLES:
                    self._kept_samples -= len(self._kept.popitem(last=False)[1].samples)
        return found

    def lose(self, offset: int) -> None:
        """Remember that the fragment at a place between boxes cannot be read."""
        with self._lock:
            self._lost.add(max(bisect_right(self.offsets, offset) - 1, 0))

    def is_lost(self, moment: int, pts: int) -> bool:
        """Whether an entry that cannot be read begins after a picture, and not after a moment."""
        first, last = bisect_right(self.times, pts), bisect_right(self.times, moment)
        with self._lock:
            return any(first <= place < last for place in self._lost)

    def _read(self, offset: int) -> Fragment | None:
        for _ in range(_MOST_BOXES_BETWEEN):
            if offset >= self.end:
                return None
            box = _header(self.source, offset)
            if box.kind == b"moof":
                return self._fragment(offset, box)
            if box.kind in (b"mdat", b"moov"):
                raise OddFragments(f"there is a {box.kind!r} where a fragment should begin")
            offset = box.end
        raise OddFragments("too much lies between two fragments")

    def _fragment(self, offset: int, moof: Box) -> Fragment:
        if moof.end - moof.start > _MOST_MOOF_BYTES:
            raise OddFragments("a fragment's index is very large")
        data = memoryview(self.source.read_at(moof.start, moof.end - moof.start))
        end = moof.end
        while end < self.end and (box := _header(self.source, end)).kind != b"moof":
            end = box.end
            if box.kind == b"mdat":
                break
        if end > self.end:
            raise OddFragments("a fragment is longer than the file")
        try:
            # a sample has a byte at least
            samples = tuple(self._samples(data, offset, min(end - offset, _MOST_SAMPLES)))
        except (struct.error, ValueError, IndexError) as error:
            raise OddFragments(str(error)) from error
        if any(not offset < sample.offset <= end - sample.size for sample in samples):
            raise OddFragments("a sample lies outside of its fragment")
        if sum(sample.size for sample in samples) > end - offset:
            raise OddFragments("samples lie upon each other")
        return Fragment(offset, samples, moof.end - offset, end)

    def _samples(self, moof: memoryview, offset: int, most_samples: int) -> Iterator[FragmentSample]:
        number = 0
        for position, box in enumerate(box for box in boxes_in(moof) if box.kind == b"traf"):
            traf = moof[box.start : box.end]
            parts = list(boxes_in(traf))
            head = next((traf[part.start : part.end] for part in parts if part.kind == b"tfhd"), None)
            if head is None:
                raise OddFragments("a track's fragment without tfhd")
            flags, track_id = struct.unpack_from(">II", head)
            flags &= 0xFFFFFF
            if track_id != self._track.track_id:
                continue
            if any(part.kind in (b"senc", b"saiz") for part in parts):
                raise OddFragments("a fragment is encrypted")
            run = _Defaults.of(self._track, head, flags)
            if flags & _BASE_OFFSET:
                (base,) = struct.unpack_from(">Q", head, 8)
            elif flags & _BASE_IS_MOOF or position == 0:
                base = offset
            else:
                # where the data of the track before it ends
                raise OddFragments("the place of a fragment's data is told by the one before it")
            decoded = [traf[part.start : part.end] for part in parts if part.kind == b"tfdt"]
            if len(decoded) != 1:
                raise OddFragments("a fragment does not say when it begins")
            (time,) = struct.unpack_from(">Q" if decoded[0][0] == 1 else ">I", decoded[0], 4)
            time += self._track.shift or 0
            if abs(time) > _MOST_TIME:
                raise OddFragments("a fragment begins at an impossible time")
            place = None
            for part in parts:
                if part.kind == b"trun":
                    table = traf[part.start : part.end]
                    for sample in run.samples(table, base, place, time):
                        yield sample
                        place, time = sample.offset + sample.size, sample.dts + sample.duration
                        number += 1
                        if number > most_samples:
                            raise OddFragments("a fragment has very many samples")


class _Defaults(NamedTuple):
    """What the samples of a fragment have where their run does not say otherwise."""

    duration: int
    size: int
    flags: int

    @classmethod
    def of(cls, track: TrackFacts, head: memoryview, flags: int) -> _Defaults:
        if track.fragment_defaults is None:
            raise OddFragments("the track has no defaults for its fragments")
        description, *values = track.fragment_defaults
        position = 8 + (8 if flags & _BASE_OFFSET else 0)
        if flags & _DESCRIPTION:
            (told,) = struct.unpack_from(">I", head, position)
            if told != description:
                raise OddFragments("the codec's parameters change on the way")
            position += 4
        for index, flag in enumerate((_DURATION, _SIZE, _FLAGS)):
            if flags & flag:
                (values[index],) = struct.unpack_from(">I", head, position)
                position += 4
        return cls(*values)

    def samples(self, run: memoryview, base: int, place: int | None, time: int) -> Iterator[FragmentSample]:
        """The samples of one `trun`; `place` and `time` are where the one before it has ended."""
        flags, number = struct.unpack_from(">II", run)
        flags &= 0xFFFFFF
        position = 8
        if flags & _RUN_OFFSET:
            (relative,) = struct.unpack_from(">i", run, position)
            place = base + relative
            position += 4
        first_flags = None
        if flags & _RUN_FIRST_FLAGS:
            (first_flags,) = struct.unpack_from(">I", run, position)
            position += 4
        if place is None:
            raise OddFragments("the place of a run is not told")
        fields = [flag for flag in (_RUN_DURATION, _RUN_SIZE, _RUN_FLAGS, _RUN_SHIFT) if flags & flag]
        # shifts are signed in practice, whichever the version
        form = struct.Struct(">" + "".join("i" if flag == _RUN_SHIFT else "I" for flag in fields))
        for index in range(number):
            told = dict(zip(fields, form.unpack_from(run, position), strict=True))
            position += form.size
            usual = first_flags if index == 0 and first_flags is not None else self.flags
            sample_flags = told.get(_RUN_FLAGS, usual) if index or first_flags is None else first_flags
            size, duration = told.get(_RUN_SIZE, self.size), told.get(_RUN_DURATION, self.duration)
            yield FragmentSample(
                place,
                size,
                time + told.get(_RUN_SHIFT, 0),
                time,
                duration,
                is_keyframe=not sample_flags & _NO_KEYFRAME,
                is_disposable=sample_flags >> 22 & 3 == 2,
            )
            place += size
            time += duration


def read_fragment_table(source: ByteSource, layout: Layout, track: TrackFacts) -> FragmentTable | None:
    """The fragments of a track by the file's index; None where it has none that tells of all of them."""
    if layout.moof is None or layout.moov is None or track.shift is None or not track.timescale:
        return None
    try:
        return _by_sidx(source, layout, track) or _by_mfra(source, layout, track)
    except (OddFragments, struct.error, ValueError, IndexError):
        return None


def _by_sidx(source: ByteSource, layout: Layout, track: TrackFacts) -> FragmentTable | None:
    for sidx in layout.sidx:
        data = memoryview(source.read_at(sidx.start, sidx.end - sidx.start))
        wide = data[0] == 1
        track_id, timescale = struct.unpack_from(">II", data, 4)
        if track_id != track.track_id or timescale != track.timescale:
            continue
        time, ahead = struct.unpack_from(">QQ" if wide else ">II", data, 12)
        position = 12 + (16 if wide else 8)
        (number,) = struct.unpack_from(">xxH", data, position)
        entries, offset = [], sidx.end + ahead
        time += track.shift or 0
        for reference in struct.iter_unpack(">III", data[position + 4 : position + 4 + 12 * number]):
            size, duration, _ = reference
            if size >> 31:
                # to another index
                return None
            entries.append((time, offset))
            offset += size
            time += duration
        if len(entries) != number or not entries or offset > source.size:
            return None
        if offset < source.size and _header(source, offset).kind not in (b"mfra", b"free", b"skip"):
            # it tells of the first part only
            return None
        return FragmentTable(source, track, entries, entries[0][1], offset)
    return None


def _by_mfra(source: ByteSource, layout: Layout, track: TrackFacts) -> FragmentTable | None:
    # one question for all of it, most often
    start = max(source.size - _TAIL_BYTES, 0)
    tail = source.read_at(start, source.size - start)
    if layout.moof is None or tail[-12:-8] != b"mfro":
        return None
    (length,) = struct.unpack_from(">I", tail, len(tail) - 4)
    if not 16 < length <= min(_MOST_MFRA_BYTES, source.size):
        return None
    end = source.size - length
    data = memoryview(tail[-length:] if length <= len(tail) else source.read_at(end, length))
    if bytes(data[4:8]) != b"mfra":
        return None
    for box in boxes_in(data[8:]):
        if box.kind != b"tfra":
            continue
        tfra = data[8:][box.start : box.end]
        track_id, lengths, number = struct.unpack_from(">III", tfra, 4)
        if track_id != track.track_id:
            continue
        skipped = sum((lengths >> shift & 3) + 1 for shift in (4, 2, 0))
        form = struct.Struct((">QQ" if tfra[0] == 1 else ">II") + f"{skipped}x")
        entries = list(form.iter_unpack(tfra[16 : 16 + number * form.size]))
        if not entries or len(entries) != number or number > _MOST_FRAGMENTS:
            return None
        shifted = [(time + (track.shift or 0), offset) for time, offset in entries]
        return FragmentTable(source, track, shifted, layout.moof.start - 8, end)
    return None


def _header(source: ByteSource, offset: int) -> Box:
    header = source.read_at(offset, 16)
    if len(header) < 8:
        raise OddFragments("the file ends within a box")
    size, kind = struct.unpack_from(">I4s", header)
    length = 8
    if size == 1 and len(header) == 16:
        (size,) = struct.unpack_from(">Q", header, 8)
        length = 16
    if size < length:
        raise OddFragments(f"a box {kind!r} of {size} bytes")
    return Box(kind, offset + length, offset + size)
