"""Backups: what is written, what a restore refuses, and which of PostgreSQL's programs do it."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from alembic import command as alembic
from cryptography.fernet import Fernet
from database_server import until
from sqlalchemy import URL, inspect, text

from stillframe.accounts.accounts import FIRST_ACCOUNT
from stillframe.accounts.shared_keyring import shared_keyring
from stillframe.database import migrations
from stillframe.database.dump import Place, demand_new_enough, dump, rows_in
from stillframe.database.engine import Database, make_engine
from stillframe.database.migrations import history
from stillframe.errors import DatabaseError, KeyringError
from stillframe.keyring import Keyring
from stillframe.server.backup import back_up, restore
from stillframe.server.operator import operate
from stillframe.settings import Settings


def settings(url: URL, folder: Path) -> Settings:
    folder.mkdir(exist_ok=True)
    shown = url.set(drivername="postgresql").render_as_string(hide_password=False)
    given: dict[str, Any] = {"database_url": shown, "data_dir": folder}
    return Settings(**given)


@pytest.fixture
def source(tmp_path: Path, database_url: URL) -> Settings:
    """A database with an account and its key."""
    found = settings(database_url, tmp_path / "source")
    database = Database(make_engine(database_url))
    shared_keyring(database, found.data_dir, may_make_one=True)
    database.close()
    with operate(found) as operator:
        operator.open_account(FIRST_ACCOUNT)
    return found


@pytest.fixture
def target(tmp_path: Path, empty_database_url: URL) -> Settings:
    return settings(empty_database_url, tmp_path / "target")


def revision(of: Settings) -> str | None:
    assert of.database_url is not None
    engine = make_engine(of.database_url.get_secret_value())
    try:
        return migrations.current(engine)
    finally:
        engine.dispose()


def test_a_backup_comes_back_with_its_keyring_alone(
    source: Settings, target: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "x.dump"
    back_up(source, file)
    back_up(source, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "target", "x.dump"]

    with pytest.raises(KeyringError, match="put the keyring there first"):
        restore(target, file)
    assert revision(target) is None

    keyring = target.data_dir / "keyring"
    keyring.write_bytes((source.data_dir / "keyring").read_bytes())
    keyring.chmod(0o600)
    restore(target, file)
    with operate(source) as there, operate(target) as here:
        (key,) = there.keys.all()
        assert here.keys.secret_of(key.access_key_id) == there.keys.secret_of(key.access_key_id)

    # nothing is put over what is there
    with pytest.raises(DatabaseError, match="has tables already"):
        restore(target, file)
    with operate(target) as here:
        assert here.keys.all() == [key]


def test_a_backup_of_an_older_release_is_brought_up_to_date(
    target: Settings, empty_database_url: URL, tmp_path: Path
) -> None:
    """As it was before there was a proof of the keyring: the keys themselves are the proof."""
    keyring = Keyring.open(target.data_dir / "keyring")
    engine = make_engine(empty_database_url)
    with engine.begin() as connection:
        alembic.upgrade(history._config(connection), "0009")
        connection.execute(text("INSERT INTO accounts (account_id, name) VALUES ('1', 'default')"))
        key = {"secret": keyring.encrypt("swordfish")}
        row = "INSERT INTO access_keys (access_key_id, account_id, secret_encrypted, active)"
        connection.execute(text(f"{row} VALUES ('SF1', '1', :secret, true)"), key)
    dump(Place(engine.url, is_private=True), tmp_path / "x.dump")
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()

    restore(target, tmp_path / "x.dump")
    assert revision(target) == migrations.newest()
    with operate(target) as operator:
        assert operator.keys.secret_of("SF1") == "swordfish"


def put_keyring(into: Settings, content: bytes) -> None:
    (into.data_dir / "keyring").write_bytes(content)
    (into.data_dir / "keyring").chmod(0o600)


def tables_of(url: URL) -> list[str]:
    engine = make_engine(url)
    try:
        return inspect(engine).get_table_names()
    finally:
        engine.dispose()


def run_sql(url: URL, *statements: str) -> None:
    engine = make_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


@pytest.mark.parametrize(
    ("changed", "keyring", "error", "message"),
    [
        pytest.param(
            "", Fernet.generate_key(), KeyringError, "is not the keyring that belongs", id="another"
        ),
        pytest.param(
            "", b"rubbish", KeyringError, "a line that is not a key", id="none", marks=pytest.mark.full
        ),
        pytest.param(
            "UPDATE alembic_version SET version_num = '0999'", None, DatabaseError, "a newer one", id="newer"
        ),
        pytest.param(
            "DROP TABLE alembic_version", None, DatabaseError, "is no backup of Stillframe", id="a stranger's"
        ),
        pytest.param(
            "DELETE FROM keyring_proof; DELETE FROM access_keys",
            None,
            DatabaseError,
            "no server has been started",
            id="before the first start",
            marks=pytest.mark.full,
        ),
    ],
)
def test_what_a_restore_refuses_leaves_the_database_empty(
    source: Settings,
    target: Settings,
    database_url: URL,
    empty_database_url: URL,
    tmp_path: Path,
    changed: str,
    keyring: bytes | None,
    error: type[Exception],
    message: str,
) -> None:
    if changed:
        run_sql(database_url, changed)
    back_up(source, tmp_path / "x.dump")
    put_keyring(target, keyring or (source.data_dir / "keyring").read_bytes())
    with pytest.raises(error, match=message):
        restore(target, tmp_path / "x.dump")
    assert tables_of(empty_database_url) == []


def test_a_database_with_a_table_of_anybodys_is_left_as_it_is(
    source: Settings, target: Settings, empty_database_url: URL, tmp_path: Path
) -> None:
    back_up(source, tmp_path / "x.dump")
    put_keyring(target, (source.data_dir / "keyring").read_bytes())
    run_sql(empty_database_url, "CREATE TABLE customers (name text)")
    with pytest.raises(DatabaseError, match=r"has tables already, such as public\.customers"):
        restore(target, tmp_path / "x.dump")
    assert tables_of(empty_database_url) == ["customers"]


@contextmanager
def held_up(url: URL) -> Iterator[None]:
    """Every pg_dump of the database waits until the end of the block."""
    engine = make_engine(url)
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE"))
        yield
    engine.dispose()


def test_backups_at_the_same_time_are_whole(source: Settings, database_url: URL, tmp_path: Path) -> None:
    """And what one that was killed has left changes nothing, its mode least of all."""
    file = tmp_path / "x.dump"
    left = tmp_path / "x.dump.unfinished"
    left.touch(0o644)
    with ThreadPoolExecutor(2) as pool:
        with held_up(database_url):
            backups = [pool.submit(back_up, source, file) for _ in range(2)]
            until(lambda: len(list(tmp_path.glob("x.dump.*"))) == 3, "two files are begun")
        for backup in backups:
            backup.result(timeout=60)
    assert sorted(tmp_path.glob("x.dump*")) == [file, left]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert rows_in(file, ["accounts"], is_private=True)["accounts"][0]["name"] == FIRST_ACCOUNT


def dumps_of(pid: int, file: Path) -> list[Path]:
    """The folder in /proc of a command's pg_dump, once it is that."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    found = [Path("/proc", child) for child in children]
    return [child for child in found if f"--file={file}".encode() in (child / "cmdline").read_bytes()]


