"""The engine, sessions and transactions.

database = Database(make_engine(postgres.url, slots=4))
with database.transaction() as session:
    session.add(job)

with database.statements() as connection:
    connection.execute("SELECT 1")

database.retrying(lambda session: claim(session, slice_id))
"""

from __future__ import annotations

import random
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker

from stillframe.errors import DatabaseError

Result = TypeVar("Result")

#: threads of the API that may hold a connection at the same time
_API_CONNECTIONS = 12
_POOL_WAIT_SECONDS = 30
_CONNECT_SECONDS = 10

#: SQLSTATEs after which the same transaction may well succeed; see PostgreSQL's appendix "Error Codes"
_TRANSIENT_STATES = frozenset(
    {
        "40001",  # serialization failure
        "40P01",  # deadlock
        "55P03",  # lock not available
        "57P01",  # the server is being shut down
        "57P02",  # a server process has crashed
        "57P03",  # the server is starting up
        "25006",  # read-only: a primary that is about to be replaced
    }
)
#: of the connection; and when the server is short of something: disk, memory, connections
_TRANSIENT_CLASSES = ("08", "53")


def make_engine(url: str | URL, *, slots: int = 1, application_name: str = "stillframe") -> Engine:
    """An engine for one process: connections for the API's threads and for each slot.

    A plain `postgresql://` address is given our driver. Nothing is connected yet. Raises DatabaseError for an
    address that is not PostgreSQL's.
    """
    engine = create_engine(
        with_driver(url),
        pool_size=_API_CONNECTIONS // 2 + slots,
        max_overflow=_API_CONNECTIONS // 2,
        pool_timeout=_POOL_WAIT_SECONDS,
        pool_use_lifo=True,
        connect_args={"application_name": application_name, "connect_timeout": _CONNECT_SECONDS},
    )
    event.listen(engine, "checkout", _demand_alive)
    return engine


def with_driver(url: str | URL) -> URL:
    """The address with psycopg as its driver. Raises DatabaseError, which never shows the password."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise DatabaseError("database_url is not an address such as postgresql://user@host/name") from error
    if parsed.drivername not in ("postgres", "postgresql", "postgresql+psycopg"):
        raise DatabaseError(f"database_url begins with {parsed.drivername}://, but must with postgresql://")
    return parsed.set(drivername="postgresql+psycopg")


def psycopg_dsn(url: str | URL) -> str:
    """The address for psycopg itself, password included: for the queue's own connections.

    Not as a URL: SQLAlchemy writes a space in it as `+`, which PostgreSQL's library takes for a plus sign.
    """
    address = with_driver(url)
    _, arguments = address.get_dialect()().create_connect_args(address)
    return make_conninfo(**arguments)


class Database:
    """Sessions and transactions over an engine. One for each process; its methods may be called by any thread."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._sessions = sessionmaker(engine, expire_on_commit=False)

    @contextmanager
    def transaction(self, within: Session | None = None) -> Iterator[Session]:
        """A session whose work is committed at the end of the block, and rolled back when that raises.

        `within` is a transaction that the work shall be a part of: it is committed when that one is.
        """
        if within is not None:
            yield within
            return
        with self._sessions.begin() as session:
            yield session

    @contextmanager
    def statements(self) -> Iterator[psycopg.Connection[Any]]:
        """The driver's own connection, on which each statement is a transaction: one round trip, and little around it.

        For what is done for every request. Raises psycopg.Error, as the driver does.
        """
        pooled = self.engine.raw_connection()
        connection = cast("psycopg.Connection[Any]", pooled.driver_connection)
        try:
            connection.autocommit = True
            yield connection
        except psycopg.OperationalError as error:
            pooled.invalidate(error)
            raise
        finally:
            if not connection.closed:
                # whatever has failed: the next user's transaction must be one
                connection.autocommit = False
            pooled.close()

    def retrying(self, work: Callable[[Session], Result], *, seconds: float = 20.0) -> Result:
        """Do `work` in a transaction; do all of it again after a transient fault, for at most so many seconds.

        `work` must do nothing outside of the transaction that may not be done twice. A commit whose answer got
        lost is repeated, too: `work` must find that it was done already.
        """
        deadline = time.monotonic() + seconds
        for pause_seconds in backoff():
            try:
                with self.transaction() as session:
                    return work(session)
            except Exception as error:
                if not is_transient(error) or time.monotonic() + pause_seconds > deadline:
                    raise
            time.sleep(pause_seconds)
        raise AssertionError("backoff() never ends")

    def close(self) -> None:
        """Close all connections that are not in use."""
        self.engine.dispose()


def _demand_alive(connection: psycopg.Connection[object], record: object, proxy: object) -> None:
    """Refuse a connection of the pool that has died; who says nothing is alive, and is not asked: that takes a while.

    A server that ends says so, or the system closes its sockets for it: either can be read.
    """
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    if waiting.poll(0):
        try:
            connection.execute("SELECT 1")
            connection.rollback()
        except psycopg.Error as error:
            raise InvalidatePoolError from error


def driver_connection(session: Session) -> psycopg.Connection[object]:
    """psycopg's own connection beneath a session: what is done on it belongs to the session's transaction."""
    return cast("psycopg.Connection[object]", session.connection().connection.driver_connection)


def is_transient(error: BaseException) -> bool:
    """Whether the same transaction may succeed when it is tried again: the connection, a deadlock, a restart."""
    if isinstance(error, PoolTimeout):
        return True
    original = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    if not isinstance(original, psycopg.Error):
        return False
    state = original.sqlstate
    if state is None:
        # no answer from a server at all: refused, reset, closed
        return isinstance(original, psycopg.OperationalError)
    return state in _TRANSIENT_STATES or state.startswith(_TRANSIENT_CLASSES)


def backoff(first_seconds: float = 0.05, longest_seconds: float = 3.0) -> Iterator[float]:
    """Pauses without end that double up to a limit, each a random part of that, so that callers spread."""
    limit = first_seconds
    while True:
        yield limit * (0.5 + random.random() / 2)
        limit = min(limit * 2, longest_seconds)
