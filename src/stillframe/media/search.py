"""Looking for a keyframe in a file without an index: which pieces to read, as a conversation.

A search is a generator: it yields what is `Wanted`, is sent the bytes, and returns what it has found. Whoever leads
it may read for many searches at once; the pieces come in no order that matters. Bounded, whatever the file holds.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from stillframe.media.landmarks import Layout, Odd, Picture, Points
from stillframe.media.patch import Patch, last_keyframe

#: pieces are read on a grid of this, so that searches that meet need nothing twice
WINDOW_BYTES = 128 << 10
#: windows that one search may read
MOST_WINDOWS = 64
#: and of those, how many without a picture
_MOST_EMPTY_WINDOWS = 16
_MOST_JUMPS = 8
#: so near to what was read, it is gone on from there
_NEAR_WINDOWS = 2
#: pictures that may be shown before one that comes earlier in the file (H.264 allows 16), and one for safety
_MOST_REORDERED = 17
#: pictures of a piece whose order is compared
_MOST_COMPARED = 256
#: a taker of frames holds so many pictures after a moment before it is sure of its frame
HELD_PICTURES = 18
#: of a picture, to be sure that it has begun
_HEAD_BYTES = 512


@dataclass(frozen=True, slots=True)
class Found:
    """A keyframe, and what was read from its first byte on.

    Where none is near enough, it is what the exact frame needs, and `is_near` is False.
    """

    picture: Picture
    data: bytes
    is_near: bool = True


class Wanted(NamedTuple):
    """A piece that a search goes on with, and (offset, length) of others that it most likely wants then."""

    offset: int
    length: int
    soon: Sequence[tuple[int, int]] = ()


Search = Generator[Wanted, bytes, Found | None]
_Step = Generator[Wanted, bytes, None]


class Terrain:
    """One file: how it is laid out, and what is known of it. Safe to use from several threads at once."""

    def __init__(self, layout: Layout, size: int, first_pts: int, last_pts: int) -> None:
        """Raises Odd when the times do not ascend from the first to the last picture."""
        self.layout = layout
        self.size = size
        self.first_pts = first_pts
        self.last_pts = last_pts
        self._points = Points((first_pts, layout.first_position), (last_pts + 1, size))
        self._lock = threading.Lock()

    def guess(self, pts: int) -> int:
        """Where a time should lie."""
        with self._lock:
            return self._points.guess(pts)

    def learn(self, patch: Patch) -> None:
        """Remember where keyframes lie. Raises Odd."""
        with self._lock:
            self._points.add(patch.keyframes())

    def before(self, pts: int, until: int | None = None) -> Search:
        """The last keyframe at or before a time, or else the very first, with what is shown up to `until`.

        None: there is none.
        """
        patch = yield from _around(self, pts)
        return (yield from self._before(patch, pts, until))

    def nearest(self, pts: int, reach: int | None, until: int | None = None) -> Search:
        """The keyframe nearest to a time, the earlier one of two, at most `reach` ticks away.

        Where there is none: with `until`, what `before` gives, of which most is read by then; else None.
        """
        patch = yield from _around(self, pts)
        while True:
            sides = _open_sides(patch, pts, reach)
            if not sides:
                break
            yield from _GROW[sides[0]](self, patch, soon=[_BESIDE[side](self, patch) for side in sides[1:]])
        best = min(patch.keyframes(), key=lambda key: (abs(key.pts - pts), key.pts), default=None)
        if best is None or (reach is not None and abs(best.pts - pts) > reach):
            found = (yield from self._before(patch, pts, until)) if until is not None else None
            return found and replace(found, is_near=False)
        after = yield from _complete(self, patch, best)
        return Found(best, patch.piece(best, after))

    def _before(self, patch: Patch, pts: int, until: int | None) -> Search:
        while (found := last_keyframe(patch.keyframes(), pts)) is None and not patch.begins:
            yield from _grow_left(self, patch)
        if found is None:
            found = next(iter(patch.keyframes()), None)
            if found is None:
                return None
        if until is None:
            after = yield from _complete(self, patch, found)
            return Found(found, patch.piece(found, after))
        while len(patch.pictures) < patch.count_before(until) + HELD_PICTURES and not patch.ends:
            yield from _grow_right(self, patch)
        last = patch.pictures[: patch.count_before(until) + HELD_PICTURES][-1]
        after = yield from _complete(self, patch, last)
        return Found(found, patch.piece(found, after))


def _complete(terrain: Terrain, patch: Patch, picture: Picture) -> Generator[Wanted, bytes, int | None]:
    """Read on until all of a picture is there; where it is over, None for the piece's end."""
    while picture.end and patch.end < picture.end and not patch.ends:
        yield from _grow_right(terrain, patch)
    if picture.end:
        return picture.end
    number = patch.pictures.index(picture) + terrain.layout.follow
    while len(patch.pictures) <= number and not patch.ends:
        yield from _grow_right(terrain, patch)
        number = patch.pictures.index(picture) + terrain.layout.follow
    return patch.pictures[number].position + _HEAD_BYTES if number < len(patch.pictures) else None


