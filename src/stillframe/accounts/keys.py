"""Access keys and used nonces, in the database.

    keys = AccessKeys(database, keyring)
    made = keys.create(account_id)      # made.secret is shown now, and never again
    keys.find(made.access_key_id)       # KeyFacts, as `signatures.authenticate` asks for

A key that is disabled or deleted is so for the very next request: it is asked for each time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from sqlalchemy import ColumnElement, delete, func, select, text, update
from sqlalchemy.orm import Session

from stillframe.accounts.models import AccessKey, Account, ConsoleSession, User
from stillframe.accounts.names import random_letters
from stillframe.accounts.signatures import ACCOUNT, KeyFacts, Principal
from stillframe.database.engine import Database
from stillframe.errors import NotFound, QuotaExceeded
from stillframe.keyring import Keyring

ID_LENGTH, SECRET_LENGTH = 22, 40
#: of an account's own, and of each of its users: enough for a machine each, or to change them one by one
MOST_KEYS = 20
#: of secrets that were decrypted
SECRETS_KEPT = 256

#: an account's own key has no user, and is found in its table alone
_FIND = (
    "SELECT k.account_id, k.secret_encrypted, k.active, k.user_id, u.name, a.policies_version "
    "FROM access_keys k LEFT JOIN users u ON u.user_id = k.user_id "
    "LEFT JOIN accounts a ON a.account_id = u.account_id WHERE k.access_key_id = %s"
)
#: not waited for until it is on the disk: a commit that follows brings it there as well, since the log has one order;
#: and what changed nothing may be asked for once more, after a crash of the database in that very moment
_USE = (
    "INSERT INTO used_nonces (access_key_id, nonce, until) "
    "SELECT %s, %s, %s FROM set_config('synchronous_commit', 'off', true) ON CONFLICT DO NOTHING"
)
#: by the database's clock, from which those of the servers may differ
_FORGET = text(
    "WITH old AS MATERIALIZED (SELECT access_key_id, nonce FROM used_nonces "
    "WHERE until < now() - make_interval(secs => :slack_s) "
    "ORDER BY until LIMIT :most FOR UPDATE SKIP LOCKED) "
    "DELETE FROM used_nonces USING old WHERE used_nonces.access_key_id = old.access_key_id "
    "AND used_nonces.nonce = old.nonce RETURNING old.nonce"
)
_SLACK_S = 300
#: of those who have signed a request, the nonce is remembered for a while
_LATELY = (
    "SELECT access_key_id FROM access_keys k WHERE account_id = %s AND coalesce("
    # with an order and a limit it is no join: of a key's many nonces one is read, by their index
    "(SELECT true FROM used_nonces n WHERE n.access_key_id = k.access_key_id AND n.until > now() "
    "ORDER BY n.nonce LIMIT 1), "
    "(SELECT true FROM console_sessions s WHERE s.access_key_id = k.access_key_id "
    "AND s.seen_at > now() - make_interval(mins => %s) LIMIT 1), false)"
)
#: a request's time is no further from ours than a quarter of an hour, and is remembered for as long after it
LATELY_MINUTES = 30


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was made just now, with its secret in clear."""

    access_key_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key as its operator sees it; `user` is None for the account's own."""

    access_key_id: str
    account_id: str
    account: str
    user: str | None
    active: bool
    created_at: datetime


