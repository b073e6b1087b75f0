"""One child's conversation, as the parent leads it: every length, count, total and time has a bound.

The child's questions for bytes are answered here; all else is handed on, message by message. Whatever a child
says or leaves unsaid, it costs this parent no more than `Limits` and the bounds of `wire.py` allow.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from stillframe.errors import ChildKilled, SandboxUnavailable
from stillframe.media import plain_json
from stillframe.media.source import MOST_AWAITED, ByteSource, first_there
from stillframe.sandbox.check import Broken
from stillframe.sandbox.decoder import Work
from stillframe.sandbox.forkserver import Child
from stillframe.sandbox.layers import MEMORY_BYTES, available_layers
from stillframe.sandbox.wire import FRAME, MAX_JSON, MAX_READ, MESSAGE, NUMBER, Kind
from stillframe.sandbox.zygote import UNAVAILABLE_EXIT

Wanted = TypeVar("Wanted")

#: bytes asked for and not taken yet, above which a child is not listened to
_MOST_UNANSWERED = 16 << 20
#: what a read or a range is counted as at least: those of a byte come to an end, too, and few are open at once
_LEAST_READ = 4 << 10
_MOST_PROGRESS_A_SECOND = 4
_LOOK_S = 0.1
_LARGE_BYTES = 1 << 20
_LARGE = threading.Lock()
_DEATH_S = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a child may work, in seconds: without progress, and in all. What it may read, in bytes.

    It may read the source four times, and `read_bytes` more for each shot: a container without an index is read
    on from somewhere before every one.
    """

    no_progress_s: float = 60.0
    total_s: float = 1800.0
    read_bytes: int = 256 << 20


@dataclass(frozen=True, slots=True)
class Message:
    """What the child has said. The meaning of `number` and `first` is the kind's (see `wire.Kind`)."""

    kind: Kind
    number: int
    first: int
    payload: bytearray


