"""Which reader a source needs: a playlist's, or by its first bytes."""

from __future__ import annotations

from stillframe.media.avi_reader import AviReader
from stillframe.media.boxes import find_index
from stillframe.media.fragment_feed import open_fragmented
from stillframe.media.guided_reader import CuedReader, FlvReader, MkvReader, TsReader, promises_cues
from stillframe.media.playlist import playlist_of
from stillframe.media.playlist_reader import PlaylistReader
from stillframe.media.reader import VideoReader
from stillframe.media.source import ByteSource
from stillframe.media.table_feed import IndexedReader

_HEAD_BYTES = 4 << 10
_EBML = b"\x1a\x45\xdf\xa3"


def open_reader(source: ByteSource, stream_index: int | None = None) -> VideoReader:
    """A reader of a source. Raises MediaError, and SourceError when it is unreadable."""
    playlist = playlist_of(source)
    if playlist is not None:
        return PlaylistReader(source, playlist, stream_index)
    layout = find_index(source)
    if layout is not None and layout.moof is not None:
        return open_fragmented(source, layout, stream_index) or VideoReader(source, stream_index)
    if layout is not None:
        return IndexedReader(source, stream_index)
    return _kind(source.read_at(0, _HEAD_BYTES))(source, stream_index)


def _kind(head: bytes) -> type[VideoReader]:
    if any(
        head[first : first + 1] == head[first + stride : first + stride + 1] == b"G"
        for first, stride in _GRIDS
    ):
        return TsReader
    if head[:3] == b"FLV":
        return FlvReader
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return AviReader
    if head[:4] == _EBML:
        return CuedReader if promises_cues(head) else MkvReader
    return VideoReader


#: MPEG-TS: where the first packet begins, and how far the next one is from it
_GRIDS = ((0, 188), (4, 192))
