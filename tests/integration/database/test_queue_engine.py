"""What we rely on in Procrastinate, on our database: the outbox property, waking, cancelling, stalled tasks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import procrastinate
import procrastinate.exceptions
import pytest
from procrastinate.connector import BaseConnector
from procrastinate.jobs import Status
from sqlalchemy import URL, text

from stillframe.database.engine import Database, driver_connection, make_engine, psycopg_dsn


class Connector(procrastinate.PsycopgConnector):
    """The pool of the worker's event loop; deferring happens on the caller's own, synchronous connection."""

    def __init__(self, dsn: str) -> None:
        # the pool's own time limit decides how long a worker takes to notice that the database is away
        super().__init__(conninfo=dsn, min_size=1, max_size=4, timeout=1)
        self._deferring = procrastinate.SyncPsycopgConnector()

    def get_sync_connector(self) -> BaseConnector:
        return self._deferring


class Queue:
    def __init__(self, url: URL) -> None:
        self.app = procrastinate.App(connector=Connector(psycopg_dsn(url)))
        self.done: list[int] = []
        self.started = asyncio.Event()
        self.cancelled: list[int] = []
        self.looks = 0
        fetch = self.app.job_manager.fetch_job

        async def counted(**options: Any) -> Any:
            try:
                return await fetch(**options)
            finally:
                self.looks += 1

        self.app.job_manager.fetch_job = counted

        @self.app.task(name="render", queue="slices")
        async def render(number: int) -> None:
            self.done.append(number)

        @self.app.task(name="endless", queue="slices", pass_context=True)
        async def endless(context: procrastinate.JobContext, number: int) -> None:
            self.started.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.append(number)
                raise

        self.render, self.endless = render, endless

    @asynccontextmanager
    async def worker(self, **options: Any) -> AsyncIterator[asyncio.Task[None]]:
        async with self.app.open_async():
            settings: dict[str, Any] = {
                "queues": ["slices"],
                "concurrency": 2,
                "install_signal_handlers": False,
                "fetch_job_polling_interval": 600,
                "abort_job_polling_interval": 600,
                "shutdown_graceful_timeout": 0.1,
            } | options
            task = asyncio.create_task(self.app.run_worker_async(**settings))
            try:
                yield task
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def database(database_url: URL) -> Iterator[Database]:
    database = Database(make_engine(database_url))
    yield database
    database.close()


@pytest.fixture
def queue(database_url: URL) -> Queue:
    return Queue(database_url)


async def until(condition: Callable[[], bool | Awaitable[bool]], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found if isinstance(found, bool) else await found:
            return
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.01)


def waits_for_news(queue: Queue, database: Database) -> bool:
    """It listens, and its first look is over: Procrastinate forgets what it hears while it is looking."""
    return queue.looks > 0 and listening(database)


def defer(database: Database, task: Any, number: int) -> int:
    with database.transaction() as session:
        return task.configure(connection=driver_connection(session)).defer(number=number)


def waiting(database: Database) -> list[int]:
    with database.transaction() as session:
        rows = session.execute(text("SELECT args->'number' FROM procrastinate_jobs WHERE status = 'todo'"))
        return [row[0] for row in rows]


def test_a_task_appears_if_and_only_if_the_transaction_commits(database: Database, queue: Queue) -> None:
    with pytest.raises(ZeroDivisionError), database.transaction() as session:
        queue.render.configure(connection=driver_connection(session)).defer(number=1)
        assert waiting(database) == []
        raise ZeroDivisionError
    assert waiting(database) == []

    with database.transaction() as session:
        queue.render.configure(connection=driver_connection(session)).batch_defer(
            {"number": 2}, {"number": 3}
        )
        assert waiting(database) == []
    assert waiting(database) == [2, 3]


def test_a_commit_wakes_a_worker_that_listens(database: Database, queue: Queue) -> None:
    async def run() -> None:
        async with queue.worker():
            await until(lambda: waits_for_news(queue, database))
            # polling is ten minutes away: only the notification can be what starts it
            await asyncio.to_thread(defer, database, queue.render, 5)
            await until(lambda: queue.done == [5])

    asyncio.run(run())


def test_an_abort_request_cancels_the_running_task(database: Database, queue: Queue) -> None:
    async def run() -> None:
        async with queue.worker():
            await until(lambda: waits_for_news(queue, database))
            number = await asyncio.to_thread(defer, database, queue.endless, 8)
            await asyncio.wait_for(queue.started.wait(), 20)
            assert await queue.app.job_manager.cancel_job_by_id_async(number, abort=True)
            await until(lambda: queue.cancelled == [8])

            async def aborted() -> bool:
                return await queue.app.job_manager.get_job_status_async(number) == Status.ABORTED

            await until(aborted)

    asyncio.run(run())


def test_the_task_of_a_worker_that_died_is_found_and_put_back(database: Database, queue: Queue) -> None:
    number = defer(database, queue.render, 6)
    with database.transaction() as session:
        worker = session.scalar(text("SELECT worker_id FROM procrastinate_register_worker_v1()"))
        session.execute(
            text("SELECT procrastinate_fetch_job_v2(ARRAY['slices'], :worker)"), {"worker": worker}
        )

    async def run() -> None:
        async with queue.app.open_async():
            manager = queue.app.job_manager
            assert list(await manager.get_stalled_jobs(seconds_since_heartbeat=30)) == []
            with database.transaction() as session:
                session.execute(
                    text("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '31 s'")
                )
            stalled = list(await manager.get_stalled_jobs(seconds_since_heartbeat=30))
            assert [job.id for job in stalled] == [number]
            for job in stalled:
                await manager.retry_job(job)
        assert waiting(database) == [6]
        async with queue.worker():
            await until(lambda: queue.done == [6])

    asyncio.run(run())


def test_a_worker_that_lost_the_database_ends_and_the_next_one_goes_on(
    database: Database, queue: Queue, database_url: URL
) -> None:
    async def run() -> None:
        async with queue.worker(fetch_job_polling_interval=0.05) as worker:
            await until(lambda: waits_for_news(queue, database))
            await asyncio.to_thread(cut_off, database, database_url, True)
            try:
                await asyncio.wait({worker}, timeout=60)
                assert worker.done()
                with pytest.raises(Exception, match=r".*"):
                    worker.result()
            finally:
                await asyncio.to_thread(cut_off, database, database_url, False)
        await asyncio.to_thread(defer, database, queue.render, 9)
        async with queue.worker():
            await until(lambda: queue.done == [9])

    asyncio.run(run())


def listening(database: Database) -> bool:
    with database.transaction() as session:
        found = session.scalar(
            text(
                # idle: it has come to the end of it, and not only to its beginning
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND query LIKE 'LISTEN%' AND state = 'idle'"
            )
        )
    return bool(found)


def cut_off(database: Database, url: URL, off: bool) -> None:
    """Let nobody connect to the test's database, and end who is connected; or let them again."""
    server = make_engine(url.set(database="postgres")).execution_options(isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f'ALTER DATABASE "{url.database}" ALLOW_CONNECTIONS {not off}'))
        if off:
            connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
                {"name": url.database},
            )
    server.dispose()
