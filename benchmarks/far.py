"""The far benchmark: videos in a store 30 ms away, and how many bytes, requests and seconds their pictures take.

python benchmarks/far.py [--rounds 5] [--only NAME] [--markdown FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from catalogue import COPIES, REMOTE_FILES, REMOTE_GOP250_HOUR, Copy, default_cache
from far_rows import Row, all_rows
from measure import machine_busy_s
from page import write_between
from report import machine

BEGIN, END = "<!-- far table begins -->", "<!-- far table ends -->"
HERE = Path(__file__).resolve().parent
DELAY_MS = 30
OURS, NEAR = "Stillframe", "Stillframe, from the disk"
MIB = 1 << 20
MEMORY_MIB = 250
#: what others are given: they are slow, and their numbers only show the order of magnitude
_PEER_ROUNDS = 1
_PEER_LIMIT_S = 15
#: from the disk, for comparison
_NEAR_ROUNDS = 3
#: what one thread takes for the first row's keyframes on the machine that the bounds on seconds come from
_DECODED_THERE_S = 1.29


@dataclass(slots=True)
class Result:
    """All runs of one contestant."""

    seconds: list[float] = field(default_factory=list)
    peaks_mib: list[float] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    others: list[float] = field(default_factory=list)


def main() -> None:
    """Measure the rows and print the table. Ends with 1 if a bound on bytes or requests is broken."""
    options = _options()
    rows = [row for row in all_rows() if not options.only or row.name in options.only]
    _make_films(options.cache)
    measured = []
    slower = [_slower(options.cache)]
    for number, row in enumerate(rows, 1):
        print(f"[{number}/{len(rows)}] {row.title} (load {os.getloadavg()[0]:.1f})", flush=True)
        measured.append((row, _measure(row, options)))
        slower.append(_slower(options.cache))
    table = _as_markdown(measured, options, median(slower))
    print("\n" + table)
    if options.markdown:
        write_between(options.markdown, BEGIN, END, table)
    sys.exit(0 if all(_keeps_counts(row, results[OURS], options) for row, results in measured) else 1)


def _slower(cache: Path) -> float:
    """How many times as long libav alone takes here, in one thread, for the keyframes of the first row."""
    film = REMOTE_GOP250_HOUR.path(cache)
    work = ["--gop", "250", "--pick", "keyframe", "--count", "100", "--step-ms", "36000", "--threads", "1"]
    command = [sys.executable, str(HERE / "floor.py"), str(film), *work]
    told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return float(told["seconds"]) / _DECODED_THERE_S


def _measure(row: Row, options: argparse.Namespace) -> dict[str, Result]:
    film = row.film.path(options.cache)
    with film.open("rb", buffering=0) as data:
        while data.read(MIB):
            pass
    results: dict[str, Result] = {}
    with _served(options.cache, row.mbit) as port:
        store, web = (
            f"s3://films/{film.name}?endpoint=http://127.0.0.1:{port}",
            f"http://127.0.0.1:{port}/films/{film.name}",
        )
        shot = [sys.executable, str(HERE / "far_shot.py")]
        work = ["--work", json.dumps(row.work), "--template", row.template]
        contestants = {
            OURS: ([*shot, "stillframe", store, *work], options.rounds),
            NEAR: ([*shot, "stillframe", str(film), *work], min(options.rounds, _NEAR_ROUNDS)),
        }
        if row.peers and not options.no_peers:
            contestants["download first"] = ([*shot, "download", web, *work], _PEER_ROUNDS)
            contestants["libav on the URL"] = ([*shot, "libav", web, *work], _PEER_ROUNDS)
            if shutil.which("ffmpeg"):
                contestants["ffmpeg on the URL, a process for each shot"] = (_ffmpeg(row, web), _PEER_ROUNDS)
        for name, (command, rounds) in contestants.items():
            result = results.setdefault(name, Result())
            for _ in range(rounds):
                if not _run(command, port, result):
                    print(f"  {name}: more than {_PEER_LIMIT_S} s", flush=True)
                    break
                print(
                    f"  {name}: {result.seconds[-1]:.2f} s, {result.requests[-1]} requests, "
                    f"{result.sent[-1] / MIB:.2f} MiB",
                    flush=True,
                )
    return results


def _ffmpeg(row: Row, web: str) -> list[str]:
    """As scripts do it: one process after the other, here in a shell that starts two at a time."""
    count, first_ms = row.work.get("count", 1), row.work.get("time", 0)
    length_ms = (row.film.of if isinstance(row.film, Copy) else row.film).duration_ms
    step_ms = (length_ms - first_ms) // count
    scale = "-vf scale=160:-2" if "width" in row.work else ""
    moments = " ".join(f"{(first_ms + k * step_ms) / 1000:.3f}" for k in range(count))
    once = f"ffmpeg -nostdin -v error -y -ss {{}} -i {web} -frames:v 1 {scale} -f mjpeg /dev/null"
    return ["sh", "-c", f"echo {moments} | tr ' ' '\\n' | xargs -P 2 -I {{}} {once}"]


def _run(command: list[str], port: int, result: Result) -> bool:
    """One run; False when it took too long."""
    _counts(port)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_REGION": "us-east-1"}
    busy, began = machine_busy_s(), time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, env=environment, text=True, start_new_session=True
    )
    try:
        printed, _ = process.communicate(timeout=_PEER_LIMIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.communicate()
        return False
    wall_s = time.perf_counter() - began
    if process.returncode:
        sys.exit(f"{' '.join(command)}: exit code {process.returncode}")
    told = json.loads(printed) if printed.strip() else {"seconds": wall_s, "peak_mib": 0.0}
    counts = _counts(port)
    result.seconds.append(told["seconds"])
    result.peaks_mib.append(told["peak_mib"])
    result.requests.append(counts["requests"])
    result.sent.append(counts["bytes_sent"])
    # the server's own work is among the others'
    result.others.append((machine_busy_s() - busy) / (wall_s * (os.cpu_count() or 1)))
    return True


@contextmanager
def _served(folder: Path, mbit: float | None) -> Iterator[int]:
    command = [sys.executable, str(HERE / "range_server.py"), str(folder), "--delay-ms", str(DELAY_MS)]
    command += ["--mbit", str(mbit)] if mbit else []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        yield int(server.stdout.readline())
        server.stdin.close()


def _counts(port: int) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/counts") as answer:
        counts: dict[str, Any] = json.load(answer)
        return counts


def _make_films(cache: Path) -> None:
    # in a process of its own: this one is to stay small
    code = "import sys; from pathlib import Path; import catalogue, longfiles; cache = Path(sys.argv[1]); "
    code += "[longfiles.make(film, cache) for film in catalogue.REMOTE_FILES]; "
    code += "[longfiles.copy_into(copy, cache) for copy in catalogue.COPIES]"
    subprocess.run([sys.executable, "-c", code, str(cache)], check=True, cwd=HERE)
    assert all(film.path(cache).exists() for film in (*REMOTE_FILES, *COPIES))


def _keeps_counts(row: Row, ours: Result, options: argparse.Namespace) -> bool:
    size, bounds = row.film.path(options.cache).stat().st_size, row.bounds
    most = bounds.percent * size / 100 if bounds.percent is not None else (bounds.mib or 0) * MIB
    return max(ours.sent) <= most and max(ours.requests) <= bounds.requests


def _as_markdown(
    measured: list[tuple[Row, dict[str, Result]]], options: argparse.Namespace, slower: float
) -> str:
    lines = [
        f"Measured on {time.strftime('%Y-%m-%d')}: {machine()}; load average {os.getloadavg()[0]:.1f} at the end.",
        f"A store on loopback that answers {DELAY_MS} ms late. Medians of {options.rounds} runs, each a new",
        "process with cold connections, from its first request to its last file; bytes and requests are the most of "
        "all runs.",
        '"From the disk" is the same work on the same file in the page cache; the others ran once. Busy: the share of',
        "all cores that was in use meanwhile, the store and the run included.",
        "",
        "The bounds on seconds come from a machine on which libav alone, in one thread, decodes the first row's",
        f"keyframes in {_DECODED_THERE_S} s; here it took {slower:.2f} times as long (the median, between the rows).",
        "A row that takes no more than so many times its bound is *met at this speed*.",
        "",
        "| work | at most | bytes | requests | seconds | from the disk | peak MiB | | busy |",
        "|---|---|---:|---:|---:|---:|---:|---|---:|",
    ]
    for row, results in measured:
        ours, size = results[OURS], row.film.path(options.cache).stat().st_size
        kept = _keeps_counts(row, ours, options) and max(ours.peaks_mib) <= MEMORY_MIB
        seconds, near = median(ours.seconds), median(results[NEAR].seconds)
        verdict = "met" if kept else "**not met**"
        if kept and seconds > row.bounds.seconds:
            verdict = "met at this speed" if seconds <= row.bounds.seconds * slower else "**seconds not met**"
        columns = (
            row.title,
            row.bounds.in_words(),
            f"{max(ours.sent) / MIB:.2f} MiB ({max(ours.sent) / size:.2%})",
            f"{max(ours.requests)}",
            f"{seconds:.2f}",
            f"{near:.2f}",
            f"{max(ours.peaks_mib):.0f}",
            verdict,
            f"{median(ours.others):.0%}",
        )
        lines.append(f"| {' | '.join(columns)} |")
    lines += [
        "",
        "| work | by | bytes | requests | seconds | to Stillframe's |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for row, results in measured:
        ours_s = median(results[OURS].seconds)
        for name, result in results.items():
            if name not in (OURS, NEAR):
                took = (
                    f"{result.seconds[0]:.1f} | {result.seconds[0] / ours_s:.1f} x"
                    if result.seconds
                    else (f"more than {_PEER_LIMIT_S} | more than {_PEER_LIMIT_S / ours_s:.0f} x")
                )
                sent = f"{result.sent[0] / MIB:.1f} MiB | {result.requests[0]}" if result.sent else "- | -"
                lines.append(f"| {row.title} | {name} | {sent} | {took} |")
    return "\n".join(lines) + "\n"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what pictures of far videos take.")
    parser.add_argument("--only", action="append", metavar="NAME", help="measure this row only (repeatable)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of Stillframe (default: 5)")
    parser.add_argument("--no-peers", action="store_true", help="measure Stillframe alone")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="where the long videos lie")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table to this page, too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
