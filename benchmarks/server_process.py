"""A real `stillframe serve` to measure, in a data folder of its own, and what all its processes take (Linux only)."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU seconds since the start: of PostgreSQL's processes, and of all others (decoding children included)."""

    postgres_s: float
    ours_s: float

    def since(self, before: Cpu) -> Cpu:
        """What was used meanwhile."""
        return Cpu(self.postgres_s - before.postgres_s, self.ours_s - before.ours_s)

    @property
    def total_s(self) -> float:
        """Of all processes."""
        return self.postgres_s + self.ours_s


@dataclass(frozen=True, slots=True)
class Served:
    """A server that takes requests."""

    command: Sequence[str]
    data_dir: Path
    pid: int
    url: str
    key: tuple[str, str]

    @property
    def bucket(self) -> Path:
        """The folder of oss://local."""
        return self.data_dir / "buckets" / "local"

    def pipeline(self, word: str) -> None:
        """Pause or resume the default pipeline."""
        command = [*self.command, "pipeline", word, "--data-dir", str(self.data_dir)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def cpu(self) -> Cpu:
        """Of all processes, those that have ended included."""
        return cpu_of(self.pid)

    def pss_mib(self) -> dict[str, float]:
        """Memory by the kind of process: what several share is divided among them."""
        found: dict[str, float] = {}
        for process in _family(self.pid):
            with contextlib.suppress(OSError):
                kind = _kind(process, self.pid)
                shares = re.search(
                    r"^Pss: +(\d+) kB", process.joinpath("smaps_rollup").read_text(), re.MULTILINE
                )
                found[kind] = found.get(kind, 0.0) + (int(shares[1]) / 1024 if shares else 0.0)
        return found


def cpu_of(*pids: int) -> Cpu:
    """Of these processes and all that descend from them, those that have ended included."""
    postgres = ours = 0.0
    for process in {member for pid in pids for member in _family(pid)}:
        with contextlib.suppress(OSError):
            name, _, rest = process.joinpath("stat").read_text().rpartition(")")
            # user and system time of itself, and of children that it has waited for
            used = sum(int(field) for field in rest.split()[11:15]) / _TICKS
            if name.endswith("(postgres"):
                postgres += used
            else:
                ours += used
    return Cpu(postgres, ours)


def environment_with(**settings: str) -> dict[str, str]:
    """The environment with these settings of Stillframe, and no others."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STILLFRAME_")}
    return clean | {f"STILLFRAME_{name.upper()}": value for name, value in settings.items()}


@contextlib.contextmanager
def serving(command: Sequence[str], data_dir: Path, *options: str, **settings: str) -> Iterator[Served]:
    """A server on a free port with no other settings than these, stopped at the end."""
    log = data_dir.with_name("server.log")
    with log.open("w") as complaints:
        process = subprocess.Popen(
            [*command, "serve", "--port", "0", "--data-dir", str(data_dir), *options],
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            env=environment_with(**settings),
        )
    assert process.stdout is not None
    try:
        said = ""
        for line in process.stdout:
            said += line
            if line.startswith("bucket "):
                break
        url = re.search(r"API +(http://\S+)", said)
        key = re.search(r"AccessKeyId (\S+)\s+AccessKeySecret (\S+)", said)
        if url is None or key is None:
            raise RuntimeError(said + log.read_text())
        yield Served(command, data_dir, process.pid, url[1], (key[1], key[2]))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        process.stdout.close()


def _family(pid: int) -> list[Path]:
    """The process and all that descend from it."""
    parents: dict[int, int] = {}
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                stat = process.joinpath("stat").read_text().rpartition(")")[2]
                parents[int(process.name)] = int(stat.split()[1])
    found = [pid]
    for known in found:
        found += [child for child, parent in parents.items() if parent == known]
    return [Path("/proc") / str(member) for member in found]


def _kind(process: Path, server: int) -> str:
    arguments = process.joinpath("cmdline").read_text()
    if process.joinpath("comm").read_text().strip() == "postgres":
        return "PostgreSQL"
    if process.name == str(server):
        return "server"
    return "database supervisor" if "supervisor" in arguments else "fork server and children"
