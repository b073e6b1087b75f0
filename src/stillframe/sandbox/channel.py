"""The child's end of the socket: messages out, frames in, for several threads at once."""

from __future__ import annotations

import os
import socket
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import msgspec

from stillframe.errors import SourceError, may_pass, os_reason
from stillframe.media.playlist import Playlist
from stillframe.sandbox.wire import FRAME, MAX_READ, MESSAGE, NUMBER, SOURCE_IDENTITY, SOURCE_NAME, Kind

#: asked for at a time where a thread reads on and on, so that it asks less often; reached by doubling
_READ_ON_BYTES = 256 << 10


class Channel:
    """Speaks with the parent. The frames come in any order: whichever thread waits first reads for all."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._turn = threading.Condition()
        self._reading = False
        self._frames: dict[int, bytes] = {}
        self._last_read = 0

    def send(self, kind: Kind, payload: bytes = b"", *, number: int = 0, first: int = 0) -> None:
        """Send one message with its payload."""
        head = MESSAGE.pack(kind, number, first, len(payload), 0)
        with self._sending:
            self._connection.sendall(head + payload)

    def ask(self, offset: int, length: int) -> bytes:
        """The bytes of a range, MAX_READ at most."""
        number = self._next_number()
        with self._sending:
            self._connection.sendall(MESSAGE.pack(Kind.READ, number, offset, length, 0))
        return self.frame(number)

    def first_there(self, extents: Sequence[tuple[int, int]]) -> int:
        """The number of the first of these ranges that the parent has; 0 when none is on its way."""
        number = self._next_number()
        self.send(Kind.FIRST, msgspec.json.encode(extents), number=number)
        (first,) = NUMBER.unpack(self.frame(number))
        return int(first)

    def _next_number(self) -> int:
        with self._turn:
            self._last_read += 1
            return self._last_read

    def frame(self, number: int) -> bytes:
        """Wait for the frame of a number: 0 is the request, and the word to go on."""
        while True:
            with self._turn:
                self._turn.wait_for(lambda: number in self._frames or not self._reading)
                if number in self._frames:
                    return self._frames.pop(number)
                self._reading = True
            try:
                came, data = self._read_frame()
                with self._turn:
                    self._frames[came] = data
            finally:
                with self._turn:
                    self._reading = False
                    self._turn.notify_all()

    def _read_frame(self) -> tuple[int, bytes]:
        number, length = FRAME.unpack(self._receive(FRAME.size))
        return number, bytes(self._receive(length))

    def _receive(self, length: int) -> bytearray:
        data = bytearray(length)
        view, done = memoryview(data), 0
        while done < length:
            got = self._connection.recv_into(view[done:])
            if not got:
                # nobody is there any more to work for
                os._exit(0)
            done += got
        return data


class RemoteSource:
    """A source whose bytes the parent reads for the child."""

    name = SOURCE_NAME
    identity = SOURCE_IDENTITY

    def __init__(self, channel: Channel, size: int, playlist: Playlist | None = None) -> None:
        self.size = size
        self.playlist = playlist
        self._channel = channel
        #: each thread's own: where it has read up to, and what it was given beyond that
        self._ahead = threading.local()
        #: where the ranges begin that were hinted at, ascending, and where each ends: none lies over another
        self._hinted: tuple[list[int], list[int]] = ([], [])
        self._hinting = threading.Lock()

    def read_at(self, offset: int, length: int) -> bytes:
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        start, held = getattr(self._ahead, "held", (0, b""))
        data = b""
        if start <= offset <= start + len(held):
            data = held[offset - start : offset - start + length]
        if len(data) < length:
            reads_on = bool(held) and offset + len(data) == start + len(held)
            begin = offset + len(data)
            # a keyframe here and there needs little, a run through the video all that follows
            least = min(2 * len(held), _READ_ON_BYTES) if reads_on else 0
            if (hinted := self._hinted_from(begin)) > 0:
                # all of it is on its way, and no more
                least = min(hinted, _READ_ON_BYTES)
            data += self._fetch(begin, length - len(data), least)
        return data

    def _hinted_from(self, offset: int) -> int:
        """How many bytes from a place on are of one range that was hinted at."""
        starts, ends = self._hinted
        with self._hinting:
            position = bisect_right(starts, offset) - 1
            return max(ends[position] - offset, 0) if position >= 0 else 0

    def _hint(self, begin: int, end: int) -> None:
        """Note a range, joined with those that it lies over: all of that is on its way."""
        starts, ends = self._hinted
        first, beyond = bisect_right(ends, begin), bisect_left(starts, end)
        if first < beyond:
            begin, end = min(begin, starts[first]), max(end, ends[beyond - 1])
        starts[first:beyond], ends[first:beyond] = [begin], [end]

    def _fetch(self, offset: int, length: int, least: int) -> bytes:
        """The bytes of a range; what is more than that, where more is asked for, is held for the next read."""
        parts = []
        end = offset + length
        wanted = min(max(length, least), self.size - offset)
        while offset < end:
            part = self._channel.ask(offset, min(wanted, MAX_READ))
            self._ahead.held = (offset, part)
            if not part:
                break
            parts.append(part[: end - offset])
            offset += len(part)
            wanted -= len(part)
        return b"".join(parts)

    def prefetch(self, extents: Sequence[tuple[int, int]]) -> None:
        with self._hinting:
            for offset, length in extents:
                if length > 0:
                    self._hint(offset, offset + length)
        self._channel.send(Kind.PREFETCH, msgspec.json.encode(list(extents)))

    def first_there(self, extents: Sequence[tuple[int, int]]) -> int:
        """As `media.source.Arriving`."""
        return self._channel.first_there(extents)

    def close(self) -> None:
        """Nothing to give back."""


class DescriptorSource:
    """A local video, open before the child was locked in; its size must be told, since it cannot be asked."""

    name = SOURCE_NAME
    identity = SOURCE_IDENTITY

    def __init__(self, channel: Channel, descriptor: int, size: int) -> None:
        self.size = size
        self._channel = channel
        self._descriptor = descriptor

    def read_at(self, offset: int, length: int) -> bytes:
        data = b""
        while len(data) < length and offset + len(data) < self.size:
            try:
                more = os.pread(self._descriptor, length - len(data), offset + len(data))
            except OSError as error:
                message = f"reading at byte {offset} failed: {os_reason(error)}"
                raise SourceError(self.name, message, transient=may_pass(error)) from error
            if not more:
                break
            data += more
        return data

    def prefetch(self, extents: Sequence[tuple[int, int]]) -> None:
        self._channel.send(Kind.PREFETCH, msgspec.json.encode(list(extents)))

    def close(self) -> None:
        """The descriptor goes with the child."""
