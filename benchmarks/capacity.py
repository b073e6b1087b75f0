"""What one slice takes: of a processor, of the database, of the store. `day.py` and docs/capacity.md use the figures.

python benchmarks/capacity.py [--figures FILE] [--markdown FILE]

A real server and a real worker on an external PostgreSQL, one kind of work after the other.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

from catalogue import default_cache
from cluster import FILM
from cluster_processes import Cluster, cluster, processors
from page import write_between
from report import machine
from server_process import Cpu
from stillframe.database.engine import Database, make_engine
from stillframe.jobs.queue import Queue
from stillframe.jobs.queue_connection import LOOK_EACH_S
from stillframe.jobs.retention import FinishedJobs, Sweeper
from stillframe.telemetry import Metrics
from stillframe.testing import videos
from stillframe.testing.many_jobs import add_waiting, fill

FIGURES = Path(__file__).with_name("figures.json")
BEGIN, END = "<!-- figures begin -->", "<!-- figures end -->"
IDLE_S = 40.0
IDLE_WORKERS = 4
#: a look whether it is done costs what is measured
_LOOK_S = 0.5
_REMOVED = 20_000
_WAITING, _LOOKS = 10_000, 30
_FETCHES = 2_000
_LISTENERS, _TOLD = 50, 1_000
TABLES = ("jobs", "slices", "job_outputs")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of job, and how many of them are measured. `slices` of each, all in all."""

    name: str
    words: str
    jobs: int
    movie: str
    output: str
    config: dict[str, Any]


KINDS = (
    Kind(
        "small-still",
        "a keyframe still of 640x360",
        150,
        "small.mp4",
        "{Count}.jpg",
        {"Count": 1, "Width": 320},
    ),
    Kind("still", "a keyframe still of 1080p", 50, "film.mp4", "{Count}.jpg", {"Count": 1, "Time": 60_760}),
    Kind(
        "exact-still", "an exact still of 1080p", 40, "film.mp4", "{Count}.jpg", {"Count": 1, "Time": 60_760}
    ),
    Kind(
        "sheet",
        "100 keyframe cells of 1080p, 20 minutes",
        8,
        "film.mp4",
        "{TileCount}.jpg",
        {"Type": "Sprite", "Count": 100, "Width": 160, "Time": 760},
    ),
    Kind(
        "long",
        "300 exact cells of 1080p, 20 minutes",
        1,
        "film.mp4",
        "{TileCount}.jpg",
        {"Type": "Sprite", "Count": 300, "Width": 160, "Time": 760},
    ),
)
_KEYFRAMES = {"small-still", "still", "sheet"}


@dataclass(slots=True)
class Reading:
    """Where all counters stand."""

    cpu: Cpu
    wal_bytes: int
    transactions: int
    statements: int
    table_bytes: int


def main() -> None:
    """Measure everything, write the figures, and print the table."""
    options = _options()
    if sys.platform != "linux":
        sys.exit("it reads /proc: Linux only")
    from longfiles import make

    film = make(FILM, options.cache)
    with (
        tempfile.TemporaryDirectory(prefix="stillframe-bench-") as folder,
        cluster(options.stillframe, Path(folder)) as made,
    ):
        videos.make(made.server.bucket / "small.mp4", frames=250, width=640, height=360, gop=25)
        (made.server.bucket / "film.mp4").write_bytes(film.read_bytes())
        figures: dict[str, Any] = {
            "machine": machine(),
            "measured_on": time.strftime("%Y-%m-%d"),
            "processors": processors(),
            "idle": (idle := _idle(made)),
            "submit": _submits(made),
            "kinds": {kind.name: _kind(made, kind, idle) for kind in KINDS},
            "slice": _empty_slices(made),
            "removal": _removal(made),
            "fetch": _fetch(made),
            "hearing": _hearing(made),
            "look": _look(made),
        }
        figures["load_at_the_end"] = round(os.getloadavg()[0], 1)
    options.figures.write_text(json.dumps(figures, indent=2) + "\n")
    table = _as_markdown(figures)
    print("\n" + table)
    if options.markdown:
        write_between(options.markdown, BEGIN, END, table)


