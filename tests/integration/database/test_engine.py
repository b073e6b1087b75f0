"""Transactions, and what is tried again."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections import Counter
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import URL, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from stillframe.database.connecting import backoff
from stillframe.database.engine import Database, driver_connection, is_transient, make_engine


@pytest.fixture
def database(empty_database_url: URL) -> Iterator[Database]:
    database = Database(make_engine(empty_database_url, slots=2, application_name="stillframe test"))
    with database.transaction() as session:
        session.execute(text("CREATE TABLE numbers (number int PRIMARY KEY)"))
    yield database
    database.close()


def count(database: Database) -> int:
    with database.transaction() as session:
        return session.scalar(text("SELECT count(*) FROM numbers")) or 0


def add(session: Session, number: int) -> None:
    session.execute(text("INSERT INTO numbers VALUES (:number)"), {"number": number})


def test_a_transaction_is_all_or_nothing(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.transaction() as session:
        add(session, 1)
        raise ZeroDivisionError
    assert count(database) == 0
    with database.transaction() as session:
        add(session, 1)
    assert count(database) == 1


def test_the_server_sees_our_name(database: Database) -> None:
    with database.transaction() as session:
        name = session.scalar(
            text("SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()")
        )
    assert name == "stillframe test"


def test_a_connection_that_died_in_the_pool_is_replaced(database: Database, empty_database_url: URL) -> None:
    with database.transaction() as session:
        pid = session.scalar(text("SELECT pg_backend_pid()"))
    kill(empty_database_url, pid)
    assert count(database) == 0


def test_work_whose_connection_is_lost_is_done_again(database: Database, empty_database_url: URL) -> None:
    tries = []

    def work(session: Session) -> str:
        tries.append(1)
        add(session, len(tries))
        if len(tries) == 1:
            kill(empty_database_url, session.scalar(text("SELECT pg_backend_pid()")))
        add(session, 100)
        return "done"

    assert database.retrying(work) == "done"
    assert len(tries) == 2
    assert count(database) == 2


def test_a_deadlock_is_resolved_by_trying_again(database: Database) -> None:
    with database.transaction() as session:
        add(session, 1)
        add(session, 2)
    both_hold_one = threading.Barrier(2)
    tries: list[int] = []

    def swap(first: int, second: int) -> None:
        def work(session: Session) -> None:
            tries.append(first)
            lock = text("SELECT FROM numbers WHERE number = :number FOR UPDATE")
            session.execute(lock, {"number": first})
            if tries.count(first) == 1:
                both_hold_one.wait()
            session.execute(lock, {"number": second})

        database.retrying(work)

    threads = [threading.Thread(target=swap, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tries) == 3


def test_a_fault_of_the_work_itself_is_not_tried_again(database: Database) -> None:
    tries = []

    def work(session: Session) -> None:
        tries.append(1)
        add(session, 1)
        add(session, 1)

    with pytest.raises(IntegrityError):
        database.retrying(work)
    assert len(tries) == 1


def test_trying_again_has_an_end(empty_database_url: URL) -> None:
    nowhere = make_engine(empty_database_url.set(query={"host": "/nonexistent"}))
    with pytest.raises(OperationalError) as caught:
        Database(nowhere).retrying(lambda session: session.execute(text("SELECT 1")), seconds=0.2)
    assert is_transient(caught.value)


def test_a_statement_that_fails_leaves_the_next_transaction_whole(database: Database) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero), database.statements() as connection:
        connection.execute("SELECT 1 / 0")
    with contextlib.suppress(InterruptedError), database.transaction() as session:
        add(session, 1)
        raise InterruptedError
    assert count(database) == 0


def test_the_drivers_connection_is_in_the_sessions_transaction(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.transaction() as session:
        driver_connection(session).execute("INSERT INTO numbers VALUES (7)")
        assert session.scalar(text("SELECT number FROM numbers")) == 7
        raise ZeroDivisionError
    assert count(database) == 0


@pytest.mark.parametrize("is_statement", [False, True])
def test_a_server_that_may_only_be_read_is_left(database: Database, is_statement: bool) -> None:
    """Another one has taken its place: who connects anew gets to that."""

    def write(number: int) -> None:
        if is_statement:
            with database.statements() as connection:
                connection.execute("INSERT INTO numbers VALUES (%s)", [number])
            return
        with database.transaction() as session:
            add(session, number)

    write(1)
    with database.transaction() as session:
        session.execute(text("SET SESSION default_transaction_read_only = on"))
    with pytest.raises(Exception, match="read-only") as caught:
        write(2)
    assert is_transient(caught.value)
    write(2)
    assert count(database) == 2


def test_pauses_grow_up_to_a_bound_and_differ() -> None:
    """So that a thousand processes that begin at the same moment do not come back at the same."""
    all_pauses = [list(itertools.islice(backoff(1.0, 8.0), 6)) for _ in range(1000)]
    for number, limit in enumerate((1, 2, 4, 8, 8, 8)):
        pauses = sorted(pauses[number] for pauses in all_pauses)
        assert limit / 2 <= pauses[0] < pauses[-1] <= limit
        # no tenth of the time has more than its share by far
        tenths = Counter(int((pause - limit / 2) * 20 / limit) for pause in pauses)
        assert max(tenths.values()) < 200


def kill(url: URL, pid: int | None) -> None:
    with psycopg.connect(host=url.query["host"], user=url.username, dbname=url.database) as connection:  # type: ignore[arg-type]
        connection.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
