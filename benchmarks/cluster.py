"""The benchmark of many processes on one external PostgreSQL: what the database does besides, and how work is shared.

python benchmarks/cluster.py [--rounds 3] [--quick] [--only NAME] [--markdown FILE]
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median, quantiles

from catalogue import LongFile, default_cache
from cluster_processes import Cluster, cluster, processors
from measure import machine_busy_s
from page import write_between
from report import machine
from server_process import Cpu
from stillframe.testing import videos
from stillframe.testing.many_jobs import fill

BEGIN, END = "<!-- cluster table begins -->", "<!-- cluster table ends -->"
#: a job of some ten slices of ten seconds
FILM = LongFile(gop_frames=50, minutes=20, finer_keyframes=1.1)
MANY = 1_000_000
#: how much slower anything may be with so many jobs in the tables
MOST_SLOWER = 1.3
_ALL_DONE = "SELECT bool_and(state = 'done') FROM slices WHERE job_id = %s"
SLEEP_S, SLEEPING_WORKERS = 0.2, 8


@dataclass(frozen=True, slots=True)
class Result:
    """A line of the table."""

    work: str
    goal: str
    measured: str
    met: bool
    cost: str
    others: float
    #: what is compared with the same over many jobs: larger is slower; 0 is not compared, and has its goal once more
    slowness: float = 0.0


@dataclass(slots=True)
class Bench:
    """What is measured, and how thoroughly."""

    cluster: Cluster
    rounds: int
    quick: bool
    #: of the last block: other work's share of the machine, and what ours has used
    others: float = 0.0
    used: Cpu = field(default_factory=lambda: Cpu(0, 0))
    plain: dict[str, Result] = field(default_factory=dict)

    def each(self, number: int) -> str:
        """CPU time for one of so many in the last block."""
        postgres, total = self.used.postgres_s * 1000 / number, self.used.total_s * 1000 / number
        return f"{total:.2f} ms CPU each (PostgreSQL {postgres:.2f})"

    @contextmanager
    def meter(self) -> Iterator[None]:
        """Note the share of all processors that nobody of ours had meanwhile."""
        before, own = self.cluster.cpu(), os.times()
        busy, began = machine_busy_s(), time.perf_counter()
        yield
        wall_s = time.perf_counter() - began
        mine = sum(os.times()[:2]) - sum(own[:2])
        self.used = self.cluster.cpu().since(before)
        others_s = machine_busy_s() - busy - self.used.total_s - mine
        self.others = max(others_s, 0.0) / (wall_s * (os.cpu_count() or 1))


def submit_rate(bench: Bench) -> Result:
    """Submits while no worker is there."""
    number = 300 if bench.quick else 1500
    rates = []
    for _ in range(bench.rounds):
        requests = [bench.cluster.submit(Count=1) for _ in range(number)]
        with bench.meter():
            began = time.perf_counter()
            bench.cluster.send(requests)
            rates.append(number / (time.perf_counter() - began))
    _forget_live(bench.cluster)
    rate = median(rates)
    return Result(
        "submits, 8 connections",
        "at least 300 a second",
        f"{rate:.0f} a second",
        rate >= 300,
        bench.each(number),
        bench.others,
        1 / rate,
    )


def drain(bench: Bench) -> Result:
    """Ten jobs of a hundred slices that take no time, by one worker with two slots."""
    jobs, slices = (2, 50) if bench.quick else (10, 100)
    taken = []
    with bench.cluster.working(1, slots=2, stub_s=0.0):
        for _ in range(bench.rounds):
            bench.cluster.pipeline("Paused")
            bench.cluster.send([bench.cluster.submit(Count=slices) for _ in range(jobs)])
            with bench.meter():
                began = time.perf_counter()
                bench.cluster.pipeline("Active")
                bench.cluster.wait_until_done()
                taken.append(time.perf_counter() - began)
    seconds = median(taken) * 1000 / (jobs * slices)
    measured = f"{seconds:.2f} s"
    work = "1,000 slices that take no time, one worker of two slots"
    return Result(
        work, "at most 4 s", measured, seconds <= 4, bench.each(jobs * slices), bench.others, seconds
    )


def submit_to_start(bench: Bench) -> Result:
    """From the sending of a submit to the moment at which an idle worker begins to decode."""
    number = 10 if bench.quick else 25 * bench.rounds
    waits = []
    with bench.cluster.working(1, slots=2, stub_s=0.0) as starts, bench.meter():
        for count in range(1, number + 1):
            request = bench.cluster.submit(Count=1)
            # not at one beat with anything that is done again and again
            time.sleep(0.1 + 0.13 * (count % 3))
            sent = time.time()
            bench.cluster.send([request])
            bench.cluster.wait(lambda expected=count: len(starts.read_text().splitlines()) == expected)
            waits.append(float(starts.read_text().splitlines()[-1]) - sent)
            bench.cluster.wait_until_done()
    p50_ms, p95_ms = median(waits) * 1000, quantiles(waits, n=20)[18] * 1000
    measured = f"p50 {p50_ms:.1f} ms, p95 {p95_ms:.1f} ms"
    return Result(
        "submit to start, idle worker",
        "p50 under 30 ms",
        measured,
        p50_ms < 30,
        bench.each(number),
        bench.others,
        p50_ms,
    )


def database_share(bench: Bench) -> Result:
    """CPU time of PostgreSQL while a worker decodes 1080p: jobs of 20 exact cells."""
    jobs = 4 if bench.quick else 8 * bench.rounds
    with bench.cluster.working(1, slots=processors()):
        with bench.meter():
            bench.cluster.send([_sheet(bench.cluster, 20) for _ in range(jobs)])
            # a look costs what is measured here
            bench.cluster.wait_until_done(0.5)
        used = bench.used
    share = used.postgres_s / used.total_s
    measured = f"{share:.1%} ({used.postgres_s / jobs * 1000:.0f} ms a job)"
    work = "PostgreSQL's share of CPU, jobs of 20 exact cells of 1080p"
    return Result(work, "under 10 %", measured, share < 0.10, bench.each(jobs), bench.others)


def two_workers(bench: Bench) -> Result:
    """One long job by one worker on one processor, and by two on two."""
    whole, phase = {}, {}
    cells = 300 if bench.quick else 1200
    for number in (1, 2):
        with bench.cluster.working(number, pinned=True), bench.meter():
            began = time.perf_counter()
            (job_id,) = bench.cluster.send([_sheet(bench.cluster, cells)])
            bench.cluster.wait(
                lambda id=job_id: bench.cluster.ask("SELECT planned FROM jobs WHERE job_id = %s", id)
            )
            surveyed = time.perf_counter()
            bench.cluster.wait(lambda id=job_id: bench.cluster.ask(_ALL_DONE, id))
            phase[number] = time.perf_counter() - surveyed
            bench.cluster.wait_until_done()
            whole[number] = time.perf_counter() - began
    ratio, rendering = whole[2] / whole[1], phase[2] / phase[1]
    measured = f"{ratio:.2f} ({whole[2]:.1f} s of {whole[1]:.1f} s), rendering {rendering:.2f}"
    goal = "at most 0.60, rendering 0.55"
    work = "one long job by two workers, a processor each, to the time of one"
    return Result(work, goal, measured, ratio <= 0.60 and rendering <= 0.55, bench.each(1), bench.others)


def sleeping(bench: Bench) -> Result:
    """One job whose slices only wait, by one worker and by eight."""
    slices = 40 if bench.quick else 160
    taken = {}
    for number in (1, SLEEPING_WORKERS):
        with bench.cluster.working(number, stub_s=SLEEP_S), bench.meter():
            began = time.perf_counter()
            bench.cluster.send([bench.cluster.submit(Count=slices)])
            bench.cluster.wait_until_done()
            taken[number] = time.perf_counter() - began
    ratio = taken[SLEEPING_WORKERS] / taken[1]
    measured = f"{ratio:.3f} ({taken[SLEEPING_WORKERS]:.1f} s of {taken[1]:.1f} s)"
    work = f"one job of {slices} slices that wait {SLEEP_S * 1000:.0f} ms, by 8 workers, to the time of one"
    return Result(work, "at most 0.16", measured, ratio <= 0.16, bench.each(slices), bench.others)


def over_many(bench: Bench) -> Iterator[Result]:
    """What was measured over empty tables, once more over a million jobs that have ended."""
    with bench.cluster.connect(as_superuser=True) as connection:
        account, pipeline = connection.execute(
            "SELECT account_id, pipeline_id FROM pipelines"
        ).fetchone() or ("", "")
        fill(connection, account, pipeline, jobs=MANY // 20 if bench.quick else MANY)
        # what was filled in is written by now, and not while something else is measured
        connection.execute("CHECKPOINT")
    for name, before in bench.plain.items():
        after = COMPARED[name](bench)
        work = f"{after.work}, over a million jobs"
        if not before.slowness:
            yield replace(after, work=work)
            continue
        ratio = after.slowness / before.slowness
        yield replace(
            after,
            work=work,
            goal=f"at most {MOST_SLOWER} x slower",
            measured=f"{after.measured}: {ratio:.2f} x",
            met=ratio <= MOST_SLOWER,
        )


#: by name, in the order in which they are taken
COMPARED: dict[str, Callable[[Bench], Result]] = {
    "submit-rate": submit_rate,
    "drain": drain,
    "submit-to-start": submit_to_start,
    "database-share": database_share,
}
SHARED: dict[str, Callable[[Bench], Result]] = {"two-workers": two_workers, "sleeping": sleeping}
OVER_MANY = "over-many"


def main() -> None:
    """Measure and print the table. Ends with 1 when something failed; a missed goal is no failure."""
    options = _options()
    if sys.platform != "linux":
        sys.exit("it reads /proc: Linux only")
    names = options.only or [*COMPARED, *SHARED, OVER_MANY]
    needs_film = {"two-workers", "database-share", OVER_MANY} & {*names}
    film = _film(options.cache) if needs_film else None
    with (
        tempfile.TemporaryDirectory(prefix="stillframe-bench-") as folder,
        cluster(options.stillframe, Path(folder)) as made,
    ):
        videos.make(made.server.bucket / "small.mp4", frames=250, width=640, height=360, gop=25)
        if film is not None:
            shutil.copy(film, made.server.bucket / "film.mp4")
        bench = Bench(made, options.rounds, options.quick)
        # caches, plans and connections are there before the clock runs
        made.client.drive([made.submit(Count=1) for _ in range(20)], connections=8)
        _forget_live(made)
        results = []
        for name, measure in (COMPARED | SHARED).items():
            if name in names or (name in COMPARED and OVER_MANY in names):
                results.append(_said(name, measure(bench)))
                if name in COMPARED:
                    bench.plain[name] = results[-1]
        if OVER_MANY in names:
            results += [_said(OVER_MANY, result) for result in over_many(bench)]
    table = _as_markdown(results, options.rounds)
    print("\n" + table)
    if options.markdown:
        write_between(options.markdown, BEGIN, END, table)


def _said(name: str, result: Result) -> Result:
    print(
        f"{name}: {result.work}: {result.measured}; {result.cost}; others busy {result.others:.0%}",
        flush=True,
    )
    return result


def _sheet(cluster: Cluster, cells: int) -> bytes:
    """A request for sheets of exact cells of the film, which begin at a moment that is no keyframe's."""
    return cluster.submit("film.mp4", "{TileCount}.jpg", Type="Sprite", Count=cells, Width=160, Time=760)


