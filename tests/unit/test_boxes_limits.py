"""An MP4 whose index lies behind many boxes is read all the same; one that is too large is refused as that."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from PIL import Image

from stillframe import FileSource, MediaError, MemorySink, MemorySource, SnapshotConfig, shoot
from stillframe.errors import ConfigError
from stillframe.media.boxes import MAX_MOOV_BYTES
from stillframe.media.encode import encode
from stillframe.media.probe import probe
from stillframe.testing import videos

FREE = struct.pack(">I4s", 8, b"free")


def test_a_moov_behind_thousands_of_boxes(tmp_path: Path) -> None:
    data = videos.make(tmp_path / "movie.mp4", frames=20).path.read_bytes()
    moov = data.index(b"moov") - 4
    assert data.index(b"mdat") < moov
    config = SnapshotConfig(count=4, frame_type="normal")
    made = []
    for filler in (b"", FREE * 2_500):
        sink = MemorySink("{Count}.png", config)
        report = shoot(MemorySource(data[:moov] + filler + data[moov:]), sink, config)
        assert report.ok
        made.append(sink.files)
    assert len(made[0]) == 4
    assert made[0] == made[1]


def test_boxes_without_end(tmp_path: Path) -> None:
    with pytest.raises(MediaError) as caught:
        probe(MemorySource(struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 0) + FREE * 5_000))
    assert "moov" not in str(caught.value)


def test_a_moov_that_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "huge.mp4"
    with path.open("wb") as file:
        file.write(struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 0))
        file.write(struct.pack(">I4s", MAX_MOOV_BYTES + (16 << 20), b"moov"))
        file.truncate(16 + MAX_MOOV_BYTES + (16 << 20))
    with (
        FileSource(path) as source,
        pytest.raises(MediaError, match="has 272 MiB, more than the 256 allowed") as caught,
    ):
        probe(source)
    assert caught.value.reason == "too-large"


@pytest.mark.parametrize("size", [(65_501, 1), (1, 65_501)])
def test_a_picture_that_is_too_large_for_jpeg(size: tuple[int, int]) -> None:
    width, height = size
    picture = Image.new("RGB", size)
    with pytest.raises(ConfigError, match=f"{width}x{height}.*at most 65500 pixels a side for JPEG"):
        encode(picture, "jpeg", 85)
    assert encode(picture, "png", 85).startswith(b"\x89PNG")
    largest = picture.crop((0, 0, min(width, 65_500), min(height, 65_500)))
    assert encode(largest, "jpeg", 85).startswith(b"\xff\xd8")
