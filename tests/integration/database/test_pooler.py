"""The doctor's look at what stands before the database: nothing, and PgBouncer (Debian's package) in its two modes."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL

from stillframe.server.doctor import sessions_finding

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
#: it refuses to run as root: there it is nobody in a namespace of its own, and still may read what is root's
AS_NOBODY = ["unshare", "--user", "--map-user=65534", "--map-group=65534"] if os.geteuid() == 0 else []
DEADLINE_S = 60


@contextmanager
def pooled(url: URL, folder: Path, mode: str) -> Iterator[URL]:
    """The database through a pooler."""
    assert PGBOUNCER is not None
    file = folder / "pgbouncer.ini"
    file.write_text(
        f"[databases]\n* = host={url.query['host']} user={url.username}\n"
        f"[pgbouncer]\nlisten_addr =\nunix_socket_dir = {folder}\nlisten_port = 6432\n"
        f"auth_type = any\npool_mode = {mode}\nlogfile = {folder}/pgbouncer.log\n"
    )
    process = subprocess.Popen([*AS_NOBODY, PGBOUNCER, "-q", str(file)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + DEADLINE_S
        while not (folder / ".s.PGSQL.6432").exists():
            assert process.poll() is None, (folder / "pgbouncer.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield url.set(port=6432, query={"host": str(folder)})
    finally:
        process.terminate()
        process.wait()


def test_nothing_between(database_url: URL) -> None:
    assert sessions_finding(database_url).state == "ok"


def can_run() -> bool:
    return PGBOUNCER is not None and not subprocess.run([*AS_NOBODY, "true"], check=False).returncode


@pytest.mark.skipif(not can_run(), reason="pgbouncer is not installed, or may not run here")
@pytest.mark.parametrize(("mode", "state"), [("transaction", "wrong"), ("session", "ok")])
def test_a_pooler(database_url: URL, mode: str, state: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    # a socket's path must be short
    with pooled(database_url, tmp_path_factory.mktemp("p"), mode) as url:
        found = sessions_finding(url)
    assert found.state == state
    if state == "wrong":
        assert "transaction pooler" in found.text
        assert "pool_mode = session" in found.remedy


def test_a_database_that_is_away(database_url: URL, tmp_path: Path) -> None:
    found = sessions_finding(database_url.set(query={"host": str(tmp_path)}))
    assert found.state == "wrong"
    assert "connection" in found.text
