"""The child's end of the socket: reads that are just those of the source, and answers in any order."""

from __future__ import annotations

import random
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillframe.sandbox.channel import Channel, RemoteSource
from stillframe.sandbox.wire import FRAME, MAX_READ, MESSAGE, Kind

SIZE = 300_000
DATA = random.Random(5).randbytes(SIZE)


class Parent(Channel):
    """Answers at once, and notes what it was asked."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.asked: list[tuple[int, int]] = []

    def ask(self, offset: int, length: int) -> bytes:
        assert 0 < length <= MAX_READ
        assert offset + length <= len(self.data)
        self.asked.append((offset, length))
        return self.data[offset : offset + length]


@given(st.lists(st.tuples(st.integers(0, SIZE + 10), st.integers(0, 80_000)), max_size=12))
def test_any_reads_give_the_bytes_that_are_there(reads: list[tuple[int, int]]) -> None:
    source = RemoteSource(Parent(DATA), SIZE)
    for offset, length in reads:
        assert source.read_at(offset, length) == DATA[offset : offset + length]
        # and the one that follows, as when a file is read on and on
        assert source.read_at(offset + length, length) == DATA[offset + length : offset + 2 * length]


def test_reading_on_asks_for_more_and_more() -> None:
    data = bytes(4 << 20)
    parent = Parent(data)
    source = RemoteSource(parent, len(data))
    for offset in range(0, len(data), 32 << 10):
        assert len(source.read_at(offset, 32 << 10)) == 32 << 10
    lengths = [length >> 10 for _, length in parent.asked]
    assert lengths[:5] == [32, 64, 128, 256, 256]
    assert sum(lengths) == len(data) >> 10
    assert len(lengths) < 20


def test_reading_here_and_there_asks_for_no_more() -> None:
    parent = Parent(DATA)
    source = RemoteSource(parent, SIZE)
    for offset in (200_000, 0, 100_000):
        source.read_at(offset, 1000)
    assert parent.asked == [(200_000, 1000), (0, 1000), (100_000, 1000)]


class Hinted(Parent):
    """Is hinted at, too."""

    def send(self, kind: Kind, payload: bytes = b"", *, number: int = 0, first: int = 0) -> None:
        assert kind == Kind.PREFETCH


def test_what_was_hinted_at_is_asked_for_up_to_its_end() -> None:
    """Hints add up, and where two lie over each other, all of both is on its way."""
    parent = Hinted(DATA)
    source = RemoteSource(parent, SIZE)
    source.prefetch([(200_000, 20_000), (0, 100_000)])
    source.prefetch([(50_000, 1000), (210_000, 30_000)])
    for offset in (60_000, 50_500, 205_000, 150_000):
        assert source.read_at(offset, 10) == DATA[offset : offset + 10]
    assert parent.asked == [(60_000, 40_000), (50_500, 49_500), (205_000, 35_000), (150_000, 10)]


RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)), max_size=8)


@given(st.lists(RANGES, max_size=4), st.integers(0, 80))
def test_ranges_that_lie_over_each_other_are_one(calls: list[list[tuple[int, int]]], offset: int) -> None:
    source = RemoteSource(Hinted(DATA), SIZE)
    for ranges in calls:
        source.prefetch(ranges)
    end = offset
    all_ranges = [(begin, begin + length) for ranges in calls for begin, length in ranges if length]
    # a range that only touches the next one is a request of its own
    if any(begin <= offset < beyond for begin, beyond in all_ranges):
        end += 1
        while any(begin < end < beyond for begin, beyond in all_ranges):
            end += 1
    assert source._hinted_from(offset) == end - offset
    starts, ends = source._hinted
    assert all(end <= begin for end, begin in zip(ends, starts[1:], strict=False))


def test_a_large_read_is_asked_for_in_parts() -> None:
    data = bytes(2 * MAX_READ + 5)
    parent = Parent(data)
    assert RemoteSource(parent, len(data)).read_at(0, len(data)) == data
    assert [length for _, length in parent.asked] == [MAX_READ, MAX_READ, 5]


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_threads_get_their_own_answers_in_any_order(threads: int) -> None:
    ours, theirs = socket.socketpair()
    got: dict[int, bytes] = {}
    with ours, theirs:
        channel = Channel(theirs)

        def ask(number: int) -> None:
            got[number] = channel.ask(number * 100, 50)

        asking = [threading.Thread(target=ask, args=[number]) for number in range(threads)]
        for thread in asking:
            thread.start()
        heard = [MESSAGE.unpack(ours.recv(MESSAGE.size, socket.MSG_WAITALL)) for _ in range(threads)]
        for kind, number, offset, length, _ in random.Random(threads).sample(heard, threads):
            assert kind == Kind.READ
            ours.sendall(FRAME.pack(number, length) + DATA[offset : offset + length])
        for thread in asking:
            thread.join()
    assert got == {number: DATA[number * 100 : number * 100 + 50] for number in range(threads)}
