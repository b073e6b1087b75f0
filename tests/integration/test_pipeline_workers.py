"""Several workers on one database: of some pipelines only, all on one long job, and no more jobs than may be."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, timedelta
from typing import Any

import pytest
from sqlalchemy import URL, text
from sqlalchemy.orm import Session

from jobs_by_hand import JobsByHand, handlers, jobs_by_hand
from service_client import wait_for
from stillframe.catalog import active_hours
from stillframe.catalog.pipelines import now
from stillframe.errors import ConfigError
from stillframe.jobs import lifecycle, pipelines
from stillframe.jobs.lanes import Lane
from stillframe.jobs.nodes import Node, nodes
from stillframe.jobs.queue import Queue
from stillframe.jobs.repair import repair
from stillframe.jobs.running import Running
from stillframe.jobs.worker import Worker
from stillframe.media import plan
from stillframe.sandbox.unlocked import Unlocked
from stillframe.service.accounts import open_account
from stillframe.service.pipelines import PipelineControl

DEADLINE_S = 60


@pytest.fixture(scope="module")
def shared(module_database_url: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobsByHand]:
    with jobs_by_hand(module_database_url, tmp_path_factory.mktemp("data")) as made:
        yield made


@pytest.fixture
def jobs(shared: JobsByHand) -> JobsByHand:
    """As in an empty database: nothing of another test is left."""
    for table in ("procrastinate_jobs", "jobs", "probe_jobs", "nodes"):
        shared.sql(f"DELETE FROM {table}")
    shared.sql("DELETE FROM pipelines WHERE NOT is_default")
    shared.sql(
        "UPDATE pipelines SET status = 'Active', max_concurrency = NULL, off_hours = false, active_hours = NULL, "
        "time_zone = NULL"
    )
    return shared


@pytest.fixture
def url(module_database_url: URL) -> URL:
    return module_database_url


@contextmanager
def working(*workers: Worker) -> Iterator[None]:
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        for worker in workers:
            worker.stop()
        for worker in workers:
            assert worker.join(DEADLINE_S)


class Counting(Unlocked):
    """A decoder of several workers that counts what they have in work at the same time, and holds it for a while."""

    def __init__(self, wanted: int, hold_s: float) -> None:
        super().__init__()
        self.most = 0
        self._wanted, self._hold_s = wanted, hold_s
        self._changed = threading.Condition()
        self._now = 0

    def render(self, *arguments: Any) -> Any:
        return self._held(super().render, arguments)

    def survey_and_render(self, *arguments: Any) -> Any:
        return self._held(super().survey_and_render, arguments)

    def _held(self, do: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        with self._changed:
            self._now += 1
            self.most = max(self.most, self._now)
            self._changed.notify_all()
            # until so many have come, or it is likely that no more will
            self._changed.wait_for(lambda: self.most >= self._wanted, self._hold_s)
        try:
            return do(*arguments)
        finally:
            with self._changed:
                self._now -= 1


def worker_of(jobs: JobsByHand, url: URL, slots: int) -> Worker:
    """One of a process of its own, with the steps that do real work."""
    jobs.running = Running()
    steps = jobs.steps
    return Worker(url, handlers(survey=steps.survey, render=steps.render, finish=steps.finish), slots)


def test_a_worker_of_some_pipelines(jobs: JobsByHand, url: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes nothing else, and what comes for it wakes it: it does not look by itself here."""
    monkeypatch.setattr("stillframe.jobs.worker._POLL_S", 3600.0)
    made, done = jobs.assembly, []
    mine, also, other = (made.pipelines.create(jobs.account_id, name) for name in ("mine", "also", "other"))

    def submit(pipeline_id: str, job_id: str) -> None:
        with made.database.transaction() as session:
            lane = Lane(jobs.account_id, pipeline_id, 6)
            made.queue.defer_survey(session, job_id, 1, lane=lane)

    def survey(job_id: str, *_: object) -> None:
        done.append(job_id)

    def listening() -> bool:
        """For the last of its pipelines, too."""
        query = f"LISTEN%{also.pipeline_id}%"
        return bool(
            jobs.sql("SELECT FROM pg_stat_activity WHERE state = 'idle' AND query LIKE :query", query=query)
        )

    wanted = made.pipelines.named(["mine", also.pipeline_id, "mine"])
    assert wanted == [mine.pipeline_id, also.pipeline_id]
    submit(other.pipeline_id, "not mine")
    submit(mine.pipeline_id, "before")
    with working(Worker(url, handlers(survey=survey), slots=2, pipelines=wanted)):
        wait_for(lambda: done == ["before"] and listening())
        for number, pipeline in enumerate((mine, other, also)):
            submit(pipeline.pipeline_id, f"job {number}")
        wait_for(lambda: len(done) == 3)
        assert sorted(done[1:]) == ["job 0", "job 2"]
    left = jobs.sql("SELECT args->>'job_id', queue_name FROM procrastinate_jobs ORDER BY id")
    assert [*map(tuple, left)] == [(name, other.pipeline_id) for name in ("not mine", "job 1")]


