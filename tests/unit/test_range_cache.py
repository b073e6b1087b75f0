"""What a range cache reads is what is there, and what it asks for is little: each rule was a measured mistake once."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillframe.errors import SourceError
from stillframe.storage.range_cache import BLOCK_BYTES, MOST_AHEAD_BYTES, Bounds, RangeCache

T = TypeVar("T")
KIB, MIB = 1 << 10, 1 << 20
CONTENT = random.Random(1).randbytes(9 * MIB + 123)


class Store:
    """Counts what is asked of it. `faults` are the numbers of the requests that fail."""

    def __init__(self, content: bytes = CONTENT, faults: frozenset[int] = frozenset()) -> None:
        self.content = content
        self.faults = faults
        self.asked: list[tuple[int, int]] = []
        self.lock = threading.Lock()

    def fetch(self, offset: int, length: int) -> bytes:
        with self.lock:
            self.asked.append((offset, length))
            number = len(self.asked)
        if number in self.faults:
            raise SourceError("film", "no answer", transient=True)
        return self.content[offset : offset + length]

    def cache(self, **bounds: int) -> RangeCache:
        return RangeCache(self.fetch, len(self.content), None, Bounds(**bounds))


def assert_disjoint(ranges: list[tuple[int, int]]) -> None:
    assert all(offset + length <= after for (offset, length), (after, _) in pairwise(sorted(ranges)))


READS = st.lists(st.tuples(st.integers(0, len(CONTENT) + 10), st.integers(0, 600_000)), max_size=20)


@given(reads=READS, kept_bytes=st.sampled_from([0, 64 * KIB, 64 * MIB]))
def test_every_read_is_what_is_there(reads: list[tuple[int, int]], kept_bytes: int) -> None:
    cache = Store().cache(kept_bytes=kept_bytes)
    for offset, length in reads:
        assert cache.read_at(offset, length) == CONTENT[offset : offset + length]


@given(reads=READS)
def test_nothing_is_asked_for_twice(reads: list[tuple[int, int]]) -> None:
    store = Store()
    cache = store.cache()
    for offset, length in reads:
        cache.read_at(offset, length)
    assert_disjoint(store.asked)


def test_the_first_read_asks_for_little() -> None:
    store = Store()
    store.cache().read_at(5 * MIB, 16)
    assert store.asked == [(5 * MIB, 64 * KIB)]


def test_a_large_read_is_one_request_and_no_more() -> None:
    """libav asks for the rest of a packet at once: it wants that, and no read-ahead behind it."""
    store = Store()
    store.cache().read_at(MIB, 700 * KIB)
    assert store.asked == [(MIB, 700 * KIB)]


def test_small_reads_in_a_row_ask_for_ever_more() -> None:
    store = Store()
    cache = store.cache()
    for offset in range(0, len(CONTENT), 32 * KIB):
        cache.read_at(offset, 32 * KIB)
    sizes = [length for _, length in store.asked]
    assert sizes[:4] == [64 * KIB, 128 * KIB, 256 * KIB, 512 * KIB]
    assert max(sizes) == MOST_AHEAD_BYTES
    assert len(sizes) < 10


def test_a_seek_begins_anew_and_a_short_jump_does_not() -> None:
    store = Store()
    cache = store.cache()
    cache.read_at(0, KIB)
    cache.read_at(200 * KIB, KIB)
    cache.read_at(8 * MIB, KIB)
    assert [length for _, length in store.asked] == [64 * KIB, 128 * KIB, 64 * KIB]


def test_reading_ahead_ends_where_something_is_there() -> None:
    store = Store()
    cache = store.cache()
    cache.read_at(MIB + 2 * BLOCK_BYTES, KIB)
    cache.read_at(MIB, KIB)
    assert store.asked[-1] == (MIB, 2 * BLOCK_BYTES)


def test_what_is_kept_is_bounded() -> None:
    store = Store()
    cache = store.cache(kept_bytes=128 * KIB)
    for offset in range(0, 4 * MIB, 256 * KIB):
        cache.read_at(offset, 64 * KIB)
    asked = len(store.asked)
    cache.read_at(0, 64 * KIB)
    assert len(store.asked) == asked + 1


@pytest.fixture
def threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(4)


def test_hints_are_joined_over_gaps_and_cut(threads: ThreadPoolExecutor) -> None:
    store = Store()
    cache = RangeCache(store.fetch, len(CONTENT), threads)
    cache.prefetch([(0, 10), (60 * KIB, 10), (2 * MIB, 3 * MIB + KIB), (len(CONTENT) - 5, 500)])
    threads.shutdown()
    last = len(CONTENT) // BLOCK_BYTES * BLOCK_BYTES
    assert sorted(store.asked) == [
        (0, 60 * KIB + BLOCK_BYTES),
        (2 * MIB, MIB),
        (3 * MIB, MIB),
        (4 * MIB, MIB + BLOCK_BYTES),
        (last, len(CONTENT) - last),
    ]
    before = len(store.asked)
    assert cache.read_at(3 * MIB - 5, 10) == CONTENT[3 * MIB - 5 : 3 * MIB + 5]
    assert len(store.asked) == before


class AtOnce(ThreadPoolExecutor):
    """Does what it is given on the thread that gives it."""

    submitted = 0

    def submit(self, work: Callable[..., T], /, *given: Any, **named: Any) -> Future[T]:
        self.submitted += 1
        done: Future[T] = Future()
        done.set_result(work(*given, **named))
        return done


def test_what_is_on_its_way_is_bounded_and_goes_on_as_it_is_read(threads: ThreadPoolExecutor) -> None:
    store = Store()
    cache = RangeCache(store.fetch, len(CONTENT), threads, Bounds(ahead_bytes=2 * MIB))
    cache.prefetch([(0, 8 * MIB)])
    threads.submit(int).result()
    assert sum(length for _, length in store.asked) <= 3 * MIB
    assert b"".join(cache.read_at(k * MIB, MIB) for k in range(8)) == CONTENT[: 8 * MIB]
    threads.shutdown()
    assert_disjoint(store.asked)


def test_what_was_hinted_at_is_not_dropped_for_what_was_read(threads: ThreadPoolExecutor) -> None:
    """Keyframes all over a film, more of them than are kept."""
    store = Store()
    cache = RangeCache(store.fetch, len(CONTENT), threads, Bounds(kept_bytes=MIB))
    wanted = [(k * 90 * KIB, 10 * KIB) for k in range(100)]
    cache.prefetch([(offset // BLOCK_BYTES * BLOCK_BYTES, 3 * BLOCK_BYTES) for offset, _ in wanted[::2]])
    threads.shutdown()
    for offset, length in wanted[::2]:
        assert cache.read_at(offset, length) == CONTENT[offset : offset + length]
    assert len(store.asked) == 50


def test_what_was_hinted_at_for_nothing_holds_up_no_other_hints() -> None:
    """Hints are estimates: more is asked for than is read."""
    store = Store()
    with ThreadPoolExecutor(4) as threads:
        cache = RangeCache(store.fetch, len(CONTENT), threads, Bounds(kept_bytes=0, ahead_bytes=MIB))
        cache.prefetch([(k * 80 * KIB, 4 * BLOCK_BYTES) for k in range(110)])
        for k in range(110):
            offset = k * 80 * KIB
            assert cache.read_at(offset, 10) == CONTENT[offset : offset + 10]
    # each by its hint, or by its reader where the hints were behind
    assert len(cache._kept) * BLOCK_BYTES <= 2 * MIB


def test_what_readers_leave_of_hints_takes_no_room_for_others() -> None:
    """A keyframe is hinted at as long as nine of ten are: of most of them half is left."""
    store = Store()
    cache = RangeCache(store.fetch, len(CONTENT), (threads := AtOnce()), Bounds(ahead_bytes=512 * KIB))
    wanted = [(offset, 32 * KIB) for offset in range(0, 8 * MIB, 128 * KIB)]
    cache.prefetch(wanted)
    for offset, _ in wanted:
        assert cache.read_at(offset, 8 * KIB) == CONTENT[offset : offset + 8 * KIB]
    assert threads.submitted == len(wanted)
    assert store.asked == wanted


def test_a_hint_that_fails_is_asked_again_by_its_reader(threads: ThreadPoolExecutor) -> None:
    store = Store(faults=frozenset({1}))
    cache = RangeCache(store.fetch, len(CONTENT), threads)
    cache.prefetch([(MIB, 10)])
    assert cache.read_at(MIB, 10) == CONTENT[MIB : MIB + 10]
    threads.shutdown()


def test_a_read_that_fails_says_so_and_the_next_one_asks_again() -> None:
    store = Store(faults=frozenset({1}))
    cache = store.cache()
    with pytest.raises(SourceError, match="no answer"):
        cache.read_at(0, 10)
    assert cache.read_at(0, 10) == CONTENT[:10]


def test_readers_on_many_threads() -> None:
    """Blocks are evicted, waited for and asked for at the same time."""
    store = Store(faults=frozenset(range(7, 4000, 13)))
    with ThreadPoolExecutor(4) as hinting, ThreadPoolExecutor(8) as reading:
        cache = RangeCache(store.fetch, len(CONTENT), hinting, Bounds(kept_bytes=512 * KIB))

        def read(seed: int) -> int:
            chance, good = random.Random(seed), 0
            for _ in range(100):
                offset, length = chance.randrange(len(CONTENT)), chance.randrange(200_000)
                if chance.random() < 0.1:
                    cache.prefetch([(offset, length)])
                try:
                    good += cache.read_at(offset, length) == CONTENT[offset : offset + length]
                except SourceError:
                    good += 1
            return good

        assert list(reading.map(read, range(8))) == [100] * 8


def test_a_closed_cache_asks_for_nothing_that_was_only_hinted_at() -> None:
    """And holds up nobody else who hints."""
    store, going = Store(), threading.Event()
    threads = ThreadPoolExecutor(1)
    threads.submit(going.wait)
    cache = RangeCache(store.fetch, len(CONTENT), threads)
    cache.prefetch([(0, 8 * MIB)])
    cache.close()
    going.set()
    threads.shutdown()
    assert store.asked == []


def test_a_reader_does_not_wait_behind_the_hints_of_others() -> None:
    store, going = Store(), threading.Event()
    with ThreadPoolExecutor(1) as threads:
        threads.submit(going.wait)
        cache = RangeCache(store.fetch, len(CONTENT), threads)
        cache.prefetch([(MIB, 10)])
        assert cache.read_at(MIB, 10) == CONTENT[MIB : MIB + 10]
        going.set()
    assert len(store.asked) == 1


def test_hints_when_the_process_ends(threads: ThreadPoolExecutor) -> None:
    threads.shutdown()
    cache = RangeCache(Store().fetch, len(CONTENT), threads)
    cache.prefetch([(0, MIB)])
    assert cache.read_at(0, 2 * MIB) == CONTENT[: 2 * MIB]


def test_a_read_larger_than_what_is_kept() -> None:
    store = Store()
    cache = store.cache(kept_bytes=MIB)
    assert cache.read_at(0, 4 * MIB) == CONTENT[: 4 * MIB]
    cache.read_at(3 * MIB + 512 * KIB, 10)
    assert len(store.asked) == 1
    cache.read_at(2 * MIB, 10)
    assert len(store.asked) == 2


def test_what_is_there_first_is_told(threads: ThreadPoolExecutor) -> None:
    store = Store()
    cache = RangeCache(store.fetch, len(CONTENT), threads)
    wanted = [(0, MIB), (3 * MIB, 200 * KIB), (6 * MIB, 10)]
    assert cache.first_there(wanted) == 0
    cache.read_at(6 * MIB, 10)
    assert cache.first_there(wanted) == 2
    # a part of it is not all of it
    cache.read_at(3 * MIB, 100 * KIB)
    assert cache.first_there(wanted) == 2
    cache.read_at(3 * MIB, 200 * KIB)
    assert cache.first_there(wanted) == 1
    assert cache.first_there([(len(CONTENT) - 5, 500), (0, 0)]) == 0


def test_what_arrives_first_is_waited_for(threads: ThreadPoolExecutor) -> None:
    store, late = Store(), threading.Event()

    def fetch(offset: int, length: int) -> bytes:
        if offset == 0:
            late.wait(20)
        return store.fetch(offset, length)

    cache = RangeCache(fetch, len(CONTENT), threads)
    wanted = [(0, MIB), (3 * MIB, MIB), (6 * MIB, MIB)]
    cache.prefetch(wanted)
    assert cache.first_there(wanted) in (1, 2)
    late.set()
    assert cache.read_at(0, 10) == CONTENT[:10]
    assert cache.first_there(wanted) == 0
    threads.shutdown()