class Session:
    """Leads the conversation. A context: at its end, the child is dead, or is just being killed.

    `allowed` are the kinds that may come next, and the most bytes of each: the caller changes it as things go on.
    """

    def __init__(
        self,
        child: Child,
        source: ByteSource,
        pool: Executor,
        limits: Limits,
        work: Work,
    ) -> None:
        self.allowed: dict[Kind, int] = {}
        self.limit = work.limit
        self.bytes_read = 0
        self.reads = 0
        self._child = child
        self._source = source
        self._pool = pool
        self._limits = limits
        self._read_budget = self._prefetch_budget = 4 * source.size
        self._cancelled = work.cancelled
        #: what is to be written, and how much less is unanswered once it is
        self._out: deque[tuple[memoryview, int]] = deque()
        self._unanswered = 0
        self._asked: dict[int, int] = {}
        self._answers: deque[tuple[int, Future[bytes]]] = deque()
        self._progress_messages = 0
        self._started = self._last_progress = time.monotonic()
        self._socket = child.channel
        self._socket.setblocking(False)
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._is_open = True
        self._lock = threading.Lock()
        self._poll = select.poll()
        self._poll.register(self._wake, select.POLLIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._child.dismiss()
        else:
            self._child.kill()
        with self._lock:
            self._is_open = False
            os.close(self._wake)

    def allow_reads(self, shots: int) -> None:
        """Let it read what so many shots may need."""
        self._read_budget += shots * self._limits.read_bytes
        self._prefetch_budget += shots * self._limits.read_bytes

    def send(self, payload: bytes = b"", number: int = 0) -> None:
        """Send a frame: the request, or the word to go on. What does not go out at once does so while we listen."""
        self._unanswered += len(payload)
        self._send(payload, number, len(payload))

    def messages(self) -> Iterator[Message]:
        """What the child says, until the caller has heard enough. Raises ChildKilled, SourceError."""
        self._last_progress = time.monotonic()
        while True:
            try:
                message = self._next()
            except Broken as broken:
                raise ChildKilled("protocol", str(broken)) from broken
            if message is not None:
                yield message
                # it was progress; and the time that the caller took for it is not the child's
                self._last_progress = time.monotonic()

    def _next(self) -> Message | None:
        """The next message; None for one that is dealt with here."""
        number, first, length, kind = self._header()
        match kind:
            case Kind.READ:
                self._read(number, first, length)
                self._last_progress = time.monotonic()
            case Kind.PROGRESS:
                self._progress_messages += 1
                most = 20 + _MOST_PROGRESS_A_SECOND * (time.monotonic() - self._started)
                _demand(self._progress_messages <= most, "a flood of signs of progress")
                self._last_progress = time.monotonic()
            case Kind.PREFETCH:
                # a wish is no progress: one may wish for ever
                _demand(length <= MAX_JSON[kind], "too long a list of ranges")
                self._prefetch(self._receive(length))
            case Kind.FIRST:
                _demand(length <= MAX_JSON[kind], "too long a list of ranges")
                self._first_there(number, self._receive(length))
            case _:
                most = self.allowed.get(kind, 0)
                _demand(kind in self.allowed, f"{kind.name} where it was not expected")
                _demand(length <= most, f"{kind.name} of {length:,} bytes; {most:,} are allowed")
                return Message(kind, number, first, self._receive(length))
        return None

    def _header(self) -> tuple[int, int, int, Kind]:
        code, number, first, length, unused = MESSAGE.unpack(self._receive(MESSAGE.size))
        try:
            kind = Kind(code)
        except ValueError as error:
            raise Broken(f"a message of the unknown kind {code}") from error
        _demand(unused == 0, "a header with something in its unused part")
        return number, first, length, kind

    def _read(self, number: int, offset: int, length: int) -> None:
        _demand(0 < length <= MAX_READ, f"a read of {length:,} bytes; {MAX_READ:,} are allowed")
        _demand(offset + length <= self._source.size, "a read beyond the end of the source")
        _demand(number > 0 and number not in self._asked, "a read whose number is taken")
        counted = max(length, _LEAST_READ)
        self._read_budget -= counted
        _demand(self._read_budget >= 0, "more reads than a video can need")
        self.bytes_read += length
        self.reads += 1
        self._ask(number, length, lambda: self._source.read_at(offset, length))

    def _ask(self, number: int, length: int, answer: Callable[[], bytes]) -> None:
        """Have a question answered by so many bytes on another thread."""
        self._unanswered += max(length, _LEAST_READ)
        self._asked[number] = length
        future = self._pool.submit(answer)
        future.add_done_callback(lambda done: self._note_answer(number, done))

    def _note_answer(self, number: int, answer: Future[bytes]) -> None:
        """Called on a thread of the pool."""
        with self._lock:
            if self._is_open:
                self._answers.append((number, answer))
                os.eventfd_write(self._wake, 1)

    def _send_answers(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake)
        while self._answers:
            number, answer = self._answers.popleft()
            length = self._asked.pop(number)
            data = answer.result()[:length]
            self._send(data, number, max(length, _LEAST_READ))
            self._last_progress = time.monotonic()

    def _prefetch(self, payload: bytearray) -> None:
        extents = decoded(payload, list[tuple[int, int]])
        for offset, length in extents:
            _demand(min(offset, length) >= 0 and max(offset, length) < 1 << 63, "an impossible range")
        # none, and those that lie nowhere, are looked at, too
        self._prefetch_budget -= _LEAST_READ * (1 + len(extents))
        size = self._source.size
        inside = [
            (offset, min(length, size - offset)) for offset, length in extents if offset < size and length
        ]
        self._prefetch_budget -= sum(length for _, length in inside)
        _demand(self._prefetch_budget >= 0, "more ranges than a video can need")
        started = time.monotonic()
        self._source.prefetch(inside)
        self._last_progress += time.monotonic() - started

    def _first_there(self, number: int, payload: bytearray) -> None:
        extents = decoded(payload, list[tuple[int, int]])
        _demand(len(extents) <= MOST_AWAITED, "a question about too many ranges")
        _demand(number > 0 and number not in self._asked, "a question whose number is taken")
        for offset, length in extents:
            _demand(0 <= offset < 1 << 63 and 0 <= length <= self._source.size, "an impossible range")
        # as a small read, so that it comes to an end and is not asked without being heard
        self._read_budget -= _LEAST_READ
        _demand(self._read_budget >= 0, "more questions than a video can need")
        self._ask(number, NUMBER.size, lambda: NUMBER.pack(first_there(self._source, extents)))

    def _receive(self, length: int) -> bytearray:
        data = bytearray(length)
        view, done = memoryview(data), 0
        while done < length:
            self._wait_for_input()
            try:
                got = self._socket.recv_into(view[done:])
            except BlockingIOError:
                continue
            except ConnectionError:
                got = 0
            if not got:
                raise self._end()
            done += got
        return data

    def _wait_for_input(self) -> None:
        """Write, and look at the clocks, until the child has said something that we want to hear."""
        while True:
            listening = self._unanswered <= _MOST_UNANSWERED
            events = (select.POLLIN if listening else 0) | (select.POLLOUT if self._out else 0)
            self._poll.register(self._socket, events)
            ready = dict(self._poll.poll(self._patience_s() * 1000))
            if self._wake in ready:
                self._send_answers()
            happened = ready.get(self._socket.fileno(), 0)
            if happened & select.POLLOUT:
                self._write()
            if happened & (select.POLLIN | select.POLLHUP | select.POLLERR):
                return

    def _send(self, payload: bytes, number: int, counted: int) -> None:
        self._out.append((memoryview(FRAME.pack(number, len(payload))), 0))
        self._out.append((memoryview(payload), counted))
        self._write()

    def _write(self) -> None:
        try:
            while self._out:
                part, counted = self._out[0]
                sent = self._socket.send(part)
                if sent < len(part):
                    self._out[0] = part[sent:], counted
                else:
                    self._out.popleft()
                    self._unanswered -= counted
        except BlockingIOError:
            pass
        except ConnectionError:
            # it has closed its end; what it has said before is still to be heard
            self._unanswered -= sum(counted for _, counted in self._out)
            self._out.clear()

    def _patience_s(self) -> float:
        """How long to wait before the clocks are looked at again. Raises ChildKilled when one has run out."""
        if self._cancelled is not None and self._cancelled.is_set():
            raise ChildKilled("cancelled", "its pictures are not wanted any more")
        now, limits = time.monotonic(), self._limits
        left = self._started + limits.total_s - now
        if left <= 0:
            raise ChildKilled("time", f"it was not done after {limits.total_s:g} s")
        # while it waits for bytes, the clock is the source's
        if not self._asked:
            idle_left = self._last_progress + limits.no_progress_s - now
            if idle_left <= 0:
                raise ChildKilled("no-progress", f"nothing came of it for {limits.no_progress_s:g} s")
            left = min(left, idle_left)
        return min(left, _LOOK_S if self._cancelled is not None else 1.0)

    def _end(self) -> Exception:
        """What it means that the child has closed its socket."""
        if not self._child.ended.wait(_DEATH_S):
            return Broken("it closed its socket before it was done")
        status = self._child.status
        if status is None:
            return ChildKilled("crash", "its fork server has ended")
        if status == UNAVAILABLE_EXIT and (missing := available_layers().missing):
            return SandboxUnavailable(missing)
        if status == -signal.SIGXCPU:
            return ChildKilled("time", "its processor time is used up")
        if status == -signal.SIGKILL:
            return ChildKilled(
                "memory", "it was killed from outside: most likely the machine is out of memory"
            )
        if status < 0:
            return ChildKilled("crash", f"it died of {signal.Signals(-status).name}")
        if status:
            return ChildKilled("crash", f"it ended with exit code {status}")
        return Broken("it ended before it was done")


def decoded(payload: bytearray, wanted: type[Wanted]) -> Wanted:
    """JSON of the child's as a value of a type. Raises Broken."""
    # a large one takes ten times its size while it is read: one after another
    turn = _LARGE if len(payload) > _LARGE_BYTES else contextlib.nullcontext()
    try:
        with turn:
            return plain_json.decode(payload, wanted)
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError, OverflowError) as error:
        raise Broken(f"JSON that is no {wanted}: {str(error)[:200]}") from error


def out_of_memory() -> ChildKilled:
    """What becomes of a child's MemoryError."""
    return ChildKilled(
        "memory", f"decoding needs more memory than the {MEMORY_BYTES >> 20} MiB that it may have"
    )


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Broken(otherwise)
