"""Work over a network to the database that is cut, slow, or leads elsewhere: what was made is not made again."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError

from jobs_by_hand import Interrupted, JobsByHand, handlers, jobs_by_hand
from service_client import DEADLINE_S, wait_for
from stillframe.database.engine import Database, make_engine
from stillframe.jobs import queue, repair
from stillframe.jobs.nodes import Node
from stillframe.jobs.queue import Worker
from stillframe.jobs.repair import Keeper
from stillframe.media import plan
from stillframe.server.assembly import Assembly
from tcp_proxy import TcpProxy, tcp_proxy

SLICES = 20


@pytest.fixture
def proxy(database_url: URL) -> Iterator[TcpProxy]:
    """The network between this process and the test's database."""
    folder = database_url.query["host"]
    with tcp_proxy(f"{folder}/.s.PGSQL.5432") as proxy:
        yield proxy


def through(proxy: TcpProxy, url: URL) -> URL:
    """The database's address behind a proxy; one that is not heard of for two seconds is dead."""
    patience = {"tcp_user_timeout": "2000", "connect_timeout": "2"}
    return url.set(host="127.0.0.1", port=proxy.port, query=patience)


@pytest.fixture
def jobs(
    database_url: URL, proxy: TcpProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[JobsByHand]:
    """Jobs whose tasks are done behind the proxy."""
    monkeypatch.setattr(plan, "STRETCH_S", 0.005)
    monkeypatch.setattr(queue, "_POLL_S", 0.1)
    monkeypatch.setattr(repair, "_EVERY_S", 0.2)
    with jobs_by_hand(through(proxy, database_url), tmp_path) as made:
        yield made


@pytest.fixture
def beside(database_url: URL) -> Iterator[Database]:
    """The same database, which this network has nothing to do with."""
    database = Database(make_engine(database_url))
    yield database
    database.close()


def asked(database: Database, statement: str) -> list[Any]:
    with database.transaction() as session:
        return [*session.execute(text(statement)).all()]


def answers(database: Database) -> bool:
    with contextlib.suppress(DBAPIError):
        return asked(database, "SELECT 1") == [(1,)]
    return False


class Counted(Interrupted):
    """Does something else in the middle of the first slice, and counts how many were decoded to their end."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        super().__init__(meanwhile)
        self.decoded = 0

    def render(self, *arguments: Any) -> Any:
        made = super().render(*arguments)
        self.decoded += 1
        return made


@contextmanager
def working(jobs: JobsByHand, proxy: TcpProxy, url: URL, slots: int = 1) -> Iterator[Worker]:
    """A worker with its keeper, as a process has them."""
    made, steps = jobs.assembly, jobs.steps
    doing = handlers(survey=steps.survey, render=steps.render, finish=steps.finish)
    worker = Worker(through(proxy, url), doing, slots)
    node = Node(made.database, serves=False, slots=slots)
    keeper = Keeper(made.database, made.queue, worker, node, made.metrics)
    worker.start()
    keeper.start()
    try:
        yield worker
    finally:
        worker.stop()
        assert worker.join(DEADLINE_S)
        keeper.stop()


@pytest.mark.parametrize("ends", ["cut", "refuse"])
def test_a_slice_that_ends_while_the_database_is_away_is_stored_when_it_is_back(
    jobs: JobsByHand, proxy: TcpProxy, beside: Database, database_url: URL, ends: str
) -> None:
    decoder = jobs.decoder = Counted(getattr(proxy, ends))
    job_id = jobs.submit(SLICES)
    jobs.do(jobs.waiting()[0])
    ((slices,),) = asked(beside, "SELECT count(*) FROM slices")
    with working(jobs, proxy, database_url) as worker:
        wait_for(lambda: decoder.decoded == 1)
        # it is not known yet, and nobody takes what was made for lost
        assert asked(beside, "SELECT count(*) FROM slices WHERE state = 'done'") == [(0,)]
        assert asked(beside, "SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing'") == [(1,)]
        proxy.heal(old_ones=False)
        wait_for(lambda: asked(beside, "SELECT status FROM jobs") == [("Success",)])
        assert len(worker.ids()) == 1
        # what was done is told to the queue, too
        wait_for(lambda: asked(beside, "SELECT count(*) FROM procrastinate_jobs") == [(0,)])
    assert decoder.decoded == slices
    job = jobs.get(job_id)
    assert (job.status, job.count) == ("Success", SLICES)
    assert asked(beside, "SELECT DISTINCT attempt, failures, kills FROM slices") == [(1, 0, 0)]
    assert jobs.metric("retries_total", stage="render") is None


def test_a_slice_that_another_has_made_meanwhile_is_thrown_away(
    jobs: JobsByHand, proxy: TcpProxy, database_url: URL
) -> None:
    job_id = jobs.submit(SLICES)
    jobs.do(jobs.waiting()[0])
    task = jobs.waiting()[0]
    elsewhere = copy(jobs)
    elsewhere.assembly = Assembly(jobs.assembly.settings, database_url, owns_database=False)
    decoder = jobs.decoder = Counted(proxy.refuse)
    steps = jobs.steps
    first = threading.Thread(target=lambda: steps.render(**task.arguments, starts=0))
    first.start()
    try:
        wait_for(lambda: decoder.decoded == 1)
        elsewhere.do_all()
        assert elsewhere.get(job_id).status == "Success"
        before = elsewhere.state()
        assert first.is_alive()
        proxy.heal()
        first.join(DEADLINE_S)
        assert not first.is_alive()
        assert elsewhere.state() == before
        assert decoder.decoded == 1
    finally:
        elsewhere.assembly.database.close()


def test_what_is_kept_for_a_database_that_is_away_is_given_up_with_its_task(
    jobs: JobsByHand, proxy: TcpProxy, database_url: URL
) -> None:
    """So ends a worker whose time to drain is over; the slice is made again when there is a database."""
    job_id = jobs.submit(SLICES)
    jobs.do(jobs.waiting()[0])
    decoder = jobs.decoder = Counted(proxy.refuse)
    with working(jobs, proxy, database_url) as worker:
        wait_for(lambda: decoder.decoded == 1)
        worker.stop()
        assert not worker.join(0.5)
        jobs.running.cancel(None, 0)
        assert worker.join(DEADLINE_S)
    proxy.heal()
    wait_for(lambda: answers(jobs.assembly.database))
    assert jobs.sql("SELECT state, attempt FROM slices WHERE number = 1") == [("queued", 1)]
    jobs.sql("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '31 s'")
    assert repair.repair(jobs.assembly.database, jobs.assembly.queue) == {"stalled_task": 1}
    jobs.do_all()
    assert jobs.get(job_id).status == "Success"
    assert decoder.decoded > 1
