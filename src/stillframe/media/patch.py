"""A contiguous piece of a file that grows at its ends, and the pictures that are known in it."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

from stillframe.media.landmarks import Layout, Odd, Picture


class Patch:
    """What was read of a file around a place."""

    def __init__(self, layout: Layout, base: int, data: bytes, size: int) -> None:
        self._layout = layout
        self._size = size
        self._cluster_ticks: int | None = None
        self.base = base
        self.data = data
        self.pictures: list[Picture] = []
        #: all pictures that begin from `start` on and before `stop` are known
        self.start = self.stop = 0
        self._look_anew()

    @property
    def end(self) -> int:
        """The file's byte after the piece."""
        return self.base + len(self.data)

    @property
    def begins(self) -> bool:
        """Whether there is no picture before it."""
        return self.base <= self._layout.first_position

    @property
    def ends(self) -> bool:
        """Whether the file ends with it."""
        return self.end >= self._size

    def grow_right(self, data: bytes) -> None:
        """Go on with what follows in the file."""
        self.data += data
        if not self.pictures:
            self._look_anew()
            return
        look = self._layout.look(self.data, self.base, self.stop, self.end, self._cluster_ticks)
        self.pictures += look.pictures
        self.stop, self._cluster_ticks = look.stop, look.cluster_ticks

    def grow_left(self, data: bytes) -> None:
        """Put what comes before it in the file in front."""
        self.data = data + self.data
        self.base -= len(data)
        if not self.pictures:
            self._look_anew()
            return
        look = self._layout.look(self.data, self.base, self.base, self.start)
        if look.stop != self.start:
            raise Odd("what was found goes on otherwise than where it was found")
        self.pictures[:0] = look.pictures
        self.start = look.start

    def count_before(self, pts: int) -> int:
        """How many of the pictures come, in the file's order, before the first one that is shown after `pts`."""
        for number, picture in enumerate(self.pictures):
            if picture.pts > pts:
                return number
        return len(self.pictures)

    def keyframes(self) -> list[Picture]:
        """The keyframes in it, in the file's order, which is that of their times. Raises Odd when it is not."""
        found = [picture for picture in self.pictures if picture.keyframe]
        if any(later.pts <= earlier.pts for earlier, later in pairwise(found)):
            raise Odd("its keyframes' times do not ascend")
        return found

    def piece(self, picture: Picture, after: int | None = None) -> bytes:
        """What is there from a picture on, up to `after`, or to the end."""
        return self.data[picture.position - self.base : None if after is None else after - self.base]

    def _look_anew(self) -> None:
        look = self._layout.look(self.data, self.base, self.base, self.end)
        self.pictures = list(look.pictures)
        self.start, self.stop, self._cluster_ticks = look.start, look.stop, look.cluster_ticks


def last_keyframe(keyframes: list[Picture], pts: int) -> Picture | None:
    """The last one that is shown at or before a time."""
    at = bisect_right([picture.pts for picture in keyframes], pts)
    return keyframes[at - 1] if at else None
