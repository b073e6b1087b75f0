"""The lives of probe jobs, task by task: ends, faults, lost tasks, pauses, limits; and those that are waited for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from jobs_by_hand import JobsByHand, jobs_by_hand
from stillframe.errors import ChildKilled, QuotaExceeded, SourceError, Unavailable
from stillframe.jobs import lanes, pipelines
from stillframe.jobs.faults import MOST_STARTS
from stillframe.jobs.queue import Begun
from stillframe.jobs.repair import repair
from stillframe.media.describe import describe
from stillframe.media.source import ByteSource, FileSource
from stillframe.sandbox.decoder import ALONE, Work
from stillframe.sandbox.parent import Sandbox
from stillframe.sandbox.unlocked import Unlocked
from stillframe.service.backlog import Backlog
from stillframe.service.media_addresses import MediaAddresses
from stillframe.service.probe_jobs import ProbeJobs, ProbeJobView, ProbeRequest
from stillframe.service.reserved_slot import ReservedSlot
from stillframe.telemetry import Metrics

BAD, TOO_LONG = "InvalidParameter.ResourceContentBad", "SnapshotTimeOut"


@pytest.fixture(scope="module")
def shared(module_database_url: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobsByHand]:
    with jobs_by_hand(module_database_url, tmp_path_factory.mktemp("jobs")) as made:
        yield made


@pytest.fixture
def jobs(shared: JobsByHand) -> JobsByHand:
    """Nothing is left of the test before."""
    shared.sql("DELETE FROM jobs")
    shared.sql("DELETE FROM probe_jobs")
    shared.sql("DELETE FROM procrastinate_jobs")
    shared.sql("UPDATE pipelines SET status = 'Active', priority = 6, max_concurrency = NULL")
    shared.decoder = Unlocked()
    shared.assembly.metrics = Metrics()
    return shared


class Failing(Unlocked):
    """A decoder that raises this the first `times`, and then does its work."""

    def __init__(self, error: Exception, times: int = 100) -> None:
        super().__init__()
        self._error, self._left = error, times
        self.asked: list[Work] = []

    def describe(self, source: ByteSource, work: Work = ALONE) -> Any:
        self.asked.append(work)
        self._left -= 1
        if self._left >= 0:
            raise self._error
        return super().describe(source, work)


def mend(jobs: JobsByHand, lost_after_s: float = 0) -> int:
    return repair(jobs.assembly.database, jobs.assembly.queue, lost_after_s=lost_after_s).total()


def demand_success(jobs: JobsByHand, job_id: str) -> ProbeJobView:
    job = jobs.get_probe(job_id)
    assert (job.status, job.code, job.message) == ("Success", None, None)
    with FileSource(jobs.bucket / "long.mp4") as source:
        assert job.facts == describe(source)
    assert job.finish_time is not None
    assert jobs.waiting() == []
    return job


def test_a_job_that_ends_well(jobs: JobsByHand) -> None:
    job_id = jobs.submit_probe()
    assert (jobs.get_probe(job_id).status, jobs.get_probe(job_id).facts) == ("Init", None)
    jobs.do_all()
    demand_success(jobs, job_id)
    assert jobs.metric("probe_outcomes_total", code="Success") == 1
    assert jobs.metric("stage_seconds_count", stage="probe") == 1
    assert (jobs.metric("read_bytes_total", store="fs") or 0) > 0


@pytest.mark.parametrize(
    ("key", "code", "words"),
    [
        ("nothing.mp4", "ResourceNotFound", "no such file"),
        ("text.mp4", BAD, "is a text file, not a video"),
        ("empty.mp4", BAD, "0 bytes"),
    ],
)
def test_a_job_whose_file_is_at_fault(jobs: JobsByHand, key: str, code: str, words: str) -> None:
    (jobs.bucket / "text.mp4").write_text("this is no video at all\n" * 50)
    (jobs.bucket / "empty.mp4").touch()
    job_id = jobs.submit_probe(key)
    jobs.do(jobs.waiting()[0])
    job = jobs.get_probe(job_id)
    assert (job.status, job.code, job.facts) == ("Fail", code, None)
    assert words in (job.message or "")
    assert job.finish_time is not None
    assert jobs.metric("probe_outcomes_total", code=code) == 1
    assert jobs.waiting() == []


def test_a_bucket_that_was_taken_away(jobs: JobsByHand) -> None:
    job_id, buckets = jobs.submit_probe(), jobs.assembly.buckets
    buckets.remove("local")
    try:
        jobs.do_all()
    finally:
        buckets.add("local", jobs.account_id, f"fs:{jobs.bucket}", "cn-shanghai")
    job = jobs.get_probe(job_id)
    assert (job.status, job.code) == ("Fail", "ResourceNotFound")


def test_what_may_pass_is_tried_again(jobs: JobsByHand) -> None:
    job_id = jobs.submit_probe()
    jobs.decoder = Failing(SourceError("long.mp4", "the disk is away", transient=True), times=2)
    for attempt in (2, 3):
        jobs.do(jobs.waiting()[0])
        (again,) = jobs.waiting()
        assert again.arguments == {"job_id": job_id, "attempt": attempt}
        assert (jobs.get_probe(job_id).status, jobs.get_probe(job_id).code) == ("Init", "ResourceNotFound")
    assert jobs.metric("retries_total", stage="probe") == 2
    jobs.do_all()
    demand_success(jobs, job_id)


def test_it_is_not_tried_for_ever(jobs: JobsByHand) -> None:
    job_id = jobs.submit_probe()
    jobs.decoder = Failing(SourceError("long.mp4", "the disk is away", transient=True))
    jobs.do_all()
    job = jobs.get_probe(job_id)
    assert (job.status, job.code, job.message) == (
        "Fail",
        "ResourceNotFound",
        "long.mp4: the disk is away",
    )
    assert jobs.metric("retries_total", stage="probe") == jobs.assembly.settings.slice_attempts - 1


@pytest.mark.parametrize(("reason", "code"), [("crash", BAD), ("no-progress", TOO_LONG)])
def test_three_children_are_enough(jobs: JobsByHand, reason: Any, code: str) -> None:
    job_id = jobs.submit_probe()
    jobs.decoder = Failing(ChildKilled(reason, "it died"))
    jobs.do_all()
    job = jobs.get_probe(job_id)
    assert (job.status, job.code) == ("Fail", code)
    assert jobs.metric("child_kills_total", reason=reason) == 3


def test_what_is_given_back_counts_for_nothing(jobs: JobsByHand) -> None:
    job_id = jobs.submit_probe()
    jobs.decoder = Failing(ChildKilled("cancelled", "the server is leaving"), times=5)
    jobs.do_all()
    demand_success(jobs, job_id)


def test_a_task_that_workers_die_over_again_and_again_ends_its_job(jobs: JobsByHand) -> None:
    job_id = jobs.submit_probe()
    jobs.do(jobs.waiting()[0], starts=MOST_STARTS)
    assert (jobs.get_probe(job_id).status, jobs.get_probe(job_id).code) == ("Fail", BAD)


@pytest.mark.parametrize("is_done", [False, True])
def test_a_job_whose_task_was_lost_comes_back(jobs: JobsByHand, is_done: bool) -> None:
    job_id = jobs.submit_probe()
    if is_done:
        jobs.do_all()
    jobs.sql("DELETE FROM procrastinate_jobs")
    assert mend(jobs, lost_after_s=60) == 0
    assert mend(jobs) == (0 if is_done else 1)
    assert mend(jobs) == 0
    jobs.do_all()
    demand_success(jobs, job_id)


@pytest.mark.parametrize("ends", ["well", "badly"])
def test_a_frozen_worker_changes_nothing(jobs: JobsByHand, ends: str) -> None:
    """It stands still over its source; when it goes on, another task is the job's."""
    job_id = jobs.submit_probe()
    (frozen,) = jobs.waiting()
    left = []

    class Frozen(Unlocked):
        def describe(self, *arguments: Any) -> Any:
            jobs.sql("DELETE FROM procrastinate_jobs")
            mend(jobs)
            left.append(jobs.state())
            if ends == "badly":
                raise ChildKilled("crash", "it died")
            return super().describe(*arguments)

    jobs.decoder = Frozen()
    jobs.probing.probe(**frozen.arguments, begun=Begun())
    assert [jobs.state()] == left
    jobs.decoder = Unlocked()
    jobs.do_all()
    demand_success(jobs, job_id)


