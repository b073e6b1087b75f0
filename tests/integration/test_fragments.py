"""Fragmented MP4s by their own index: sample by sample what libav demuxes, and libav where the index has lied."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from taking import Taken

from stillframe import MemorySink, SnapshotConfig, shoot
from stillframe.media import reader_kinds
from stillframe.media.boxes import find_index
from stillframe.media.fragment_feed import FragmentFeed, open_fragmented
from stillframe.media.fragments import OddFragments
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
    """Pictures 24 to 35 were in it: the one before them may stand for the first of them, and says so."""
    taken = _take(spoil(videos.fragmented(tmp_path, mfra=False).path.read_bytes()))
    assert taken.seen == [0, 6, 12, 18, 23, 37, 43]
    assert taken.statuses == ["taken"] * 4 + ["replaced", "missing"] + ["taken"] * 2
    assert "damaged" in str(taken.report.shots[5].reason)


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


def _behind_first_fragment(data: bytes, tail: list[bytes]) -> bytes:
    """The first fragment, these pieces in place of the others, and a sidx that tells of each of them."""
    sidx, moof = data.index(b"sidx") - 4, data.index(b"moof") - 4
    end = data.index(b"moof", moof + 8) - 4
    track, timescale = struct.unpack_from(">II", data, sidx + 12)
    pieces = [end - moof, *map(len, tail)]
    index = struct.pack(">IIIQQHH", 1 << 24, track, timescale, 0, 0, 0, len(pieces))
    index += b"".join(struct.pack(">III", length, 6144, 0) for length in pieces)
    index = struct.pack(">I4s", 8 + len(index), b"sidx") + index
    return data[:sidx] + index + data[moof:end] + b"".join(tail)


class _CountedReads(MemorySource):
    reads = 0

    def read_at(self, offset: int, length: int) -> bytes:
        self.reads += 1
        return super().read_at(offset, length)


@pytest.mark.parametrize("kind", [b"moof", b"mdat"])
def test_fragments_without_pictures_are_passed_over_once(tmp_path: Path, kind: bytes) -> None:
    empty = [struct.pack(">I4s", 8, kind)] * 400
    source = _CountedReads(_behind_first_fragment(videos.fragmented(tmp_path).path.read_bytes(), empty))
    feed = _feed(source)
    source.reads = 0
    with contextlib.suppress(OddFragments):
        feed.end_pts()
    assert feed.seek(1 << 40)
    assert source.reads < 8 * len(empty)


def _feed(source: MemorySource) -> FragmentFeed:
    layout = find_index(source)
    assert layout is not None
    reader = open_fragmented(source, layout)
    assert reader is not None
    assert isinstance(reader.packet_feed, FragmentFeed)
    return reader.packet_feed


def _fragment(track: int, samples: int, time: int) -> bytes:
    """One whose samples take no room in it."""
    tfhd = struct.pack(">I4sIIIII", 28, b"tfhd", 0x20038, track, 512, 0, 0x1010000)
    tfdt = struct.pack(">I4sIQ", 20, b"tfdt", 1 << 24, time)
    trun = struct.pack(">I4sIIi", 20, b"trun", 1, samples, 100)
    traf = struct.pack(">I4s", 8 + len(tfhd + tfdt + trun), b"traf") + tfhd + tfdt + trun
    return struct.pack(">I4s", 8 + len(traf), b"moof") + traf + struct.pack(">I4s", 108, b"mdat") + bytes(100)


@pytest.mark.parametrize(("samples", "time"), [(100_000, 6144), (1, (1 << 64) - 1)])
def test_what_no_fragment_holds_is_not_believed(tmp_path: Path, samples: int, time: int) -> None:
    data = _behind_first_fragment(
        videos.fragmented(tmp_path).path.read_bytes(), [_fragment(1, samples, time)]
    )
    feed = _feed(MemorySource(data))
    with pytest.raises(OddFragments):
        feed.end_pts()
