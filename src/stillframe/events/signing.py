"""How a receiver can tell that a message is ours: the headers of both ways to sign.

IMS signs the callback's URL and the time, not the message, with MD5. Standard Webhooks signs the message, its id and
the time with HMAC-SHA256 (https://www.standardwebhooks.com), with a secret of its own: the MD5 is everything that one
needs to guess the AuthKey.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from stillframe.errors import ConfigError

_PREFIX = "whsec_"
_FEWEST_BYTES, _MOST_BYTES = 24, 64


def ims_headers(url: str, auth_key: str, timestamp: int) -> dict[str, str]:
    """The headers of a callback whose AuthSwitch is on; `timestamp` is in seconds (`ims_api`, 3.10)."""
    text = f"{url}|{timestamp}|{auth_key}"
    signature = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    return {"X-ICE-TIMESTAMP": str(timestamp), "X-ICE-SIGNATURE": signature}


def webhook_headers(secret: str, event_id: str, body: bytes, timestamp: int) -> dict[str, str]:
    """The headers of Standard Webhooks, symmetric scheme (v1). The same event has the same id in every try."""
    signed = f"{event_id}.{timestamp}.".encode() + body
    digest = hmac.digest(webhook_key(secret), signed, hashlib.sha256)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def webhook_key(secret: str) -> bytes:
    """The bytes of a secret such as `whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw`. Raises ConfigError."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(_PREFIX) or not _FEWEST_BYTES <= len(key) <= _MOST_BYTES:
        allowed = f"{_PREFIX} and {_FEWEST_BYTES} to {_MOST_BYTES} random bytes in base64"
        raise ConfigError("WebhookSecret", "(not shown)", allowed) from None
    return key