def default_pipeline(jobs: JobsByHand) -> str:
    return jobs.assembly.pipelines.of_account(jobs.account_id, None).pipeline_id


@pytest.mark.parametrize("paused", ["before its submit", "before its task"])
def test_a_job_of_a_paused_pipeline_waits_without_a_task(jobs: JobsByHand, paused: str) -> None:
    database, pipeline_id = jobs.assembly.database, default_pipeline(jobs)
    early = jobs.submit_probe() if paused == "before its task" else None
    with database.transaction() as session:
        pipelines.pause(session, pipeline_id)
    job_id = early or jobs.submit_probe()
    jobs.do_all()
    assert jobs.get_probe(job_id).status == "Init"
    assert mend(jobs) == 0
    jobs.submit(3)
    with database.transaction() as session:
        assert pipelines.parked_jobs(session) == {pipeline_id: 2}
        jobs.sql("DELETE FROM jobs")
        assert pipelines.unpause(session, jobs.assembly.queue, pipeline_id) == 1
    jobs.do_all()
    demand_success(jobs, job_id)


def test_both_kinds_count_among_the_jobs_in_work(jobs: JobsByHand) -> None:
    """One may be in work: the job that is lets the next one in when it ends, the most important first."""
    database, queue, pipeline_id = jobs.assembly.database, jobs.assembly.queue, default_pipeline(jobs)
    with database.transaction() as session:
        pipelines.set_max_concurrency(session, queue, pipeline_id, 1)
    first = jobs.submit(3)
    seen: list[list[str]] = []

    def states() -> list[str]:
        return [jobs.get(first).status, *(jobs.get_probe(job_id).status for job_id in probes)]

    class Watching(Unlocked):
        """While it looks, it lets the tasks of the others come up."""

        def survey_and_render(self, *arguments: Any) -> Any:
            for task in jobs.waiting():
                if task.name == "probe":
                    jobs.do(task)
            seen.append(states())
            return super().survey_and_render(*arguments)

        def describe(self, *arguments: Any) -> Any:
            seen.append(states())
            return super().describe(*arguments)

    probes = [jobs.submit_probe(priority=priority) for priority in (3, 8)]
    jobs.decoder = Watching()
    jobs.do(jobs.waiting()[0])
    assert jobs.get(first).status == "Success"
    jobs.do_all()
    assert seen == [
        ["Init", "Init", "Init"],
        ["Success", "Init", "Init"],
        ["Success", "Init", "Success"],
    ]
    assert states() == ["Success", "Success", "Success"]


