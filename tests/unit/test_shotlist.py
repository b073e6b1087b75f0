"""Time, Interval and Count: the row of the documentation, line by line, and what lies past the end."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillframe.errors import ConfigError
from stillframe.media.config import SnapshotConfig, SpriteSnapshotConfig
from stillframe.media.shotlist import shot_list

S = 1000
HOUR = 3600 * S


def sprite(columns: int, lines: int, **others: Any) -> SnapshotConfig:
    grid = SpriteSnapshotConfig(columns=columns, lines=lines)
    return SnapshotConfig(type="Sprite", sprite_snapshot_config=grid, **others)


@pytest.mark.parametrize(
    ("config", "duration_ms", "moments_ms"),
    [
        pytest.param(SnapshotConfig(), 60 * S, [0], id="Normal, nothing given: one"),
        pytest.param(SnapshotConfig(time=2500), 60 * S, [2500], id="Normal, only Time: one there"),
        pytest.param(SnapshotConfig(interval=0), 60 * S, [0], id="Interval 0 alone is as if absent"),
        pytest.param(SnapshotConfig(interval_ms=0), 60 * S, [0], id="IntervalMs 0, too"),
        pytest.param(SnapshotConfig(count=1, time=3000), 60 * S, [3000], id="Count 1: one at Time"),
        pytest.param(
            SnapshotConfig(count=1, interval=2, time=3000), 60 * S, [3000], id="Count 1, Interval: one"
        ),
        pytest.param(
            SnapshotConfig(count=5, interval=2, time=10 * S),
            60 * S,
            [10 * S, 12 * S, 14 * S, 16 * S, 18 * S],
            id="Count and Interval: Time + k Interval",
        ),
        pytest.param(SnapshotConfig(count=3, interval_ms=40), 60 * S, [0, 40, 80], id="Count and IntervalMs"),
        pytest.param(
            SnapshotConfig(count=5),
            60 * S,
            [0, 12 * S, 24 * S, 36 * S, 48 * S],
            id="Count alone: spread evenly",
        ),
        pytest.param(
            SnapshotConfig(count=4, interval=0), 60 * S, [0, 15 * S, 30 * S, 45 * S], id="Interval 0: evenly"
        ),
        pytest.param(
            SnapshotConfig(count=5, time=10 * S),
            60 * S,
            [10 * S, 20 * S, 30 * S, 40 * S, 50 * S],
            id="evenly from Time on",
        ),
        pytest.param(SnapshotConfig(count=3), 100, [0, 33, 66], id="evenly, in fractions of a millisecond"),
        pytest.param(SnapshotConfig(count=4), 2, [0, 0, 1, 1], id="evenly, more shots than milliseconds"),
        pytest.param(
            SnapshotConfig(interval=20), 60 * S, [0, 20 * S, 40 * S], id="Interval alone: to the end"
        ),
        pytest.param(
            SnapshotConfig(interval=20),
            60 * S + 1,
            [0, 20 * S, 40 * S, 60 * S],
            id="a millisecond longer: one more",
        ),
        pytest.param(
            SnapshotConfig(interval=20, time=50 * S), 60 * S, [50 * S], id="Interval and Time near the end"
        ),
        pytest.param(SnapshotConfig(interval=60), 10 * S, [0], id="Interval longer than the video"),
        pytest.param(
            SnapshotConfig(interval_ms=2500, time=1000),
            10 * S,
            [1000, 3500, 6000, 8500],
            id="IntervalMs alone",
        ),
        pytest.param(sprite(3, 2), 60 * S, [k * 10 * S for k in range(6)], id="Sprite: one full sheet"),
        pytest.param(
            sprite(3, 2, time=30 * S),
            60 * S,
            [30 * S + k * 5 * S for k in range(6)],
            id="Sprite from Time on",
        ),
        pytest.param(sprite(3, 2, count=4), 60 * S, [0, 15 * S, 30 * S, 45 * S], id="Sprite with Count"),
        pytest.param(sprite(3, 2, interval=25), 60 * S, [0, 25 * S, 50 * S], id="Sprite with Interval"),
        pytest.param(
            SnapshotConfig(type="WebVtt"),
            35 * S,
            [0, 10 * S, 20 * S, 30 * S],
            id="WebVtt: every 10 s to the end",
        ),
        pytest.param(
            SnapshotConfig(type="WebVtt", time=15 * S), 35 * S, [15 * S, 25 * S], id="WebVtt from Time on"
        ),
        pytest.param(
            SnapshotConfig(type="WebVtt", is_spt_frag=True),
            20 * S,
            [0, 10 * S],
            id="WebVtt tiled: the same, whatever the grid",
        ),
        pytest.param(SnapshotConfig(type="WebVtt", count=2), 35 * S, [0, 17_500], id="WebVtt with Count"),
        pytest.param(
            SnapshotConfig(type="WebVtt", interval=30), 35 * S, [0, 30 * S], id="WebVtt with Interval"
        ),
        pytest.param(SnapshotConfig(count=3), 0, [0, 0, 0], id="a video that only announces one picture"),
        pytest.param(SnapshotConfig(interval=1), 0, [0], id="the same with Interval"),
    ],
)
def test_moments(config: SnapshotConfig, duration_ms: int, moments_ms: list[int]) -> None:
    shots = shot_list(config, duration_ms)

    assert list(shots.requested_ms) == moments_ms
    assert shots.dropped_ms == ()


@pytest.mark.parametrize(
    ("config", "duration_ms", "requested_ms", "dropped_ms"),
    [
        pytest.param(
            SnapshotConfig(count=5, interval=3),
            10 * S,
            [0, 3 * S, 6 * S, 9 * S],
            [12 * S],
            id="behind the end",
        ),
        pytest.param(SnapshotConfig(count=3, interval=5), 10 * S, [0, 5 * S], [10 * S], id="at the end"),
        pytest.param(
            SnapshotConfig(count=3, interval=5),
            10 * S + 1,
            [0, 5 * S, 10 * S],
            [],
            id="a millisecond before it",
        ),
        pytest.param(
            SnapshotConfig(count=3, interval=5, time=20 * S),
            10 * S,
            [],
            [20 * S, 25 * S, 30 * S],
            id="all of them",
        ),
        pytest.param(
            SnapshotConfig(count=2, time=20 * S), 10 * S, [], [20 * S] * 2, id="nothing to spread over"
        ),
        pytest.param(
            SnapshotConfig(interval=5, time=20 * S), 10 * S, [], [20 * S], id="Interval from behind the end"
        ),
        pytest.param(
            SnapshotConfig(time=20 * S), 10 * S, [20 * S], [], id="a single one is never dropped here"
        ),
        pytest.param(SnapshotConfig(count=1, time=20 * S), 10 * S, [20 * S], [], id="neither with Count 1"),
    ],
)
def test_past_the_end(
    config: SnapshotConfig, duration_ms: int, requested_ms: list[int], dropped_ms: list[int]
) -> None:
    shots = shot_list(config, duration_ms)

    assert (list(shots.requested_ms), list(shots.dropped_ms)) == (requested_ms, dropped_ms)


@pytest.mark.parametrize(
    ("config", "duration_ms", "runs_to_end"),
    [
        pytest.param(SnapshotConfig(interval=10), 35 * S, True, id="Interval alone"),
        pytest.param(SnapshotConfig(count=3), 35 * S, True, id="evenly"),
        pytest.param(SnapshotConfig(count=3, interval=10), 35 * S, False, id="Count and Interval end before"),
        pytest.param(
            SnapshotConfig(count=4, interval=10), 35 * S, True, id="the last interval reaches the end"
        ),
        pytest.param(SnapshotConfig(count=3, interval=10), 30 * S, True, id="it ends with the video"),
        pytest.param(SnapshotConfig(count=2, interval=10, time=9 * S), 30 * S, False, id="Time counts"),
        pytest.param(
            SnapshotConfig(count=2, interval=10, time=10 * S), 30 * S, True, id="Time counts, exactly"
        ),
        pytest.param(SnapshotConfig(), 35 * S, True, id="a single one stands for all"),
    ],
)
def test_runs_to_the_end(config: SnapshotConfig, duration_ms: int, runs_to_end: bool) -> None:
    assert shot_list(config, duration_ms).runs_to_end is runs_to_end


@pytest.mark.parametrize(
    ("config", "step_ms"),
    [
        pytest.param(SnapshotConfig(), 0, id="single"),
        pytest.param(SnapshotConfig(count=1, interval=10), 0, id="Count 1"),
        pytest.param(SnapshotConfig(count=3, interval=10), 10 * S, id="Interval"),
        pytest.param(SnapshotConfig(interval_ms=1500), 1500, id="IntervalMs"),
        pytest.param(SnapshotConfig(count=3), Fraction(100 * S, 3), id="evenly, exactly"),
        pytest.param(SnapshotConfig(type="WebVtt"), 10 * S, id="WebVtt"),
    ],
)
def test_step(config: SnapshotConfig, step_ms: int | Fraction) -> None:
    assert shot_list(config, 100 * S).step_ms == step_ms


@pytest.mark.parametrize(
    ("config", "single"),
    [
        pytest.param(SnapshotConfig(), True, id="Normal, nothing given"),
        pytest.param(SnapshotConfig(count=1, interval=5), True, id="Count 1"),
        pytest.param(SnapshotConfig(count=2), False, id="Count 2"),
        pytest.param(SnapshotConfig(count=2, interval=60), False, id="Count 2, one of them dropped"),
    ],
)
def test_single(config: SnapshotConfig, single: bool) -> None:
    assert shot_list(config, 10 * S).single is single


@pytest.mark.parametrize(
    ("config", "duration_ms", "number"),
    [
        pytest.param(SnapshotConfig(count=20_000), 10 * HOUR, 20_000, id="Count"),
        pytest.param(SnapshotConfig(interval=1), 20_000 * S, 20_000, id="Interval"),
        pytest.param(sprite(200, 100), 10 * HOUR, 20_000, id="a sheet"),
    ],
)
def test_up_to_20_000_shots(config: SnapshotConfig, duration_ms: int, number: int) -> None:
    assert len(shot_list(config, duration_ms).requested_ms) == number


@pytest.mark.parametrize(
    ("config", "duration_ms", "path"),
    [
        pytest.param(SnapshotConfig(interval=1), 20_000 * S + 1, "Interval", id="Interval"),
        pytest.param(SnapshotConfig(interval_ms=1), 20_001, "IntervalMs", id="IntervalMs"),
        pytest.param(sprite(201, 100), 10 * HOUR, "SpriteSnapshotConfig", id="a sheet of more cells"),
        pytest.param(
            sprite(10_000, 10_000), 10 * HOUR, "SpriteSnapshotConfig", id="a sheet of 100 million cells"
        ),
        pytest.param(SnapshotConfig(type="WebVtt"), 200_000 * S + 1, "Interval", id="WebVtt of 55 hours"),
    ],
)
def test_more_are_refused_by_the_parameter_that_asks_for_them(
    config: SnapshotConfig, duration_ms: int, path: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        shot_list(config, duration_ms)

    assert caught.value.path.startswith(path)
    assert "20000" in caught.value.allowed


@settings(deadline=None)
@given(
    count=st.none() | st.integers(1, 50),
    interval_ms=st.none() | st.integers(0, 5000),
    time=st.integers(0, 20_000),
    duration_ms=st.integers(1, 15_000),
    type=st.sampled_from(["Normal", "Sprite", "WebVtt"]),
)
def test_moments_ascend_from_time_on(
    count: int | None, interval_ms: int | None, time: int, duration_ms: int, type: Any
) -> None:
    config = SnapshotConfig(type=type, count=count, interval_ms=interval_ms, time=time)

    shots = shot_list(config, duration_ms)

    moments = [*shots.requested_ms, *shots.dropped_ms]
    assert moments[0] == time
    assert moments == sorted(moments)
    if not shots.single:
        assert all(moment < duration_ms for moment in shots.requested_ms)
        assert all(moment >= duration_ms for moment in shots.dropped_ms)
    if count is not None:
        assert len(moments) == count