def _forget_live(cluster: Cluster) -> None:
    """What nobody works on does not wait any more."""
    with cluster.connect() as connection:
        connection.execute("DELETE FROM procrastinate_jobs")
        connection.execute("DELETE FROM jobs WHERE status = 'Init'")


def _film(cache: Path) -> Path:
    from longfiles import make

    return make(FILM, cache)


def _as_markdown(results: list[Result], rounds: int) -> str:
    lines = [
        f"Measured on {time.strftime('%Y-%m-%d')}: {machine()}; load average {os.getloadavg()[0]:.1f} at the end.",
        f"Medians of {rounds} rounds, but of one for jobs that take long. PostgreSQL, server, workers and client share",
        "the cores; CPU time is that of the first three.",
        "Other load: the share of all cores that other work on the machine had meanwhile.",
        "",
        "| work | goal | measured | | costs | other load |",
        "|---|---|---|---|---|---:|",
    ]
    for result in results:
        verdict = "met" if result.met else "**not met**"
        cells = (result.work, result.goal, result.measured, verdict, result.cost, f"{result.others:.0%}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _options() -> argparse.Namespace:
    names = [*COMPARED, *SHARED, OVER_MANY]
    parser = argparse.ArgumentParser(description="Measure many processes on one external PostgreSQL.")
    parser.add_argument("--only", action="append", choices=names, help="measure this row only (repeatable)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; the table shows medians (default: 3)")
    parser.add_argument("--quick", action="store_true", help="one short round: a first impression")
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
    options = parser.parse_args()
    if options.quick:
        options.rounds = 1
    return options


if __name__ == "__main__":
    main()