def test_pipelines_that_nobody_has_and_names_that_several_have(jobs: JobsByHand) -> None:
    made = jobs.assembly
    with made.database.transaction() as session:
        second, _ = open_account("second", made.accounts, made.pipelines, made.keys, within=session)
    ids = {
        account: made.pipelines.of_account(account, None).pipeline_id for account in (jobs.account_id, second)
    }
    with pytest.raises(
        ConfigError, match=r"--pipelines is .*nobody.*, but must be a pipeline's id or name"
    ) as caught:
        made.pipelines.named(["nobody"])
    assert all(f"{id} (default)" in str(caught.value) for id in ids.values())
    with pytest.raises(ConfigError, match="an id, since several have that name") as caught:
        made.pipelines.named(["default"])
    assert all(id in str(caught.value) for id in ids.values())
    for number in range(25):
        made.pipelines.create(second, f"of many {number}")
    with pytest.raises(ConfigError, match=r"and 7 more$"):
        made.pipelines.named([""])
    assert made.pipelines.named([ids[second]]) == [ids[second]]


def test_nodes_tell_what_they_are_restricted_to(jobs: JobsByHand) -> None:
    database = jobs.assembly.database
    pipeline_id = jobs.assembly.pipelines.of_account(jobs.account_id, None).pipeline_id
    Node(database, serves=True, slots=2).appear()
    Node(database, serves=False, slots=4, pipelines=[pipeline_id]).appear()
    with database.transaction() as session:
        assert [(node.slots, node.pipelines) for node in nodes(session)] == [(2, None), (4, (pipeline_id,))]


def test_all_slots_of_two_workers_are_busy_with_one_long_job(
    jobs: JobsByHand, url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "STRETCH_S", 0.0)
    slots, decoder = 6, Counting(wanted=12, hold_s=DEADLINE_S)
    jobs.decoder = decoder
    for _ in range(2):
        Node(jobs.assembly.database, serves=False, slots=slots).appear()
    long = jobs.submit(40)
    # the survey, which makes the slices
    jobs.decoder = Unlocked()
    jobs.do(jobs.waiting()[0])
    assert len(jobs.waiting()) > 12
    jobs.decoder = decoder
    with working(*(worker_of(jobs, url, slots) for _ in range(2))):
        wait_for(lambda: jobs.get(long).status == "Success")
    assert decoder.most == 12
    assert jobs.get(long).count == 40


def test_no_more_jobs_than_may_be_over_all_workers(jobs: JobsByHand, url: URL) -> None:
    pipeline_id = jobs.assembly.pipelines.of_account(jobs.account_id, None).pipeline_id
    with jobs.assembly.database.transaction() as session:
        pipelines.set_max_concurrency(session, jobs.assembly.queue, pipeline_id, 3)
    # one more than may be: the others have this long to come
    jobs.decoder = decoder = Counting(wanted=4, hold_s=0.2)
    submitted = [jobs.submit(1, f"oss://local/{number}.png") for number in range(9)]
    with working(*(worker_of(jobs, url, 4) for _ in range(2))):
        wait_for(lambda: all(jobs.get(job_id).status == "Success" for job_id in submitted))
    assert decoder.most == 3


