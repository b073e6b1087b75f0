"""What was read first of objects, for when they are opened again: a job's next slice does not ask for the index.

    indexes = IndexCache()
    index = indexes.of(("s3://films", "movie.mp4", '"9bb58f26"', size))
    index.keep(0, block)    # blocks of the range cache, by their number
    index.get(0)

One for each process. An index is read before all else, so the first blocks that are read of a content are kept, up to
its share, and later ones never take their place; the contents that were not asked for longest go.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable

#: some six hours of an MP4's sample table
SHARE_BYTES = 16 << 20
MOST_BYTES = 32 << 20
_MOST_CONTENTS = 1000


class IndexCache:
    """Blocks of several contents. Safe to use from several threads."""

    def __init__(self, share_bytes: int = SHARE_BYTES, most_bytes: int = MOST_BYTES) -> None:
        self._share_bytes = share_bytes
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._contents: OrderedDict[Hashable, KeptIndex] = OrderedDict()
        self._bytes = 0

    def of(self, content: Hashable) -> KeptIndex:
        """What is kept of a content: one object, as it was when it had this ETag."""
        with self._lock:
            kept = self._contents.setdefault(content, KeptIndex(self))
            self._contents.move_to_end(content)
            self._make_room()
            return kept

    def keep(self, kept: KeptIndex, number: int, block: bytes) -> None:
        """`KeptIndex.keep`; others may have to go for it."""
        with self._lock:
            is_full = kept.bytes + len(block) > self._share_bytes
            if kept.is_dropped or is_full or number in kept.blocks:
                return
            kept.blocks[number] = block
            kept.bytes += len(block)
            self._bytes += len(block)
            self._make_room()

    def _make_room(self) -> None:
        while self._bytes > self._most_bytes or len(self._contents) > _MOST_CONTENTS:
            _, oldest = self._contents.popitem(last=False)
            self._bytes -= oldest.bytes
            oldest.is_dropped, oldest.blocks = True, {}


class KeptIndex:
    """The blocks that are kept of one content."""

    def __init__(self, cache: IndexCache) -> None:
        self.blocks: dict[int, bytes] = {}
        self.bytes = 0
        self.is_dropped = False
        self._cache = cache

    def get(self, number: int) -> bytes | None:
        """A block, when it is here."""
        return self.blocks.get(number)

    def keep(self, number: int, block: bytes) -> None:
        """Keep a block that was read, where there is room."""
        if number not in self.blocks:
            self._cache.keep(self, number, block)
