"""All secrets of the database encrypted anew, so that older keys can be taken out of the keyring; and if they can."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Column, Table, select, tuple_, update

import stillframe.accounts.models
import stillframe.events.models  # noqa: F401 - the tables that hold secrets
from stillframe.database.base import Base
from stillframe.database.engine import Database
from stillframe.keyring import Keyring

#: how the columns of secrets are named, in every table
_SUFFIX = "encrypted"


@dataclass(frozen=True, slots=True)
class Secrets:
    """How many there are; of them how many only an older key opens, and how many none of the keyring's."""

    all: int
    older: int
    lost: int


def reencrypt(database: Database, keyring: Keyring) -> int:
    """Encrypt every secret with the keyring's first key, in one transaction; how many there are.

    Servers may run meanwhile. Raises KeyringError, and changes nothing, when one cannot be decrypted.
    """
    number = 0
    with database.transaction() as session:
        for table, column in _columns():
            key = tuple_(*table.primary_key.columns)
            secrets = select(*table.primary_key.columns, column).where(column.is_not(None))
            for *row, stored in session.execute(secrets.with_for_update()):
                anew = {column.name: keyring.encrypt_anew(stored)}
                session.execute(update(table).where(key == tuple(row)).values(anew))
                number += 1
    return number


def count(database: Database, keyring: Keyring) -> Secrets:
    """Try every secret with the keyring's keys, and first with its first one alone."""
    number = older = lost = 0
    with database.transaction() as session:
        for _, column in _columns():
            for stored in session.scalars(select(column).where(column.is_not(None))):
                number += 1
                if not keyring.is_by_first(stored):
                    known = keyring.knows(stored)
                    older, lost = older + known, lost + (not known)
    return Secrets(number, older, lost)


def _columns() -> Iterator[tuple[Table, Column[str]]]:
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            if column.name.endswith(_SUFFIX):
                yield table, column
