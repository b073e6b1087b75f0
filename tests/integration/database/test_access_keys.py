"""Keys and nonces in the database: secrets are not readable there, and a nonce stays used whatever is restarted."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import URL, text

from stillframe.accounts.accounts import Accounts
from stillframe.accounts.keys import AccessKeys, UsedNonces
from stillframe.database.engine import Database, make_engine
from stillframe.errors import KeyringError
from stillframe.keyring import Keyring

SOON = datetime.now(UTC) + timedelta(minutes=15)
LONG_AGO = datetime.now(UTC) - timedelta(hours=1)


@contextmanager
def opened(url: URL) -> Iterator[Database]:
    """What a process has of the database, from its start to its end."""
    database = Database(make_engine(url))
    try:
        yield database
    finally:
        database.close()


def test_secrets_are_not_in_the_database(database_url: URL, tmp_path: Path) -> None:
    keyring = Keyring.of(tmp_path)
    with opened(database_url) as database:
        keys = AccessKeys(database, keyring)
        account_id = Accounts(database).create("somebody")
        first, second = keys.create(account_id), keys.create(account_id)
        with database.transaction() as session:
            rows = dict(
                session.execute(text("SELECT access_key_id, to_jsonb(k)::text FROM access_keys k")).all()
            )
            stored = session.scalar(
                text("SELECT secret_encrypted FROM access_keys WHERE access_key_id = :id"),
                {"id": first.access_key_id},
            )
        assert {*rows} == {first.access_key_id, second.access_key_id}
        for row in rows.values():
            assert first.secret not in row
            assert second.secret not in row
        # with the key file it is what was given out, and with another one nothing
        assert keyring.decrypt(str(stored)) == keys.secret_of(first.access_key_id) == first.secret
        (tmp_path / "other").mkdir()
        with pytest.raises(KeyringError):
            AccessKeys(database, Keyring.of(tmp_path / "other")).find(first.access_key_id)


def test_a_nonce_is_used_once(database_url: URL) -> None:
    """By one key; and whatever is started anew."""
    with opened(database_url) as database:
        nonces = UsedNonces(database)
        assert nonces.use("n", "SFone", SOON)
        assert not nonces.use("n", "SFone", SOON)
        assert not nonces.use("n", "SFone", SOON + timedelta(minutes=1))
        assert nonces.use("n", "SFtwo", SOON)
        assert nonces.use("N", "SFone", SOON)
    with opened(database_url) as database:
        nonces = UsedNonces(database)
        assert not nonces.use("n", "SFone", SOON)
        assert not nonces.use("n", "SFtwo", SOON)
        assert nonces.use("m", "SFone", SOON)


def test_of_all_who_use_a_nonce_at_the_same_moment_one_may(database_url: URL) -> None:
    with opened(database_url) as database, ThreadPoolExecutor(6) as threads:
        nonces = UsedNonces(database)
        for number in range(10):
            used = [threads.submit(nonces.use, f"n{number}", "SFone", SOON) for _ in range(6)]
            assert sorted(use.result() for use in used) == [False] * 5 + [True]


def test_only_nonces_that_are_of_no_use_any_more_are_forgotten(database_url: URL) -> None:
    with opened(database_url) as database:
        nonces = UsedNonces(database)
        assert nonces.use("old", "SFone", LONG_AGO)
        assert nonces.use("new", "SFone", SOON)
        assert not nonces.use("old", "SFone", SOON)
        assert nonces.use("older", "SFone", LONG_AGO - timedelta(days=1))
        # the clock of whoever takes the request may be behind
        assert nonces.use("just now", "SFone", datetime.now(UTC) - timedelta(seconds=200))
        with database.transaction() as session:
            assert nonces.forget_expired(session, 1) == (1, True)
            assert "older" not in session.scalars(text("SELECT nonce FROM used_nonces")).all()
            assert nonces.forget_expired(session, 5) == (1, False)
            kept = session.scalars(text("SELECT nonce FROM used_nonces")).all()
        assert sorted(kept) == ["just now", "new"]
        assert not nonces.use("new", "SFone", SOON)
