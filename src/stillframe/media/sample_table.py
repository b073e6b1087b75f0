"""What an MP4's sample tables say: when each sample is shown, which are keyframes, and where they lie.

The runs and chunks of the file are kept as they are and looked up, nothing is expanded: a survey needs a few
hundred of the times, and needs them before the first frame is decoded. Anything odd (several edits, tables
that contradict each other, pictures shown far from their place) gives no table: the caller then seeks and
looks.

Source: ISO/IEC 14496-12, sections 8.6 and 8.7.
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from operator import mul
from typing import NamedTuple

#: more samples than this in one track is a lie or not a video (46 hours at 60 a second)
MAX_SAMPLES = 10_000_000
_MAX_OFFSET = 1 << 60
#: samples that may lie between two neighbours on the screen; H.264 and HEVC reorder 16 at most
_MAX_REORDERED = 1_000
#: of a chunk, above which its samples' places are added up once for all
_MANY_SAMPLES = 200
#: of the chunk behind the first one, as much as its first sample may need; a chunk that is not wanted as a whole
_NEXT_CHUNK_BYTES, _LONG_CHUNK_BYTES = 8 << 10, 768 << 10
#: what `sdtp` says of a sample that no other one needs
_NOT_DEPENDED_ON = 2


class Edit(NamedTuple):
    """One entry of an edit list. `media_time` is -1 for an empty edit, `rate` is 16.16 fixed point."""

    duration: int  # ticks of the movie
    media_time: int  # ticks of the track
    rate: int


class _Runs:
    """Values of consecutive samples, kept as (how many, which value)."""

    def __init__(self, counts: array[int], values: array[int]) -> None:
        self.counts = counts
        self.values = values
        singles = array(counts.typecode, (1,)).tobytes() * len(counts)
        self._ends = None if counts.tobytes() == singles else list(accumulate(counts))

    @property
    def samples(self) -> int:
        """How many samples there are in all runs."""
        if self._ends is None:
            return len(self.counts)
        return self._ends[-1] if self._ends else 0

    @cached_property
    def extremes(self) -> tuple[int, int]:
        """The smallest and the largest value."""
        different = set(self.values)
        return min(different), max(different)

    def run_of(self, sample: int) -> int:
        """The number of the run that a sample is in."""
        return sample if self._ends is None else bisect_right(self._ends, sample)

    def first_of(self, run: int) -> int:
        """The first sample of a run."""
        if self._ends is None:
            return run
        return self._ends[run - 1] if run else 0

    def median(self) -> int:
        """The value that half of the samples do not exceed."""
        left = self.samples // 2
        for value, count in sorted(zip(self.values, self.counts, strict=True)):
            left -= count
            if left < 0:
                return value
        return 0


class _ChunkRun(NamedTuple):
    """Consecutive chunks with the same number of samples each; both numbers count from 0."""

    first_sample: int
    first_chunk: int
    samples_per_chunk: int


@dataclass(frozen=True)
class SampleTable:
    """The samples of one track in decode order. Times are ticks of `timescale`, as libav counts them."""

    timescale: int
    #: how many samples there are
    number: int
    #: the samples that are keyframes, by number, ascending
    keyframes: Sequence[int]
    sizes: Sequence[int]
    #: of the file that there is, which may be shorter than the one that was written
    file_size: int
    #: what the edit list adds to every time
    shift: int
    #: where the edit ends: pictures from there on are not shown
    shown_until: int | None
    _durations: _Runs
    _reordering: _Runs
    _chunk_offsets: Sequence[int]
    _chunk_runs: Sequence[_ChunkRun]
    #: for each sample its dependencies as `sdtp` says them; empty when it does not
    _dependencies: bytes

    def pts(self, sample: int) -> int:
        """When a sample is shown."""
        return self.dts(sample) + self._reordering.values[self._reordering.run_of(sample)]

    def dts(self, sample: int) -> int:
        """When a sample is decoded."""
        run = self._durations.run_of(sample)
        return self._run_times[run] + (sample - self._durations.first_of(run)) * self._durations.values[run]

    def duration(self, sample: int) -> int:
        """How long a sample is shown."""
        return self._durations.values[self._durations.run_of(sample)]

    def is_discarded(self, sample: int) -> bool:
        """Whether the edit list leaves a sample out."""
        return self.shown_until is not None and self.pts(sample) >= self.shown_until

    def is_disposable(self, sample: int) -> bool:
        """Whether no other sample needs it, as far as the file says so."""
        return sample < len(self._dependencies) and self._dependencies[sample] >> 2 & 3 == _NOT_DEPENDED_ON

    def keyframe_before(self, time: int) -> int | None:
        """The last keyframe that is shown at or before a time."""
        position = bisect_right(self.keyframe_times, time)
        return self._keyframe_at[self.keyframe_times[position - 1]] if position else None

    def keyframe_extent(self, time: int) -> tuple[int, int]:
        """The (offset, length) in the file of a keyframe, by its time; that may lie behind the end of the file."""
        sample = self._keyframe_at[time]
        return self.offset(sample), self.sizes[sample]

    def beginning(self, *, with_chunk: bool) -> tuple[int, int]:
        """The (offset, length) of the first sample; or of its chunk and a little more, unless that is long."""
        offset = self.offset(0)
        chunk_bytes = self._chunk_end(0) - offset + _NEXT_CHUNK_BYTES
        return offset, chunk_bytes if with_chunk and chunk_bytes <= _LONG_CHUNK_BYTES else self.sizes[0]

    def decoding_extent(self, moment: int) -> tuple[int, int]:
        """The (offset, length) of the samples from the keyframe on to the one that is shown at a time."""
        last = self._shown_at(moment)
        before = (sample for sample in self._keyframes_back_from(last) if self.pts(sample) <= self.pts(last))
        first = next(before, 0)
        first_chunk, last_chunk = self._chunk_of(first)[0], self._chunk_of(last)[0]
        chunks = range(first_chunk, last_chunk + 1)
        lowest = min(chunks, key=self._chunk_offsets.__getitem__)
        highest = max(chunks, key=self._chunk_offsets.__getitem__)
        start = self.offset(first) if lowest == first_chunk else self._chunk_offsets[lowest]
        end = self.offset(last) + self.sizes[last] if highest == last_chunk else self._chunk_end(highest)
        return start, end - start

    def offset(self, sample: int) -> int:
        """Where a sample lies in the file."""
        chunk, first = self._chunk_of(sample)
        if sample - first > _MANY_SAMPLES:
            return self._chunk_offsets[chunk] + self._bytes_before[sample] - self._bytes_before[first]
        return self._chunk_offsets[chunk] + sum(self.sizes[first:sample])

    @cached_property
    def first_pts(self) -> int:
        """When the first picture is shown."""
        first = self.pts(0)
        for sample in range(1, self.number):
            if self.dts(sample) + self._reordering.extremes[0] >= first:
                break
            first = min(first, self.pts(sample))
        return first

    @cached_property
    def end_pts(self) -> int:
        """When the last picture ends."""
        end, longest = 0, max(self._durations.extremes[1], 1)
        for sample in range(self.number - 1, -1, -1):
            if self.dts(sample) + self._reordering.extremes[1] + longest <= end:
                break
            duration = self._durations.values[self._durations.run_of(sample)]
            end = max(end, self.pts(sample) + max(duration, 1))
        return end

    @property
    def usual_duration(self) -> int:
        """The median of the samples' durations, at least 1 tick."""
        return max(self._durations.median(), 1)

    @cached_property
    def is_orderly(self) -> bool:
        """Whether pictures are shown near their place in decode order; else looking for one takes too long."""
        earliest, latest = self._reordering.extremes
        spread = latest - earliest
        ahead = bisect_left(range(self.number), self.dts(0) + spread, key=self.dts)
        return ahead <= _MAX_REORDERED and spread <= _MAX_REORDERED * self._durations.extremes[1]

    @cached_property
    def keyframe_times(self) -> tuple[int, ...]:
        """The times of the keyframes that the file holds, ascending."""
        return tuple(sorted(time for time, sample in self._keyframe_at.items() if sample not in self._lost))

    @cached_property
    def _keyframe_at(self) -> dict[int, int]:
        return {self.pts(sample): sample for sample in self.keyframes}

    @property
    def lost_from(self) -> int | None:
        """The earliest time of a sample that lies behind the end of the file; None when the file holds all."""
        return min((self.pts(sample) for sample in self._lost), default=None)

    @cached_property
    def _lost(self) -> frozenset[int]:
        widest = max(run.samples_per_chunk for run in self._chunk_runs) * max(self.sizes)
        lost = set()
        for chunk, offset in enumerate(self._chunk_offsets):
            if offset + widest > self.file_size:
                for sample in self._samples_of(chunk):
                    offset += self.sizes[sample]
                    if offset > self.file_size:
                        lost.add(sample)
        return frozenset(lost)

    @cached_property
    def _run_times(self) -> list[int]:
        """The decode time of each run's first sample."""
        durations = self._durations
        return list(accumulate(map(mul, durations.counts, durations.values), initial=self.shift))

    @cached_property
    def _bytes_before(self) -> array[int]:
        return array("Q", accumulate(self.sizes, initial=0))

    def _shown_at(self, moment: int) -> int:
        """The sample that is on the screen at a time; before the very first one, that one."""
        samples = range(self.number)
        last = bisect_right(samples, moment - self._reordering.extremes[0], key=self.dts) - 1
        best: tuple[int, int] | None = None
        for sample in range(last, max(last - _MAX_REORDERED, -1), -1):
            if best is not None and self.dts(sample) + self._reordering.extremes[1] < best[0]:
                break
            time = self.pts(sample)
            if time <= moment and (best is None or time >= best[0]):
                best = time, sample
        if best is None:
            return min(range(min(self.number, _MAX_REORDERED)), key=self.pts)
        return best[1]

    def _keyframes_back_from(self, sample: int) -> Iterator[int]:
        for k in range(bisect_right(self.keyframes, sample) - 1, -1, -1):
            yield self.keyframes[k]

    def _chunk_of(self, sample: int) -> tuple[int, int]:
        """A sample's chunk and the first sample in that chunk."""
        run = self._chunk_runs[bisect_right(self._chunk_runs, sample, key=lambda run: run.first_sample) - 1]
        chunks_on, within = divmod(sample - run.first_sample, run.samples_per_chunk)
        return run.first_chunk + chunks_on, sample - within

    def _samples_of(self, chunk: int) -> range:
        run = self._chunk_runs[bisect_right(self._chunk_runs, chunk, key=lambda run: run.first_chunk) - 1]
        first = run.first_sample + (chunk - run.first_chunk) * run.samples_per_chunk
        return range(first, first + run.samples_per_chunk)

    def _chunk_end(self, chunk: int) -> int:
        samples = self._samples_of(chunk)
        return self._chunk_offsets[chunk] + sum(self.sizes[samples.start : samples.stop])


