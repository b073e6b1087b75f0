"""Server-sent events: a page hears that what it shows has changed, and asks for it again.

What is watched is looked at once a second for all who watch it in this process, and not at all when nobody does: how
far a job is stands partly in the memory of the process that works on it, so that the database cannot tell. Why there is
no NOTIFY: docs/decisions/0036-console.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Mapping

import anyio
import structlog
from anyio.to_thread import run_sync
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from stillframe.console.page import Watched

#: all streams of a process, and those of one session
MOST_STREAMS, MOST_OF_ONE = 200, 12
_EVERY_S = 1.0
#: looks take no more than this share of the time, however slow they are
_SHARE = 0.1
#: a proxy hangs up on what is silent; whether the session is still good is asked as often
_BEAT_S = 15.0
_LOOKING_THREADS = 2
log = structlog.get_logger(__name__)


class _Subject:
    """Something that is watched, and those who wait to hear of it."""

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        self.waiting: set[asyncio.Event] = set()
        self.task: asyncio.Task[None] | None = None
        #: whether it was looked at: what changes from then on is noticed
        self.is_known = False


class Live:
    """All streams of this process. To be used on its event loop, but for `end`."""

    def __init__(self) -> None:
        self._subjects: dict[Hashable, _Subject] = {}
        #: by the sessions that have taken them
        self._places: Counter[str] = Counter()
        self._threads = anyio.CapacityLimiter(_LOOKING_THREADS)
        self._ends: set[asyncio.Event] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_over = threading.Event()

    def take(self, who: str) -> bool:
        """Take the place of one more stream of this session, to be given back; False where there is none."""
        is_room = self._places.total() < MOST_STREAMS and self._places[who] < MOST_OF_ONE
        if not is_room or self._is_over.is_set():
            return False
        self._places[who] += 1
        return True

    def give_back(self, who: str) -> None:
        """The stream has ended, or never begun."""
        self._places -= Counter([who])

    def end(self) -> None:
        """End all streams: the server is about to end, and waits for its answers. From any thread."""
        self._is_over.set()
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                # it may have ended before us
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for waiting in self._ends:
            waiting.set()

    async def stream(self, watched: Watched, still_may: Callable[[], Awaitable[bool]]) -> AsyncGenerator[str]:
        """The text of a stream, which begins with `changed`: the page may be older than the first look.

        It ends when `still_may` says so.
        """
        self._loop = asyncio.get_running_loop()
        changed = asyncio.Event()
        self._ends.add(changed)
        self._follow(watched, changed)
        try:
            yield "retry: 2000\n\n"
            while not self._is_over.is_set():
                if changed.is_set():
                    changed.clear()
                    yield "event: changed\ndata: \n\n"
                try:
                    async with asyncio.timeout(_BEAT_S):
                        await changed.wait()
                except TimeoutError:
                    if not await still_may():
                        yield "event: changed\ndata: \n\n"
                        return
                    yield ": still here\n\n"
        finally:
            self._leave(watched, changed)
            self._ends.discard(changed)

    def _follow(self, watched: Watched, changed: asyncio.Event) -> None:
        subject = self._subjects.setdefault(watched.key, _Subject(watched))
        subject.waiting.add(changed)
        if subject.is_known:
            changed.set()
        if subject.task is None:
            subject.task = asyncio.create_task(self._look(subject))

    def _leave(self, watched: Watched, changed: asyncio.Event) -> None:
        subject = self._subjects[watched.key]
        subject.waiting.discard(changed)
        if not subject.waiting and subject.task is not None:
            subject.task.cancel()
            del self._subjects[watched.key]

    async def _look(self, subject: _Subject) -> None:
        before: object = None
        clock = asyncio.get_running_loop().time
        for number in range(1 << 62):
            began = clock()
            try:
                now = await run_sync(subject.watched.look, limiter=self._threads, abandon_on_cancel=True)
            except Exception as error:
                # the page that asks again says what is wrong
                now = type(error)
                if now != before:
                    log.info("what is watched cannot be seen", error=str(error).partition("\n")[0])
            if not number or now != before:
                for waiting in subject.waiting:
                    waiting.set()
            before, subject.is_known = now, True
            await asyncio.sleep(max(_EVERY_S, (clock() - began) / _SHARE))


class EventStream(Response):
    """An answer without an end of its own; it ends when whoever reads it has hung up, too."""

    media_type = "text/event-stream"

    def __init__(
        self, texts: AsyncGenerator[str], headers: Mapping[str, str], on_end: Callable[[], None]
    ) -> None:
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._texts = texts
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._send(receive, send)
        finally:
            self._on_end()

    async def _send(self, receive: Receive, send: Send) -> None:
        async def until_hung_up() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            group.cancel_scope.cancel()

        async with contextlib.aclosing(self._texts), anyio.create_task_group() as group:
            group.start_soon(until_hung_up)
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async for text in self._texts:
                await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            group.cancel_scope.cancel()
