"""What is made again while somebody is still at the end of the same job, or at its first try: the end waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from jobs_by_hand import Interrupted, JobsByHand, TaskRow, jobs_by_hand
from stillframe.jobs import steps
from stillframe.jobs.queue import Begun
from stillframe.jobs.running import Running
from stillframe.media import plan
from stillframe.media.report import Stats
from stillframe.sandbox.unlocked import Unlocked

SHOTS = 6
LOST = "00003.png"


@pytest.fixture
def jobs(database_url: URL, tmp_path: Path) -> Iterator[JobsByHand]:
    with jobs_by_hand(database_url, tmp_path) as made:
        yield made


@pytest.fixture
def each_shot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is a slice."""
    monkeypatch.setattr(plan, "STRETCH_S", 0.0001)


def go_to_the_finish(jobs: JobsByHand) -> TaskRow:
    while jobs.waiting()[0].name != "finish":
        jobs.do(jobs.waiting()[0])
    return jobs.waiting()[0]


def finish(jobs: JobsByHand, task: TaskRow, starts: int = 0) -> Begun:
    """As a worker does it that dies before it could tell the queue of the end."""
    begun = Begun(task.id, starts)
    jobs.sql("UPDATE procrastinate_jobs SET status = 'doing' WHERE id = :id", id=task.id)
    jobs.steps.finish(**task.arguments, begun=begun)
    return begun


def demand_all(jobs: JobsByHand, job_id: str) -> None:
    """It has ended well, with each of its pictures."""
    jobs.do_all()
    job = jobs.get(job_id)
    assert (job.status, job.code, job.count) == ("Success", None, SHOTS)
    assert len([*(jobs.bucket / "out").iterdir()]) == SHOTS
    assert jobs.sql("SELECT count(*) FROM job_outputs") == [(SHOTS,)]


@pytest.mark.usefixtures("each_shot")
def test_a_finish_that_makes_pictures_again_ends_with_that(jobs: JobsByHand) -> None:
    """Done once more it would find no picture missing: what is lost is not listed any more."""
    job_id = jobs.submit(SHOTS)
    task = go_to_the_finish(jobs)
    (jobs.bucket / "out" / LOST).unlink()
    assert finish(jobs, task).has_ended
    assert [waiting.name for waiting in jobs.waiting()] == ["render"]
    # the answer got lost, and it is taken for one of a dead worker
    assert not finish(jobs, task, starts=1).has_ended
    assert jobs.get(job_id).status == "Init"
    demand_all(jobs, job_id)


@pytest.mark.usefixtures("each_shot")
@pytest.mark.parametrize("is_lost_for_both", [False, True])
def test_who_is_late_at_a_finish_waits_for_what_another_makes_again(
    jobs: JobsByHand, monkeypatch: pytest.MonkeyPatch, is_lost_for_both: bool
) -> None:
    """He has looked at all pictures before one was lost; or has found that himself, and so has the other."""
    job_id = jobs.submit(SHOTS)
    task = go_to_the_finish(jobs)
    lost = jobs.bucket / "out" / LOST
    stand_still_at = (steps.Steps, "_make_again") if is_lost_for_both else (steps, "finish")
    go_on = getattr(*stand_still_at)

    def stand_still(*arguments: Any) -> Any:
        monkeypatch.setattr(*stand_still_at, go_on)
        lost.unlink(missing_ok=True)
        assert finish(jobs, task, starts=1).has_ended
        return go_on(*arguments)

    monkeypatch.setattr(*stand_still_at, stand_still)
    if is_lost_for_both:
        lost.unlink()
    assert not finish(jobs, task).has_ended
    assert jobs.get(job_id).status == "Init"
    assert jobs.sql("SELECT failures FROM jobs") == [(1,)]
    assert [waiting.name for waiting in jobs.waiting()] == ["render"]
    demand_all(jobs, job_id)


def test_who_fails_at_a_single_slice_leaves_it_to_who_goes_on_with_it(jobs: JobsByHand) -> None:
    """Taken for dead, he is not to have the job surveyed anew: its finish may be in the queue by then."""
    job_id = jobs.submit(SHOTS)
    survey = jobs.waiting()[0]

    def fail() -> None:
        trying = jobs.steps._trying
        error = OSError("the store is away")
        assert not trying.after(error, "survey", job_id, 1, None, Stats(), given_up=False)

    def stand_still() -> None:
        jobs.decoder, jobs.running = Unlocked(), Running()
        jobs.steps.survey(**survey.arguments, begun=Begun(starts=1))
        (render,) = (task for task in jobs.waiting() if task.name == "render")
        jobs.decoder = Interrupted(fail)
        jobs.do(render)
        jobs.decoder = Unlocked()
        raise InterruptedError

    jobs.decoder, jobs.running = Interrupted(stand_still), Running()
    jobs.do(survey)
    assert [task.name for task in jobs.waiting()] == ["finish"]
    demand_all(jobs, job_id)


def test_a_finish_beside_a_new_survey_does_nothing(jobs: JobsByHand) -> None:
    """A survey that is begun anew takes the old one away."""
    job_id = jobs.submit(SHOTS)
    jobs.sql("UPDATE procrastinate_jobs SET task_name = 'finish'")
    (task,) = jobs.waiting()
    assert not finish(jobs, task).has_ended
    assert (jobs.get(job_id).status, jobs.get(job_id).code) == ("Init", None)
