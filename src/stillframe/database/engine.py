"""The engine, sessions and transactions.

database = Database(make_engine(postgres.url, slots=4))
with database.transaction() as session:
    session.add(job)

with database.statements() as connection:
    connection.execute("SELECT 1")

database.retrying(lambda session: claim(session, slice_id))
"""

from __future__ import annotations

import re
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import psycopg
import structlog
from psycopg.conninfo import make_conninfo
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker

from stillframe.database.connecting import ANSWER_S, Connecting, LimitedConnection, backoff, with_patience
from stillframe.errors import DatabaseError

Result = TypeVar("Result")

#: threads of the API that may hold a connection at the same time
_API_CONNECTIONS = 12
_POOL_WAIT_SECONDS = 30
#: by which the server shows our connections
_NAME = "stillframe"

#: the server may only be read: it is about to be replaced, or was
READ_ONLY = "25006"
#: SQLSTATEs after which the same transaction may well succeed; see PostgreSQL's appendix "Error Codes"
_TRANSIENT_STATES = frozenset(
    {
        "40001",  # serialization failure
        "40P01",  # deadlock
        "55P03",  # lock not available
        "57P01",  # the server is being shut down
        "57P02",  # a server process has crashed
        "57P03",  # the server is starting up
        "25P03",  # idle in a transaction for too long
        "25P04",  # a transaction that has taken too long
        READ_ONLY,
    }
)
#: of the connection; and when the server is short of something: disk, memory, connections
_TRANSIENT_CLASSES = ("08", "53")
#: of an address: what stands before its hosts, hosts of which there are several, and what follows
_SEVERAL_HOSTS = re.compile(r"(?P<before>[^:]+://(?:[^/]*@)?)(?P<hosts>[^/?@]*,[^/?@]*)(?P<after>.*)")
_HOST = re.compile(r"(?P<host>\[[^]]*\]|[^:]*)(?::(?P<port>\d+))?")
#: who holds something for so long is not only at a commit
HELD_FOR_LONG_S = 1.0
#: tries of a transaction: the first few of them are a deadlock's
_TELLS_AFTER = 2
log = structlog.get_logger(__name__)


def make_engine(url: str | URL, *, slots: int = 1, application_name: str = _NAME) -> Engine:
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
    )
    connecting = Connecting()

    @event.listens_for(engine, "do_connect")
    def connect(_: object, __: object, ___: object, arguments: dict[str, Any]) -> LimitedConnection:
        return connecting.connect(**{"application_name": application_name, **arguments})

    event.listen(engine, "checkout", _demand_alive)
    event.listen(engine, "handle_error", _leave_what_may_only_be_read)
    return engine


def with_driver(url: str | URL) -> URL:
    """The address with psycopg as its driver. Raises DatabaseError, which never shows the password.

    Of several hosts, as PostgreSQL writes them (`a:5432,b:5433`), whichever takes connections is meant.
    """
    try:
        parsed = url if isinstance(url, URL) else _parsed(url)
    except (ArgumentError, ValueError) as error:
        raise DatabaseError("database_url is not an address such as postgresql://user@host/name") from error
    if parsed.drivername not in ("postgres", "postgresql", "postgresql+psycopg"):
        raise DatabaseError(f"database_url begins with {parsed.drivername}://, but must with postgresql://")
    return parsed.set(drivername="postgresql+psycopg")


def _parsed(address: str) -> URL:
    found = _SEVERAL_HOSTS.fullmatch(address)
    if found is None:
        return make_url(address)
    hosts = [_HOST.fullmatch(host) for host in found["hosts"].split(",")]
    if not all(hosts):
        raise ValueError("a host is none")
    named = {
        "host": ",".join(host["host"].strip("[]") for host in hosts if host),
        "port": ",".join(host["port"] or "" for host in hosts if host),
    }
    return make_url(found["before"] + found["after"]).update_query_dict(
        {name: value for name, value in named.items() if value.strip(",")}
    )


def psycopg_dsn(url: str | URL) -> str:
    """The address for psycopg itself, password and time limits included: for the queue's own connections.

    Not as a URL: SQLAlchemy writes a space in it as `+`, which PostgreSQL's library takes for a plus sign.
    """
    address = with_driver(url)
    _, arguments = address.get_dialect()().create_connect_args(address)
    return make_conninfo(**with_patience({"application_name": _NAME, **arguments}))


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
        except psycopg.Error as error:
            if isinstance(error, psycopg.OperationalError) or error.sqlstate == READ_ONLY:
                pooled.invalidate(error)
            raise
        finally:
            if not connection.closed:
                # whatever has failed: the next user's transaction must be one
                connection.autocommit = False
            pooled.close()

    def retrying(
        self,
        work: Callable[[Session], Result],
        *,
        seconds: float | None = 20.0,
        ended: threading.Event | None = None,
    ) -> Result:
        """Do `work` in a transaction; do all of it again after a transient fault, for at most so many seconds.

        With None for as long as it takes; but once `ended` is set there is no other try. `work` must do nothing
        outside of the transaction that may not be done twice. A commit whose answer got lost is repeated, too: `work`
        must find that it was done already.
        """

        def attempt() -> Result:
            with self.transaction() as session:
                return work(session)

        return self.insisting(attempt, seconds=seconds, ended=ended)

    def insisting(
        self,
        attempt: Callable[[], Result],
        *,
        seconds: float | None = 20.0,
        ended: threading.Event | None = None,
    ) -> Result:
        """As `retrying`, for an attempt that makes its own transaction."""
        began = time.monotonic()
        ended = ended or threading.Event()
        for number, pause_seconds in enumerate(backoff()):
            try:
                return attempt()
            except Exception as error:
                is_late = seconds is not None and time.monotonic() - began + pause_seconds > seconds
                if not is_transient(error) or is_late or ended.is_set():
                    raise
                if number == _TELLS_AFTER:
                    log.warning("the database is away: what was done is kept for it", error=str(error))
            ended.wait(pause_seconds)
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


def _leave_what_may_only_be_read(context: ExceptionContext) -> None:
    """What is connected to a server that was replaced is connected anew, to the one that is the first now."""
    if isinstance(context.original_exception, psycopg.Error):
        context.is_disconnect |= context.original_exception.sqlstate == READ_ONLY


def driver_connection(session: Session) -> psycopg.Connection[object]:
    """psycopg's own connection beneath a session: what is done on it belongs to the session's transaction."""
    return cast("psycopg.Connection[object]", session.connection().connection.driver_connection)


@contextmanager
def without_limit(connection: Connection) -> Iterator[None]:
    """In the block answers may take as long as they do: of changes to large tables."""
    driver = cast("LimitedConnection", connection.connection.driver_connection)
    driver.answer_s = None
    try:
        yield
    finally:
        driver.answer_s = ANSWER_S


def unless_held(session: Session, work: Callable[[], Result]) -> Result | None:
    """What `work` returns; None when it had to wait for a lock for too long: nothing of it is done then.

    Either way the transaction goes on.
    """
    try:
        with session.begin_nested():
            session.execute(text(f"SET LOCAL lock_timeout = '{HELD_FOR_LONG_S:g}s'"))
            done = work()
            session.flush()
            # a commit that tells of new tasks waits for others, too
            session.execute(text("SET LOCAL lock_timeout TO DEFAULT"))
            return done
    except (DBAPIError, psycopg.Error) as error:
        original = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(original, psycopg.errors.LockNotAvailable):
            return None
        raise


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
