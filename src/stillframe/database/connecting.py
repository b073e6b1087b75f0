"""How connections are opened, and how long anybody waits for a server that says nothing.

Whoever wants a connection a moment after one could not be had is told so at once: a database that is away, or has as
many connections as it may, is asked by each process now and then, and not by all of its threads all the time.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

Result = TypeVar("Result")

#: the longest that an answer to a statement is waited for: of a server that is frozen the system notices nothing
ANSWER_S = 60.0
#: for each address of a name, and each host
_CONNECT_S = 5
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 2.0

#: unless the address names others: whatever is sent and not acknowledged for 15 s, and whatever is not heard of for
#: 25 s, is dead; and a server that may only be read is not the one that is meant
_OVER_A_NETWORK: Mapping[str, str | int] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "target_session_attrs": "read-write",
}

#: the other end notices as well: or else who was cut off in a transaction would keep its locks for hours. Not among
#: the options of the address, which poolers refuse; and where the operator has set one, that stays. The last one: what
#: nobody waits for any more is not done later; not all systems can tell the server that somebody has gone
_SETTLE = """
SELECT set_config(name, wanted.setting, false) FROM (VALUES
    ('tcp_keepalives_idle', '30'), ('tcp_keepalives_interval', '10'), ('tcp_keepalives_count', '3'),
    ('tcp_user_timeout', '30s'), ('idle_in_transaction_session_timeout', '5min'),
    ('client_connection_check_interval', '10s')
) AS wanted (name, setting) JOIN pg_settings USING (name) WHERE source = 'default'
    AND (name <> 'client_connection_check_interval' OR version() LIKE '%linux%')
"""


def with_patience(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of psycopg, together with those time limits that they do not name."""
    is_socket = str(arguments.get("host", "")).startswith("/")
    return {"connect_timeout": _CONNECT_S, **({} if is_socket else _OVER_A_NETWORK), **arguments}


def backoff(first_seconds: float = 0.05, longest_seconds: float = 3.0) -> Iterator[float]:
    """Pauses without end that double up to a limit, each a random part of that, so that callers spread."""
    limit = first_seconds
    while True:
        yield limit * (0.5 + random.random() / 2)
        limit = min(limit * 2, longest_seconds)


class LimitedConnection(psycopg.Connection[Any]):
    """Waits ANSWER_S for an answer, and is closed then; with `answer_s` None it waits for ever."""

    answer_s: float | None = ANSWER_S

    def wait(self, gen: PQGen[Result], interval: float = 0.1, timeout: float | None = None) -> Result:
        try:
            return super().wait(gen, interval, self.answer_s if timeout is None else timeout)
        except psycopg.OperationalError as error:
            if error.sqlstate is None and timeout is None:
                # what comes later would be taken for the answer to something else
                self.close()
            raise


class Connecting:
    """Opens the connections of one pool. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pauses = backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        #: why the last try has failed; None where it has not
        self._reason: str | None = None
        self._until = 0.0
        self._is_tried = False

    def connect(self, **arguments: Any) -> LimitedConnection:
        """A new connection. Raises psycopg.OperationalError, without a try where one has failed just now.

        After that one tries for all: a network that swallows everything is waited for by nobody else.
        """
        with self._lock:
            if self._reason is not None:
                if self._is_tried or time.monotonic() < self._until:
                    raise psycopg.OperationalError(f"the database was away a moment ago: {self._reason}")
                self._is_tried = True
        try:
            connection = LimitedConnection.connect(**with_patience(arguments))
            try:
                settle(connection)
            except BaseException:
                connection.close()
                raise
        except BaseException as error:
            self._put_off(error)
            raise
        with self._lock:
            self._reason, self._is_tried = None, False
            self._pauses = backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        return connection

    def _put_off(self, error: BaseException) -> None:
        with self._lock:
            # of those who have tried at the same time before, the first counts
            if self._is_tried or self._reason is None:
                self._reason, self._is_tried = str(error).strip(), False
                self._until = time.monotonic() + next(self._pauses)


def settle(connection: psycopg.Connection[Any]) -> None:
    """Let the server, too, notice that this end is gone."""
    connection.autocommit = True
    connection.execute(_SETTLE)
    connection.autocommit = False


async def settle_async(connection: psycopg.AsyncConnection[Any]) -> None:
    """As `settle`."""
    was_on = connection.autocommit
    await connection.set_autocommit(True)
    await connection.execute(_SETTLE)
    await connection.set_autocommit(was_on)
