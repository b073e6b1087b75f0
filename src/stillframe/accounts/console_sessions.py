"""Logins of people: links that count once, and the sessions that begin with them or with an access key.

    sessions = ConsoleSessions(database, hours=168, idle_hours=24)
    token = sessions.begin_by_link(links.make(account_id))
    sessions.find(token).caller         # until it is over, or its key is disabled or deleted

All times are the database's, so that every process means the same.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session

from stillframe.accounts.accounts import FIRST_ACCOUNT
from stillframe.accounts.keys import AccessKeys
from stillframe.accounts.models import AccessKey, ConsoleSession, LoginLink
from stillframe.accounts.signatures import ACCOUNT, Caller, Principal
from stillframe.database.engine import Database
from stillframe.errors import AuthenticationError

#: how long a link waits to be followed
LINK_MINUTES = 60
#: stands in the place of the key of a caller who came by a link
BY_LINK = "console-link"
#: of a link: it stands in a line of a terminal, and is good for an hour
_LINK_BYTES = 24
_TOKEN_BYTES = 32
#: a session that is used is written to no more often
_SEEN_EVERY_S = 60

_FIND = (
    "SELECT s.account_id, a.name, a.policies_version, s.access_key_id, k.user_id, u.name, "
    "s.expires_at, s.seen_at < now() - make_interval(secs => %(seen_every_s)s) FROM console_sessions s "
    "JOIN accounts a ON a.account_id = s.account_id "
    "LEFT JOIN access_keys k ON k.access_key_id = s.access_key_id LEFT JOIN users u ON u.user_id = k.user_id "
    "WHERE s.token_sha256 = %(digest)s AND s.expires_at > now() "
    "AND s.seen_at > now() - make_interval(secs => %(idle_s)s) AND (s.access_key_id IS NULL OR k.active)"
)
_SEEN = "UPDATE console_sessions SET seen_at = now() WHERE token_sha256 = %(digest)s"
#: the very statement that finds a link removes it: of two who follow it, one gets in
_FOLLOW = "DELETE FROM login_links WHERE token_sha256 = %s AND expires_at > now() RETURNING account_id"
_BEGIN = (
    "INSERT INTO console_sessions (token_sha256, account_id, access_key_id, expires_at) "
    "SELECT %s, %s, %s, now() + make_interval(secs => %s)"
)


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """Who is at the console; `csrf_token` must come with everything that changes something.

    `ends_at` is when they have to log in anew, however much they do.
    """

    caller: Caller
    account: str
    csrf_token: str
    ends_at: datetime

    @property
    def is_operator(self) -> bool:
        """Whether this is who runs the server: somebody with a printed link of the first account."""
        return self.caller.access_key_id == BY_LINK and self.account == FIRST_ACCOUNT


class LoginLinks:
    """The links that count once. Only the digest of one is kept, so that it is shown when it is made or never."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def make(self, account_id: str) -> str:
        """A new link's token, good for `LINK_MINUTES`; links that were made before stay as they are."""
        token = secrets.token_urlsafe(_LINK_BYTES)
        with self._database.transaction() as session:
            soon = func.now() + text(f"interval '{LINK_MINUTES} minutes'")
            session.add(LoginLink(token_sha256=_digest(token), account_id=account_id, expires_at=soon))
        return token

    def forget_expired(self, session: Session, most: int) -> tuple[int, bool]:
        """Remove at most so many that nobody can follow any more; how many, and whether there are more."""
        old = select(LoginLink.token_sha256).where(LoginLink.expires_at < func.now())
        those = old.order_by(LoginLink.expires_at).limit(most).with_for_update(skip_locked=True)
        gone = delete(LoginLink).where(LoginLink.token_sha256.in_(those)).returning(LoginLink.token_sha256)
        removed = len(session.scalars(gone).all())
        return removed, removed == most


class ConsoleSessions:
    """Who is logged in. A session ends `hours` after it began, and `idle_hours` after it was used last."""

    def __init__(self, database: Database, keys: AccessKeys, *, hours: float, idle_hours: float) -> None:
        self._database = database
        self._keys = keys
        self._lasts_s = hours * 3600
        self._idle_s = idle_hours * 3600

    def begin_by_link(self, link_token: str) -> str:
        """A session of the account itself; its token. Raises AuthenticationError for a link that is used or over."""
        with self._database.statements() as connection:
            found = connection.execute(_FOLLOW, [_digest(link_token)]).fetchone()
        if found is None:
            raise AuthenticationError(
                "InvalidSecurityToken.Expired", flaw="This link was used before, or it is over."
            )
        return self._begin(found[0], None)

    def begin_by_key(self, access_key_id: str, secret: str) -> str:
        """A session of whom a lasting key belongs to; its token. Raises AuthenticationError.

        A key that there is not and a secret that is wrong are the same to who tries.
        """
        key = self._keys.find(access_key_id)
        right = hmac.compare_digest((key.secret if key else "").encode(), secret.encode())
        if key is None or not right:
            raise AuthenticationError("InvalidAccessKeyId.NotFound", access_key_id=access_key_id[:64])
        if not key.active:
            raise AuthenticationError("InvalidAccessKeyId.Inactive", access_key_id=access_key_id[:64])
        return self._begin(key.account_id, access_key_id)

    def find(self, token: str) -> LoggedIn | None:
        """Who has this session, which counts as used now; None when it is over."""
        values = {"digest": _digest(token), "idle_s": self._idle_s, "seen_every_s": _SEEN_EVERY_S}
        with self._database.statements() as connection:
            found = connection.execute(_FIND, values).fetchone()
            if found is None:
                return None
            account_id, account, version, access_key_id, user_id, user, ends_at, is_due = found
            if is_due:
                connection.execute(_SEEN, {"digest": values["digest"]})
        principal = Principal(user_id, user, policies_version=version) if user_id else ACCOUNT
        return LoggedIn(
            Caller(account_id, access_key_id or BY_LINK, principal),
            account,
            hmac.digest(token.encode(), b"csrf", "sha256").hex(),
            ends_at,
        )

    def end(self, token: str) -> None:
        """Log out."""
        with self._database.transaction() as session:
            session.execute(delete(ConsoleSession).where(ConsoleSession.token_sha256 == _digest(token)))

    def forget_expired(self, session: Session, most: int) -> tuple[int, bool]:
        """Remove at most so many that are over; how many, and whether there are more."""
        idle = func.now() - text(f"interval '{int(self._idle_s)} seconds'")
        inactive = select(AccessKey.access_key_id).where(~AccessKey.active)
        over = (
            (ConsoleSession.expires_at < func.now())
            | (ConsoleSession.seen_at < idle)
            | ConsoleSession.access_key_id.in_(inactive)
        )
        those = select(ConsoleSession.token_sha256).where(over).limit(most).with_for_update(skip_locked=True)
        gone = delete(ConsoleSession).where(ConsoleSession.token_sha256.in_(those))
        removed = len(session.scalars(gone.returning(ConsoleSession.token_sha256)).all())
        return removed, removed == most

    def _begin(self, account_id: str, access_key_id: str | None) -> str:
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        with self._database.statements() as connection:
            connection.execute(_BEGIN, [_digest(token), account_id, access_key_id, self._lasts_s])
        return token


def _digest(token: str) -> bytes:
    # of so many random bytes there is nothing to guess, so that a plain digest keeps them secret
    return hashlib.sha256(token.encode(errors="replace")).digest()
