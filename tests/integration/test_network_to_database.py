"""Work over a network to the database that is cut, slow, or leads elsewhere: what was made is not made again."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError

from jobs_by_hand import Interrupted, JobsByHand, handlers, jobs_by_hand
from service_client import DEADLINE_S, wait_for
from stillframe.database import connecting
from stillframe.database.connecting import LimitedConnection
from stillframe.database.engine import Database, driver_connection, is_transient, make_engine, psycopg_dsn
from stillframe.jobs import queue_connection, repair
from stillframe.jobs.lanes import Lane
from stillframe.jobs.nodes import Node
from stillframe.jobs.queue import Begun, Queue
from stillframe.jobs.repair import Keeper
from stillframe.jobs.worker import Worker
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
    """The database's address behind a proxy; one that acknowledges nothing for half a second is dead."""
    patience = {"tcp_user_timeout": "500", "connect_timeout": "2"}
    return url.set(host="127.0.0.1", port=proxy.port, query=patience)


@pytest.fixture
def jobs(
    database_url: URL, proxy: TcpProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[JobsByHand]:
    """Jobs whose tasks are done behind the proxy."""
    monkeypatch.setattr(plan, "STRETCH_S", 0.005)
    monkeypatch.setattr("stillframe.jobs.worker._POLL_S", 0.1)
    monkeypatch.setattr(repair, "_EVERY_S", 0.2)
    monkeypatch.setattr(queue_connection, "_POOL_WAIT_S", 1.0)
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
        found = session.execute(text(statement))
        return [*found.all()] if found.returns_rows else []


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


@pytest.mark.parametrize("ends", ["cut", pytest.param("refuse", marks=pytest.mark.full)])
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
    first = threading.Thread(target=lambda: steps.render(**task.arguments, begun=Begun()))
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


@pytest.mark.full
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


@pytest.mark.parametrize(("delay_s", "shots"), [(0.02, 8), pytest.param(0.1, SLICES, marks=pytest.mark.full)])
def test_a_slow_network(
    jobs: JobsByHand, proxy: TcpProxy, beside: Database, database_url: URL, delay_s: float, shots: int
) -> None:
    """So much each way: everything takes longer, and nothing is given up or done twice."""
    job_id = jobs.submit(shots)
    proxy.delay_s = delay_s
    with working(jobs, proxy, database_url, slots=3) as worker:
        wait_for(lambda: asked(beside, "SELECT status FROM jobs") == [("Success",)])
        wait_for(lambda: asked(beside, "SELECT count(*) FROM procrastinate_jobs") == [(0,)])
        assert len(worker.ids()) == 1
    proxy.delay_s = 0
    assert jobs.get(job_id).count == shots
    ((slices, most, failures),) = asked(beside, "SELECT count(*), max(attempt), sum(failures) FROM slices")
    assert slices > 1
    assert (most, failures) == (1, 0)
    for stage in ("survey", "render", "finish"):
        assert jobs.metric("retries_total", stage=stage) is None
    assert jobs.metric("stage_seconds_count", stage="render") == slices
    kinds = ("stalled_task", "dropped_task", "job", "finish")
    assert [jobs.metric("repaired_total", kind=kind) or 0 for kind in kinds] == [0] * 4


def test_a_worker_begins_more_beside_what_it_had_in_work(
    proxy: TcpProxy, beside: Database, database_url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What takes long goes on over an outage, and its worker waits for nothing that it does not need."""
    monkeypatch.setattr("stillframe.jobs.worker._POLL_S", 0.1)
    begun: list[str] = []
    freed = threading.Event()

    def survey(job_id: str, *_: object) -> None:
        begun.append(job_id)
        if len(begun) == 1:
            freed.wait(DEADLINE_S)

    def defer(job_id: str) -> None:
        with beside.transaction() as session:
            Queue().defer_survey(session, job_id, 1, lane=Lane("0" * 16, "0" * 32, 5))

    worker = Worker(through(proxy, database_url), handlers(survey=survey), slots=2)
    defer("long")
    worker.start()
    try:
        wait_for(lambda: begun == ["long"])
        proxy.refuse()
        defer("short")
        # it has looked, and was not let in
        refused = proxy.connections
        wait_for(lambda: proxy.connections > refused + 1)
        proxy.heal()
        wait_for(lambda: begun == ["long", "short"])
        wait_for(lambda: asked(beside, "SELECT count(*) FROM procrastinate_jobs") == [(1,)])
        assert len(worker.ids()) == 1
        freed.set()
        wait_for(lambda: asked(beside, "SELECT count(*) FROM procrastinate_jobs") == [(0,)])
    finally:
        freed.set()
        worker.stop()
        assert worker.join(DEADLINE_S)


def test_a_process_does_not_rush_at_a_database_that_is_away(proxy: TcpProxy, database_url: URL) -> None:
    """Whatever its threads want: it is asked for a connection now and then."""
    database = Database(make_engine(through(proxy, database_url)))
    proxy.refuse()
    refusals = []

    def ask() -> None:
        for _ in range(50):
            with pytest.raises(DBAPIError) as caught:
                asked(database, "SELECT 1")
            refusals.append(is_transient(caught.value))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refusals == [True] * 400
    assert proxy.connections < 60
    proxy.heal()
    wait_for(lambda: answers(database))
    database.close()


def test_a_server_that_says_nothing(
    proxy: TcpProxy, database_url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It acknowledges all that it is sent, so that the system takes it for alive: its answer is waited for so long."""
    address = through(proxy, database_url)
    database = Database(make_engine(address))
    assert answers(database)
    with LimitedConnection.connect(psycopg_dsn(address)) as connection:
        monkeypatch.setattr(LimitedConnection, "answer_s", 0.5)
        proxy.delay_s = 3600
        with pytest.raises(DBAPIError) as caught:
            asked(database, "SELECT 1")
        assert is_transient(caught.value)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        # what it says later is an answer to nothing
        assert connection.closed
    proxy.delay_s = 0
    wait_for(lambda: answers(database))
    database.close()


def test_a_statement_whose_answer_nobody_waits_for_is_not_done_later(
    database_url: URL, beside: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for a lock; who has given it up was told that nothing had happened."""
    assert "'10s'" in connecting._SETTLE
    monkeypatch.setattr(connecting, "_SETTLE", connecting._SETTLE.replace("'10s'", "'50ms'"))
    address = database_url.set(query={**database_url.query, "application_name": "given up"})
    database = Database(make_engine(address))
    asked(beside, "CREATE TABLE told (what text)")
    left = "SELECT pid FROM pg_stat_activity WHERE application_name = 'given up'"
    with beside.transaction() as session:
        session.execute(text("LOCK TABLE told"))
        monkeypatch.setattr(LimitedConnection, "answer_s", 0.5)
        with pytest.raises(psycopg.OperationalError), database.statements() as late:
            late.execute("INSERT INTO told VALUES ('late')")
        monkeypatch.undo()
        wait_for(lambda: not asked(beside, left))
    assert asked(beside, "SELECT count(*) FROM told") == [(0,)]
    database.close()


def test_both_ends_notice_that_the_other_is_gone(proxy: TcpProxy, database_url: URL) -> None:
    address = database_url.set(host="127.0.0.1", port=proxy.port, query={})
    database = Database(make_engine(address))
    with database.transaction() as session:
        with socket.socket(fileno=os.dup(driver_connection(session).fileno())) as end:
            assert end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
            assert [end.getsockopt(socket.IPPROTO_TCP, name) for name in options] == [10, 5, 3, 15_000]
        assert session.scalar(text("SHOW idle_in_transaction_session_timeout")) == "5min"
        with (
            psycopg.connect(psycopg_dsn(address)) as other,
            socket.socket(fileno=os.dup(other.fileno())) as end,
        ):
            assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 15_000
    database.close()
    # what an operator has set for the role stays
    chosen = address.update_query_dict({"options": "-c idle_in_transaction_session_timeout=7s"})
    database = Database(make_engine(chosen))
    assert asked(database, "SHOW idle_in_transaction_session_timeout") == [("7s",)]
    database.close()


def test_an_address_that_leads_elsewhere(proxy: TcpProxy, database_url: URL, tmp_path: Path) -> None:
    """As a name whose address was changed: those who were connected stay cut off for ever."""
    database = Database(make_engine(through(proxy, database_url)))
    assert answers(database)
    proxy.cut()
    assert not answers(database)
    here = proxy.target
    proxy.target = str(tmp_path / "nobody")
    proxy.heal(old_ones=False)
    assert not answers(database)
    proxy.target = here
    wait_for(lambda: answers(database))
    database.close()


def test_as_many_connections_as_there_may_be(proxy: TcpProxy, database_url: URL, beside: Database) -> None:
    """Who gets none waits, and goes on by himself when there is one."""
    role = f"limited_{secrets.token_hex(4)}"
    asked(beside, f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 1")
    limited = through(proxy, database_url).set(username=role)
    database = Database(make_engine(limited))
    try:
        with psycopg.connect(psycopg_dsn(limited)):
            with pytest.raises(DBAPIError, match="too many connections") as caught:
                asked(database, "SELECT 1")
            assert is_transient(caught.value)
            found: list[Any] = []
            waiting = threading.Thread(
                target=lambda: found.append(
                    database.retrying(lambda session: session.scalar(text("SELECT 1")), seconds=None)
                )
            )
            waiting.start()
            refused = proxy.connections
            wait_for(lambda: proxy.connections > refused + 2)
            assert not found
        waiting.join(DEADLINE_S)
        assert found == [1]
    finally:
        database.close()
        asked(beside, f"DROP ROLE {role}")


@pytest.mark.full
def test_one_waits_for_a_network_that_swallows_everything(proxy: TcpProxy, database_url: URL) -> None:
    """The others are told at once, and are not held up with it."""
    database = Database(make_engine(through(proxy, database_url)))
    proxy.cut()
    assert not answers(database)
    told = Counter[int]()
    until = time.monotonic() + 3

    def ask(number: int) -> None:
        while time.monotonic() < until:
            assert not answers(database)
            told[number] += 1
            time.sleep(0.01)

    with ThreadPoolExecutor(4) as threads:
        assert [*threads.map(ask, range(4))] == [None] * 4
    # who tries hangs for two seconds, in which each of the others is told a hundred times and more
    assert sum(number > 60 for number in told.values()) >= 2
    database.close()
