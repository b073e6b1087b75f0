"""Delivers what waits in the outbox, on a thread of its own, until its receivers have it or all tries have failed."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, TypeVar

import structlog

from stillframe import __version__
from stillframe.database.connecting import backoff
from stillframe.database.engine import is_transient
from stillframe.events.callbacks import Callback, Callbacks
from stillframe.events.outbox import Claimed, Outbox
from stillframe.events.posting import ANSWER_S, NotPosted, Poster
from stillframe.events.signing import ims_headers, webhook_headers
from stillframe.events.tries import Try
from stillframe.settings import Network
from stillframe.telemetry import Metrics

Result = TypeVar("Result")

#: pauses between the three tries that IMS makes (`ims_api`, 3.10)
_PAUSES_S = (1.0, 1.0)
#: the answer that counts; whatever else a receiver says is a try that failed
_RECEIVED = 200
#: messages on their way at the same time: of one account, so that its slow receiver holds up nobody else's, and of all
_EACH, _MOST = 8, 200
#: what this process has written or put off is looked for when it is due; this is for what others have left behind
_POLL_S = 2.0
#: while the database is away
_LONGEST_POLL_S = 15.0
_DATABASE_THREADS = 2
_LOOKUP_THREADS = 64
_STOP_S = ANSWER_S + 2.0
log = structlog.get_logger(__name__)


class Deliverer:
    """One for each server; several on one database share the work. `retry_s` are pauses after the third try."""

    def __init__(
        self,
        outbox: Outbox,
        callbacks: Callbacks,
        metrics: Metrics,
        *,
        allowed: Sequence[Network],
        retry_s: Sequence[float],
    ) -> None:
        self._outbox = outbox
        self._callbacks = callbacks
        self._metrics = metrics
        self._poster = Poster(allowed)
        self._pauses_s = (*_PAUSES_S, *retry_s)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._due = asyncio.Event()
        self._stopping = False
        self._is_hurried = False
        self._busy: Counter[str] = Counter()
        #: there may be more to begin as soon as something on its way ends
        self._is_full = False
        self._in_hand: set[asyncio.Task[None]] = set()
        self._database_threads = ThreadPoolExecutor(_DATABASE_THREADS, "stillframe-outbox")
        self._thread = threading.Thread(target=self._run, name="stillframe-events", daemon=True)

    def start(self) -> None:
        """Begin, and be told of what is written from now on."""
        self._outbox.on_written = self.wake
        self._thread.start()

    def wake(self) -> None:
        """Something may be due. May be called from any thread."""
        loop = self._loop
        if loop is not None:
            # one that has ended cares for nothing any more
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._due.set)

    def hurry(self) -> None:
        """Give back what is on its way, now or when `stop` is called."""
        self._is_hurried = True
        self.wake()

    def stop(self) -> None:
        """Begin nothing more, and wait for what is on its way. What waits is for the next start."""
        self._stopping = True
        self.wake()
        self._thread.join(_STOP_S)
        self._database_threads.shutdown(wait=False)

    def _run(self) -> None:
        asyncio.run(self._deliver_until_stopped())

    async def _deliver_until_stopped(self) -> None:
        loop = self._loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(_LOOKUP_THREADS, "stillframe-lookup"))
        measured = 0.0
        pauses = backoff(_POLL_S, _LONGEST_POLL_S)
        while not self._stopping:
            self._due.clear()
            try:
                await self._begin_due()
                if time.monotonic() - measured >= _POLL_S:
                    measured = time.monotonic()
                    self._metrics.waiting_events.set(await self._in_thread(self._outbox.waiting))
                pauses = backoff(_POLL_S, _LONGEST_POLL_S)
                pause_s = _POLL_S
            except Exception as error:
                # the database is away most often; what waits in it can wait
                log.warning("the outbox cannot be read", error=str(error))
                pause_s = next(pauses)
            await self._wait(pause_s)
        while self._in_hand and not self._is_hurried:
            await asyncio.wait(self._in_hand, timeout=0.1)
        for task in self._in_hand:
            task.cancel()
        await asyncio.gather(*self._in_hand, return_exceptions=True)
        await self._poster.close()

    async def _wait(self, pause_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._due.wait()

    async def _begin_due(self) -> None:
        taken = Counter(self._busy)
        room = _MOST - taken.total()
        events = await self._in_thread(lambda: self._outbox.claim(dict(taken), each=_EACH, most=room))
        self._metrics.note_repaired({"event": sum(event.was_left for event in events)})
        for event in events:
            taken[event.account_id] += 1
            self._busy[event.account_id] += 1
            task = asyncio.create_task(self._deliver(event))
            self._in_hand.add(task)
            task.add_done_callback(self._in_hand.discard)
        self._is_full = taken.total() >= _MOST or any(number >= _EACH for number in taken.values())
        if self._is_full and self._busy != taken:
            # something has ended while it was asked for more
            self._due.set()

    async def _deliver(self, event: Claimed) -> None:
        try:
            await self._try(event)
        except Exception as error:
            # its lease ends, and it is due once more
            broken = None if is_transient(error) else error
            log.warning(
                "an event was not settled", event_id=event.event_id, error=str(error), exc_info=broken
            )
        finally:
            self._busy[event.account_id] -= 1
            if not self._busy[event.account_id]:
                del self._busy[event.account_id]
            if self._is_full:
                self._due.set()

    async def _try(self, event: Claimed) -> None:
        at, began = datetime.now(UTC), time.monotonic()
        reason = await self._send(event)
        tried = Try(at, time.monotonic() - began, reason)
        if reason is None:
            self._metrics.delivered_events.inc()
            await self._in_thread(lambda: self._outbox.delivered(event, tried))
            return
        told = {"event_id": event.event_id, "type": event.type, "account_id": event.account_id}
        if event.failures >= len(self._pauses_s):
            log.warning("an event could not be delivered and is given up", **told, reason=reason)
            if await self._in_thread(lambda: self._outbox.give_up(event, tried)):
                self._metrics.failed_events.inc()
            return
        pause_s = self._pauses_s[event.failures]
        log.info("an event could not be delivered", **told, reason=reason, pause_s=pause_s)
        await self._in_thread(lambda: self._outbox.put_off(event, tried, pause_s))
        if pause_s < _POLL_S:
            asyncio.get_running_loop().call_later(pause_s, self._due.set)

    async def _send(self, event: Claimed) -> str | None:
        """Why it did not arrive; None when it did."""
        try:
            callback = await self._in_thread(lambda: self._callbacks.find(event.account_id))
            if callback is None:
                return "its callback was removed"
            body = event.body.encode()
            status = await self._poster.post(callback.url, headers_of(callback, event.event_id, body), body)
        except NotPosted as error:
            return str(error)
        return None if status == _RECEIVED else f"the receiver answers {status}"

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._database_threads, work)


def headers_of(callback: Callback, event_id: str, body: bytes) -> dict[str, str]:
    """The headers of a message that is sent now."""
    now = int(time.time())
    headers: dict[str, Any] = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": f"Stillframe/{__version__}",
    }
    if callback.auth_switch and callback.auth_key is not None:
        headers |= ims_headers(callback.url, callback.auth_key, now)
    if callback.webhook_secret is not None:
        headers |= webhook_headers(callback.webhook_secret, event_id, body, now)
    return headers
