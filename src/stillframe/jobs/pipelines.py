"""What a change of a pipeline means for its jobs: each function is one step inside the caller's transaction.

Locks are taken in one order: of jobs that are in work, then of their pipeline. Of its parked jobs those are left out
that somebody else holds at this moment: whoever holds a job may be waiting for its pipeline.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import TypeVar

import structlog
from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from stillframe.catalog import active_hours
from stillframe.catalog.active_hours import ActiveHours
from stillframe.catalog.models import PipelineRow
from stillframe.catalog.pipelines import now, set_hours
from stillframe.database.engine import unless_held
from stillframe.errors import ConfigError
from stillframe.jobs import probe_jobs
from stillframe.jobs.lifecycle import begun_jobs, resume
from stillframe.jobs.models import KINDS, Job, ProbeJob
from stillframe.jobs.queue import Queue

AnyJob = TypeVar("AnyJob", Job, ProbeJob)
#: jobs that are let in in one transaction: whoever submits to their pipeline waits meanwhile
BATCH = 500
log = structlog.get_logger(__name__)


def pause(session: Session, pipeline_id: str) -> None:
    """Nothing more of a pipeline is begun; what is in work goes on to its end."""
    session.execute(update(PipelineRow).where(PipelineRow.pipeline_id == pipeline_id).values(status="Paused"))


def unpause(session: Session, queue: Queue, pipeline_id: str) -> int:
    """Bring a pipeline's parked jobs back into the queue, as many as may be in work; how many they are.

    The first of them at once; where there are more than a batch, the repair does the rest.
    """
    session.execute(update(PipelineRow).where(PipelineRow.pipeline_id == pipeline_id).values(status="Active"))
    number = let_in(session, queue, pipeline_id)
    return number if number < BATCH else number + _to_come(session, pipeline_id)


def _to_come(session: Session, pipeline_id: str) -> int:
    """How many more parked jobs of a pipeline may go on."""
    session.flush()
    held, most = session.execute(
        select(PipelineRow.is_held, PipelineRow.max_concurrency).where(PipelineRow.pipeline_id == pipeline_id)
    ).one()
    parked = 0 if held else parked_jobs(session, pipeline_id).get(pipeline_id, 0)
    return parked if most is None else min(parked, max(most - begun_jobs(session, pipeline_id), 0))


def set_priority(session: Session, queue: Queue, pipeline_id: str, priority: int) -> None:
    """From now on, and for the jobs that wait, but for those that were submitted with one of their own."""
    changes = [
        update(kind)
        .where(
            kind.pipeline_id == pipeline_id,
            kind.status == "Init",
            ~kind.has_own_priority,
            kind.priority != priority,
        )
        .values(priority=priority)
        for kind in KINDS
    ]
    for change_jobs in changes:
        session.execute(change_jobs)
    session.execute(
        update(PipelineRow).where(PipelineRow.pipeline_id == pipeline_id).values(priority=priority)
    )
    for change_jobs in changes:
        # those that were submitted in between, with the old one
        session.execute(change_jobs)
    queue.move(session, pipeline_id)


def set_max_concurrency(session: Session, queue: Queue, pipeline_id: str, most: int | None) -> None:
    """How many jobs may be in work at the same time, over all workers; None is no limit.

    Snapshot jobs that are in work count; a probe job that is will be over in a moment.
    """
    session.execute(
        update(PipelineRow).where(PipelineRow.pipeline_id == pipeline_id).values(max_concurrency=most)
    )
    # those that have begun by a limit count already: who ends one waits for its pipeline with the job in hand
    begun = (Job.pipeline_id == pipeline_id, Job.status == "Init", Job.planned.is_not(None), ~Job.is_begun)
    session.execute(update(Job).where(*begun).values(is_begun=True))
    let_in(session, queue, pipeline_id)


def set_active_hours(session: Session, queue: Queue, row: PipelineRow, hours: ActiveHours | None) -> None:
    """When jobs are begun; None is always."""
    set_hours(session, row, hours)
    session.flush()
    let_in(session, queue, row.pipeline_id)


def keep_hours(session: Session) -> None:
    """Begin and end the hours of all pipelines that have any; for the repair, every few seconds, which lets jobs in.

    One that somebody holds for long is for the next time.
    """
    with_hours = select(
        PipelineRow.pipeline_id, PipelineRow.active_hours, PipelineRow.time_zone, PipelineRow.off_hours
    ).where(PipelineRow.active_hours.is_not(None))
    for row in session.execute(with_hours).all():
        try:
            off_hours = not active_hours.parse(row.active_hours, row.time_zone or active_hours.UTC).contains(
                now(session)
            )
        except ConfigError as error:
            # what was right for the process that has stored it; others know less of time zones
            log.warning(
                "the hours of a pipeline are not understood", pipeline_id=row.pipeline_id, error=str(error)
            )
            continue
        if off_hours == row.off_hours:
            continue
        # nobody has changed it but the clock
        change = {"off_hours": off_hours, "modified_at": PipelineRow.modified_at}
        begin_or_end = (
            update(PipelineRow)
            .where(PipelineRow.pipeline_id == row.pipeline_id, PipelineRow.active_hours == row.active_hours)
            .values(change)
        )
        unless_held(session, partial(session.execute, begin_or_end))


def parked_jobs(session: Session, *pipeline_ids: str) -> dict[str, int]:
    """How many jobs wait for their pipeline, by its id (of these or of all); no pipeline where none does."""
    found: Counter[str] = Counter()
    for kind in KINDS:
        parked = select(kind.pipeline_id, func.count().label("jobs")).where(
            kind.status == "Init", kind.parked
        )
        if pipeline_ids:
            parked = parked.where(kind.pipeline_id.in_(pipeline_ids))
        for row in session.execute(parked.group_by(kind.pipeline_id)):
            found[row.pipeline_id] += row.jobs
    return dict(found)


def has_ended(session: Session, queue: Queue, job: Job | ProbeJob) -> None:
    """A job has ended just now, in this transaction: where its pipeline has a limit, another one may begin."""
    if job.is_begun:
        session.flush()
        let_in(session, queue, job.pipeline_id)


def let_in(session: Session, queue: Queue, pipeline_id: str) -> int:
    """Bring back into the queue what is parked, as far as the pipeline has room; how many jobs that were.

    No more than a batch: where they are as many, there may be more.
    """
    pipeline = session.execute(
        select(PipelineRow.is_held, PipelineRow.max_concurrency)
        .where(PipelineRow.pipeline_id == pipeline_id)
        .with_for_update()
    ).one()
    if pipeline.is_held:
        return 0
    room = None
    if pipeline.max_concurrency is not None:
        room = max(pipeline.max_concurrency - begun_jobs(session, pipeline_id), 0)
    jobs: list[Job | ProbeJob] = sorted(
        [*_parked(session, Job, pipeline_id, room), *_parked(session, ProbeJob, pipeline_id, room)],
        key=lambda job: (not job.is_begun, -job.priority, job.created_at),
    )
    jobs = jobs[:BATCH]
    if room is not None:
        # those that have begun before a pause hold their place
        jobs = jobs[: room + sum(job.is_begun for job in jobs)]
    for job in jobs:
        job.parked = False
        if room is not None:
            # his place is his from now on: newcomers, whose tasks stand before his, are not to take it
            job.is_begun = True
        if isinstance(job, Job):
            resume(session, queue, job)
        else:
            probe_jobs.resume(session, queue, job)
    return len(jobs)


def _parked(session: Session, kind: type[AnyJob], pipeline_id: str, room: int | None) -> Sequence[AnyJob]:
    """The next parked jobs of one kind, locked: those that have begun, and others as far as there is room."""
    parked = select(kind).where(kind.pipeline_id == pipeline_id, kind.status == "Init", kind.parked)
    most = BATCH
    if room is not None:
        held = session.scalar(select(func.count()).select_from(parked.where(kind.is_begun).subquery())) or 0
        most = min(room + held, BATCH)
    order = (kind.is_begun.desc(), kind.priority.desc(), kind.created_at)
    return session.scalars(parked.order_by(*order).limit(most).with_for_update(skip_locked=True)).all()


def with_parked_jobs(session: Session) -> Sequence[str]:
    """The pipelines that are not held and have parked jobs that may go on."""
    live = [(kind, kind.pipeline_id == PipelineRow.pipeline_id, kind.status == "Init") for kind in KINDS]
    parked = [select(kind.job_id).where(*of_pipeline, kind.parked) for kind, *of_pipeline in live]
    in_work = [
        select(func.count()).select_from(kind).where(*of_pipeline, kind.is_begun).scalar_subquery()
        for kind, *of_pipeline in live
    ]
    most = PipelineRow.max_concurrency
    active = select(PipelineRow.pipeline_id).where(
        ~PipelineRow.is_held,
        or_(*(jobs.exists() for jobs in parked)),
        or_(
            most.is_(None),
            most > in_work[0] + in_work[1],
            *(jobs.where(kind.is_begun).exists() for jobs, (kind, *_) in zip(parked, live, strict=True)),
        ),
    )
    return session.scalars(active).all()


def is_free(session: Session, pipeline_id: str) -> bool:
    """Lock a pipeline for the rest of the transaction; False when somebody holds it for long.

    Whoever submits holds it until his commit is on the disk, and where many submit one always does: so they are waited
    for.
    """
    free = select(PipelineRow.pipeline_id).where(PipelineRow.pipeline_id == pipeline_id).with_for_update()
    return unless_held(session, lambda: session.scalar(free)) is not None


def live_jobs(session: Session, pipeline_id: str, most: int) -> int:
    """How many jobs of a pipeline have not ended, counted up to so many."""
    of_kinds = (
        select(kind.job_id).where(kind.pipeline_id == pipeline_id, kind.status == "Init").limit(most)
        for kind in KINDS
    )
    found = (session.scalar(select(func.count()).select_from(live.subquery())) for live in of_kinds)
    return min(sum(number or 0 for number in found), most)
