"""Pictures into a bucket: several at a time, the track last, and none that is missing without an error."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from stillframe.errors import ConfigError, SinkError
from stillframe.media.config import SnapshotConfig
from stillframe.media.sink import Item, names_for
from stillframe.storage.bucket import Written
from stillframe.storage.bucket_sink import BucketSink
from stillframe.storage.local import LocalBucket

STILLS = [Item("still", number, 160, 90) for number in range(1, 30)]


class Held(LocalBucket):
    """A bucket that writes when it is let, and not what it is told to refuse; `log` is what it has begun."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.let = threading.Event()
        self.begun = threading.Semaphore(0)
        self.refused: set[str] = set()
        self.log: list[str] = []

    def write(self, key: str, data: bytes, content_type: str) -> Written:
        self.log.append(key)
        self.begun.release()
        assert self.let.wait(10)
        if key in self.refused:
            raise SinkError(key, "is refused")
        return super().write(key, data, content_type)


@pytest.fixture
def bucket(tmp_path: Path) -> Held:
    return Held(tmp_path)


def sink_into(bucket: Held, template: str = "t/{Count}.jpg", kind: str = "Normal") -> BucketSink:
    config = SnapshotConfig(type=kind)  # type: ignore[arg-type]
    return BucketSink(bucket, "s3://films/", names_for(f"s3://films/{template}", config))


def test_several_are_written_at_a_time_and_all_are_there_at_the_end(bucket: Held, tmp_path: Path) -> None:
    with sink_into(bucket) as sink:
        putter = threading.Thread(target=lambda: [sink.put(item, b"%d" % item.index) for item in STILLS])
        putter.start()
        for _ in range(8):
            assert bucket.begun.acquire(timeout=10)
        # what is held in memory is bounded
        assert not bucket.begun.acquire(timeout=0.05)
        bucket.let.set()
        putter.join()
    assert [(tmp_path / f"t/{item.index:05d}.jpg").read_bytes() for item in STILLS] == [
        b"%d" % item.index for item in STILLS
    ]


def test_what_outputs_are_called(bucket: Held) -> None:
    bucket.let.set()
    with sink_into(bucket) as sink:
        output = sink.put(STILLS[0], b"jpeg")
    assert (output.name, output.size_bytes, output.width_px) == ("s3://films/t/00001.jpg", 4, 160)


def test_the_track_is_written_last(bucket: Held) -> None:
    bucket.let.set()
    with sink_into(bucket, "t/x.vtt", "WebVtt") as sink:
        for item in STILLS:
            sink.put(item, b"x")
        sink.put(Item("track", 1), b"WEBVTT\n")
    assert bucket.log[-1] == "t/x.vtt"
    assert len(bucket.log) == len(STILLS) + 1


@pytest.mark.parametrize("refused", [1, len(STILLS)])
@pytest.mark.parametrize("with_track", [True, False])
def test_what_cannot_be_written_is_told(bucket: Held, tmp_path: Path, refused: int, with_track: bool) -> None:
    bucket.let.set()
    bucket.refused = {f"t/x/snapshot-{refused:05d}.jpg"}
    with pytest.raises(SinkError, match="is refused"), sink_into(bucket, "t/x.vtt", "WebVtt") as sink:
        for item in STILLS:
            sink.put(item, b"x")
        if with_track:
            sink.put(Item("track", 1), b"WEBVTT\n")
    assert not (tmp_path / "t/x.vtt").exists()


def test_nothing_is_written_after_an_error(bucket: Held) -> None:
    with pytest.raises(ZeroDivisionError), sink_into(bucket) as sink:
        for item in STILLS[:8]:
            sink.put(item, b"x")
        bucket.let.set()
        raise ZeroDivisionError
    begun = len(bucket.log)
    assert begun <= 8
    with pytest.raises(RuntimeError):
        sink.put(STILLS[8], b"x")
    assert len(bucket.log) == begun


@pytest.mark.parametrize("template", ["../{Count}.jpg", "a/\0.jpg"])
def test_names_that_no_object_can_have(bucket: Held, template: str) -> None:
    with pytest.raises(ConfigError):
        sink_into(bucket, template)
