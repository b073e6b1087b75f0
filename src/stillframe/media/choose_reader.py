"""The reader that a source is read with: here the plans for reading few bytes are chosen."""

from __future__ import annotations

from stillframe.media.probe import Probe
from stillframe.media.reader import VideoReader
from stillframe.media.source import ByteSource


def open_reader(source: ByteSource, probe: Probe) -> VideoReader:
    """A reader of the video that was probed. Raises MediaError, and SourceError when it is unreadable."""
    return VideoReader(source, probe.stream_index)
