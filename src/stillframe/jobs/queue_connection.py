"""Procrastinate over a database that goes away: nothing of it ends then, all of it goes on when the database is back.

By itself it says no more that a worker lives when that could not be said once, hears of no new task when it could not
listen anew at once, and begins nothing more until all that is in work has ended when it could not fetch a task. Nor
does each new task here have all idle workers look for it at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import random
from collections.abc import Awaitable, Callable, Collection, Generator, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import procrastinate
import psycopg
import psycopg_pool
import structlog
from procrastinate import connector, jobs, manager
from procrastinate.exceptions import ConnectorException

from stillframe.database.connecting import ANSWER_S, backoff, settle_async
from stillframe.database.engine import READ_ONLY, is_transient
from stillframe.jobs.queue import END, IS_HEARD_OF, THIS_TASK

#: a connection of the pool is waited for, and tried for, so long; then those who need one pause
_POOL_WAIT_S = 5.0
_MOST_CONNECTIONS = 4
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0
#: how often a connection that waits looks up without being told to
_LOOK_UP_S = 60.0
#: as Procrastinate asks; but that a task was begun need not be on the disk at once: after a crash it is begun again
_FETCH = (
    "SELECT id, status, task_name, priority, lock, queueing_lock, args, scheduled_at, queue_name, attempts, worker_id "
    "FROM set_config('synchronous_commit', 'off', true), "
    "procrastinate_fetch_job_v2(%(queues)s::varchar[], %(worker_id)s)"
)
_RETRY_S = 2.0
_RETRY = (
    "UPDATE procrastinate_jobs SET status = 'todo', worker_id = NULL, attempts = attempts + %(starts)s, "
    f"scheduled_at = clock_timestamp() + make_interval(secs => %(delay_s)s) WHERE {THIS_TASK} "
    "AND status = 'doing'"
)
_LIVING_WORKERS = f"SELECT count(*) AS number FROM procrastinate_workers AS worker WHERE {IS_HEARD_OF}"
_NEW_TASK = "job_inserted"
#: all workers together look so often for new tasks, on an average, however many there are; few look at once
LOOK_EACH_S, _FEW_WORKERS = 0.01, 2
Result = TypeVar("Result")
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Hands:
    """What a worker knows of itself and its tasks. Written to on its loop alone."""

    #: the numbers that it was known by in the queue, the last one at the end: another one whenever it has lost the
    #: database
    worker_ids: list[int] = field(default_factory=list)
    #: the tasks that it has begun, until their end is told
    tasks: set[int] = field(default_factory=set)
    #: those of them whose end the queue knows
    ended: set[int] = field(default_factory=set)
    #: those that could not be done for want of a database: that does not count as a try
    not_tried: set[int] = field(default_factory=set)

    def be_known_by(self, worker_id: int) -> None:
        """It has this number from now on."""
        if self.worker_ids[-1:] != [worker_id]:
            self.worker_ids = [*(each for each in self.worker_ids if each != worker_id), worker_id]

    def forget(self, worker_ids: Collection[int]) -> None:
        """No task is with it by these numbers any more: all are forgotten but the last one."""
        self.worker_ids = [
            *(each for each in self.worker_ids[:-1] if each not in worker_ids),
            *self.worker_ids[-1:],
        ]


def open_queue(dsn: str, ending: asyncio.Event, hands: Hands) -> procrastinate.App:
    """Procrastinate on a database, to be opened; once `ending` is set nothing is tried again."""
    pool = _Connector(
        pool_factory=_Pool,
        conninfo=dsn,
        connection_class=_PatientConnection,
        configure=settle_async,
        min_size=1,
        max_size=_MOST_CONNECTIONS,
        timeout=_POOL_WAIT_S,
        reconnect_timeout=_POOL_WAIT_S,
    )
    app = procrastinate.App(connector=pool)
    app.job_manager = _Manager(pool, ending, hands)
    return app


class _Manager(manager.JobManager):
    """What a worker asks of the queue, and tells it: again and again, where the database is away."""

    def __init__(self, pool: _Connector, ending: asyncio.Event, hands: Hands) -> None:
        super().__init__(pool)
        self._pool = pool
        self._ending = ending
        self._hands = hands

    async def register_worker(self) -> int:
        worker_id = await super().register_worker()
        await self._count_workers()
        return worker_id

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> jobs.Job | None:
        # before it asks: what it is given belongs to this one, though the answer may get lost
        self._hands.be_known_by(worker_id)
        self._pool.is_quiet.clear()
        try:
            return await self._insist(lambda: self._fetch(queues, worker_id), None)
        finally:
            # when Procrastinate has forgotten what it was told meanwhile
            asyncio.get_running_loop().call_soon(self._pool.is_quiet.set)

    async def _fetch(self, queues: Iterable[str] | None, worker_id: int) -> jobs.Job | None:
        row = await self._pool.execute_query_one_async(_FETCH, queues=queues, worker_id=worker_id)
        return jobs.Job.from_row(row) if row["id"] is not None else None

    async def finish_job(self, job: jobs.Job, status: jobs.Status, delete_job: bool) -> None:
        if job.id in self._hands.ended:
            self._hands.ended.discard(job.id)
            return
        assert delete_job
        await self._tell_end(job, END)

    async def retry_job(
        self,
        job: jobs.Job,
        retry_at: datetime.datetime | None = None,
        priority: int | None = None,
        queue: str | None = None,
        lock: str | None = None,
    ) -> None:
        # not at a time that this end's clock tells; and a start counts when it came to something
        await self._tell_end(job, _RETRY, starts=int(job.id not in self._hands.not_tried), delay_s=_RETRY_S)

    async def update_heartbeat(self, worker_id: int) -> None:
        # who cannot say it now says it the next time
        with contextlib.suppress(ConnectorException, TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                await super().update_heartbeat(worker_id)
                await self._count_workers()

    async def _count_workers(self) -> None:
        row = await self._pool.execute_query_one_async(_LIVING_WORKERS)
        self._pool.living_workers = row["number"]

    async def _tell_end(self, job: jobs.Job, statement: str, **known: float) -> None:
        assert job.id is not None

        async def tell() -> None:
            await self._pool.execute_query_async(
                statement, task_id=job.id, task_args=json.dumps(job.task_kwargs), **known
            )

        self._hands.tasks.add(job.id)
        try:
            await self._insist(tell, None)
        finally:
            self._hands.tasks.discard(job.id)
            self._hands.not_tried.discard(job.id)

    async def _insist(self, ask: Callable[[], Awaitable[Result]], otherwise: Result) -> Result:
        """The answer, when the database has one; `otherwise` where the end has come before that."""
        for number, pause_s in enumerate(backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)):
            try:
                async with asyncio.timeout(ANSWER_S):
                    return await ask()
            except (ConnectorException, TimeoutError) as error:
                if not _is_away(error):
                    raise
                if number == 0:
                    log.warning(
                        "the queue is out of reach, trying again", error=str(error.__cause__ or error)
                    )
                if self._ending.is_set():
                    return otherwise
                await self._pool.leave_what_may_only_be_read(error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._ending.wait()
        raise AssertionError("backoff() never ends")


class _Connector(procrastinate.PsycopgConnector):
    """A pool, and a listener that listens anew whenever it can."""

    #: workers on this database, as far as is known
    living_workers = 1

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        #: nothing is being fetched: what is told while it is, Procrastinate forgets after it
        self.is_quiet = asyncio.Event()
        self.is_quiet.set()

    async def listen_notify(self, on_notification: connector.Notify, channels: Iterable[str]) -> None:
        loop = asyncio.get_running_loop()
        hear = self._in_turn(on_notification)
        names = [*channels]
        pauses, began = backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S), loop.time()
        while True:
            try:
                # it comes back by an error only
                await super().listen_notify(hear, names)
            except ConnectorException as error:
                log.info("new tasks are not heard of, only looked for", error=str(error.__cause__ or error))
            if loop.time() - began > 2 * _LONGEST_PAUSE_S:
                pauses = backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
            await asyncio.sleep(next(pauses))
            began = loop.time()

    def _in_turn(self, on_notification: connector.Notify) -> connector.Notify:
        """Of many workers that hear of a task, all at once, each looks for it after a random time.

        So all of them together look so often and no more; what is heard meanwhile is looked for at the same time.
        """
        looks: set[asyncio.Task[None]] = set()

        async def look_later(channel: str, payload: str) -> None:
            if self.living_workers > _FEW_WORKERS:
                await asyncio.sleep(random.uniform(0, self.living_workers * LOOK_EACH_S))
            await self.is_quiet.wait()
            looks.clear()
            await on_notification(channel=channel, payload=payload)

        async def hear(*, channel: str, payload: str) -> None:
            if _NEW_TASK not in payload:
                await on_notification(channel=channel, payload=payload)
            elif not looks:
                looks.add(asyncio.create_task(look_later(channel, payload)))

        return hear

    async def leave_what_may_only_be_read(self, error: BaseException) -> None:
        """What is connected to a server that was replaced is connected anew."""
        cause = error.__cause__
        if isinstance(cause, psycopg.Error) and cause.sqlstate == READ_ONLY:
            assert isinstance(self.pool, psycopg_pool.AsyncConnectionPool)
            await self.pool.drain()


class _Pool(psycopg_pool.AsyncConnectionPool[Any]):
    """Is open when it has a first connection, or has tried for one."""

    async def open(self, wait: bool = False, timeout: float = _POOL_WAIT_S) -> None:
        await super().open(wait, timeout)


class _PatientConnection(psycopg.AsyncConnection[Any]):
    """Sleeps until something arrives: psycopg looks ten times a second whether Ctrl-C was pressed, an idle one too.

    The worker's thread is never told of that, and its loop wakes for whatever else it is to do.
    """

    async def wait(
        self,
        gen: Generator[Any, Any, Result],
        interval: float = _LOOK_UP_S,
        timeout: float | None = None,
    ) -> Result:
        return await super().wait(gen, interval, timeout)


def _is_away(error: BaseException) -> bool:
    return isinstance(error, TimeoutError) or (error.__cause__ is not None and is_transient(error.__cause__))
