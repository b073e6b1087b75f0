"""All of a database in one file, and back: PostgreSQL's own pg_dump and pg_restore, in its custom format."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import URL

from stillframe.database.cluster import NEW_CLUSTER_VERSION, find_programs
from stillframe.database.engine import psycopg_dsn
from stillframe.errors import DatabaseError, os_reason


def dump(url: URL, file: Path, *, is_private: bool) -> None:
    """Write the database, as it is at one moment, into a file (0600), while others work with it.

    A file of that name is replaced once all is written. Raises DatabaseError.
    """
    unfinished = file.with_name(f"{file.name}.unfinished")
    try:
        # for its mode, which a program that writes into it leaves as it is
        os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600))
        command = ["--format=custom", "--no-owner", "--no-privileges", f"--file={unfinished}"]
        _run("pg_dump", command, url, is_private=is_private)
        with unfinished.open("rb") as written:
            os.fsync(written.fileno())
        unfinished.replace(file)
    except OSError as error:
        raise DatabaseError(f"{error.filename or unfinished}: {os_reason(error)}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def load(url: URL, file: Path, *, is_private: bool) -> None:
    """Put what a file holds into a database without tables, all of it or nothing. Raises DatabaseError."""
    if not file.is_file():
        raise DatabaseError(f"{file}: is not a file")
    command = [
        "--single-transaction",
        "--exit-on-error",
        "--no-owner",
        "--no-privileges",
        str(file.resolve()),
    ]
    _run("pg_restore", command, url, is_private=is_private)


def _run(program: str, arguments: list[str], url: URL, *, is_private: bool) -> None:
    path = str(find_programs() / program)
    if not is_private and (installed := shutil.which(program)) and _version(installed) >= _version(path):
        # one that is older could not read what ours have written
        path = installed
    address = {name: str(value) for name, value in conninfo_to_dict(psycopg_dsn(url)).items()}
    # not among the arguments, which every user of the machine can see
    password = address.pop("password", None)
    environment = {**os.environ, "LC_ALL": "C"} | ({"PGPASSWORD": password} if password else {})
    done = subprocess.run(
        [path, f"--dbname={make_conninfo(**address)}", "--no-password", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env=environment,
        check=False,
    )
    if done.returncode != 0:
        words = [line for line in done.stderr.splitlines() if line.strip()] or ["it said nothing"]
        raise DatabaseError(f"{path}: {words[0].removeprefix(f'{program}: ')}{_advice(done.stderr)}")


def _version(path: str) -> int:
    """The major version of one of PostgreSQL's programs; 0 when it tells none."""
    told = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"\(PostgreSQL\) (\d+)", told)
    return int(found[1]) if found else 0


def _advice(said: str) -> str:
    """The wheel's programs are of one version, and know no TLS."""
    if "server version mismatch" in said or "SSL support is not compiled in" in said:
        return (
            f": install the client programs of PostgreSQL {NEW_CLUSTER_VERSION} or newer, and not older than the "
            "server, which are taken then"
        )
    return ""
