"""Temporary keys (STS): a key, a secret and a token that count together and for a while.

    tokens = StsTokens(database, keyring)
    issued = tokens.issue(account_id, role="uploader", policy=document)   # shown now, and never again

One of a user may do no more than the user may at that moment, and no more than its own policy allows if it has one;
one of a role may do what its own policy allows. They end by themselves, with their user, or when they are revoked.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from stillframe.accounts.keys import ID_LENGTH, SECRET_LENGTH, SECRETS_KEPT
from stillframe.accounts.models import Account, StsToken, User
from stillframe.accounts.names import demand_name, random_letters
from stillframe.accounts.policies import parse_policy
from stillframe.accounts.signatures import KeyFacts, KeyLookup, Principal, TokenState
from stillframe.database.engine import Database
from stillframe.errors import ConfigError, NotFound
from stillframe.keyring import Keyring

PREFIX = "STS."
#: as RAM has it, in seconds
SHORTEST_S, USUAL_S, LONGEST_S = 900, 3600, 43_200
_TOKEN_BYTES = 48
#: so long an expired token is told to be that, and not to be nothing at all
_REMEMBERED = timedelta(days=1)

_FIND = (
    "SELECT t.account_id, t.secret_encrypted, t.user_id, u.name, t.role, a.policies_version, t.session_policy "
    "FROM sts_tokens t JOIN accounts a ON a.account_id = t.account_id "
    "LEFT JOIN users u ON u.user_id = t.user_id WHERE t.access_key_id = %s"
)
_STATE = "SELECT access_key_id, expires_at FROM sts_tokens WHERE token_sha256 = %s"


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A temporary key that was made just now, with all that it needs in clear."""

    access_key_id: str
    secret: str = field(repr=False)
    security_token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class TokenView:
    """A temporary key as its operator sees it: of a user, or of a role."""

    access_key_id: str
    user: str | None
    role: str | None
    expires_at: datetime


class StsTokens:
    """The temporary keys of all accounts."""

    def __init__(
        self, database: Database, keyring: Keyring, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._now = now
        self._decrypted = lru_cache(SECRETS_KEPT)(keyring.decrypt)

    def issue(
        self,
        account_id: str,
        *,
        user: str | None = None,
        role: str | None = None,
        policy: str | None = None,
        duration_s: int = USUAL_S,
    ) -> IssuedToken:
        """A new token of a user or of a role; `policy` is a document that narrows it. Raises ConfigError, NotFound."""
        if not SHORTEST_S <= duration_s <= LONGEST_S:
            raise ConfigError("Duration", duration_s, f"{SHORTEST_S} to {LONGEST_S} seconds")
        if (user is None) == (role is None):
            raise ConfigError("User", user, "given, or else a role, and not both")
        if role is not None:
            demand_name("Role", role)
            if policy is None:
                raise ConfigError("Policy", policy, "given for a role: it may do what its policy allows")
        if policy is not None:
            parse_policy(policy)
        issued = IssuedToken(
            PREFIX + random_letters(ID_LENGTH),
            random_letters(SECRET_LENGTH),
            secrets.token_urlsafe(_TOKEN_BYTES),
            self._now() + timedelta(seconds=duration_s),
        )
        with self._database.transaction() as session:
            if session.get(Account, account_id) is None:
                raise NotFound("Account", account_id)
            named = select(User.user_id).where(User.account_id == account_id, User.name == user)
            user_id = session.scalar(named) if user is not None else None
            if user is not None and user_id is None:
                raise NotFound("User", user)
            session.add(
                StsToken(
                    access_key_id=issued.access_key_id,
                    account_id=account_id,
                    user_id=user_id,
                    role=role,
                    session_policy=policy,
                    secret_encrypted=self._keyring.encrypt(issued.secret),
                    token_sha256=_digest(issued.security_token),
                    expires_at=issued.expires_at,
                )
            )
        return issued

    def find(self, access_key_id: str) -> KeyFacts | None:
        """What a signature is checked with; None for a key that there is not."""
        with self._database.statements() as connection:
            key = connection.execute(_FIND, [access_key_id]).fetchone()
        if key is None:
            return None
        account_id, encrypted, user_id, user_name, role, version, policy = key
        principal = Principal(user_id, user_name, role, version, policy)
        return KeyFacts(access_key_id, self._decrypted(encrypted), account_id, principal, temporary=True)

    def state(self, token: str, access_key_id: str) -> TokenState:
        """What is to be said of a token that came with a key."""
        with self._database.statements() as connection:
            found = connection.execute(_STATE, [_digest(token)]).fetchone()
        if found is None:
            return TokenState.MALFORMED
        owner, expires_at = found
        if owner != access_key_id:
            return TokenState.FOREIGN
        return TokenState.VALID if self._now() < expires_at else TokenState.EXPIRED

    def all(self, account_id: str) -> list[TokenView]:
        """The tokens of an account that count now, those that expire first before the others."""
        counting = (
            select(StsToken, User.name)
            .outerjoin(User, User.user_id == StsToken.user_id)
            .where(StsToken.account_id == account_id, StsToken.expires_at > self._now())
            .order_by(StsToken.expires_at, StsToken.access_key_id)
        )
        with self._database.transaction() as session:
            return [
                TokenView(token.access_key_id, user, token.role, token.expires_at)
                for token, user in session.execute(counting)
            ]

    def revoke(self, access_key_id: str) -> None:
        """End a token now. Raises NotFound."""
        with self._database.transaction() as session:
            gone = delete(StsToken).where(StsToken.access_key_id == access_key_id)
            if session.scalar(gone.returning(StsToken.access_key_id)) is None:
                raise NotFound("AccessKey", access_key_id)

    def forget_expired(self, session: Session, most: int) -> tuple[int, bool]:
        """Remove at most so many that have been over for a while; how many, and whether there are more."""
        over = select(StsToken.access_key_id).where(StsToken.expires_at < self._now() - _REMEMBERED)
        those = over.order_by(StsToken.expires_at).limit(most).with_for_update(skip_locked=True)
        gone = session.scalars(
            delete(StsToken).where(StsToken.access_key_id.in_(those)).returning(StsToken.access_key_id)
        ).all()
        return len(gone), len(gone) == most


def key_lookup(keys: KeyLookup, temporary: KeyLookup) -> KeyLookup:
    """Find a key among the lasting or the temporary ones; its id says which it is."""
    return lambda access_key_id: (temporary if access_key_id.startswith(PREFIX) else keys)(access_key_id)


def _digest(token: str) -> bytes:
    # of 48 random bytes there is nothing to guess, so that a plain digest keeps them secret
    return hashlib.sha256(token.encode()).digest()
