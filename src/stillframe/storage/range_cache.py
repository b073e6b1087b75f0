"""What was read of an object by ranges, so that no byte is asked for twice, and few questions are asked for many bytes.

    cache = RangeCache(fetch, size)            # fetch(offset, length) -> bytes, one request
    cache.read_at(0, 16)                       # asks for 64 KiB
    cache.prefetch([(5 << 20, 130_000)])       # begins to ask, on other threads
    RangeCache(fetch, size, threads, index=indexes.of(content))    # what was read there before is there

Blocks are kept, and what is missing of a read is one request. Reads that go on from each other are read ahead of, by
twice as much each time; a read elsewhere begins anew. Whoever needs what another one is asking for waits for that.
What is read goes into the index, but for samples: what was hinted at together with other ranges.
"""

from __future__ import annotations

import contextlib
import threading
from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field
from itertools import islice, pairwise

from stillframe.storage.index_cache import KeptIndex

Fetch = Callable[[int, int], bytes]
#: (first block, block after the last)
Run = tuple[int, int]

BLOCK_BYTES = 4 << 10
#: asked for at least where nothing is known of what comes next
FIRST_BYTES = 64 << 10
MOST_AHEAD_BYTES = 4 << 20
#: a jump ahead that is no further still goes on from before
_NEAR_BYTES = 256 << 10
#: libav's own buffer: what asks for more knows what it wants
_SMALL_BYTES = 32 << 10
#: one of so many tells whether a range is there
_LOOKED_AT_BLOCKS = 16
_CERTAIN_MISSES = 3
#: hints whose order may not be that of the reads
_HINTS_IN_WORK = 64
#: hints that are read at the same time, at the most
_HINTS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a cache may hold and ask for: bytes kept, bytes of one request that was hinted at, and the widest gap in it.

    `ahead_bytes` bounds what hints have asked for and nobody has read yet: it is kept beside the others.
    """

    kept_bytes: int = 8 << 20
    piece_bytes: int = 1 << 20
    gap_bytes: int = 64 << 10
    ahead_bytes: int = 32 << 20


@dataclass(eq=False, slots=True)
class _Claim:
    """Somebody asks for a run, or will: `done` tells those who wait. Only one asks: whoever sets `begun`."""

    run: Run
    begun: bool
    done: Future[None] = field(default_factory=Future)


class RangeCache:
    """Blocks of one object's content. Safe to use from several threads at once."""

    def __init__(
        self,
        fetch: Fetch,
        size: int,
        threads: Executor | None = None,
        bounds: Bounds | None = None,
        *,
        ends: Sequence[int] = (),
        index: KeptIndex | None = None,
    ) -> None:
        """Nothing is read ahead past one of the `ends`, which ascend."""
        self._fetch = fetch
        self._ends = ends
        self._size = size
        self._threads = threads
        self._bounds = bounds or Bounds()
        self._index = index
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._coming: dict[int, _Claim] = {}
        #: hinted at, and neither asked for nor read yet
        self._hinted: deque[Run] = deque()
        #: hinted at, ever, with others: an index is one range
        self._samples: set[int] = set()
        #: asked for because of a hint, and not read yet, with the number of the hint; not dropped for what was read
        self._unread: dict[int, int] = {}
        self._hints = 0
        #: the numbers of hints of which something was read
        self._begun: set[int] = set()
        self._ahead = _ReadAhead()
        self._is_closed = False

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes at a place; fewer only at the end. Raises what `fetch` raises."""
        length = min(length, self._size - offset)
        if length <= 0:
            return b""
        first, end = offset // BLOCK_BYTES, -(-(offset + length) // BLOCK_BYTES)
        found: dict[int, bytes] = {}
        with self._lock:
            self._take(range(first, end), found)
            self._ahead.note(offset, length, is_missing=len(found) < end - first)
        while len(found) < end - first:
            with self._lock:
                self._take(range(first, end), found)
                wanted = [block for block in range(first, end) if block not in found]
                claim = self._next_claim(wanted, end)
                waited = self._coming[wanted[0]] if wanted and claim is None else None
            if claim is not None:
                asked = self._ask(claim)
                for block in wanted:
                    if block in asked:
                        found[block] = asked[block]
                        self._note(block, asked[block])
            elif waited is not None:
                waited.done.result()
        self._go_on()
        data = b"".join(found[block] for block in range(first, end))
        begin = offset - first * BLOCK_BYTES
        return data[begin : begin + length]

    def first_there(self, extents: Sequence[tuple[int, int]]) -> int:
        """The number of the first of these (offset, length) ranges to be there; waits while all are on their way.

        0 when none is. They are looked at here and there only: ranges arrive in pieces.
        """
        while True:
            coming: list[Future[None]] = []
            with self._lock:
                for number, (offset, length) in enumerate(extents):
                    last = (min(offset + max(length, 1), self._size) - 1) // BLOCK_BYTES
                    looked_at = [*range(offset // BLOCK_BYTES, last, _LOOKED_AT_BLOCKS), last]
                    missing = [block for block in looked_at if block not in self._kept]
                    if not missing:
                        return number
                    if all(block in self._coming for block in missing):
                        coming.append(self._coming[missing[-1]].done)
            if len(coming) < len(extents):
                # nobody has asked for one of them: whoever reads it does
                return 0
            wait(coming, return_when=FIRST_COMPLETED)

    def prefetch(self, extents: Sequence[tuple[int, int]]) -> None:
        """These (offset, length) ranges will be read soon: begin to ask for what is missing of them."""
        if self._threads is None:
            return
        with self._lock:
            pieces = [*_pieces(extents, self._size, self._bounds)]
            self._hinted.extend(pieces)
            if len(extents) > 1:
                for piece in pieces:
                    self._samples.update(range(*piece))
        self._go_on()

    def close(self) -> None:
        """Ask for nothing more that was only hinted at, and let go of everything."""
        with self._lock:
            self._is_closed = True
            self._hinted.clear()
            self._kept.clear()
            self._unread.clear()

    def _take(self, blocks: Iterable[int], found: dict[int, bytes]) -> None:
        for block in blocks:
            if block in found:
                continue
            if block in self._kept:
                self._kept.move_to_end(block)
                if number := self._unread.pop(block, 0):
                    self._begun.add(number)
                    self._pass_over(number - _HINTS_IN_WORK)
                found[block] = self._kept[block]
                self._note(block, self._kept[block])
            elif self._index is not None and (known := self._index.get(block)) is not None:
                found[block] = known

    def _note(self, block: int, data: bytes) -> None:
        """A block was read: whoever opens the same content later has it."""
        if self._index is not None and block not in self._samples:
            self._index.keep(block, data)

    def _has(self, block: int) -> bool:
        return block in self._kept or (self._index is not None and self._index.get(block) is not None)

    def _pass_over(self, number: int) -> None:
        """Readers are far beyond the hints up to a number: what they have left of them is not wanted."""
        while self._unread and next(iter(self._unread.values())) < number:
            del self._unread[next(iter(self._unread))]

    def _has_room(self) -> bool:
        """Whether a hint may be asked for: what nobody has read yet is bounded.

        What readers have left of hints takes no room for others, but of those that may be in work still.
        """
        most = self._bounds.ahead_bytes // BLOCK_BYTES
        if len(self._unread) >= most and len(self._begun) > _HINTS_AT_ONCE:
            left = set(sorted(self._begun)[:-_HINTS_AT_ONCE])
            self._begun -= left
            self._unread = {block: number for block, number in self._unread.items() if number not in left}
        return len(self._unread) < most

    def _next_claim(self, wanted: Sequence[int], end: int) -> _Claim | None:
        """What is to be asked for now by who wants these blocks; None when others ask for all that is missing."""
        run = next(_runs(block for block in wanted if block not in self._coming), None)
        if run is not None:
            return self._claim(self._stretched(run) if run[1] == end else run, begun=True)
        # what is only hinted at may wait for long behind the hints of others
        for block in wanted:
            claim = self._coming[block]
            if not claim.begun:
                claim.begun = True
                return claim
        return None

    def _stretched(self, run: Run) -> Run:
        """The run with what is to be read ahead: up to what is there already."""
        first, end = run
        number = bisect_right(self._ends, first * BLOCK_BYTES)
        most = self._ends[number] if number < len(self._ends) else self._size
        last = min(first + self._ahead.window_bytes // BLOCK_BYTES, -(-most // BLOCK_BYTES))
        while end < last and not self._has(end) and end not in self._coming:
            end += 1
        return first, end

    def _claim(self, run: Run, *, begun: bool) -> _Claim:
        claim = _Claim(run, begun)
        self._coming.update(dict.fromkeys(range(*run), claim))
        return claim

    def _ask(self, claim: _Claim, *, is_hint: bool = False) -> dict[int, bytes]:
        """Ask for what was claimed, keep it, and say so to whoever waits. Raises what `fetch` raises.

        Those who wait are told the same; but a hint that fails costs nothing, and they ask again.
        """
        first, end = claim.run
        begin = first * BLOCK_BYTES
        try:
            data = self._fetch(begin, min(end * BLOCK_BYTES, self._size) - begin)
            blocks = {
                first + index: data[index * BLOCK_BYTES : (index + 1) * BLOCK_BYTES]
                for index in range(end - first)
            }
        except BaseException as error:
            self._let_go(claim, None if is_hint else error)
            raise
        with self._lock:
            for block in blocks:
                del self._coming[block]
            if not self._is_closed:
                self._kept |= blocks
            if not is_hint:
                for block in blocks:
                    self._unread.pop(block, None)
            surplus = len(self._kept) - len(self._unread) - self._bounds.kept_bytes // BLOCK_BYTES
            was_read = (block for block in self._kept if block not in self._unread)
            for block in list(islice(was_read, max(surplus, 0))):
                del self._kept[block]
        claim.done.set_result(None)
        return blocks

    def _let_go(self, claim: _Claim, error: BaseException | None = None) -> None:
        """Nobody asks for this any more."""
        with self._lock:
            for block in range(*claim.run):
                del self._coming[block]
                self._unread.pop(block, None)
        if error is None:
            claim.done.set_result(None)
        else:
            claim.done.set_exception(error)

    def _go_on(self) -> None:
        """Ask for what was hinted at, as far as there is room for what nobody has read."""
        threads = self._threads
        if threads is None:
            return
        while True:
            with self._lock:
                if not self._hinted or not self._has_room():
                    return
                wanted = range(*self._hinted.popleft())
                missing = [block for block in wanted if not self._has(block) and block not in self._coming]
                claims = [self._claim(run, begun=False) for run in _runs(missing)]
                self._hints += 1
                self._unread.update(dict.fromkeys(missing, self._hints))
            for claim in claims:
                try:
                    threads.submit(self._ask_ahead, claim)
                except RuntimeError:
                    # the process ends: whoever still reads asks for it himself
                    self._ask_ahead(claim, is_wanted=False)

    def _ask_ahead(self, claim: _Claim, *, is_wanted: bool = True) -> None:
        """Ask for what was hinted at, unless a reader was quicker or nobody reads any more."""
        with self._lock:
            if claim.begun:
                return
            claim.begun = True
            is_wanted = is_wanted and not self._is_closed
        if not is_wanted:
            self._let_go(claim)
            return
        # whoever reads there asks again, and is told what is wrong
        with contextlib.suppress(Exception):
            self._ask(claim, is_hint=True)


class _ReadAhead:
    """How much is worth asking for, by how reads have gone on from each other."""

    def __init__(self) -> None:
        self.window_bytes = FIRST_BYTES
        #: where the last read has ended; before the first one, nothing goes on
        self._end: int | None = None
        self._misses = 0

    def note(self, offset: int, length: int, *, is_missing: bool) -> None:
        """A read, and whether something of it was not there."""
        goes_on = self._end is not None and 0 <= offset - self._end <= _NEAR_BYTES
        self._end = offset + length
        if not goes_on:
            self._misses, self.window_bytes = 0, FIRST_BYTES
        elif is_missing:
            self._misses += 1
            if length <= _SMALL_BYTES or self._misses >= _CERTAIN_MISSES:
                self.window_bytes = min(self.window_bytes * 2, MOST_AHEAD_BYTES)


def _runs(blocks: Iterable[int]) -> Iterator[Run]:
    """Ascending blocks as runs of neighbours."""
    first = end = -1
    for block in blocks:
        if block != end:
            if first >= 0:
                yield first, end
            first = block
        end = block + 1
    if first >= 0:
        yield first, end


def _pieces(extents: Sequence[tuple[int, int]], size: int, bounds: Bounds) -> Iterator[Run]:
    """Extents as runs of blocks in their order: joined over small gaps, and cut where they are long.

    The pieces of one are about the same size: a small rest would be a request of its own.
    """
    joined: list[list[int]] = []
    for offset, length in extents:
        begin, end = offset, min(offset + length, size)
        if end <= begin:
            continue
        if joined and 0 <= begin - joined[-1][1] <= bounds.gap_bytes:
            joined[-1][1] = end
        else:
            joined.append([begin, end])
    for begin, end in joined:
        first, last = begin // BLOCK_BYTES, -(-end // BLOCK_BYTES)
        pieces = max(round((last - first) * BLOCK_BYTES / bounds.piece_bytes), 1)
        places = [first + (last - first) * piece // pieces for piece in range(pieces + 1)]
        yield from pairwise(places)
