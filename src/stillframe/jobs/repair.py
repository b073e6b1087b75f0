"""The periodic repair: whatever was lost on the way comes back into the queue.

One process at a time does it, whoever gets the advisory lock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

import structlog
from prometheus_client import Gauge
from sqlalchemy import text
from sqlalchemy.orm import Session

from stillframe.database.engine import Database
from stillframe.jobs import lifecycle, pipelines, probe_jobs, registering
from stillframe.jobs.nodes import Node
from stillframe.jobs.queue import Queue, Worker
from stillframe.telemetry import Metrics

_ADVISORY_LOCK = 0x5F11_2E9A
#: a live job that nothing has happened to for so long, and that no task stands for, has lost its task
LOST_AFTER_S = 60.0
_EVERY_S = 5.0
#: rounds after which it is said that this process lives
_BEAT_EVERY = 2
#: all processes together look at a long queue for no more than a tenth of the time
_REST = 10
log = structlog.get_logger(__name__)


def repair(
    database: Database,
    queue: Queue,
    worker: Worker | None = None,
    *,
    lost_after_s: float = LOST_AFTER_S,
    all_workers_are_dead: bool = False,
) -> int:
    """Put back what dead workers have begun, and jobs whose task is lost; how many these were.

    Of its own living `worker` a process puts back what that has let go of without being able to say so.
    `all_workers_are_dead`: the caller owns the database alone and has not begun to work, so nobody is waited for.
    """
    with database.transaction() as session:
        mended = 0
        if worker is not None:
            if worker.is_unheard:
                queue.keep_alive(session, worker)
            mended = queue.put_back_dropped(session, worker)
        if session.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK}):
            queue.put_in_order(session)
            pipelines.keep_hours(session, queue)
            mended += queue.put_back_all(session) if all_workers_are_dead else queue.put_back_stalled(session)
            lost_since_s = 0 if all_workers_are_dead else lost_after_s
            for media_id in queue.assets_without_task(session, lost_since_s):
                mended += registering.resume(session, queue, media_id)
            for job_id, epoch in queue.jobs_without_task(session, lost_since_s):
                job = lifecycle.claim(session, job_id, epoch)
                if job is not None:
                    lifecycle.resume(session, queue, job)
                    mended += 1
            for job_id, attempt in queue.probe_jobs_without_task(session, lost_since_s):
                probe_job = probe_jobs.claim(session, job_id, attempt)
                if probe_job is not None:
                    probe_jobs.resume(session, queue, probe_job)
                    mended += 1
        for pipeline_id in pipelines.limited(session):
            pipelines.let_in(session, queue, pipeline_id)
    if mended:
        log.warning("brought back what was lost", tasks=mended)
    return mended


class Keeper:
    """Repairs every few seconds, and keeps the metrics of the queue current, on a thread of its own."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        worker: Worker | None,
        node: Node,
        metrics: Metrics,
    ) -> None:
        self._database = database
        self._queue = queue
        self._worker = worker
        self._node = node
        self._metrics = metrics
        #: what each metric tells of: pipelines, roles
        self._shown: dict[Gauge, set[str]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stillframe-keeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after what is being done."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        rounds, processes, next_look = 0, 1, 0.0
        while not self._stopping.wait(_EVERY_S):
            try:
                repair(self._database, self._queue, self._worker)
                if rounds % _BEAT_EVERY == 0:
                    living = self._node.beat()
                    self._show(self._metrics.nodes, living)
                    processes = max(sum(living.values()), 1)
                rounds += 1
                if (began := time.monotonic()) >= next_look:
                    with self._database.transaction() as session:
                        self._measure(session)
                    next_look = time.monotonic() + (time.monotonic() - began) * processes * _REST
            except Exception as error:
                # the database is away most often; what was not done now is done the next time
                log.warning("the repair could not be done", error=str(error))

    def _measure(self, session: Session) -> None:
        depth = self._queue.depth(session)
        self._show(self._metrics.queue_tasks, {pipeline_id: tasks for pipeline_id, tasks, _ in depth})
        self._show(self._metrics.queue_age, {pipeline_id: age_s for pipeline_id, _, age_s in depth})
        self._show(self._metrics.parked_jobs, pipelines.parked_jobs(session))

    def _show(self, gauge: Gauge, values: Mapping[str, float]) -> None:
        for label, value in values.items():
            gauge.labels(label).set(value)
        # those that are left are not taken away in between: somebody may read them at this very moment
        for label in self._shown.get(gauge, set()) - values.keys():
            gauge.remove(label)
        self._shown[gauge] = {*values}
