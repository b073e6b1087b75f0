"""Who sent a request: its signature, its time, its nonce and its token, checked in this order.

A request is signed in one of two ways, ACS3-HMAC-SHA256 (`acs3.py`) or the older RPC V1 with HMAC-SHA1
(`rpc_v1.py`). Where keys, tokens and nonces are kept is not known here: they come as small functions.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol

from stillframe.accounts import acs3, rpc_v1
from stillframe.accounts.signed_request import Claim, SignedRequest
from stillframe.errors import AuthenticationError

#: how far a request's time may be from ours, both ways
WINDOW = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Principal:
    """Whose a key is within its account, and what narrows it; without anything it is the account's own.

    A user may do what the policies attached to them allow, `policies_version` says which state of them counts. A
    role may do what its session's policy allows. `session_policy` is a document, and narrows a user's session, too.
    """

    user_id: str | None = None
    user_name: str | None = None
    role: str | None = None
    policies_version: int = 0
    session_policy: str | None = None

    @property
    def is_account(self) -> bool:
        """Whether it may do all that the account may."""
        return self.user_id is None and self.role is None


ACCOUNT = Principal()


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """An access key as it is stored. `temporary` keys (STS) count only together with their token."""

    access_key_id: str
    secret: str = field(repr=False)
    account_id: str
    principal: Principal = ACCOUNT
    active: bool = True
    temporary: bool = False


class TokenState(Enum):
    """What is known of a security token and the key that it came with."""

    VALID = "valid"
    EXPIRED = "Expired"
    MALFORMED = "Malformed"
    FOREIGN = "MismatchWithAccessKey"


KeyLookup = Callable[[str], KeyFacts | None]
TokenLookup = Callable[[str, str], TokenState]


class Nonces(Protocol):
    """The memory of used nonces, shared by all processes and kept over restarts."""

    def use(self, nonce: str, access_key_id: str, until: datetime) -> bool:
        """Remember the nonce of this key until then. False when it was there already."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request, proven."""

    account_id: str
    access_key_id: str
    principal: Principal = ACCOUNT
    security_token: str | None = field(default=None, repr=False)


def no_tokens(token: str, access_key_id: str) -> TokenState:
    """The token lookup of a service that has issued none."""
    return TokenState.MALFORMED


def authenticate(
    request: SignedRequest,
    *,
    keys: KeyLookup,
    nonces: Nonces,
    now: datetime,
    tokens: TokenLookup = no_tokens,
) -> Caller:
    """The caller that signed this request. Raises AuthenticationError, with the gateway's code, for all others.

    A nonce is used up only by a request whose signature is right, so that nobody can burn another's.
    """
    claim = _claim(request)
    key = keys(claim.access_key_id)
    if key is None:
        raise AuthenticationError("InvalidAccessKeyId.NotFound", access_key_id=claim.access_key_id)
    if not key.active:
        raise AuthenticationError("InvalidAccessKeyId.Inactive", access_key_id=claim.access_key_id)
    if abs(now - claim.time) > WINDOW:
        raise AuthenticationError(
            "InvalidTimeStamp.Expired",
            time=f"{claim.time:%Y-%m-%dT%H:%M:%SZ}",
            now=f"{now:%Y-%m-%dT%H:%M:%SZ}",
        )
    right = claim.sign(key.secret, claim.string_to_sign)
    if not hmac.compare_digest(right.encode(), claim.signature.encode()) or "flaw" in claim.evidence:
        raise AuthenticationError("SignatureDoesNotMatch", **claim.evidence)
    if not nonces.use(claim.nonce, claim.access_key_id, claim.time + WINDOW):
        raise AuthenticationError("SignatureNonceUsed", nonce=claim.nonce)
    _check_token(claim, key, tokens)
    return Caller(key.account_id, key.access_key_id, key.principal, claim.security_token)


def _claim(request: SignedRequest) -> Claim:
    authorization = request.header("authorization")
    if authorization is not None and authorization.startswith("ACS3-"):
        return acs3.claim(request, authorization)
    if authorization is not None and not rpc_v1.is_signed(request):
        scheme = authorization.partition(" ")[0]
        raise AuthenticationError("InvalidSignatureMethod", method=scheme[:64])
    return rpc_v1.claim(request)


def _check_token(claim: Claim, key: KeyFacts, tokens: TokenLookup) -> None:
    if claim.security_token is None:
        if key.temporary:
            raise AuthenticationError("MissingSecurityToken", name="SecurityToken")
        return
    state = tokens(claim.security_token, claim.access_key_id)
    if state is not TokenState.VALID:
        raise AuthenticationError(f"InvalidSecurityToken.{state.value}")
