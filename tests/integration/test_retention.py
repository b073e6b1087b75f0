"""What is old enough is removed, a few records at a time; what is young, alive or needed stays."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import URL, text

from jobs_by_hand import JobsByHand, jobs_by_hand
from stillframe.errors import NotFound
from stillframe.jobs import retention
from stillframe.jobs.nodes import Node, nodes
from stillframe.jobs.retention import FinishedJobs, FinishedProbes, Sweeper, old_history
from stillframe.media import plan
from stillframe.service.assets import RegisterRequest
from stillframe.settings import Settings

DAYS = 10.0


@pytest.fixture
def jobs(database_url: URL, tmp_path: Path) -> Iterator[JobsByHand]:
    with jobs_by_hand(database_url, tmp_path) as made:
        yield made


@pytest.fixture
def sweeper(jobs: JobsByHand) -> Sweeper:
    return sweeper_of(jobs)


def sweeper_of(jobs: JobsByHand) -> Sweeper:
    chores = {
        "job": FinishedJobs(days=DAYS),
        "probe_job": FinishedProbes(days=DAYS),
        **old_history(jobs.assembly.queue, days=DAYS),
    }
    return Sweeper(jobs.assembly.database, jobs.assembly.metrics, chores)


def done(jobs: JobsByHand, *, days_ago: float, count: int = 2, output: str = "out") -> str:
    job_id = jobs.submit(count, f"oss://local/{output}/{{Count}}.png")
    jobs.do_all()
    return aged(jobs, job_id, days_ago)


def aged(jobs: JobsByHand, job_id: str, days_ago: float) -> str:
    for table in ("jobs", "probe_jobs"):
        jobs.sql(
            f"UPDATE {table} SET finished_at = finished_at - make_interval(secs => :age) WHERE job_id = :id",
            id=job_id,
            age=days_ago * 86_400,
        )
    return job_id


def there(jobs: JobsByHand, table: str = "jobs") -> set[str]:
    return {row[0] for row in jobs.sql(f"SELECT DISTINCT job_id FROM {table}")}


def sweep_all(sweeper: Sweeper) -> None:
    while sweeper.sweep():
        pass


def test_jobs_that_ended_long_ago_are_removed(
    jobs: JobsByHand, sweeper: Sweeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "STRETCH_S", 0.0)
    old, young = (
        done(jobs, days_ago=DAYS + 1, count=5, output="old"),
        done(jobs, days_ago=DAYS - 1, output="young"),
    )
    old_probe, young_probe = jobs.submit_probe(), jobs.submit_probe()
    jobs.do_all()
    aged(jobs, old_probe, DAYS + 1)
    live, live_probe = jobs.submit(2), jobs.submit_probe()
    jobs.sql(
        "UPDATE jobs SET created_at = '2001-01-01', submitted_at = '2001-01-01' WHERE job_id = :id", id=live
    )
    assert old in there(jobs, "slices")

    sweep_all(sweeper)

    assert there(jobs) == {young, live}
    assert there(jobs, "slices") == there(jobs, "job_outputs") == {young}
    assert there(jobs, "probe_jobs") == {young_probe, live_probe}
    with pytest.raises(NotFound):
        jobs.get(old)
    # its files are its owner's
    assert len([*(jobs.bucket / "old").iterdir()]) == 5
    assert jobs.metric("removed_records_total", kind="job") == 1
    assert jobs.metric("removed_records_total", kind="probe_job") == 1
    jobs.do_all()
    assert jobs.get(live).status == "Success"


def test_a_job_is_needed_as_long_as_its_asset(
    jobs: JobsByHand, sweeper: Sweeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = RegisterRequest("oss://local/long.mp4", cover_ms=0)
    media_id = jobs.assembly.media_assets.register(jobs.account_id, request)
    jobs.do_all()
    made = there(jobs)
    assert len(made) == 2
    for job_id in made:
        aged(jobs, job_id, DAYS + 1)
    other = done(jobs, days_ago=DAYS + 0.5)

    sweep_all(sweeper)
    assert there(jobs) == made

    assert other not in there(jobs)
    jobs.sql("DELETE FROM media_assets WHERE media_id = :id", id=media_id)
    # it has passed them by, and comes again
    sweep_all(sweeper)
    assert there(jobs) == made
    monkeypatch.setattr(FinishedJobs, "again_s", 0.0)
    sweeper.sweep()
    sweep_all(sweeper)
    assert there(jobs) == set()


def test_jobs_that_stay_are_not_touched(jobs: JobsByHand) -> None:
    """A lock is a write, too: of a million jobs that stay for their assets there is none to be made each hour."""
    jobs.assembly.media_assets.register(jobs.account_id, RegisterRequest("oss://local/long.mp4", cover_ms=0))
    jobs.do_all()
    for job_id in there(jobs):
        aged(jobs, job_id, DAYS + 1)
    with jobs.assembly.database.transaction() as session:
        gone, is_more = FinishedJobs(days=DAYS)(session, 1000)
        assert (gone, is_more) == (0, True)
        assert session.scalar(text("SELECT pg_current_xact_id_if_assigned()")) is None


@pytest.mark.parametrize(("hours", "begins_anew"), [(1.9, False), (2.1, True)])
def test_the_more_servers_there_are_the_more_seldom_each_walks(
    jobs: JobsByHand, hours: float, begins_anew: bool
) -> None:
    for serves in (True, True, False):
        Node(jobs.assembly.database, serves=serves, slots=1).appear()
    chore = FinishedJobs(days=DAYS)
    # at its end, so long after it has begun
    chore._place = datetime(2100, 1, 1, tzinfo=UTC), ""
    chore._began -= hours * FinishedJobs.again_s
    with jobs.assembly.database.transaction() as session:
        assert chore(session, 1000) == (0, False)
    assert (chore._place == FinishedJobs._START) == begins_anew


def test_few_records_go_in_one_transaction(
    jobs: JobsByHand, sweeper: Sweeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = done(jobs, days_ago=DAYS + 2, count=9)
    small = [done(jobs, days_ago=DAYS + 1, count=1) for _ in range(4)]
    monkeypatch.setattr(retention, "_BATCH", 4)
    assert sweeper.sweep()
    # with its slices and outputs it is more than a batch, but it comes first
    assert there(jobs) == {*small}
    assert sweeper.sweep()
    # of these each counts as two
    assert there(jobs) == {*small[2:]}
    assert sweeper.sweep()
    assert not sweeper.sweep()
    assert there(jobs) == set()
    assert large not in there(jobs, "job_outputs")


def test_what_somebody_holds_is_passed_by(jobs: JobsByHand, sweeper: Sweeper) -> None:
    """A retry, say: who has the job's row is not waited for, and finds it there."""
    held, other = done(jobs, days_ago=DAYS + 2), done(jobs, days_ago=DAYS + 1)
    with jobs.assembly.database.transaction() as session:
        session.execute(text("SELECT FROM jobs WHERE job_id = :id FOR UPDATE"), {"id": held})
        began = time.monotonic()
        sweep_all(sweeper)
        assert time.monotonic() - began < 60
    assert there(jobs) == {held}
    assert other not in there(jobs)


