"""What becomes of a job's work after an error: another try after a pause, or the end of the job.

Which of the two, and what its owner reads of it, is said in `faults`.
"""

from __future__ import annotations

import structlog
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from stillframe.database.engine import Database
from stillframe.events.outbox import Outbox
from stillframe.jobs import faults, lifecycle, pipelines
from stillframe.jobs.lanes import Lane
from stillframe.jobs.models import Job, Slice
from stillframe.jobs.queue import Queue
from stillframe.jobs.report import with_more
from stillframe.media.report import Stats
from stillframe.telemetry import Metrics

log = structlog.get_logger(__name__)


class TryingAgain:
    """Each step of a job is tried `attempts` times when what is wrong may pass."""

    def __init__(
        self, database: Database, queue: Queue, outbox: Outbox, metrics: Metrics, *, attempts: int
    ) -> None:
        self._database = database
        self._queue = queue
        self._outbox = outbox
        self._metrics = metrics
        self._attempts = attempts

    def after(
        self,
        error: Exception,
        stage: str,
        job_id: str,
        epoch: int,
        piece: tuple[int, int] | None,
        spent: Stats,
        *,
        given_up: bool,
    ) -> bool:
        """Try the step again later, or end its job (True). What the try has cost is not forgotten.

        `piece` is the slice and its attempt, where the step is of one. Nothing is done when the task is void.
        """
        with self._database.transaction() as session:
            job = lifecycle.claim(session, job_id, epoch, begun=True)
            if job is None or (stage == "survey" and _has_slices_in_the_queue(session, job)):
                return False
            counted: Job | Slice = job
            if piece is not None:
                found = session.get(Slice, (job_id, piece[0]))
                if found is None or found.attempt != piece[1] or found.state != "queued":
                    return False
                counted = found
            counted.stats = with_more(counted.stats, spent)
            pause_s = (
                None if given_up else faults.pause_before_next(counted, error, self._attempts, self._metrics)
            )
            if pause_s is None:
                code, message = faults.told(error)
                log.info("job failed", code=code, reason=message)
                lifecycle.fail(session, self._outbox, job, code, message)
                pipelines.has_ended(session, self._queue, job)
                self._metrics.job_outcomes.labels(code=code).inc()
                return True
            log.warning("trying again", stage=stage, pause_s=pause_s, error=str(error))
            if not faults.is_given_back(error):
                # its owner sees what it waits for, until it goes on
                job.code, job.message = faults.told(error)
            self._metrics.retries.labels(stage=stage).inc()
            if isinstance(counted, Slice):
                lifecycle.requeue(session, self._queue, job, counted, pause_s)
            elif stage == "survey":
                # the child may have died after its survey was kept: everything begins anew
                job.planned = job.survey = None
                self._queue.defer_survey(session, job_id, epoch, lane=Lane.of(job), delay_s=pause_s)
            else:
                self._queue.defer_finish(session, job_id, epoch, lane=Lane.of(job), delay_s=pause_s)
            return False


def _has_slices_in_the_queue(session: Session, job: Job) -> bool:
    """Whether a survey was kept and its slices go on by themselves, whatever became of who made it.

    A single one does so in the task that made the survey, but for one that was let go on since: by another attempt.
    """
    others = or_(Slice.number > 1, Slice.attempt > 1)
    found = select(Slice).where(Slice.job_id == job.job_id, others).exists()
    return job.planned is not None and bool(session.scalar(select(found)))
