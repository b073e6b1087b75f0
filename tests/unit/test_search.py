"""Looking for a keyframe in a file of which only pieces are read: the right one, and of few pieces."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillframe.errors import SourceError
from stillframe.media.cues import CueMap
from stillframe.media.guide import Guide, Wish
from stillframe.media.landmarks import Look, Odd, Picture
from stillframe.media.search import HELD_PICTURES, MOST_WINDOWS, WINDOW_BYTES, Found, Search, Terrain
from stillframe.media.source import MemorySource

KEYFRAME_BYTES, PICTURE_BYTES = 130_000, 6_000


@dataclass(frozen=True)
class Film:
    """A file that has no bytes, only pictures; those of a mini-GOP come as P B B, as they do in files."""

    pictures: tuple[Picture, ...]
    size: int
    has_ends: bool
    first_position: int = 0
    follow: int = 2

    def look(self, data: bytes, base: int, start: int, stop: int, cluster_ticks: int | None = None) -> Look:
        stop = min(stop, base + len(data))
        return Look([p for p in self.pictures if start <= p.position < stop], start, stop)

    @property
    def keyframes(self) -> list[Picture]:
        return [picture for picture in self.pictures if picture.keyframe]

    def keyframe_bytes(self, keyframe: Picture) -> int:
        later = [picture.position for picture in self.pictures if picture.position > keyframe.position]
        return min(later, default=self.size) - keyframe.position

    @property
    def last_pts(self) -> int:
        return max(picture.pts for picture in self.pictures)

    def terrain(self) -> Terrain:
        return Terrain(self, self.size, 0, self.last_pts)


def film(gops: list[tuple[int, int]], *, has_ends: bool = False) -> Film:
    """GOPs of (pictures in threes, bytes of the keyframe), a picture for each tick."""
    pictures: list[Picture] = []
    position = ticks = 0
    for threes, keyframe_bytes in gops:
        # the keyframe, then P B B: shown as keyframe B B P
        sizes = [(0, keyframe_bytes, True)]
        for three in range(threes):
            sizes += [(3 * three + shown, PICTURE_BYTES, False) for shown in (3, 1, 2)]
        for shown, length, is_key in sizes:
            end = position + length if has_ends else 0
            pictures.append(Picture(position, ticks + shown, is_key, end))
            position += length
        ticks += 1 + 3 * threes
    return Film(tuple(pictures), position, has_ends)


def lead(search: Search, size: int) -> tuple[Found | None, list[tuple[int, int]]]:
    """What a search finds, and what it has read."""
    read: list[tuple[int, int]] = []
    try:
        wanted = next(search)
        while True:
            offset, length, _ = wanted
            assert 0 <= offset < offset + length <= size
            read.append(wanted[:2])
            wanted = search.send(bytes(length))
    except StopIteration as end:
        return end.value, read


def nearest(film: Film, pts: int, reach: int | None) -> Picture | None:
    best = min(film.keyframes, key=lambda keyframe: (abs(keyframe.pts - pts), keyframe.pts))
    return best if reach is None or abs(best.pts - pts) <= reach else None


def before(film: Film, pts: int) -> Picture:
    return film.keyframes[max(bisect_right([k.pts for k in film.keyframes], pts) - 1, 0)]


films = st.builds(
    film,
    st.lists(st.tuples(st.integers(0, 40), st.integers(1_000, 400_000)), min_size=1, max_size=40),
    has_ends=st.booleans(),
)
REGULAR = film([(16, KEYFRAME_BYTES)] * 100)


@settings(max_examples=40)
@given(films, st.data())
def test_the_nearest_keyframe_is_found(film: Film, data: st.DataObject) -> None:
    terrain = film.terrain()
    for pts in data.draw(st.lists(st.integers(-5, film.last_pts + 5), min_size=1, max_size=5)):
        reach = data.draw(st.none() | st.integers(0, 60))
        found, _ = lead(terrain.nearest(pts, reach), film.size)
        expected = nearest(film, pts, reach)
        assert (found and found.picture) == expected
        found, _ = lead(terrain.nearest(pts, reach, until=pts), film.size)
        assert found is not None
        assert found.is_near == (expected is not None)
        # the exact frame is what comes next where none is near
        assert found.picture == (expected or before(film, pts))
        length = (
            film.keyframe_bytes(found.picture) if expected else needed(film, pts) - found.picture.position
        )
        assert len(found.data) >= length


@settings(max_examples=40)
@given(films, st.data())
def test_the_last_keyframe_before_a_time_is_found_with_what_is_needed_from_it_on(
    film: Film, data: st.DataObject
) -> None:
    terrain = film.terrain()
    pts = data.draw(st.integers(-5, film.last_pts + 5))
    until = data.draw(st.none() | st.integers(0, 30).map(lambda more: pts + more))
    found, _ = lead(terrain.before(pts, until), film.size)
    assert found is not None
    assert found.picture == before(film, pts)
    assert until is None or found.picture.position + len(found.data) >= needed(film, until)


def needed(film: Film, until: int) -> int:
    """Where the last picture begins that a taker of frames reads for the frame at a time."""
    beyond = next((n for n, p in enumerate(film.pictures) if p.pts > until), len(film.pictures))
    return film.pictures[: beyond + HELD_PICTURES][-1].position


def test_a_search_reads_little() -> None:
    terrain = REGULAR.terrain()
    pieces = [lead(terrain.nearest(pts, 75), REGULAR.size)[1] for pts in range(20, REGULAR.last_pts, 137)]
    assert sum(map(len, pieces)) <= 3.5 * len(pieces)
    assert sum(length for read in pieces for _, length in read) <= 0.4 * REGULAR.size


def test_pieces_that_are_wanted_twice_lie_alike() -> None:
    """So that a cache has them already: on one grid, whichever search asks."""
    terrain = REGULAR.terrain()
    pieces = [
        piece for pts in range(20, 2000, 53) for piece in lead(terrain.nearest(pts, 75), REGULAR.size)[1]
    ]
    assert {offset % (WINDOW_BYTES // 2) for offset, _ in pieces} == {0}


def test_a_keyframe_that_is_too_far_is_not_looked_for_for_ever() -> None:
    endless = film([(10, 20_000), (10_000, 20_000), (10, 20_000)])
    for search in (endless.terrain().nearest(15_000, None), endless.terrain().before(29_000)):
        read: list[tuple[int, int]] = []
        with pytest.raises(Odd):
            wanted = next(search)
            while True:
                read.append(wanted[:2])
                wanted = search.send(bytes(wanted.length))
        assert sum(length for _, length in read) <= 2 * MOST_WINDOWS * WINDOW_BYTES


def test_a_file_of_which_nothing_is_understood_is_odd_soon() -> None:
    silent = Film((), 1 << 30, has_ends=False)
    terrain = Terrain(silent, silent.size, 0, 1000)
    read = 0
    search = terrain.nearest(500, None)
    with pytest.raises(Odd):
        wanted = next(search)
        while True:
            read += wanted.length
            wanted = search.send(bytes(wanted.length))
    assert read <= 4 << 20


def cue_map(film: Film) -> CueMap:
    cues = [(keyframe.pts, keyframe.position) for keyframe in film.keyframes]
    return CueMap(film, film.size, cues, film.pictures[0].end, picture_ticks=1)


@settings(max_examples=40)
@given(st.lists(st.integers(100_000, 160_000), min_size=2, max_size=12), st.data())
def test_cues_say_where_keyframes_are_and_what_was_read_says_how_long(
    lengths: list[int], data: st.DataObject
) -> None:
    made = film([(8, length) for length in lengths], has_ends=True)
    cues = cue_map(made)
    read: list[tuple[int, int]] = []
    for pts in data.draw(st.lists(st.integers(0, made.last_pts), min_size=1, max_size=9, unique=True)):
        found, pieces = lead(cues.before(pts), made.size)
        assert found is not None
        assert found.picture == before(made, pts)
        assert len(found.data) == found.picture.end - found.picture.position
        read += pieces
        assert len(pieces) <= 2
    until = data.draw(st.integers(0, made.last_pts))
    found, pieces = lead(cues.before(until, until), made.size)
    assert found is not None
    assert found.picture.position + len(found.data) >= needed(made, until) + PICTURE_BYTES


def test_keyframes_of_usual_lengths_cost_one_piece_each() -> None:
    lengths = [120_000 + 7919 * number % 20_000 for number in range(60)]
    made = film([(8, length) for length in lengths], has_ends=True)
    cues = cue_map(made)
    pieces = [piece for keyframe in made.keyframes for piece in lead(cues.before(keyframe.pts), made.size)[1]]
    assert len(pieces) <= 1.15 * len(lengths)
    assert sum(length for _, length in pieces) <= 1.1 * sum(lengths)


@pytest.mark.parametrize("cues", [[], [(0, 5000), (10, 4000)], [(0, 10_000_000)]])
def test_cues_that_do_not_ascend_are_odd(cues: list[tuple[int, int]]) -> None:
    with pytest.raises(Odd):
        CueMap(REGULAR, 1_000_000, cues, 1000, 1)


def test_a_keyframe_that_says_it_is_the_rest_of_a_large_file_is_not_read() -> None:
    """A piece that is asked for lies in memory as a whole."""
    made = film([(8, 100_000), (8, 3 << 30)], has_ends=True)
    search = cue_map(made).before(made.last_pts)
    _, length, _ = next(search)
    with pytest.raises(Odd):
        search.send(bytes(length))


class Hinted(MemorySource):
    """Notes what it is told will be read, and what is read of that."""

    def __init__(self, size: int) -> None:
        super().__init__(bytes(size))
        self.hints: list[tuple[int, int]] = []
        self.reads: list[tuple[int, int]] = []

    def prefetch(self, extents: Sequence[tuple[int, int]]) -> None:
        (offset, half), (middle, rest) = extents
        assert offset + half == middle
        self.hints.append((offset, half + rest))

    def read_at(self, offset: int, length: int) -> bytes:
        self.reads.append((offset, length))
        return super().read_at(offset, length)


def test_a_guide_hints_at_everything_before_it_reads_it_and_at_many_at_once() -> None:
    source = Hinted(REGULAR.size)
    guide = Guide(source, REGULAR.terrain())
    wishes = [Wish(pts, is_nearest=True, reach=75) for pts in range(20, REGULAR.last_pts, 137)]
    guide.expect(wishes)
    for wish in wishes:
        found = guide.found(wish)
        assert (found and found.picture) == nearest(REGULAR, wish.pts, 75)
    assert source.reads[:10] == source.hints[:10]
    assert set(source.reads) <= set(source.hints)
    # what nobody has announced is looked for by who asks
    extra = guide.found(Wish(777))
    assert extra is not None
    assert extra.picture == before(REGULAR, 777)


def test_what_is_odd_for_one_wish_ends_all() -> None:
    endless = film([(10, 20_000), (10_000, 20_000), (10, 20_000)])
    guide = Guide(Hinted(endless.size), endless.terrain())
    wishes = [Wish(pts) for pts in (15_000, 15_100, 15_200)]
    guide.expect(wishes)
    for wish in wishes:
        with pytest.raises(Odd):
            guide.found(wish)


class Forgetful(Hinted):
    """Fails in the hints or the reads, once it has been asked three times."""

    def __init__(self, size: int, *, fails_in: str) -> None:
        super().__init__(size)
        self.fails_in = fails_in

    def prefetch(self, extents: Sequence[tuple[int, int]]) -> None:
        super().prefetch(extents)
        if self.fails_in == "hints" and len(self.hints) > 3:
            raise SourceError("film", "no room for more")

    def read_at(self, offset: int, length: int) -> bytes:
        if self.fails_in == "reads" and len(self.reads) > 3:
            raise SourceError("film", "no answer")
        return super().read_at(offset, length)


@pytest.mark.parametrize("fails_in", ["hints", "reads"])
def test_who_waits_for_a_keyframe_is_told_of_every_failure(fails_in: str) -> None:
    guide = Guide(Forgetful(REGULAR.size, fails_in=fails_in), REGULAR.terrain())
    wishes = [Wish(pts, is_nearest=True, reach=75) for pts in range(20, REGULAR.last_pts, 137)]
    guide.expect(wishes)
    failures = 0
    for wish in wishes:
        try:
            assert guide.found(wish) is not None
        except SourceError:
            failures += 1
    assert failures > 0


def test_a_guide_that_was_told_to_forget_still_finds() -> None:
    """One stretch of a job ends, and the next one goes on with the same readers."""
    guide = Guide(Hinted(REGULAR.size), REGULAR.terrain())
    wishes = [Wish(pts, is_nearest=True, reach=75) for pts in range(20, REGULAR.last_pts, 137)]
    for _ in range(2):
        guide.expect(wishes)
        for wish in wishes[:5]:
            found = guide.found(wish)
            assert (found and found.picture) == nearest(REGULAR, wish.pts, 75)
        guide.forget()
    found = guide.found(wishes[9])
    assert (found and found.picture) == nearest(REGULAR, wishes[9].pts, 75)
