"""What all sources over a network have in common: reads go through a cache, and hints are asked for on other threads.

    class RemoteSource(CachedSource):
        def fetch(self, offset: int, length: int) -> bytes: ...    # one request

The threads are those of the process: many sources at once ask for no more at the same time than one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from types import TracebackType
from typing import Self

from stillframe.storage.range_cache import RangeCache

#: ranges of all sources of this process that are asked for ahead at the same time
AT_A_TIME = 16


class CachedSource(ABC):
    """A source whose content comes by ranges, each of them a request."""

    def __init__(self, name: str, size: int, identity: str, *, ends: Sequence[int] = ()) -> None:
        """`ends` are those of the parts, where it has some: what is read of one tells nothing of the next."""
        self.name = name
        self.size = size
        self.identity = identity
        self._cache = RangeCache(self.fetch, size, _threads(), ends=ends)

    @abstractmethod
    def fetch(self, offset: int, length: int) -> bytes:
        """One request, past the cache: all of the range, of the content with this identity. Raises SourceError."""

    def read_at(self, offset: int, length: int) -> bytes:
        return self._cache.read_at(offset, length)

    def prefetch(self, extents: Sequence[tuple[int, int]]) -> None:
        self._cache.prefetch(extents)

    def close(self) -> None:
        """Ask for nothing more ahead, and let go of what was read."""
        self._cache.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(AT_A_TIME, "stillframe-ranges")
