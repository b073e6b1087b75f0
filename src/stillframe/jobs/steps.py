"""What a worker does for each task: survey, render, finish; with the same steps of `media` as the command.

What follows from an error is said in `faults`. A slice that is given up takes its job with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from stillframe.catalog import assets
from stillframe.catalog.buckets import Buckets, demand
from stillframe.database.engine import Database, driver_connection, is_transient
from stillframe.errors import SinkError, TooMuchRead
from stillframe.events.outbox import Outbox
from stillframe.jobs import faults, lifecycle, outputs, pipelines, slices
from stillframe.jobs.models import Job, JobOutput, Slice
from stillframe.jobs.outputs import JobSink, Kept
from stillframe.jobs.queue import Begun, Queue
from stillframe.jobs.report import report_of, spent_of, with_more
from stillframe.jobs.running import Running, Task
from stillframe.jobs.slices import Slices, Taken
from stillframe.jobs.trying_again import TryingAgain
from stillframe.media import config_json
from stillframe.media.config import SnapshotConfig
from stillframe.media.finish import finish
from stillframe.media.meter import ReadLimit, limit_of
from stillframe.media.render import Rendered
from stillframe.media.report import Stats
from stillframe.media.sink import demand_room, names_for
from stillframe.media.survey import Survey
from stillframe.sandbox.decoder import Decoder, OnSurvey, Work
from stillframe.storage.bucket import Bucket, ObjectSource
from stillframe.telemetry import Metrics, bound

log = structlog.get_logger(__name__)


class Void(Exception):
    """The task's job has ended, was cancelled or started over: there is nothing to do, and nothing to say."""


