"""The periodic repair: whatever was lost on the way comes back into the queue.

One process at a time does it, whoever gets the advisory lock.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Literal

import structlog
from prometheus_client import Gauge
from sqlalchemy import text
from sqlalchemy.orm import Session

from stillframe.database.connecting import backoff
from stillframe.database.engine import Database, unless_held
from stillframe.jobs import lifecycle, pipelines, probe_jobs, registering
from stillframe.jobs import queue as queues
from stillframe.jobs.nodes import Node
from stillframe.jobs.queue import Queue
from stillframe.jobs.worker import Worker
from stillframe.telemetry import Metrics

_ADVISORY_LOCK = 0x5F11_2E9A
#: a live job that nothing has happened to for so long, and that no task stands for, has lost its task
LOST_AFTER_S = 60.0
#: about how often it is looked for; while the database is away the pauses grow
_EVERY_S, _LONGEST_S = 5.0, 15.0
#: a repair whose process does nothing for so long has ended
_FROZEN_AFTER_S = 20
#: rounds after which it is said that this process lives
_BEAT_EVERY = 2
#: all processes together look at a long queue for no more than a tenth of the time
_REST = 10
#: for so long at the most parked jobs are let in at a time: the rest of the repair is due as well
_LET_IN_S = 4.0
#: and where there are more of them, the next repair comes so soon
_SOON_S = 1.0
log = structlog.get_logger(__name__)


#: what was mended: tasks that a dead worker had begun, or that a living one has let go of without being able to say so;
#: what no task stood for: jobs, jobs whose slices are all done, probe jobs, media assets; parked jobs that may go on
Kind = Literal["stalled_task", "dropped_task", "job", "finish", "probe_job", "media_asset", "parked_job"]


class Pace:
    """Of something that is to take all `processes` together no more than a tenth of the time."""

    def __init__(self) -> None:
        self.processes = 1
        self._next = 0.0

    def is_due(self) -> bool:
        """Whether it may be done now."""
        return time.monotonic() >= self._next

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """It is done in the block."""
        began = time.monotonic()
        yield
        self._next = time.monotonic() + (time.monotonic() - began) * self.processes * _REST


def repair(
    database: Database,
    queue: Queue,
    worker: Worker | None = None,
    *,
    lost_after_s: float = LOST_AFTER_S,
    all_workers_are_dead: bool = False,
    hears_others: bool = True,
    pace: Pace | None = None,
) -> Counter[Kind]:
    """Put back what dead workers have begun, and jobs whose task is lost; how many of each kind these were.

    Of its own living `worker` a process puts back what that has let go of without being able to say so.
    `all_workers_are_dead`: the caller owns the database alone and has not begun to work, so nobody is waited for.
    Unless the caller `hears_others`, their silence means nothing: the database was away a moment ago. What no task
    stands for is looked for among all that waits: not more often than its `pace` allows.
    """
    mended = Counter[Kind]()
    waiting: Iterable[str] = ()
    with database.transaction() as session:
        if worker is not None:
            queue.keep_alive(session, worker)
            mended["dropped_task"] = queue.put_back_dropped(session, worker)
        if _is_alone(session):
            queue.put_in_order(session)
            if all_workers_are_dead:
                mended["stalled_task"] = queue.put_back_all(session)
            elif hears_others:
                mended["stalled_task"] = queue.put_back_stalled(session)
    # who holds a pipeline, or stands still with one, keeps nobody's tasks from coming back
    with database.transaction() as session:
        if _is_alone(session):
            if pace is None or pace.is_due():
                with pace.keeping() if pace is not None else nullcontext():
                    mended += _bring_back(session, queue, 0 if all_workers_are_dead else lost_after_s)
            pipelines.keep_hours(session)
            waiting = pipelines.with_parked_jobs(session)
    mended["parked_job"] = _let_in(database, queue, waiting)
    mended = +mended
    if mended:
        log.warning("brought back what was lost", tasks=mended.total(), kinds=[*mended])
    return mended


def _is_alone(session: Session) -> bool:
    """Whether nobody else repairs until the end of this transaction."""
    if not session.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK}):
        return False
    _demand_haste(session)
    return True


def _bring_back(session: Session, queue: Queue, lost_since_s: float) -> Counter[Kind]:
    """Bring back what no task stands for; what is of a pipeline that somebody holds for long is for the next time."""
    mended = Counter[Kind]()
    for media_id in queue.assets_without_task(session, lost_since_s):
        mended["media_asset"] += registering.resume(session, queue, media_id)
    lost: defaultdict[str, list[Callable[[], Kind | None]]] = defaultdict(list)
    for pipeline_id, job_id, epoch in queue.jobs_without_task(session, lost_since_s):
        lost[pipeline_id].append(partial(_resume_job, session, queue, job_id, epoch))
    for pipeline_id, job_id, attempt in queue.probe_jobs_without_task(session, lost_since_s):
        lost[pipeline_id].append(partial(_resume_probe_job, session, queue, job_id, attempt))
    for resumes in lost.values():
        kinds = unless_held(session, partial(_all, resumes))
        mended.update(kind for kind in kinds or () if kind is not None)
    return mended


def _all(resumes: Iterable[Callable[[], Kind | None]]) -> list[Kind | None]:
    return [resume() for resume in resumes]


def _resume_job(session: Session, queue: Queue, job_id: str, epoch: int) -> Kind | None:
    job = lifecycle.claim(session, job_id, epoch)
    if job is None:
        return None
    kind: Kind = "finish" if lifecycle.is_all_done(session, job) else "job"
    lifecycle.resume(session, queue, job)
    return kind


def _resume_probe_job(session: Session, queue: Queue, job_id: str, attempt: int) -> Kind | None:
    job = probe_jobs.claim(session, job_id, attempt)
    if job is None:
        return None
    probe_jobs.resume(session, queue, job)
    return "probe_job"


def _let_in(database: Database, queue: Queue, pipeline_ids: Iterable[str]) -> int:
    """Bring back parked jobs of these pipelines, a batch of one in each transaction; how many they were.

    They take turns. What is left when the time is up is for the next repair, whoever does it.
    """
    number, began = 0, time.monotonic()
    waiting = deque(pipeline_ids)
    while waiting and time.monotonic() - began < _LET_IN_S:
        pipeline_id = waiting.popleft()
        with database.transaction() as session:
            _demand_haste(session)
            let_in = (
                pipelines.let_in(session, queue, pipeline_id)
                if pipelines.is_free(session, pipeline_id)
                else 0
            )
        number += let_in
        if let_in >= pipelines.BATCH:
            waiting.append(pipeline_id)
    return number


def _demand_haste(session: Session) -> None:
    """Who freezes in this transaction is not to keep all others from what it holds."""
    session.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = '{_FROZEN_AFTER_S}s'"))


class Keeper:
    """Repairs every few seconds, and keeps the metrics of the queue current, on a thread of its own.

    Others are taken for dead only when the database was there for `hears_after_s`, or as long as they may be silent:
    where it was away they had no way to be heard.
    """

    def __init__(
        self,
        database: Database,
        queue: Queue,
        worker: Worker | None,
        node: Node,
        metrics: Metrics,
        *,
        hears_after_s: float | None = None,
    ) -> None:
        self._database = database
        self._queue = queue
        self._worker = worker
        self._node = node
        self._metrics = metrics
        self._hears_after_s = queues.DEAD_AFTER_S if hears_after_s is None else hears_after_s
        #: what each metric tells of: pipelines, roles
        self._shown: dict[Gauge, set[str]] = {}
        #: since when the database was there each time that it was asked
        self._in_touch_since: float | None = None
        self._repairs, self._looks = Pace(), Pace()
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
        rounds = 0
        pauses = backoff(_EVERY_S, _LONGEST_S)
        pause_s = _EVERY_S
        while not self._stopping.wait(pause_s):
            try:
                is_more = self._repair()
                if rounds % _BEAT_EVERY == 0:
                    living = self._node.beat()
                    self._show(self._metrics.nodes, living)
                    self._repairs.processes = self._looks.processes = max(sum(living.values()), 1)
                rounds += 1
                if self._looks.is_due():
                    with self._looks.keeping(), self._database.transaction() as session:
                        self._measure(session)
                pauses = backoff(_EVERY_S, _LONGEST_S)
                pause_s = min(_SOON_S if is_more else _EVERY_S, _EVERY_S) * random.uniform(0.9, 1.1)
            except Exception as error:
                # the database is away most often; what was not done now is done the next time
                log.warning("the repair could not be done", error=str(error))
                self._in_touch_since = None
                pause_s = next(pauses)

    def _repair(self) -> bool:
        """Whether there may be more to be let in."""
        if self._in_touch_since is None:
            self._in_touch_since = time.monotonic()
        hears_others = time.monotonic() - self._in_touch_since >= self._hears_after_s
        mended = repair(
            self._database, self._queue, self._worker, hears_others=hears_others, pace=self._repairs
        )
        self._metrics.note_repaired(mended)
        return mended["parked_job"] >= pipelines.BATCH

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
