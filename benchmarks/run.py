"""The benchmark: Stillframe, the floor and the peers on the same long videos, in turns; a table as Markdown.

python benchmarks/run.py [--only NAME] [--runs 5] [--quick] [--markdown FILE]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from catalogue import default_cache
from goals import Result
from measure import Contestant, ContestantFailed, Usage, run
from outputs import frames_taken
from page import write_between
from report import as_markdown
from rows import FLOOR, STILLFRAME, Row, Setup, all_rows

BEGIN, END = "<!-- table begins -->", "<!-- table ends -->"
HERE = Path(__file__).resolve().parent
SLOW_ROWS = ("memory-exact",)  # --quick leaves these out


def main() -> None:
    """Measure the rows and print the table. Ends with 1 if a contestant failed; a missed goal is no failure."""
    options = _options()
    setup = Setup(options.cache, _stillframe_command(options.stillframe), options.vcsi, options.threads)
    rows = _selected(all_rows(setup), options)
    subprocess.run([sys.executable, str(HERE / "longfiles.py"), "--cache", str(setup.cache)], check=True)
    measured = []
    failures: list[str] = []
    for number, row in enumerate(rows, 1):
        print(f"[{number}/{len(rows)}] {row.title} (load {os.getloadavg()[0]:.1f})", flush=True)
        _read_through(row.video.path(setup.cache))
        measured.append((row, measure_row(row, options.runs, failures)))
    table = as_markdown(measured, setup, options.runs)
    print("\n" + table)
    if options.markdown:
        write_between(options.markdown, BEGIN, END, table)
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    sys.exit(1 if failures else 0)


def measure_row(row: Row, rounds: int, failures: list[str]) -> dict[str, Result]:
    """Run the row's contestants in turns; each round another one begins. One that fails takes no further part."""
    contestants = list(row.contestants)
    usages: dict[str, list[Usage]] = {contestant.name: [] for contestant in contestants}
    for turn in range(rounds):
        frames: dict[str, list[int]] = {}
        first = turn % len(contestants) if contestants else 0
        for contestant in contestants[first:] + contestants[:first]:
            if turn >= contestant.most_runs:
                continue
            try:
                usage, printed = _run_in_new_folder(contestant)
                if contestant.name in (STILLFRAME, FLOOR):
                    frames[contestant.name] = frames_taken(printed)
            except ContestantFailed as failure:
                failures.append(f"{row.name}: {failure}")
                print(f"  {failure}", flush=True)
                contestants.remove(contestant)
                continue
            usages[contestant.name].append(usage)
            print(f"  {turn + 1}/{rounds} {contestant.name}: {_in_words(usage)}", flush=True)
        if len(frames) == 2 and frames[STILLFRAME] != frames[FLOOR]:
            failures.append(f"{row.name}: Stillframe and the floor did not decode the same frames")
    return {name: Result(tuple(runs)) for name, runs in usages.items() if runs}


def _run_in_new_folder(contestant: Contestant) -> tuple[Usage, str]:
    with tempfile.TemporaryDirectory(prefix="stillframe-bench-") as folder:
        usage = run(contestant, Path(folder))
        return usage, (Path(folder) / "0.stdout").read_text(errors="replace")


def _in_words(usage: Usage) -> str:
    words = f"{usage.wall_s:.2f} s, CPU {usage.cpu_s:.2f} s, {usage.peak_mib:.0f} MiB"
    return words + (f", others busy {usage.others:.0%}" if usage.others > 0.05 else "")


def _selected(rows: list[Row], options: argparse.Namespace) -> list[Row]:
    names = [row.name for row in rows]
    if unknown := set(options.only or ()) - set(names):
        sys.exit(f"no such row: {', '.join(sorted(unknown))}; there are: {', '.join(names)}")
    return [
        row
        for row in rows
        if (not options.only or row.name in options.only) and not (options.quick and row.name in SLOW_ROWS)
    ]


def _read_through(video: Path) -> None:
    """Read the video once, so that all contestants find it in memory."""
    with video.open("rb", buffering=0) as data:
        buffer = bytearray(1 << 20)
        while data.readinto(buffer):
            pass


def _stillframe_command(given: str | None) -> tuple[str, ...]:
    if given:
        return (given,)
    beside = Path(sys.executable).with_name("stillframe")
    return (str(beside),) if beside.exists() else (sys.executable, "-m", "stillframe")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure speed and memory of Stillframe and its peers.")
    parser.add_argument("--only", action="append", metavar="NAME", help="measure this row only (repeatable)")
    parser.add_argument("--runs", type=int, default=5, help="rounds; the table shows medians (default: 5)")
    parser.add_argument("--quick", action="store_true", help="one round, without the slowest row")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write the table to this page, too (between its marks)"
    )
    parser.add_argument("--cache", type=Path, default=default_cache(), help="where the long videos lie")
    parser.add_argument("--threads", type=int, default=2, help="threads, or processes at a time (default: 2)")
    parser.add_argument(
        "--stillframe", metavar="PATH", help="the command (default: the one beside this Python)"
    )
    parser.add_argument("--vcsi", metavar="PATH", default="vcsi", help="the peer vcsi (default: from PATH)")
    options = parser.parse_args()
    if options.quick:
        options.runs = 1
    return options


if __name__ == "__main__":
    main()