def read_sample_table(
    boxes: Mapping[bytes, memoryview],
    timescale: int,
    movie_timescale: int,
    edits: Sequence[Edit],
    file_size: int,
    most_samples: int = MAX_SAMPLES,
) -> SampleTable | None:
    """The table from the payloads of the boxes in `stbl`, or None when it is odd in any way.

    Raises ValueError or struct.error when a box does not hold what it promises.
    """
    if not {b"stts", b"stsc", b"stsz"} <= boxes.keys() or not timescale:
        return None
    sizes = _sizes(boxes[b"stsz"])
    if sizes is None or len(sizes) > most_samples:
        return None
    number = len(sizes)
    durations = _runs(boxes[b"stts"], "I", number)
    # version 0 says unsigned, but writers put negative shifts there as well, and libav reads both signed
    reordering = (
        _runs(boxes[b"ctts"], "i", number)
        if b"ctts" in boxes
        else _Runs(array("I", (number,)), array("i", (0,)))
    )
    chunk_offsets, chunk_runs = _chunks(boxes, number) or ((), ())
    keyframes = _keyframes(boxes.get(b"stss"), number)
    shift = edit_shift(edits, timescale, movie_timescale)
    if durations is None or reordering is None or not chunk_runs or keyframes is None or shift is None:
        return None
    table = SampleTable(
        timescale,
        number,
        keyframes,
        sizes,
        file_size,
        shift,
        _shown_until(edits, shift, timescale, movie_timescale),
        durations,
        reordering,
        chunk_offsets,
        chunk_runs,
        bytes(boxes[b"sdtp"][4:]) if b"sdtp" in boxes else b"",
    )
    return table if table.is_orderly and _shows_all(edits, table, movie_timescale) else None


