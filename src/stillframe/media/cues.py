"""Reading Matroska and WebM by their cues: where each keyframe's cluster lies is known, and how long it is learnt.

The conversation is that of `search.py`: a keyframe is one piece whose length is guessed, and a second one where the
guess was too short.
"""

from __future__ import annotations

import statistics
import threading
from bisect import bisect_right
from collections.abc import Sequence

from stillframe.media.landmarks import Layout, Odd, Picture
from stillframe.media.patch import Patch
from stillframe.media.search import HELD_PICTURES, MOST_WINDOWS, WINDOW_BYTES, Found, Search, Wanted

#: a cluster's head and the head of its first block
_HEADS_BYTES = 256
_MOST_LEARNT = 64
#: a picture of 8K that is not compressed much; what says it is larger would be read as a whole before it is known
_MOST_KEYFRAME_BYTES = 64 << 20
#: of what pictures after a keyframe should take, by their share of the time
_MARGIN = 1.15


class CueMap:
    """The cues of one file. Safe to use from several threads at once."""

    def __init__(
        self,
        layout: Layout,
        size: int,
        cues: Sequence[tuple[int, int]],
        first_keyframe_bytes: int,
        picture_ticks: int,
    ) -> None:
        """`cues` are (pts, position of the cluster). Raises Odd when they do not ascend."""
        self.layout = layout
        self._size = size
        self._times = [pts for pts, _ in cues]
        self._places = [position for _, position in cues]
        if not cues or sorted(self._places) != self._places or self._places[-1] >= size:
            raise Odd("its cues do not ascend")
        self._held_ticks = HELD_PICTURES * picture_ticks
        self._lengths = [first_keyframe_bytes]
        self._lock = threading.Lock()

    def before(self, pts: int, until: int | None = None) -> Search:
        """The last keyframe with a cue at or before a time, or else the first; with what is shown up to `until`."""
        number = max(bisect_right(self._times, pts) - 1, 0)
        offset, guess = self._extent(number, until)
        patch = Patch(self.layout, offset, (yield Wanted(offset, guess)), self._size)
        while (found := self._keyframe(patch, number)) is None or not _is_enough(patch, found, until):
            if patch.ends:
                break
            if len(patch.data) > MOST_WINDOWS * WINDOW_BYTES:
                raise Odd("a cluster without the keyframe that a cue tells of")
            if found is not None and found.end - offset > _MOST_KEYFRAME_BYTES:
                raise Odd("a keyframe that says it is very large")
            missing = found.end - patch.end if found is not None and until is None else WINDOW_BYTES
            patch.grow_right((yield Wanted(patch.end, min(max(missing, 1), self._size - patch.end))))
        if found is None:
            raise Odd("a cluster without the keyframe that a cue tells of")
        self.learn(found.end - offset)
        return Found(found, patch.piece(found, found.end if until is None else None))

    def nearest(self, pts: int, reach: int | None, until: int | None = None) -> Search:
        """As `Terrain.nearest`, among the keyframes that have cues."""
        at = bisect_right(self._times, pts)
        best = min(self._times[max(at - 1, 0) : at + 1], key=lambda time: (abs(time - pts), time))
        if reach is not None and abs(best - pts) > reach:
            return None
        return (yield from self.before(best))

    def learn(self, keyframe_bytes: int) -> None:
        """A keyframe is so long, its cluster's head included: the others are likely to be."""
        with self._lock:
            self._lengths.append(keyframe_bytes)

    def _extent(self, number: int, until: int | None) -> tuple[int, int]:
        """What to read for a keyframe, and for what follows it: (offset, length)."""
        offset = self._places[number]
        with self._lock:
            keyframe = self._usual_length()
        length: float = keyframe
        if until is not None:
            last = number + 1 == len(self._places)
            following = self._size if last else self._places[number + 1]
            ticks = (
                (self._times[number] - self._times[number - 1] if number else 1)
                if last
                else (self._times[number + 1] - self._times[number])
            )
            share = (until + self._held_ticks - self._times[number]) / max(ticks, 1)
            length += max(following - offset - keyframe, 0) * min(max(share, 0.0), 1.0) * _MARGIN
        most = MOST_WINDOWS * WINDOW_BYTES
        return offset, min(int(length), most, self._size - offset)

    def _usual_length(self) -> int:
        """As long as nine of ten are, by those that are known."""
        lengths = self._lengths[-_MOST_LEARNT:]
        if len(lengths) < 4:
            return int(max(lengths) * _MARGIN) + _HEADS_BYTES
        return int(statistics.fmean(lengths) + 1.3 * statistics.stdev(lengths)) + _HEADS_BYTES

    def _keyframe(self, patch: Patch, number: int) -> Picture | None:
        wanted = self._times[number]
        return next((p for p in patch.pictures if p.keyframe and p.pts == wanted), None)


def _is_enough(patch: Patch, keyframe: Picture, until: int | None) -> bool:
    """Whether a piece has all of a keyframe, and what a taker of frames reads for the frames up to `until`."""
    if until is None:
        return patch.end >= keyframe.end
    following = patch.pictures[patch.count_before(until) :]
    return len(following) >= HELD_PICTURES and following[HELD_PICTURES - 1].end <= patch.end
