"""What a child is given of its source, and what is told when that fails, or changes meanwhile."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stillframe import (
    ChildKilled,
    FileSource,
    MediaError,
    MemorySink,
    MemorySource,
    SnapshotConfig,
    SourceError,
    TooMuchRead,
)
from stillframe.media.meter import ReadLimit
from stillframe.media.source import ByteSource, MeteredSource
from stillframe.sandbox.decoder import Decoder, Work
from stillframe.sandbox.parent import Sandbox
from stillframe.sandbox.unlocked import Unlocked
from stillframe.testing import videos

pytestmark = pytest.mark.usefixtures("sandbox_holds")

CONFIG = SnapshotConfig(count=4, frame_type="normal", width=64)
TEMPLATE = "x-{Count}.jpg"
DEADLINE_S = 60


@pytest.fixture(scope="module", params=[Sandbox, Unlocked])
def decoder(request: pytest.FixtureRequest) -> Iterator[Decoder]:
    with request.param() as made:
        yield made


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A video that was written long ago: a write of now has another time, however coarse the clock is."""
    path = videos.h264_pyramid(tmp_path).path
    os.utime(path, (1e9, 1e9))
    return path


class WritableSource(FileSource):
    """A file that somebody has opened for more than reading."""

    def __init__(self, path: Path) -> None:
        self._hold(os.open(path, os.O_RDWR), str(path))


def test_the_video_is_for_reading_only_however_it_was_opened(video: Path) -> None:
    with (
        Sandbox(entry="sandbox_sources_without_seccomp:tell_whether_it_could_write") as box,
        WritableSource(video) as source,
    ):
        assert os.write(source.fileno(), b"") == 0, "else this would prove nothing"
        with pytest.raises(SourceError) as told:
            box.survey(source, CONFIG)
    assert told.value.message == "EBADF"


class SlowSource(MemorySource):
    """Answers nothing until it is told to, or is asked a second time."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.go_on = threading.Event()
        self.reads: list[int] = []

    def read_at(self, offset: int, length: int) -> bytes:
        self.reads.append(offset)
        if len(self.reads) > 1:
            self.go_on.set()
        self.go_on.wait(DEADLINE_S)
        return super().read_at(offset, length)


def test_a_number_is_taken_until_it_is_answered() -> None:
    source = SlowSource(bytes(64))
    with Sandbox(entry="sandbox_sources:ask_twice_by_one_number") as box:
        try:
            with pytest.raises(ChildKilled, match="number is taken") as killed:
                box.survey(source, CONFIG)
        finally:
            source.go_on.set()
    assert killed.value.reason == "protocol"
    assert source.reads in ([], [0])


@pytest.mark.parametrize("read_by", [lambda source: source, MeteredSource], ids=["the child", "the parent"])
def test_a_fault_of_the_storage_is_told_as_one_that_may_pass(
    decoder: Decoder, read_by: Callable[[ByteSource], ByteSource]
) -> None:
    # the kernel answers EIO where nothing is mapped, and nothing ever is at its start
    with FileSource("/proc/self/mem") as source:
        source.size = 1 << 20
        with pytest.raises(SourceError, match="input/output error") as failed:
            decoder.survey(read_by(source), CONFIG)
    assert failed.value.transient
    assert failed.value.source == "/proc/self/mem"


@pytest.mark.parametrize("before", [0, 5_000])
def test_a_file_is_read_no_further_than_is_allowed(decoder: Decoder, video: Path, before: int) -> None:
    """By whoever reads it: the child has a local file open itself."""
    limit = ReadLimit(10_000, lambda: before)
    with FileSource(video) as source, pytest.raises(TooMuchRead) as told:
        decoder.survey(source, CONFIG, Work(limit=limit))
    assert (told.value.most_bytes, told.value.size) == (10_000, video.stat().st_size)
    assert told.value.source == str(video)
    with FileSource(video) as source:
        assert decoder.survey(source, CONFIG, Work(limit=ReadLimit(10_000_000)))


def write_into(path: Path) -> None:
    """Write over a few bytes of the file as it is, which is as long as before then."""
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")


def survey(decoder: Decoder, source: FileSource) -> None:
    write_into(Path(source.name))
    decoder.survey(source, CONFIG)


def survey_and_render(decoder: Decoder, source: FileSource) -> None:
    work = Work(on_survey=lambda _: write_into(Path(source.name)))
    decoder.survey_and_render(source, CONFIG, MemorySink(TEMPLATE, CONFIG), work)


def render(decoder: Decoder, source: FileSource) -> None:
    found = decoder.survey(source, CONFIG)
    work = Work(on_shot=lambda _: write_into(Path(source.name)))
    decoder.render(found, found.stretches[0], source, MemorySink(TEMPLATE, CONFIG), work)


def refuse(decoder: Decoder, source: FileSource) -> None:
    Path(source.name).write_bytes(b"no video" * 1000)
    decoder.survey(source, CONFIG)


@pytest.mark.parametrize("run", [survey, survey_and_render, render, refuse])
def test_a_file_that_is_written_to_meanwhile_is_refused(
    decoder: Decoder, video: Path, run: Callable[[Decoder, FileSource], None]
) -> None:
    with (
        FileSource(video) as source,
        pytest.raises(SourceError, match="the file has changed since it was surveyed") as refused,
    ):
        run(decoder, source)
    assert refused.value.source == str(video)
    assert not refused.value.transient


def test_a_file_that_stays_is_taken_or_refused_for_what_it_is(decoder: Decoder, video: Path) -> None:
    sink = MemorySink(TEMPLATE, CONFIG)
    with FileSource(video) as source:
        assert decoder.survey_and_render(source, CONFIG, sink).rendered is not None
    assert len(sink.files) == 4
    video.write_bytes(b"no video" * 1000)
    with FileSource(video) as source, pytest.raises(MediaError):
        decoder.survey(source, CONFIG)