class Steps:
    """The three steps. One for each process; its methods are called on the worker's threads.

    `attempts` is how often each is tried when what is wrong may pass; `max_read_bytes` is the most that any
    job may read.
    """

    def __init__(
        self,
        database: Database,
        queue: Queue,
        outbox: Outbox,
        buckets: Buckets,
        decoder: Decoder,
        running: Running,
        metrics: Metrics,
        *,
        slots: int,
        attempts: int,
        max_read_bytes: int | None = None,
    ) -> None:
        self._database = database
        self._queue = queue
        self._outbox = outbox
        self._buckets = buckets
        self._decoder = decoder
        self._running = running
        self._metrics = metrics
        self._slices = Slices(database, queue)
        self._trying = TryingAgain(database, queue, outbox, metrics, attempts=attempts)
        self._slots = slots
        self._attempts = attempts
        self._max_read_bytes = max_read_bytes

    def survey(self, job_id: str, epoch: int, begun: Begun) -> None:
        """Look at the source; render it as well, when all of it is one slice, and end the job."""
        with self._step("survey", job_id, epoch, None, begun) as task:
            faults.demand_few(begun.starts)
            job = lifecycle.ready(self._database, job_id, epoch)
            if job is None:
                with self._database.transaction() as session:
                    job = self._claim(job_id, epoch, session)
                    if job.planned is not None:
                        lifecycle.resume(session, self._queue, job)
                        return
            config = config_json.parse(job.config)
            source, target = self._open(job, task)
            with source:
                sink = JobSink(target, names_for(job.output_key, config), task.cancelled)

                def keep(survey: Survey) -> None:
                    if job.failures or job.kills:
                        self._remove_earlier(job_id, epoch, target)
                    files = -(-survey.planned // survey.sheet.cells) if survey.sheet else survey.planned
                    demand_room(sink.names, "sheet" if survey.sheet else "still", files)
                    self._keep_survey(job_id, epoch, survey)

                limit = self._limit(config, spent_of(job.stats).bytes_read, task)
                work = self._work(task, job.kills, limit, keep)
                with self._keeping(job_id, epoch, sink):
                    found = self._decoder.survey_and_render(source, config, sink, work)
                    self._note_read(task, source, found.stats)
                    if found.rendered is None:

                        def count(session: Session) -> None:
                            live = self._claim(job_id, epoch, session, begun=True)
                            live.stats = with_more(job.stats, found.stats)

                        # or else the slices that are in work would be begun anew
                        self._store(count, task, begun)
                        return
                    rendered = Rendered(found.rendered.shots, found.rendered.outputs, found.stats)
                    self._finish(job, found.survey, [rendered], sink, (1, rendered), task, begun)

    def render(self, job_id: str, epoch: int, number: int, attempt: int, begun: Begun) -> None:
        """Make the pictures of one slice, and let the next one into the queue."""
        with self._step("render", job_id, epoch, (number, attempt), begun) as task:
            faults.demand_few(begun.starts)
            taken = self._take(job_id, epoch, number, attempt, begun)
            job, survey = taken.job, taken.survey
            source, target = self._open(job, task, survey.probe.identity)
            with source:
                sink = JobSink(target, names_for(job.output_key, survey.config), task.cancelled)
                limit = self._limit(survey.config, taken.bytes_read, task)
                work = self._work(task, taken.kills, limit)
                with self._keeping(job_id, epoch, sink):
                    rendered = self._decoder.render(survey, survey.stretches[number - 1], source, sink, work)
                    self._note_read(task, source, rendered.stats)
                    rendered.stats.add(spent_of(taken.stats))

                    def demand_few_bytes(read: int) -> None:
                        if limit is not None and read > limit.most_bytes:
                            # others have read at the same time, in another process
                            raise TooMuchRead(source.name, limit.most_bytes, source.size)

                    def give_back() -> bool:
                        demand = demand_few_bytes if limit is not None else None
                        return self._slices.give_back(
                            taken, number, attempt, rendered, sink.kept, demand, begun
                        )

                    if not self._database.insisting(give_back, seconds=None, ended=task.cancelled):
                        raise Void

    def _take(self, job_id: str, epoch: int, number: int, attempt: int, begun: Begun) -> Taken:
        """The slice that a task is for. Raises Void; a job that must wait is parked then."""
        is_limited = self._max_read_bytes is not None
        while True:
            taken = self._slices.take(job_id, epoch, number, attempt, is_limited=is_limited)
            if taken is not None:
                return taken
            with self._database.transaction() as session:
                job = lifecycle.claim(session, job_id, epoch)
                piece = session.get(Slice, (job_id, number)) if job is not None and job.planned else None
                is_void = piece is None or (piece.state, piece.attempt) != ("queued", attempt)
                if is_void:
                    # with the job in hand: who lets it go on takes a slice whose task is in work for one that is made
                    session.flush()
                    self._queue.end(driver_connection(session), begun)
            if is_void:
                begun.has_ended = True
                raise Void

    def finish(self, job_id: str, epoch: int, begun: Begun) -> None:
        """Verify every output, write the track, and end the job."""
        with self._step("finish", job_id, epoch, None, begun) as task:
            faults.demand_few(begun.starts)
            with self._database.transaction() as session:
                job = self._claim(job_id, epoch, session, with_survey=True)
                _demand_all_done(session, job)
                kept = outputs.load(session, job_id)
                rendered = lifecycle.rendered_slices(session, job_id, kept)
            assert job.survey is not None
            survey = Survey.from_json(job.survey)
            names = names_for(job.output_key, survey.config)
            sink = JobSink(self._target(job), names, task.cancelled)
            lost = sink.lost(kept)
            if lost:
                self._make_again(job, survey, lost, task, begun)
                return
            with self._keeping(job_id, epoch, sink):
                self._finish(job, survey, rendered, sink, None, task, begun)

    def _finish(
        self,
        job: Job,
        survey: Survey,
        rendered: list[Rendered],
        sink: JobSink,
        last: tuple[int, Rendered] | None,
        task: Task,
        begun: Begun,
    ) -> None:
        """Write the track and end the job; `last` is the one slice that was rendered just now, if there is one."""
        report = finish(survey, rendered, sink, spent_of(job.stats))
        lost = sink.lost(sink.kept)
        if lost:
            sink.kept = [item for item in sink.kept if item not in lost]
            raise SinkError(lost[0].output.name, "is not what was written to it a moment ago", transient=True)
        told = report_of(report)
        count = sum(shot.status in ("taken", "replaced") for shot in report.shots)

        def end(session: Session) -> None:
            live = self._claim(job.job_id, job.epoch, session, begun=True)
            if last is not None:
                lifecycle.keep_lost_survey(session, live, survey)
                number, rendered = last
                if not slices.complete(driver_connection(session), job.job_id, number, 1, rendered):
                    raise Void
            else:
                _demand_all_done(session, live)
            outputs.store(driver_connection(session), job.job_id, sink.kept)
            if report.ok:
                lifecycle.succeed(session, self._outbox, live, count, told)
            else:
                code, message = report.code or faults.BAD_CONTENT, report.message or ""
                lifecycle.fail(session, self._outbox, live, code, message, count=count, report=told)
            pipelines.has_ended(session, self._queue, live)

        self._store(end, task, begun)
        self._metrics.job_outcomes.labels(code=report.code or "Success").inc()

    def _store(self, work: Callable[[Session], None], task: Task, begun: Begun) -> None:
        """Store what was made, and the end of its task, in a transaction: when the database is back, where it is away.

        Until then it is kept, for as long as the task is wanted: a worker that ends gives it up after `drain_seconds`.
        Somebody else may have made the same meanwhile: what this comes to is seen in the transaction.
        """

        def work_and_end(session: Session) -> None:
            work(session)
            session.flush()
            self._queue.end(driver_connection(session), begun)

        self._database.retrying(work_and_end, seconds=None, ended=task.cancelled)
        begun.has_ended = True

    def _make_again(self, job: Job, survey: Survey, lost: list[Kept], task: Task, begun: Begun) -> None:
        """Outputs are gone, or were changed by somebody: their slices are rendered once more."""
        log.warning("outputs are lost and will be made again", outputs=[item.output.name for item in lost])
        cells = survey.sheet.cells if survey.sheet else 1
        positions = {shot.position: shot.index for shot in survey.shots if shot.position is not None}
        shots = {positions[(item.output.index - 1) * cells] for item in lost if item.output.kind != "track"}
        given_up = False

        def begin_again(session: Session) -> None:
            nonlocal given_up
            live = self._claim(job.job_id, job.epoch, session, begun=True)
            # another one, at the same finish, may have come to the same before
            _demand_all_done(session, live)
            live.failures += 1
            given_up = live.failures > self._attempts
            if given_up:
                message = f"{lost[0].output.name} does not stay as it was written: somebody else writes there"
                lifecycle.fail(session, self._outbox, live, "OperationDenied", message)
                pipelines.has_ended(session, self._queue, live)
                return
            for piece in session.scalars(select(Slice).where(Slice.job_id == job.job_id)):
                if any(piece.first <= shot <= piece.last for shot in shots):
                    piece.state = "waiting"
            for item in lost:
                row = session.get(JobOutput, (job.job_id, item.output.kind, item.output.index))
                if row is not None:
                    session.delete(row)
            lifecycle.dispatch(session, self._queue, live)

        # with the end of this task: done once more, it would end the job before its slices
        self._store(begin_again, task, begun)
        if given_up:
            self._metrics.job_outcomes.labels(code="OperationDenied").inc()

    def _keep_survey(self, job_id: str, epoch: int, survey: Survey) -> None:
        if len(survey.stretches) == 1:
            if not lifecycle.keep_small_survey(self._database, job_id, epoch, survey):
                raise Void
            return
        with self._database.transaction() as session:
            job = self._claim(job_id, epoch, session, begun=True)
            if job.planned is not None:
                # this worker was taken for dead, and another one's survey was kept: of another content, perhaps
                raise Void
            lifecycle.keep_survey(session, job, survey)
            lifecycle.dispatch(session, self._queue, job)

    def _claim(
        self, job_id: str, epoch: int, session: Session, *, with_survey: bool = False, begun: bool = False
    ) -> Job:
        job = lifecycle.claim(session, job_id, epoch, with_survey=with_survey, begun=begun)
        if job is None:
            # a job that was parked just now is to stay so
            session.commit()
            raise Void
        return job

    def _open(self, job: Job, task: Task, pinned: str | None = None) -> tuple[ObjectSource, Bucket]:
        # asked again: what was granted at the submit may have been taken back
        self._demand_asset(job)
        found = self._buckets.of_account(job.account_id, {job.input_bucket, job.output_bucket})
        target = demand(found, job.output_bucket, "write", job.output_key).open()
        source = demand(found, job.input_bucket, "read", job.input_key).open_input(job.input_key, pinned)
        task.source = source
        return source, target

    def _target(self, job: Job) -> Bucket:
        self._demand_asset(job)
        found = self._buckets.of_account(job.account_id, {job.output_bucket})
        return demand(found, job.output_bucket, "write", job.output_key).open()

    def _demand_asset(self, job: Job) -> None:
        """Who removes an asset cancels the jobs that write for it, but for one that is killed before that."""
        if job.output_asset_id is not None:
            with self._database.transaction() as session:
                assets.lock(session, job.output_asset_id)

    def _limit(self, config: SnapshotConfig, read_before: int, task: Task) -> ReadLimit | None:
        """What the task may read, when the job has read so much before it."""

        def before() -> int:
            return read_before + self._running.bytes_read_beside(task)

        return limit_of(config, self._max_read_bytes, before)

    def _note_read(self, task: Task, source: ObjectSource, stats: Stats) -> None:
        """The decoder is done, and has read so much."""
        task.spent.add(stats)
        self._metrics.note_read(source.store, stats)

    def _work(
        self, task: Task, kills: int, limit: ReadLimit | None, on_survey: OnSurvey | None = None
    ) -> Work:
        """One thread for each slot in use; a core that is idle is lent to a lone slice.

        But after a kill it goes on with one: several may have needed too much memory.
        """
        return Work(
            threads=1 if kills else max(self._slots // max(self._running.number, 1), 1),
            on_survey=on_survey,
            on_shot=lambda _: task.count_shot(),
            cancelled=task.cancelled,
            limit=limit,
        )

    def _remove_earlier(self, job_id: str, epoch: int, bucket: Bucket) -> None:
        """What an earlier try has made: it may be of another content, which had more pictures."""
        with self._database.transaction() as session:
            self._claim(job_id, epoch, session, begun=True)
            for item in outputs.load(session, job_id):
                if bucket.verify(item.output.name, item.written):
                    bucket.delete(item.output.name)
            session.execute(delete(JobOutput).where(JobOutput.job_id == job_id))

    @contextmanager
    def _keeping(self, job_id: str, epoch: int, sink: JobSink) -> Iterator[None]:
        """Whatever ends the block, what was written in it is known to be there; but not to a later life of the job.

        A job that has ended meanwhile is told of what came after its end, too; one whose slice is another worker's
        by now hears of it from that one.
        """
        try:
            yield
        except Exception as error:
            if sink.kept:
                with self._database.transaction() as session:
                    job = session.get(Job, job_id, with_for_update=True)
                    ended = job is not None and job.status == "Fail"
                    if (
                        job is not None
                        and _is_in_its_life(job, epoch)
                        and (ended or not isinstance(error, Void))
                    ):
                        outputs.store(driver_connection(session), job_id, sink.kept)
                        if ended:
                            job.count = lifecycle.count_shots(session, job)
            raise

    @contextmanager
    def _step(
        self, stage: str, job_id: str, epoch: int, piece: tuple[int, int] | None, begun: Begun
    ) -> Iterator[Task]:
        began_s = time.perf_counter()
        with bound(job_id=job_id, slice=piece[0] if piece else None), self._running.task(job_id) as task:
            try:
                yield task
            except Void:
                return
            except Exception as error:
                if is_transient(error):
                    # the database is away: the queue brings the task back when it can
                    raise
                self._settle(task)
                given_up = begun.starts >= faults.MOST_STARTS
                if self._trying.after(error, stage, job_id, epoch, piece, task.spent, given_up=given_up):
                    # what else is done for the job now is done for nothing
                    self._running.cancel(job_id, 0)
            finally:
                self._settle(task)
                self._metrics.stage.labels(stage=stage).observe(time.perf_counter() - began_s)

    def _settle(self, task: Task) -> None:
        """What a task that does not end well has read is counted, too."""
        rest = task.settle()
        if task.source is not None:
            self._metrics.note_read(task.source.store, rest)


def _demand_all_done(session: Session, job: Job) -> None:
    """Raises Void when slices of a claimed job are made again, or all of it: its end is for another finish."""
    if not lifecycle.is_all_done(session, job):
        raise Void


def _is_in_its_life(job: Job, epoch: int) -> bool:
    """Whether a job may still be told of outputs of this life; its cancelling ends one, and lists what is there."""
    if job.status == "Success":
        return False
    return job.epoch == epoch or (job.epoch == epoch + 1 and job.code == lifecycle.CANCELED)
