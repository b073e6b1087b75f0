"""Signed links to objects, as answers give them."""

from __future__ import annotations

import time
from collections.abc import Callable

from stillframe.errors import ConfigError
from stillframe.storage.signed_urls import signed_path


class FileLinks:
    """Makes links below the server's public URL, good for `max_expiry_s` at the most."""

    def __init__(
        self, public_url: Callable[[], str], signing_key: bytes, *, max_expiry_s: int = 129_600
    ) -> None:
        self._public_url = public_url
        self._signing_key = signing_key
        self._max_expiry_s = max_expiry_s

    def expiry(self, parameter: str, timeout_s: int) -> int:
        """When a link ends that is made now, in seconds of Unix time. Raises ConfigError for too long a time."""
        if timeout_s > self._max_expiry_s:
            raise ConfigError(parameter, timeout_s, f"at most {self._max_expiry_s} seconds")
        return int(time.time()) + timeout_s

    def url(self, bucket: str, key: str, expires_at: int) -> str:
        """The link to an object."""
        path = signed_path(bucket, key, expires_at=expires_at, signing_key=self._signing_key)
        return self._public_url().rstrip("/") + path
