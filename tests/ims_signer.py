"""A small client's side of both signatures, written from their published rules and not from our code.

signed = Acs3("id", "secret").sign("POST", "127.0.0.1:8080", "GetSnapshotJob", [("JobId", "x")])
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

Pairs = Sequence[tuple[str, str]]

VERSION = "2020-11-09"
_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~"


_ESCAPED = [chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in range(256)]


def escaped(text: str) -> str:
    return "".join(map(_ESCAPED.__getitem__, text.encode()))


def joined(pairs: Iterable[tuple[str, str]]) -> str:
    return "&".join(escaped(key) + "=" + escaped(value) for key, value in pairs)


def utc(moment: datetime | None = None) -> str:
    return (moment or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Signed:
    """A request, ready to go out."""

    method: str
    query: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def target(self) -> str:
        return f"/?{self.query}" if self.query else "/"


@dataclass(frozen=True)
class Acs3:
    """The newer signature: everything stands in headers."""

    key: str
    secret: str = field(repr=False)

    def sign(
        self,
        method: str,
        host: str,
        action: str,
        query: Pairs = (),
        *,
        form: Pairs = (),
        moment: datetime | None = None,
        nonce: str | None = None,
        token: str | None = None,
        more: Mapping[str, str] | None = None,
        leave_out: Sequence[str] = (),
    ) -> Signed:
        """`more` are further headers, signed too; headers of `leave_out` are sent, but not signed."""
        body = joined(form).encode()
        headers = {
            "host": host,
            "x-acs-action": action,
            "x-acs-version": VERSION,
            "x-acs-date": utc(moment),
            "x-acs-signature-nonce": nonce or secrets.token_hex(16),
            "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
            **({"x-acs-security-token": token, "x-acs-accesskey-id": self.key} if token else {}),
            **({"content-type": "application/x-www-form-urlencoded"} if form else {}),
            **(more or {}),
        }
        names = sorted(name for name in headers if name not in leave_out)
        canonical = [method, "/", joined(sorted(query))]
        canonical += [f"{name}:{headers[name].strip()}" for name in names]
        canonical += ["", ";".join(names), hashlib.sha256(body).hexdigest()]
        digest = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
        signature = hmac.digest(self.secret.encode(), f"ACS3-HMAC-SHA256\n{digest}".encode(), "sha256").hex()
        headers["authorization"] = (
            f"ACS3-HMAC-SHA256 Credential={self.key},SignedHeaders={';'.join(names)},Signature={signature}"
        )
        return Signed(method, joined(query), headers, body)


@dataclass(frozen=True)
class RpcV1:
    """The older signature: everything stands in parameters."""

    key: str
    secret: str = field(repr=False)

    def sign(
        self,
        method: str,
        host: str,
        action: str,
        query: Pairs = (),
        *,
        form: Pairs = (),
        moment: datetime | None = None,
        nonce: str | None = None,
        token: str | None = None,
        more: Mapping[str, str] | None = None,
        leave_out: Sequence[str] = (),
    ) -> Signed:
        """`more` are further public parameters, and take the place of ours; `leave_out` are not sent at all."""
        public = {
            "Action": action,
            "Version": VERSION,
            "Format": "JSON",
            "Timestamp": utc(moment),
            "SignatureNonce": nonce or secrets.token_hex(16),
            "SignatureMethod": "HMAC-SHA1",
            "SignatureVersion": "1.0",
            "AccessKeyId": self.key,
            **({"SecurityToken": token} if token else {}),
            **(more or {}),
        }
        sent = [*query, *((key, value) for key, value in public.items() if key not in leave_out)]
        text = f"{method}&%2F&" + escaped(joined(sorted([*sent, *form])))
        signature = base64.b64encode(hmac.digest(f"{self.secret}&".encode(), text.encode(), "sha1")).decode()
        headers = {"host": host} | ({"content-type": "application/x-www-form-urlencoded"} if form else {})
        if "Signature" not in leave_out:
            sent.append(("Signature", signature))
        return Signed(method, joined(sent), headers, joined(form).encode())
