"""What all sources over a network have in common: reads go through a cache, and hints are asked for on other threads.

    class RemoteSource(CachedSource):
        def fetch(self, offset: int, length: int) -> bytes: ...    # one request

The threads are those of the process: many sources at once ask for no more at the same time than one. So are the
indexes: what was read first of a content is there when it is opened again. What is asked for is counted.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Self

from stillframe.media.meter import Meter
from stillframe.storage.index_cache import IndexCache
from stillframe.storage.range_cache import Bounds, RangeCache

_INDEXES = IndexCache()


@dataclass(frozen=True, slots=True)
class Fetching:
    """How ranges are asked for ahead: so many at the same time by this process, in pieces, joined over small gaps."""

    at_a_time: int = 16
    piece_bytes: int = 1 << 20
    gap_bytes: int = 64 << 10


_fetching = Fetching()


def fetch_by(fetching: Fetching) -> None:
    """What an operator has set; it counts for what is opened from now on."""
    global _fetching
    _fetching = fetching


def fetching() -> Fetching:
    """How ranges are asked for now."""
    return _fetching


class CachedSource(ABC):
    """A source whose content comes by ranges, each of them a request."""

    def __init__(
        self,
        name: str,
        size: int,
        identity: str,
        *,
        store: str,
        where: Hashable | None,
        head: bytes = b"",
        looks: int = 1,
        ends: Sequence[int] = (),
    ) -> None:
        """`store` is the kind of store, for metrics. So many `looks` told size and identity, and `head` came with them.

        `where` together with the identity names a content that never changes; None when that is not certain. `ends` are
        those of the parts, where it has some: what is read of one tells nothing of the next.
        """
        self.name = name
        self.size = size
        self.identity = identity
        self.store = store
        self.meter = Meter(name, size)
        self._head = head
        self.meter.ask(len(head), looks)
        index = _INDEXES.of((where, identity, size)) if where is not None else None
        threads = _threads(_fetching.at_a_time)
        bounds = Bounds(piece_bytes=_fetching.piece_bytes, gap_bytes=_fetching.gap_bytes)
        self._cache = RangeCache(self._counted, size, threads, bounds, ends=ends, index=index)

    @abstractmethod
    def fetch(self, offset: int, length: int) -> bytes:
        """One request, past the cache: all of the range, of the content with this identity. Raises SourceError."""

    def cost(self, offset: int, length: int) -> tuple[int, int]:
        """How many bytes `fetch` gets over the network, and by how many requests."""
        return length, 1

    def _counted(self, offset: int, length: int) -> bytes:
        if offset + length <= len(self._head):
            return self._head[offset : offset + length]
        asked, requests = self.cost(offset, length)
        self.meter.ask(asked, requests)
        try:
            return self.fetch(offset, length)
        except BaseException:
            self.meter.came(asked, 0)
            raise

    def read_at(self, offset: int, length: int) -> bytes:
        return self._cache.read_at(offset, length)

    def prefetch(self, extents: Sequence[tuple[int, int]]) -> None:
        self._cache.prefetch(extents)

    def first_there(self, extents: Sequence[tuple[int, int]]) -> int:
        """The number of the first of these (offset, length) ranges to be there; 0 when none is on its way."""
        return self._cache.first_there(extents)

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
def _threads(at_a_time: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(at_a_time, "stillframe-ranges")
