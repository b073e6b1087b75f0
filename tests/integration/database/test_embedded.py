"""The private PostgreSQL: as root and as nobody, in odd folders, beside a second server."""

from __future__ import annotations

import os
import stat
import sys
import threading
from pathlib import Path

import psycopg
import pytest
from database_server import Place, address, is_kept, is_quiet, state, until

from stillframe.database.embedded import EmbeddedPostgres, borrow_or_start
from stillframe.database.leftover import processes_in
from stillframe.errors import DatabaseError, DataFolderInUse

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")


def test_a_new_folder_of_any_name_is_kept_and_no_parent_is_touched(place: Place) -> None:
    closed = place.make(place.root / "two  spaces " / 'quote\' "and" 100% $HOME;' / "фильмы 影片" / "[x]\\y")
    before = state(closed)
    data_dir = closed / "-dash"

    server = place.serve(data_dir)
    assert server.told["event"] == "ready", server.told
    server.execute("CREATE TABLE kept AS SELECT 1 AS number")
    assert state(closed) == before
    for folder in (data_dir, data_dir / "database", Path(server.told["socket_folder"])):
        assert (stat.S_IMODE(folder.stat().st_mode), folder.stat().st_uid) == (0o700, place.user)
    server.stop()
    assert is_quiet(server)

    again = place.serve(data_dir)
    assert is_kept(again)
    assert state(closed) == before


def test_a_socket_whose_path_would_be_too_long_lies_in_a_private_folder(place: Place) -> None:
    data_dir = place.prepare("d" * (200 - len(str(place.root)) - 1))
    assert len(str(data_dir)) == 200

    server = place.serve(data_dir)
    folder = Path(server.told["socket_folder"])
    assert folder.parent == Path("/tmp")
    assert (stat.S_IMODE(folder.stat().st_mode), folder.stat().st_uid) == (0o700, place.user)
    assert (data_dir / "database" / "socket-folder").read_text() == str(folder)
    assert is_kept(server)

    server.kill("server_pid")
    again = place.serve(data_dir)
    assert is_kept(again)
    assert not folder.exists()
    again.stop()
    assert not Path(again.told["socket_folder"]).exists()


def test_a_comma_needs_such_a_folder_too_and_the_runtime_folder_is_preferred(
    own_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = own_place.make(own_place.root / "run")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    with EmbeddedPostgres(own_place.prepare("a,b")) as postgres:
        assert postgres.socket_folder.parent == runtime
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(own_place.root / ("r" * 90)))
    with EmbeddedPostgres(own_place.root / "a,b") as postgres:
        assert postgres.socket_folder.parent == Path("/tmp")


def test_it_listens_to_its_socket_alone_and_loses_nothing(own_place: Place) -> None:
    server = own_place.serve(own_place.prepare("data"))
    held = set()
    for entry in Path(f"/proc/{server.told['pid']}/fd").iterdir():
        held.add(str(entry.readlink()))
    for network in ("tcp", "tcp6", "udp", "udp6"):
        lines = Path(f"/proc/net/{network}").read_text().splitlines()[1:]
        assert not {f"socket:[{line.split()[9]}]" for line in lines} & held
    socket = server.data_dir / "database" / ".s.PGSQL.5432"
    assert stat.S_ISSOCK(socket.stat().st_mode)
    assert not stat.S_IMODE(socket.stat().st_mode) & 0o077
    for name in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
        assert server.execute(f"SHOW {name}") == [("on",)]


