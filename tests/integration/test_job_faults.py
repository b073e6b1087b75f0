"""Work that fails: what is tried again, after how long and how often, what is given up, and what the metrics tell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from jobs_by_hand import JobsByHand, TaskRow, handlers, jobs_by_hand
from service_client import DEADLINE_S, wait_for
from stillframe.errors import ChildKilled
from stillframe.jobs import repair
from stillframe.jobs.nodes import Node
from stillframe.jobs.worker import Worker
from stillframe.media import plan
from stillframe.sandbox.unlocked import Unlocked
from stillframe.storage.bucket import Written
from stillframe.storage.local import LocalBucket

ONE_SLICE, SLICES = 3, 20
BAD, TOO_LONG = "InvalidParameter.ResourceContentBad", "SnapshotTimeOut"


@pytest.fixture
def jobs(database_url: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobsByHand]:
    monkeypatch.setattr(plan, "STRETCH_S", 0.005)
    with jobs_by_hand(database_url, tmp_path) as made:
        yield made


class Killed(Unlocked):
    """A decoder whose child is killed the first `times`."""

    def __init__(self, reason: str, times: int) -> None:
        super().__init__()
        self._reason, self._left = reason, times

    def render(self, *arguments: Any) -> Any:
        self._die()
        return super().render(*arguments)

    def survey_and_render(self, *arguments: Any) -> Any:
        self._die()
        return super().survey_and_render(*arguments)

    def _die(self) -> None:
        self._left -= 1
        if self._left >= 0:
            raise ChildKilled(self._reason, "it died")


def next_of(jobs: JobsByHand, stage: str) -> TaskRow | None:
    """The waiting task of a stage; of the slices that of the first."""
    found = [task for task in jobs.waiting() if task.name == stage and task.arguments.get("number", 1) == 1]
    return found[0] if found else None


def go_to(jobs: JobsByHand, stage: str) -> None:
    while next_of(jobs, stage) is None:
        jobs.do(jobs.waiting()[0])


def put_off(jobs: JobsByHand, stage: str) -> tuple[float, float]:
    """Do a task that is put off: the seconds that the next try waits, at least and at most (the clock goes on)."""
    task = next_of(jobs, stage)
    assert task is not None
    ((before,),) = jobs.sql("SELECT clock_timestamp()")
    jobs.do(task)
    again = next_of(jobs, stage)
    assert again is not None
    ((after, at),) = jobs.sql(
        "SELECT clock_timestamp(), scheduled_at FROM procrastinate_jobs WHERE id = :id",
        id=again.id,
    )
    # what may begin at once has no time
    return ((at or after) - after).total_seconds(), ((at or after) - before).total_seconds()


@pytest.mark.parametrize("stage", ["survey", "render", "finish"])
def test_what_may_pass_is_tried_again_after_ever_longer_pauses(jobs: JobsByHand, stage: str) -> None:
    job_id = jobs.submit(SLICES)
    go_to(jobs, stage)
    away = jobs.bucket.rename(jobs.bucket.with_name("away"))
    for pause_s in (1, 2, 4, 8, 16, 32, 60):
        least, most = put_off(jobs, stage)
        assert least <= pause_s <= most
    job = jobs.get(job_id)
    assert (job.status, job.code is None) == ("Init", False)
    assert "does not exist" in (job.message or "")
    assert jobs.metric("retries_total", stage=stage) == 7
    last = next_of(jobs, stage)
    assert last is not None
    if stage == "finish":
        away.rename(jobs.bucket)
        jobs.do_all()
        job = jobs.get(job_id)
        assert (job.status, job.code, job.count) == ("Success", None, SLICES)
        assert len([*(jobs.bucket / "out").iterdir()]) == SLICES
    else:
        jobs.do(last)
        job = jobs.get(job_id)
        assert (job.status, jobs.metric("retries_total", stage=stage)) == ("Fail", 7)
        assert jobs.metric("job_outcomes_total", code=job.code or "") == 1


@pytest.mark.parametrize(
    ("count", "stage", "reason", "code"),
    [(ONE_SLICE, "survey", "crash", BAD), (SLICES, "render", "no-progress", TOO_LONG)],
)
def test_work_that_has_cost_three_children_is_given_up(
    jobs: JobsByHand, count: int, stage: str, reason: str, code: str
) -> None:
    job_id = jobs.submit(count)
    go_to(jobs, stage)
    jobs.decoder = Killed(reason, 100)
    for _ in range(2):
        least, most = put_off(jobs, stage)
        assert least <= 1 <= most
        assert jobs.get(job_id).status == "Init"
    third = next_of(jobs, stage)
    assert third is not None
    jobs.do(third)
    assert next_of(jobs, stage) is None
    job = jobs.get(job_id)
    assert (job.status, job.code) == ("Fail", code)
    assert (job.message or "").endswith("it is given up after 3 tries")
    assert jobs.metric("child_kills_total", reason=reason) == 3
    assert jobs.metric("retries_total", stage=stage) == 2
    assert jobs.metric("job_outcomes_total", code=code) == 1
    assert jobs.metric("stage_seconds_count", stage=stage) == 3


@pytest.mark.parametrize(
    ("count", "stage", "reason", "times", "pause_s"),
    [
        (SLICES, "render", "memory", 2, 1),
        (SLICES, "render", "cancelled", 5, 0),
        (ONE_SLICE, "survey", "cancelled", 5, 0),
    ],
    ids=["two accidents", "five servers that left", "five servers that left a single slice"],
)
def test_what_was_killed_for_nothing_of_its_own_goes_on(
    jobs: JobsByHand, count: int, stage: str, reason: str, times: int, pause_s: float
) -> None:
    job_id = jobs.submit(count)
    go_to(jobs, stage)
    jobs.decoder = Killed(reason, times)
    for _ in range(times):
        least, most = put_off(jobs, stage)
        assert least <= pause_s <= most
        # of what is wrong its owner is told, but not of servers that come and go
        assert (jobs.get(job_id).code is None) == (reason == "cancelled")
    jobs.do_all()
    job = jobs.get(job_id)
    assert (job.status, job.code, job.count) == ("Success", None, count)
    assert jobs.metric("child_kills_total", reason=reason) == times


LOST = {
    "a still of a single slice": (ONE_SLICE, "out/{Count}.png", {}, "out/00002.png"),
    "a track": (SLICES, "out/x.vtt", {"Type": "WebVtt", "IntervalMs": 400}, "out/x.vtt"),
}


@pytest.mark.parametrize("name", LOST)
def test_no_success_without_what_was_written_last(
    jobs: JobsByHand, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The bucket takes the file, and has lost it a moment later."""
    count, output, overwrite, lost = LOST[name]
    write, times = LocalBucket.write, []

    def losing(bucket: LocalBucket, key: str, data: bytes, content_type: str = "") -> Written:
        written = write(bucket, key, data, content_type)
        if key == lost and len(times) < 2:
            times.append(key)
            (bucket.root / key).unlink()
        return written

    monkeypatch.setattr(LocalBucket, "write", losing)
    job_id = jobs.submit(count, f"oss://local/{output}", **overwrite)
    jobs.do_all()
    job = jobs.get(job_id)
    assert (job.status, job.code, job.message) == ("Success", None, None)
    assert len(times) == 2
    assert (jobs.bucket / lost).stat().st_size > 0
    for key, size in jobs.sql("SELECT key, size_bytes FROM job_outputs"):
        assert (jobs.bucket / key).stat().st_size == size
    stage = "survey" if count == ONE_SLICE else "finish"
    assert jobs.metric("retries_total", stage=stage) == 2


