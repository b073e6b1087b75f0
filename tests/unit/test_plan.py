"""The planner: which keyframe, which shots together, which stretches, which bytes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillframe.media.plan import (
    Aim,
    Costs,
    Stretch,
    anchor_of,
    coalesce,
    costs_of,
    is_one_stretch,
    nearest_keyframe,
    run_cost_s,
    runs,
    stretches,
    threads_that_fit,
)

GOPS = [0, 100, 200, 300]
#: ticks of a second
RATE = 1000.0
#: a keyframe costs a second, a frame a tenth; a frame is 40 ticks
COSTS = Costs(seek_s=0.0, keyframe_s=1.0, frame_s=0.1)
FRAME = 40


@pytest.mark.parametrize(
    ("keyframes", "moment", "reach", "nearest"),
    [
        pytest.param(GOPS, 100, 0, 100, id="on it"),
        pytest.param(GOPS, 101, 0, None, id="a tick behind it, out of reach"),
        pytest.param(GOPS, 130, 50, 100, id="behind it"),
        pytest.param(GOPS, 180, 50, 200, id="before it"),
        pytest.param(GOPS, 150, 50, 100, id="in the middle: the earlier one"),
        pytest.param(GOPS, 150, 49, None, id="in the middle, a tick out of reach"),
        pytest.param(GOPS, 151, None, 200, id="any distance"),
        pytest.param(GOPS, 9999, None, 300, id="behind the last one, any distance"),
        pytest.param(GOPS, 9999, 100, None, id="behind the last one, out of reach"),
        pytest.param(GOPS, -50, 50, 0, id="before the first one"),
        pytest.param(GOPS, -51, 50, None, id="before the first one, out of reach"),
        pytest.param([100], 0, None, 100, id="the only one"),
        pytest.param([], 0, None, None, id="none"),
        pytest.param([-200, -100], -149, None, -100, id="negative times"),
    ],
)
def test_nearest_keyframe(keyframes: list[int], moment: int, reach: int | None, nearest: int | None) -> None:
    assert nearest_keyframe(keyframes, moment, reach) == nearest


@settings(deadline=None)
@given(
    st.lists(st.integers(-500, 500), unique=True).map(sorted),
    st.integers(-600, 600),
    st.none() | st.integers(0, 300),
)
def test_no_keyframe_is_nearer(keyframes: list[int], moment: int, reach: int | None) -> None:
    nearest = nearest_keyframe(keyframes, moment, reach)

    distances = [abs(keyframe - moment) for keyframe in keyframes]
    if nearest is None:
        assert not distances or (reach is not None and min(distances) > reach)
    else:
        assert abs(nearest - moment) == min(distances)
        assert reach is None or min(distances) <= reach


@pytest.mark.parametrize(
    ("keyframes", "moment", "anchor"),
    [
        pytest.param(GOPS, 0, 0, id="on the first"),
        pytest.param(GOPS, 199, 100, id="a tick before one: the one before"),
        pytest.param(GOPS, 200, 200, id="on one"),
        pytest.param(GOPS, 201, 200, id="a tick behind one"),
        pytest.param(GOPS, 9999, 300, id="behind the last"),
        pytest.param([100, 200], 50, 100, id="before the first: that one all the same"),
        pytest.param([], 50, None, id="no index"),
    ],
)
def test_anchor(keyframes: list[int], moment: int, anchor: int | None) -> None:
    assert anchor_of(keyframes, moment) == anchor


def exact(*moments: int) -> list[Aim]:
    return [Aim(shot, moment, anchor=anchor_of(GOPS, moment)) for shot, moment in enumerate(moments)]


def intra(*keyframes: int) -> list[Aim]:
    return [Aim(shot, keyframe, keyframe=keyframe) for shot, keyframe in enumerate(keyframes)]


def without_index(*moments: int) -> list[Aim]:
    return [Aim(shot, moment) for shot, moment in enumerate(moments)]


@pytest.mark.parametrize(
    ("aims", "grouped"),
    [
        pytest.param([], [], id="no shots"),
        pytest.param(exact(10), [[0]], id="one"),
        pytest.param(exact(10, 20, 99, 100, 150, 310), [[0, 1, 2], [3, 4], [5]], id="exact: by GOP"),
        pytest.param(exact(310, 9999), [[0, 1]], id="exact: the last GOP has no end"),
        pytest.param(
            intra(0, 0, 100, 200, 200), [[0, 1], [2], [3, 4]], id="intra: those that share a keyframe"
        ),
        pytest.param(
            [Aim(0, 0, keyframe=0), Aim(1, 50, anchor=0), Aim(2, 60, anchor=0), Aim(3, 90, keyframe=100)],
            [[0], [1, 2], [3]],
            id="intra and exact apart",
        ),
        pytest.param(without_index(0, 2000, 4000), [[0, 1, 2]], id="no index: within two seconds"),
        pytest.param(without_index(0, 2001, 4002), [[0], [1], [2]], id="no index: farther apart"),
        pytest.param(
            without_index(*range(0, 7000, 100)),
            [[*range(32)], [*range(32, 64)], [*range(64, 70)]],
            id="no index: 32 at most",
        ),
        pytest.param([Aim(0, 10, anchor=0), Aim(1, 20)], [[0], [1]], id="with an anchor and without apart"),
        pytest.param([Aim(7, 10, anchor=0), Aim(9, 20, anchor=0)], [[7, 9]], id="shots keep their numbers"),
    ],
)
def test_runs(aims: list[Aim], grouped: list[list[int]]) -> None:
    assert [[aim.shot for aim in run] for run in runs(aims, RATE)] == grouped


@pytest.mark.parametrize(
    ("run", "cost_s"),
    [
        pytest.param([Aim(0, 30, keyframe=0)], 1.0, id="a keyframe"),
        pytest.param([Aim(0, 30, keyframe=0), Aim(1, 60, keyframe=0)], 1.0, id="a keyframe for two shots"),
        pytest.param([Aim(0, 0, anchor=0)], 1.0, id="exact, on the keyframe"),
        pytest.param([Aim(0, 400, anchor=0)], 2.0, id="exact, ten frames on"),
        pytest.param([Aim(0, 40, anchor=0), Aim(1, 400, anchor=0)], 2.0, id="exact, up to the last shot"),
        pytest.param([Aim(0, 0, anchor=80)], 1.0, id="exact, before the first keyframe"),
        pytest.param([Aim(0, 5000)], 1.0 + 0.1 * 1000 / 40, id="no index: half a GOP of two seconds"),
    ],
)
def test_cost_of_a_run(run: list[Aim], cost_s: float) -> None:
    assert run_cost_s(run, COSTS, FRAME, RATE) == pytest.approx(cost_s)


@pytest.mark.parametrize(
    ("shots", "cells", "cut"),
    [
        pytest.param(0, 1, [], id="no shots"),
        pytest.param(1, 1, [(0, 0)], id="one shot"),
        pytest.param(9, 1, [(0, 8)], id="nine seconds"),
        pytest.param(10, 1, [(0, 9)], id="ten seconds"),
        pytest.param(11, 1, [(0, 9), (10, 10)], id="eleven seconds"),
        pytest.param(30, 1, [(0, 9), (10, 19), (20, 29)], id="thirty seconds"),
        pytest.param(30, 4, [(0, 11), (12, 23), (24, 29)], id="sheets of four: three whole ones each"),
        pytest.param(30, 100, [(0, 29)], id="less than a sheet"),
        pytest.param(250, 100, [(0, 99), (100, 199), (200, 249)], id="sheets of a hundred: one each"),
    ],
)
def test_stretches_are_whole_sheets_of_about_ten_seconds(
    shots: int, cells: int, cut: list[tuple[int, int]]
) -> None:
    aims = intra(*range(0, shots * 100, 100))

    found = stretches(aims, cells, COSTS, FRAME, RATE)

    assert [(stretch.first, stretch.last) for stretch in found] == cut
    assert [stretch.cost_s for stretch in found] == [pytest.approx(last - first + 1) for first, last in cut]


def test_shots_that_share_a_keyframe_share_its_cost() -> None:
    aims = intra(*[shot // 4 * 100 for shot in range(80)])

    # twenty keyframes are twenty seconds
    assert stretches(aims, 1, COSTS, FRAME, RATE) == [
        Stretch(0, 39, pytest.approx(10.0)),
        Stretch(40, 79, pytest.approx(10.0)),
    ]


def test_stretches_speak_of_shots_by_their_numbers() -> None:
    # shots 1, 3, 5 … were skipped
    aims = [Aim(shot, shot * 100, keyframe=shot * 100) for shot in range(0, 30, 2)]

    found = stretches(aims, 1, COSTS, FRAME, RATE)

    assert [(stretch.first, stretch.last) for stretch in found] == [(0, 18), (20, 28)]


AIMS = st.lists(st.integers(0, 400), max_size=120).map(lambda moments: exact(*sorted(moments)))


@settings(deadline=None)
@given(AIMS, st.integers(1, 30), st.floats(0.001, 3))
def test_stretches_cover_all_shots_once_and_in_order(aims: list[Aim], cells: int, keyframe_s: float) -> None:
    costs = Costs(0.0005, keyframe_s, 0.05)

    found = stretches(aims, cells, costs, FRAME, RATE)

    covered = [shot for stretch in found for shot in range(stretch.first, stretch.last + 1)]
    assert covered == [aim.shot for aim in aims]
    assert all((stretch.last + 1) % cells == 0 for stretch in found[:-1])
    assert all(stretch.cost_s >= 10 for stretch in found[:-1])
    assert is_one_stretch(aims, costs, FRAME, RATE) == (len(stretches(aims, 1, costs, FRAME, RATE)) <= 1)
    in_all = sum(run_cost_s(run, costs, FRAME, RATE) for run in runs(aims, RATE))
    assert sum(stretch.cost_s for stretch in found) == pytest.approx(in_all)


@pytest.mark.parametrize(
    ("extents", "gap", "joined"),
    [
        pytest.param([], 10, [], id="none"),
        pytest.param([(5, 10)], 10, [(5, 10)], id="one"),
        pytest.param([(0, 10), (10, 5)], 0, [(0, 15)], id="side by side"),
        pytest.param([(0, 10), (20, 5)], 10, [(0, 25)], id="a hole as wide as the gap"),
        pytest.param([(0, 10), (21, 5)], 10, [(0, 10), (21, 5)], id="a hole a byte wider"),
        pytest.param([(50, 5), (0, 10)], 10, [(0, 10), (50, 5)], id="in file order"),
        pytest.param([(0, 100), (20, 5)], 10, [(0, 100)], id="one within the other"),
        pytest.param([(0, 100), (20, 5), (105, 5)], 10, [(0, 110)], id="the end is that of the longest"),
        pytest.param([(0, 10), (5, 10)], 0, [(0, 15)], id="overlapping"),
        pytest.param([(3, 4), (3, 4)], 0, [(3, 4)], id="twice the same"),
    ],
)
def test_coalesce(extents: list[tuple[int, int]], gap: int, joined: list[tuple[int, int]]) -> None:
    assert coalesce(extents, gap) == joined


EXTENTS = st.lists(st.tuples(st.integers(0, 500), st.integers(1, 50)), max_size=30)


@settings(deadline=None)
@given(EXTENTS, st.integers(0, 40))
def test_coalesced_ranges_hold_every_byte_that_was_asked(extents: Any, gap: int) -> None:
    joined = coalesce(extents, gap)

    asked = {byte for offset, length in extents for byte in range(offset, offset + length)}
    read = [byte for offset, length in joined for byte in range(offset, offset + length)]
    assert asked <= set(read)
    assert len(read) == len(set(read))
    assert all(later[0] - sum(before) > gap for before, later in pairwise(joined))
    # what was read without being asked lies in holes no wider than the gap
    assert all(offset in asked and offset + length - 1 in asked for offset, length in joined)


def test_costs_grow_with_the_pixels() -> None:
    full_hd, ultra_hd = costs_of("h264", 1920 * 1080), costs_of("h264", 3840 * 2160)

    assert (full_hd.keyframe_s, full_hd.frame_s) == (pytest.approx(0.013), pytest.approx(0.003))
    assert ultra_hd.keyframe_s == pytest.approx(4 * full_hd.keyframe_s)
    assert ultra_hd.frame_s == pytest.approx(4 * full_hd.frame_s)


@pytest.mark.parametrize(("codec", "pixels"), [("snow", 1920 * 1080), ("h264", 0), ("", 1)])
def test_everything_costs_something(codec: str, pixels: int) -> None:
    costs = costs_of(codec, pixels)

    assert costs.seek_s > 0
    assert costs.keyframe_s > costs.frame_s > 0


@pytest.mark.parametrize(
    ("pixels", "bytes_a_pixel", "most"),
    [
        (192 * 108, 1.5, 1000),
        (1920 * 1080, 1.5, 12),
        (1920 * 1080, 3.0, 6),
        (3840 * 2160, 1.5, 5),
        (3840 * 2160, 3.0, 3),
        (3840 * 2160, 6.0, 1),
        (7680 * 4320, 3.0, 1),
        (0, 0.0, 1000),
    ],
)
def test_threads_are_as_many_as_memory_has_room_for(pixels: int, bytes_a_pixel: float, most: int) -> None:
    """In the gibibyte that a decoding child has."""
    fit = threads_that_fit(pixels, bytes_a_pixel, 1 << 30)
    assert fit == most if most < 1000 else fit >= most
    assert threads_that_fit(pixels, bytes_a_pixel, 0) == 1


def test_of_many_shots_no_more_are_taken_than_one_stretch_holds() -> None:
    taken: list[Aim] = []
    many = (taken.append(aim) or aim for aim in intra(*range(0, 18_000 * FRAME, FRAME)))
    assert not is_one_stretch(many, COSTS, FRAME, RATE)
    held = stretches(taken, 1, COSTS, FRAME, RATE)[0]
    assert len(taken) <= held.last - held.first + 3