def test_neither_postgresql_nor_the_services_role_has_privileges(place: Place) -> None:
    server = place.serve(place.prepare("data"))
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{server.told['pid']}/status").read_text().splitlines()
    )
    assert int(status["CapEff"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Groups"].split() in ([], [str(place.user)])
    roles = "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user"
    assert server.execute(roles) == [(False, False, False)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        server.execute("COPY (SELECT 1) TO PROGRAM 'true'")


def test_a_second_server_is_refused_and_a_command_borrows_the_first(place: Place) -> None:
    server = place.serve(place.prepare("data"))
    told = place.serve(server.data_dir).told
    assert told["event"] == "refused"
    assert told["kind"] == "DataFolderInUse"
    assert told["message"] == (
        f"{server.data_dir} is in use by process {server.told['server_pid']}: stop that server, or choose another "
        "folder with --data-dir"
    )
    with (
        borrow_or_start(server.data_dir) as url,
        psycopg.connect(address(str(url.query["host"]))) as connection,
    ):
        assert connection.execute("SELECT number FROM kept").fetchall() == [(1,)]
    assert is_kept(server)


def test_a_command_starts_the_database_when_no_server_runs(own_place: Place) -> None:
    data_dir = own_place.prepare("data")
    with borrow_or_start(data_dir) as url:
        assert url.database == "stillframe"
        with pytest.raises(DataFolderInUse) as caught:
            EmbeddedPostgres(data_dir).start()
    assert caught.value.pid == os.getpid()
    assert not processes_in(data_dir / "database" / "pgdata")


def test_a_command_waits_for_a_server_that_is_only_starting(own_place: Place) -> None:
    postgres = EmbeddedPostgres(own_place.root / "data")
    thread = threading.Thread(target=postgres.start)
    thread.start()
    unfinished = own_place.root / "data" / "database" / "pgdata.unfinished"
    until(unfinished.exists, "initdb had begun")
    with (
        borrow_or_start(own_place.root / "data") as url,
        psycopg.connect(address(str(url.query["host"]))) as connection,
    ):
        assert connection.execute("SELECT current_user").fetchone() == ("stillframe",)
    thread.join()
    postgres.stop()


def test_a_client_in_a_transaction_does_not_keep_it_from_stopping(own_place: Place) -> None:
    server = own_place.serve(own_place.prepare("data"))
    connection = psycopg.connect(address(server.told["socket_folder"]))
    connection.execute("INSERT INTO kept VALUES (2)")
    server.stop()
    connection.close()
    assert log_of(server.data_dir).read_text().rstrip().endswith("database system is shut down")
    with (
        borrow_or_start(server.data_dir) as url,
        psycopg.connect(address(str(url.query["host"]))) as connection,
    ):
        assert connection.execute("SELECT number FROM kept").fetchall() == [(1,)]


def test_its_log_does_not_grow_without_end_and_has_no_statements(own_place: Place) -> None:
    data_dir = own_place.prepare("data")
    log_of(data_dir).write_bytes(b"x" * (1 << 20))
    server = own_place.serve(data_dir)
    old = log_of(data_dir).with_suffix(".log.1")
    until(old.exists, "a new log was begun")
    assert old.stat().st_size > 1 << 20
    with pytest.raises(psycopg.errors.DivisionByZero):
        server.execute("SELECT 1/0 AS swordfish")
    server.stop()
    text = old.read_text() + log_of(data_dir).read_text()
    assert "is shut down" in text
    assert "swordfish" not in text


def log_of(data_dir: Path) -> Path:
    return data_dir / "database" / "postgres.log"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("file/data", r"file/data: .*: choose another folder with --data-dir"),
        ("two\nlines", r"line break: choose another with --data-dir"),
    ],
)
def test_a_folder_that_cannot_be_one(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseError, match=message):
        EmbeddedPostgres(tmp_path / name)


def test_a_cluster_of_a_version_that_is_not_installed_is_refused(tmp_path: Path) -> None:
    pgdata = tmp_path / "database" / "pgdata"
    pgdata.mkdir(parents=True)
    (pgdata / "PG_VERSION").write_text("9\n")
    with pytest.raises(
        DatabaseError, match=r"was made by PostgreSQL 9, which the installed package .* not bring"
    ):
        EmbeddedPostgres(tmp_path).start()