def _read(made: Cluster, told: Path | None = None) -> Reading:
    return Reading(
        made.cpu(),
        int(made.ask("SELECT pg_current_wal_insert_lsn() - '0/0'")),
        int(
            made.ask(
                "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
            )
        ),
        int(told.read_text() or 0) if told is not None else 0,
        int(
            made.ask(
                "SELECT sum(pg_total_relation_size(name::regclass)) FROM unnest(%s::text[]) AS name",
                [*TABLES],
            )
        ),
    )


def _settled(made: Cluster) -> None:
    """Counters are told when a backend has come to rest."""
    time.sleep(1.5)


def _submits(made: Cluster) -> dict[str, float]:
    """Submits while nobody works, each costs so much."""
    number = 600
    requests = [made.submit(Count=1) for _ in range(number)]
    made.send(requests[:50])
    _settled(made)
    before = _read(made)
    made.send(requests[50:])
    _settled(made)
    after = _read(made)
    with made.connect() as connection:
        connection.execute("DELETE FROM procrastinate_jobs")
        connection.execute("DELETE FROM jobs WHERE status = 'Init'")
    print("submits", flush=True)
    return _each(before, after, number - 50)


def _kind(made: Cluster, kind: Kind, idle: dict[str, float]) -> dict[str, float]:
    """Jobs of a kind by one worker, in the figures of one slice of them; without what is there when nothing is done."""
    frame_type = "intra" if kind.name in _KEYFRAMES else "normal"

    def requests(number: int) -> Sequence[bytes]:
        return [
            made.submit(kind.movie, kind.output, **{**kind.config, "FrameType": frame_type})
            for _ in range(number)
        ]

    with made.working(1, slots=processors(), counts=True) as told:
        # what a first job loads is no part of the second's price
        made.send([made.submit(Count=1) for _ in range(10)])
        made.wait_until_done()
        _settled(made)
        began = time.perf_counter()
        before = _read(made, told)
        ids = made.send(requests(kind.jobs))
        made.wait_until_done(_LOOK_S)
        wall_s = time.perf_counter() - began
        _settled(made)
        after = _read(made, told)
        idle_s = time.perf_counter() - began
    slices = int(made.ask("SELECT count(*) FROM slices WHERE job_id = ANY(%s)", ids))
    read = int(
        made.ask("SELECT sum((report->>'BytesRead')::bigint) FROM jobs WHERE job_id = ANY(%s)", ids) or 0
    )
    print(f"{kind.name}: {slices} slices in {wall_s:.1f} s", flush=True)
    figures = _each(before, after, slices)
    without_work = {
        **{name: 2 * idle[name] for name in ("postgres_cpu_ms", "wal_bytes", "transactions")},
        **{name: idle[f"of_two_{name}"] for name in ("worker_cpu_ms", "statements")},
    }
    for name, a_second in without_work.items():
        figures[name] = max(figures[name] - a_second * idle_s / slices, 0.0)
    return {
        **figures,
        "slices_a_job": slices / kind.jobs,
        "slices_a_second_a_core": 1000 / figures["worker_cpu_ms"],
        "read_bytes": read / slices,
        "wall_s": wall_s / slices * processors(),
    }


def _empty_slices(made: Cluster) -> dict[str, float]:
    """One of a hundred slices of a job: what it takes when it is decoded in no time.

    While a real one is decoded the database has its own things to do, which cost more than the slice.
    """
    jobs, slices = 6, 100
    with made.working(1, slots=processors(), stub_s=0.0) as told:
        counted = told.with_name(f"{told.name}.count")
        made.send([made.submit(Count=slices)])
        made.wait_until_done(_LOOK_S)
        _settled(made)
        before = _read(made, counted)
        made.send([made.submit(Count=slices) for _ in range(jobs)])
        made.wait_until_done(_LOOK_S)
        _settled(made)
        after = _read(made, counted)
    print("slices", flush=True)
    return _each(before, after, jobs * slices)


