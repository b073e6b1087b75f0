"""Who leads the searches in a file without an index: many at once, ahead of those who will ask.

    guide = Guide(source, ground)
    guide.expect([Wish(pts) for pts in moments])      # on a thread of its own, in this order
    guide.found(Wish(moments[0]))                     # waits for just that one

What a search wants next is hinted at before it is read, so that the answers to all come while one is waited for.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

from stillframe.media.landmarks import Odd
from stillframe.media.search import Found, Search, Wanted
from stillframe.media.source import ByteSource

_AT_A_TIME = 16
#: bytes that were found and not asked for yet, above which no other search is begun
_MOST_KEPT_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class Wish:
    """A keyframe to be looked for: the last one at or before `pts`, or the nearest within `reach` (None: any).

    What is shown from it on up to `until` is wanted, too, of the nearest only where there is none. Two
    wishes that differ in that are the same.
    """

    pts: int
    is_nearest: bool = False
    reach: int | None = None
    until: int | None = field(default=None, compare=False)


class Ground(Protocol):
    """Where searches are made; see `search.Terrain`."""

    def before(self, pts: int, until: int | None = None) -> Search:
        """The last keyframe at or before a time."""

    def nearest(self, pts: int, reach: int | None, until: int | None = None) -> Search:
        """The nearest keyframe."""


@dataclass(eq=False, slots=True)
class _Errand:
    """A search on its way."""

    search: Search
    wanted: Wanted
    result: Future[Found | None]


class Guide:
    """Looks for keyframes in one file. Safe to use from several threads at once."""

    def __init__(self, source: ByteSource, ground: Ground) -> None:
        self._source = source
        self._ground = ground
        self._turn = threading.Condition()
        self._waiting: deque[tuple[Wish, Future[Found | None]]] = deque()
        self._results: dict[Wish, Future[Found | None]] = {}
        self._kept_bytes = 0
        #: why nothing can be found in this file
        self._odd: Odd | None = None
        #: a number for what is expected: who looks for something older stops
        self._expected = 0

    def expect(self, wishes: Sequence[Wish]) -> None:
        """Begin to look for these, in their order."""
        with self._turn:
            for wish in wishes:
                if wish not in self._results:
                    self._results[wish] = Future()
                    self._waiting.append((wish, self._results[wish]))
            expected = self._expected
        threading.Thread(target=self._lead, args=(expected,), name="stillframe-guide", daemon=True).start()

    def found(self, wish: Wish) -> Found | None:
        """What was found for a wish. Raises Odd when the file cannot be searched, SourceError."""
        with self._turn:
            if self._odd is not None:
                raise self._odd
            result = self._results.pop(wish, None)
            if result is not None and (wish, result) in self._waiting:
                # nobody has begun: that is quicker done than waited for
                self._waiting.remove((wish, result))
                result = None
        if result is None:
            return self._look(wish)
        found = result.result()
        with self._turn:
            self._kept_bytes -= len(found.data) if found else 0
            self._turn.notify()
        return found

    def forget(self) -> None:
        """Look no more for what was expected and not asked for."""
        with self._turn:
            self._expected += 1
            self._kept_bytes = 0
            self._results.clear()
            self._drop_waiting(Odd("nobody expects it any more"))

    def _drop_waiting(self, reason: Odd) -> None:
        for _, result in self._waiting:
            result.set_exception(reason)
        self._waiting.clear()
        self._turn.notify_all()

    def _look(self, wish: Wish) -> Found | None:
        search = self._search(wish)
        data: bytes | None = None
        try:
            while True:
                wanted = search.send(data) if data is not None else next(search)
                self._hint(wanted.soon)
                data = self._source.read_at(wanted.offset, wanted.length)
        except StopIteration as end:
            found: Found | None = end.value
            return found

    def _search(self, wish: Wish) -> Search:
        if wish.is_nearest:
            return self._ground.nearest(wish.pts, wish.reach, wish.until)
        return self._ground.before(wish.pts, wish.until)

    def _lead(self, expected: int) -> None:
        """Go round the searches that have begun, one step of each; on a thread."""
        errands: deque[_Errand] = deque()
        while self._begin(errands, expected) or errands:
            errand = errands.popleft()
            with self._told(errand.result, expected):
                if self._odd is not None:
                    raise self._odd
                if expected != self._expected:
                    raise Odd("nobody expects it any more")
                self._go_on(errand, self._source.read_at(errand.wanted.offset, errand.wanted.length))
                errands.append(errand)

    def _begin(self, errands: deque[_Errand], expected: int) -> bool:
        """Begin searches, as many as there is room for; whether any goes on."""
        while len(errands) < _AT_A_TIME:
            with self._turn:
                while (
                    self._waiting
                    and not errands
                    and self._kept_bytes > _MOST_KEPT_BYTES
                    and expected == self._expected
                ):
                    self._turn.wait()
                if not self._waiting or self._kept_bytes > _MOST_KEPT_BYTES or expected != self._expected:
                    break
                wish, result = self._waiting.popleft()
            with self._told(result, expected):
                errand = _Errand(self._search(wish), Wanted(0, 0), result)
                self._go_on(errand, None)
                errands.append(errand)
        return bool(errands)

    def _go_on(self, errand: _Errand, data: bytes | None) -> None:
        """One step of a search: say what it wants next. Raises StopIteration when it is over."""
        errand.wanted = errand.search.send(data) if data is not None else next(errand.search)
        self._hint([errand.wanted[:2], *errand.wanted.soon])

    def _hint(self, extents: Sequence[tuple[int, int]]) -> None:
        # in halves: a range that is hinted at alone is taken for an index, and kept for others
        for offset, length in extents:
            half = length // 2
            self._source.prefetch([(offset, half), (offset + half, length - half)])

    @contextlib.contextmanager
    def _told(self, result: Future[Found | None], expected: int) -> Iterator[None]:
        """Whatever comes of a search is told to who waits for it: nothing else wakes him."""
        try:
            yield
        except StopIteration as end:
            found: Found | None = end.value
            with self._turn:
                self._kept_bytes += len(found.data) if found else 0
            result.set_result(found)
        except BaseException as error:
            result.set_exception(error)
            if isinstance(error, Odd):
                self._give_up(error, expected)

    def _give_up(self, odd: Odd, expected: int) -> None:
        """What is odd in one place may be so in others."""
        with self._turn:
            if expected == self._expected:
                self._odd = odd
                self._drop_waiting(odd)
