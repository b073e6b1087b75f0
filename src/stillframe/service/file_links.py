"""Signed links to objects, as answers give them: the store's own where it can sign, else ours."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import structlog

from stillframe.catalog.buckets import BucketView
from stillframe.errors import ConfigError, SourceError, Unavailable
from stillframe.storage.signed_urls import signed_path
from stillframe.storage.track_links import TrackGrant, track_path

log = structlog.get_logger(__name__)


class FileLinks:
    """Makes links that are good for `max_expiry_s` at the most; ours stand below the server's public URL."""

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

    def soonest_expiry(self, timeout_s: int) -> int:
        """When a link ends that is made now for so long, or for as long as one may be."""
        return int(time.time()) + min(timeout_s, self._max_expiry_s)

    def urls(self, bucket: BucketView, keys: Sequence[str], expires_at: int) -> Mapping[str, str]:
        """The link to each of these objects. Raises Unavailable where the store's keys cannot be had."""
        try:
            signed = bucket.open().links(keys, max(1, expires_at - int(time.time())))
        except SourceError as error:
            # what is wrong with them is for the operator to know
            log.warning("links cannot be signed", bucket=bucket.name, error=str(error))
            raise Unavailable(f"store of the bucket {bucket.name}") from error
        if signed is not None:
            return dict(zip(keys, signed, strict=True))
        return {
            key: self._ours(
                signed_path(bucket.name, key, expires_at=expires_at, signing_key=self._signing_key)
            )
            for key in keys
        }

    def track_url(self, account_id: str, bucket: str, key: str, expires_at: int) -> str:
        """The link to a track, whose pictures get theirs when it is read."""
        return self._ours(track_path(TrackGrant(account_id, bucket, key, expires_at), self._signing_key))

    def _ours(self, path: str) -> str:
        return self._public_url().rstrip("/") + path
