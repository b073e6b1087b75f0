"""One process of the product on a data folder, through all its lives: start it, freeze it, kill it.

worker = Member(folder, "worker-1", ["worker", "--data-dir", "data"], environment)
worker.start(point)     # it kills itself there (`launcher.POINTS`)
worker.wait_until_dead()
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from drill.lives import Life, begin

DEADLINE_S = 60.0
_LAST_LINES = 40


@dataclass(frozen=True)
class Process:
    """A process that nobody else becomes: its number and when it was started."""

    pid: int
    started: str

    @property
    def is_alive(self) -> bool:
        stat = _stat(self.pid)
        return stat is not None and stat[19] == self.started and stat[0] != "Z"


class Member:
    """A server or a worker. `name` tells its files from those of others in the folder.

    `clock_s` is how far its clock is ahead of the machine's (`lives.begin`).
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        says: str = "Stillframe works",
    ) -> None:
        self.name = name
        self.environment = dict(environment)
        self.clock_s = 0
        self.starts = 0
        #: every process that ever belonged to it
        self.seen: set[Process] = set()
        #: those of them that belonged to lives before this one
        self._earlier: set[Process] = set()
        self._folder = folder
        self._command = [*command]
        self._says = says
        self._process: Life | None = None

    def start(self, point: str = "", *, wait: bool = True) -> None:
        """Start it; it kills or freezes itself at `point` (`launcher.POINTS`)."""
        self.starts += 1
        self._earlier |= self.seen
        arguments = [point, str(self.mark), *self._command]
        self._process = begin(arguments, self.out(self.starts), self.log, self.environment, self.clock_s)
        if wait:
            self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Until it does what it is there for."""
        self._demand(lambda: self.has_ended or self.is_ready(), f"{self.name} is ready")
        assert not self.has_ended, self._said(f"{self.name} has ended before it was ready")

    @property
    def log(self) -> Path:
        return self._folder / f"log-{self.name}"

    @property
    def mark(self) -> Path:
        """What this life has left at its point: the output that it was at, if there was one."""
        return self._folder / f"point-{self.name}-{self.starts}"

    def out(self, start: int) -> Path:
        """What was printed in one life."""
        return self._folder / f"out-{self.name}-{start}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        assert self._process is not None
        return self._process.poll() is not None

    @property
    def is_frozen(self) -> bool:
        stat = _stat(self.pid)
        return stat is not None and stat[0] == "T"

    def is_ready(self) -> bool:
        """Whether it has said so."""
        out = self.out(self.starts)
        return out.exists() and self._says in out.read_text()

    def send_signal(self, number: signal.Signals) -> None:
        """To this life; to nobody when it has ended."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL to one that lives."""
        assert self._process is not None
        self.look()
        assert not self.has_ended, self._said(f"{self.name} had ended before it was killed")
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Kill it where it still lives."""
        if self._process is not None and not self.has_ended:
            self.kill()

    def terminate(self) -> int:
        """SIGTERM; its exit code."""
        self.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Until it has ended; its exit code."""
        assert self._process is not None
        return self._process.wait(DEADLINE_S)

    def wait_until_dead(self) -> None:
        """Until it has killed itself, and has ended in no other way."""

        def has_ended() -> bool:
            self.look()
            return self.has_ended

        self._demand(has_ended, f"{self.name} has killed itself")
        assert self._process is not None
        assert self._process.returncode == -signal.SIGKILL, self._said(f"{self.name} has ended by itself")

    def look(self) -> None:
        """Note all its processes."""
        self.seen |= {Process(pid, stat[19]) for pid in descendants(self.pid) if (stat := _stat(pid))}

    def left_alive(self) -> list[Process]:
        """Processes that were once its own, or one's of its own, and still live."""
        return [process for process in self.seen if process.is_alive]

    def left_behind(self) -> list[Process]:
        """The same, but for those of a life that goes on."""
        earlier = self.seen if self.has_ended else self._earlier
        return [process for process in earlier if process.is_alive]

    def _demand(self, condition: Callable[[], object], what: str) -> None:
        try:
            demand(condition, what)
        except AssertionError as error:
            raise AssertionError(self._said(str(error))) from None

    def _said(self, what: str) -> str:
        """With its exit code, and the last that it has logged."""
        assert self._process is not None
        lines = self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        return "\n".join([f"{what} (start {self.starts}, exit code {self._process.poll()}):", *lines])


def start_all(members: Sequence[Member], *points: str) -> None:
    """All at the same time, each with its own point where there is one: those are not waited for."""
    for member, point in zip_longest(members, points, fillvalue=""):
        assert isinstance(member, Member), "more points than members"
        member.start(point, wait=False)
    for member in members[len(points) :]:
        member.wait_until_ready()


def end_all(members: Sequence[Member]) -> None:
    """In order, all at the same time: what they have in work is done or given back, and nobody is left behind."""
    for member in members:
        member.look()
        member.send_signal(signal.SIGTERM)
    for member in members:
        code = member.wait()
        assert code == 0, f"{member.name} has ended with {code}; see {member.log}"
        demand(lambda member=member: not member.left_alive(), f"all have gone with {member.name}")


def demand(condition: Callable[[], object], what: str, seconds: float = DEADLINE_S) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds} s still not: {what}"
        time.sleep(0.02)


def descendants(pid: int) -> set[int]:
    """The children of a process that live, theirs, and so on."""
    return {child for child, _ in family(pid)}


def family(pid: int) -> list[tuple[int, int]]:
    """The same, each with its parent: the nearer ones first."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))) is not None and stat[0] != "Z":
            parents.setdefault(int(stat[1]), []).append(int(entry.name))
    found: list[tuple[int, int]] = []
    waiting = [pid]
    while waiting:
        parent = waiting.pop(0)
        children = parents.get(parent, [])
        found += [(child, parent) for child in children]
        waiting += children
    return found


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
