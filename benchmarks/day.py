"""A simulated day of a large cluster: ten million jobs, a thousand workers, and what goes wrong in a day.

python benchmarks/day.py [--jobs 10000000] [--workers 1000] [--seed 1] [--markdown FILE]

Discrete events, with service times drawn around the figures that `capacity.py` has measured (figures.json). Tasks are
begun in the order in which they become ready, each by the worker that is free first; a long job has a window of slices
in the queue. Workers die, and their tasks come back; the database is away, and whoever wants it waits; a store is slow.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heappush, heapreplace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from page import write_between
from stillframe.jobs.queue_connection import LOOK_EACH_S

FIGURES = Path(__file__).with_name("figures.json")
BEGIN, END = "<!-- day begins -->", "<!-- day ends -->"
DAY_S = 86_400
#: share of the jobs by kind, as in figures.json; the last one has several slices
MIX = {"small-still": 0.50, "still": 0.20, "exact-still": 0.10, "sheet": 0.08, "long": 0.12}
LONG = len(MIX) - 1
#: the busiest hour has this much more than the mean, and the quietest as much less
SWING = 0.6
#: service times are log-normal around the measured mean
SPREAD = 0.6
WINDOW = 8
STORES = 4
#: a worker is lost after two days of work, on the average, and is there again after a minute; its task comes back after
#: half a minute of silence and a round of the repair
LIFE_S, RESTART_S, NOTICED_S = 2 * 86_400.0, 60.0, 33.0
#: (beginning, length) in seconds: a restart, a fail-over, another restart
OUTAGES = ((3 * 3600.0, 20.0), (14 * 3600.0, 90.0), (20.2 * 3600.0, 20.0))
#: clients that were refused come again within so long, and workers spread their return
RETRY_S, BACKOFF_S = 30.0, 3.0
#: (beginning, end, store, how much slower)
SLOW = ((10 * 3600.0, 11 * 3600.0, 1, 5.0), (18 * 3600.0, 18.5 * 3600.0, 2, 10.0))
#: of its processors PostgreSQL is to use no more in the busiest minute
BUSY = 0.7
RETENTION_DAYS = 90
#: how often each process looks how long the queue is, and for what part of the time all of them may (jobs.repair)
LOOK_EVERY_S, LOOK_REST = 5, 10
_CHUNK = 100_000


@dataclass(slots=True)
class Long:
    """A job of several slices that has not ended."""

    store: int
    to_begin: int
    to_end: int


@dataclass(slots=True)
class Day:
    """What came of it. `waits_s` are those of first tasks; the database's work is in ms of CPU for each second."""

    jobs: int
    workers: int
    ends: bytearray
    waits_s: array[float]
    database_ms: list[float]
    by_kind: NDArray[np.int64]
    busy_s: float = 0.0
    tasks: int = 0
    lost: int = 0
    refused: int = 0
    last_end_s: float = 0.0


