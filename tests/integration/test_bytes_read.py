"""What is read of an MP4 that lies far away: its index, what the shots need, and next to nothing else.

The bounds are those of the table plan: at most the index and 1.1 times the samples that are decoded, a request for each
run of them. Where a fragment's samples lie is only known when it is there: a part of it is read with its index.
What is needed is reckoned from libav's demux of the whole file, and the pictures' numbers are read back.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from taking import Taken

from away import AwaySource
from stillframe import MemorySink, Report, SnapshotConfig, shoot
from stillframe.sandbox.parent import Sandbox
from stillframe.testing import Clip, barcode
from stillframe.testing.videos.encoding import Picture, make

FPS, GOP, FRAMES = 10, 20, 100
KIB = 1 << 10
HEAD_BYTES = 64 * KIB
BLOCK_BYTES = 4 * KIB
MARGIN = 1.1
FRAGMENT_SHARE = 0.4
FRAGMENTS = "frag_keyframe+empty_moov+default_base_moof"
#: how the same film lies in its file: movflags of libav's muxer
KINDS = {
    "index at the end": "",
    "index in front": "faststart",
    "fragments and sidx": f"{FRAGMENTS}+global_sidx+skip_trailer",
    "fragments and mfra": FRAGMENTS,
}


@dataclass(frozen=True)
class Sample:
    """One packet of the film, as libav demuxes it from the whole file."""

    pts: int
    size: int
    is_keyframe: bool


@dataclass(frozen=True)
class Film:
    """A film whose keyframes are large, its samples in decode order, and the bytes that are neither."""

    content: bytes
    samples: tuple[Sample, ...]
    index_bytes: int

    def keyframe_bytes(self) -> list[int]:
        return [sample.size for sample in self.samples if sample.is_keyframe]

    def exact_bytes(self, number: int) -> int:
        """Of what must be read for a picture: from its keyframe on, in decode order."""
        first = number // GOP * GOP
        shown = sorted(range(len(self.samples)), key=lambda k: self.samples[k].pts)
        return sum(sample.size for sample in self.samples[first : shown[number] + 1])


def _grainy(number: int, width: int, height: int) -> Picture:
    """A numbered picture that takes many bytes."""
    grain = np.random.default_rng(7).integers(-60, 61, (height, width, 3), dtype=np.int16)
    picture: Picture = np.clip(barcode.draw(number, width, height) + grain, 0, 255).astype(np.uint8)
    return picture


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    path = tmp_path_factory.mktemp("encoded") / "film.mp4"
    return make(path, frames=FRAMES, fps=FPS, gop=GOP, bframes=2, width=480, height=270, draw=_grainy)


@pytest.fixture(scope="module", params=[*KINDS])
def film(encoded: Clip, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Film:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    options = {"movflags": KINDS[request.param]} if KINDS[request.param] else {}
    with av.open(str(encoded.path)) as container, av.open(str(path), "w", options=options) as copy:
        stream = copy.add_stream_from_template(container.streams.video[0])
        packets = [packet for packet in container.demux(video=0) if packet.size]
        samples = tuple(Sample(packet.pts or 0, packet.size, packet.is_keyframe) for packet in packets)
        for packet in packets:
            packet.stream = stream
            copy.mux(packet)
    assert min(sample.size for sample in samples if sample.is_keyframe) > 60 * KIB
    content = path.read_bytes()
    return Film(content, samples, len(content) - sum(sample.size for sample in samples))


@pytest.fixture(scope="module", params=["here", "sandbox"])
def box(request: pytest.FixtureRequest) -> Iterator[Sandbox | bool]:
    if request.param == "here":
        yield False
    else:
        request.getfixturevalue("sandbox_holds")
        with Sandbox() as made:
            yield made


class LateSource(AwaySource):
    """The second keyframe's range is answered once the third shot is done."""

    def __init__(self, content: bytes, done: list[int]) -> None:
        self._done = done
        super().__init__(content)

    def fetch(self, offset: int, length: int) -> bytes:
        data = super().fetch(offset, length)
        deadline = time.monotonic() + 20
        while self._is_late(offset, length) and 2 not in self._done and time.monotonic() < deadline:
            time.sleep(0.005)
        return data

    def _is_late(self, offset: int, length: int) -> bool:
        share = (offset + length / 2) / self.size
        return 0.35 < share < 0.65 and length > 16 * KIB


def _take(film: Film, box: Sandbox | bool, **parameters: Any) -> tuple[AwaySource, Taken]:
    config = SnapshotConfig(**parameters)
    sink = MemorySink("{Count}.jpg", config)
    with AwaySource(film.content) as source:
        report: Report = shoot(source, sink, config, threads=2, sandbox=box)
        assert report.ok
        return source, Taken(report, sink.files)


def _most(film: Film, wanted_bytes: int, runs: int) -> int:
    """The head and the index, in blocks of the cache, and what is wanted; the end, too, of fragments."""
    index_bytes = HEAD_BYTES + film.index_bytes + 2 * BLOCK_BYTES
    if b"moof" in film.content:
        index_bytes += HEAD_BYTES + int(runs * FRAGMENT_SHARE * len(film.content) / (FRAMES / GOP))
    return index_bytes + int(MARGIN * wanted_bytes)


def _requests_besides(film: Film) -> int:
    """For the head, the index, the first picture, what a range was too short for; and for the ends of fragments."""
    return 8 if b"moof" in film.content else 4


def test_every_other_keyframe(film: Film, box: Sandbox | bool) -> None:
    source, taken = _take(film, box, count=3, interval=4, frame_type="intra")
    assert taken.seen == [0, 40, 80]
    assert source.bytes_read <= _most(film, sum(film.keyframe_bytes()[::2]), 3)
    assert len(source.ranges) <= 3 + _requests_besides(film)


@pytest.mark.parametrize("number", [7, 59, 85])
def test_one_exact_frame(film: Film, box: Sandbox | bool, number: int) -> None:
    source, taken = _take(film, box, count=1, time=number * 1000 // FPS, frame_type="normal")
    assert taken.seen == [number]
    # the first picture is looked at whatever is wanted
    assert source.bytes_read <= _most(film, film.exact_bytes(number) + film.samples[0].size, 1)
    assert len(source.ranges) <= 1 + _requests_besides(film)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_avi(tmp_path: Path, codec: str) -> None:
    """libav reads its index when it opens it, and the beginning for what its header does not say."""
    clip = make(
        tmp_path / "film.avi", codec=codec, frames=300, fps=FPS, gop=GOP, width=480, height=270, draw=_grainy
    )
    content = clip.path.read_bytes()
    film = Film(content, (), 0)
    source, taken = _take(film, False, count=3, interval=8, time=4_000, frame_type="intra")
    assert taken.seen == [40, 120, 200]
    assert source.bytes_read <= len(content) / 3
    assert len(source.ranges) <= 16
    source, taken = _take(film, False, count=1, time=15_900, frame_type="normal")
    assert taken.seen == [159]
    assert source.bytes_read <= len(content) / 3 + len(content) * 2 * GOP / 300
    assert len(source.ranges) <= 12


def test_what_has_arrived_is_decoded_first(film: Film, box: Sandbox | bool) -> None:
    """The first keyframe's bytes come last: the others are done by then, and all pictures are right."""
    config = SnapshotConfig(count=3, interval=4, frame_type="intra")
    sink = MemorySink("{Count}.jpg", config)
    order: list[int] = []
    with LateSource(film.content, order) as source:
        report = shoot(
            source, sink, config, threads=1, sandbox=box, on_shot=lambda shot: order.append(shot.index)
        )
    assert Taken(report, sink.files).seen == [0, 40, 80]
    assert order[-1] == 1
    assert sorted(order) == [0, 1, 2]


def test_exact_frames_all_over(film: Film, box: Sandbox | bool) -> None:
    numbers = [5, 45, 85]
    source, taken = _take(film, box, count=3, time=500, interval=4, frame_type="normal")
    assert taken.seen == numbers
    assert source.bytes_read <= _most(film, sum(map(film.exact_bytes, numbers)) + film.samples[0].size, 3)
    assert len(source.ranges) <= 3 + _requests_besides(film)
