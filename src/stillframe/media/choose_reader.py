"""The reader that a source is read with: here the plans for reading few bytes are chosen."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from stillframe.media.boxes import read_mp4
from stillframe.media.guide import Guide, Wish
from stillframe.media.guided_reader import GuidedReader
from stillframe.media.packets import PacketFeed
from stillframe.media.probe import Probe
from stillframe.media.reader import VideoReader
from stillframe.media.reader_kinds import open_reader
from stillframe.media.search import WINDOW_BYTES
from stillframe.media.source import ByteSource
from stillframe.media.table_feed import TableFeed

#: what a search reads to find its place, and how much around its moment: half a GOP of two seconds
_SEARCH_BYTES = WINDOW_BYTES * 3 // 2
_AROUND_S = 1.0
#: where searches would read more than this share of their part of the file, all of it is read once
_MOST_SEARCHED = 0.5


def is_dense(keyframes: int, moments: int, part_bytes: int, part_s: float) -> bool:
    """Whether a part of a file without an index is better read from front to back than searched.

    So many keyframes whose times are known are wanted of it, and so many moments around which one must be looked for.
    """
    around_bytes = part_bytes * _AROUND_S / part_s if part_s > 0 else 0
    searched = (keyframes + moments) * _SEARCH_BYTES + moments * around_bytes
    return keyframes + moments > 1 and searched > part_bytes * _MOST_SEARCHED


class Readers:
    """The readers of one video, which share what is known of its packets. Safe to use from several threads.

    reader = Readers(source, survey.probe).open()
    """

    def __init__(self, source: ByteSource, probe: Probe) -> None:
        self._source = source
        self._probe = probe
        self._lock = threading.Lock()
        self._feed: PacketFeed | None = None
        self._wishes: list[Wish] = []
        self._guide: Guide | None = None

    def expect(self, wishes: Sequence[Wish]) -> None:
        """These keyframes will be wanted, in this order, where they must be looked for."""
        self._wishes = list(wishes)

    def close(self) -> None:
        """Look for no more keyframes; the readers stay open."""
        with self._lock:
            if self._guide is not None:
                self._guide.forget()

    def open(self, until: int | None = None) -> VideoReader:
        """A new reader (see `prepared`). Raises MediaError, and SourceError when the source is unreadable."""
        return self.prepared(open_reader(self._source, self._probe.stream_index), until)

    def prepared(self, reader: VideoReader, until: int | None = None) -> VideoReader:
        """A reader that is open, made to read as the plan says: with `until` from front to back, up to that time."""
        if self._probe.packets_from == "table":
            with self._lock:
                self._feed = self._feed or reader.packet_feed or self._table_feed(reader)
                feed = self._feed
            if reader.packet_feed is None and feed is not None:
                reader.follow(feed.another())
        if isinstance(reader, GuidedReader):
            self._share_guide(reader)
            reader.read_through(until)
        return reader

    def _share_guide(self, reader: GuidedReader) -> None:
        with self._lock:
            if self._guide is not None:
                reader.share(self._guide)
                return
            self._guide = reader.guide()
            if self._guide is not None and self._wishes:
                self._guide.expect(self._wishes)

    def _table_feed(self, reader: VideoReader) -> TableFeed | None:
        boxes = read_mp4(self._source)
        track = boxes.tracks.get(reader.stream.id) if boxes is not None else None
        return TableFeed(self._source, track.table) if track is not None and track.table is not None else None
