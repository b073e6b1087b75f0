"""The periodic repair: whatever was lost is brought back by somebody's keeper, once, and is counted by its kind."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path

import pytest
from sqlalchemy import URL
from sqlalchemy.orm import Session

from jobs_by_hand import JobsByHand, handlers, jobs_by_hand
from receiver import receiving
from service_client import DEADLINE_S, wait_for
from stillframe.database import engine
from stillframe.database.engine import is_transient
from stillframe.events import delivery
from stillframe.events.callbacks import Callback, Callbacks
from stillframe.events.delivery import Deliverer
from stillframe.events.outbox import Outbox
from stillframe.jobs import clock, pipelines, repair
from stillframe.jobs.lanes import Lane
from stillframe.jobs.nodes import Node
from stillframe.jobs.repair import Keeper
from stillframe.jobs.worker import Worker
from stillframe.media import plan
from stillframe.service.assets import RegisterRequest
from stillframe.telemetry import Metrics

SLICES = 20
LOST = "DELETE FROM procrastinate_jobs WHERE status = 'todo'"
LONG_AGO = "now() - interval '61 s'"


@pytest.fixture
def jobs(database_url: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobsByHand]:
    monkeypatch.setattr(plan, "STRETCH_S", 0.005)
    monkeypatch.setattr(repair, "_EVERY_S", 0.05)
    with jobs_by_hand(database_url, tmp_path) as made:
        yield made


@contextmanager
def keeping(jobs: JobsByHand, metrics: Metrics, hears_after_s: float = 0) -> Iterator[Keeper]:
    """The keeper of one process."""
    made = jobs.assembly
    node = Node(made.database, serves=True, slots=1)
    keeper = Keeper(made.database, made.queue, None, node, metrics, hears_after_s=hears_after_s)
    keeper.start()
    try:
        yield keeper
    finally:
        keeper.stop()


def repaired(*all_metrics: Metrics) -> Counter[str]:
    """What was mended, by kind."""
    found: Counter[str] = Counter()
    for metrics in all_metrics:
        for family in metrics.registry.collect():
            if family.name == "stillframe_repaired":
                found.update({sample.labels["kind"]: int(sample.value) for sample in family.samples})
    return +found


def left_by_a_dead_worker(jobs: JobsByHand) -> None:
    jobs.submit(SLICES)
    jobs.sql("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '31 s')")
    jobs.sql(
        "UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT id FROM procrastinate_workers)"
    )


def without_its_survey(jobs: JobsByHand) -> None:
    jobs.submit(SLICES)
    jobs.sql(LOST)


def without_its_slices(jobs: JobsByHand) -> None:
    jobs.submit(SLICES)
    for _ in range(2):
        jobs.do(jobs.waiting()[0])
    jobs.sql(LOST)


def without_its_finish(jobs: JobsByHand) -> None:
    jobs.submit(SLICES)
    while jobs.waiting()[0].name != "finish":
        jobs.do(jobs.waiting()[0])
    jobs.sql(LOST)


def a_probe_job(jobs: JobsByHand) -> None:
    jobs.submit_probe()
    jobs.sql(LOST)


def a_media_asset(jobs: JobsByHand) -> None:
    jobs.assembly.media_assets.register(jobs.account_id, RegisterRequest("oss://local/long.mp4"))
    jobs.sql(LOST)


def parked_though_its_pipeline_goes_on(jobs: JobsByHand) -> None:
    jobs.submit(SLICES)
    jobs.submit_probe()
    for table in ("jobs", "probe_jobs"):
        jobs.sql(f"UPDATE {table} SET parked = true")
    jobs.sql(LOST)


BROKEN: dict[str, tuple[Callable[[JobsByHand], None], dict[str, int]]] = {
    "stalled": (left_by_a_dead_worker, {"stalled_task": 1}),
    "survey": (without_its_survey, {"job": 1}),
    "slices": (without_its_slices, {"job": 1}),
    "finish": (without_its_finish, {"finish": 1}),
    "probe job": (a_probe_job, {"probe_job": 1}),
    "media asset": (a_media_asset, {"media_asset": 1}),
    "parked": (parked_though_its_pipeline_goes_on, {"parked_job": 2}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_was_lost_comes_back_once_and_is_counted(jobs: JobsByHand, name: str) -> None:
    """Two processes look for it at the same time, as often as they can."""
    break_it, counted = BROKEN[name]
    break_it(jobs)
    for table in ("jobs", "probe_jobs", "media_assets"):
        jobs.sql(f"UPDATE {table} SET modified_at = {LONG_AGO}")
    assert [task.name for task in jobs.waiting()] == []
    both = (Metrics(), Metrics())
    with ExitStack() as stack:
        for metrics in both:
            stack.enter_context(keeping(jobs, metrics))
        wait_for(lambda: repaired(*both) == counted)
        jobs.do_all()
    assert repaired(*both) == counted
    ((left,),) = jobs.sql(
        "SELECT (SELECT count(*) FROM jobs WHERE status <> 'Success')"
        " + (SELECT count(*) FROM probe_jobs WHERE status <> 'Success')"
        " + (SELECT count(*) FROM media_assets WHERE status <> 'Normal')"
    )
    assert left == 0


@pytest.mark.parametrize(
    ("name", "table"),
    [("survey", "jobs"), ("slices", "jobs"), ("probe job", "probe_jobs"), ("media asset", "media_assets")],
)
def test_what_comes_back_has_the_time_of_the_database(
    jobs: JobsByHand, monkeypatch: pytest.MonkeyPatch, name: str, table: str
) -> None:
    """By a clock that is ahead, what loses its task once more would be missed so much later."""
    told = datetime(2001, 2, 3, tzinfo=UTC)
    monkeypatch.setattr(clock, "now", lambda session: told)
    BROKEN[name][0](jobs)
    jobs.sql(f"UPDATE {table} SET modified_at = {LONG_AGO}")
    assert repair.repair(jobs.assembly.database, jobs.assembly.queue)
    assert jobs.sql(f"SELECT modified_at FROM {table}") == [(told,)]


def test_a_task_that_its_worker_never_got_is_counted(
    jobs: JobsByHand, database_url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stillframe.jobs.worker._POLL_S", 0.05)
    done: list[object] = []
    worker = Worker(database_url, handlers(survey=lambda *_: done.append(1)), slots=1)
    made, metrics = jobs.assembly, Metrics()
    keeper = Keeper(made.database, made.queue, worker, Node(made.database, serves=False, slots=1), metrics)
    jobs.submit(SLICES)
    worker.start()
    try:
        wait_for(lambda: done and not jobs.sql("SELECT FROM procrastinate_jobs"))
        with made.database.transaction() as session:
            made.queue.defer_survey(
                session, "0" * 32, 1, lane=Lane("0" * 16, "0" * 32, 5), delay_s=DEADLINE_S
            )
        jobs.sql(
            "UPDATE procrastinate_jobs SET status = 'doing', scheduled_at = NULL, worker_id = :id",
            id=worker.ids()[0],
        )
        keeper.start()
        wait_for(lambda: len(done) == 2)
        keeper.stop()
    finally:
        worker.stop()
        assert worker.join(DEADLINE_S)
    assert repaired(metrics)["dropped_task"] == 1


def test_who_is_at_a_job_is_not_waited_for(jobs: JobsByHand) -> None:
    """Somebody stands still in a transaction: the others are mended meanwhile, and that one later."""
    first, second = jobs.submit(SLICES), jobs.submit(SLICES)
    jobs.sql(LOST)
    made = jobs.assembly
    with made.database.transaction() as frozen:
        frozen.connection().exec_driver_sql("SELECT FROM jobs WHERE job_id = %s FOR UPDATE", (first,))
        assert repair.repair(made.database, made.queue, lost_after_s=0) == {"job": 1}
    assert [task.arguments["job_id"] for task in jobs.waiting()] == [second]
    assert repair.repair(made.database, made.queue, lost_after_s=0) == {"job": 1}


def test_who_freezes_in_a_repair_keeps_nobody_from_it(
    jobs: JobsByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repair, "_FROZEN_AFTER_S", 1)
    made = jobs.assembly
    is_frozen, is_woken = threading.Event(), threading.Event()
    look = pipelines.with_parked_jobs

    def freeze(session: Session) -> Sequence[str]:
        monkeypatch.setattr(pipelines, "with_parked_jobs", look)
        is_frozen.set()
        assert is_woken.wait(DEADLINE_S)
        return look(session)

    monkeypatch.setattr(pipelines, "with_parked_jobs", freeze)
    ended: list[BaseException] = []

    def repair_and_freeze() -> None:
        try:
            repair.repair(made.database, made.queue)
        except Exception as error:
            ended.append(error)

    frozen = threading.Thread(target=repair_and_freeze)
    frozen.start()
    assert is_frozen.wait(DEADLINE_S)
    jobs.submit(1)
    jobs.sql(LOST)
    jobs.sql(f"UPDATE jobs SET modified_at = {LONG_AGO}")
    try:
        wait_for(lambda: repair.repair(made.database, made.queue)["job"] == 1)
    finally:
        is_woken.set()
        frozen.join()
    assert [is_transient(error) for error in ended] == [True]


def test_nobody_is_taken_for_dead_who_could_not_be_heard(jobs: JobsByHand) -> None:
    """The database was away: each has the time to say that it lives before somebody judges."""
    left_by_a_dead_worker(jobs)
    metrics = Metrics()
    with keeping(jobs, metrics, DEADLINE_S):
        without_its_survey(jobs)
        jobs.sql(f"UPDATE jobs SET modified_at = {LONG_AGO}")
        # it does look, and mends what is nobody's
        wait_for(lambda: repaired(metrics)["job"])
    assert repaired(metrics)["stalled_task"] == 0


def happen(jobs: JobsByHand, url: str) -> Outbox:
    """An event, of which its account is to be told at this URL."""
    made = jobs.assembly
    Callbacks(made.database, made.keyring).set(jobs.account_id, Callback(url, ("SnapshotComplete",)))
    outbox = Outbox(made.database)
    with made.database.transaction() as session:
        outbox.write(session, jobs.account_id, "SnapshotComplete", dict, datetime.now(UTC))
    return outbox


def test_an_event_that_a_dead_server_had_in_hand_is_told_and_counted(
    jobs: JobsByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, metrics = jobs.assembly, Metrics()
    monkeypatch.setattr(delivery, "_POLL_S", 0.05)
    with receiving() as receiver:
        outbox = happen(jobs, receiver.url)
        # with the dead one
        (claimed,) = outbox.claim({}, each=1, most=1)
        assert not claimed.was_left
        jobs.sql("UPDATE events SET due_at = clock_timestamp()")
        callbacks = Callbacks(made.database, made.keyring)
        allowed = [ip_network("127.0.0.1/32")]
        deliverers = [Deliverer(outbox, callbacks, metrics, allowed=allowed, retry_s=()) for _ in range(2)]
        for deliverer in deliverers:
            deliverer.start()
        wait_for(lambda: outbox.waiting() == 0)
        happen(jobs, receiver.url)
        wait_for(lambda: outbox.waiting() == 0)
        for deliverer in deliverers:
            deliverer.stop()
        assert len(receiver.messages) == 2
    assert repaired(metrics) == {"event": 1}


HOLD = "SELECT FROM pipelines WHERE is_default FOR SHARE"


def test_who_submits_is_waited_for(jobs: JobsByHand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where many submit, one always holds the pipeline: until its commit is on the disk."""
    monkeypatch.setattr(engine, "HELD_FOR_LONG_S", DEADLINE_S)
    parked_though_its_pipeline_goes_on(jobs)
    made = jobs.assembly
    with ThreadPoolExecutor(1) as pool, made.database.transaction() as submits:
        submits.connection().exec_driver_sql(HOLD)
        repaired = pool.submit(repair.repair, made.database, made.queue)
        waits = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        wait_for(lambda: jobs.sql(waits))
        submits.rollback()
        assert repaired.result(DEADLINE_S) == {"parked_job": 2}


