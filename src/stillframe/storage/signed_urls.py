"""Links to files that need no key: `/files/<token>/<bucket>/<key>`, each valid for one object until a moment in time.

path = signed_path("local", "a/x.jpg", expires_at=now + 3600, signing_key=key)    # "/files/AQAAAG…/local/a/x.jpg"
verify(token, "local", "a/x.jpg", now=now, signing_keys=[key])    # Grant(expires_at=…)
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote

#: the fewest bytes that a signing key may have
SHORTEST_KEY_BYTES = 16
#: the path's first segment
FILES = "files"

_VERSION = 2
_MAC_BYTES = 16
#: with the MAC a multiple of three bytes, so that base64 has no spare bits and each token has one spelling
_VERSION_BYTES, _TIME_BYTES = 1, 7
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32}")


@dataclass(frozen=True, slots=True)
class Grant:
    """The link is good until `expires_at`, in seconds of Unix time."""

    expires_at: int


class Denial(StrEnum):
    """Why a link is not good. A link that was changed is never called expired."""

    EXPIRED = "expired"
    INVALID = "invalid"


def signed_path(bucket: str, key: str, *, expires_at: int, signing_key: bytes) -> str:
    """The path and percent-encoded name of an object's link, to be put behind the server's public URL.

    `expires_at` is in seconds of Unix time. Raises ValueError for a signing key that is too short.
    """
    token = sign(bucket, key, expires_at, signing_key)
    return f"/{FILES}/{token}/{quote(bucket, safe='')}/{quote(key, safe='/')}"


def sign(bucket: str, key: str, expires_at: int, signing_key: bytes) -> str:
    """A token of 32 URL-safe characters. Raises ValueError for a signing key that is too short."""
    demand_length(signing_key)
    head = _VERSION.to_bytes(_VERSION_BYTES) + expires_at.to_bytes(_TIME_BYTES)
    return base64.urlsafe_b64encode(head + _mac(signing_key, head, bucket, key)).decode()


def demand_length(signing_key: bytes) -> None:
    """Refuse a signing key that could be guessed. Raises ValueError."""
    if len(signing_key) < SHORTEST_KEY_BYTES:
        raise ValueError(
            f"a signing key has at least {SHORTEST_KEY_BYTES} bytes, this one {len(signing_key)}"
        )


def verify(token: str, bucket: str, key: str, *, now: float, signing_keys: Sequence[bytes]) -> Grant | Denial:
    """Whether a token is good for an object at the time `now`; any of the signing keys may have signed it."""
    if not _TOKEN.fullmatch(token):
        return Denial.INVALID
    raw = base64.urlsafe_b64decode(token)
    head, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    signed = [hmac.compare_digest(mac, _mac(signing_key, head, bucket, key)) for signing_key in signing_keys]
    if not any(signed) or head[0] != _VERSION:
        return Denial.INVALID
    expires_at = int.from_bytes(head[_VERSION_BYTES:])
    return Grant(expires_at) if now < expires_at else Denial.EXPIRED


def _mac(signing_key: bytes, head: bytes, bucket: str, key: str) -> bytes:
    names = [name.encode(errors="surrogatepass") for name in (bucket, key)]
    # the length, so that no other bucket and key make the same message
    message = b"stillframe file link\0" + head + len(names[0]).to_bytes(4) + names[0] + names[1]
    return hmac.digest(signing_key, message, hashlib.sha256)[:_MAC_BYTES]
