"""What is read of files without an index, or with cues: hard bounds on bytes and requests, and the right pictures.

The film has GOPs of two seconds at 2.2 Mbit/s with keyframes of 130 KB, as the long videos of the benchmark, and is a
third as long as those of ten minutes whose bounds are known: bounds on all of it are theirs.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sample_references import MEDIA

from padded_film import Sizes, film_in, segment_of
from stillframe import MemorySink, Report, SnapshotConfig, shoot
from stillframe.media import reader_kinds
from stillframe.media.guided_reader import GuidedReader
from stillframe.media.reader import VideoReader
from stillframe.media.source import FileSource, MemorySource
from stillframe.storage.range_cache import RangeCache
from stillframe.testing import barcode, videos

FPS, GOP, GOPS = 25, 50, 100
SEGMENT = 5 * GOP
SIZES = Sizes(keyframe=130_000, picture=8_500)
MIB = 1 << 20


class CountedSource:
    """A film behind a cache of ranges; each request is counted."""

    def __init__(self, data: bytes) -> None:
        self.name, self.size, self.identity = "film", len(data), "the one"
        self.asked: list[tuple[int, int]] = []
        self._data = data
        self._threads = ThreadPoolExecutor(16)
        self._cache = RangeCache(self._fetch, self.size, self._threads)
        self._lock = threading.Lock()

    def _fetch(self, offset: int, length: int) -> bytes:
        with self._lock:
            self.asked.append((offset, length))
        return self._data[offset : offset + length]

    def read_at(self, offset: int, length: int) -> bytes:
        return self._cache.read_at(offset, length)

    def prefetch(self, extents: Sequence[tuple[int, int]]) -> None:
        self._cache.prefetch(extents)

    def close(self) -> None:
        self._cache.close()
        self._threads.shutdown()

    @property
    def bytes_asked(self) -> int:
        return sum(length for _, length in self.asked)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bytes]:
    """The film in a container, made when it is first asked for."""
    made: dict[str, bytes] = {}
    folder = tmp_path_factory.mktemp("film")
    segment = segment_of(folder, frames=SEGMENT, fps=FPS, gop=GOP)

    def of(container: str) -> bytes:
        if container not in made:
            made[container] = film_in(container, segment, fps=FPS, turns=GOPS * GOP // SEGMENT, sizes=SIZES)
        return made[container]

    return of


@pytest.fixture
def source(request: pytest.FixtureRequest, film: Callable[[str], bytes]) -> Iterator[CountedSource]:
    counted = CountedSource(film(request.param))
    yield counted
    counted.close()


def pictures(source: object, **parameters: object) -> tuple[Report, list[int]]:
    config = SnapshotConfig(width=192, **parameters)  # type: ignore[arg-type]
    sink = MemorySink("{Count}.png", config)
    report = shoot(source, sink, config, threads=2)  # type: ignore[arg-type]
    files = [Image.open(io.BytesIO(sink.files[name])).convert("RGB") for name in sorted(sink.files)]
    return report, [barcode.read(np.asarray(file)) for file in files]


def keyframe_near(time_ms: int) -> int:
    """The number on the keyframe nearest to a time, the earlier one of two."""
    frame = Fraction(time_ms * FPS, 1000)
    return min(range(0, GOPS * GOP, GOP), key=lambda number: (abs(number - frame), number)) % SEGMENT


def frame_at(time_ms: int) -> int:
    return time_ms * FPS // 1000 % SEGMENT


SEARCHED = ("ts", "mkv without cues", "flv")


@pytest.mark.parametrize(
    ("source", "count", "most_requests", "most_bytes"),
    [(name, 33, 185, 22 * MIB) for name in SEARCHED]
    + [(name, 10, 70, 8 * MIB) for name in SEARCHED]
    + [("mkv", 33, 46, 7 * MIB), ("mkv", 10, 20, int(2.9 * MIB))],
    indirect=["source"],
)
def test_keyframes_cost_little(
    source: CountedSource, count: int, most_requests: int, most_bytes: int
) -> None:
    report, numbers = pictures(source, count=count)
    assert [shot.status for shot in report.shots] == ["taken"] * count
    assert numbers == [keyframe_near(shot.requested_ms) for shot in report.shots]
    assert len(source.asked) <= most_requests
    assert source.bytes_asked <= most_bytes


@pytest.mark.parametrize(
    ("source", "most_requests", "most_bytes"),
    [
        ("ts", 12, int(1.5 * MIB)),
        ("mkv without cues", 12, int(1.5 * MIB)),
        ("mkv", 10, int(1.5 * MIB)),
        # libav looks through the first seconds for sound
        ("flv", 14, 4 * MIB),
    ],
    indirect=["source"],
)
@pytest.mark.parametrize("frame_type", ["intra", "normal"])
def test_one_still_costs_little(
    source: CountedSource, frame_type: str, most_requests: int, most_bytes: int
) -> None:
    time_ms = 100_340
    report, numbers = pictures(source, count=1, time=time_ms, frame_type=frame_type)
    assert report.shots[0].status == "taken"
    assert numbers == [keyframe_near(time_ms) if frame_type == "intra" else frame_at(time_ms)]
    assert len(source.asked) <= most_requests
    assert source.bytes_asked <= most_bytes


@pytest.mark.parametrize(
    ("source", "most_bytes"),
    [*((name, 24 * MIB) for name in SEARCHED), ("mkv", 21 * MIB)],
    indirect=["source"],
)
def test_exact_frames_are_exact_and_nothing_is_read_twice(source: CountedSource, most_bytes: int) -> None:
    report, numbers = pictures(source, count=33, frame_type="normal")
    assert [shot.status for shot in report.shots] == ["taken"] * 33
    assert numbers == [frame_at(shot.requested_ms) for shot in report.shots]
    assert source.bytes_asked <= most_bytes


@pytest.mark.parametrize("source", ["mkv without cues"], indirect=True)
def test_keyframes_that_are_to_be_skipped_are_looked_for_by_the_survey(source: CountedSource) -> None:
    report, numbers = pictures(source, count=200, keyframe_miss="skip")
    kept = [shot for shot in report.shots if shot.status == "taken"]
    # every second of two is a keyframe's within half an interval: those at its edge count as near
    assert len(kept) == len(numbers) >= GOPS - 1
    assert numbers == [keyframe_near(shot.requested_ms) for shot in kept]
    # all of it once, and the keyframes again
    assert source.bytes_asked <= source.size * 1.6


@pytest.mark.parametrize("count", [10, 130])
def test_a_jump_in_the_middle_ends_the_search_and_not_the_job(
    film: Callable[[str], bytes], count: int
) -> None:
    """Somewhere a packet says that times jump, though they do not: libav reads on, and so do we."""
    data = bytearray(film("ts"))
    begins = [
        at
        for at in range(len(data) // 2 // 188 * 188, len(data), 188)
        if data[at + 1] & 0x5F == 0x41 and data[at + 2] == 0 and data[at + 3] & 0x20 and data[at + 4]
    ]
    for at in begins[:60]:
        data[at + 5] |= 0x80
    report, numbers = pictures(MemorySource(bytes(data)), count=count, frame_type="normal")
    assert [shot.status for shot in report.shots] == ["taken"] * count
    assert numbers == [frame_at(shot.requested_ms) for shot in report.shots]


def test_behind_a_hole_libav_goes_on(film: Callable[[str], bytes]) -> None:
    """Blocks are taken out here up to the hole; from there on a container gives them that is opened anew."""
    data = bytearray(film("mkv"))
    cluster = data.index(b"\x1f\x43\xb6\x75", len(data) // 2)
    data[cluster + 150_000 : cluster + 170_000] = bytes(20_000)
    ours = reader_kinds.open_reader(MemorySource(bytes(data)))
    theirs = VideoReader(MemorySource(bytes(data)))
    try:
        expected = [packet.pts for packet in iter(theirs.next_packet, None)]
        moment_ms = ours.nearest_keyframe(len(expected) // 2 * 1000 // FPS, None)
        assert moment_ms is not None
        assert ours.seek(moment_ms - GOP * 1000 // FPS)
        container = ours.container
        assert [packet.pts for packet in iter(ours.next_packet, None)] == expected[
            expected.index(moment_ms - GOP * 1000 // FPS) :
        ]
        assert ours.container is not container
    finally:
        ours.close()
        theirs.close()


SAMPLES = ("black/bbb_2500ms.ts", "flv/sample.flv", "mkv/sample.mkv", "vp9/test-vp9.webm")


def sample_files() -> list[object]:
    files = sorted(
        str(path.relative_to(MEDIA))
        for path in MEDIA.rglob("*")
        if path.suffix in (".ts", ".mts", ".flv", ".mkv", ".webm")
    )
    return [pytest.param(file, marks=() if file in SAMPLES else (pytest.mark.full,)) for file in files]


@pytest.mark.skipif(not MEDIA.is_dir(), reason="the sample videos are not beside this checkout")
@pytest.mark.parametrize("file", sample_files())
def test_samples_give_the_pictures_that_libav_seeks_out(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def outcome(**parameters: object) -> object:
        config = SnapshotConfig(width=96, **parameters)  # type: ignore[arg-type]
        sink = MemorySink("{Count}.png", config)
        try:
            report = shoot(MEDIA / file, sink, config, threads=2)
        except Exception as error:
            return str(error)
        return [(shot.actual_pts, shot.status, shot.keyframe) for shot in report.shots], sink.files

    asked: list[dict[str, object]] = [
        {"count": 9},
        {"count": 9, "frame_type": "normal"},
        {"count": 1, "time": 1234},
        {"count": 11, "keyframe_miss": "skip"},
    ]
    ours = [outcome(**parameters) for parameters in asked]
    reader = reader_kinds.open_reader(FileSource(MEDIA / file)) if isinstance(ours[0], tuple) else None
    assert reader is None or isinstance(reader, GuidedReader)
    monkeypatch.setattr(reader_kinds, "_kind", lambda head: VideoReader)
    assert ours == [outcome(**parameters) for parameters in asked]


@pytest.mark.parametrize("time", [(1 << 63) - 1, (1 << 64) - 1])
def test_a_cluster_at_an_impossible_time_is_left_to_libav(tmp_path: Path, time: int) -> None:
    data = videos.mkv_without_cues(tmp_path).path.read_bytes()
    cluster = data.rindex(b"\x1f\x43\xb6\x75")
    ticks = data.index(b"\xe7\x82", cluster)
    # of unknown length
    spoilt = data[: cluster + 4] + b"\x01" + b"\xff" * 7 + b"\xe7\x88" + time.to_bytes(8, "big")
    config = SnapshotConfig(count=3, frame_type="normal")
    assert shoot(MemorySource(spoilt + data[ticks + 4 :]), MemorySink("{Count}.png", config), config).ok
