"""What is done to a cluster under jobs, one kind of fault after the other. Each returns how often it was done."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from drill import work
from drill.cluster import Cluster
from drill.launcher import FREEZING_POINTS, SERVER_POINTS
from drill.member import Member, demand, end_all, family, start_all
from drill.submitter import Submitter
from stillframe.database.engine import Database, make_engine
from stillframe.jobs.queue import Queue
from stillframe.jobs.repair import repair

#: how far the clocks of two workers are from the machine's
CLOCKS_S = (30, -30)


@dataclass(frozen=True)
class Stage:
    """Where faults are done, and who asks for jobs meanwhile."""

    cluster: Cluster
    submitter: Submitter
    chance: random.Random

    def pause(self, most_s: float) -> None:
        """Let them work for a while: the moment of the next blow is what the drill is about."""
        time.sleep(self.chance.uniform(0.02, most_s))


@dataclass(frozen=True)
class Fault:
    """A kind of fault. `in_store`: all jobs that are submitted meanwhile write to the store.

    `waits_for_work`: it comes about by what jobs do, so there are more of them until it has.
    """

    name: str
    do: Callable[[Stage], int]
    in_store: bool = False
    waits_for_work: bool = False


def at_points(points: Sequence[str]) -> Callable[[Stage], int]:
    """Workers kill themselves, each at its own point, as many at the same time as there are workers."""

    def do(stage: Stage) -> int:
        workers = stage.cluster.workers
        end_all(workers)
        for begin in range(0, len(points), len(workers)):
            at_once = points[begin : begin + len(workers)]
            start_all(workers[: len(at_once)], *at_once)
            for worker in workers[: len(at_once)]:
                worker.wait_until_dead()
        start_all(workers)
        return len(points)

    return do


def kill_workers(times: int) -> Callable[[Stage], int]:
    """A worker is killed in the middle of its work, and started anew."""

    def do(stage: Stage) -> int:
        for _ in range(times):
            stage.pause(1.5)
            _kill_one(stage, stage.cluster.workers)
        return times

    return do


def _kill_one(stage: Stage, workers: Sequence[Member]) -> None:
    """Any one of them that is at work."""
    busy: list[Member] = []

    def is_somebody_busy() -> bool:
        busy[:] = [worker for worker in workers if _children(worker)]
        return bool(busy)

    demand(is_somebody_busy, "a worker is at work")
    worker = stage.chance.choice(busy)
    worker.kill()
    worker.start()


def kill_children(times: int) -> Callable[[Stage], int]:
    """A child that decodes is killed, never in the same piece of work so often that it is given up."""

    def do(stage: Stage) -> int:
        for _ in range(times):
            stage.pause(0.5)
            # what has cost two children is begun again only when that is written down
            demand(lambda: not stage.cluster.postgres.sql(_LAST_TRIES), "no work is at its last try")
            demand(lambda: any(map(_kill_child, stage.cluster.workers)), "a child is killed at its work")
        return times

    return do


_LAST_TRIES = """
SELECT job_id FROM jobs WHERE status = 'Init' AND kills >= 2
UNION ALL SELECT job_id FROM probe_jobs WHERE status = 'Init' AND kills >= 2
UNION ALL SELECT job_id FROM slices JOIN jobs USING (job_id)
WHERE jobs.status = 'Init' AND slices.state <> 'done' AND slices.kills >= 2
"""


def _kill_child(worker: Member) -> bool:
    for child in _children(worker):
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
            return True
    return False


def _children(worker: Member) -> list[int]:
    """Those that decode for a worker at this moment; its own child only forks them."""
    return [child for child, parent in family(worker.pid) if parent != worker.pid]


def kill_server(times: int) -> Callable[[Stage], int]:
    """The server dies at each of its points: between the receipt of a job and its answer, and while it tells of one."""

    def do(stage: Stage) -> int:
        server = stage.cluster.server
        for number in range(times):
            server.kill()
            server.start([*SERVER_POINTS][number % len(SERVER_POINTS)], wait=False)
            server.wait_until_dead()
            server.start()
        return times

    return do


def kill_postgres(times: int, away_s: float) -> Callable[[Stage], int]:
    """PostgreSQL ends without order, by the way of an operator or by a kill, and is away for so long."""

    def do(stage: Stage) -> int:
        postgres = stage.cluster.postgres
        for _ in range(times):
            stage.pause(2.0)
            postgres.crash(stage.chance.choice([signal.SIGQUIT, signal.SIGKILL]))
            time.sleep(away_s)
            postgres.start()
        return times

    return do


def freeze(stage: Stage) -> int:
    """All workers freeze at their work, and are woken when another one has done it, with another video."""
    running = stage.cluster
    make = (work.replaced_alone, work.replaced_among_many, work.replaced_in_a_survey)
    ids = []
    end_all(running.workers)
    for worker, point, kind in zip(running.workers, FREEZING_POINTS, make, strict=True):
        worker.start(point)
        replaced = kind(running.server.bucket, point)
        job_id, asked = stage.submitter.submit(replaced.kind)
        demand(partial(_is_frozen, worker), f"{worker.name} is {point}")
        replaced.replace()
        stage.submitter.ids[job_id] = replace(asked, kind=replaced.then)
        ids.append(job_id)
    with running.another_worker():

        def have_ended() -> bool:
            jobs = (running.server.insist("GetSnapshotJob", JobId=job_id) for job_id in ids)
            return all(job["SnapshotJob"]["Status"] != "Init" for job in jobs)

        demand(have_ended, "another one has done the work of the frozen ones", 90)
        for worker in running.workers:
            assert worker.is_frozen
            worker.send_signal(signal.SIGCONT)
        # when they have ended in order, they have done whatever they do
        end_all(running.workers)
        start_all(running.workers)
    return len(ids)


def _is_frozen(worker: Member) -> bool:
    return worker.is_frozen


def repair_twice(stage: Stage) -> int:
    """Two more repairers beside those of all processes, without pauses, while workers are killed."""
    ending = threading.Event()
    faults: list[BaseException] = []

    def keep_repairing() -> None:
        database = Database(make_engine(stage.cluster.postgres.url))
        try:
            while not ending.is_set():
                repair(database, Queue())
        except BaseException as error:
            faults.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=keep_repairing) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        kill_workers(2)(stage)
        stage.submitter.join()
        demand(
            lambda: not stage.cluster.server.insist("ListSnapshotJobs", Status="Init", PageSize=1)["Jobs"],
            "all have ended",
            120,
        )
    finally:
        ending.set()
        for thread in threads:
            thread.join()
    assert not faults, faults
    return len(threads)


def set_clocks(stage: Stage) -> int:
    """The clocks of two workers are a minute apart, and one of the two is killed."""
    apart = set_next_clocks(stage, CLOCKS_S)
    end_all(apart)
    start_all(apart)
    stage.pause(1.0)
    _kill_one(stage, apart)
    return len(apart)


def set_next_clocks(stage: Stage, clocks_s: Sequence[int]) -> list[Member]:
    """Of as many workers, from when they are started the next time."""
    apart = stage.cluster.workers[: len(clocks_s)]
    for worker, clock_s in zip(apart, clocks_s, strict=True):
        worker.clock_s = clock_s
    return apart


def refuse_writes(seconds: float) -> Callable[[Stage], int]:
    """The store answers 503 to whatever is to be written."""

    def do(stage: Stage) -> int:
        store = stage.cluster.store
        assert store is not None
        stage.pause(1.0)
        store.proxy.always["PUT"] = "503"
        time.sleep(seconds)
        demand(lambda: store.proxy.spoiled, "something was to be written")
        refused = store.proxy.spoiled
        store.proxy.recover()
        return refused

    return do
