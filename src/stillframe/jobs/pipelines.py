"""What a change of a pipeline means for its jobs: each function is one step inside the caller's transaction.

Locks are taken in one order: of jobs that are in work, then of their pipeline, then of its parked jobs.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from stillframe.catalog.models import PipelineRow
from stillframe.jobs.lifecycle import begun_jobs, resume
from stillframe.jobs.models import Job
from stillframe.jobs.queue import Queue


def pause(session: Session, pipeline_id: str) -> None:
    """Nothing more of a pipeline is begun; what is in work goes on to its end."""
    session.execute(update(PipelineRow).where(PipelineRow.pipeline_id == pipeline_id).values(status="Paused"))


def unpause(session: Session, queue: Queue, pipeline_id: str) -> int:
    """Bring a pipeline's parked jobs back into the queue, as many as may be in work; how many they were."""
    session.execute(update(PipelineRow).where(PipelineRow.pipeline_id == pipeline_id).values(status="Active"))
    return let_in(session, queue, pipeline_id)


def set_priority(session: Session, queue: Queue, pipeline_id: str, priority: int) -> None:
    """From now on, and for the jobs that wait, but for those that were submitted with one of their own."""
    waiting = (Job.pipeline_id == pipeline_id, Job.status == "Init", ~Job.has_own_priority)
    change_jobs = update(Job).where(*waiting, Job.priority != priority).values(priority=priority)
    session.execute(change_jobs)
    session.execute(
        update(PipelineRow).where(PipelineRow.pipeline_id == pipeline_id).values(priority=priority)
    )
    # those that were submitted in between, with the old one
    session.execute(change_jobs)
    queue.move(session, pipeline_id)


def set_max_concurrency(session: Session, queue: Queue, pipeline_id: str, most: int | None) -> None:
    """How many jobs may be in work at the same time, over all workers; None is no limit. Those in work count."""
    session.execute(
        update(PipelineRow).where(PipelineRow.pipeline_id == pipeline_id).values(max_concurrency=most)
    )
    begun = (Job.pipeline_id == pipeline_id, Job.status == "Init", Job.planned.is_not(None))
    session.execute(update(Job).where(*begun).values(is_begun=True))
    let_in(session, queue, pipeline_id)


def parked_jobs(session: Session) -> dict[str, int]:
    """How many jobs wait for their pipeline, by its id; no pipeline where none does."""
    parked = select(Job.pipeline_id, func.count().label("jobs")).where(Job.status == "Init", Job.parked)
    return {row.pipeline_id: row.jobs for row in session.execute(parked.group_by(Job.pipeline_id))}


def has_ended(session: Session, queue: Queue, job: Job) -> None:
    """A job has ended just now, in this transaction: where its pipeline has a limit, another one may begin."""
    if job.is_begun:
        session.flush()
        let_in(session, queue, job.pipeline_id)


def let_in(session: Session, queue: Queue, pipeline_id: str) -> int:
    """Bring back into the queue what is parked, as far as the pipeline has room; how many jobs that were."""
    pipeline = session.execute(
        select(PipelineRow.status, PipelineRow.max_concurrency)
        .where(PipelineRow.pipeline_id == pipeline_id)
        .with_for_update()
    ).one()
    if pipeline.status == "Paused":
        return 0
    parked = select(Job).where(Job.pipeline_id == pipeline_id, Job.status == "Init", Job.parked)
    if pipeline.max_concurrency is not None:
        room = max(pipeline.max_concurrency - begun_jobs(session, pipeline_id), 0)
        # those that have begun before a pause hold their place
        order = (Job.is_begun.desc(), Job.priority.desc(), Job.created_at)
        held = session.scalar(select(func.count()).select_from(parked.where(Job.is_begun).subquery())) or 0
        parked = parked.order_by(*order).limit(room + held)
    jobs: Sequence[Job] = session.scalars(parked.with_for_update()).all()
    for job in jobs:
        job.parked = False
        resume(session, queue, job)
    return len(jobs)


def limited(session: Session) -> Sequence[str]:
    """The pipelines that have a limit."""
    return session.scalars(
        select(PipelineRow.pipeline_id).where(PipelineRow.max_concurrency.is_not(None))
    ).all()


def live_jobs(session: Session, pipeline_id: str, most: int) -> int:
    """How many jobs of a pipeline have not ended, counted up to so many."""
    live = select(Job.job_id).where(Job.pipeline_id == pipeline_id, Job.status == "Init").limit(most)
    return session.scalar(select(func.count()).select_from(live.subquery())) or 0