def test_one_process_at_a_time(jobs: JobsByHand, sweeper: Sweeper) -> None:
    old = done(jobs, days_ago=DAYS + 1)
    with jobs.assembly.database.transaction() as session:
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": retention._ADVISORY_LOCK})
        assert not sweeper.sweep()
        assert there(jobs) == {old}
    assert sweeper.sweep()
    assert there(jobs) == set()


def test_what_is_left_of_the_queues_past(jobs: JobsByHand, sweeper: Sweeper) -> None:
    live = jobs.submit(2)
    ages = {"old": DAYS + 1, "young": DAYS - 1}
    for name, days in ages.items():
        jobs.sql(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, status) VALUES ('work', :name, 'failed')",
            name=name,
        )
        jobs.sql(
            "INSERT INTO procrastinate_events (job_id, type, at) SELECT id, 'failed', "
            "now() - make_interval(secs => :age) FROM procrastinate_jobs WHERE task_name = :name",
            name=name,
            age=days * 86_400,
        )
        jobs.sql(
            "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - make_interval(secs => :age))",
            age=days * 86_400,
        )
    jobs.sql(
        "INSERT INTO procrastinate_events (job_id, type, at) SELECT id, 'deferred_for_retry', "
        "'2001-01-01' FROM procrastinate_jobs WHERE task_name = 'survey'"
    )

    sweep_all(sweeper)

    tasks = jobs.sql("SELECT task_name FROM procrastinate_jobs ORDER BY 1")
    assert [row[0] for row in tasks] == ["survey", "young"]
    assert jobs.sql("SELECT count(*) FROM procrastinate_workers") == [(1,)]
    assert jobs.sql("SELECT count(*) FROM procrastinate_events WHERE at < now() - interval '10 days'") == [
        (0,)
    ]
    # the task, its history, and the worker
    assert jobs.metric("removed_records_total", kind="queue") == 3
    jobs.do(jobs.waiting()[0])
    assert jobs.get(live).status == "Success"


def test_lost_processes_are_forgotten(jobs: JobsByHand, sweeper: Sweeper) -> None:
    database = jobs.assembly.database
    for slots in (1, 2, 3):
        Node(database, serves=False, slots=slots).appear()
    jobs.sql("UPDATE nodes SET seen_at = now() - interval '11 days' WHERE slots = 1")
    jobs.sql("UPDATE nodes SET seen_at = now() - interval '9 days' WHERE slots = 2")
    sweep_all(sweeper)
    with database.transaction() as session:
        assert sorted((node.slots, node.is_alive) for node in nodes(session)) == [(2, False), (3, True)]


def test_a_chore_that_fails_holds_up_no_other(jobs: JobsByHand) -> None:
    old = done(jobs, days_ago=DAYS + 1)

    def broken(*_: object) -> tuple[int, bool]:
        raise RuntimeError("as the test wants it")

    chores = {"broken": broken, "job": FinishedJobs(days=DAYS)}
    sweep_all(Sweeper(jobs.assembly.database, jobs.assembly.metrics, chores))
    assert old not in there(jobs)


def test_nothing_is_removed_where_it_is_kept_for_ever(database_url: URL, tmp_path: Path) -> None:
    for_ever = {"job_retention_days": 0, "event_retention_days": 0, "history_retention_days": 0}
    with jobs_by_hand(database_url, tmp_path, **for_ever) as jobs:
        assert {*jobs.assembly._chores()} == {"nonce", "temporary_key", "login_link", "session"}
    usual = Settings(data_dir=tmp_path)
    kept = usual.job_retention_days, usual.event_retention_days, usual.history_retention_days
    assert kept == (90, 7, 1)


def test_the_size_of_each_table_is_told(jobs: JobsByHand, sweeper: Sweeper) -> None:
    sweeper._measure()
    assert (jobs.metric("table_bytes", table="jobs") or 0) > 0
    assert (jobs.metric("table_bytes", table="procrastinate_jobs") or 0) > 0