def test_hours_begin_and_end(jobs: JobsByHand) -> None:
    """By the clock of the database. What is in work when they end goes on; what comes then waits for them."""
    made, database = jobs.assembly, jobs.assembly.database
    pipeline_id = made.pipelines.of_account(jobs.account_id, None).pipeline_id
    control = PipelineControl(database, made.queue)

    def let_it_be(*, inside: bool) -> None:
        """The time goes on until it is within the hours, or no more: the hours come to it, since a clock does not."""
        jobs.sql(
            "UPDATE pipelines SET active_hours = :hours WHERE pipeline_id = :id",
            hours=hours(inside=inside),
            id=pipeline_id,
        )
        repair(database, made.queue)

    def hours(*, inside: bool) -> str:
        with database.transaction() as session:
            moment = now(session).astimezone(UTC)
        times = (moment + timedelta(hours=later) for later in ((-1, 2) if inside else (2, 3)))
        return "-".join(time.strftime("%H:00") for time in times)

    def parked() -> list[bool]:
        return [row.parked for row in jobs.sql("SELECT parked FROM jobs ORDER BY created_at, job_id")]

    view = control.update(jobs.account_id, None, active_hours=hours(inside=True))
    assert (view.time_zone, view.off_hours) == ("UTC", False)
    in_work = jobs.submit(20)
    task = jobs.waiting()[0]
    let_it_be(inside=False)
    assert made.pipelines.of_account(jobs.account_id, None).off_hours
    assert made.pipelines.of_account(jobs.account_id, None).modified_at == view.modified_at
    # one whose task is taken now, and one that is submitted now; a probe job, too
    jobs.do(task)
    late = jobs.submit(1, "oss://local/late.png")
    probe = jobs.submit_probe()
    assert jobs.waiting() == []
    assert parked() == [True, True]
    # not a second time, and not by a resume
    repair(database, made.queue)
    assert control.resume(jobs.account_id, None)[1] == 0
    assert jobs.waiting() == []
    let_it_be(inside=True)
    assert len(jobs.waiting()) == 3
    # a pause holds within the hours, too
    control.pause(jobs.account_id, None)
    let_it_be(inside=False)
    let_it_be(inside=True)
    for task in jobs.waiting():
        jobs.do(task)
    assert parked() == [True, True]
    assert control.resume(jobs.account_id, None)[1] == 3
    jobs.do_all()
    assert {jobs.get(job_id).status for job_id in (in_work, late)} == {"Success"}
    assert jobs.get_probe(probe).status == "Success"
    # and they can be taken away
    let_it_be(inside=False)
    last = jobs.submit(1, "oss://local/last.png")
    view = control.update(jobs.account_id, None, active_hours=active_hours.ALWAYS)
    assert (view.active_hours, view.time_zone, view.off_hours) == (None, None, False)
    jobs.do_all()
    assert jobs.get(last).status == "Success"
    assert pipeline_id == view.pipeline_id


