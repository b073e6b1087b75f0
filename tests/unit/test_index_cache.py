"""Blocks that are kept over the end of a source: the first ones of each content, and of contents the latest."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from stillframe.storage.index_cache import IndexCache

BLOCK = bytes(100)


def test_the_first_blocks_are_kept_up_to_the_share() -> None:
    indexes = IndexCache(share_bytes=350, most_bytes=700)
    index = indexes.of("film")
    for number in (7, 8, 9, 10):
        index.keep(number, BLOCK)
    found = indexes.of("film")
    assert [found.get(number) is BLOCK for number in (7, 8, 9, 10)] == [True, True, True, False]


def test_a_block_that_is_kept_already_takes_no_room() -> None:
    indexes = IndexCache(share_bytes=200, most_bytes=200)
    index = indexes.of("film")
    for number in (1, 1, 1, 2):
        index.keep(number, BLOCK)
    assert index.get(2) is BLOCK


def test_the_content_that_was_not_asked_for_longest_goes() -> None:
    indexes = IndexCache(share_bytes=200, most_bytes=400)
    for name in ("a", "b"):
        indexes.of(name).keep(0, BLOCK)
        indexes.of(name).keep(1, BLOCK)
    dropped = indexes.of("b")
    indexes.of("a")
    indexes.of("c").keep(0, BLOCK)
    assert dropped.get(0) is None
    assert indexes.of("a").get(0) is indexes.of("c").get(0) is BLOCK
    # whoever still has it open keeps nothing more
    dropped.keep(5, BLOCK)
    assert dropped.get(5) is indexes.of("b").get(0) is None


def test_contents_without_blocks_are_bounded_too() -> None:
    indexes = IndexCache()
    first = indexes.of(0)
    first.keep(0, BLOCK)
    for number in range(1, 1001):
        indexes.of(number)
    assert first.get(0) is None


def test_many_threads_keep_no_more_than_there_is_room_for() -> None:
    indexes = IndexCache(share_bytes=5_000, most_bytes=9_000)

    def keep(seed: int) -> None:
        for number in range(200):
            indexes.of((seed + number) % 3).keep(number, BLOCK)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(keep, range(8)))
    kept = [indexes.of(content) for content in range(3)]
    assert [index.bytes for index in kept] == [100 * len(index.blocks) for index in kept]
    assert 0 < max(index.bytes for index in kept) <= 5_000
    assert sum(index.bytes for index in kept) <= 9_000
