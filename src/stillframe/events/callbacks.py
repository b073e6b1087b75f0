"""Where accounts want to be told of which events, in the database; secrets are encrypted there."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert

from stillframe.database.engine import Database
from stillframe.events.models import EventCallback
from stillframe.keyring import Keyring

#: all events, those included that come with later versions
ALL = "ALL"


@dataclass(frozen=True, slots=True)
class Callback:
    """A receiver: its URL, the events it wants (or `ALL`), and what messages to it are signed with.

    `auth_key` signs URL and time as IMS does, if `auth_switch` says so; `webhook_secret` signs the whole message as
    Standard Webhooks does.
    """

    url: str
    event_types: tuple[str, ...]
    auth_switch: bool = False
    auth_key: str | None = field(default=None, repr=False)
    webhook_secret: str | None = field(default=None, repr=False)


class Callbacks:
    """The callbacks of all accounts; each has one at the most."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    def find(self, account_id: str) -> Callback | None:
        """An account's callback."""
        with self._database.transaction() as session:
            row = session.get(EventCallback, account_id)
        if row is None:
            return None
        return Callback(
            row.url,
            tuple(row.event_types),
            row.auth_switch,
            self._decrypted(row.auth_key_encrypted),
            self._decrypted(row.webhook_secret_encrypted),
        )

    def set(self, account_id: str, callback: Callback) -> None:
        """Put it in the place of the one before. What waits already goes to the new one."""
        values = {
            "url": callback.url,
            "event_types": [*callback.event_types],
            "auth_switch": callback.auth_switch,
            "auth_key_encrypted": self._encrypted(callback.auth_key),
            "webhook_secret_encrypted": self._encrypted(callback.webhook_secret),
        }
        statement = insert(EventCallback).values(account_id=account_id, **values)
        with self._database.transaction() as session:
            session.execute(statement.on_conflict_do_update(index_elements=["account_id"], set_=values))

    def remove(self, account_id: str) -> None:
        """Tell an account nothing any more, of what waits already neither."""
        with self._database.transaction() as session:
            session.execute(delete(EventCallback).where(EventCallback.account_id == account_id))

    def _encrypted(self, secret: str | None) -> str | None:
        return None if secret is None else self._keyring.encrypt(secret)

    def _decrypted(self, stored: str | None) -> str | None:
        return None if stored is None else self._keyring.decrypt(stored)