@pytest.mark.parametrize(
    "sign",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGINT, marks=pytest.mark.full),
        pytest.param(signal.SIGKILL, marks=pytest.mark.full),
    ],
)
def test_a_command_that_is_ended_ends_its_program(
    source: Settings, database_url: URL, tmp_path: Path, sign: signal.Signals
) -> None:
    """A restore would go on, and commit what nobody waits for any more."""
    file = tmp_path / "x.dump"
    program = [sys.executable, "-m", "stillframe", "db", "backup", str(file)]
    assert source.database_url is not None
    given = {
        "STILLFRAME_DATABASE_URL": source.database_url.get_secret_value(),
        "STILLFRAME_DATA_DIR": str(source.data_dir),
    }
    with held_up(database_url):
        command = subprocess.Popen(program, env={**os.environ, **given}, stderr=subprocess.PIPE)
        until(lambda: dumps_of(command.pid, file), "pg_dump runs")
        (child,) = dumps_of(command.pid, file)
        command.send_signal(sign)
        _, said = command.communicate(timeout=60)
        until(lambda: not child.exists(), "pg_dump has ended")
    if sign != signal.SIGKILL:
        assert (command.returncode, said) == (130, b"stillframe: interrupted\n")
        assert not list(tmp_path.glob("x.dump*"))


