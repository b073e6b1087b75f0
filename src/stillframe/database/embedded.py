"""A private PostgreSQL in the data folder, looked after for as long as the server lives.

    with EmbeddedPostgres(data_dir) as postgres:
        engine = create_engine(postgres.url)

One supervisor process stands between the server and PostgreSQL (`supervisor.py`); whichever of the three is
killed, the data stays whole: the server starts the other two anew, and without the server both end.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import structlog
from psycopg import sql
from sqlalchemy import URL

from stillframe.database.cluster import SUPERUSER
from stillframe.database.data_folder import DataFolder, disk_full
from stillframe.database.supervisor import Task
from stillframe.errors import DatabaseError, DataFolderInUse

#: the service's role, which owns its database and has no privilege beside that
ROLE = DATABASE = "stillframe"

#: for the connections of one machine: small, quiet when idle, and safe (fsync and synchronous_commit are
#: on by default and stay so). Errors of single statements are the client's to log: their text can hold secrets.
OPTIONS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "huge_pages": "off",
    # in the data folder: /dev/shm is tiny in containers, and what is left there after a kill stays for ever
    "dynamic_shared_memory_type": "mmap",
    "io_method": "sync",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "max_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    "bgwriter_delay": "10s",
    "bgwriter_lru_maxpages": "0",
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
}

_CONNECT_SECONDS = 5
_BORROW_SECONDS = 30.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS, _STEADY_SECONDS = 0.1, 10.0, 60.0

log = structlog.get_logger(__name__)


class EmbeddedPostgres:
    """The private PostgreSQL of a data folder: made at the first start, and started anew when it dies.

    `on_restart` is called, in a thread of its own, each time it is ready again; `options` go before OPTIONS.
    Raises DataFolderInUse when another server works in the folder, DatabaseError when it cannot be started.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        on_restart: Callable[[], None] | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = DataFolder(data_dir)
        self._on_restart = on_restart
        self._options = {**OPTIONS, **(options or {})}
        self._run: _Run | None = None
        self._socket_folder: Path | None = None
        self._stopping = threading.Event()
        self._keeper: threading.Thread | None = None

    def __enter__(self) -> EmbeddedPostgres:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, patience_seconds: float = 1.0) -> None:
        """Start it and wait until it answers: recovery after a crash takes as long as it takes.

        `patience_seconds` is how long another server in the folder may take to die.
        """
        self.folder.lock(patience_seconds)
        try:
            self._socket_folder = self.folder.choose_socket_folder()
            self._run = self._start_run()
        except BaseException:
            self._end()
            raise
        self._keeper = threading.Thread(target=self._keep, name="database keeper", daemon=True)
        self._keeper.start()

    def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, what was committed is on disk. May be called twice."""
        self._stopping.set()
        if self._run is not None:
            self._run.ask_to_stop()
        if self._keeper is not None:
            self._keeper.join()
            self._keeper = None
        self._end()

    @property
    def url(self) -> URL:
        """For SQLAlchemy: the service's database, as its role. The same after every restart."""
        return socket_url(self.socket_folder)

    @property
    def superuser_url(self) -> URL:
        """For SQLAlchemy: the cluster itself."""
        return socket_url(self.socket_folder, role=SUPERUSER, database=SUPERUSER)

    @property
    def socket_folder(self) -> Path:
        """Where the socket lies; only the user whom PostgreSQL runs as, and root, may enter it."""
        if self._socket_folder is None:
            raise DatabaseError("the private database has not been started")
        return self._socket_folder

    @property
    def pid(self) -> int:
        """The postmaster's process id, for those who look after processes; another one after a restart."""
        return self._current.postgres_pid

    @property
    def supervisor_pid(self) -> int:
        """The supervisor's process id; another one after a restart."""
        return self._current.supervisor_pid

    @property
    def runs_as(self) -> str:
        """In words, whom PostgreSQL runs as: for `doctor`."""
        return self._current.runs_as

    @property
    def _current(self) -> _Run:
        if self._run is None:
            raise DatabaseError("the private database is not running")
        return self._run

    def _start_run(self) -> _Run:
        task = Task(
            server_pid=os.getpid(),
            lock_descriptor=self.folder.lock_descriptor,
            data_folder=str(self.folder.path),
            data_folder_is_new=self.folder.is_new,
            folder=str(self.folder.database),
            socket_folder=str(self.socket_folder),
            options=self._options,
        )
        # a cleaner of temporary folders may have taken it
        self.socket_folder.mkdir(mode=0o700, exist_ok=True)
        run = _Run(task, self.folder.path)
        try:
            run.wait_until_started()
            self._wait_until_ready(run)
        except BaseException:
            run.ask_to_stop()
            run.wait()
            raise
        return run

    def _wait_until_ready(self, run: _Run) -> None:
        """Ask until it answers; no time limit as long as its process lives."""
        began = said = time.monotonic()
        while True:
            try:
                _make_role_and_database(self.socket_folder)
                return
            except psycopg.OperationalError as error:
                if run.has_ended():
                    run.raise_failure()
                if self._stopping.is_set():
                    raise DatabaseError("the private database was stopped while it was starting") from error
                now = time.monotonic()
                if now - said > 10:
                    said = now
                    log.info(
                        "the database is recovering", waited_seconds=round(now - began), reason=str(error)
                    )
                time.sleep(min(0.005 + (now - began) / 10, 0.2))

    def _keep(self) -> None:
        """Start PostgreSQL anew whenever it ends, until it is meant to."""
        pause_seconds = _FIRST_PAUSE_SECONDS
        while self._run is not None:
            began = time.monotonic()
            self._run.wait()
            if self._stopping.is_set():
                return
            log.error("the database has ended", reason=self._run.last_words or "its supervisor was killed")
            if time.monotonic() - began > _STEADY_SECONDS:
                pause_seconds = _FIRST_PAUSE_SECONDS
            while not self._stopping.wait(pause_seconds):
                pause_seconds = min(pause_seconds * 2, _LONGEST_PAUSE_SECONDS)
                try:
                    self._run = self._start_run()
                except (DatabaseError, psycopg.Error, OSError) as error:
                    log.error("the database cannot be started", reason=str(error), next_seconds=pause_seconds)
                    continue
                if self._stopping.is_set():
                    self._run.ask_to_stop()
                    break
                log.warning("the database was started anew", pid=self._run.postgres_pid)
                if self._on_restart is not None:
                    threading.Thread(target=self._on_restart, name="after a database restart").start()
                break
            else:
                return

    def _end(self) -> None:
        if self._run is not None:
            self._run.wait()
            self._run = None
        if self._socket_folder is not None:
            self.folder.forget_socket_folder()
            self._socket_folder = None
        self.folder.unlock()


