"""What is in work in all processes that share a database: to end it, wherever it is.

A process that wants work ended says so on a channel of the database; each worker has a `Recall` that listens there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import psycopg
import structlog
from sqlalchemy import URL, text

from stillframe.database.connecting import LimitedConnection, backoff
from stillframe.database.engine import Database, psycopg_dsn
from stillframe.jobs.queue import Queue
from stillframe.jobs.running import Running

_CHANNEL = "stillframe_recall"
_LOOK_AGAIN_S, _LONGEST_LOOK_AGAIN_S = 0.05, 0.5
#: a listener looks up so often whether it is to end
_LOOK_UP_S = 1.0
_LOOKS_TO_SIGN_OF_LIFE = 30
_RECONNECT_S, _LONGEST_RECONNECT_S = 1.0, 15.0
log = structlog.get_logger(__name__)


class Everywhere:
    """As `Running`, of all processes. `mine` are the numbers by which the queue knows this process's own worker.

    Without `mine` there are no other processes.
    """

    def __init__(
        self,
        database: Database,
        queue: Queue,
        running: Running,
        mine: Callable[[], Sequence[int]] | None,
    ) -> None:
        self._database = database
        self._queue = queue
        self._running = running
        self._mine = mine

    def shots_done(self, job_id: str) -> int:
        """As `Running.shots_done`, of this process alone."""
        return self._running.shots_done(job_id)

    def is_at(self, job_id: str) -> bool:
        """Whether anybody has a task of a job, or of a media asset, in work."""
        return self._running.is_at(job_id) or self._others_are_at(job_id, is_told=False)

    def cancel(self, job_id: str, timeout_s: float) -> bool:
        """Stop the tasks of a job, or of a media asset, and wait until they have ended; False when that takes longer.

        A worker that was killed counts as at work until it was not heard of for long enough.
        """
        deadline = time.monotonic() + timeout_s
        if not self._running.cancel(job_id, timeout_s):
            return False
        pause_s = _LOOK_AGAIN_S
        # said again each time: who is only about to begin, or has lost the database, does not hear it
        while self._others_are_at(job_id, is_told=True):
            if time.monotonic() > deadline:
                return False
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_LOOK_AGAIN_S)
        return True

    def _others_are_at(self, job_id: str, *, is_told: bool) -> bool:
        if self._mine is None:
            return False
        with self._database.transaction() as session:
            if not self._queue.others_are_at(session, job_id, self._mine()):
                return False
            if is_told:
                session.execute(text("SELECT pg_notify(:channel, :id)"), {"channel": _CHANNEL, "id": job_id})
        return True


class Recall:
    """Ends what this process has in work when another one says so; on a thread and a connection of its own."""

    def __init__(self, url: URL, running: Running) -> None:
        self._dsn = psycopg_dsn(url)
        self._running = running
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stillframe-recall", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End within about a second, or when a try to connect has ended."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        pauses = backoff(_RECONNECT_S, _LONGEST_RECONNECT_S)
        while not self._stopping.is_set():
            try:
                with LimitedConnection.connect(self._dsn, autocommit=True) as connection:
                    connection.execute(f"LISTEN {_CHANNEL}")
                    pauses = backoff(_RECONNECT_S, _LONGEST_RECONNECT_S)
                    self._listen(connection)
            except psycopg.Error as error:
                log.warning("recalls do not arrive, trying again", error=str(error))
                self._stopping.wait(next(pauses))

    def _listen(self, connection: psycopg.Connection) -> None:
        looks = 0
        while not self._stopping.is_set():
            for told in connection.notifies(timeout=_LOOK_UP_S):
                self._running.cancel(told.payload, 0)
            looks += 1
            if looks % _LOOKS_TO_SIGN_OF_LIFE == 0:
                # behind a proxy nobody else notices that the other end is gone
                connection.execute("SELECT 1")
