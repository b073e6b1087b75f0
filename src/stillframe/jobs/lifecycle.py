"""How a job's state changes: each function is one step inside the caller's transaction.

Whoever changes a job holds its row's lock, so that two ends of slices, or a cancel and an end, come one after the
other. Everything that comes from a task names the job's epoch (and the slice's attempt): what an earlier life
of the job has left behind changes nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import psycopg
from psycopg.types.json import Jsonb
from sqlalchemy import bindparam, delete, func, select, tuple_, update
from sqlalchemy.orm import Session, undefer

from stillframe.catalog.models import PipelineRow
from stillframe.database.engine import Database, driver_connection
from stillframe.errors import NotFound
from stillframe.events.outbox import Outbox
from stillframe.jobs import clock
from stillframe.jobs.completion import announce
from stillframe.jobs.lanes import Lane
from stillframe.jobs.models import KINDS, Job, JobOutput, ProbeJob, Slice
from stillframe.jobs.outputs import Kept
from stillframe.jobs.queue import Queue
from stillframe.media import plain_json
from stillframe.media.geometry import SheetGeometry
from stillframe.media.render import Rendered
from stillframe.media.report import ShotReport, Stats
from stillframe.media.sink import Output
from stillframe.media.survey import Survey

CANCELED = "OperationCanceled"

#: of a pipeline: jobs wait until they are let in, so that a newcomer is the last of them
HAS_LINE = " OR ".join(
    f"EXISTS (SELECT FROM {kind} AS other WHERE other.pipeline_id = pipelines.pipeline_id "
    "AND other.status = 'Init' AND other.parked)"
    for kind in ("jobs", "probe_jobs")
)
_PIPELINE = select(PipelineRow.is_held, PipelineRow.max_concurrency).where(
    PipelineRow.pipeline_id == bindparam("id")
)


def create(
    database: Database, queue: Queue, columns: Mapping[str, Any], job_id: str | None = None
) -> str | None:
    """A new job with these columns, and its survey in the queue, in one statement; the job's id.

    A priority that is None becomes the pipeline's. Where that is held, or has others waiting to be let in,
    the job is parked from the start. None when its client token is in use. Raises NotFound for a pipeline that is not
    there any more.
    """
    with database.statements() as connection:
        try:
            return _insert(connection, queue, columns, job_id or new_id())
        except psycopg.errors.UniqueViolation:
            if columns["client_token"] is None:
                raise
            return None


def create_within(session: Session, queue: Queue, columns: Mapping[str, Any], job_id: str) -> None:
    """As `create`, as a part of the session's transaction, and without a client token."""
    session.flush()
    _insert(driver_connection(session), queue, columns, job_id)


def new_id() -> str:
    """An id that cannot be guessed."""
    return secrets.token_hex(16)


def _insert(
    connection: psycopg.Connection[Any], queue: Queue, columns: Mapping[str, Any], job_id: str
) -> str:
    task = queue.deferring_survey(
        job_id,
        1,
        account_id=columns["account_id"],
        pipeline_id=columns["pipeline_id"],
        priority="job.priority",
    )
    values = {**columns, **task.values, "job_id": job_id, "config": Jsonb(columns["config"])}
    if connection.execute(_create(task.expression, tuple(columns)), values).rowcount == 0:
        raise NotFound("Pipeline", columns["pipeline_id"])
    return job_id


@cache
def _create(deferring: str, columns: tuple[str, ...]) -> str:
    # the pipeline is looked at under the lock that `claim` takes, and for the same reason
    given = (
        "coalesce(%(priority)s::int, pipeline.priority)" if name == "priority" else f"%({name})s"
        for name in columns
    )
    return (
        f"WITH pipeline AS (SELECT status = 'Paused' OR off_hours OR {HAS_LINE} AS is_held, priority FROM pipelines "
        "WHERE pipeline_id = %(pipeline_id)s AND deleted_at IS NULL FOR SHARE), "
        "job AS (INSERT INTO jobs (job_id, status, epoch, parked, failures, kills, has_own_priority, "
        f"{', '.join(columns)}) SELECT %(job_id)s, 'Init', 1, pipeline.is_held, 0, 0, "
        f"%(priority)s::int IS NOT NULL, {', '.join(given)} FROM pipeline RETURNING parked, priority) "
        f"SELECT CASE WHEN parked THEN NULL ELSE {deferring} END FROM job"
    )


def claim(
    session: Session, job_id: str, epoch: int, *, with_survey: bool = False, begun: bool = False
) -> Job | None:
    """The live job that a task is for, locked; None when the task is void.

    Where its pipeline is held, or has as many jobs in work as it may, the job is parked, and comes back when that is
    over; but a task that has `begun` goes on to its end.
    """
    query = select(Job).where(Job.job_id == job_id, Job.epoch == epoch, Job.status == "Init")
    job = session.scalar((query.options(undefer(Job.survey)) if with_survey else query).with_for_update())
    if job is None or begun:
        return job
    if job.parked:
        return None
    if not may_go_on(session, job):
        job.parked = True
        return None
    return job