def _open_sides(patch: Patch, pts: int, reach: int | None) -> list[str]:
    """Where a nearer keyframe might still lie: "left", "right", both, the nearer one first, or nowhere."""
    keyframes = patch.keyframes()
    distances = [abs(keyframe.pts - pts) for keyframe in keyframes]
    within = min(distances, default=None)
    if reach is not None:
        within = reach if within is None else min(within, reach)
    # whatever lies before is shown before the latest of the first few: so many may be shown before it
    few = [picture.pts for picture in patch.pictures[: _reordered(patch) + 1]]
    left = pts - max(few)
    right = max(picture.pts for picture in patch.pictures) - pts
    left_open = not (
        patch.begins or (keyframes and keyframes[0].pts <= pts) or (within is not None and left >= within)
    )
    right_open = not (
        patch.ends or (keyframes and keyframes[-1].pts > pts) or (within is not None and right >= within)
    )
    sides = [("left", left)] * left_open + [("right", right)] * right_open
    return [side for side, _ in sorted(sides, key=lambda side: side[1])]


def _reordered(patch: Patch) -> int:
    """How many pictures may come after one in the file and be shown before it, as this piece shows."""
    most = 0
    times = [picture.pts for picture in patch.pictures[:_MOST_COMPARED]]
    for number, time in enumerate(times):
        later = times[number + 1 : number + 1 + _MOST_REORDERED]
        most = max(most, sum(other < time for other in later))
    return min(most + 1, _MOST_REORDERED)


def _around(terrain: Terrain, pts: int) -> Generator[Wanted, bytes, Patch]:
    """A piece in which pictures lie on both sides of a time, but for a time at an end of the file."""
    read = 0
    patch: Patch | None = None
    for _ in range(_MOST_JUMPS):
        place = terrain.guess(pts)
        if patch is None or not _is_near(patch, place):
            offset, length = _window(terrain, place)
            patch = Patch(terrain.layout, offset, (yield Wanted(offset, length)), terrain.size)
            read += 1
        while True:
            if patch.pictures:
                terrain.learn(patch)
                # pictures are shown in another order than they come in: a few on each side must be seen
                if pts < min(picture.pts for picture in patch.pictures) and not patch.begins:
                    side = _grow_left
                elif pts >= max(picture.pts for picture in patch.pictures) and not patch.ends:
                    side = _grow_right
                else:
                    return patch
                if not _is_near(patch, terrain.guess(pts)):
                    break
            elif not patch.ends:
                side = _grow_right
            elif not patch.begins:
                side = _grow_left
            else:
                return patch
            yield from side(terrain, patch)
            read += 1
            if read > MOST_WINDOWS:
                raise Odd("too far from where it should be")
    raise Odd("a time that is not found")


def _is_near(patch: Patch, place: int) -> bool:
    margin = _NEAR_WINDOWS * WINDOW_BYTES
    return patch.base - margin <= place < patch.end + margin


def _window(terrain: Terrain, place: int) -> tuple[int, int]:
    """The (offset, length) on the grid that has a place in it, and half a window around it."""
    step = WINDOW_BYTES // 2
    offset = max((place // step - 1) * step, terrain.layout.first_position // step * step)
    offset = max(min(offset, terrain.size - WINDOW_BYTES), 0) // step * step
    return offset, min(WINDOW_BYTES, terrain.size - offset)


def _before(terrain: Terrain, patch: Patch) -> tuple[int, int]:
    offset = max(patch.base - _growth(patch), 0)
    return offset, patch.base - offset


def _after(terrain: Terrain, patch: Patch) -> tuple[int, int]:
    return patch.end, min(_growth(patch), terrain.size - patch.end)


def _grow_left(terrain: Terrain, patch: Patch, soon: Sequence[tuple[int, int]] = ()) -> _Step:
    patch.grow_left((yield Wanted(*_before(terrain, patch), soon)))


def _grow_right(terrain: Terrain, patch: Patch, soon: Sequence[tuple[int, int]] = ()) -> _Step:
    patch.grow_right((yield Wanted(*_after(terrain, patch), soon)))


_BESIDE = {"left": _before, "right": _after}
_GROW = {"left": _grow_left, "right": _grow_right}


def _growth(patch: Patch) -> int:
    """How much to read on: more where much was in vain. Raises Odd when it was too much."""
    windows = len(patch.data) // WINDOW_BYTES
    if windows >= (MOST_WINDOWS if patch.pictures else _MOST_EMPTY_WINDOWS):
        raise Odd("no keyframe within reach")
    return max(windows // 4, 1) * WINDOW_BYTES
