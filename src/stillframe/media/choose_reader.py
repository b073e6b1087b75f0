"""The reader that a source is read with: here the plans for reading few bytes are chosen."""

from __future__ import annotations

import threading

from stillframe.media.boxes import read_mp4
from stillframe.media.packets import PacketFeed
from stillframe.media.probe import Probe
from stillframe.media.reader import VideoReader
from stillframe.media.source import ByteSource
from stillframe.media.table_feed import TableFeed


def open_reader(source: ByteSource, probe: Probe) -> VideoReader:
    """A reader of the video that was probed. Raises MediaError, and SourceError when it is unreadable."""
    return VideoReader(source, probe.stream_index)


class Readers:
    """The readers of one video, which share what is known of its packets. Safe to use from several threads.

    reader = Readers(source, survey.probe).open()
    """

    def __init__(self, source: ByteSource, probe: Probe) -> None:
        self._source = source
        self._probe = probe
        self._lock = threading.Lock()
        self._feed: PacketFeed | None = None

    def open(self) -> VideoReader:
        """A new reader. Raises MediaError, and SourceError when the source is unreadable."""
        return self.prepared(open_reader(self._source, self._probe))

    def prepared(self, reader: VideoReader) -> VideoReader:
        """A reader that is open, made to read as the plan says."""
        if self._probe.packets_from == "table":
            with self._lock:
                self._feed = self._feed or reader.packet_feed or self._table_feed(reader)
                feed = self._feed
            if reader.packet_feed is None and feed is not None:
                reader.follow(feed.another())
        return reader

    def _table_feed(self, reader: VideoReader) -> TableFeed | None:
        boxes = read_mp4(self._source)
        track = boxes.tracks.get(reader.stream.id) if boxes is not None else None
        return TableFeed(self._source, track.table) if track is not None and track.table is not None else None
