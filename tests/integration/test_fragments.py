"""Fragmented MP4s by their own index: sample by sample what libav demuxes, and libav where the index has lied."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from taking import Taken

from stillframe import MemorySink, SnapshotConfig, shoot
from stillframe.media import reader_kinds
from stillframe.media.fragment_feed import FragmentFeed
from stillframe.media.probe import open_and_probe
from stillframe.media.reader import VideoReader
from stillframe.media.source import MemorySource
from stillframe.testing import Clip, videos

INDEXED = {"sidx": {"mfra": False}, "mfra": {"sidx": False}, "both": {}}


@pytest.mark.parametrize("kind", [*INDEXED])
def test_every_sample_is_what_libav_demuxes(tmp_path: Path, kind: str) -> None:
    source = MemorySource(videos.fragmented(tmp_path, **INDEXED[kind]).path.read_bytes())
    reader, _, probe = open_and_probe(source)
    assert probe.packets_from == "fragments"
    assert isinstance(reader.packet_feed, FragmentFeed)
    feed = reader.packet_feed.another()
    demuxed = VideoReader(source)
    for packet in demuxed.demux(demuxed.stream):
        stored = feed.next_packet()
        assert stored is not None
        assert (stored.pts, stored.dts, stored.duration) == (packet.pts, packet.dts, packet.duration)
        assert (stored.is_keyframe, bytes(stored.load())) == (packet.is_keyframe, bytes(packet))
    assert feed.next_packet() is None


def test_without_an_index_libav_reads(tmp_path: Path) -> None:
    source = MemorySource(videos.fragmented(tmp_path, sidx=False, mfra=False).path.read_bytes())
    _, _, probe = open_and_probe(source)
    assert probe.packets_from == "container"


def _without_third_moof(data: bytes) -> bytes:
    place = -1
    for _ in range(3):
        place = data.index(b"moof", place + 1)
    return data[:place] + b"free" + data[place + 4 :]


def _sample_far_away(data: bytes) -> bytes:
    """The third fragment's pictures lie behind the file."""
    place = -1
    for _ in range(3):
        place = data.index(b"trun", place + 1)
    # version and flags, number of samples, then where the data begins
    return data[: place + 12] + struct.pack(">i", 1 << 30) + data[place + 16 :]


def _sidx_of_a_part(data: bytes) -> bytes:
    """The index ends before the last fragment."""
    # of version 1: kind, version and flags, track, timescale, time, distance, and two bytes that are reserved
    place = data.index(b"sidx") + 4 + 4 + 4 + 4 + 8 + 8 + 2
    (number,) = struct.unpack_from(">H", data, place)
    return data[:place] + struct.pack(">H", number - 1) + data[place + 2 :]


def _sidx_beyond_the_end(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


@pytest.mark.parametrize("spoil", [_without_third_moof, _sample_far_away])
def test_a_fragment_that_is_damaged_costs_its_own_pictures(
    tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    """Pictures 24 to 35 were in it: the one before them is the last that is known of."""
    taken = _take(spoil(videos.fragmented(tmp_path, mfra=False).path.read_bytes()))
    assert taken.seen == [0, 6, 12, 18, 23, 23, 37, 43]


@pytest.mark.parametrize("spoil", [_sidx_of_a_part, _sidx_beyond_the_end])
def test_an_index_that_lies_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[bytes], bytes]
) -> None:
    """The pictures are those that libav finds when it reads the file by itself."""
    spoilt = spoil(videos.fragmented(tmp_path, mfra=False).path.read_bytes())
    seen = _take(spoilt).seen
    monkeypatch.setattr(reader_kinds, "open_fragmented", lambda *_: None)
    assert seen == _take(spoilt).seen


def _take(content: bytes) -> Taken:
    config = SnapshotConfig(count=8, frame_type="normal", allow_missing=100)
    sink = MemorySink("{Count}.png", config)
    return Taken(shoot(MemorySource(content), sink, config, threads=1), sink.files)


def test_the_pictures_are_those_of_the_plain_file(tmp_path: Path) -> None:
    clip: Clip = videos.fragmented(tmp_path)
    for frame_type in ("intra", "normal"):
        config = SnapshotConfig(count=7, frame_type=frame_type)
        plain, indexed = MemorySink("{Count}.png", config), MemorySink("{Count}.png", config)
        data = clip.path.read_bytes()
        report = shoot(MemorySource(data), indexed, config, threads=2)
        shoot(MemorySource(_without_index(data)), plain, config, threads=1)
        assert report.ok
        assert indexed.files == plain.files


def _without_index(data: bytes) -> bytes:
    for kind in (b"sidx", b"mfra"):
        place = data.index(kind)
        data = data[:place] + b"free" + data[place + 4 :]
    return data