def simulate(figures: Mapping[str, Any], *, jobs: int, workers: int, seed: int) -> Day:
    """One day, to the end of its last job. The same numbers give the same day."""
    random = np.random.default_rng(seed)
    kinds = [figures["kinds"][name] for name in MIX]
    submit_ms = figures["submit"]["postgres_cpu_ms"]
    service_s = [kind["worker_cpu_ms"] / 1000 for kind in kinds]
    # a kind's figure is that of a slice with its share of the submit, which comes at another time
    database_ms = [
        max(kind["postgres_cpu_ms"] - submit_ms / max(kind["slices_a_job"], 1), 0.0) for kind in kinds
    ]
    # its own row counts what the database does by itself meanwhile
    database_ms[LONG] = figures["slice"]["postgres_cpu_ms"]
    slices = max(round(kinds[LONG]["slices_a_job"]), 2)
    survey_s, survey_ms = service_s[0], database_ms[0]
    arrivals, refused = _arrivals(random, jobs)
    kind_of = random.choice(len(MIX), jobs, p=[*MIX.values()]).astype(np.int8)
    pool = [
        random.lognormal(-SPREAD * SPREAD / 2, SPREAD, 1 << 20).tolist(),
        random.exponential(LIFE_S, 1 << 20).tolist(),
    ]
    factors, lives, mask = pool[0], pool[1], (1 << 20) - 1
    work = [0.0] * (3 * DAY_S)
    for second, number in enumerate(np.bincount(arrivals.astype(np.int64)).tolist()):
        work[second] = number * submit_ms
    day = Day(
        jobs,
        workers,
        bytearray(jobs),
        array("f"),
        work,
        np.bincount(kind_of, minlength=len(MIX)),
        refused=refused,
    )
    free = [0.0] * workers
    heapify(free)
    #: (when, job, kind of task): what becomes ready later; a task is a slice of a long job or something begun anew
    later: list[tuple[float, int, int]] = []
    long_jobs: dict[int, Long] = {}
    begins, ends = [start for start, _ in OUTAGES], [start + length for start, length in OUTAGES]
    turn = 0

    def task(ready: float, job: int, kind: int, is_first: bool) -> None:
        """The worker that is free first takes it."""
        nonlocal turn
        turn += 1
        start = free[0] if free[0] > ready else ready
        place = bisect_right(begins, start)
        if place and start < ends[place - 1]:
            start = ends[place - 1] + BACKOFF_S * (turn % 97) / 97
        takes = (survey_s if kind > LONG else service_s[kind]) * factors[turn & mask]
        for since, until, store, slower in SLOW:
            if since <= start < until and job % STORES == store:
                takes *= slower
        if is_first:
            day.waits_s.append(start - ready)
        day.tasks += 1
        life = lives[(turn * 7) & mask]
        if life < takes:
            day.lost += 1
            day.busy_s += life
            heapreplace(free, start + life + RESTART_S)
            heappush(later, (start + life + NOTICED_S, job, kind))
            return
        end = start + takes
        place = bisect_right(begins, end)
        if place and end < ends[place - 1]:
            end = ends[place - 1] + BACKOFF_S * (turn % 89) / 89
        day.busy_s += takes
        heapreplace(free, end)
        work[int(end)] += survey_ms if kind > LONG else database_ms[kind]
        if kind < LONG:
            day.ends[job] += 1
        elif kind == LONG:
            one = long_jobs[job]
            one.to_end -= 1
            if one.to_begin:
                one.to_begin -= 1
                heappush(later, (end, job, LONG))
            elif not one.to_end:
                del long_jobs[job]
                day.ends[job] += 1
        else:
            begun = min(WINDOW, slices)
            long_jobs[job] = Long(job % STORES, slices - begun, slices)
            for _ in range(begun):
                heappush(later, (end, job, LONG))
        if end > day.last_end_s:
            day.last_end_s = end

    for job, (ready, kind) in enumerate(_in_chunks(arrivals, kind_of)):
        while later and later[0][0] <= ready:
            task(*heappop(later), False)
        # of a long job the survey comes first
        task(ready, job, kind + (kind == LONG), True)
    while later:
        task(*heappop(later), False)
    return day


def _arrivals(random: np.random.Generator, jobs: int) -> tuple[NDArray[np.float64], int]:
    """When jobs are taken, in order; and how many were refused at first."""
    grid = np.linspace(0, DAY_S, 1441)
    rate = 1 + SWING * np.sin(2 * math.pi * (grid / DAY_S - 0.55))
    share = np.concatenate([[0.0], np.cumsum((rate[1:] + rate[:-1]) / 2)])
    asked = np.interp(random.random(jobs) * share[-1], share, grid)
    refused = 0
    for begin, length in OUTAGES:
        away = (asked >= begin) & (asked < begin + length)
        refused += int(away.sum())
        asked[away] = begin + length + random.random(int(away.sum())) * RETRY_S
    asked.sort()
    return asked, refused


def _in_chunks(arrivals: NDArray[np.float64], kinds: NDArray[np.int8]) -> Iterator[tuple[float, int]]:
    """Plain numbers, without having all of them at once."""
    for first in range(0, len(arrivals), _CHUNK):
        yield from zip(
            arrivals[first : first + _CHUNK].tolist(), kinds[first : first + _CHUNK].tolist(), strict=True
        )


def demand_conserved(day: Day) -> None:
    """Every job has ended, and exactly once. Raises ValueError."""
    if day.ends.count(1) != day.jobs:
        raise ValueError(f"{day.jobs - day.ends.count(1)} of {day.jobs} jobs did not end exactly once")


