"""PostgreSQL as an operator has it: on a port of loopback, looked after by nobody, and with a standby if need be.

postgres = OwnPostgres(folder)
postgres.start()
postgres.crash()                    # its immediate shutdown, and it stays away
standby = postgres.standby(other)   # started; follows it
standby.promote()
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg

from stillframe.database.cluster import (
    SUPERUSER,
    ClusterFolder,
    find_programs,
    finish_initdb,
    give_to,
    initdb_command,
)
from stillframe.database.identity import choose_identity
from stillframe.database.leftover import processes_in

NAME = "stillframe"
DEADLINE_S = 60
#: becomes the user that PostgreSQL may run as, then the program; dies with whoever has started it
_AS_USER = """
import os, sys
from stillframe.database.identity import choose_identity
choose_identity().become()
os.execv(sys.argv[1], sys.argv[1:])
"""
_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "32MB",
    "huge_pages": "off",
    "max_connections": "200",
    "wal_level": "replica",
    # what is lost with the power is only the test's
    "fsync": "off",
    "log_min_messages": "warning",
}


class OwnPostgres:
    """Its files lie in a folder, which is new. `options` go before those that it has by itself."""

    def __init__(self, folder: Path, **options: str) -> None:
        self._files = ClusterFolder(folder)
        self._programs = find_programs(self._files.pgdata)
        self._options = {**_OPTIONS, **options}
        # held as long as this lives: nobody else is given it
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind(("127.0.0.1", 0))
        self.port: int = self._held.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self._files.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        identity = choose_identity()
        give_to(self._files.root, identity.uid, identity.gid)

    @property
    def url(self) -> str:
        """As an operator writes it."""
        return f"postgresql://{NAME}@127.0.0.1:{self.port}/{NAME}"

    def start(self) -> None:
        """Start it, and wait until it answers. From a thread that lives as long as it shall."""
        is_new = not self._files.pgdata.exists()
        if is_new:
            self._run([*initdb_command(self._programs, self._files), "--no-sync"])
            finish_initdb(self._files)
        options = {**self._options, "port": str(self.port)}
        told = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        command = [str(self._programs / "postgres"), "-D", str(self._files.pgdata), *told]
        deadline = time.monotonic() + DEADLINE_S
        while not self._answers():
            assert time.monotonic() < deadline, self._files.log.read_text()
            if self._process is None or self._process.poll() is not None:
                # processes of one that was killed keep the next one away until they have seen it
                self._process = self._begin(command)
            time.sleep(0.02)
        if is_new:
            self.sql(f"CREATE ROLE {NAME} LOGIN", SUPERUSER)
            self.sql(f"CREATE DATABASE {NAME} OWNER {NAME}", SUPERUSER)

    def crash(self, number: signal.Signals = signal.SIGQUIT) -> None:
        """End it at once, without order: by its immediate shutdown, or by SIGKILL."""
        assert self._process is not None
        assert self._process.poll() is None, "PostgreSQL has ended by itself"
        self._process.send_signal(number)
        self._process.wait(DEADLINE_S)

    def freeze(self) -> None:
        """None of its processes does anything any more, and all their connections stay."""
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        """They go on."""
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        """End it where it still lives, and give the port back."""
        if self._process is not None and self._process.poll() is None:
            self.crash()
        self._held.close()

    def standby(self, folder: Path) -> OwnPostgres:
        """Another one, which has all that this one has, and follows it."""
        other = OwnPostgres(folder)
        source = f"host=127.0.0.1 port={self.port} user={SUPERUSER}"
        files = str(other._files.unfinished)
        copy = ["pg_basebackup", "--pgdata", files, "--dbname", source, "--write-recovery-conf", "--no-sync"]
        other._run([str(self._programs / copy[0]), *copy[1:], "--checkpoint", "fast"])
        finish_initdb(other._files)
        other.start()
        return other

    def promote(self) -> None:
        """It takes what is written from now on."""
        assert self.sql("SELECT pg_promote(true, 60)", SUPERUSER) == [(True,)]

    def sql(self, statement: str, role: str = NAME) -> list[tuple[Any, ...]]:
        """Run a statement; superusers are in a database of their own."""
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user=role, dbname=role, autocommit=True, connect_timeout=5
        ) as connection:
            found = connection.execute(statement)
            return found.fetchall() if found.description else []

    def _answers(self) -> bool:
        try:
            return self.sql("SELECT 1", SUPERUSER) == [(1,)]
        except psycopg.OperationalError:
            return False

    def _signal(self, number: signal.Signals) -> None:
        for pid in processes_in(self._files.pgdata):
            os.kill(pid, number)

    def _run(self, command: list[str]) -> None:
        assert self._begin(command).wait(DEADLINE_S) == 0, self._files.log.read_text()

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
