"""What an earlier server has left behind in PGDATA. Standard library only: the supervisor imports it.

Everything here is called under the data folder's lock: a PostgreSQL that works there then belongs to nobody.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

#: how long each kind of shutdown may take before the next harder one
_FAST_SECONDS, _IMMEDIATE_SECONDS = 10.0, 6.0


def end_leftover(pgdata: Path, socket_folder: Path) -> bool:
    """End every PostgreSQL process that works in `pgdata`, gently first; whether there was one.

    Then files that would keep the next one from starting are removed: a postmaster.pid whose number has come to
    belong to a stranger's process (after a restart of the machine or the container) or to a dead one that
    nobody has taken in, and the socket with its lock file, which holds the same number.
    """
    found = False
    for sign, seconds in (
        (signal.SIGINT, _FAST_SECONDS),
        (signal.SIGQUIT, _IMMEDIATE_SECONDS),
        (signal.SIGKILL, 60.0),
    ):
        pids = processes_in(pgdata)
        if not pids:
            break
        found = True
        # a server process takes SIGINT as "cancel the query": only the postmaster is asked to shut down
        first = [pid for pid in pids if _parent(pid) not in pids]
        _signal(first if sign == signal.SIGINT else pids, sign)
        deadline = time.monotonic() + seconds
        while processes_in(pgdata) and time.monotonic() < deadline:
            time.sleep(0.01)
    _remove_stale_pid_file(pgdata)
    if not processes_in(pgdata):
        for path in socket_folder.glob(".s.PGSQL.*"):
            path.unlink(missing_ok=True)
    return found


def processes_in(pgdata: Path) -> set[int]:
    """The process ids of the postmaster of `pgdata` and of its server processes."""
    if sys.platform == "linux":
        return _processes_by_proc(pgdata)
    pid = _recorded_pid(pgdata)
    return {pid} if pid is not None and _is_postgres_by_ps(pid, pgdata) else set()


def is_running(pid: int) -> bool:
    """Whether a process lives; one that has died and was not taken in by its parent does not."""
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return is_there(pid)


def is_there(pid: int) -> bool:
    """Whether there is such a process id, which is all that PostgreSQL asks."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _processes_by_proc(pgdata: Path) -> set[int]:
    try:
        here = pgdata.stat()
    except OSError:
        return set()
    found = set()
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        # a process that has gone or is not ours to look at is none of ours
        with contextlib.suppress(OSError):
            at = Path(entry.path, "cwd").stat()
            if (at.st_dev, at.st_ino) != (here.st_dev, here.st_ino):
                continue
            if Path(entry.path, "comm").read_text().strip() == "postgres":
                found.add(int(entry.name))
    return found


def _is_postgres_by_ps(pid: int, pgdata: Path) -> bool:
    shown = subprocess.run(
        ["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return "postgres" in shown.stdout and str(pgdata) in shown.stdout


def _parent(pid: int) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def _signal(pids: set[int] | list[int], sign: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sign)


def _recorded_pid(pgdata: Path) -> int | None:
    try:
        return abs(int((pgdata / "postmaster.pid").read_text().split("\n", 1)[0]))
    except (OSError, ValueError):
        return None


def _remove_stale_pid_file(pgdata: Path) -> None:
    """Only where its process lives and is not PostgreSQL; a dead one's is for PostgreSQL, which checks more."""
    path = pgdata / "postmaster.pid"
    pid = _recorded_pid(pgdata)
    if pid is None:
        # cut off by a full disk or a power failure: PostgreSQL calls it bogus and gives up
        path.unlink(missing_ok=True)
        return
    if pid not in processes_in(pgdata) and is_there(pid):
        path.unlink(missing_ok=True)