def test_a_folder_is_no_file_to_write(source: Settings, tmp_path: Path) -> None:
    for folder in (tmp_path, Path()):
        with pytest.raises(DatabaseError, match="is a folder: name the file in it"):
            back_up(source, folder)


@pytest.mark.parametrize(("version", "is_taken"), [(160_013, False), (170_000, True), (180_001, True)])
def test_a_server_that_could_not_restore_is_refused(version: int, is_taken: bool) -> None:
    with nullcontext() if is_taken else pytest.raises(DatabaseError, match="is PostgreSQL 16, where"):
        demand_new_enough(version)


@pytest.mark.parametrize("damage", ["no backup", "cut short"])
def test_what_is_no_backup_leaves_the_database_empty(
    source: Settings, target: Settings, empty_database_url: URL, tmp_path: Path, damage: str
) -> None:
    file = tmp_path / "x.dump"
    back_up(source, file)
    Keyring.open(target.data_dir / "keyring")
    content = file.read_bytes()
    file.write_bytes(b"no backup" * 100 if damage == "no backup" else content[:-1000])
    with pytest.raises(DatabaseError, match="pg_restore: "):
        restore(target, file)
    engine = make_engine(empty_database_url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()
    with pytest.raises(DatabaseError, match="is not a file"):
        restore(target, tmp_path / "nothing")


def test_a_backup_that_cannot_be_written_leaves_the_one_before(source: Settings, tmp_path: Path) -> None:
    file = tmp_path / "x.dump"
    file.write_text("the one before")
    assert source.database_url is not None
    nobody = Place(URL.create("postgresql", host="127.0.0.1", port=1, database="x"), is_private=True)
    with pytest.raises(DatabaseError, match="pg_dump: "):
        dump(nobody, file)
    assert file.read_text() == "the one before"
    assert not list(tmp_path.glob("*.unfinished"))
    with pytest.raises(DatabaseError, match="no such file"):
        dump(nobody, tmp_path / "missing" / "x.dump")


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the machine's own pg_dump was called with. It is of PostgreSQL 18.0, unless a file `version` says so."""
    program = tmp_path / "bin" / "pg_dump"
    program.parent.mkdir()
    told = tmp_path / "told"
    (tmp_path / "version").write_text("18.0")
    program.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo "pg_dump (PostgreSQL) $(cat {tmp_path}/version)" && exit\n'
        f'echo "$@ / $PGPASSWORD $(cat $PGSERVICEFILE < /dev/null)" > {told}\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    return told


@pytest.mark.parametrize(("version", "is_taken"), [("17.9", False), ("18.0", True), ("99.1", True)])
def test_the_machines_own_programs_go_first_unless_they_are_older(
    source: Settings, tmp_path: Path, told: Path, version: str, is_taken: bool
) -> None:
    """And no password stands among the arguments, which everybody can see."""
    (tmp_path / "version").write_text(version)
    assert source.database_url is not None
    url = make_engine(source.database_url.get_secret_value()).url.set(password="swordfish")
    url = url.update_query_dict({"sslpassword": "marlin"})
    dump(Place(url, is_private=False), tmp_path / "x.dump")
    assert told.exists() == is_taken
    if is_taken:
        arguments, _, passwords = told.read_text().strip().partition(" / ")
        assert passwords.split() == ["swordfish", "[stillframe]", "sslpassword=marlin"]
        assert "swordfish" not in arguments
        assert "marlin" not in arguments
        assert f"dbname={url.database}" in arguments
    # the private database has its own programs
    told.unlink(missing_ok=True)
    dump(Place(url, is_private=True), tmp_path / "x.dump")
    assert not told.exists()


@pytest.mark.parametrize(("version", "is_taken"), [("17.9", False), ("18.0", True)])
def test_who_is_reached_by_tls_is_never_asked_in_plain_text(
    source: Settings, tmp_path: Path, told: Path, version: str, is_taken: bool
) -> None:
    (tmp_path / "version").write_text(version)
    assert source.database_url is not None
    url = make_engine(source.database_url.get_secret_value()).url
    with (
        nullcontext()
        if is_taken
        else pytest.raises(DatabaseError, match=r"TLS.*: install the client programs")
    ):
        dump(Place(url, is_private=False, uses_tls=True), tmp_path / "x.dump")
    assert told.exists() == is_taken
