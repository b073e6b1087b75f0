"""Signed requests and the keys that the tests of signatures check them with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ims_signer import Acs3, RpcV1, Signed
from stillframe.accounts.signatures import Caller, KeyFacts, Principal, authenticate
from stillframe.accounts.signed_request import SignedRequest
from stillframe.errors import AuthenticationError, ConfigError
from stillframe.ims import wire
from stillframe.service.errors import as_api_error

NOW = datetime(2026, 11, 22, 17, 30, 42, tzinfo=UTC)
HOST = "127.0.0.1:8080"
ACS3 = Acs3("id", "secret")
V1 = RpcV1("id", "secret")
BOTH = pytest.mark.parametrize("signer", [ACS3, V1], ids=["acs3", "v1"])

KEYS = {
    "id": KeyFacts("id", "secret", "1001", principal=Principal("7", "alice")),
    "off": KeyFacts("off", "secret", "1001", active=False),
    "STS.id": KeyFacts("STS.id", "secret", "1001", temporary=True),
}


class Nonces:
    """Nonces in a set; `until` is what the last one was to be remembered for."""

    def __init__(self) -> None:
        self.used: set[tuple[str, str]] = set()
        self.until: datetime | None = None

    def use(self, nonce: str, access_key_id: str, until: datetime) -> bool:
        if (nonce, access_key_id) in self.used:
            return False
        self.used.add((nonce, access_key_id))
        self.until = until
        return True


def arrived(signed: Signed) -> SignedRequest:
    headers = [(name.lower().encode(), value.encode()) for name, value in signed.headers.items()]
    return wire.read(signed.method, "/", signed.query.encode(), headers, signed.body)


def check(request: SignedRequest, nonces: Nonces | None = None, **options: Any) -> Caller:
    options = {"keys": KEYS.get, "nonces": nonces or Nonces(), "now": NOW} | options
    return authenticate(request, **options)


def refusal(request: SignedRequest, nonces: Nonces | None = None, **options: Any) -> tuple[int, str, str]:
    """Status, code and message of the answer."""
    with pytest.raises((AuthenticationError, ConfigError)) as caught:
        check(request, nonces, **options)
    told = as_api_error(caught.value)
    assert told is not None
    return told.status, told.code, told.message
