"""How a worker takes a slice and gives it back: with its task, and with the survey that counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import URL

from jobs_by_hand import JobsByHand, TaskRow, jobs_by_hand
from stillframe.jobs import slices
from stillframe.jobs.queue import Begun
from stillframe.jobs.slices import Slices, Taken
from stillframe.media import plan
from stillframe.media.render import Rendered
from stillframe.media.report import Stats

SLICES = 20
TASKS = "SELECT count(*) FROM procrastinate_jobs WHERE id = :id"
STATE = "SELECT state FROM slices WHERE job_id = :job_id AND number = :number"


@pytest.fixture
def jobs(database_url: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobsByHand]:
    # each shot is a slice
    monkeypatch.setattr(plan, "STRETCH_S", 0.0001)
    with jobs_by_hand(database_url, tmp_path) as made:
        made.submit(SLICES)
        made.do(made.waiting()[0])
        yield made


@pytest.fixture
def kept(jobs: JobsByHand) -> Slices:
    return Slices(jobs.assembly.database, jobs.assembly.queue)


def take(kept: Slices, task: TaskRow) -> Taken | None:
    return kept.take(**task.arguments, is_limited=False)


def give_back(kept: Slices, jobs: JobsByHand, task: TaskRow, attempt: int) -> Begun:
    taken = take(kept, task)
    assert taken is not None
    jobs.sql("UPDATE procrastinate_jobs SET status = 'doing' WHERE id = :id", id=task.id)
    begun, number = Begun(task.id), task.arguments["number"]
    done = kept.give_back(taken, number, attempt, Rendered((), (), Stats()), [], None, begun)
    assert done == begun.has_ended
    return begun


def test_a_task_ends_with_what_it_was_for(jobs: JobsByHand, kept: Slices) -> None:
    task = jobs.waiting()[0]
    before = len(jobs.waiting())
    assert give_back(kept, jobs, task, task.arguments["attempt"]).has_ended
    assert jobs.sql(TASKS, id=task.id) == [(0,)]
    assert jobs.sql(STATE, **_of(task)) == [("done",)]
    # another one came in its place
    assert len(jobs.waiting()) == before


def test_a_number_that_was_given_again_is_another_task(jobs: JobsByHand, kept: Slices) -> None:
    """A crash of the database has taken along that this one was in the queue."""
    task = jobs.waiting()[0]
    taken = take(kept, task)
    assert taken is not None
    begun = Begun(task.id, arguments={**task.arguments, "job_id": "0" * 32})
    assert kept.give_back(taken, task.arguments["number"], 1, Rendered((), (), Stats()), [], None, begun)
    assert jobs.sql(TASKS, id=task.id) == [(1,)]


def test_a_void_attempt_changes_nothing(jobs: JobsByHand, kept: Slices) -> None:
    task = jobs.waiting()[0]
    assert not give_back(kept, jobs, task, task.arguments["attempt"] + 1).has_ended
    assert jobs.sql(TASKS, id=task.id) == [(1,)]
    assert jobs.sql(STATE, **_of(task)) == [("queued",)]


def test_too_much_read_undoes_it_all(jobs: JobsByHand, kept: Slices) -> None:
    task = jobs.waiting()[0]
    taken = take(kept, task)
    assert taken is not None
    ((surveyed,),) = jobs.sql("SELECT stats->'bytes_read' FROM jobs")
    jobs.sql("UPDATE slices SET stats = '{\"bytes_read\": 40}' WHERE number <= 3")
    rendered = Rendered((), (), Stats(bytes_read=7))
    told = []

    def demand(read: int) -> None:
        told.append(read)
        raise ValueError

    with pytest.raises(ValueError):
        kept.give_back(taken, task.arguments["number"], 1, rendered, [], demand, Begun(task.id))
    # its own, and that of two others
    assert told == [surveyed + 87]
    assert jobs.sql(STATE, **_of(task)) == [("queued",)]


@pytest.mark.parametrize("room_bytes", [slices._KEPT_BYTES, 1])
def test_the_survey_is_the_one_that_counts(
    jobs: JobsByHand, kept: Slices, monkeypatch: pytest.MonkeyPatch, room_bytes: int
) -> None:
    """A job that was surveyed again, in the same life, is rendered by what was found then."""
    monkeypatch.setattr(slices, "_KEPT_BYTES", room_bytes)
    first, second = (take(kept, task) for task in jobs.waiting()[:2])
    assert first is not None
    assert second is not None
    assert (first.survey is second.survey) == (room_bytes > 1)
    assert first.survey == second.survey

    jobs.sql(
        "UPDATE jobs SET survey = convert_to(replace("
        "convert_from(survey, 'UTF8'), '\"step_ms\":', '\"step_ms\":' || '7'), 'UTF8')"
    )
    third = take(kept, jobs.waiting()[2])
    assert third is not None
    assert third.survey.step_ms != first.survey.step_ms
    assert third.survey.shots == first.survey.shots


def test_a_database_without_md5_does(jobs: JobsByHand, kept: Slices) -> None:
    """As one whose OpenSSL keeps to FIPS: there it is refused."""
    jobs.sql(
        "CREATE FUNCTION public.md5(bytea) RETURNS text LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'could not compute MD5 hash: unsupported'; END $$"
    )
    with jobs.assembly.database.statements() as connection:
        connection.execute("SET search_path = public, pg_catalog")
        with pytest.raises(psycopg.errors.RaiseException):
            connection.execute("SELECT md5('refused'::bytea)")
        # by the same connection: the pool gives out the last one
        backend = connection.info.backend_pid
    assert take(kept, jobs.waiting()[0]) is not None
    with jobs.assembly.database.statements() as connection:
        assert connection.info.backend_pid == backend
        connection.execute("RESET search_path")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE pipelines SET status = 'Paused'",
        "UPDATE pipelines SET off_hours = true",
        "UPDATE pipelines SET max_concurrency = 1",
        "UPDATE jobs SET parked = true",
        "UPDATE jobs SET epoch = 2",
        "UPDATE jobs SET status = 'Fail'",
        "UPDATE slices SET attempt = 2",
        "UPDATE slices SET state = 'done'",
    ],
)
def test_what_must_be_asked_about_is_not_taken(jobs: JobsByHand, kept: Slices, change: str) -> None:
    task = jobs.waiting()[0]
    assert take(kept, task) is not None
    jobs.sql(change)
    assert take(kept, task) is None


def _of(task: TaskRow) -> dict[str, object]:
    return {"job_id": task.arguments["job_id"], "number": task.arguments["number"]}
