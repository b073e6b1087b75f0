"""Packets straight from the fragments of an MP4, by its own index: libav would walk through all of them at open.

libav is given the file up to the end of its first fragment, for the streams and their parameters.
"""

from __future__ import annotations

from bisect import bisect_right
from fractions import Fraction

from stillframe.errors import MediaError
from stillframe.media.boxes import Layout, read_facts
from stillframe.media.fragments import Fragment, FragmentTable, OddFragments, read_fragment_table
from stillframe.media.reader import VideoReader
from stillframe.media.source import ByteSource, PrefixSource
from stillframe.media.table_feed import TABLE_CODECS, IndexedReader, StoredSample

#: a keyframe that was not read yet is taken to need this share of a usual entry of the index
_KEYFRAME_SHARE = 0.3
#: what is asked for beyond what the first fragment makes likely
_MARGIN = 1.15
#: fragments of other tracks alone that may come before the first one of the video
_FIRST_FRAGMENTS = 8


class FragmentFeed:
    """A `packets.PacketFeed` of the fragments' samples."""

    def __init__(self, table: FragmentTable, first: Fragment) -> None:
        self._table = table
        self._first = first
        self._time_base = Fraction(1, table.timescale)
        self._fragment: Fragment | None = first
        self._next = 0

    def seek(self, pts: int) -> bool:
        place = self._table.place_of(pts)
        while (found := self._keyframe_in(place, pts)) is None and place > 0:
            place -= 1
        if found is not None:
            self._fragment, self._next = found
        return found is not None

    def rewind(self) -> None:
        self._fragment, self._next = self._first, 0

    def next_packet(self) -> StoredSample | None:
        while self._fragment is not None and self._next >= len(self._fragment.samples):
            self._fragment, self._next = self._fragment_from(self._fragment.end, self._table.end), 0
        if self._fragment is None:
            return None
        sample = self._fragment.samples[self._next]
        self._next += 1
        return StoredSample(
            self._table.source,
            sample.offset,
            sample.size,
            sample.pts,
            sample.dts,
            sample.duration,
            self._time_base,
            is_keyframe=sample.is_keyframe,
            is_disposable=sample.is_disposable,
            is_corrupt=False,
            is_discard=False,
        )

    def is_lost(self, moment: int, pts: int) -> bool:
        return self._table.is_lost(moment, pts)

    def another(self) -> FragmentFeed:
        return FragmentFeed(self._table, self._first)

    def end_pts(self) -> int:
        """When the last picture ends. Moves the feed. Raises OddFragments, SourceError."""
        table = self._table
        for place in range(len(table.offsets) - 1, -1, -1):
            ends: list[int] = []
            offset, end = table.offsets[place], table.end_of(place)
            while offset < end and (fragment := table.fragment_at(offset)) is not None:
                ends += [sample.pts + max(sample.duration, 1) for sample in fragment.samples]
                offset = fragment.end
            if ends:
                return max(ends)
        raise OddFragments("there are no samples in the fragments")

    def keyframe_extent(self, moment: int) -> tuple[int, int]:
        """The (offset, length) that the keyframe nearest to a moment most likely needs, with its fragment's index."""
        table = self._table
        place = table.place_of(moment)
        if place + 1 < len(table.times) and table.times[place + 1] - moment < moment - table.times[place]:
            place += 1
        return self._extent(place, self._keyframe_bytes)

    def decoding_extent(self, moment: int) -> tuple[int, int]:
        """The (offset, length) from the fragment before a moment on to the picture of that time, most likely."""
        table = self._table
        place = table.place_of(moment)
        start, length = table.times[place], table.end_of(place) - table.offsets[place]
        following = table.times[place + 1] if place + 1 < len(table.times) else None
        share = 1.0 if following is None else (moment - start + 1) / max(following - start, 1)
        return self._extent(place, max(int(length * share * _MARGIN), self._keyframe_bytes))

    @property
    def _keyframe_bytes(self) -> int:
        table = self._table
        usual_bytes = (table.end - table.offsets[0]) / len(table.offsets)
        return int(max(self._first.samples[0].size * _MARGIN, usual_bytes * _KEYFRAME_SHARE))

    def _extent(self, place: int, sample_bytes: int) -> tuple[int, int]:
        table = self._table
        head_bytes = int(self._first.head_bytes * _MARGIN) + 64
        offset = table.offsets[place]
        return offset, min(head_bytes + sample_bytes, table.end_of(place) - offset)

    def _fragment_from(self, offset: int, end: int) -> Fragment | None:
        """The first fragment from a place on and before `end`.

        Those that are damaged are passed over, up to where the index goes on.
        """
        table = self._table
        while True:
            try:
                return table.fragment_at(offset)
            except OddFragments:
                table.lose(offset)
                following = bisect_right(table.offsets, offset)
                if following == len(table.offsets) or table.offsets[following] >= end:
                    return None
                offset = table.offsets[following]

    def _keyframe_in(self, place: int, pts: int) -> tuple[Fragment, int] | None:
        """The last keyframe that is shown at or before a time, of the fragments of one entry of the index."""
        table = self._table
        best: tuple[int, Fragment, int] | None = None
        # before the index's first entry there may be fragments, too
        offset = table.offsets[place] if place else table.first
        end = table.end_of(place)
        while offset < end and (fragment := self._fragment_from(offset, end)) is not None:
            for index, sample in enumerate(fragment.samples):
                if sample.is_keyframe and sample.pts <= pts and (best is None or sample.pts >= best[0]):
                    best = sample.pts, fragment, index
            offset = fragment.end
        return best[1:] if best is not None else None


def open_fragmented(
    source: ByteSource, layout: Layout, stream_index: int | None = None
) -> VideoReader | None:
    """A reader that follows the index of the fragments; None where the file has none, or libav sees it otherwise.

    Raises MediaError as `VideoReader` does, and SourceError.
    """
    facts = read_facts(source, layout)
    videos = [track for track in facts.tracks.values() if track.handler == "vide" and not track.encrypted]
    if len(videos) != 1 or facts.encrypted_in_fragment or videos[0].table is not None:
        return None
    table = read_fragment_table(source, layout, videos[0])
    if table is None:
        return None
    try:
        first = table.fragment_at(table.first)
        for _ in range(_FIRST_FRAGMENTS):
            if first is None or first.samples:
                break
            first = table.fragment_at(first.end)
    except OddFragments:
        return None
    if first is None or not first.samples or not first.samples[0].is_keyframe:
        return None
    try:
        reader = IndexedReader(PrefixSource(source, first.end), stream_index)
    except MediaError:
        # all of it may be more than its beginning
        return None
    if reader.stream.id != videos[0].track_id or not _is_libavs_view(reader, first, table.timescale):
        reader.close()
        return None
    reader.source = source
    reader.follow(FragmentFeed(table, first))
    return reader


def _is_libavs_view(reader: VideoReader, first: Fragment, timescale: int) -> bool:
    """Whether libav finds the first fragment's samples where we do, and shows the first one when we do."""
    if reader.codec_name not in TABLE_CODECS or Fraction(1, timescale) != reader.time_base:
        return False
    entries = [reader.stream.index_entries[k] for k in range(len(reader.stream.index_entries))]
    found = [(entry.pos, entry.size, entry.is_keyframe) for entry in entries]
    packet = reader.next_packet()
    return (
        found == [(sample.offset, sample.size, sample.is_keyframe) for sample in first.samples]
        and packet is not None
        and packet.pts == first.samples[0].pts
    )
