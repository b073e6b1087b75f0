"""Which segment of a playlist is shown when, what is missing, and what is read for a picture."""

from __future__ import annotations

import pytest

from stillframe.media.excerpt import Excerpt
from stillframe.media.playlist import Playlist, Segment
from stillframe.media.source import MemorySource

S = 1_000_000
MIB = 1 << 20
#: six segments of two seconds; the second, fourth and fifth are missing, the last two are a period of their own
PLAYLIST = Playlist(
    (
        Segment(0, 2 * S, 0, MIB),
        Segment(2 * S, 2 * S, 0, 0),
        Segment(4 * S, 2 * S, MIB, MIB),
        Segment(6 * S, 2 * S, 0, 0),
        Segment(8 * S, 2 * S, 0, 0, period=1),
        Segment(10 * S, 2 * S, 2 * MIB, MIB, period=1),
    )
)


@pytest.mark.parametrize(
    ("time_us", "index"),
    [(-1, 0), (0, 0), (2 * S - 1, 0), (2 * S, 1), (9 * S, 4), (11 * S, 5), (99 * S, 5)],
)
def test_what_is_shown_at_a_moment(time_us: int, index: int) -> None:
    assert PLAYLIST.at(time_us) == index


def test_the_neighbours_that_are_there() -> None:
    assert [PLAYLIST.preceding(index) for index in range(6)] == [0, 0, 2, 2, 2, 5]
    assert [PLAYLIST.following(index) for index in range(7)] == [0, 2, 2, 5, 5, 5, None]
    assert [PLAYLIST.first_of_period(period) for period in (0, 1)] == [0, 5]
    assert Playlist(PLAYLIST.segments[:5]).first_of_period(1) is None
    assert PLAYLIST.duration_us == 12 * S


@pytest.mark.parametrize(
    ("time_us", "gap"),
    [
        (S, None),
        (2 * S, (2 * S, 4 * S)),
        (4 * S, None),
        (6 * S, (6 * S, 10 * S)),
        (9 * S, (6 * S, 10 * S)),
        (10 * S, None),
    ],
)
def test_gaps(time_us: int, gap: tuple[int, int] | None) -> None:
    assert PLAYLIST.gap_at(time_us) == gap


def test_gaps_at_the_ends() -> None:
    lone = Playlist((Segment(0, S, 0, 0), Segment(S, S, 0, 10), Segment(2 * S, S, 0, 0)))
    assert lone.gap_at(0) == (0, S)
    assert lone.gap_at(99 * S) == (2 * S, 3 * S)


@pytest.mark.parametrize(
    ("time_us", "extent"),
    [
        # at the start, the least that is read; later the share and 15 %; never more than the segment
        (0, (0, 128 << 10)),
        (S, (0, MIB // 2 * 115 // 100)),
        (2 * S - 1, (0, MIB)),
        (3 * S, None),
        (11 * S, (2 * MIB, MIB // 2 * 115 // 100)),
    ],
)
def test_what_is_read_for_a_picture(time_us: int, extent: tuple[int, int] | None) -> None:
    assert PLAYLIST.extent(time_us) == extent


def test_an_excerpt_is_a_file_of_ranges() -> None:
    source = MemorySource(bytes(range(100)))
    excerpt = Excerpt(source, [(90, 5), (0, 0), (10, 20)])
    whole = bytes([*range(90, 95), *range(10, 30)])
    assert excerpt.size == 25
    for offset in range(27):
        for length in (0, 1, 4, 6, 25, 99):
            assert excerpt.read_at(offset, length) == whole[offset : offset + length]


def test_an_excerpt_of_a_source_that_ends_before_it_should() -> None:
    assert Excerpt(MemorySource(b"0123"), [(2, 5), (0, 2)]).read_at(0, 9) == b"23"
