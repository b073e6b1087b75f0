"""What goes wrong between the steps of a job, one accident at a time, on a real database."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL
from sqlalchemy.orm import Session

from jobs_by_hand import Interrupted, JobsByHand, handlers, jobs_by_hand
from stillframe.errors import ChildKilled
from stillframe.jobs import lanes, lifecycle, pipelines
from stillframe.jobs.queue import DEAD_AFTER_S, Begun
from stillframe.jobs.repair import repair
from stillframe.jobs.running import Running
from stillframe.jobs.worker import Worker
from stillframe.media import plan
from stillframe.media.survey import Survey
from stillframe.sandbox.unlocked import Unlocked
from stillframe.service.pipelines import PipelineControl

ONE_SLICE, SLICES = 3, 20
DEADLINE_S = 30


@pytest.fixture
def jobs(database_url: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobsByHand]:
    monkeypatch.setattr(plan, "STRETCH_S", 0.005)
    with jobs_by_hand(database_url, tmp_path) as made:
        yield made


def mend(jobs: JobsByHand, lost_after_s: float = 0) -> int:
    return repair(jobs.assembly.database, jobs.assembly.queue, lost_after_s=lost_after_s).total()


def demand_success(jobs: JobsByHand, job_id: str, count: int) -> None:
    job = jobs.get(job_id)
    assert (job.status, job.code, job.count) == ("Success", None, count)
    assert len([*(jobs.bucket / "out").iterdir()]) == count


@pytest.mark.parametrize("count", [ONE_SLICE, SLICES])
@pytest.mark.parametrize("done_before", [0, 1, 2])
def test_a_job_whose_task_was_lost_comes_back(jobs: JobsByHand, count: int, done_before: int) -> None:
    job_id = jobs.submit(count)
    for _ in range(done_before):
        for task in jobs.waiting()[:1]:
            jobs.do(task)
    jobs.sql("DELETE FROM procrastinate_jobs")
    over = jobs.get(job_id).status != "Init"
    assert mend(jobs, lost_after_s=60) == 0
    assert mend(jobs) == (0 if over else 1)
    assert mend(jobs) == 0
    jobs.do_all()
    demand_success(jobs, job_id, count)


@pytest.mark.parametrize(
    ("silent_s", "comes_back"), [(0, False), (DEAD_AFTER_S + 1, True), (None, True)], ids=str
)
def test_the_task_of_a_dead_worker_comes_back(
    jobs: JobsByHand, silent_s: float | None, comes_back: bool
) -> None:
    """None: the worker has signed off, and left a task behind."""
    job_id = jobs.submit(SLICES)
    worker_id = None
    if silent_s is not None:
        ((worker_id,),) = jobs.sql(
            "INSERT INTO procrastinate_workers (last_heartbeat) "
            "VALUES (now() - make_interval(secs => :silent_s)) RETURNING id",
            silent_s=silent_s,
        )
    jobs.sql("UPDATE procrastinate_jobs SET status = 'doing', worker_id = :id", id=worker_id)
    assert mend(jobs) == comes_back
    assert len(jobs.waiting()) == comes_back
    if comes_back:
        assert jobs.sql("SELECT attempts FROM procrastinate_jobs") == [(1,)]
        jobs.do_all()
        demand_success(jobs, job_id, SLICES)


@pytest.mark.parametrize("breaks", [False, True], ids=["ends", "breaks"])
@pytest.mark.parametrize("meanwhile", ["another attempt", "done by another", "a new life", "deleted"])
def test_a_frozen_worker_changes_nothing(jobs: JobsByHand, meanwhile: str, breaks: bool) -> None:
    """It stands still in the middle of a slice; when it goes on, the world has, too."""
    job_id = jobs.submit(SLICES)
    jobs.do(jobs.waiting()[0])
    frozen = jobs.waiting()[0]
    left = []

    def the_world_goes_on() -> None:
        jobs.decoder = Unlocked()
        service = jobs.assembly.jobs
        if meanwhile == "another attempt":
            with jobs.assembly.database.transaction() as session:
                job = lifecycle.claim(session, job_id, 1)
                assert job is not None
                lifecycle.resume(session, jobs.assembly.queue, job)
        elif meanwhile == "done by another":
            jobs.do_all()
        else:
            jobs.sql("UPDATE jobs SET status = 'Fail', code = 'OperationDenied'")
            if meanwhile == "deleted":
                service.delete(jobs.account_id, job_id, outputs=False)
            else:
                service.retry(jobs.account_id, job_id)
        left.append(jobs.state())
        if breaks:
            raise ChildKilled("crash", "it died")

    jobs.decoder = Interrupted(the_world_goes_on)
    # of another process: nobody here can tell it to stop, nor wait for it
    jobs.running = Running()
    steps = jobs.steps
    steps.render(**frozen.arguments, begun=Begun())
    (before,) = left
    after = jobs.state()
    if meanwhile == "another attempt" and breaks:
        # its pictures are true, whoever made them: they are written down, and nothing else
        before[2] = after[2]
    assert after == before
    if meanwhile != "deleted":
        jobs.do_all()
        demand_success(jobs, job_id, SLICES)


@pytest.mark.parametrize("meanwhile", ["failed", "a new life"])
def test_a_frozen_survey_is_not_kept(jobs: JobsByHand, meanwhile: str) -> None:
    """That of a single slice is written down at once, and nobody has looked at its job since the beginning."""
    job_id = jobs.submit(ONE_SLICE)
    frozen = jobs.waiting()[0]
    left = []

    class Slow(Unlocked):
        def survey_and_render(self, *arguments: Any) -> Any:
            *others, work = arguments

            def keep(survey: Survey) -> None:
                jobs.sql("UPDATE jobs SET status = 'Fail', code = 'OperationDenied'")
                if meanwhile == "a new life":
                    jobs.assembly.jobs.retry(jobs.account_id, job_id)
                left.append(jobs.state())
                work.on_survey(survey)

            return super().survey_and_render(*others, replace(work, on_survey=keep))

    jobs.decoder, jobs.running = Slow(), Running()
    jobs.steps.survey(**frozen.arguments, begun=Begun())
    assert [jobs.state()] == left
    assert not (jobs.bucket / "out").exists()
    jobs.decoder = Unlocked()
    jobs.do_all()
    if meanwhile == "a new life":
        demand_success(jobs, job_id, ONE_SLICE)


def test_a_survey_that_a_crash_of_the_database_took_along(jobs: JobsByHand) -> None:
    """Of a single slice it is not waited for until it is on the disk; who renders it has it still."""
    job_id = jobs.submit(ONE_SLICE)

    def crash() -> None:
        jobs.sql("DELETE FROM slices")
        jobs.sql("UPDATE jobs SET planned = NULL, survey = NULL")

    jobs.decoder = Interrupted(crash)
    jobs.do(jobs.waiting()[0])
    demand_success(jobs, job_id, ONE_SLICE)
    assert jobs.sql("SELECT state, attempt FROM slices") == [("done", 1)]


@pytest.mark.parametrize("count", [ONE_SLICE, SLICES])
def test_a_survey_that_comes_late_is_not_kept(jobs: JobsByHand, count: int) -> None:
    """It has begun first, and another worker has the job by now, perhaps with another video."""
    job_id = jobs.submit(count)
    task = jobs.waiting()[0]
    has_looked, goes_on = threading.Event(), threading.Event()

    class Late(Unlocked):
        def survey_and_render(self, *arguments: Any) -> Any:
            *others, work = arguments

            def keep(survey: Survey) -> None:
                has_looked.set()
                assert goes_on.wait(DEADLINE_S)
                work.on_survey(survey)

            return super().survey_and_render(*others, replace(work, on_survey=keep))

    found = []

    def go_on() -> None:
        found.append((jobs.state(), written(jobs)))
        goes_on.set()
        late.join()
        found.append((jobs.state(), written(jobs)))

    jobs.decoder, jobs.running = Late(), Running()
    late = threading.Thread(target=jobs.steps.survey, kwargs={**task.arguments, "begun": Begun()})
    late.start()
    assert has_looked.wait(DEADLINE_S)
    jobs.decoder = Interrupted(go_on)
    jobs.do(task, starts=1)
    jobs.do_all()
    before, after = found
    assert after == before
    demand_success(jobs, job_id, count)


def written(jobs: JobsByHand) -> dict[str, int]:
    """The outputs that are there, and when each was written."""
    return {path.name: path.stat().st_mtime_ns for path in (jobs.bucket / "out").iterdir()}


def test_two_repairs_at_the_same_moment(jobs: JobsByHand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process's finds somebody at it, and leaves what is lost to that."""
    job_id = jobs.submit(SLICES)
    jobs.sql("DELETE FROM procrastinate_jobs")
    put_back_stalled, mended = jobs.assembly.queue.put_back_stalled, []

    def meanwhile(session: Session) -> int:
        if not mended:
            mended.append(mend(jobs))
        return put_back_stalled(session)

    monkeypatch.setattr(jobs.assembly.queue, "put_back_stalled", meanwhile)
    mended.append(mend(jobs))
    assert mended == [0, 1]
    jobs.do_all()
    demand_success(jobs, job_id, SLICES)


