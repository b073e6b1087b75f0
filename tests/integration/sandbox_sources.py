"""Children that do one thing with their source, and tell of it. Run by test_sandbox_sources.py."""

from __future__ import annotations

import errno
import os
import socket
import time

import msgspec

from stillframe.sandbox.channel import Channel
from stillframe.sandbox.wire import MESSAGE, Failure, Kind


def tell_whether_it_could_write(connection: socket.socket, video: int | None) -> None:
    """A write of nothing changes nothing, and is refused for a descriptor that is for reading."""
    channel = Channel(connection)
    channel.frame(0)
    assert video is not None
    try:
        os.write(video, b"")
        came = "it could"
    except OSError as error:
        came = errno.errorcode[error.errno or 0]
    channel.send(Kind.FAILED, msgspec.json.encode(Failure("SourceError", came)))
    channel.frame(0)


def ask_twice_by_one_number(connection: socket.socket, video: int | None) -> None:
    """Ask for other bytes by a number whose first answer is still awaited."""
    Channel(connection).frame(0)
    for offset in (0, 16):
        connection.sendall(MESSAGE.pack(Kind.READ, 1, offset, 16, 0))
    while True:
        time.sleep(60)