def edit_shift(edits: Sequence[Edit], timescale: int, movie_timescale: int) -> int | None:
    """What an edit list adds to every time; None for more than an empty edit and a plain one."""
    delay = 0
    if edits and not movie_timescale:
        return None
    if edits and edits[0].media_time == -1:
        delay = (edits[0].duration * timescale + movie_timescale // 2) // movie_timescale
        edits = edits[1:]
    if not edits:
        return delay
    if len(edits) > 1 or edits[0].rate != 1 << 16 or edits[0].media_time < 0:
        return None
    return delay - edits[0].media_time


def _shown_until(edits: Sequence[Edit], shift: int, timescale: int, movie_timescale: int) -> int | None:
    """Where the edit ends, in ticks of the track; None where it goes on to the last sample."""
    if not edits or edits[-1].media_time == -1 or not edits[-1].duration:
        return None
    length = (edits[-1].duration * timescale + movie_timescale // 2) // movie_timescale
    return edits[-1].media_time + length + shift


def _shows_all(edits: Sequence[Edit], table: SampleTable, movie_timescale: int) -> bool:
    """Whether an edit list cuts nothing off the samples."""
    if not edits or edits[-1].media_time == -1:
        return True
    length, media_time, _ = edits[-1]
    if media_time > table.first_pts - table.shift:
        return False
    tolerance = table._durations.extremes[1] + -(-table.timescale // movie_timescale)
    end = media_time + length * table.timescale // movie_timescale
    return not length or end + tolerance >= table.end_pts - table.shift


def _sizes(box: memoryview) -> Sequence[int] | None:
    constant, number = struct.unpack_from(">II", box, 4)
    if not 0 < number <= MAX_SAMPLES:
        return None
    return array("I", (constant,)) * number if constant else _numbers("I", box, 12, number)


def _runs(box: memoryview, kind: str, number: int) -> _Runs | None:
    """Run-length pairs (count, value); None when they are not for just so many samples."""
    (pairs,) = struct.unpack_from(">I", box, 4)
    counts = _numbers("I", box, 8, 2 * pairs)[::2]
    values = _numbers(kind, box, 8, 2 * pairs)[1::2]
    runs = _Runs(counts, values)
    return runs if runs.samples == number else None


def _keyframes(stss: memoryview | None, number: int) -> Sequence[int] | None:
    """The keyframes' sample numbers from 0: all samples when there is no `stss`; None for impossible ones."""
    if stss is None:
        return range(number)
    (listed,) = struct.unpack_from(">I", stss, 4)
    keyframes = sorted({sample - 1 for sample in _numbers("I", stss, 8, listed)})
    return keyframes if keyframes and keyframes[0] >= 0 and keyframes[-1] < number else None


def _chunks(
    boxes: Mapping[bytes, memoryview], number: int
) -> tuple[Sequence[int], Sequence[_ChunkRun]] | None:
    """The chunks' offsets and the samples in them; None when these are not just so many samples."""
    kind, offsets_box = ("Q", boxes.get(b"co64")) if b"co64" in boxes else ("I", boxes.get(b"stco"))
    if offsets_box is None:
        return None
    (chunks,) = struct.unpack_from(">I", offsets_box, 4)
    offsets = _numbers(kind, offsets_box, 8, chunks)
    (entries,) = struct.unpack_from(">I", boxes[b"stsc"], 4)
    flat = _numbers("I", boxes[b"stsc"], 8, 3 * entries)
    first_chunks, per_chunk = flat[::3], flat[1::3]
    if not entries or not chunks or first_chunks[0] != 1 or not all(per_chunk):
        return None
    if len(set(flat[2::3])) > 1:
        # the codec's parameters change on the way
        return None
    ends = [*first_chunks[1:], chunks + 1]
    if any(end <= first for first, end in zip(first_chunks, ends, strict=True)) or max(offsets) > _MAX_OFFSET:
        return None
    found, sample = [], 0
    for (first, end), samples in zip(pairwise((*first_chunks, chunks + 1)), per_chunk, strict=True):
        found.append(_ChunkRun(sample, first - 1, samples))
        sample += (end - first) * samples
    return (offsets, found) if sample == number else None


def _numbers(kind: str, box: memoryview, start: int, number: int) -> array[int]:
    """Big-endian numbers of the array type `kind`. Raises ValueError when the box is too short."""
    numbers = array(kind)
    end = start + number * numbers.itemsize
    if len(box) < end:
        raise ValueError("a table is longer than its box")
    numbers.frombytes(box[start:end])
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers
