"""Shots that lie close together in a file without an index, far away: it is read once, from front to back.

Between two shots of 1.5 s, in GOPs of two, more than half would be read by searches. A keyframe is near every second
shot or so; the others show exact frames.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from away import AwaySource
from padded_film import Sizes, film_in, segment_of
from stillframe import MemorySink, Report, SnapshotConfig, shoot
from stillframe.media import reader_kinds
from stillframe.media.plan import Stretch
from stillframe.media.reader import VideoReader
from stillframe.media.render import render
from stillframe.media.source import MemorySource
from stillframe.media.survey import survey
from stillframe.testing import barcode

FPS, GOP, TURNS = 25, 50, 5
SEGMENT = 5 * GOP
SECONDS = TURNS * SEGMENT // FPS
STEP_MS, SHOTS = 1500, 33
#: three times what the cache keeps
SIZES = Sizes(keyframe=130_000, picture=20_000)
MIB = 1 << 20
CONTAINERS = ("ts", "mkv without cues", "flv")
#: what is read to open the file and to find where the threads begin; in FLV, libav looks for sound in some seconds
OPENING_BYTES, OPENING_REQUESTS = {"ts": MIB, "mkv without cues": MIB, "flv": 5 * MIB}, 48

Film = Callable[[str], bytes]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    """The film in a container, made when it is first asked for."""
    made: dict[str, bytes] = {}
    segment = segment_of(tmp_path_factory.mktemp("film"), frames=SEGMENT, fps=FPS, gop=GOP)

    def of(container: str) -> bytes:
        if container not in made:
            made[container] = film_in(container, segment, fps=FPS, turns=TURNS, sizes=SIZES)
        return made[container]

    return of


def config_of(frame_type: str) -> SnapshotConfig:
    return SnapshotConfig(width=192, frame_type=frame_type, interval_ms=STEP_MS, count=SHOTS)  # type: ignore[arg-type]


def number_at(time_ms: int, frame_type: str) -> int:
    """The number on the picture of a shot: that of a keyframe within half an interval, or of the exact frame."""
    frame = Fraction(time_ms * FPS, 1000)
    near = min(range(0, SECONDS * FPS, GOP), key=lambda number: (abs(number - frame), number))
    reach = Fraction(STEP_MS * FPS, 2000)
    return (near if frame_type == "intra" and abs(near - frame) <= reach else int(frame)) % SEGMENT


def numbers_on(files: dict[str, bytes]) -> list[int]:
    return [
        barcode.read(np.asarray(Image.open(io.BytesIO(files[name])).convert("RGB"))) for name in sorted(files)
    ]


def taken(source: object, frame_type: str, threads: int) -> tuple[Report, dict[str, bytes]]:
    config = config_of(frame_type)
    sink = MemorySink("{Count}.png", config)
    return shoot(source, sink, config, threads=threads), dict(sink.files)  # type: ignore[arg-type]


@pytest.mark.parametrize("frame_type", ["intra", "normal"])
@pytest.mark.parametrize("container", CONTAINERS)
def test_all_of_the_file_is_read_once(
    film: Film, container: str, frame_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = film(container)
    made = []
    for threads in (1, 2):
        with AwaySource(content) as source:
            report, files = taken(source, frame_type, threads)
        assert [shot.status for shot in report.shots] == ["taken"] * SHOTS
        assert numbers_on(files) == [number_at(shot.requested_ms, frame_type) for shot in report.shots]
        assert source.bytes_read <= len(content) * 1.05, threads
        assert len(source.ranges) <= len(content) / MIB + OPENING_REQUESTS, threads
        made.append(files)
    monkeypatch.setattr(reader_kinds, "_kind", lambda head: VideoReader)
    _, plainly = taken(MemorySource(content), frame_type, 1)
    assert made == [plainly, plainly]


@pytest.mark.parametrize("container", CONTAINERS)
def test_of_a_stretch_only_its_part_is_read(film: Film, container: str) -> None:
    threads = 2
    content = film(container)
    config = config_of("intra")
    with AwaySource(content) as source:
        found = survey(source, config)
    first, last = 12, 23
    sink = MemorySink("{Count}.png", config)
    with AwaySource(content) as source:
        made = render(found, Stretch(first, last, 1.0), source, sink, threads=threads)
    assert numbers_on(sink.files) == [number_at(shot.requested_ms, "intra") for shot in made.shots]
    # from the keyframe before the first shot to the one behind the last; where two threads meet, both read a GOP
    part_s = (last - first) * STEP_MS / 1000 + (threads + 1) * GOP / FPS
    assert source.bytes_read <= len(content) * part_s / SECONDS * 1.05 + OPENING_BYTES[container]
    assert len(source.ranges) <= len(content) * part_s / SECONDS / MIB + OPENING_REQUESTS
