"""Values that were asked for not long ago, in so many bytes of memory: those that were not, go.

surveys = RecentlyUsed[Survey](32 << 20)
surveys.keep(key, survey, bytes_of(survey))
surveys.of(key)
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class RecentlyUsed(Generic[Value]):
    """Values by their keys. Safe to use from several threads."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._bytes = 0

    def of(self, key: Hashable) -> Value | None:
        """What is kept under a key."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def keep(self, key: Hashable, value: Value, size_bytes: int) -> None:
        """Keep a value that takes so much memory; others go for it. One that is too large is not kept."""
        if size_bytes > self._most_bytes:
            return
        with self._lock:
            _, before = self._kept.pop(key, (None, 0))
            self._kept[key] = value, size_bytes
            self._bytes += size_bytes - before
            while self._bytes > self._most_bytes:
                _, (_, gone) = self._kept.popitem(last=False)
                self._bytes -= gone