def test_the_larger_priority_comes_first(jobs: JobsByHand, database_url: URL) -> None:
    """A job's slices and its end have it, too."""
    low, middle, high = (jobs.submit(SLICES, priority=priority) for priority in (2, None, 9))
    order: list[str] = []
    all_begun = threading.Event()

    def survey(job_id: str, epoch: int, begun: Begun) -> None:
        order.append(job_id)
        if len(order) == 3:
            all_begun.set()

    worker = Worker(database_url, handlers(survey=survey), slots=1)
    worker.start()
    assert all_begun.wait(DEADLINE_S)
    worker.stop()
    assert worker.join(DEADLINE_S)
    assert order == [high, middle, low]

    jobs.steps.survey(high, 1, begun=Begun())
    seen = set()
    while tasks := jobs.waiting():
        seen |= {*jobs.sql(f"SELECT task_name, (priority - 1) / {lanes.BAND} + 1 FROM procrastinate_jobs")}
        jobs.do(tasks[0])
    assert seen == {("render", 9), ("finish", 9)}


def test_a_limit_holds_over_a_pause_and_a_kill(jobs: JobsByHand) -> None:
    """It counts what was in work before there was one; and whoever has begun is the first to go on."""
    database, queue = jobs.assembly.database, jobs.assembly.queue
    pipeline = jobs.assembly.pipelines.of_account(jobs.account_id, None).pipeline_id
    first, last, second = (
        jobs.submit(count, f"oss://local/{name}/{{Count}}.png", priority=priority)
        for name, count, priority in (("first", SLICES, 2), ("last", 2, 3), ("second", 2, 8))
    )
    jobs.do(jobs.waiting()[0])
    with database.transaction() as session:
        pipelines.set_max_concurrency(session, queue, pipeline, 1)

    def parked() -> set[str]:
        return {row.job_id for row in jobs.sql("SELECT job_id FROM jobs WHERE status = 'Init' AND parked")}

    for task in jobs.waiting():
        if task.name == "survey":
            jobs.do(task)
    assert parked() == {last, second}
    with database.transaction() as session:
        pipelines.pause(session, pipeline)
    jobs.do(jobs.waiting()[0])
    assert parked() == {first, last, second}
    with database.transaction() as session:
        assert pipelines.unpause(session, queue, pipeline) == 1
    assert parked() == {last, second}

    jobs.sql("DELETE FROM procrastinate_jobs")
    assert mend(jobs) == 1
    assert parked() == {last, second}
    while tasks := jobs.waiting():
        jobs.do(tasks[0])
        assert len(parked()) + 1 >= len(jobs.sql("SELECT FROM jobs WHERE status = 'Init'"))
    ended = jobs.sql("SELECT job_id FROM jobs WHERE status = 'Success' ORDER BY finished_at")
    assert [row.job_id for row in ended] == [first, second, last]


