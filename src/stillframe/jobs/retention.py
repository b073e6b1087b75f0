"""Retention: records that were kept for long enough are removed, a few in each transaction.

    sweeper = Sweeper(database, metrics, {"job": FinishedJobs(days=90), "nonce": nonces.forget_expired})
    sweeper.start()

Only records go: the files that a job has written stay where they are. Servers do it, one at a time, whoever gets the
advisory lock; the more of them there are, the more seldom each of them tries.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import structlog
from sqlalchemy import text
from sqlalchemy.orm import Session

from stillframe.database.engine import Database
from stillframe.jobs.nodes import forget_dead, living_servers
from stillframe.jobs.queue import Queue
from stillframe.telemetry import Metrics

DAY_S = 86_400
#: removes at most so many records; True when there may be more of them
Chore = Callable[[Session, int], tuple[int, bool]]

_ADVISORY_LOCK = 0x5F11_2E9B
#: records in one transaction; a job with all that hangs on it may be more, but then it is alone in it
_BATCH = 1000
#: all servers together try about so often
_EVERY_S = 10.0
_LONGEST_PAUSE_S = 600.0
_STOP_S = 5.0
#: what somebody else holds is left for later
_LOCK_WAIT = "SET LOCAL lock_timeout TO '1s'"
#: what a crash brings back is removed again: no disk is waited for
_NO_SYNC = "SET LOCAL synchronous_commit TO off"
_SIZES = text(
    "SELECT relname, pg_total_relation_size(oid) AS size FROM pg_class "
    "WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace ORDER BY relname"
)
log = structlog.get_logger(__name__)


class FinishedJobs:
    """Snapshot jobs that ended more than `days` ago, with their slices, outputs and reports.

    A job whose output is a media asset is needed as long as there is the asset: its pictures are those of its jobs.
    Such jobs are passed by, without a lock, and looked at again hours later.
    """

    #: of all servers together about so often one begins a walk through all ended jobs
    again_s = 3600.0
    _START = (datetime(1, 1, 1, tzinfo=UTC), "")
    #: a job's slices and outputs are no more than its shots; of the first job in line there may be any number
    _REMOVE = text(
        "WITH looked AS MATERIALIZED ("
        "SELECT job_id, finished_at, needed.is_needed, "
        "CASE WHEN needed.is_needed THEN 0 ELSE 1 + coalesce(planned, 0) END AS records FROM jobs "
        "CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM media_assets "
        "WHERE media_assets.media_id = jobs.output_asset_id) AS is_needed) AS needed "
        "WHERE status <> 'Init' AND finished_at < now() - make_interval(secs => :age_s) "
        "AND (finished_at, job_id) > (:at, :id) "
        "ORDER BY finished_at, job_id LIMIT :most), "
        "counted AS (SELECT looked.*, coalesce(sum(records) OVER (ORDER BY finished_at, job_id "
        "ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before FROM looked), "
        "taken AS (SELECT * FROM counted WHERE before < :most), "
        # looked at again: it may have been begun anew meanwhile
        "old AS MATERIALIZED (SELECT job_id FROM jobs "
        "WHERE job_id = ANY(ARRAY(SELECT job_id FROM taken WHERE NOT is_needed)) AND status <> 'Init' "
        "AND finished_at < now() - make_interval(secs => :age_s) FOR UPDATE SKIP LOCKED), "
        "gone AS (DELETE FROM jobs USING old WHERE jobs.job_id = old.job_id RETURNING jobs.job_id) "
        "SELECT finished_at, job_id, (SELECT count(*) FROM gone) AS gone FROM taken "
        "ORDER BY finished_at DESC, job_id DESC LIMIT 1"
    )

    def __init__(self, *, days: float) -> None:
        self._age_s = days * DAY_S
        self._place = self._START
        self._began = time.monotonic()

    def __call__(self, session: Session, most: int) -> tuple[int, bool]:
        """The next of them, the oldest first."""
        at, id = self._place
        row = session.execute(self._REMOVE, {"age_s": self._age_s, "at": at, "id": id, "most": most}).first()
        if row is not None:
            self._place = row.finished_at, row.job_id
            return row.gone, True
        if time.monotonic() - self._began >= self.again_s * max(living_servers(session), 1):
            self._place, self._began = self._START, time.monotonic()
        return 0, False


class FinishedProbes:
    """Probe jobs that ended more than `days` ago."""

    _REMOVE = text(
        "WITH old AS MATERIALIZED (SELECT job_id FROM probe_jobs WHERE status <> 'Init' "
        "AND finished_at < now() - make_interval(secs => :age_s) "
        "ORDER BY finished_at, job_id LIMIT :most FOR UPDATE SKIP LOCKED) "
        "DELETE FROM probe_jobs USING old WHERE probe_jobs.job_id = old.job_id RETURNING old.job_id"
    )

    def __init__(self, *, days: float) -> None:
        self._age_s = days * DAY_S

    def __call__(self, session: Session, most: int) -> tuple[int, bool]:
        """The oldest of them."""
        gone = len(session.execute(self._REMOVE, {"age_s": self._age_s, "most": most}).all())
        return gone, gone == most


def old_history(queue: Queue, *, days: float) -> Mapping[str, Chore]:
    """What is left of lost processes and of the queue's past, `days` later."""

    def of_nodes(session: Session, most: int) -> tuple[int, bool]:
        gone = forget_dead(session, days * DAY_S, most)
        return gone, gone == most

    def of_queue(session: Session, most: int) -> tuple[int, bool]:
        gone = queue.forget_history(session, days * DAY_S, most)
        return gone, gone >= most

    return {"node": of_nodes, "queue": of_queue}