def _idle(made: Cluster) -> dict[str, float]:
    """What each process more costs the database in a second without work; and what a server and a worker do."""
    used, connections = {}, {}
    # what it does by itself is larger than what is looked for, and is not the same in both
    _as_superuser(made, "ALTER SYSTEM SET autovacuum = off", "SELECT pg_reload_conf()", "CHECKPOINT")
    for number in (1, 1 + IDLE_WORKERS):
        with made.working(1, counts=True) as told, made.working(number - 1):
            # each has said twice that it lives: the pages for that are in the log as a whole
            time.sleep(25)
            before = _read(made, told)
            time.sleep(IDLE_S)
            after = _read(made, told)
            connections[number] = int(
                made.ask("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
            )
        used[number] = _each(before, after, IDLE_S)
    _as_superuser(made, "ALTER SYSTEM RESET autovacuum", "SELECT pg_reload_conf()")
    print("idle", flush=True)
    one, more = used.values()
    names = ("postgres_cpu_ms", "wal_bytes", "transactions")
    each = {"connections": (connections[1 + IDLE_WORKERS] - connections[1]) / IDLE_WORKERS}
    each |= {name: (more[name] - one[name]) / IDLE_WORKERS for name in names}
    return each | {f"of_two_{name}": value for name, value in one.items()}


def _as_superuser(made: Cluster, *statements: LiteralString) -> None:
    with made.connect(as_superuser=True) as connection:
        connection.autocommit = True
        for statement in statements:
            connection.execute(statement)


def _removal(made: Cluster) -> dict[str, float]:
    """What it costs to remove a job with its slices and outputs."""
    database = Database(make_engine(made.postgres.url))
    sweeper = Sweeper(database, Metrics(), {"job": FinishedJobs(days=1e-9)})
    with made.connect(as_superuser=True) as connection:
        account, pipeline = connection.execute(
            "SELECT account_id, pipeline_id FROM pipelines"
        ).fetchone() or ("", "")
        fill(connection, account, pipeline, jobs=_REMOVED)
        # needed by what follows, and not removed
        connection.execute("UPDATE jobs SET finished_at = now() + interval '1 d' WHERE job_id = md5('job1')")
    jobs = int(made.ask("SELECT count(*) FROM jobs WHERE status <> 'Init' AND output_asset_id IS NULL"))
    _settled(made)
    before = _read(made)
    began = time.perf_counter()
    while sweeper.sweep():
        pass
    wall_s = time.perf_counter() - began
    _settled(made)
    after = _read(made)
    database.close()
    print("removal", flush=True)
    return {**_each(before, after, jobs), "jobs_a_second": jobs / wall_s}


def _fetch(made: Cluster) -> dict[str, float]:
    """What it costs a process to look for a task when there is none: after each that another one has taken."""
    with made.connect() as connection:
        connection.autocommit = True
        before = _read(made)
        for _ in range(_FETCHES):
            connection.execute("SELECT procrastinate_fetch_job_v2(NULL, NULL)")
        after = _read(made)
    print("fetch", flush=True)
    return {"postgres_cpu_ms": _each(before, after, _FETCHES)["postgres_cpu_ms"]}


def _hearing(made: Cluster) -> dict[str, float]:
    """What it costs to tell a process of a new task, whether it looks for it or not."""
    used = []
    for number in (0, _LISTENERS):
        with contextlib.ExitStack() as stack, made.connect() as connection:
            connection.autocommit = True
            for _ in range(number):
                listener = stack.enter_context(made.connect())
                listener.autocommit = True
                listener.execute('LISTEN "procrastinate_any_queue_v1"')
            before = _read(made)
            for _ in range(_TOLD):
                connection.execute("SELECT pg_notify('procrastinate_any_queue_v1', '{}')")
                # one after the other, as tasks come: what comes at once is told at once
                time.sleep(0.005)
            after = _read(made)
        used.append(_each(before, after, _TOLD)["postgres_cpu_ms"])
    print("hearing", flush=True)
    return {"postgres_cpu_ms": max(used[1] - used[0], 0.0) / _LISTENERS}


def _look(made: Cluster) -> dict[str, float]:
    """What it costs a process to look how long the queue is, when many jobs wait."""
    with made.connect() as connection:
        pipeline = made.ask("SELECT pipeline_id FROM pipelines")
        add_waiting(connection, pipeline, jobs=_WAITING)
    database, queue = Database(make_engine(made.postgres.url)), Queue()
    with database.transaction() as session:
        queue.depth(session)
        before = _read(made)
        for _ in range(_LOOKS):
            queue.depth(session)
        after = _read(made)
    database.close()
    print("look", flush=True)
    return {"waiting_jobs": _WAITING, "postgres_cpu_ms": _each(before, after, _LOOKS)["postgres_cpu_ms"]}


def _each(before: Reading, after: Reading, number: int) -> dict[str, float]:
    used = after.cpu.since(before.cpu)
    found = {
        "postgres_cpu_ms": used.postgres_s * 1000,
        "worker_cpu_ms": used.ours_s * 1000,
        "wal_bytes": after.wal_bytes - before.wal_bytes,
        "transactions": after.transactions - before.transactions,
        "statements": after.statements - before.statements,
        "table_bytes": after.table_bytes - before.table_bytes,
    }
    return {name: value / number for name, value in found.items()}


def _as_markdown(figures: dict[str, Any]) -> str:
    submit, idle, removal, fetch, hearing, look = (
        figures[name] for name in ("submit", "idle", "removal", "fetch", "hearing", "look")
    )
    lines = [
        f"Measured on {figures['measured_on']}: {figures['machine']}; load average {figures['load_at_the_end']} at the",
        "end. Each figure is that of one slice, with its part of submit, survey and finish; a small job is one slice.",
        "CPU of workers is that of workers, their children, and the server.",
        "",
        "| work | slices a job | a second and core | worker CPU | database CPU | statements | transactions | WAL "
        "| rows and indexes | read |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for kind in KINDS:
        one = figures["kinds"][kind.name]
        cells = (
            kind.words,
            f"{one['slices_a_job']:.0f}",
            f"{one['slices_a_second_a_core']:.2f}",
            f"{one['worker_cpu_ms']:.0f} ms",
            f"{one['postgres_cpu_ms']:.1f} ms",
            f"{one['statements']:.0f}",
            f"{one['transactions']:.0f}",
            f"{one['wal_bytes'] / 1024:.1f} KiB",
            f"{one['table_bytes'] / 1024:.1f} KiB",
            f"{one['read_bytes'] / 1024:.0f} KiB",
        )
        lines.append(f"| {' | '.join(cells)} |")
    empty = figures["slice"]
    cells = (
        "a slice of a hundred that take no time",
        "100",
        "-",
        f"{empty['worker_cpu_ms']:.0f} ms",
        f"{empty['postgres_cpu_ms']:.1f} ms",
        f"{empty['statements']:.0f}",
        f"{empty['transactions']:.0f}",
        f"{empty['wal_bytes'] / 1024:.1f} KiB",
        f"{empty['table_bytes'] / 1024:.1f} KiB",
        "-",
    )
    lines += [
        f"| {' | '.join(cells)} |",
        "",
        "In the row of the long job what the database does by itself in so many seconds is counted,",
        "too; the last row is without that.",
        "",
        f"Of these, a submit costs the database {submit['postgres_cpu_ms']:.2f} ms of CPU and "
        f"{submit['wal_bytes'] / 1024:.1f} KiB of WAL, and the server {submit['worker_cpu_ms']:.1f} ms.",
        f"A process with nothing to do costs the database {idle['postgres_cpu_ms']:.2f} ms of CPU and "
        f"{idle['wal_bytes']:.0f} bytes of WAL a second, and {idle['connections']:.0f} connections.",
        f"To tell it of a new task costs {hearing['postgres_cpu_ms']:.3f} ms.",
        f"Then it looks for it, which costs {fetch['postgres_cpu_ms']:.2f} ms; all such "
        f"processes together do so {2 / LOOK_EACH_S:.0f} times a second at the most.",
        f"Every five seconds it looks how long the queue is: with {look['waiting_jobs']:,} jobs in it that costs "
        f"{look['postgres_cpu_ms']:.1f} ms.",
        f"To remove a job with all that hangs on it costs {removal['postgres_cpu_ms']:.2f} ms and "
        f"{removal['wal_bytes'] / 1024:.1f} KiB of WAL; one process removes {removal['jobs_a_second']:.0f} a second.",
    ]
    return "\n".join(lines) + "\n"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what one slice takes.")
    parser.add_argument("--figures", type=Path, default=FIGURES, help="where the figures go (JSON)")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="where the long video is kept")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write the table to this page, too (between its marks)"
    )
    parser.add_argument(
        "--stillframe",
        nargs="+",
        default=[sys.executable, "-m", "stillframe"],
        help="the command (default: the one of this Python)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
