"""The service's benchmark: a real server with its private PostgreSQL, and a client that costs next to nothing.

python benchmarks/service.py [--rounds 3] [--quick] [--only NAME] [--markdown FILE]
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

from light_client import LightClient
from measure import machine_busy_s
from page import write_between
from report import machine
from server_process import Served, serving
from stillframe.testing import videos

BEGIN, END = "<!-- service table begins -->", "<!-- service table ends -->"
CONNECTIONS = 8
TEMPLATE = "S00000002-000010"
IDLE_S = 30.0
SETTLE_S = 3.0


@dataclass(frozen=True, slots=True)
class Result:
    """A line of the table: what is asked for, what was measured, and what it cost."""

    work: str
    goal: str
    measured: str
    met: bool
    cost: str
    others: float


@dataclass(slots=True)
class Meter:
    """What the server and others used in a block; each number is there once the block has ended."""

    wall_s: float = 0.0
    ours_s: float = 0.0
    postgres_s: float = 0.0
    others: float = 0.0

    def each(self, number: int) -> str:
        """CPU time for one of so many."""
        ours, postgres = self.ours_s * 1000 / number, self.postgres_s * 1000 / number
        return f"{ours + postgres:.2f} ms CPU each (PostgreSQL {postgres:.2f})"


@dataclass(slots=True)
class Bench:
    """The server under measurement, and the numbers that names are made of."""

    server: Served
    client: LightClient
    rounds: int
    quick: bool
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def submits(self, number: int) -> list[bytes]:
        """Signed requests for so many small stills."""
        return [self.submit(f"out/{next(self.numbers)}") for _ in range(number)]

    def submit(self, stem: str) -> bytes:
        """One."""
        return self.client.signed(
            "SubmitSnapshotJob",
            Input={"Type": "OSS", "Media": "oss://local/in.mp4"},
            Output={"Type": "OSS", "Media": f"oss://local/{stem}-{{Count}}.jpg"},
            TemplateConfig={"TemplateId": TEMPLATE, "OverwriteParams": {"Width": 320}},
        )

    def wait_until_done(self) -> None:
        """Until no job is live any more."""
        while self.client.call("ListSnapshotJobs", Status="Init", PageSize=1)["Jobs"]:
            time.sleep(0.05)

    @contextmanager
    def meter(self) -> Iterator[Meter]:
        """Measure what the block costs."""
        meter = Meter()
        own, before, busy, began = _own_cpu_s(), self.server.cpu(), machine_busy_s(), time.perf_counter()
        yield meter
        meter.wall_s = time.perf_counter() - began
        used = self.server.cpu().since(before)
        meter.ours_s, meter.postgres_s = used.ours_s, used.postgres_s
        others_s = machine_busy_s() - busy - used.total_s - (_own_cpu_s() - own)
        meter.others = max(others_s, 0.0) / (meter.wall_s * (os.cpu_count() or 1))


def submit_rate(bench: Bench) -> Result:
    """As many submits as it takes, into a paused pipeline."""
    number = 300 if bench.quick else 1500
    rates, meters = [], []
    for _ in range(bench.rounds):
        requests = bench.submits(number)
        with bench.meter() as meter:
            bench.client.drive(requests, connections=CONNECTIONS)
        rates.append(number / meter.wall_s)
        meters.append(meter)
    rate, middle = median(rates), _middle(meters)
    work = f"submits, {CONNECTIONS} connections, pipeline paused"
    cost = middle.each(number)
    return Result(work, "at least 300 a second", f"{rate:.0f} a second", rate >= 300, cost, middle.others)


def submit_latency(bench: Bench) -> Result:
    """Fifty submits a second, whether they are answered or not."""
    number = 200 if bench.quick else 1000
    middles, worsts, meters = [], [], []
    for _ in range(bench.rounds):
        requests = bench.submits(number)
        with bench.meter() as meter:
            answers = bench.client.drive(requests, connections=CONNECTIONS, per_second=50)
        cuts = quantiles([answer.seconds for answer in answers], n=100)
        middles.append(cuts[49])
        worsts.append(cuts[98])
        meters.append(meter)
    p50_ms, p99_ms, middle = median(middles) * 1000, median(worsts) * 1000, _middle(meters)
    measured = f"p50 {p50_ms:.1f} ms, p99 {p99_ms:.1f} ms"
    work = "50 submits a second, pipeline paused"
    return Result(work, "p99 under 50 ms", measured, p99_ms < 50, middle.each(number), middle.others)


def one_still(bench: Bench) -> Result:
    """One small still after the other, each when the server has come to rest."""
    number = 10 if bench.quick else 20 * bench.rounds
    stored, done = [], []
    with bench.meter() as meter:
        for _ in range(number):
            stem = f"one/{next(bench.numbers)}"
            request = bench.submit(stem)
            picture = bench.server.bucket / f"{stem}-00001.jpg"
            began = time.perf_counter()
            answer = bench.client.drive([request], connections=1)[0]
            while not picture.exists():
                time.sleep(0.001)
            stored.append(time.perf_counter() - began)
            while (
                bench.client.call("GetSnapshotJob", JobId=answer.body["JobId"])["SnapshotJob"]["Status"]
                == "Init"
            ):
                time.sleep(0.005)
            done.append(time.perf_counter() - began)
            # until it has nothing more to do for the last one
            time.sleep(0.2)
    p50_ms, p95_ms = median(stored) * 1000, quantiles(stored, n=20)[18] * 1000
    measured = f"p50 {p50_ms:.0f} ms, p95 {p95_ms:.0f} ms; Success after {median(done) * 1000:.0f} ms (p50)"
    goal = "in storage within 150 ms (p50)"
    work, cost = "one small still, idle server", meter.each(number)
    return Result(work, goal, measured, p50_ms <= 150, cost, meter.others)


def throughput(bench: Bench) -> Result:
    """Many small stills, from the first submit to the last Success."""
    number = 100 if bench.quick else 500
    rates, meters = [], []
    for _ in range(bench.rounds):
        requests = bench.submits(number)
        with bench.meter() as meter:
            bench.client.drive(requests, connections=CONNECTIONS)
            bench.wait_until_done()
        rates.append(number / meter.wall_s)
        meters.append(meter)
    rate, middle = median(rates), _middle(meters)
    work, cost = f"{number} small stills, end to end", middle.each(number)
    return Result(work, "at least 25 a second", f"{rate:.1f} a second", rate >= 25, cost, middle.others)


def idle_cpu(bench: Bench) -> Result:
    """The server with nothing to do."""
    shares, meters = [], []
    time.sleep(SETTLE_S)
    for _ in range(1 if bench.quick else bench.rounds):
        with bench.meter() as meter:
            time.sleep(IDLE_S)
        shares.append((meter.ours_s + meter.postgres_s) / meter.wall_s)
        meters.append(meter)
    share, middle = median(shares), _middle(meters)
    cost = f"PostgreSQL {middle.postgres_s / middle.wall_s:.2%}"
    return Result(
        "CPU of the idle server", "under 1 % of a core", f"{share:.2%}", share < 0.01, cost, middle.others
    )


def memory(bench: Bench) -> Result:
    """All processes of the server, after all the work above."""
    parts = bench.server.pss_mib()
    total = sum(parts.values())
    cost = ", ".join(f"{kind} {mib:.0f}" for kind, mib in parts.items())
    return Result(
        "memory of the idle server (PSS)", "under 300 MiB", f"{total:.0f} MiB", total < 300, cost, 0.0
    )


#: by name, in the order in which they are taken
ROWS: dict[str, Callable[[Bench], Result]] = {
    "one-still": one_still,
    "throughput": throughput,
    "idle-cpu": idle_cpu,
    "submit-rate": submit_rate,
    "submit-latency": submit_latency,
    "memory": memory,
}
#: those that are measured while the pipeline is paused; it stays so, since nobody waits for thousands of stills
PAUSED = ("submit-rate", "submit-latency")


def main() -> None:
    """Measure and print the table. Ends with 1 when something failed; a missed goal is no failure."""
    options = _options()
    if sys.platform != "linux":
        sys.exit("it reads /proc: Linux only")
    names = options.only or list(ROWS)
    with (
        tempfile.TemporaryDirectory(prefix="stillframe-bench-") as folder,
        serving(options.stillframe, Path(folder) / "data") as server,
    ):
        videos.make(server.bucket / "in.mp4", frames=250, width=640, height=360, gop=25)
        client = LightClient(server.url, *server.key)
        bench = Bench(server, client, options.rounds, options.quick)
        results = [_measured(bench, name) for name in ROWS if name in names]
    table = _as_markdown(results, options.rounds)
    print("\n" + table)
    if options.markdown:
        write_between(options.markdown, BEGIN, END, table)


def _measured(bench: Bench, name: str) -> Result:
    print(f"{name} (load {os.getloadavg()[0]:.1f})", flush=True)
    if name in PAUSED:
        bench.server.pipeline("pause")
    # caches, plans and connections are there before the clock runs
    bench.client.drive(bench.submits(20), connections=CONNECTIONS)
    if name not in PAUSED and name != "memory":
        bench.wait_until_done()
    result = ROWS[name](bench)
    print(f"  {result.measured}; {result.cost}; others busy {result.others:.0%}", flush=True)
    return result


def _middle(meters: list[Meter]) -> Meter:
    """The round in the middle, by what it has cost."""
    return sorted(meters, key=lambda meter: meter.ours_s + meter.postgres_s)[len(meters) // 2]


def _own_cpu_s() -> float:
    own = os.times()
    return own.user + own.system + own.children_user + own.children_system


def _as_markdown(results: list[Result], rounds: int) -> str:
    lines = [
        f"Measured on {time.strftime('%Y-%m-%d')}: {machine()}; load average {os.getloadavg()[0]:.1f} at the end.",
        f"Medians of {rounds} rounds; the client runs on the same cores.",
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
    parser = argparse.ArgumentParser(
        description="Measure the service: submits, jobs, and what it takes when idle."
    )
    parser.add_argument("--only", action="append", choices=ROWS, help="measure this row only (repeatable)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; the table shows medians (default: 3)")
    parser.add_argument("--quick", action="store_true", help="one short round: a first impression")
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
