"""What was read of a source, and how much may be: bytes and requests, counted where they cost something.

    meter = Meter("oss://films/movie.mp4", size)
    meter.allow(ReadLimit(20 << 20))
    meter.ask(65_536)        # before a request; raises TooMuchRead
    meter.came(65_536, 512)  # after it: so much of what was asked for

A source that reads over a network has a `meter` of its own: what its cache gives from memory costs nothing, and what it
reads ahead does. Of all others, what the decoder reads is counted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from stillframe.errors import TooMuchRead

if TYPE_CHECKING:
    from stillframe.media.config import SnapshotConfig


def _nothing() -> int:
    return 0


@dataclass(frozen=True, slots=True)
class ReadLimit:
    """The most bytes that may be read. `before` says how many of them are read already, elsewhere, whenever asked."""

    most_bytes: int
    before: Callable[[], int] = _nothing


def limit_of(
    config: SnapshotConfig, ceiling: int | None = None, before: Callable[[], int] = _nothing
) -> ReadLimit | None:
    """What a config allows, under an operator's ceiling; None where neither says anything."""
    allowed = [most for most in (config.max_read_bytes, ceiling) if most is not None]
    return ReadLimit(min(allowed), before) if allowed else None


class Counts(Protocol):
    """Where it is put down what was read: `report.Stats`."""

    bytes_read: int
    reads: int
    requests: int


class Meter:
    """Counts for one source, for all threads that read it."""

    def __init__(self, source: str, size: int) -> None:
        self.bytes_read = 0
        self.requests = 0
        self._source = source
        self._size = size
        self._limit: ReadLimit | None = None
        self._told = (0, 0)
        self._lock = threading.Lock()

    def allow(self, limit: ReadLimit | None) -> None:
        """Refuse from now on what goes beyond a limit. Raises TooMuchRead where it is exceeded already."""
        self._limit = limit
        if limit is not None and limit.before() + self.bytes_read > limit.most_bytes:
            raise TooMuchRead(self._source, limit.most_bytes, self._size)

    def ask(self, length: int, requests: int = 1) -> None:
        """A request for so many bytes is about to be made, or several. Raises TooMuchRead."""
        limit = self._limit
        before = limit.before() if limit is not None else 0
        with self._lock:
            if limit is not None and before + self.bytes_read + length > limit.most_bytes:
                raise TooMuchRead(self._source, limit.most_bytes, self._size)
            # counted from now on, so that several threads do not go beyond the limit together
            self.bytes_read += length
            self.requests += requests

    def came(self, asked: int, length: int) -> None:
        """Of so many bytes that were asked for, so many have come."""
        if asked != length:
            with self._lock:
                self.bytes_read -= asked - length

    def take(self, stats: Counts) -> None:
        """Put into `stats` what has come since this was called last."""
        with self._lock:
            read, requests = self._told
            # less than before, where a request has failed that was counted
            self._told = max(self.bytes_read, read), self.requests
            stats.bytes_read, stats.requests = self._told[0] - read, self._told[1] - requests


@runtime_checkable
class NetworkSource(Protocol):
    """A source that counts by itself what goes over the network."""

    @property
    def meter(self) -> Meter:
        """Its counts."""


def meter_of(source: object) -> Meter | None:
    """The meter of a source that reads over a network."""
    return source.meter if isinstance(source, NetworkSource) else None
