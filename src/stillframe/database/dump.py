"""All of a database in one file, and back: PostgreSQL's own pg_dump and pg_restore, in its custom format.

place = place_of(database.engine, is_private=False)
dump(place, Path("stillframe.dump"))
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import URL, Engine

from stillframe.database.cluster import NEW_CLUSTER_VERSION, find_programs
from stillframe.database.engine import psycopg_dsn
from stillframe.database.identity import end_with_parent
from stillframe.database.migrations import connected
from stillframe.errors import DatabaseError, os_reason

#: the first that knows `transaction_timeout`, which pg_restore sets
OLDEST_SERVER = 17
#: of the section of a service file that has what no variable can say
_SERVICE = "stillframe"
_INSTALL = (
    f"install the client programs of PostgreSQL {NEW_CLUSTER_VERSION} or newer, and not older than the server, "
    "which are taken then"
)
_ENDING = (signal.SIGINT, signal.SIGTERM)
_COPY = re.compile(r"COPY (?:\S+\.)?(?P<table>\w+) \((?P<columns>.*)\) FROM stdin;")


@dataclass(frozen=True, slots=True)
class Place:
    """A database, and what the programs must be like that reach it."""

    url: URL
    is_private: bool
    uses_tls: bool = False


def place_of(engine: Engine, *, is_private: bool) -> Place:
    """Where an engine leads. Raises DatabaseError, also for a server whose backups could not be restored there."""
    with connected(engine) as connection:
        driver = cast("psycopg.Connection[object]", connection.connection.driver_connection)
        demand_new_enough(driver.info.server_version)
        return Place(engine.url, is_private, uses_tls=bool(driver.pgconn.ssl_in_use))


def demand_new_enough(server_version: int) -> None:
    """Raises DatabaseError for PostgreSQL's number of a version (`server_version_num`) below what is taken."""
    major = server_version // 10_000
    if major < OLDEST_SERVER:
        raise DatabaseError(
            f"the database is PostgreSQL {major}, where a backup could not be restored: upgrade it to "
            f"{OLDEST_SERVER} or newer, or take backups with its own pg_dump and pg_restore"
        )


def dump(place: Place, file: Path) -> None:
    """Write the database, as it is at one moment, into a file (0600), while others work with it.

    A file of that name is replaced once all is written. Raises DatabaseError.
    """
    demand_no_folder(file)
    # a name of its own, so that of two backups at a time each writes a whole one
    unfinished = file.with_name(f"{file.name}.{secrets.token_hex(8)}.unfinished")
    try:
        # for its mode, which a program that writes into it leaves as it is
        os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
        command = ["--format=custom", "--no-owner", "--no-privileges", f"--file={unfinished}"]
        _run_at(place, "pg_dump", command)
        with unfinished.open("rb") as written:
            os.fsync(written.fileno())
        unfinished.replace(file)
    except OSError as error:
        raise DatabaseError(f"{error.filename or unfinished}: {os_reason(error)}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def demand_no_folder(file: Path) -> None:
    """Raises DatabaseError for a place where no file can be put."""
    if file.is_dir():
        raise DatabaseError(f"{file}: is a folder: name the file in it that is to be written")


def load(place: Place, file: Path) -> None:
    """Put what a file holds into a database without tables, all of it or nothing. Raises DatabaseError."""
    command = [
        "--single-transaction",
        "--exit-on-error",
        "--no-owner",
        "--no-privileges",
        str(file.resolve()),
    ]
    _run_at(place, "pg_restore", command)


def rows_in(file: Path, tables: Sequence[str], *, is_private: bool) -> dict[str, list[dict[str, str]]]:
    """What a backup holds of some tables, as PostgreSQL's COPY writes it; [] of a table that is not in it.

    No database is spoken to. Raises DatabaseError for what is no backup, or a damaged one.
    """
    if not file.is_file():
        raise DatabaseError(f"{file}: is not a file")
    wanted = [f"--table={table}" for table in tables]
    program = _program("pg_restore", is_private=is_private)
    told = _run([program, "--data-only", *wanted, "--file=-", str(file.resolve())], {})
    found: dict[str, list[dict[str, str]]] = {table: [] for table in tables}
    rows, columns = None, [""]
    for line in told.split("\n"):
        if rows is None:
            if begins := _COPY.fullmatch(line):
                rows, columns = found[begins["table"]], begins["columns"].split(", ")
        elif line == r"\.":
            rows = None
        else:
            rows.append(dict(zip(columns, line.split("\t"), strict=True)))
    return found


def _run_at(place: Place, name: str, arguments: list[str]) -> None:
    program = _program(name, is_private=place.is_private, needs_tls=place.uses_tls)
    address = {key: str(value) for key, value in conninfo_to_dict(psycopg_dsn(place.url)).items()}
    environment: dict[str, str] = {}
    # not among the arguments, which every user of the machine can see
    if password := address.pop("password", None):
        environment["PGPASSWORD"] = password
    if not (key_password := address.pop("sslpassword", None)):
        _run([program, f"--dbname={make_conninfo(**address)}", "--no-password", *arguments], environment)
        return
    if "service" in address:
        raise DatabaseError(
            "database_url names a service and an sslpassword: put that into the service's section"
        )
    with os.fdopen(os.memfd_create(_SERVICE), "w", encoding="utf-8") as section:
        section.write(f"[{_SERVICE}]\nsslpassword={key_password}\n")
        section.flush()
        address["service"] = _SERVICE
        environment["PGSERVICEFILE"] = f"/proc/{os.getpid()}/fd/{section.fileno()}"
        _run([program, f"--dbname={make_conninfo(**address)}", "--no-password", *arguments], environment)


def _program(name: str, *, is_private: bool, needs_tls: bool = False) -> str:
    """The machine's own program, unless it is older than ours: it could not read what ours have written.

    Raises DatabaseError where ours would speak in plain text to a server that speaks TLS with us.
    """
    ours = str(find_programs() / name)
    if not is_private and (installed := shutil.which(name)) and _version(installed) >= _version(ours):
        return installed
    if needs_tls:
        raise DatabaseError(f"the database is reached by TLS, which our own {name} does not know: {_INSTALL}")
    return ours


def _run(command: list[str], environment: dict[str, str]) -> str:
    """Run a program, which ends when this process does; what it has written. Raises DatabaseError."""
    parent = os.getpid()
    # one that is told to end while it starts the program would not know of it, and leave it behind
    held = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)

    def begin() -> None:
        end_with_parent(signal.SIGTERM, parent)
        signal.pthread_sigmask(signal.SIG_SETMASK, held)

    try:
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env={**os.environ, "LC_ALL": "C", **environment},
            preexec_fn=begin,
        ) as started:
            try:
                signal.pthread_sigmask(signal.SIG_SETMASK, held)
                told, complaints = started.communicate()
            except BaseException:
                started.kill()
                raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
    if started.returncode != 0:
        program = command[0]
        words = [line for line in complaints.splitlines() if line.strip()] or ["it said nothing"]
        said = words[0].removeprefix(f"{Path(program).name}: ")
        raise DatabaseError(f"{program}: {said}{_advice(complaints)}")
    return told


def _version(path: str) -> int:
    """The major version of one of PostgreSQL's programs; 0 when it tells none."""
    told = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"\(PostgreSQL\) (\d+)", told)
    return int(found[1]) if found else 0


def _advice(said: str) -> str:
    """The wheel's programs are of one version, and know no TLS."""
    signs = ("server version mismatch", "SSL support is not compiled in", "no encryption")
    return f": {_INSTALL}" if any(sign in said for sign in signs) else ""
