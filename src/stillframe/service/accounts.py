"""Opening an account."""

from __future__ import annotations

from sqlalchemy.orm import Session

from stillframe.accounts.accounts import Accounts
from stillframe.accounts.keys import AccessKeys, NewKey
from stillframe.catalog.pipelines import Pipelines


def open_account(
    name: str, accounts: Accounts, pipelines: Pipelines, keys: AccessKeys, *, within: Session
) -> tuple[str, NewKey]:
    """A new account with all that jobs need: its id, and a key that may do everything. Raises ConfigError."""
    account_id = accounts.create(name, within=within)
    pipelines.create(account_id, "default", is_default=True, within=within)
    return account_id, keys.create(account_id, within=within)
