"""A video that lies far away: read by ranges through the cache, and every range is counted."""

from __future__ import annotations

import threading

from stillframe.storage.cached_source import CachedSource


class AwaySource(CachedSource):
    """Some content, as a store would give it out."""

    def __init__(self, content: bytes) -> None:
        self.ranges: list[tuple[int, int]] = []
        self._content = content
        self._counting = threading.Lock()
        super().__init__("away", len(content), "1", store="test", where=None)

    def fetch(self, offset: int, length: int) -> bytes:
        with self._counting:
            self.ranges.append((offset, length))
        return self._content[offset : offset + length]

    @property
    def bytes_read(self) -> int:
        """Of all ranges together."""
        return sum(length for _, length in self.ranges)
