"""A PostgreSQL of its own, out of the wheel, on a port of loopback: one that the service does not look after.

postgres = ExternalPostgres(folder)
postgres.start()
postgres.kill(signal.SIGQUIT)
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg

from drill.server import demand, free_port
from stillframe.database.cluster import (
    SUPERUSER,
    ClusterFolder,
    find_programs,
    finish_initdb,
    give_to,
    initdb_command,
)
from stillframe.database.identity import choose_identity

_NAME = "stillframe"
#: becomes the user that PostgreSQL may run as, then the program; dies with whoever has started it
_AS_USER = """
import os, sys
from stillframe.database.identity import choose_identity
choose_identity().become()
os.execv(sys.argv[1], sys.argv[1:])
"""
#: as an operator would have it, but for the memory
_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "32MB",
    "huge_pages": "off",
    "max_connections": "200",
    "log_min_messages": "warning",
}


class ExternalPostgres:
    """Its files lie in a folder, which is new."""

    def __init__(self, folder: Path) -> None:
        self._files = ClusterFolder(folder)
        self._held = free_port()
        self._port: int = self._held.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """As an operator writes it."""
        return f"postgresql://{_NAME}@127.0.0.1:{self._port}/{_NAME}"

    def start(self) -> None:
        """Start it, and wait until it answers. From a thread that lives as long as it shall."""
        programs = find_programs(self._files.pgdata)
        if not self._files.pgdata.exists():
            self._make(programs)
        options = {**_OPTIONS, "port": str(self._port)}
        told = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        command = [str(programs / "postgres"), "-D", str(self._files.pgdata), *told]

        def answers() -> bool:
            if self._process is None or self._process.poll() is not None:
                # server processes of one that was killed keep the next one away until they have seen it
                self._process = self._begin(command)
            try:
                self._connect(SUPERUSER, SUPERUSER).close()
            except psycopg.OperationalError:
                return False
            return True

        demand(answers, f"PostgreSQL answers; see {self._files.log}")
        with self._connect(SUPERUSER, SUPERUSER) as connection:
            if not connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [_NAME]).rowcount:
                connection.execute(f"CREATE ROLE {_NAME} LOGIN")
                connection.execute(f"CREATE DATABASE {_NAME} OWNER {_NAME}")

    def kill(self, number: signal.Signals) -> None:
        """End it without order: SIGKILL, or SIGQUIT, which is its immediate shutdown."""
        assert self._process is not None
        assert self._process.poll() is None, "PostgreSQL has ended by itself"
        self._process.send_signal(number)
        self._process.wait()

    def close(self) -> None:
        """End it where it still lives, and give the port back."""
        if self._process is not None and self._process.poll() is None:
            self.kill(signal.SIGQUIT)
        self._held.close()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query gives, asked as the service's role."""
        with self._connect(_NAME, _NAME) as connection:
            return connection.execute(query).fetchall()

    def _connect(self, role: str, database: str) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(
            host="127.0.0.1", port=self._port, user=role, dbname=database, autocommit=True, connect_timeout=5
        )

    def _make(self, programs: Path) -> None:
        self._files.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        identity = choose_identity()
        give_to(self._files.root, identity.uid, identity.gid)
        making = self._begin([*initdb_command(programs, self._files), "--no-sync"])
        assert making.wait(60) == 0, self._files.log.read_text()
        finish_initdb(self._files)

    def _begin(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self._files.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-c", _AS_USER, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._files.root,
                env={**os.environ, "LC_ALL": "C", "TZ": "UTC", "PYTHONPATH": os.pathsep.join(sys.path)},
                start_new_session=True,
            )
