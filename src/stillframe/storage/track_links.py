"""Links to tracks that need no key: `/tracks/<token>/<name>.vtt`, each for one account's look at one track.

    path = track_path(TrackGrant("1234567890", "films", "a/x.vtt", now + 3600), signing_key)
    # "/tracks/BmAx…/x.vtt"

Bucket and key are in the token, so that nothing is stored for a link; the name stands behind it for players that look
at the ending.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from stillframe.storage.signed_urls import Denial, demand_length

#: the path's first segment
TRACKS = "tracks"

_VERSION = 1
_MAC_BYTES = 16
#: version, Unix time, and how many bytes account and bucket have; all the rest is the key
_HEAD = struct.Struct(">BQBB")
#: no account, bucket and key make a longer token
_LONGEST_TOKEN = 4096


@dataclass(frozen=True, slots=True)
class TrackGrant:
    """The account's track may be read until `expires_at`, in seconds of Unix time."""

    account_id: str
    bucket: str
    key: str
    expires_at: int

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition("/")[2]


def track_path(grant: TrackGrant, signing_key: bytes) -> str:
    """The path of a track's link, to be put behind the server's public URL.

    Raises ValueError for a signing key that is too short.
    """
    demand_length(signing_key)
    account, bucket, key = (text.encode() for text in (grant.account_id, grant.bucket, grant.key))
    signed = _HEAD.pack(_VERSION, grant.expires_at, len(account), len(bucket)) + account + bucket + key
    token = base64.urlsafe_b64encode(_mac(signing_key, signed) + signed).rstrip(b"=").decode()
    return f"/{TRACKS}/{token}/{quote(grant.name, safe='')}"


def verify_track(token: str, name: str, *, now: float, signing_keys: Sequence[bytes]) -> TrackGrant | Denial:
    """What a token is good for at the time `now`, with the name behind it; any of the keys may have signed it."""
    raw = _decoded(token)
    mac, signed = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    is_signed = [hmac.compare_digest(mac, _mac(signing_key, signed)) for signing_key in signing_keys]
    if not any(is_signed) or signed[0] != _VERSION:
        return Denial.INVALID
    _, expires_at, account, bucket = _HEAD.unpack_from(signed)
    rest = signed[_HEAD.size :]
    key_at = account + bucket
    grant = TrackGrant(
        rest[:account].decode(), rest[account:key_at].decode(), rest[key_at:].decode(), expires_at
    )
    if name != grant.name:
        return Denial.INVALID
    return grant if now < expires_at else Denial.EXPIRED


def _decoded(token: str) -> bytes:
    """Empty for what is no token. Spare bits at the end are no second spelling."""
    if len(token) > _LONGEST_TOKEN or not token.isascii():
        return b""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        return b""
    return raw if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == token else b""


def _mac(signing_key: bytes, signed: bytes) -> bytes:
    return hmac.digest(signing_key, b"stillframe track link\0" + signed, hashlib.sha256)[:_MAC_BYTES]