def test_a_place_that_nobody_takes_is_given_to_the_next(jobs: JobsByHand) -> None:
    """Who is cancelled after it was let in, but before it has begun, leaves one, as anybody who ends."""
    database, queue = jobs.assembly.database, jobs.assembly.queue
    pipeline = jobs.assembly.pipelines.of_account(jobs.account_id, None).pipeline_id
    with database.transaction() as session:
        pipelines.set_max_concurrency(session, queue, pipeline, 1)
    first, let_in, third = (jobs.submit(n, f"oss://local/{n}/{{Count}}.png") for n in (SLICES, 2, 3))
    for task in jobs.waiting():
        jobs.do(task)
    for job_id in (first, let_in):
        jobs.assembly.jobs.cancel(jobs.account_id, job_id)
    jobs.do_all()
    assert jobs.get(third).status == "Success"


def test_a_limit_keeps_the_order_of_the_submits(jobs: JobsByHand) -> None:
    """Though others are submitted all the time, whose tasks stand in the queue before that of who is let in."""
    database, queue = jobs.assembly.database, jobs.assembly.queue
    pipeline = jobs.assembly.pipelines.of_account(jobs.account_id, None).pipeline_id
    with database.transaction() as session:
        pipelines.set_max_concurrency(session, queue, pipeline, 1)
    submitted = [jobs.submit(SLICES, f"oss://local/{n}/{{Count}}.png") for n in range(2)]
    begun: list[str] = []
    while len(begun) < 4:
        # in the order of the queue
        first = jobs.sql(
            "SELECT id FROM procrastinate_jobs WHERE status = 'todo' ORDER BY priority DESC, id LIMIT 1"
        )[0].id
        task = next(task for task in jobs.waiting() if task.id == first)
        jobs.do(task)
        if task.name == "survey":
            submitted.append(jobs.submit(SLICES, f"oss://local/{len(submitted)}/{{Count}}.png"))
            seen = {row.job_id for row in jobs.sql("SELECT job_id FROM jobs WHERE planned IS NOT NULL")}
            begun += seen - {*begun}
    assert begun == submitted[:4]


