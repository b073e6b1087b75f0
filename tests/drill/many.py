"""One fault after the other is done to a cluster under jobs; after each, every job has ended as it must."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from drill import audit
from drill.audit import Found
from drill.cluster import Cluster, cluster
from drill.faults import (
    Fault,
    Stage,
    at_points,
    freeze,
    kill_children,
    kill_postgres,
    kill_server,
    kill_workers,
    refuse_writes,
    repair_twice,
    set_clocks,
)
from drill.launcher import WORK_POINTS
from drill.lives import can_fake_time
from drill.member import demand, end_all
from drill.submitter import Asked, Submitter
from drill.work import Kind, kinds, long_kind
from stillframe.storage.local import LocalBucket

ALL = (
    Fault("a worker dies at each named point", at_points([*WORK_POINTS]), waits_for_work=True),
    Fault("kill -9 of a worker", kill_workers(3), waits_for_work=True),
    Fault("kill -9 of a decoding child", kill_children(6), waits_for_work=True),
    Fault("the server dies at each named point", kill_server(6), waits_for_work=True),
    Fault("PostgreSQL killed, 0.5 s away", kill_postgres(2, 0.5)),
    Fault("PostgreSQL killed, 20 s away", kill_postgres(1, 20)),
    Fault("frozen workers, their videos replaced", freeze),
    Fault("two more repairers", repair_twice, waits_for_work=True),
    Fault("two clocks 60 s apart", set_clocks, waits_for_work=True),
    Fault("the store refuses to be written to", refuse_writes(8), in_store=True, waits_for_work=True),
)


@dataclass(frozen=True)
class Row:
    """What one kind of fault came to."""

    fault: str
    times: int
    found: Found
    seconds: float


def missing(fault: Fault, *, has_store: bool) -> str | None:
    """Why a fault cannot be done here; None when it can."""
    if fault.do is set_clocks and not can_fake_time():
        return "no faketime here (apt-get install faketime)"
    if fault.in_store and not has_store:
        return "no moto here (make moto)"
    return None


def drill(
    folder: Path,
    *,
    jobs: int,
    seed: int,
    faults: Sequence[Fault] = ALL,
    dead_after_s: int | None = None,
    with_store: bool = True,
) -> list[Row]:
    """Do it all in a folder, and tell of each fault when it is over. Raises AssertionError for what is not right."""
    chance = random.Random(seed)
    began = time.monotonic()
    with cluster(folder, dead_after_s=dead_after_s, with_store=with_store) as running:
        able = []
        for fault in faults:
            if (why := missing(fault, has_store=running.store is not None)) is None:
                able.append(fault)
            else:
                print(f"LEFT OUT: {fault.name}: {why}", flush=True)
        bucket = running.server.bucket
        every = kinds(bucket)
        submitter = Submitter(running.server, every, chance, ("local",))
        stage = Stage(running, submitter, chance)
        long = long_kind(bucket)
        print(f"a cluster after {time.monotonic() - began:.0f} s", flush=True)
        rows = []
        for fault in able:
            rows.append(_round(stage, fault, -(-jobs // len(able)), long))
            print(line(rows[-1]), flush=True)
        began = time.monotonic()
        found = _audit(running, submitter, submitter.ids)
        found.probes = audit.check_probes(running.server, submitter)
        end_all(running.members)
        left = LocalBucket(bucket).clean_leftovers()
        print(f"{left} temporary files that killed writers had left were removed", flush=True)
        rows.append(Row("all of them, at the end", 1, found, time.monotonic() - began))
    return rows


def line(row: Row) -> str:
    """A row of a table in Markdown; its columns are in `HEAD`."""
    found = row.found
    cells = (
        row.fault,
        row.times,
        found.ended.total(),
        found.ended["Success"],
        found.failed,
        found.pictures,
        found.events,
        f"{row.seconds:.0f}",
    )
    return "| " + " | ".join(map(str, cells)) + " |"


_COLUMNS = (
    "fault",
    "times",
    "jobs",
    "Success",
    "failed as they must",
    "pictures verified",
    "events",
    "seconds",
)
HEAD = f"| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}"


def _round(stage: Stage, fault: Fault, jobs: int, long: Kind) -> Row:
    began = time.monotonic()
    running, submitter = stage.cluster, stage.submitter
    before = set(submitter.ids)
    if running.store is not None:
        submitter.buckets = ("store",) if fault.in_store else ("local", "local", "local", "store")
    submitter.submit(long)
    submitter.begin(jobs)
    if not fault.waits_for_work:
        submitter.enough()
    times = fault.do(stage)
    submitter.join()
    audit.wait_for_all(running.server, submitter)
    found = _audit(running, submitter, {id: asked for id, asked in submitter.ids.items() if id not in before})
    return Row(fault.name, times, found, time.monotonic() - began)


def _audit(running: Cluster, submitter: Submitter, ids: Mapping[str, Asked]) -> Found:
    found = Found()
    found.ended = audit.check_jobs(running.server, ids)
    found.events = audit.check_events(ids, running.receiver)
    files = audit.files_of(ids, running.buckets)
    found.pictures = audit.check_files(ids, files)
    _check_outputs(running, ids, files)
    _check_rest(running)
    return found


def _check_outputs(
    running: Cluster, ids: Mapping[str, Asked], files: Mapping[str, Mapping[str, bytes]]
) -> None:
    """What the database says that was written is what lies in the buckets."""
    said: dict[str, dict[str, str]] = {job_id: {} for job_id in ids}
    for job_id, key, digest in running.postgres.sql("SELECT job_id, key, sha256 FROM job_outputs"):
        if job_id in said:
            said[job_id][key] = digest
    for job_id, asked in ids.items():
        there = {
            f"{asked.folder}/{name}": hashlib.sha256(data).hexdigest() for name, data in files[job_id].items()
        }
        assert there == said[job_id], f"the outputs of {asked}"


def _check_rest(running: Cluster) -> None:
    """Nothing waits any more, and nobody is left of those that have died."""
    for what, query in (
        ("tasks", "SELECT * FROM procrastinate_jobs"),
        ("events", "SELECT event_id FROM events"),
        ("jobs", "SELECT job_id FROM jobs WHERE status = 'Init' OR parked"),
        ("probe jobs", "SELECT job_id FROM probe_jobs WHERE status = 'Init' OR parked"),
    ):
        demand(lambda query=query: not running.postgres.sql(query), f"no {what} are left")
    demand(lambda: not running.left_behind(), f"dead lives leave nobody behind: {running.left_behind()}")
