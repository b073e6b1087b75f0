"""All secrets of the database encrypted anew, so that older keys can be taken out of the keyring."""

from __future__ import annotations

from sqlalchemy import select, tuple_, update

import stillframe.accounts.models
import stillframe.events.models  # noqa: F401 - the tables that hold secrets
from stillframe.database.base import Base
from stillframe.database.engine import Database
from stillframe.keyring import Keyring

#: how the columns of secrets are named, in every table
_SUFFIX = "encrypted"


def reencrypt(database: Database, keyring: Keyring) -> int:
    """Encrypt every secret with the keyring's first key, in one transaction; how many there are.

    Servers may run meanwhile. Raises KeyringError, and changes nothing, when one cannot be decrypted.
    """
    number = 0
    with database.transaction() as session:
        for table in Base.metadata.sorted_tables:
            key = tuple_(*table.primary_key.columns)
            for column in table.columns:
                if not column.name.endswith(_SUFFIX):
                    continue
                secrets = select(*table.primary_key.columns, column).where(column.is_not(None))
                for *row, stored in session.execute(secrets.with_for_update()):
                    anew = {column.name: keyring.encrypt_anew(stored)}
                    session.execute(update(table).where(key == tuple(row)).values(anew))
                    number += 1
    return number