def may_go_on(session: Session, job: Job | ProbeJob) -> bool:
    """Whether the pipeline lets the job be worked on; where it has a limit, it counts from now on."""
    wanted = {"id": job.pipeline_id}
    paused, most = session.execute(_PIPELINE, wanted).one()
    if paused:
        # looked at again under a lock: an `unpause` that is at work now either sees this job parked, or is waited for
        paused, most = session.execute(_PIPELINE.with_for_update(read=True), wanted).one()
    if paused:
        return False
    if most is None or job.is_begun:
        return True
    # one after the other, and after whoever ends and lets others in
    _, most = session.execute(_PIPELINE.with_for_update(), wanted).one()
    job.is_begun = most is None or begun_jobs(session, job.pipeline_id) < most
    return job.is_begun


def begun_jobs(session: Session, pipeline_id: str) -> int:
    """How many jobs of a pipeline that has a limit are in work, of both kinds."""
    begun = (
        select(func.count()).where(kind.pipeline_id == pipeline_id, kind.status == "Init", kind.is_begun)
        for kind in KINDS
    )
    return sum(session.scalar(query) or 0 for query in begun)


_FOR_A_SURVEY = (
    *("job_id", "epoch", "account_id", "config", "stats", "failures", "kills"),
    *("input_bucket", "input_key", "output_bucket", "output_key", "output_asset_id"),
)
_READY = (
    f"SELECT {', '.join(f'jobs.{name}' for name in _FOR_A_SURVEY)} FROM jobs "
    "JOIN pipelines AS pipeline ON pipeline.pipeline_id = jobs.pipeline_id "
    "WHERE job_id = %s AND epoch = %s AND jobs.status = 'Init' AND NOT parked AND planned IS NULL "
    "AND pipeline.status = 'Active' AND NOT pipeline.off_hours AND (pipeline.max_concurrency IS NULL OR is_begun)"
)


def ready(database: Database, job_id: str, epoch: int) -> Job | None:
    """The job that a survey is to be made for, in one round trip; None when `claim` must say what to do with it.

    It is not locked, since a lock would not outlive the look either: what is to be changed is claimed then.
    """
    with database.statements() as connection:
        row = connection.execute(_READY, [job_id, epoch]).fetchone()
    return Job(**dict(zip(_FOR_A_SURVEY, row, strict=True))) if row is not None else None


_KEEP_SMALL = (
    "WITH live AS (UPDATE jobs SET survey = %(survey)s, planned = %(planned)s, modified_at = clock_timestamp() "
    "FROM set_config('synchronous_commit', 'off', true) "
    "WHERE job_id = %(job_id)s AND epoch = %(epoch)s AND status = 'Init' AND planned IS NULL RETURNING job_id), "
    "others AS (DELETE FROM slices USING live WHERE slices.job_id = live.job_id AND number > 1) "
    "INSERT INTO slices (job_id, number, first, last, cost_s, state, attempt, failures, kills) "
    "SELECT job_id, 1, %(first)s, %(last)s, %(cost_s)s, 'queued', 1, 0, 0 FROM live "
    "ON CONFLICT (job_id, number) DO UPDATE SET first = excluded.first, last = excluded.last, "
    "cost_s = excluded.cost_s, state = 'queued', attempt = 1, failures = 0, kills = 0, shots = NULL, stats = NULL"
)


def keep_small_survey(database: Database, job_id: str, epoch: int, survey: Survey) -> bool:
    """Freeze what the survey of a single stretch found, which the caller renders now; False when the task is void.

    So it is when another one's survey was kept meanwhile, too. Not waited for until it is on the disk: the job's end
    is, and comes after it; and without it the survey is made anew.
    """
    stretch = survey.stretches[0]
    values = {
        "job_id": job_id,
        "epoch": epoch,
        "survey": survey.to_json(),
        "planned": survey.planned,
        "first": stretch.first,
        "last": stretch.last,
        "cost_s": stretch.cost_s,
    }
    with database.statements() as connection:
        return connection.execute(_KEEP_SMALL, values).rowcount == 1


def keep_survey(session: Session, job: Job, survey: Survey) -> None:
    """Freeze what the survey found, and make the slices."""
    job.survey = survey.to_json()
    job.planned = survey.planned
    session.execute(delete(Slice).where(Slice.job_id == job.job_id))
    session.add_all(
        Slice(job_id=job.job_id, number=number, first=stretch.first, last=stretch.last, cost_s=stretch.cost_s)
        for number, stretch in enumerate(survey.stretches, 1)
    )


def keep_lost_survey(session: Session, job: Job, survey: Survey) -> None:
    """Freeze what `keep_small_survey` had frozen, if the database has died before that was on the disk."""
    if job.planned is None:
        keep_survey(session, job, survey)
        session.flush()
        session.execute(update(Slice).where(Slice.job_id == job.job_id).values(state="queued", attempt=1))


