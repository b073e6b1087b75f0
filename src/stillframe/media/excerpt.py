"""A small file made of a few ranges of a large one, such as its header and what lies at one place."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from stillframe.media.source import ByteSource


class Excerpt:
    """A `ByteSource` of (offset, length) ranges of another one, in their order. The other one stays open."""

    def __init__(self, source: ByteSource, ranges: Sequence[tuple[int, int]]) -> None:
        self.name = source.name
        self.identity = source.identity
        self._source = source
        self._ranges = [(offset, length) for offset, length in ranges if length > 0]
        *starts, self.size = accumulate((length for _, length in self._ranges), initial=0)
        self._starts = starts

    def read_at(self, offset: int, length: int) -> bytes:
        parts = []
        for place, wanted in self._places(offset, length):
            parts.append(self._source.read_at(place, wanted))
            if len(parts[-1]) < wanted:
                # the other one is shorter than it was said to be
                break
        return b"".join(parts)

    def prefetch(self, extents: Sequence[tuple[int, int]]) -> None:
        self._source.prefetch([place for extent in extents for place in self._places(*extent)])

    def close(self) -> None:
        """Nothing to give back."""

    def _places(self, offset: int, length: int) -> list[tuple[int, int]]:
        """Where the bytes of a range lie in the other one."""
        end = min(offset + length, self.size)
        places = []
        while offset < end:
            number = bisect_right(self._starts, offset) - 1
            place, size = self._ranges[number]
            within = offset - self._starts[number]
            part = min(size - within, end - offset)
            places.append((place + within, part))
            offset += part
        return places