def test_many_jobs_are_let_in_batch_by_batch(jobs: JobsByHand, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of their submits. Who dies in between loses none, and who is submitted then is behind them."""
    monkeypatch.setattr(pipelines, "BATCH", 3)
    database, queue = jobs.assembly.database, jobs.assembly.queue
    control = PipelineControl(database, queue)
    control.pause(jobs.account_id, None)
    submitted = [jobs.submit(1, f"oss://local/{number}.png") for number in range(9)]

    def let_in() -> list[str]:
        # those that come later come after them
        rows = jobs.sql("SELECT args->>'job_id' AS job_id FROM procrastinate_jobs ORDER BY priority DESC, id")
        return [row.job_id for row in rows]

    assert control.resume(jobs.account_id, None)[1] == 9
    assert let_in() == submitted[:3]
    submitted.append(jobs.submit(1, "oss://local/late.png"))
    probe = jobs.submit_probe()
    assert let_in() == submitted[:3]
    held: list[int] = []

    def dying(session: Session, queue: Queue, pipeline_id: str) -> int:
        if len(held) == 2:
            raise InterruptedError
        held.append(let_in_batch(session, queue, pipeline_id))
        return held[-1]

    let_in_batch = pipelines.let_in
    with monkeypatch.context() as patch:
        patch.setattr(pipelines, "let_in", dying)
        with pytest.raises(InterruptedError):
            repair(database, queue)
    assert held == [3, 3]
    assert let_in() == submitted[:9]
    assert repair(database, queue) == {"parked_job": 2}
    assert let_in() == [*submitted, probe]
    # and from now on at once
    submitted.append(jobs.submit(1, "oss://local/last.png"))
    assert len(let_in()) == 12
    jobs.do_all()
    assert {jobs.get(job_id).status for job_id in submitted} == {jobs.get_probe(probe).status} == {"Success"}


def test_a_job_that_somebody_holds_is_not_waited_for_with_its_pipeline_locked(jobs: JobsByHand) -> None:
    """Whoever cancels it holds it, and waits for its pipeline next."""
    database, queue = jobs.assembly.database, jobs.assembly.queue
    control = PipelineControl(database, queue)
    control.pause(jobs.account_id, None)
    held, other = (jobs.submit(1, f"oss://local/{number}.png") for number in range(2))
    with database.transaction() as session:
        session.execute(text("SELECT FROM jobs WHERE job_id = :id FOR UPDATE"), {"id": held})
        with ThreadPoolExecutor(1) as pool:
            resumed = pool.submit(control.resume, jobs.account_id, None)
            assert resumed.result(DEADLINE_S)[1] == 1
        assert [task.arguments["job_id"] for task in jobs.waiting()] == [other]
    assert repair(database, queue) == {"parked_job": 1}
    jobs.do_all()
    assert {jobs.get(job_id).status for job_id in (held, other)} == {"Success"}


def test_what_is_in_work_goes_on_when_the_hours_end(jobs: JobsByHand, url: URL) -> None:
    jobs.decoder = decoder = Counting(wanted=2, hold_s=DEADLINE_S)
    job_id = jobs.submit(1, "oss://local/one.png")
    with working(worker_of(jobs, url, 2)):
        wait_for(lambda: decoder.most == 1)
        jobs.sql("UPDATE pipelines SET active_hours = '00:00-24:00', off_hours = true")
        other = jobs.submit(1, "oss://local/other.png")
        assert jobs.get(job_id).status == "Init"
        # the other one comes, and both end
        repair(jobs.assembly.database, jobs.assembly.queue)
        wait_for(lambda: {jobs.get(id).status for id in (job_id, other)} == {"Success"})


def test_a_new_limit_waits_for_nobody_who_ends_a_job(
    jobs: JobsByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """He holds the job, which has begun, and waits for its pipeline next: for who is to let others in."""
    monkeypatch.setattr(plan, "STRETCH_S", 0.0001)
    database, queue = jobs.assembly.database, jobs.assembly.queue
    control = PipelineControl(database, queue)
    control.update(jobs.account_id, None, max_concurrency=1)
    job_id, other = (jobs.submit(20, f"oss://local/{name}/{{Count}}.png") for name in "ab")
    jobs.do(jobs.waiting()[0])
    with ThreadPoolExecutor(1) as pool, database.transaction() as session:
        job = lifecycle.claim(session, job_id, 1, begun=True)
        assert job is not None
        limited = pool.submit(control.update, jobs.account_id, None, max_concurrency=2)
        assert limited.result(DEADLINE_S).max_concurrency == 2
        lifecycle.fail(session, jobs.assembly.outbox, job, "Canceled", "by hand")
        pipelines.has_ended(session, queue, job)
    jobs.do_all()
    assert jobs.get(other).status == "Success"