def told(day: Day, figures: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The lines of the table."""
    waits = np.frombuffer(day.waits_s, dtype=np.float32)
    p50, p99, p999 = np.percentile(waits, [50, 99, 99.9])
    work = np.array(day.database_ms[: math.ceil(day.last_end_s) + 1])
    minutes = np.add.reduceat(work, np.arange(0, len(work), 60)) / 60
    # when a task comes all are told, and as many look for it as may
    looks_ms = figures["fetch"]["postgres_cpu_ms"] * 2 / LOOK_EACH_S
    told_ms = figures["hearing"]["postgres_cpu_ms"] * day.workers * day.tasks / DAY_S
    idle_ms = figures["idle"]["postgres_cpu_ms"] * day.workers + looks_ms
    removal_ms = figures["removal"]["postgres_cpu_ms"] * day.jobs / DAY_S
    carried_ms = figures["processors"] * 1000 * BUSY
    mean_ms = work.sum() / DAY_S + idle_ms + told_ms + removal_ms
    peak_ms = float(minutes.max()) + idle_ms + told_ms * (1 + SWING) + removal_ms
    few = math.ceil(day.workers / 32)
    each_ms = figures["idle"]["postgres_cpu_ms"] * day.workers + told_ms * (1 + SWING)
    few_ms = peak_ms - each_ms * (1 - few / day.workers)
    a_day = math.floor(day.jobs * max(carried_ms - idle_ms, 0.0) / (peak_ms - idle_ms))
    job_bytes = sum(
        number * figures["kinds"][name]["table_bytes"] * figures["kinds"][name]["slices_a_job"]
        for name, number in zip(MIX, day.by_kind.tolist(), strict=True)
    )
    wal = sum(
        number
        * (figures["slice"] if name == "long" else figures["kinds"][name])["wal_bytes"]
        * figures["kinds"][name]["slices_a_job"]
        for name, number in zip(MIX, day.by_kind.tolist(), strict=True)
    )
    look = figures["look"]
    databases = math.ceil(peak_ms / carried_ms)
    return [
        ("jobs, and tasks of theirs", f"{day.jobs:,}, {day.tasks:,}"),
        ("tasks lost with a worker, and done again", f"{day.lost:,}"),
        ("submits refused while the database was away, and sent again", f"{day.refused:,}"),
        ("jobs that did not end exactly once", f"{day.jobs - day.ends.count(1)}"),
        ("wait for a worker (first task)", f"p50 {p50:.2f} s, p99 {p99:.1f} s, p99.9 {p999:.1f} s"),
        ("workers' time in use", f"{day.busy_s / (day.workers * DAY_S):.0%}"),
        ("the last job ended", f"{max(day.last_end_s - DAY_S, 0) / 60:.0f} min after the end of the day"),
        ("database work, mean", f"{mean_ms / 1000:.2f} processors"),
        (
            "database work, busiest minute",
            f"{peak_ms / 1000:.2f} processors, {idle_ms / 1000:.2f} of them for {day.workers:,} processes that are "
            f"there, {told_ms * (1 + SWING) / 1000:.2f} for telling each of them of each task, and "
            f"{removal_ms / 1000:.2f} for removing old jobs",
        ),
        (
            f"the same, with {few} processes of 32 slots",
            f"{few_ms / 1000:.2f} processors: {math.ceil(few_ms / 1000 / BUSY)} would do",
        ),
        (
            f"what PostgreSQL carries on {figures['processors']} processors at {BUSY:.0%}",
            f"{carried_ms / 1000:.1f} processors: {a_day / 1e6:.1f} million jobs a day with as many workers",
        ),
        (
            "so this day needs",
            f"{databases} such databases, or one of {math.ceil(peak_ms / 1000 / BUSY)} processors",
        ),
        (
            f"a look at a queue of {look['waiting_jobs']:,} jobs, by each process every {LOOK_EVERY_S} seconds",
            f"would be {look['postgres_cpu_ms'] * day.workers / LOOK_EVERY_S / 1000:.1f} processors; so all together "
            f"look a tenth of the time, each every {look['postgres_cpu_ms'] / 1000 * day.workers * LOOK_REST:.0f} s",
        ),
        (
            "connections, at rest",
            f"{figures['idle']['connections'] * day.workers:,.0f}; as processes of 32 slots "
            f"{figures['idle']['connections'] * math.ceil(day.workers / 32):,.0f}",
        ),
        ("log written (WAL)", f"{wal / 1e9:.0f} GB a day, {wal / DAY_S / 1e6:.1f} MB a second"),
        ("tables grow by", f"{job_bytes / 1e9:.1f} GB a day"),
        (
            f"with retention of {RETENTION_DAYS} days they stay at",
            f"{job_bytes * RETENTION_DAYS / 1e12:.2f} TB",
        ),
        ("without it, after a year", f"{job_bytes * 365 / 1e12:.2f} TB"),
    ]


def main() -> None:
    """Simulate and print the table."""
    options = _options()
    figures = json.loads(options.figures.read_text())
    began = time.perf_counter()
    day = simulate(figures, jobs=options.jobs, workers=options.workers, seed=options.seed)
    demand_conserved(day)
    lines = [
        f"Seed {options.seed}; {options.workers:,} workers of one slot; figures of {figures['measured_on']}.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in told(day, figures)),
    ]
    table = "\n".join(lines) + "\n"
    print(table)
    print(f"simulated in {time.perf_counter() - began:.0f} s")
    if options.markdown:
        write_between(options.markdown, BEGIN, END, table)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Simulate a day of a large cluster.")
    parser.add_argument("--jobs", type=int, default=10_000_000)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--figures", type=Path, default=FIGURES, help="what capacity.py has measured (JSON)")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write the table to this page, too (between its marks)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