def socket_url(socket_folder: Path, role: str = ROLE, database: str = DATABASE) -> URL:
    """The address of a database behind a socket, for SQLAlchemy."""
    return URL.create(
        "postgresql+psycopg", username=role, database=database, query={"host": str(socket_folder)}
    )


@contextlib.contextmanager
def borrow_or_start(data_dir: Path) -> Iterator[URL]:
    """The data folder's database: the running server's, or one that is started for as long as it is needed.

    A server that is only starting is waited for. Raises DatabaseError when it can be neither reached nor started.
    """
    deadline = time.monotonic() + _BORROW_SECONDS
    postgres = EmbeddedPostgres(data_dir)
    borrowed = None
    while borrowed is None:
        try:
            postgres.start(patience_seconds=0)
            break
        except DataFolderInUse as in_use:
            # it may be starting, or dying: then the next try starts one
            borrowed = _answering(postgres.folder.socket_folder())
            if borrowed is None and time.monotonic() > deadline:
                raise DatabaseError(f"{in_use}; its database does not answer") from in_use
            time.sleep(0 if borrowed else 0.1)
    try:
        yield borrowed or postgres.url
    finally:
        postgres.stop()


def _answering(socket_folder: Path) -> URL | None:
    try:
        _connect(socket_folder, ROLE, DATABASE).close()
    except psycopg.OperationalError:
        return None
    return socket_url(socket_folder)


class _Run:
    """A supervisor process and what it has told."""

    def __init__(self, task: Task, data_folder: Path) -> None:
        self._data_folder = data_folder
        self._failure: str | None = None
        self.last_words = ""
        self.postgres_pid = 0
        self.runs_as = ""
        # no site-packages of its own: only what is on our path, and nothing that a working folder could slip in
        path = [str(Path(__file__).parents[2]), *filter(os.path.isabs, sys.path)]
        program = (
            f"import sys; sys.path[:] = {path!r}; from stillframe.database.supervisor import main; main()"
        )
        # its own session: Ctrl-C at the terminal is for the server alone
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"LC_ALL": "C.UTF-8"},
            pass_fds=(task.lock_descriptor,),
            start_new_session=True,
        )
        self._lock = threading.Lock()
        self._write(task.to_json())

    @property
    def supervisor_pid(self) -> int:
        """The supervisor's process id."""
        return self._process.pid

    def wait_until_started(self) -> None:
        """Until PostgreSQL's process exists. Raises DatabaseError when it cannot be started."""
        for event in self._events():
            if event["event"] == "started":
                self.postgres_pid, self.runs_as = event["pid"], event["runs_as"]
                return
        self.raise_failure()

    def has_ended(self) -> bool:
        """Whether the supervisor, and PostgreSQL with it, is gone."""
        return self._process.poll() is not None

    def wait(self) -> None:
        """Until both have ended, however long that takes."""
        for _ in self._events():
            pass
        self._process.wait()
        with self._lock:
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None and not stream.closed:
                    with contextlib.suppress(OSError):
                        stream.close()

    def ask_to_stop(self) -> None:
        """Ask for a fast shutdown; returns at once."""
        self._write(b"stop\n")

    def raise_failure(self) -> None:
        """Raise what the supervisor has told, as a DatabaseError."""
        self.wait()
        message = self._failure or self.last_words or "the supervisor ended without a word"
        if "No space left on device" in message:
            raise disk_full(self._data_folder)
        raise DatabaseError(f"{self._data_folder}: the private database does not start: {message}")

    def _write(self, word: bytes) -> None:
        with self._lock, contextlib.suppress(OSError, ValueError):
            assert self._process.stdin is not None
            self._process.stdin.write(word)
            self._process.stdin.flush()

    def _events(self) -> Iterator[dict[str, Any]]:
        assert self._process.stdout is not None
        if self._process.stdout.closed:
            return
        for line in self._process.stdout:
            event = json.loads(line)
            if event["event"] == "failed":
                self._failure = event["message"]
            elif event["event"] == "ended":
                self.last_words = event["message"]
            elif event["event"] == "leftover":
                log.warning("a database that was left behind has been stopped", folder=str(self._data_folder))
            elif event["event"] == "initdb":
                log.info("making the database", folder=str(self._data_folder))
            yield event


def _make_role_and_database(socket_folder: Path) -> None:
    """The service's role and database, when they are missing: after the first start, or one that was cut short."""
    with _connect(socket_folder, SUPERUSER, SUPERUSER) as connection:
        if not connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [ROLE]).rowcount:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(ROLE)))
        if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).rowcount:
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(ROLE))
            )


def _connect(socket_folder: Path, role: str, database: str) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(
        host=str(socket_folder),
        user=role,
        dbname=database,
        autocommit=True,
        connect_timeout=_CONNECT_SECONDS,
    )
