"""What was read of a source is counted where it costs something, and bounded there."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from stillframe.errors import TooMuchRead
from stillframe.media.config import SnapshotConfig
from stillframe.media.meter import Meter, ReadLimit, limit_of
from stillframe.media.report import Stats
from stillframe.media.source import MemorySource, MeteredSource
from stillframe.storage.cached_source import CachedSource
from stillframe.storage.range_cache import BLOCK_BYTES

DATA = bytes(range(256)) * 4096


class Far(CachedSource):
    """A source over a network of its own."""

    def __init__(self, where: object, data: bytes = DATA) -> None:
        super().__init__("far", len(data), "an etag", store="s3", where=where)
        self.data = data

    def fetch(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]


def counts(source: MeteredSource) -> tuple[int, int, int]:
    stats = Stats()
    source.count_into(stats)
    return stats.bytes_read, stats.reads, stats.requests


def test_what_is_near_is_counted_by_the_reader() -> None:
    source = MeteredSource(MemorySource(DATA))
    source.read_at(0, 100)
    source.read_at(len(DATA) - 10, 100)
    assert counts(source) == (110, 2, 2)


def test_what_is_far_is_counted_where_it_comes_from() -> None:
    """Two reads of one request, after the look at the object; what is read ahead costs, too."""
    source = MeteredSource(Far(object()))
    source.read_at(0, 100)
    source.read_at(1000, 100)
    assert counts(source) == (64 << 10, 2, 2)
    source.read_at(500 << 10, 10)
    assert counts(source) == (64 << 10, 3, 1)


def test_what_was_told_once_is_not_told_again() -> None:
    meter, first, second = Meter("film", 1000), Stats(), Stats()
    meter.ask(100)
    meter.take(first)
    meter.came(100, 0)
    meter.ask(150)
    meter.take(second)
    assert (first.bytes_read, first.requests) == (100, 1)
    assert (second.bytes_read, second.requests) == (50, 1)


@pytest.mark.parametrize("source", [MemorySource(DATA, "film"), Far(None)])
def test_more_than_is_allowed_is_not_read(source: MemorySource | Far) -> None:
    metered = MeteredSource(source, ReadLimit(330 << 10, lambda: 100 << 10))
    metered.read_at(0, 150 << 10)
    with pytest.raises(TooMuchRead) as caught:
        metered.read_at(512 << 10, 150 << 10)
    assert (caught.value.most_bytes, caught.value.size) == (330 << 10, len(DATA))
    assert str(caught.value).endswith(
        ": more than 337,920 bytes (MaxReadBytes) of its 1,048,576 would have to be read: "
        "ask for fewer shots, or for keyframes (FrameType intra), or allow more"
    )
    assert (caught.value.code, caught.value.transient) == ("MaxReadBytesExceeded", False)
    metered.read_at(512 << 10, 64 << 10)


def test_threads_do_not_go_beyond_a_limit_together() -> None:
    meter, start = Meter("film", 1000), Barrier(8)
    meter.allow(ReadLimit(500))

    def ask(_: int) -> bool:
        start.wait()
        try:
            meter.ask(100)
        except TooMuchRead:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(ask, range(8))) == 5
    assert meter.bytes_read == 500


@pytest.mark.parametrize(
    ("asked", "ceiling", "allowed"), [(None, None, None), (5, None, 5), (None, 7, 7), (5, 7, 5), (9, 7, 7)]
)
def test_the_lower_one_of_two_limits_holds(
    asked: int | None, ceiling: int | None, allowed: int | None
) -> None:
    limit = limit_of(SnapshotConfig(max_read_bytes=asked), ceiling)
    assert (limit.most_bytes if limit else None) == allowed


def test_an_index_is_read_once_and_samples_that_were_hinted_at_each_time() -> None:
    where, slices = object(), []
    for number in range(6):
        with Far(where) as source:
            metered = MeteredSource(source)
            metered.prefetch([(0, 200 << 10)])
            assert metered.read_at(0, 200 << 10) == DATA[: 200 << 10]
            place = (400 << 10) + number * (64 << 10)
            metered.prefetch([(place, 100), (place + 100, 100)])
            metered.read_at(place, 100)
            slices.append(counts(metered))
    assert slices == [((200 << 10) + BLOCK_BYTES, 2, 3)] + [(BLOCK_BYTES, 2, 2)] * 5


def test_another_content_has_another_index() -> None:
    where = object()
    with Far(where) as source, Far(where, DATA[:-1]) as other, Far(None) as unsure, Far(None) as again:
        for each in (source, other, unsure, again):
            metered = MeteredSource(each)
            metered.read_at(0, 100)
            assert counts(metered) == (64 << 10, 1, 2)
