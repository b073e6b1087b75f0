"""Slices of a video that is read over a network: the index of it is read once, and what each needs besides is small."""

from __future__ import annotations

import pytest

from far_film import far_film
from stillframe import MemorySink, SnapshotConfig, TooMuchRead
from stillframe.media import plan
from stillframe.media.config import FrameType
from stillframe.media.meter import ReadLimit
from stillframe.media.report import Stats
from stillframe.sandbox.decoder import Decoder, Work
from stillframe.sandbox.parent import Sandbox
from stillframe.sandbox.unlocked import Unlocked
from stillframe.storage.cached_source import CachedSource

SHOTS = 7


class FarSource(CachedSource):
    """A film in memory, as far away as an object."""

    def __init__(self, data: bytes, where: object) -> None:
        super().__init__("film", len(data), "an etag", store="s3", where=where)
        self._data = data

    def fetch(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]


def read_for(decoder: Decoder, data: bytes, config: SnapshotConfig, where: object) -> list[Stats]:
    """What the survey and each slice have read; each opens the film anew, as tasks do."""
    sink = MemorySink("x-{Count}.jpg", config)
    with FarSource(data, where) as source:
        found = decoder.survey_and_render(source, config, sink, Work())
    costs = [found.stats]
    if found.rendered is None:
        for stretch in found.survey.stretches:
            with FarSource(data, where) as source:
                costs.append(decoder.render(found.survey, stretch, source, sink, Work()).stats)
    assert len(sink.files) == SHOTS
    return costs


@pytest.mark.parametrize(
    ("ending", "frame_type", "frames"),
    [
        (".mp4", "intra", 100),
        (".mp4", "normal", 100),
        (".mkv", "intra", 100),
        # windows around shots that lie close together overlap, which is of the samples and not of an index
        *(
            pytest.param(ending, frame_type, 300, marks=pytest.mark.full)
            for ending in (".mkv", ".ts", ".flv")
            for frame_type in ("intra", "normal")
        ),
    ],
)
def test_slices_read_little_more_than_one_job(
    ending: str, frame_type: FrameType, frames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, decoder = far_film(ending, frames), Unlocked()
    config = SnapshotConfig(count=SHOTS, frame_type=frame_type, width=96)
    one = read_for(decoder, data, config, object())
    assert len(one) == 1
    monkeypatch.setattr(plan, "STRETCH_S", 0.0)
    slices = read_for(decoder, data, config, object())
    assert len(slices) == 1 + SHOTS
    allowed = one[0].bytes_read + 0.005 * len(data) * len(slices)
    assert sum(stats.bytes_read for stats in slices) <= allowed
    # and it is the index that makes the difference
    assert sum(stats.bytes_read for stats in read_for(decoder, data, config, None)) > allowed


@pytest.mark.usefixtures("sandbox_holds")
def test_the_sandbox_reads_as_much_and_no_more_than_it_may() -> None:
    """Its children ask their parent, who has read the index for the first of them."""
    data, config = far_film(), SnapshotConfig(count=1, frame_type="normal", time=9000, width=96)
    where, sink = object(), MemorySink("x.jpg", config)
    with Sandbox() as sandbox:
        read = []
        for _ in range(2):
            with FarSource(data, where) as source:
                found = sandbox.survey_and_render(source, config, sink, Work())
                read.append((found.stats.bytes_read, found.stats.requests))
        most = read[0][0] // 2
        limit = ReadLimit(most)
        with FarSource(data, object()) as source, pytest.raises(TooMuchRead) as told:
            sandbox.survey_and_render(source, config, sink, Work(limit=limit))
    first, second = read
    assert second[0] < first[0] / 2
    assert second[1] < first[1]
    assert (told.value.most_bytes, told.value.size) == (most, len(data))
    assert source.meter.bytes_read <= most