def test_somebody_else_who_writes_over_the_outputs_is_told_of(jobs: JobsByHand) -> None:
    job_id = jobs.submit(SLICES)
    picture, made_again = jobs.bucket / "out" / "00002.png", 0
    while jobs.get(job_id).status == "Init":
        go_to(jobs, "finish")
        picture.write_bytes(b"of somebody else")
        jobs.do(jobs.waiting()[0])
        made_again += 1
        assert made_again < 20
    job = jobs.get(job_id)
    assert (job.status, job.code) == ("Fail", "OperationDenied")
    assert job.message == "out/00002.png does not stay as it was written: somebody else writes there"
    assert made_again == jobs.assembly.settings.slice_attempts + 1
    assert jobs.metric("job_outcomes_total", code="OperationDenied") == 1
    assert jobs.waiting() == []


@pytest.mark.parametrize(
    ("count", "stages"), [(ONE_SLICE, ["survey"]), (SLICES, ["survey", "render", "finish"])]
)
def test_the_metrics_of_a_job(jobs: JobsByHand, count: int, stages: list[str]) -> None:
    job_id = jobs.submit(count)
    jobs.do_all()
    report = jobs.get(job_id).report
    assert report is not None
    assert jobs.metric("read_bytes_total", store="fs") == report["BytesRead"] > 1000
    assert jobs.metric("read_requests_total", store="fs") == report["Requests"] == report["Reads"] > 0
    assert jobs.metric("job_outcomes_total", code="Success") == 1
    ((slices,),) = jobs.sql("SELECT count(*) FROM slices")
    for stage in ("survey", "render", "finish"):
        tasks = slices if stage == "render" else 1
        assert jobs.metric("stage_seconds_count", stage=stage) == (tasks if stage in stages else None)
    assert 0 < (jobs.metric("stage_seconds_sum", stage="survey") or 0) < DEADLINE_S