def test_a_new_priority_moves_what_waits(jobs: JobsByHand) -> None:
    own, other = jobs.submit_probe(priority=7), jobs.submit_probe()
    own_pictures, pictures = jobs.submit(1, "oss://local/own.png", priority=7), jobs.submit(1)
    with jobs.assembly.database.transaction() as session:
        pipelines.set_priority(session, jobs.assembly.queue, default_pipeline(jobs), 2)
    moved = jobs.sql(f"SELECT args->>'job_id', (priority - 1) / {lanes.BAND} + 1 FROM procrastinate_jobs")
    assert dict(map(tuple, moved)) == {own: 7, other: 2, own_pictures: 7, pictures: 2}
    assert (jobs.get_probe(own).priority, jobs.get_probe(other).priority) == (7, 2)


def test_both_kinds_count_among_those_that_are_not_done(jobs: JobsByHand) -> None:
    jobs.submit(3)
    jobs.submit_probe()
    pipeline_id = default_pipeline(jobs)
    with Backlog(jobs.assembly.database, 3).room(pipeline_id):
        pass
    with (
        pytest.raises(QuotaExceeded, match="it has 2 jobs"),
        Backlog(jobs.assembly.database, 2).room(pipeline_id),
    ):
        pass
    with jobs.assembly.database.transaction() as session:
        ((found, tasks, age_s),) = jobs.assembly.queue.depth(session)
    assert (found, tasks, age_s >= 0) == (pipeline_id, 2, True)


