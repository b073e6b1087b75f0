"""The keyring renewed as the guide tells it: at each step old and new processes read what the others have written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, func, select

import stillframe.catalog.models
import stillframe.jobs.models  # noqa: F401 - all rooms' tables: none with a secret may be left out
from stillframe.accounts.accounts import FIRST_ACCOUNT
from stillframe.accounts.shared_keyring import shared_keyring
from stillframe.cli import keyring as commands
from stillframe.database.base import Base
from stillframe.database.engine import Database, make_engine
from stillframe.errors import KeyringError
from stillframe.events.callbacks import Callback, Callbacks
from stillframe.keyring import Keyring
from stillframe.server.doctor import secrets_finding
from stillframe.server.operator import operate
from stillframe.service.reencryption import count
from stillframe.settings import Settings

CALLBACK = Callback("https://example.com/", ("ALL",), True, "an auth key", "whsec_c3dvcmRmaXNo")


@pytest.fixture
def database(database_url: URL) -> Database:
    return Database(make_engine(database_url))


def secrets(database: Database, keyring: Keyring) -> dict[str, str]:
    """Every secret of the database by its column, decrypted. Raises KeyringError."""
    found = {}
    with database.transaction() as session:
        for table in Base.metadata.sorted_tables:
            for column in table.columns:
                if column.name.endswith("encrypted"):
                    assert session.scalar(select(func.count()).select_from(table)) == 1, table.name
                    found[str(column)] = keyring.decrypt(session.scalars(select(column)).one())
    return found


def test_no_step_of_a_rotation_locks_anybody_out(
    tmp_path: Path, database: Database, database_url: URL, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "keyring"
    commands.create(file)
    with pytest.raises(KeyringError, match="is there already"):
        commands.create(file)
    given: dict[str, Any] = {
        "database_url": database_url.set(drivername="postgresql").render_as_string(hide_password=False),
        "keyring_file": file,
        "data_dir": tmp_path,
    }
    lines = [f'database_url = "{given["database_url"]}"', f'keyring_file = "{file}"']
    (tmp_path / "stillframe.toml").write_text("\n".join(lines))
    old = shared_keyring(database, tmp_path, file, may_make_one=True)
    with operate(Settings(**given)) as operator:
        account_id, key = operator.open_account(FIRST_ACCOUNT)
        user_id = operator.users.create(account_id, "alice")
        assert user_id
        operator.sts.issue(account_id, user="alice")
    Callbacks(database, old).set(account_id, CALLBACK)
    before = secrets(database, old)
    assert {*before} == {
        "access_keys.secret_encrypted",
        "sts_tokens.secret_encrypted",
        "event_callbacks.auth_key_encrypted",
        "event_callbacks.webhook_secret_encrypted",
        "keyring_proof.encrypted",
    }
    assert before["access_keys.secret_encrypted"] == key.secret

    commands.add(file)
    added = Keyring.open(file)
    commands.promote(file)
    promoted = Keyring.open(file)
    # processes of the step before and of this one, side by side
    for writer, reader in ((old, added), (added, old), (added, promoted), (promoted, added)):
        assert reader.decrypt(writer.encrypt("swordfish")) == "swordfish"
        assert writer.hmac_key("files") in reader.hmac_keys("files")

    newest = Keyring([line for line in file.read_text().splitlines() if not line.startswith("#")][:1])
    with pytest.raises(KeyringError):
        secrets(database, newest)
    # the proof and all the others; a server's start would bring the proof alone
    with pytest.raises(KeyringError, match=f"{len(before)} of {len(before)} secrets need other keys than"):
        commands.check(tmp_path)
    with operate(Settings(**given)) as operator:
        assert operator.reencrypt() == len(before)
    commands.check(tmp_path)
    assert secrets(database, newest) == secrets(database, promoted) == before
    assert secrets_finding(count(database, newest)).state == "ok"

    # what became of it where the key was removed before
    assert secrets_finding(count(database, Keyring([*promoted._keys[::-1]]))).state == "note"
    assert secrets_finding(count(database, old)).state == "wrong"

    # with another one nothing is changed
    with operate(Settings(**given)) as operator:
        stranger = Keyring.open(tmp_path / "stranger")
        object.__setattr__(operator, "keyring", stranger)
        with pytest.raises(KeyringError):
            operator.reencrypt()
    assert secrets(database, newest) == before
    database.close()
    said = capsys.readouterr().out
    assert "2 keys" in said
    assert f"the first key opens all {len(before)} secrets" in said
