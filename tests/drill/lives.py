"""Lives of servers: each is forked out of one process that has loaded all they need, most of a start's work.

life = begin(["", "mark", "serve", "--port", "0"], out, log, environment)
life.send_signal(signal.SIGTERM)
life.wait(60)
"""

from __future__ import annotations

import atexit
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

LAUNCHER = Path(__file__).with_name("launcher.py")


class Life:
    """One process, as subprocess.Popen shows one: `returncode` is None until its end was seen."""

    def __init__(self, told: socket.socket) -> None:
        self._told = told.makefile("rb", buffering=0)
        self.pid = int(self._told.readline())
        # by which nobody else is meant, however long it is dead
        self._handle: int | None = None
        with suppress(ProcessLookupError):
            self._handle = os.pidfd_open(self.pid)
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code, negative for a signal, once it has ended."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The same, when it has ended. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._told], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("the server", timeout or 0)
            self.returncode = int(self._told.readline())
            self._told.close()
            if self._handle is not None:
                os.close(self._handle)
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """To nobody when it has ended."""
        if self.poll() is None and self._handle is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


def begin(
    arguments: Sequence[str], out: Path, log: Path, environment: Mapping[str, str], clock_s: int = 0
) -> Life:
    """A server with these arguments of the launcher; what it prints goes to `out`, what it logs is added to `log`.

    Its clock is `clock_s` ahead of the machine's, which needs Debian's faketime (`can_fake_time`).
    """
    call = {
        "arguments": list(arguments),
        "files": [os.devnull, str(out), str(log)],
        "environment": {**environment, **_clock(clock_s)},
    }
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(_ready(clock_s)))
        connection.sendall(json.dumps(call).encode() + b"\n")
        return Life(connection)


def can_fake_time() -> bool:
    """Whether a life's clock can be another one than the machine's."""
    return shutil.which("faketime") is not None


@cache
def _clock(ahead_s: int) -> Mapping[str, str]:
    """What has the clock of a program ahead: of its time alone, not of its pauses and of files."""
    if ahead_s == 0:
        return {}
    command = ["faketime", "-m", "-f", f"{ahead_s:+}s", "printenv", "LD_PRELOAD"]
    library = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    return {
        "LD_PRELOAD": library,
        "FAKETIME": f"{ahead_s:+}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }


@cache
def _ready(clock_s: int) -> Path:
    """The socket of the process that forks, started with the first server of all that has this clock."""
    folder = tempfile.TemporaryDirectory(prefix="sf-", dir="/tmp")
    path = Path(folder.name, "lives")
    process = subprocess.Popen(
        [sys.executable, str(LAUNCHER), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **_clock(clock_s)},
    )

    def end() -> None:
        stdin.close()
        stdout.close()
        process.wait(60)
        folder.cleanup()

    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None
    assert stdout is not None
    assert stdout.readline() == b"listening\n"
    atexit.register(end)
    return path
