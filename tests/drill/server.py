"""A server in a process of its own on a data folder: start it, kill it, call it over signed HTTP."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drill.lives import Life, begin
from ims_signer import Acs3

DEADLINE_S = 60.0
_LAST_LINES = 40


class Refused(Exception):
    """The server's answer is an error: its status and what it said."""


@dataclass(frozen=True)
class Process:
    """A process that nobody else becomes: its number and when it was started."""

    pid: int
    started: str

    @property
    def is_alive(self) -> bool:
        stat = _stat(self.pid)
        return stat is not None and stat[19] == self.started and stat[0] != "Z"


class Server:
    """`stillframe serve` on a data folder and one port, through all its lives."""

    def __init__(self, folder: Path, *options: str, **settings: object) -> None:
        self.data_dir = folder / "data"
        self.bucket = self.data_dir / "buckets" / "local"
        # held as long as this lives: between two lives of the server nobody else is given it
        self._held = _free_port()
        self.port: int = self._held.getsockname()[1]
        self.starts = 0
        #: every process that ever belonged to it
        self.seen: set[Process] = set()
        self._folder = folder
        self._options = options
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("STILLFRAME_")},
            **{f"STILLFRAME_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self._process: Life | None = None
        self._signer: Acs3 | None = None

    def start(self, point: str = "", *, wait: bool = True) -> None:
        """Start it; it kills itself at `point` (`launcher.POINTS`)."""
        self.starts += 1
        mark = self._folder / f"died-{self.starts}"
        command = [point, str(mark), "serve", "--data-dir", str(self.data_dir), "--port", str(self.port)]
        out = self._folder / f"out-{self.starts}"
        self._process = begin([*command, *self._options], out, self.log, self.environment)
        if wait:
            self._demand(lambda: self.has_ended or self.is_ready(), "the server is ready")
            assert not self.has_ended, self._said("the server has ended before it was ready")

    @property
    def log(self) -> Path:
        return self._folder / "log"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        assert self._process is not None
        return self._process.poll() is not None

    def is_ready(self) -> bool:
        """Whether it takes jobs."""
        try:
            return self._request("GET", "/readyz", {}, b"")[0] == 200
        except OSError:
            return False

    def kill(self) -> None:
        """SIGKILL to one that lives."""
        assert self._process is not None
        self.look()
        assert not self.has_ended, self._said("the server had ended before it was killed")
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Kill it where it still lives, and give the port back."""
        if self._process is not None and not self.has_ended:
            self.kill()
        self._held.close()

    def terminate(self) -> int:
        """SIGTERM; its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
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

        self._demand(has_ended, "the server has killed itself")
        assert self._process is not None
        assert self._process.returncode == -signal.SIGKILL, self._said("the server has ended by itself")

    def look(self) -> None:
        """Note all its processes."""
        self.seen |= {Process(pid, stat[19]) for pid in descendants(self.pid) if (stat := _stat(pid))}

    def postmaster(self) -> int | None:
        """PostgreSQL's process id."""
        for file in self.data_dir.glob("database/*/postmaster.pid"):
            with contextlib.suppress(ValueError, IndexError, OSError):
                return int(file.read_text().splitlines()[0])
        return None

    def left_alive(self) -> list[Process]:
        """Processes that were once its own, or one's of its own, and still live."""
        return [process for process in self.seen if process.is_alive]

    def call(self, action: str, **parameters: Any) -> dict[str, Any]:
        """An action's answer. Raises OSError when nobody answers, and Refused."""
        pairs = [
            (key, json.dumps(value) if isinstance(value, Mapping) else str(value))
            for key, value in parameters.items()
        ]
        signed = self._key().sign("POST", f"127.0.0.1:{self.port}", action, pairs)
        status, text = self._request(signed.method, signed.target, signed.headers, signed.body)
        if status != 200:
            raise Refused(status, text)
        answer: dict[str, Any] = json.loads(text)
        return answer

    def insist(self, action: str, **parameters: Any) -> dict[str, Any]:
        """As `call`, again and again until somebody answers."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                return self.call(action, **parameters)
            except (OSError, http.client.HTTPException):
                if time.monotonic() > deadline:
                    raise
            except Refused as refused:
                if refused.args[0] < 500 or time.monotonic() > deadline:
                    raise
            time.sleep(0.05)

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

    def _key(self) -> Acs3:
        if self._signer is None:
            text = (self._folder / "out-1").read_text()
            found = re.search(r"AccessKeyId (\S+)\s+AccessKeySecret (\S+)", text)
            if found is None:
                raise ConnectionError("the first start has not told its key yet")
            self._signer = Acs3(*found.groups())
        return self._signer

    def _request(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            connection.request(method, target, body, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def demand(condition: Callable[[], object], what: str, seconds: float = DEADLINE_S) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds} s still not: {what}"
        time.sleep(0.02)


def descendants(pid: int) -> set[int]:
    """The children of a process, theirs, and so on."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))) is not None:
            parents.setdefault(int(stat[1]), []).append(int(entry.name))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found.update(children)
        waiting += children
    return found


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _free_port() -> socket.socket:
    """A socket on a port that only who names it is given, and who says so (SO_REUSEADDR), as the server does."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    return holder