def waited_for(jobs: JobsByHand, key: str = "long.mp4", *, seconds: float = 8.0) -> ProbeJobView:
    """A job that is done by its submit, with the decoder of the test."""
    made = jobs.assembly
    probes = ProbeJobs(
        made.database,
        made.queue,
        MediaAddresses(made.database, made.assets, made.buckets),
        Backlog(made.database, 10),
        ReservedSlot(0),
        lambda: jobs.probing,
        seconds=seconds,
    )
    return probes.submit_and_wait(jobs.account_id, ProbeRequest("OSS", f"oss://local/{key}", "a request"))


def test_one_that_is_waited_for_is_tried_again_as_long_as_there_is_time(jobs: JobsByHand) -> None:
    error = SourceError("long.mp4", "the disk is away", transient=True)
    jobs.decoder = Failing(error, times=1)
    demand_success(jobs, waited_for(jobs).job_id)
    assert jobs.metric("retries_total", stage="probe") == 1
    jobs.decoder = Failing(error)
    # the next pause would be longer
    job = waited_for(jobs, seconds=0.9)
    assert (job.status, job.code, job.message) == ("Fail", "ResourceNotFound", "long.mp4: the disk is away")
    jobs.decoder = dying = Failing(ChildKilled("crash", "it died"))
    job = waited_for(jobs, seconds=0.9)
    assert (job.status, job.code) == ("Fail", TOO_LONG)
    assert "within 0.9 s" in (job.message or "")
    assert [0 < (work.total_s or 0) <= 0.9 for work in dying.asked] == [True]


@pytest.mark.usefixtures("sandbox_holds")
def test_one_that_is_waited_for_in_vain(jobs: JobsByHand) -> None:
    with Sandbox(entry="sandbox_hostile:stay") as jobs.decoder:
        job = waited_for(jobs, seconds=1.0)
    assert (job.status, job.code) == ("Fail", TOO_LONG)
    assert "SubmitMediaInfoJob takes the time that it needs" in (job.message or "")


def test_one_that_a_server_leaves_behind_goes_on_in_the_queue(jobs: JobsByHand) -> None:
    jobs.decoder = Failing(ChildKilled("cancelled", "the server is leaving"), times=1)
    with pytest.raises(Unavailable):
        waited_for(jobs)
    ((job_id,),) = jobs.sql("SELECT job_id FROM probe_jobs")
    assert jobs.get_probe(job_id).status == "Init"
    jobs.do_all()
    demand_success(jobs, job_id)


def test_one_whose_server_was_killed_comes_into_the_queue(jobs: JobsByHand) -> None:
    class Gone(BaseException):
        """The process ends here."""

    class Dying(Unlocked):
        def describe(self, *arguments: Any) -> Any:
            raise Gone

    jobs.decoder = Dying()
    with pytest.raises(Gone):
        waited_for(jobs)
    ((job_id,),) = jobs.sql("SELECT job_id FROM probe_jobs")
    assert jobs.waiting() == []
    assert mend(jobs) == 1
    jobs.decoder = Unlocked()
    jobs.do_all()
    demand_success(jobs, job_id)


@pytest.mark.usefixtures("sandbox_holds")
def test_one_that_is_waited_for_needs_no_worker(database_url: URL, tmp_path: Path) -> None:
    """Nor does it wait for a pipeline that is paused."""
    with jobs_by_hand(database_url, tmp_path) as jobs:
        with jobs.assembly.database.transaction() as session:
            pipelines.pause(session, default_pipeline(jobs))
        request = ProbeRequest("OSS", "oss://local/long.mp4", "a request")
        job = jobs.assembly.probes.submit_and_wait(jobs.account_id, request)
        assert (demand_success(jobs, job.job_id), job.is_async) == (job, False)
        jobs.assembly.stop()
        with pytest.raises(Unavailable):
            jobs.assembly.probes.submit_and_wait(jobs.account_id, request)
