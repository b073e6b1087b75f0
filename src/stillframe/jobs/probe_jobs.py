"""How a probe job's state changes: each function is one step inside the caller's transaction.

As in `lifecycle`: whoever changes a job holds its row's lock, and what comes from a task names the job's attempt, so
that an earlier task changes nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import or_, select, text
from sqlalchemy.orm import Session

from stillframe.catalog.models import PipelineRow
from stillframe.errors import NotFound
from stillframe.jobs import clock
from stillframe.jobs.lanes import Lane
from stillframe.jobs.lifecycle import HAS_LINE, may_go_on
from stillframe.jobs.models import ProbeJob
from stillframe.jobs.queue import Queue
from stillframe.media.media_facts import MediaFacts


def create(session: Session, queue: Queue, columns: Mapping[str, Any], *, is_async: bool) -> ProbeJob:
    """A new job with these columns; where it is asynchronous, with its task.

    A priority that is None becomes the pipeline's. Where that is held, or has others waiting to be let in, an
    asynchronous job is parked from the start.
    Raises NotFound for a pipeline that is not there any more.
    """
    # under the lock that `lifecycle.create` takes, and for the same reason
    wanted = select(or_(PipelineRow.is_held, text(HAS_LINE)).label("is_held"), PipelineRow.priority).where(
        PipelineRow.pipeline_id == columns["pipeline_id"], PipelineRow.deleted_at.is_(None)
    )
    pipeline = session.execute(wanted.with_for_update(read=True)).one_or_none()
    if pipeline is None:
        raise NotFound("Pipeline", columns["pipeline_id"])
    job = ProbeJob(
        **{
            **columns,
            "job_id": secrets.token_hex(16),
            "priority": pipeline.priority if columns["priority"] is None else columns["priority"],
            "has_own_priority": columns["priority"] is not None,
            "is_async": is_async,
            "parked": is_async and pipeline.is_held,
        }
    )
    session.add(job)
    session.flush()
    session.refresh(job)
    if is_async and not job.parked:
        queue.defer_probe(session, job.job_id, job.attempt, lane=Lane.of(job))
    return job


def claim(session: Session, job_id: str, attempt: int, *, begun: bool = False) -> ProbeJob | None:
    """The live job that a task is for, locked; None when the task is void.

    Where its pipeline is held, or has as many jobs in work as it may, the job is parked, and comes back when that is
    over; but what has `begun` goes on to its end.
    """
    query = select(ProbeJob).where(
        ProbeJob.job_id == job_id, ProbeJob.attempt == attempt, ProbeJob.status == "Init"
    )
    job = session.scalar(query.with_for_update())
    if job is None or begun:
        return job
    if job.parked:
        return None
    if not may_go_on(session, job):
        job.parked = True
        return None
    return job


def resume(session: Session, queue: Queue, job: ProbeJob, delay_s: float = 0) -> None:
    """Queue a job (again), as a new attempt: the task that it had counts as void."""
    job.attempt += 1
    job.modified_at = clock.now(session)
    queue.defer_probe(session, job.job_id, job.attempt, lane=Lane.of(job), delay_s=delay_s)


def succeed(session: Session, job: ProbeJob, facts: MediaFacts) -> None:
    """The job has ended well."""
    job.finished_at = clock.now(session)
    job.status, job.code, job.message = "Success", None, None
    job.facts = msgspec.to_builtins(facts)


def fail(session: Session, job: ProbeJob, code: str, message: str) -> None:
    """The job has ended badly."""
    job.finished_at = clock.now(session)
    job.status, job.code, job.message = "Fail", code, message
