"""Accounts: whom buckets, jobs and keys belong to."""

from __future__ import annotations

import secrets

from sqlalchemy import select
from sqlalchemy.orm import Session

from stillframe.accounts.models import Account
from stillframe.database.engine import Database

#: the account that a new data folder begins with
FIRST_ACCOUNT = "default"
_DIGITS = 16


class Accounts:
    """All accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, *, within: Session | None = None) -> str:
        """A new account; its id, sixteen digits as Alibaba Cloud has them."""
        account_id = str(secrets.randbelow(9 * 10 ** (_DIGITS - 1)) + 10 ** (_DIGITS - 1))
        with self._database.transaction(within) as session:
            session.add(Account(account_id=account_id, name=name))
            session.flush()
        return account_id

    def exists(self, account_id: str) -> bool:
        """Whether there is an account of this id."""
        with self._database.transaction() as session:
            return session.get(Account, account_id) is not None

    def find(self, name: str) -> str | None:
        """The id of the account of a name."""
        with self._database.transaction() as session:
            return session.scalar(select(Account.account_id).where(Account.name == name))