def test_the_depth_and_the_age_of_the_queue(jobs: JobsByHand, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are kept current while the server runs, and tell nothing of a queue that is empty."""
    monkeypatch.setattr(repair, "_EVERY_S", 0.02)
    old, _ = jobs.submit(ONE_SLICE), jobs.submit(ONE_SLICE)
    jobs.sql("UPDATE jobs SET submitted_at = now() - interval '100 s' WHERE job_id = :id", id=old)
    ((pipeline,),) = jobs.sql("SELECT pipeline_id FROM pipelines")
    made = jobs.assembly
    worker = Worker("postgresql://nobody@localhost/none", handlers(), slots=1)
    keeper = repair.Keeper(
        made.database, made.queue, worker, Node(made.database, serves=True, slots=1), made.metrics
    )

    def depth() -> float | None:
        return jobs.metric("queue_depth_tasks", pipeline=pipeline)

    def age() -> float:
        return jobs.metric("queue_age_seconds", pipeline=pipeline) or 0

    keeper.start()
    try:
        wait_for(lambda: depth() == 2 and 100 <= age() < 100 + DEADLINE_S)
        jobs.do(jobs.waiting()[0])
        wait_for(lambda: depth() == 1 and 0 < age() < DEADLINE_S)
        jobs.do_all()
        wait_for(lambda: depth() is None and age() == 0)
    finally:
        keeper.stop()


def test_a_look_at_the_queue_that_takes_long_is_taken_seldom(
    jobs: JobsByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repair, "_EVERY_S", 0.02)
    monkeypatch.setattr(repair, "_REST", 1_000_000)
    jobs.submit(ONE_SLICE)
    ((pipeline,),) = jobs.sql("SELECT pipeline_id FROM pipelines")
    made = jobs.assembly
    node = Node(made.database, serves=True, slots=1)
    keeper = repair.Keeper(made.database, made.queue, None, node, made.metrics)
    keeper.start()
    try:
        wait_for(lambda: jobs.metric("queue_depth_tasks", pipeline=pipeline) == 1)
        jobs.do_all()
        for _ in range(3):
            ((seen_at,),) = jobs.sql("SELECT seen_at FROM nodes")
            wait_for(lambda before=seen_at: jobs.sql("SELECT seen_at FROM nodes") != [(before,)])
        # it has gone its rounds, and not looked again
        assert jobs.metric("queue_depth_tasks", pipeline=pipeline) == 1
    finally:
        keeper.stop()
