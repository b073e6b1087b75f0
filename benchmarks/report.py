"""The benchmark's table as Markdown: the goals first, then each row with all its contestants."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from goals import Goal, Result
from rows import Row, Setup

NOISE = 0.10  # a verdict over runs in which other work had more of the machine than this says so

Measured = Sequence[tuple[Row, dict[str, Result]]]


def as_markdown(measured: Measured, setup: Setup, rounds: int) -> str:
    """All results as one Markdown text."""
    sections = [_conditions(setup, rounds), _goals_table(measured)]
    sections += [_row_table(row, results) for row, results in measured]
    return "\n\n".join(sections) + "\n"


def _goals_table(measured: Measured) -> str:
    lines = ["| work | goal | measured | |", "|---|---|---|---|"]
    for row, results in measured:
        lines += [f"| {row.title} | {goal.text} | {_outcome(goal, results)} |" for goal in row.goals]
    return "\n".join(lines)


def _outcome(goal: Goal, results: dict[str, Result]) -> str:
    verdict = goal.judge(results)
    if verdict is None:
        return "not measured | "
    busy = any(results[name].others > NOISE for name in goal.contestants)
    return (
        f"{verdict.measured} | {'met' if verdict.met else '**not met**'}{' (machine busy)' if busy else ''}"
    )


def _row_table(row: Row, results: dict[str, Result]) -> str:
    lines = [f"### {row.title}", ""]
    lines += ["| contestant | wall s | CPU s | peak MiB | wall to Stillframe's | other load | runs |"]
    lines += ["|---|---:|---:|---:|---:|---:|---:|"]
    reference = results.get(row.contestants[0].name)
    for name, result in results.items():
        ratio = f"{result.wall_s / reference.wall_s:.2f}" if reference else "-"
        numbers = (f"{result.wall_s:.2f}", f"{result.cpu_s:.2f}", f"{result.peak_mib:.0f}", ratio)
        lines.append(f"| {name} | {' | '.join(numbers)} | {result.others:.0%} | {len(result.runs)} |")
    return "\n".join(lines)


def _conditions(setup: Setup, rounds: int) -> str:
    lines = [
        f"Measured on {time.strftime('%Y-%m-%d')}: {machine()}; load average {os.getloadavg()[0]:.1f} at the end.",
        f"Medians of {rounds} runs (or as many as the column says), the contestants in turns; peak memory is the",
        "largest process's in the worst run. Every run is a new process; the videos are in the page cache.",
        "Other load: the share of all cores that other work on the machine had meanwhile.",
        f"{setup.threads} threads; where a process is started for each shot, {setup.threads} at a time.",
        "Versions: " + ", ".join(_versions(setup)) + ".",
    ]
    peers = ("ffmpeg", "ffmpegthumbnailer", setup.vcsi)
    if missing := [tool for tool in peers if shutil.which(tool) is None]:
        lines.append(f"Left out, because not installed: {', '.join(missing)}.")
    return "\n".join(lines)


def machine() -> str:
    """The machine in words."""
    return f"{os.cpu_count()} cores of {_processor()}, {_memory_gib():.0f} GiB"


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3


def _versions(setup: Setup) -> list[str]:
    found = [f"Python {platform.python_version()}"]
    for package in ("stillframe", "av"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} (not a package of this Python)")
    for tool, option in (("ffmpeg", "-version"), ("ffmpegthumbnailer", "-v"), (setup.vcsi, "--version")):
        if shutil.which(tool):
            said = subprocess.run([tool, option], capture_output=True, text=True, check=False).stdout
            number = re.search(r"\d+\.\d\S*", said)
            found.append(f"{Path(tool).name} {number.group() if number else '(version unknown)'}")
    return found
