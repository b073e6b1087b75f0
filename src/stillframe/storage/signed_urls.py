"""Links to files that need no key: `/files/<token>/<bucket>/<key>`, valid for one scope until a moment in time.

    path = signed_path("local", "a/x.vtt", expires_at=now + 3600, signing_key=key)
    # "/files/ERtGqk…/local/a/x.vtt", and with the same token "/files/ERtGqk…/local/a/x/snapshot-00001.jpg"

The token stands in the path, so that a player that resolves a relative name in a track keeps it. A track's scope is the
track and the folder of its pictures beside it, any other file's is that file. The scope's text is not in the token: the
token says how many bytes of the key are signed, and the address gives them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal
from urllib.parse import quote

from stillframe.storage.addresses import is_plain

#: the fewest bytes that a signing key may have
SHORTEST_KEY_BYTES = 16
#: the path's first segment
FILES = "files"

_VERSION = 1
_MAC_BYTES = 16
#: version and kind, five bytes of Unix time, the length of the stem; with the MAC a multiple of three bytes, so that
#: base64 has no spare bits and each token has one spelling
_HEAD = struct.Struct(">BBIH")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32}")
_TRACK_SUFFIX = ".vtt"

Kind = Literal["file", "track", "folder"]
_KINDS: tuple[Kind, ...] = ("file", "track", "folder")


@dataclass(frozen=True, slots=True)
class Scope:
    """What a token is good for, in one bucket.

    `file`: the object with the key `stem`. `track`: `<stem>.vtt` and all below `<stem>/`. `folder`: all below
    `stem`, which ends with a slash.
    """

    bucket: str
    stem: str
    kind: Kind

    def covers(self, bucket: str, key: str) -> bool:
        """Whether an object lies in the scope. A key that climbs (`..`) lies in none."""
        if bucket != self.bucket or not key.startswith(self.stem) or not is_plain(key):
            return False
        rest = key[len(self.stem) :]
        if self.kind == "track":
            return rest.lower() == _TRACK_SUFFIX or rest.startswith("/")
        return bool(rest) and self.stem.endswith("/") if self.kind == "folder" else not rest


@dataclass(frozen=True, slots=True)
class Grant:
    """The link is good until `expires_at`, in seconds of Unix time."""

    expires_at: int


class Denial(StrEnum):
    """Why a link is not good. A link that was changed is never called expired."""

    EXPIRED = "expired"
    INVALID = "invalid"


def signed_path(
    bucket: str, key: str, *, expires_at: int, signing_key: bytes, scope: Scope | None = None
) -> str:
    """The path and percent-encoded name of an object's link, to be put behind the server's public URL.

    `expires_at` is in seconds of Unix time. Raises ValueError when the scope does not cover the object.
    """
    scope = scope or scope_of(bucket, key)
    if not scope.covers(bucket, key):
        raise ValueError(f"{scope} does not cover {key!r} in {bucket!r}")
    return f"/{FILES}/{sign(scope, expires_at, signing_key)}/{quote(bucket, safe='')}/{quote(key, safe='/')}"


def scope_of(bucket: str, key: str) -> Scope:
    """The least scope with which an object can be used: a track needs its pictures."""
    stem, suffix = key[: -len(_TRACK_SUFFIX)], key[-len(_TRACK_SUFFIX) :]
    if suffix.lower() == _TRACK_SUFFIX and stem and not stem.endswith("/"):
        return Scope(bucket, stem, "track")
    return Scope(bucket, key, "file")


def sign(scope: Scope, expires_at: int, signing_key: bytes) -> str:
    """A token of 32 URL-safe characters. Raises ValueError for a signing key that is too short."""
    if len(signing_key) < SHORTEST_KEY_BYTES:
        raise ValueError(
            f"a signing key has at least {SHORTEST_KEY_BYTES} bytes, this one {len(signing_key)}"
        )
    stem = scope.stem.encode()
    head = _HEAD.pack(
        _VERSION << 4 | _KINDS.index(scope.kind), expires_at >> 32, expires_at & 0xFFFFFFFF, len(stem)
    )
    return base64.urlsafe_b64encode(head + _mac(signing_key, head, scope.bucket, stem)).decode()


def verify(token: str, bucket: str, key: str, *, now: float, signing_keys: Sequence[bytes]) -> Grant | Denial:
    """Whether a token is good for an object at the time `now`; any of the signing keys may have signed it."""
    if not _TOKEN.fullmatch(token):
        return Denial.INVALID
    raw = base64.urlsafe_b64decode(token)
    head, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    version_and_kind, era, seconds, length = _HEAD.unpack(head)
    stem = key.encode(errors="surrogatepass")[:length]
    signed = [hmac.compare_digest(mac, _mac(signing_key, head, bucket, stem)) for signing_key in signing_keys]
    version, kind = divmod(version_and_kind, 16)
    if not any(signed) or version != _VERSION:
        return Denial.INVALID
    if not Scope(bucket, stem.decode(), _KINDS[kind]).covers(bucket, key):
        return Denial.INVALID
    expires_at = era << 32 | seconds
    return Grant(expires_at) if now < expires_at else Denial.EXPIRED


def _mac(signing_key: bytes, head: bytes, bucket: str, stem: bytes) -> bytes:
    # the head gives the stem's length, so that no other bucket and stem make the same message
    message = b"stillframe file link\0" + head + bucket.encode(errors="surrogatepass") + b"/" + stem
    return hmac.digest(signing_key, message, hashlib.sha256)[:_MAC_BYTES]
