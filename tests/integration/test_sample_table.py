"""The sample tables say what libav's own demuxer gives, sample by sample: times, keyframes, places, sizes.

Over the generated MP4 clips, and over the sample videos where they lie beside the checkout.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from av.packet import Packet
from av.video.stream import VideoStream
from sample_references import MEDIA

from clips import MadeClip
from stillframe.errors import StillframeError
from stillframe.media.boxes import read_mp4
from stillframe.media.reader import VideoReader
from stillframe.media.sample_table import SampleTable
from stillframe.media.source import FileSource
from stillframe.media.table_feed import TableFeed
from stillframe.testing import videos

SAMPLE_FILES = (
    sorted(path for path in MEDIA.rglob("*") if path.suffix in (".mp4", ".mov", ".m4v", ".3gp"))
    if MEDIA.is_dir()
    else []
)


@pytest.fixture(params=sorted(videos.PLAYABLE))
def clip_path(request: pytest.FixtureRequest, made_clip: MadeClip) -> Path:
    return made_clip(request.param).path


def test_a_clips_table_is_what_libav_demuxes(clip_path: Path) -> None:
    _compare(clip_path)


@pytest.mark.parametrize("path", SAMPLE_FILES, ids=lambda path: path.name)
def test_a_samples_table_is_what_libav_demuxes(path: Path) -> None:
    _compare(path)


def test_most_clips_in_mp4_have_a_table(made_clip: MadeClip) -> None:
    """The comparison above is not of nothing."""
    assert sum(any(_tables(made_clip(name).path)) for name in videos.PLAYABLE) >= 20


def _compare(path: Path) -> None:
    for reader, table in _tables(path):
        packets = list(itertools.islice(reader.demux(reader.stream), 5_000))
        complete = [packet for packet in packets if packet.pos is not None and packet.pos >= 0]
        for sample, packet in enumerate(complete):
            assert table.pts(sample) == packet.pts, f"sample {sample}"
            assert table.offset(sample) == packet.pos, f"sample {sample}"
            readable = min(table.sizes[sample], table.file_size - table.offset(sample))
            assert readable == packet.size, f"sample {sample}"
        flagged = {sample for sample, packet in enumerate(complete) if packet.is_keyframe}
        assert {sample for sample in table.keyframes if sample < len(complete)} <= flagged
        _compare_feed(TableFeed(reader.source, table), complete)
        _compare_lookups(table)


def _compare_feed(feed: TableFeed, packets: list[Packet[VideoStream]]) -> None:
    """What is read straight from the table's places is what libav's demuxer reads."""
    for sample, packet in enumerate(packets):
        stored = feed.next_packet()
        assert stored is not None, f"sample {sample}"
        assert (stored.pts, stored.is_discard) == (packet.pts, packet.is_discard), f"sample {sample}"
        assert stored.is_corrupt == packet.is_corrupt, f"sample {sample}"
        # libav takes fewer for disposable: it believes the file as far as its parsers agree
        assert stored.is_disposable >= packet.is_disposable, f"sample {sample}"
        if sample < 100 or packet.is_keyframe:
            assert bytes(stored.load()) == bytes(packet), f"sample {sample}"


def _compare_lookups(table: SampleTable) -> None:
    """What is looked up is what going through all samples finds."""
    number = min(table.number, 2_000)
    samples = range(table.number)
    times = [table.pts(sample) for sample in samples]
    shown = sorted(samples, key=lambda sample: times[sample])
    assert table.first_pts == times[shown[0]]
    assert table.end_pts >= times[shown[-1]] + 1
    for place in range(0, number, max(number // 50, 1)):
        sample = shown[place]
        after = times[shown[place + 1]] if place + 1 < table.number else times[sample] + 1
        for moment in {times[sample], after - 1} - {times[sample] - 1}:
            before = (key for key in table.keyframes if key <= sample and times[key] <= times[sample])
            first = max(before, default=0)
            needed = range(first, sample + 1)
            start = min(map(table.offset, needed))
            end = max(table.offset(k) + table.sizes[k] for k in needed)
            assert table.decoding_extent(moment) == (start, end - start)
    for sample in table.keyframes[:number]:
        if times[sample] in table.keyframe_times and times.count(times[sample]) == 1:
            assert table.keyframe_extent(times[sample]) == (table.offset(sample), table.sizes[sample])


def _tables(path: Path) -> Iterator[tuple[VideoReader, SampleTable]]:
    """The video's reader and table, where the file has a table that counts in the reader's ticks."""
    source = FileSource(path)
    try:
        boxes = read_mp4(source)
        try:
            reader = VideoReader(source)
        except StillframeError:
            return
        try:
            track = boxes.tracks.get(reader.stream.id) if boxes is not None and not boxes.fragmented else None
            if track is not None and track.table is not None:
                yield reader, track.table
        finally:
            reader.close()
    finally:
        source.close()