def dispatch(session: Session, queue: Queue, job: Job) -> None:
    """See `Queue.dispatch`. A parked job gets no new tasks: `resume` sees to it."""
    if not job.parked:
        session.flush()
        queue.dispatch(driver_connection(session), job.job_id, job.epoch, lane=Lane.of(job))


def is_all_done(session: Session, job: Job) -> bool:
    """Whether nothing but its finish is left of a job."""
    left = select(Slice).where(Slice.job_id == job.job_id, Slice.state != "done").exists()
    return job.planned is not None and not session.scalar(select(left))


def requeue(session: Session, queue: Queue, job: Job, piece: Slice, delay_s: float = 0) -> None:
    """Queue a slice (again), as a new attempt."""
    piece.state, piece.attempt = "queued", piece.attempt + 1
    queue.defer_render(
        session, job.job_id, job.epoch, piece.number, piece.attempt, lane=Lane.of(job), delay_s=delay_s
    )


def resume(session: Session, queue: Queue, job: Job) -> None:
    """Bring back into the queue a job that no task stands for: the tasks that it had count as void.

    But what is in work goes on to its end.
    """
    job.modified_at = clock.now(session)
    if job.planned is None:
        queue.defer_survey(session, job.job_id, job.epoch, lane=Lane.of(job))
        return
    in_work = queue.slices_in_work(session, job.job_id, job.epoch)
    session.execute(
        update(Slice)
        .where(
            Slice.job_id == job.job_id,
            Slice.state == "queued",
            tuple_(Slice.number, Slice.attempt).not_in(in_work),
        )
        .values(state="waiting")
    )
    dispatch(session, queue, job)


def rendered_slices(session: Session, job_id: str, kept: Sequence[Kept]) -> list[Rendered]:
    """What all slices of a job came to; all outputs stand with the first."""
    pictures: tuple[Output, ...] = tuple(item.output for item in kept if item.output.kind != "track")
    pieces = session.scalars(
        select(Slice).where(Slice.job_id == job_id).order_by(Slice.number).options(undefer(Slice.shots))
    )
    parts: list[Rendered] = []
    for piece in pieces:
        shots = plain_json.convert(piece.shots or [], tuple[ShotReport, ...])
        parts.append(Rendered(shots, () if parts else pictures, plain_json.convert(piece.stats or {}, Stats)))
    return parts


def succeed(session: Session, outbox: Outbox, job: Job, count: int, report: dict[str, Any]) -> None:
    """The job has ended well, and its account is told."""
    job.finished_at = clock.now(session)
    job.status, job.code, job.message = "Success", None, None
    job.count, job.report = count, report
    announce(session, outbox, job)


def fail(
    session: Session,
    outbox: Outbox,
    job: Job,
    code: str,
    message: str,
    *,
    count: int | None = None,
    report: dict[str, Any] | None = None,
) -> None:
    """The job has ended badly, and its account is told; what it has written is kept and listed.

    `count` is that of the report; without one the pictures that are there are counted.
    """
    job.status, job.code, job.message = "Fail", code, message
    session.flush()
    job.count = count_shots(session, job) if count is None else count
    job.report, job.finished_at = report, clock.now(session)
    announce(session, outbox, job)


def count_shots(session: Session, job: Job) -> int:
    """How many moments have a picture in the files that exist: a still for each, or a cell for each on a sheet."""
    pictures = select(JobOutput.index).where(JobOutput.job_id == job.job_id, JobOutput.kind != "track")
    indexes = session.scalars(pictures).all()
    kept = session.scalar(select(Job.survey).where(Job.job_id == job.job_id)) if indexes else None
    sheet = plain_json.decode(kept, _Surveyed).sheet if kept else None
    if sheet is None:
        return len(indexes)
    return sum(min(sheet.cells, (job.planned or 0) - (index - 1) * sheet.cells) for index in indexes)


@dataclass(frozen=True, slots=True)
class _Surveyed:
    """The part of a survey that is needed here: its keyframes may be many."""

    sheet: SheetGeometry | None


def start_over(session: Session, queue: Queue, job: Job) -> None:
    """Begin a new life of an ended job: with its config, and the source as it is now."""
    session.execute(delete(Slice).where(Slice.job_id == job.job_id))
    session.execute(delete(JobOutput).where(JobOutput.job_id == job.job_id))
    job.epoch += 1
    job.status, job.parked, job.is_begun, job.failures, job.kills = "Init", False, False, 0, 0
    job.survey = job.planned = job.stats = job.count = None
    job.code = job.message = job.report = job.finished_at = None
    job.submitted_at = clock.now(session)
    if not job.has_own_priority:
        # that of its pipeline may have changed since; a change that is at work now sees this job, or is waited for
        of_pipeline = select(PipelineRow.priority).where(PipelineRow.pipeline_id == job.pipeline_id)
        job.priority = session.execute(of_pipeline.with_for_update(read=True)).scalar_one()
    queue.defer_survey(session, job.job_id, job.epoch, lane=Lane.of(job))