@pytest.mark.parametrize("paused", ["before the submit", "after it"])
def test_a_job_of_a_paused_pipeline_waits_without_a_task(jobs: JobsByHand, paused: str) -> None:
    jobs.submit(ONE_SLICE)
    jobs.do_all()
    ((pipeline_id,),) = jobs.sql("SELECT pipeline_id FROM jobs")
    job_id = jobs.submit(ONE_SLICE) if paused == "after it" else ""
    with jobs.assembly.database.transaction() as session:
        pipelines.pause(session, pipeline_id)
    job_id = job_id or jobs.submit(ONE_SLICE)
    assert len(jobs.waiting()) == (1 if paused == "after it" else 0)
    jobs.do_all()
    assert jobs.sql("SELECT parked FROM jobs WHERE job_id = :id", id=job_id) == [(True,)]
    assert mend(jobs) == 0
    with jobs.assembly.database.transaction() as session:
        assert pipelines.unpause(session, jobs.assembly.queue, pipeline_id) == 1
    jobs.do_all()
    demand_success(jobs, job_id, ONE_SLICE)


def test_a_job_that_is_cancelled_when_its_last_picture_is_written_lists_it(jobs: JobsByHand) -> None:
    job_id = jobs.submit(1)

    def cancel() -> None:
        with jobs.assembly.database.transaction() as session:
            job = lifecycle.claim(session, job_id, 1)
            assert job is not None
            lifecycle.fail(session, jobs.assembly.outbox, job, lifecycle.CANCELED, "The job was cancelled.")
            job.epoch += 1

    jobs.decoder = Interrupted(cancel)
    jobs.do(jobs.waiting()[0])
    assert jobs.get(job_id).code == lifecycle.CANCELED
    assert jobs.sql("SELECT count(*) FROM job_outputs") == [(len([*(jobs.bucket / "out").iterdir()]),)]


@pytest.mark.parametrize("count", [ONE_SLICE, SLICES])
def test_a_pause_lets_what_is_in_work_end(jobs: JobsByHand, count: int) -> None:
    job_id = jobs.submit(count)
    ((pipeline_id,),) = jobs.sql("SELECT pipeline_id FROM jobs")

    def pause() -> None:
        with jobs.assembly.database.transaction() as session:
            pipelines.pause(session, pipeline_id)

    if count == SLICES:
        jobs.do(jobs.waiting()[0])
    in_work = jobs.waiting()[0]
    jobs.decoder = Interrupted(pause)
    jobs.do(in_work)
    jobs.decoder = Unlocked()
    if count == ONE_SLICE:
        demand_success(jobs, job_id, count)
        return
    assert jobs.sql("SELECT count(*) FROM slices WHERE state = 'done'") == [(1,)]
    jobs.do_all()
    assert jobs.sql("SELECT count(*) FROM slices WHERE state = 'done'") == [(1,)]
    with jobs.assembly.database.transaction() as session:
        assert pipelines.unpause(session, jobs.assembly.queue, pipeline_id) == 1
    jobs.do_all()
    demand_success(jobs, job_id, count)