def test_who_holds_a_pipeline_for_long_is_left(jobs: JobsByHand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "HELD_FOR_LONG_S", 0.1)
    parked_though_its_pipeline_goes_on(jobs)
    made = jobs.assembly
    with made.database.transaction() as frozen:
        frozen.connection().exec_driver_sql(HOLD)
        assert repair.repair(made.database, made.queue) == {}
    assert repair.repair(made.database, made.queue) == {"parked_job": 2}


def test_who_stands_still_with_a_pipeline_keeps_nothing_else_from_coming_back(
    jobs: JobsByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the transaction that ends a job, say: with others of its own, and one of another pipeline, lost meanwhile."""
    monkeypatch.setattr(engine, "HELD_FOR_LONG_S", 0.1)
    made = jobs.assembly
    for _ in range(2):
        without_its_survey(jobs)
    other = jobs.submit(SLICES)
    jobs.sql(LOST)
    jobs.sql(
        "INSERT INTO pipelines SELECT (jsonb_populate_record(model, jsonb_build_object('pipeline_id', :id ::text, "
        "'is_default', false, 'name', 'other'))).* FROM pipelines AS model",
        id="0" * 32,
    )
    jobs.sql("UPDATE jobs SET pipeline_id = :id WHERE job_id = :job_id", id="0" * 32, job_id=other)
    jobs.sql("UPDATE pipelines SET max_concurrency = 9")
    jobs.sql("UPDATE pipelines SET active_hours = '00:00-24:00', off_hours = true WHERE is_default")
    jobs.sql(f"UPDATE jobs SET modified_at = {LONG_AGO}")
    jobs.sql(
        "INSERT INTO procrastinate_jobs (queue_name, task_name, args, status) VALUES ('a', 'probe', '{}', 'doing')"
    )
    with made.database.transaction() as frozen:
        frozen.connection().exec_driver_sql("SELECT FROM pipelines WHERE is_default FOR UPDATE")
        assert repair.repair(made.database, made.queue) == {"stalled_task": 1, "job": 1}
        assert [task.arguments.get("job_id") for task in jobs.waiting() if task.name == "survey"] == [other]
    # its hours, which come next, begin then
    assert repair.repair(made.database, made.queue) == {"parked_job": 2}


def test_what_a_clock_that_was_ahead_has_told_keeps_nothing(jobs: JobsByHand) -> None:
    """It was put right since: who died meanwhile would live for an hour, and what was lost be new for as long."""
    made = jobs.assembly
    dead = Node(made.database, serves=True, slots=9)
    dead.appear()
    jobs.sql("UPDATE nodes SET seen_at = now() + interval '1 h'")
    assert dict(Node(made.database, serves=False, slots=1).beat()) == {"worker": 1}
    left_by_a_dead_worker(jobs)
    jobs.sql("UPDATE procrastinate_workers SET last_heartbeat = now() + interval '1 h'")
    with made.database.transaction() as session:
        ((job_id,),) = jobs.sql("SELECT job_id FROM jobs")
        assert not made.queue.others_are_at(session, job_id, [])
    assert repair.repair(made.database, made.queue) == {"stalled_task": 1}
    for lose in (without_its_survey, a_probe_job, a_media_asset):
        lose(jobs)
    for table in ("jobs", "probe_jobs", "media_assets"):
        jobs.sql(f"UPDATE {table} SET modified_at = now() + interval '1 h'")
    assert repair.repair(made.database, made.queue) == {"job": 2, "probe_job": 1, "media_asset": 1}
    assert repair.repair(made.database, made.queue) == {}


def test_what_is_lost_is_looked_for_the_more_seldom_the_longer_that_takes(
    jobs: JobsByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among all that waits; the rest of the repair keeps its pace."""
    monkeypatch.setattr(repair, "_REST", 1_000_000)
    metrics = Metrics()
    with keeping(jobs, metrics):
        without_its_survey(jobs)
        jobs.sql(f"UPDATE jobs SET modified_at = {LONG_AGO}")
        for number in (1, 2):
            jobs.sql(
                "INSERT INTO procrastinate_jobs (queue_name, task_name, args, status) "
                "VALUES ('a', 'probe', '{}', 'doing')"
            )
            wait_for(lambda number=number: repaired(metrics)["stalled_task"] == number)
            if number == 1:
                # the first look has been taken by now, before or after the job was lost
                before = repaired(metrics)
                without_its_survey(jobs)
                jobs.sql(f"UPDATE jobs SET modified_at = {LONG_AGO}")
    assert repaired(metrics)["job"] == before["job"]
    assert repair.repair(jobs.assembly.database, jobs.assembly.queue)["job"] >= 1
