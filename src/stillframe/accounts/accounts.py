"""Accounts: whom buckets, jobs and keys belong to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from stillframe.accounts.models import Account
from stillframe.accounts.names import demand_name, new_number
from stillframe.database.engine import Database
from stillframe.errors import ConfigError, NotFound

#: the account that a new data folder begins with
FIRST_ACCOUNT = "default"


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account as its operator sees it."""

    account_id: str
    name: str
    created_at: datetime


class Accounts:
    """All accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, *, within: Session | None = None) -> str:
        """A new account; its id, sixteen digits as Alibaba Cloud has them. Raises ConfigError."""
        demand_name("Account", name)
        if name.isdigit():
            raise ConfigError("Account", name, "a name with a letter in it, so that it is no account's id")
        account_id = new_number(16)
        try:
            with self._database.transaction(within) as session:
                session.add(Account(account_id=account_id, name=name))
                session.flush()
        except IntegrityError as error:
            raise ConfigError("Account", name, "a name that no other account has") from error
        return account_id

    def exists(self, account_id: str) -> bool:
        """Whether there is an account of this id."""
        with self._database.transaction() as session:
            return session.get(Account, account_id) is not None

    def all(self) -> list[AccountView]:
        """Every account, the oldest first."""
        with self._database.transaction() as session:
            rows = session.scalars(select(Account).order_by(Account.created_at, Account.account_id))
            return [AccountView(row.account_id, row.name, row.created_at) for row in rows]

    def find(self, name: str) -> str | None:
        """The id of the account of a name."""
        with self._database.transaction() as session:
            return session.scalar(select(Account.account_id).where(Account.name == name))

    def named(self, name_or_id: str) -> str:
        """The id of the account of a name or an id. Raises NotFound."""
        found = self.find(name_or_id) or (name_or_id if self.exists(name_or_id) else None)
        if found is None:
            raise NotFound("Account", name_or_id)
        return found


def change_policies(session: Session, account_id: str) -> None:
    """Begin a change of an account's policies, or of who has them; others wait until it is committed.

    With the commit the version changes, which each lookup of a user's key tells. Raises NotFound.
    """
    changed = update(Account).where(Account.account_id == account_id)
    counted = changed.values(policies_version=Account.policies_version + 1).returning(Account.account_id)
    if session.scalar(counted) is None:
        raise NotFound("Account", account_id)