def test_a_slice_in_work_is_not_made_twice_over_a_pause(jobs: JobsByHand) -> None:
    job_id = jobs.submit(SLICES)
    jobs.do(jobs.waiting()[0])
    control = PipelineControl(jobs.assembly.database, jobs.assembly.queue)
    in_work, other, *_ = jobs.waiting()
    number = in_work.arguments["number"]

    def pause_and_resume() -> None:
        control.pause(jobs.account_id, None)
        jobs.decoder = Unlocked()
        jobs.do(other)
        assert jobs.sql("SELECT parked FROM jobs") == [(True,)]
        assert control.resume(jobs.account_id, None)[1] == 1

    jobs.sql("UPDATE procrastinate_jobs SET status = 'doing' WHERE id = :id", id=in_work.id)
    jobs.decoder = Interrupted(pause_and_resume)
    jobs.do(in_work)
    found = jobs.sql("SELECT state, attempt FROM slices WHERE number = :number", number=number)
    assert found == [("done", 1)]
    jobs.do_all()
    demand_success(jobs, job_id, SLICES)
    assert jobs.sql("SELECT count(*) FROM slices WHERE attempt = 1 AND number = :number", number=number) == [
        (1,)
    ]


@pytest.mark.parametrize("cause", ["parked", "another attempt"])
def test_a_task_that_is_void_ends_with_its_look_at_the_job(jobs: JobsByHand, cause: str) -> None:
    """While it is there, whoever lets the job go on takes its slice for one in work."""
    jobs.submit(SLICES)
    jobs.do(jobs.waiting()[0])
    control = PipelineControl(jobs.assembly.database, jobs.assembly.queue)
    if cause == "parked":
        control.pause(jobs.account_id, None)
    else:
        jobs.sql("UPDATE slices SET attempt = attempt + 1 WHERE state = 'queued'")
    task = jobs.waiting()[0]
    jobs.sql("UPDATE procrastinate_jobs SET status = 'doing' WHERE id = :id", id=task.id)
    begun = Begun(task.id)
    jobs.steps.render(**task.arguments, begun=begun)
    assert begun.has_ended
    assert jobs.sql("SELECT FROM procrastinate_jobs WHERE status = 'doing'") == []


def test_a_child_that_dies_after_its_survey_was_kept(jobs: JobsByHand) -> None:
    """The slices are in the queue already: they are what goes on, and there is no second survey."""
    job_id = jobs.submit(SLICES)

    class Dying(Unlocked):
        def survey_and_render(self, *arguments: object) -> object:
            super().survey_and_render(*arguments)  # type: ignore[arg-type]
            raise ChildKilled("crash", "it died")

    jobs.decoder = Dying()  # type: ignore[assignment]
    jobs.do(jobs.waiting()[0])
    jobs.decoder = Unlocked()
    assert {task.name for task in jobs.waiting()} == {"render"}
    jobs.do_all()
    demand_success(jobs, job_id, SLICES)


def test_a_task_that_workers_die_over_again_and_again_ends_its_job(jobs: JobsByHand) -> None:
    """Without a sandbox, a video that kills the decoder kills its worker: it must not do so for ever."""
    job_id = jobs.submit(3)

    jobs.do(jobs.waiting()[0], starts=100)

    job = jobs.get(job_id)
    assert (job.status, job.code) == ("Fail", "InvalidParameter.ResourceContentBad")
    assert "100 workers have died over it" in (job.message or "")
    assert jobs.waiting() == []


@pytest.mark.parametrize("count", [ONE_SLICE, SLICES])
@pytest.mark.parametrize("ending", ["cancelled", "failed"])
def test_what_was_written_when_its_job_ended_is_listed(jobs: JobsByHand, count: int, ending: str) -> None:
    """The decoder is done just then: nothing is left to be stopped, and its pictures are there."""
    job_id = jobs.submit(count)
    if count == SLICES:
        jobs.do(jobs.waiting()[0])

    class Late(Unlocked):
        def render(self, *arguments: Any) -> Any:
            return self._then(super().render(*arguments))

        def survey_and_render(self, *arguments: Any) -> Any:
            return self._then(super().survey_and_render(*arguments))

        def _then(self, made: object) -> object:
            epoch = 2 if ending == "cancelled" else 1
            code = lifecycle.CANCELED if ending == "cancelled" else "OperationDenied"
            jobs.sql("UPDATE jobs SET status = 'Fail', code = :code, epoch = :epoch", code=code, epoch=epoch)
            return made

    jobs.decoder = Late()
    jobs.do(jobs.waiting()[0])
    written = sorted(path.name for path in (jobs.bucket / "out").iterdir())
    listed = [row[0] for row in jobs.sql("SELECT key FROM job_outputs ORDER BY key")]
    assert listed == [f"out/{name}" for name in written] != []
    assert jobs.get(job_id).count == len(written)
