"""A read that fails says whether it is worth another try: the same for who has opened a file, and for its child."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from stillframe import FileSource, MemorySource, SourceError
from stillframe.media.reader import VideoReader
from stillframe.media.source import ByteSource
from stillframe.sandbox.channel import Channel, DescriptorSource
from stillframe.testing import videos


@pytest.fixture(params=[FileSource, DescriptorSource])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ByteSource]:
    path = tmp_path / "x.mp4"
    path.write_bytes(bytes(100))
    ours, theirs = socket.socketpair()
    with ours, theirs, FileSource(path) as opened:
        if request.param is FileSource:
            yield opened
        else:
            yield DescriptorSource(Channel(theirs), opened.fileno(), opened.size)


@pytest.mark.parametrize(
    ("number", "words", "transient"),
    [
        (errno.EIO, "input/output error", True),
        (errno.ESTALE, "stale file handle", True),
        (errno.ETIMEDOUT, "connection timed out", True),
        (errno.ENOMEM, "cannot allocate memory", True),
        (errno.EBADF, "bad file descriptor", False),
        (errno.EACCES, "permission denied", False),
        (errno.EISDIR, "is a folder", False),
    ],
)
def test_a_read_that_fails(
    source: ByteSource, monkeypatch: pytest.MonkeyPatch, number: int, words: str, transient: bool
) -> None:
    def fail(descriptor: int, length: int, offset: int) -> bytes:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(SourceError) as failed:
        source.read_at(7, 16)
    assert failed.value.message == f"reading at byte 7 failed: {words}"
    assert failed.value.transient is transient


class Interrupted(MemorySource):
    """A video of which one read is interrupted; those behind it would wait for ever."""

    def __init__(self, data: bytes, at: int) -> None:
        super().__init__(data)
        self.left = at

    def read_at(self, offset: int, length: int) -> bytes:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        assert self.left > 0
        return super().read_at(offset, length)


def test_ctrl_c_in_a_read(tmp_path: Path) -> None:
    """libav, which reads, knows nothing of it: it goes no further all the same, and who has called it is told."""
    data = videos.make(tmp_path / "x.mkv", frames=100, fps=5, gop=1).path.read_bytes()
    interrupted = 0
    for at in range(1, 1000):
        source = Interrupted(data, at)
        try:
            reader = VideoReader(source)
            for _ in reader.demux(reader.stream):
                pass
            reader.close()
        except KeyboardInterrupt:
            interrupted += 1
        if source.left > 0:
            break
    assert interrupted == at - 1 > 1