class Sweeper:
    """Does the chores again and again, on a thread of its own; each removes records of the kind that it is named by."""

    def __init__(self, database: Database, metrics: Metrics, chores: Mapping[str, Chore]) -> None:
        self._database = database
        self._metrics = metrics
        self._chores = chores
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stillframe-sweeper", daemon=True)

    def start(self) -> None:
        """Begin, after a while: what has just started has other things to do."""
        self._thread.start()

    def stop(self) -> None:
        """End after the transaction in hand; one that hangs is not waited for."""
        self._stopping.set()
        self._thread.join(_STOP_S)

    def sweep(self) -> bool:
        """One transaction for each chore; whether there may be more to do. Not while another process is at it."""
        is_more = False
        for kind, chore in self._chores.items():
            if self._stopping.is_set():
                return False
            try:
                is_more |= self._do(kind, chore)
            except Exception as error:
                # the database is away, or somebody else holds what is to go
                log.warning(
                    "old records could not be removed", kind=kind, error=str(error).partition("\n")[0]
                )
        return is_more

    def _do(self, kind: str, chore: Chore) -> bool:
        with self._database.transaction() as session:
            for statement in (_NO_SYNC, _LOCK_WAIT):
                session.execute(text(statement))
            if not session.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK}):
                return False
            removed, is_more = chore(session, _BATCH)
        if removed:
            self._metrics.removed_records.labels(kind=kind).inc(removed)
        return is_more

    def _run(self) -> None:
        pause_s = self._pause_s()
        while not self._stopping.wait(pause_s):
            began = time.monotonic()
            # others are to come to the database as well: no more than half of the time is spent on this
            if self.sweep():
                pause_s = time.monotonic() - began
            else:
                self._measure()
                pause_s = self._pause_s()

    def _pause_s(self) -> float:
        try:
            with self._database.transaction() as session:
                servers = living_servers(session)
        except Exception:
            servers = 1
        return min(_EVERY_S * max(servers, 1), _LONGEST_PAUSE_S) * random.uniform(0.5, 1.5)

    def _measure(self) -> None:
        try:
            with self._database.transaction() as session:
                for table, size in session.execute(_SIZES):
                    self._metrics.table_bytes.labels(table=table).set(size)
        except Exception as error:
            log.warning("the tables could not be measured", error=str(error))
