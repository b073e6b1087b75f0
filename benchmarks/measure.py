"""Run one contestant and say what it took: wall time, CPU time, peak memory, and how busy the machine was besides.

This module and all that `run.py` imports stay clear of av and numpy. Linux counts the memory of the process that
starts a program into the program's own peak, so the benchmark itself has to stay smaller than what it measures.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

from outputs import Expectation

MACHINE_STAT = Path("/proc/stat")


@dataclass(frozen=True, slots=True)
class Contestant:
    """One way to do the work of a row."""

    name: str
    commands: Callable[[Path], list[list[str]]]  # made for the folder that the outputs go to
    expects: tuple[Expectation, ...] = ()
    at_once: int = 1  # how many of the commands run side by side
    most_runs: int = 99  # fewer rounds than the others, for the slow ones


@dataclass(frozen=True, slots=True)
class Usage:
    """What one run took. `peak_mib` is the largest process's; `others` the share of all cores that other work had."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    others: float


class ContestantFailed(Exception):
    """A command ended with an error, or the outputs are not what was asked for."""


def run(contestant: Contestant, folder: Path) -> Usage:
    """Run all commands of `contestant`, check its outputs in `folder`, and return what it took.

    What the commands print goes to `folder`/N.stdout and `folder`/N.stderr. Raises ContestantFailed.
    """
    commands = contestant.commands(folder)
    busy_before, began = machine_busy_s(), time.perf_counter()
    with ThreadPoolExecutor(contestant.at_once) as pool:
        shares = list(pool.map(_run_command, range(len(commands)), commands, repeat(folder)))
    wall_s = time.perf_counter() - began
    cpu_s = sum(share_cpu_s for share_cpu_s, _ in shares)
    others_s = max(0.0, machine_busy_s() - busy_before - cpu_s)
    for expectation in contestant.expects:
        if complaint := expectation.complaint(folder):
            raise ContestantFailed(f"{contestant.name}: {complaint}")
    return Usage(
        wall_s=wall_s,
        cpu_s=cpu_s,
        peak_mib=max(share_peak_mib for _, share_peak_mib in shares),
        others=others_s / (wall_s * (os.cpu_count() or 1)),
    )


def _run_command(number: int, command: list[str], folder: Path) -> tuple[float, float]:
    """CPU seconds and peak MiB of one command, processes that it started and waited for included."""
    out, err = folder / f"{number}.stdout", folder / f"{number}.stderr"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, env=_environment()
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # it was waited for behind Popen's back
    if process.returncode != 0:
        last_words = err.read_text(errors="replace").strip().splitlines()[-3:]
        raise ContestantFailed(f"{' '.join(command)}: exit code {process.returncode}: {' '.join(last_words)}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def _environment() -> dict[str, str]:
    """The environment, without what keeps Python from using its compiled files, as every user has them."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def machine_busy_s() -> float:
    """CPU seconds that all processes of the machine have used since it started; 0 where Linux's counters lack."""
    if not MACHINE_STAT.exists():
        return 0.0
    user, nice, system, _idle, _iowait, irq, softirq, *_ = map(int, MACHINE_STAT.read_text().split()[1:9])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
