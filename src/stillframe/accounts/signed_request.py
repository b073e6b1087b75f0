"""A signed request as it arrived, and what it claims about itself; nothing here is proven."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

from stillframe.errors import AuthenticationError, ConfigError

Pairs = Sequence[tuple[str, str]]

#: a nonce is remembered, so it must not be of any length
LONGEST_NONCE = 128


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What arrived. Parameters are decoded, in their order, with repeated ones; header names are lower-case.

    `body_sha256` is the lower-case hex digest of the body, computed by us and not taken from a header.
    """

    method: str
    path: str
    headers: Mapping[str, Sequence[str]]
    query: Pairs
    form: Pairs
    body_sha256: str

    def header(self, name: str) -> str | None:
        """The one value of a header, or None. Raises ConfigError when it came more than once."""
        values = self.headers.get(name, ())
        if len(values) > 1:
            raise ConfigError(name, list(values), "a header that is given once")
        return values[0] if values else None

    def parameter(self, name: str) -> str | None:
        """The one value of a query or form parameter, or None. Raises ConfigError when it came more than once."""
        values = [value for pairs in (self.query, self.form) for key, value in pairs if key == name]
        if len(values) > 1:
            raise ConfigError(name, values, "given once, in the query or in the form")
        return values[0] if values else None


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says about its sender.

    `sign(secret, string_to_sign)` is the signature that it should bear. `evidence` tells its sender what
    we have signed when that is another one; its `flaw` is a reason to refuse even the right one.
    """

    access_key_id: str
    signature: str
    time: datetime
    nonce: str
    string_to_sign: str
    sign: Callable[[str, str], str]
    evidence: Mapping[str, str]
    security_token: str | None = field(default=None, repr=False)


def percent_encoded(text: str) -> str:
    """Percent-encoding by RFC 3986: all but letters, digits and `-_.~`, upper-case hex, UTF-8."""
    return quote(text, safe="-_.~")


def canonical_query(pairs: Pairs) -> str:
    """Parameters sorted and percent-encoded, joined by `=` and `&`."""
    return "&".join(f"{percent_encoded(key)}={percent_encoded(value)}" for key, value in sorted(pairs))


def parse_time(text: str, name: str) -> datetime:
    """A time such as 2026-11-22T17:30:42Z. Raises AuthenticationError (InvalidTimeStamp.Format) for all else."""
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", text):
        try:
            return datetime.fromisoformat(text[:-1]).replace(tzinfo=UTC)
        except ValueError:
            pass
    raise AuthenticationError("InvalidTimeStamp.Format", name=name, time=text[:64])


def check_nonce(nonce: str) -> str:
    """The nonce itself. Raises AuthenticationError when it is too long to be remembered."""
    if len(nonce) > LONGEST_NONCE:
        raise AuthenticationError(
            "IncompleteSignature", flaw=f"The nonce has {len(nonce)} characters; {LONGEST_NONCE} is the most."
        )
    return nonce
