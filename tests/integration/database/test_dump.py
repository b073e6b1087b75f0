"""Backups: what is written, what a restore refuses, and which of PostgreSQL's programs do it."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from cryptography.fernet import Fernet
from sqlalchemy import URL, inspect, text

from stillframe.accounts.accounts import FIRST_ACCOUNT
from stillframe.accounts.shared_keyring import shared_keyring
from stillframe.database import migrations
from stillframe.database.dump import dump
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
        command.upgrade(history._config(connection), "0009")
        connection.execute(text("INSERT INTO accounts (account_id, name) VALUES ('1', 'default')"))
        key = {"secret": keyring.encrypt("swordfish")}
        row = "INSERT INTO access_keys (access_key_id, account_id, secret_encrypted, active)"
        connection.execute(text(f"{row} VALUES ('SF1', '1', :secret, true)"), key)
    dump(engine.url, tmp_path / "x.dump", is_private=True)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()

    restore(target, tmp_path / "x.dump")
    assert revision(target) == migrations.newest()
    with operate(target) as operator:
        assert operator.keys.secret_of("SF1") == "swordfish"


def test_a_restore_with_another_keyring_says_so(source: Settings, target: Settings, tmp_path: Path) -> None:
    back_up(source, tmp_path / "x.dump")
    (target.data_dir / "keyring").write_text(Fernet.generate_key().decode())
    (target.data_dir / "keyring").chmod(0o600)
    with pytest.raises(KeyringError, match="is not the keyring of this database"):
        restore(target, tmp_path / "x.dump")


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
    nobody = URL.create("postgresql", host="127.0.0.1", port=1, database="x")
    with pytest.raises(DatabaseError, match="pg_dump: "):
        dump(nobody, file, is_private=True)
    assert file.read_text() == "the one before"
    assert not list(tmp_path.glob("*.unfinished"))
    with pytest.raises(DatabaseError, match="no such file"):
        dump(nobody, tmp_path / "missing" / "x.dump", is_private=True)


@pytest.mark.parametrize(("version", "is_taken"), [("17.9", False), ("18.0", True), ("99.1", True)])
def test_the_machines_own_programs_go_first_unless_they_are_older(
    source: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, is_taken: bool
) -> None:
    """And no password stands among the arguments, which everybody can see."""
    program = tmp_path / "bin" / "pg_dump"
    program.parent.mkdir()
    told = tmp_path / "told"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo "pg_dump (PostgreSQL) {version}" && exit\n'
        f'echo "$@ / $PGPASSWORD" > {told}\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    assert source.database_url is not None
    url = make_engine(source.database_url.get_secret_value()).url.set(password="swordfish")
    dump(url, tmp_path / "x.dump", is_private=False)
    assert told.exists() == is_taken
    if is_taken:
        arguments, _, password = told.read_text().strip().partition(" / ")
        assert password == "swordfish"
        assert "swordfish" not in arguments
        assert f"dbname={url.database}" in arguments
    # the private database has its own programs
    told.unlink(missing_ok=True)
    dump(url, tmp_path / "x.dump", is_private=True)
    assert not told.exists()
