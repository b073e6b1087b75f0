"""What is done for a probe job: by a worker, or by the request that waits for it. `faults` says what errors mean."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import structlog
from sqlalchemy.orm import Session

from stillframe.catalog.buckets import Buckets, demand
from stillframe.database.engine import Database, is_transient
from stillframe.errors import ChildKilled, Unavailable
from stillframe.jobs import faults, pipelines, probe_jobs
from stillframe.jobs.models import ProbeJob
from stillframe.jobs.queue import Begun, Queue
from stillframe.jobs.running import Running
from stillframe.media.media_facts import MediaFacts
from stillframe.media.meter import ReadLimit
from stillframe.sandbox.decoder import Decoder, Work
from stillframe.telemetry import Metrics, bound

_STAGE = "probe"
log = structlog.get_logger(__name__)


class ProbeStep:
    """Describes the sources of probe jobs. Safe to use from several threads at once.

    `attempts` is how often a job is tried when what is wrong may pass; `max_read_bytes` is the most that
    a try may read.
    """

    def __init__(
        self,
        database: Database,
        queue: Queue,
        buckets: Buckets,
        decoder: Decoder,
        running: Running,
        metrics: Metrics,
        *,
        attempts: int,
        max_read_bytes: int | None = None,
    ) -> None:
        self._database = database
        self._queue = queue
        self._buckets = buckets
        self._decoder = decoder
        self._running = running
        self._metrics = metrics
        self._attempts = attempts
        self._limit = ReadLimit(max_read_bytes) if max_read_bytes is not None else None

    def probe(self, job_id: str, attempt: int, begun: Begun) -> None:
        """Do a task of the queue: describe the source and end the job, or put it off."""
        with self._measured(job_id):
            try:
                faults.demand_few(begun.starts)
                with self._database.transaction() as session:
                    job = probe_jobs.claim(session, job_id, attempt)
                if job is not None:
                    self._end(job, self._describe(job, Work()))
            except Exception as error:
                if is_transient(error):
                    # the database is away: the queue brings the task back when it can
                    raise
                self._put_off(job_id, attempt, error, given_up=begun.starts >= faults.MOST_STARTS)

    def probe_within(self, job: ProbeJob, seconds: float) -> None:
        """Describe the source of a job that has no task, and end it: well, or badly when the time is over.

        Raises Unavailable when the server is about to end; the job is in the queue then.
        """
        until = time.monotonic() + seconds
        with self._measured(job.job_id):
            while True:
                try:
                    facts = self._describe(job, Work(total_s=max(until - time.monotonic(), 0.0)))
                except Exception as error:
                    if is_transient(error):
                        raise
                    if faults.is_given_back(error):
                        self._put_off(job.job_id, job.attempt, error, given_up=False)
                        raise Unavailable("decoder") from error
                    pause_s = faults.pause_before_next(job, error, self._attempts, self._metrics)
                    if pause_s is not None and time.monotonic() + pause_s < until:
                        log.warning("trying again", stage=_STAGE, pause_s=pause_s, error=str(error))
                        self._metrics.retries.labels(stage=_STAGE).inc()
                        time.sleep(pause_s)
                        continue
                    # a child that died might live the next time, for which there is no time
                    is_late = time.monotonic() >= until or (
                        isinstance(error, ChildKilled) and pause_s is not None
                    )
                    self._end(job, _late(seconds) if is_late else faults.told(error))
                    return
                self._end(job, facts)
                return

    def _describe(self, job: ProbeJob, work: Work) -> MediaFacts:
        # asked again: what was granted at the submit may have been taken back
        found = self._buckets.of_account(job.account_id, {job.input_bucket})
        bucket = demand(found, job.input_bucket, "read", job.input_key)
        with bucket.open_input(job.input_key) as source, self._running.task(job.job_id) as task:
            task.source = source
            try:
                work = replace(work, cancelled=task.cancelled, limit=self._limit)
                described = self._decoder.describe(source, work)
                self._metrics.note_read(source.store, described.stats)
            finally:
                self._metrics.note_read(source.store, task.settle())
        return described.facts

    def _end(self, job: ProbeJob, came: MediaFacts | tuple[str, str]) -> None:
        """End a job with what is in its source, or with the code and the text of what is wrong with it."""
        with self._database.transaction() as session:
            live = probe_jobs.claim(session, job.job_id, job.attempt, begun=True)
            if live is not None:
                self._end_live(session, live, came)

    def _end_live(self, session: Session, live: ProbeJob, came: MediaFacts | tuple[str, str]) -> None:
        if isinstance(came, MediaFacts):
            probe_jobs.succeed(session, live, came)
        else:
            probe_jobs.fail(session, live, *came)
            log.info("probe job failed", code=live.code, reason=live.message)
        pipelines.has_ended(session, self._queue, live)
        self._metrics.probe_outcomes.labels(code=live.code or "Success").inc()

    def _put_off(self, job_id: str, attempt: int, error: Exception, *, given_up: bool) -> None:
        """After an error: try again later, or end the job."""
        with self._database.transaction() as session:
            job = probe_jobs.claim(session, job_id, attempt, begun=True)
            if job is None:
                return
            pause_s = (
                None if given_up else faults.pause_before_next(job, error, self._attempts, self._metrics)
            )
            if pause_s is None:
                self._end_live(session, job, faults.told(error))
                return
            log.warning("trying again", stage=_STAGE, pause_s=pause_s, error=str(error))
            self._metrics.retries.labels(stage=_STAGE).inc()
            if not faults.is_given_back(error):
                # its owner sees what it waits for, until it goes on
                job.code, job.message = faults.told(error)
            probe_jobs.resume(session, self._queue, job, pause_s)

    @contextmanager
    def _measured(self, job_id: str) -> Iterator[None]:
        began = time.perf_counter()
        with bound(job_id=job_id):
            try:
                yield
            finally:
                self._metrics.stage.labels(stage=_STAGE).observe(time.perf_counter() - began)


def _late(seconds: float) -> tuple[str, str]:
    message = (
        f"it could not be described within {seconds:.1f} s; SubmitMediaInfoJob takes the time that it needs"
    )
    return faults.TOO_LONG, message
