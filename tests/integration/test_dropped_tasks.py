"""What a worker cannot tell the queue just now, and what counts as begun by it though it knows nothing of that."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from jobs_by_hand import handlers
from stillframe.database.embedded import EmbeddedPostgres
from stillframe.database.engine import Database, make_engine, psycopg_dsn
from stillframe.database.migrations import history
from stillframe.jobs.lanes import Lane
from stillframe.jobs.queue import Queue
from stillframe.jobs.queue_connection import _Connector
from stillframe.jobs.repair import repair
from stillframe.jobs.worker import Worker

DEADLINE_S = 60
JOB = "0" * 32


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("data")) as started:
        engine = make_engine(started.url)
        history.upgrade(engine)
        engine.dispose()
        yield started


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stillframe.jobs.worker._POLL_S", 0.1)


class Work:
    """A worker on the queue that calls `do` for each survey."""

    def __init__(
        self, postgres: EmbeddedPostgres, do: Callable[[int], None], *, is_asked: bool = True
    ) -> None:
        self.postgres = postgres
        self.is_asked = is_asked
        self.database = Database(make_engine(postgres.url))
        self.queue = Queue()
        surveying = handlers(survey=lambda *arguments: do(arguments[-1].starts))
        self.worker = Worker(postgres.url, surveying, slots=1)

    def __enter__(self) -> Work:
        if self.is_asked:
            with self.database.transaction() as session:
                self.queue.defer_survey(session, JOB, 1, lane=Lane("0" * 16, "0" * 32, 5))
        self.worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.worker.stop()
        assert self.worker.join(DEADLINE_S)
        self.database.close()

    def sql(self, statement: str) -> list[Any]:
        with self.database.transaction() as session:
            return [*session.execute(text(statement)).all()]

    def mend(self) -> int:
        with contextlib.suppress(DBAPIError, psycopg.Error):
            return repair(self.database, self.queue, self.worker).total()
        return 0


def lose_the_connection(work: Work, backend: int) -> None:
    assert work.sql(f"SELECT pg_terminate_backend({backend})") == [(True,)]
    wait_for(lambda: not work.sql(f"SELECT FROM pg_stat_activity WHERE pid = {backend}"))


def kill_its_process(work: Work, backend: int) -> None:
    os.kill(backend, signal.SIGKILL)


def kill_postgres(work: Work, backend: int) -> None:
    # or else, while PostgreSQL's processes die one after the other, the one with the lock may let this one go on
    os.kill(backend, signal.SIGKILL)
    os.kill(work.postgres.pid, signal.SIGKILL)


@pytest.mark.parametrize("accident", [lose_the_connection, kill_its_process, kill_postgres])
def test_the_end_of_a_task_is_stored_when_the_database_is_back(
    postgres: EmbeddedPostgres, accident: Callable[[Work, int], None]
) -> None:
    starts: list[int] = []
    # whoever stores the end of a task waits for this
    with psycopg.connect(psycopg_dsn(postgres.superuser_url.set(database="stillframe"))) as lock:

        def do(start: int) -> None:
            lock.execute("LOCK TABLE procrastinate_jobs IN EXCLUSIVE MODE")
            starts.append(start)

        with Work(postgres, do) as work:
            (backend,) = wait_for(
                lambda: work.sql(
                    "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                    "AND query LIKE 'DELETE FROM procrastinate_jobs%'"
                )
            )[0]
            ((task,),) = work.sql("SELECT id FROM procrastinate_jobs")
            accident(work, backend)
            with contextlib.suppress(psycopg.Error):
                lock.rollback()
            # it was done: nobody is to do it again meanwhile
            assert [work.mend() for _ in range(3)] == [0, 0, 0]
            wait_for(lambda: _asked(work, "SELECT count(*) FROM procrastinate_jobs") == [(0,)])
            # and it works on as the same one
            assert len(work.worker.ids()) == 1
            # which has let go of it now
            wait_for(lambda: work.worker.dropped({(task, 0)}) == [task])
        assert starts == [0]


def test_a_task_that_its_worker_never_got_comes_back(postgres: EmbeddedPostgres) -> None:
    """It was fetched, and the answer got lost."""
    starts: list[int] = []
    with Work(postgres, starts.append) as work:
        wait_for(lambda: starts and work.sql("SELECT count(*) FROM procrastinate_jobs") == [(0,)])
        with work.database.transaction() as session:
            work.queue.defer_survey(session, JOB, 1, lane=Lane("0" * 16, "0" * 32, 5), delay_s=DEADLINE_S)
            found = "UPDATE procrastinate_jobs SET status = 'doing', scheduled_at = NULL, worker_id = :id"
            session.execute(text(found), {"id": work.worker.ids()[0]})
        with work.database.transaction() as session:
            # its worker lives: nobody takes that for dead
            assert work.queue.put_back_stalled(session) == 0
            assert work.queue.put_back_dropped(session, work.worker) == 0
        assert work.mend() == 1
        wait_for(lambda: starts == [0, 1])
        wait_for(lambda: work.sql("SELECT count(*) FROM procrastinate_jobs") == [(0,)])


def test_a_worker_answers_for_its_first_task_before_it_has_it(postgres: EmbeddedPostgres) -> None:
    """It was fetched by a worker that never had one, and the answer got lost."""
    starts: list[int] = []
    with Work(postgres, starts.append) as work:
        wait_for(lambda: starts and work.sql("SELECT count(*) FROM procrastinate_jobs") == [(0,)])
    with Work(postgres, starts.append, is_asked=False) as work:
        wait_for(lambda: work.worker.ids())
        with work.database.transaction() as session:
            work.queue.defer_survey(session, JOB, 1, lane=Lane("0" * 16, "0" * 32, 5), delay_s=DEADLINE_S)
            found = (
                "UPDATE procrastinate_jobs SET status = 'doing', scheduled_at = NULL, "
                "worker_id = (SELECT max(id) FROM procrastinate_workers)"
            )
            session.execute(text(found))
        assert work.mend() == 0
        assert work.mend() == 1
        wait_for(lambda: starts == [0, 1])


def test_a_number_by_which_a_worker_has_no_task_any_more_is_forgotten(postgres: EmbeddedPostgres) -> None:
    """It has another one whenever it has lost the database, and would say for ever that it lives by each of them."""
    begun, go_on = threading.Event(), threading.Event()

    def do(_: int) -> None:
        begun.set()
        go_on.wait(DEADLINE_S)

    with Work(postgres, do) as work:
        assert begun.wait(DEADLINE_S)
        (worker_id,) = work.worker.ids()
        loop = work.worker._loop
        assert loop is not None
        loop.call_soon_threadsafe(work.worker._hands.be_known_by, worker_id + 1)
        wait_for(lambda: work.worker.ids() == [worker_id, worker_id + 1])
        work.mend()
        # the task is by the first one still
        assert work.worker.ids() == [worker_id, worker_id + 1]
        go_on.set()
        # and it asks for the next one by that
        wait_for(lambda: work.mend() == 0 and work.worker.ids() == [worker_id])


@pytest.mark.parametrize(
    ("error", "starts"),
    [(psycopg.OperationalError("away for a moment"), [0, 0]), (ValueError("a defect"), [0, 1])],
)
def test_a_database_that_is_away_counts_as_no_start(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch, error: Exception, starts: list[int]
) -> None:
    """And what comes again comes by the database's clock, whatever the worker's tells."""
    wrong = datetime.now(UTC) + timedelta(hours=1)
    monkeypatch.setattr("procrastinate.utils.utcnow", lambda: wrong)
    seen: list[int] = []

    def do(start: int) -> None:
        seen.append(start)
        if len(seen) == 1:
            raise error

    with Work(postgres, do) as work:
        wait_for(lambda: work.sql("SELECT count(*) FROM procrastinate_jobs") == [(0,)])
    assert seen == starts


@pytest.mark.parametrize("is_done", [True, False])
@pytest.mark.parametrize("in_work", [False, True])
def test_a_number_that_was_given_again_is_another_task(
    postgres: EmbeddedPostgres, in_work: bool, is_done: bool
) -> None:
    """A crash of the database has taken along that the task was there at all."""
    found = "SELECT status, attempts, args->>'job_id' FROM procrastinate_jobs"
    another = [("doing" if in_work else "todo", 0, "1" * 32)]

    def do(_: int) -> None:
        work.sql("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now()) RETURNING id")
        work.sql(
            f"UPDATE procrastinate_jobs SET status = '{another[0][0]}', scheduled_at = now() + interval '1 h', "
            "worker_id = (SELECT max(id) FROM procrastinate_workers), "
            "args = args || jsonb_build_object('job_id', repeat('1', 32)) RETURNING id"
        )
        if not is_done:
            raise ValueError("a defect")

    with Work(postgres, do) as work:
        wait_for(lambda: work.sql(found) == another and not work.worker._hands.tasks)
    with (
        contextlib.closing(Database(make_engine(postgres.url))) as database,
        database.transaction() as session,
    ):
        assert session.execute(text(found)).all() == another
        session.execute(text("DELETE FROM procrastinate_jobs"))


def test_of_many_workers_not_all_look_at_once() -> None:
    """What is heard before one has looked is looked for at that time; a word of something else goes through."""
    looks: list[str] = []

    async def look(*, channel: str, payload: str) -> None:
        looks.append(payload)

    async def hear(workers: int, *, fetches: bool = False) -> None:
        pool = _Connector()
        pool.living_workers = workers
        if fetches:
            pool.is_quiet.clear()
        told = pool._in_turn(look)
        for number in range(20):
            await told(channel="any", payload=f'{{"type": "job_inserted", "job_id": {number}}}')
        await told(channel="any", payload='{"type": "abort_job_requested", "job_id": 1}')
        await asyncio.sleep(workers * 0.01)

    asyncio.run(hear(workers=30))
    assert ["abort" in look for look in looks] == [True, False]
    # Procrastinate would forget it
    looks.clear()
    asyncio.run(hear(workers=1, fetches=True))
    assert ["abort" in look for look in looks] == [True]


def test_a_task_in_work_is_left_alone(postgres: EmbeddedPostgres) -> None:
    begun, go_on = threading.Event(), threading.Event()
    starts: list[int] = []

    def do(start: int) -> None:
        starts.append(start)
        begun.set()
        go_on.wait(DEADLINE_S)

    with Work(postgres, do) as work:
        assert begun.wait(DEADLINE_S)
        assert [work.mend() for _ in range(3)] == [0, 0, 0]
        go_on.set()
        wait_for(lambda: work.sql("SELECT count(*) FROM procrastinate_jobs") == [(0,)])
    assert starts == [0]


def _asked(work: Work, statement: str) -> list[Any]:
    """The answer; nothing while the database is away."""
    with contextlib.suppress(DBAPIError):
        return work.sql(statement)
    return []


def wait_for(what: Callable[[], Any]) -> Any:
    """What it returns as soon as that is true."""
    deadline = time.monotonic() + DEADLINE_S
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found