class AccessKeys:
    """The access keys of all accounts."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring
        # of ciphertexts, which are what they are; which of them count is asked every time
        self._decrypted = lru_cache(SECRETS_KEPT)(keyring.decrypt)

    def create(self, account_id: str, *, user_id: str | None = None, within: Session | None = None) -> NewKey:
        """A new key of an account, or of one of its users. Raises NotFound, and QuotaExceeded for too many."""
        made = NewKey("SF" + random_letters(ID_LENGTH), random_letters(SECRET_LENGTH))
        with self._database.transaction(within) as session:
            # held, so that two at the same time do not make one too many
            if session.get(Account, account_id, with_for_update={"key_share": True}) is None:
                raise NotFound("Account", account_id)
            user = session.get(User, user_id) if user_id is not None else None
            if user_id is not None and (user is None or user.account_id != account_id):
                raise NotFound("User", user_id)
            mine = AccessKey.user_id == user_id if user_id is not None else AccessKey.user_id.is_(None)
            those = select(func.count()).where(AccessKey.account_id == account_id, mine)
            if session.scalars(those).one() >= MOST_KEYS:
                owner = f"the user {user.name}" if user is not None else "the account itself"
                raise QuotaExceeded(
                    "AccessKey", f"{owner} has {MOST_KEYS} keys already, disabled ones too: delete one first"
                )
            session.add(
                AccessKey(
                    access_key_id=made.access_key_id,
                    account_id=account_id,
                    user_id=user_id,
                    secret_encrypted=self._keyring.encrypt(made.secret),
                )
            )
        return made

    def find(self, access_key_id: str) -> KeyFacts | None:
        """What a signature is checked with; None for a key that there is not."""
        with self._database.statements() as connection:
            key = connection.execute(_FIND, [access_key_id]).fetchone()
        if key is None:
            return None
        account_id, encrypted, active, user_id, user_name, version = key
        principal = Principal(user_id, user_name, policies_version=version) if user_id else ACCOUNT
        return KeyFacts(access_key_id, self._decrypted(encrypted), account_id, principal, active=active)

    def all(self, account_id: str | None = None) -> list[KeyView]:
        """Every key, or those of an account and its users; the oldest first."""
        keys = (
            select(AccessKey, Account.name, User.name)
            .join(Account, Account.account_id == AccessKey.account_id)
            .outerjoin(User, User.user_id == AccessKey.user_id)
            .order_by(AccessKey.created_at, AccessKey.access_key_id)
        )
        if account_id is not None:
            keys = keys.where(AccessKey.account_id == account_id)
        with self._database.transaction() as session:
            return [
                KeyView(key.access_key_id, key.account_id, account, user, key.active, key.created_at)
                for key, account, user in session.execute(keys)
            ]

    def used_lately(self, account_id: str) -> set[str]:
        """Of an account's keys those by which a request has come, or somebody was at the console, a moment ago.

        A moment is `LATELY_MINUTES` at the most; what was before is not known.
        """
        with self._database.statements() as connection:
            found = connection.execute(_LATELY, [account_id, LATELY_MINUTES])
            return {access_key_id for (access_key_id,) in found}

    def secret_of(self, access_key_id: str) -> str:
        """A key's secret in clear, for commands that act on the data folder's behalf. Raises NotFound."""
        facts = self.find(access_key_id)
        if facts is None:
            raise NotFound("AccessKey", access_key_id)
        return facts.secret

    def set_active(self, access_key_id: str, *, active: bool, account_id: str | None = None) -> None:
        """Disable a key, or enable it again. Whoever is logged in with it is not any more.

        Raises NotFound, for one that is not of the account, too, where that is given.
        """
        with self._database.transaction() as session:
            changed = update(AccessKey).where(_is(access_key_id, account_id)).values(active=active)
            if session.scalar(changed.returning(AccessKey.access_key_id)) is None:
                raise NotFound("AccessKey", access_key_id)
            if not active:
                session.execute(delete(ConsoleSession).where(ConsoleSession.access_key_id == access_key_id))

    def delete(self, access_key_id: str, *, account_id: str | None = None) -> None:
        """Remove a key for good. Raises NotFound as `set_active` does."""
        with self._database.transaction() as session:
            gone = delete(AccessKey).where(_is(access_key_id, account_id))
            if session.scalar(gone.returning(AccessKey.access_key_id)) is None:
                raise NotFound("AccessKey", access_key_id)


def _is(access_key_id: str, account_id: str | None) -> ColumnElement[bool]:
    key = AccessKey.access_key_id == access_key_id
    return key if account_id is None else key & (AccessKey.account_id == account_id)


class UsedNonces:
    """The memory of used nonces: shared by all processes, kept over restarts.

    A nonce is on the disk no later than anything that its request has changed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def use(self, nonce: str, access_key_id: str, until: datetime) -> bool:
        """Remember the nonce of this key until then. False when it was there already."""
        with self._database.statements() as connection:
            return connection.execute(_USE, [access_key_id, nonce, until]).rowcount == 1

    def forget_expired(self, session: Session, most: int) -> tuple[int, bool]:
        """Remove at most so many of those that no request could use any more; how many, and whether there are more."""
        gone = len(session.execute(_FORGET, {"slack_s": _SLACK_S, "most": most}).all())
        return gone, gone == most
