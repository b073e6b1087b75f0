"""Where pictures lie in a file that has no index: what a piece of it tells, and what that says of the rest. Pure.

A `Layout` knows one container: it finds the pictures in a piece of a file. `Points` guesses where a time lies
between the places whose time is known.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Odd(Exception):
    """The file is not as regular as it must be: it is to be read as libav reads it, without a plan."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture's place in the file and its time in ticks.

    `end` is where its data end, 0 where only what follows tells. `cluster_ticks` is the time that Matroska counts from.
    """

    position: int
    pts: int
    keyframe: bool
    end: int = 0
    cluster_ticks: int = 0


class Look(NamedTuple):
    """All pictures that begin from byte `start` on and before `stop`, in the file's order.

    `cluster_ticks` goes on from `stop`; None where that is the next look's to find out.
    """

    pictures: Sequence[Picture]
    start: int
    stop: int
    cluster_ticks: int | None = None


class Layout(Protocol):
    """How one file is laid out."""

    @property
    def first_position(self) -> int:
        """Where the pictures begin."""

    @property
    def follow(self) -> int:
        """How many later pictures' beginnings libav must see before it gives a picture out that has no `end`."""

    def look(self, data: bytes, base: int, start: int, stop: int, cluster_ticks: int | None = None) -> Look:
        """The pictures from `start` on and before `stop` in `data`, which lies at byte `base` of the file.

        `cluster_ticks` is what a look that ended at `start` gave; without, the first place to go on from is found,
        and when there is none, the look starts and stops at `stop`. Raises Odd.
        """


class Points:
    """Known places and their times, both ascending."""

    def __init__(self, first: tuple[int, int], end: tuple[int, int]) -> None:
        """`first` and `end` are (pts, position) of the first picture and of the end."""
        self._times = [first[0], end[0]]
        self._places = [first[1], end[1]]
        if first[0] >= end[0] or first[1] >= end[1]:
            raise Odd("its times do not ascend")

    def add(self, pictures: Iterable[Picture]) -> None:
        """Learn where keyframes are; raises Odd when their times do not ascend with their places."""
        for picture in pictures:
            if not picture.keyframe:
                continue
            at = bisect_left(self._times, picture.pts)
            if at < len(self._times) and self._times[at] == picture.pts:
                if self._places[at] != picture.position and 0 < at < len(self._times) - 1:
                    raise Odd("two keyframes have the same time")
                continue
            before = self._places[at - 1] if at else -1
            after = self._places[at] if at < len(self._places) else picture.position + 1
            if not before <= picture.position <= after:
                raise Odd("its times do not ascend")
            self._times.insert(at, picture.pts)
            self._places.insert(at, picture.position)

    def guess(self, pts: int) -> int:
        """Where a time should lie."""
        right = min(max(bisect_right(self._times, pts), 1), len(self._times) - 1)
        (t0, t1), (p0, p1) = self._times[right - 1 : right + 1], self._places[right - 1 : right + 1]
        return p0 + (p1 - p0) * min(max(pts - t0, 0), t1 - t0) // (t1 - t0)
