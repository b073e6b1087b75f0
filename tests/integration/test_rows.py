"""Which frame a parameter chooses, read from the pixels: keyframes, the end, black pictures.

These are the rows FrameType, "shots past the end" and BlackLevel of docs/parameters.md.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from taking import Picture, take

from stillframe.errors import PastTheEnd
from stillframe.media.config import SpriteSnapshotConfig
from stillframe.testing import Clip, barcode, videos

CONTAINERS = ("mp4", "mkv", "ts", "mkv without an index")


@pytest.fixture(scope="module", params=CONTAINERS)
def long_gop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """Six seconds, whose keyframes are at 0 and 4 s. A transport stream has no index either."""
    suffix, _, without_index = request.param.partition(" ")
    path = tmp_path_factory.mktemp("long_gop") / f"long_gop.{suffix}"
    clip = videos.make(path, frames=150, gop=100, bframes=2, seekable=not without_index)
    assert clip.keyframe_numbers == (0, 100)
    return clip


@pytest.mark.parametrize(
    ("parameters", "seen"),
    [
        pytest.param({"keyframe_miss": "exact"}, [0, 25, 50, 75, 100, 125], id="exact"),
        pytest.param({"keyframe_miss": "nearest"}, [0, 0, 0, 100, 100, 100], id="nearest"),
        pytest.param({"keyframe_miss": "skip"}, [0, 100], id="skip"),
        pytest.param({"frame_type": "normal"}, [0, 25, 50, 75, 100, 125], id="normal"),
        pytest.param(
            {"frame_type": "normal", "keyframe_miss": "skip"}, [0, 25, 50, 75, 100, 125], id="normal, skip"
        ),
    ],
)
def test_six_shots_and_two_keyframes(long_gop: Clip, parameters: dict[str, Any], seen: list[int]) -> None:
    taken = take(long_gop, count=6, interval=1, **parameters)

    assert taken.seen == seen
    assert taken.names == [f"{number:05d}.png" for number in range(1, len(seen) + 1)]
    assert taken.report.ok


def test_what_was_skipped_is_reported(long_gop: Clip) -> None:
    taken = take(long_gop, count=6, interval=1, keyframe_miss="skip")

    assert taken.statuses == ["taken", "skipped", "skipped", "skipped", "taken", "skipped"]
    assert [shot.actual_ms for shot in taken.report.shots] == [0, None, None, None, 4000, None]
    assert all(shot.reason for shot in taken.report.shots if shot.status == "skipped")
    assert any("4 shots" in note and "skip" in note for note in taken.report.notes)


@pytest.mark.parametrize(
    ("parameters", "seen"),
    [
        pytest.param({"interval": 2, "time": 1000}, [0, 100, 100], id="just half an interval away"),
        pytest.param({"interval": 2, "time": 960}, [0, 74, 100], id="a frame too far away"),
        pytest.param({"interval": 2, "time": 0}, [0, 50, 100], id="in the middle between two"),
        pytest.param({"count": 2}, [0, 100], id="spread evenly: 3 s is 1 s away, half an interval is 1.5 s"),
    ],
)
def test_a_keyframe_within_half_an_interval(
    long_gop: Clip, parameters: dict[str, Any], seen: list[int]
) -> None:
    assert take(long_gop, **parameters).seen == seen


@pytest.mark.parametrize(("time", "seen"), [(1960, 0), (2000, 0), (2040, 100), (3990, 100), (5900, 100)])
@pytest.mark.parametrize("keyframe_miss", ["exact", "skip"])
def test_a_single_intra_shot_is_the_nearest_keyframe(
    long_gop: Clip, time: int, seen: int, keyframe_miss: str
) -> None:
    taken = take(long_gop, count=1, time=time, keyframe_miss=keyframe_miss)

    assert taken.seen == [seen]
    assert taken.report.shots[0].keyframe


@pytest.mark.parametrize("frame_type", ["intra", "normal"])
def test_shots_past_the_end_are_dropped_and_reported(long_gop: Clip, frame_type: str) -> None:
    taken = take(long_gop, count=5, interval=2, time=20, frame_type=frame_type)

    assert taken.seen == [0, 50, 100]
    assert taken.statuses == ["taken"] * 3 + ["dropped"] * 2
    assert [shot.requested_ms for shot in taken.report.shots] == [20, 2020, 4020, 6020, 8020]
    assert any("2 shots" in note and "dropped" in note for note in taken.report.notes)
    assert taken.report.ok


@pytest.mark.parametrize("frame_type", ["intra", "normal"])
def test_several_shots_all_of_them_past_the_end(long_gop: Clip, frame_type: str) -> None:
    with pytest.raises(PastTheEnd, match=r"6\.000 s"):
        take(long_gop, count=5, interval=2, time=6000, frame_type=frame_type)


@pytest.mark.parametrize("time", [6000, 6040])
def test_a_single_exact_shot_within_a_frame_of_the_end_is_the_last_one(long_gop: Clip, time: int) -> None:
    assert take(long_gop, count=1, time=time, frame_type="normal").seen == [149]


@pytest.mark.parametrize("time", [6041, 60_000, 2**50])
def test_a_single_exact_shot_past_the_end_fails(long_gop: Clip, time: int) -> None:
    with pytest.raises(PastTheEnd, match=r"6\.000 s") as caught:
        take(long_gop, count=1, time=time, frame_type="normal")

    assert caught.value.code == "InvalidParameter"


@pytest.mark.parametrize("time", [6000, 60_000, 2**50])
def test_a_single_intra_shot_past_the_end_is_the_last_keyframe(long_gop: Clip, time: int) -> None:
    assert take(long_gop, count=1, time=time).seen == [100]


def test_the_end_is_half_a_second_long_at_most(tmp_path: Path) -> None:
    clip = videos.make(tmp_path / "slow.mp4", frames=5, fps=1)

    assert take(clip, time=5500, frame_type="normal").seen == [4]
    with pytest.raises(PastTheEnd):
        take(clip, time=5501, frame_type="normal")


def black_until(number: int, draw: Callable[[int, int, int], Picture] = barcode.draw) -> Any:
    def drawn(this: int, width: int, height: int) -> Picture:
        return np.zeros((height, width, 3), np.uint8) if this < number else draw(this, width, height)

    return drawn


@pytest.fixture(scope="module")
def dark(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Clip]:
    folder = tmp_path_factory.mktemp("dark")
    return {
        # 4 s, black up to 2 s; keyframes at 0, 0.8, 1.6, 2.4, 3.2 s
        "2 s": videos.black_lead(folder / "2"),
        "2 s, ts": videos.make(folder / "2.ts", frames=100, gop=20, bframes=2, draw=black_until(50)),
        # black up to 2.08 s, the only keyframe at 0
        "one keyframe": videos.make(
            folder / "one.mp4", frames=100, gop=1000, bframes=2, draw=black_until(52)
        ),
        "6 s": videos.black_lead(folder / "6", black_s=6),
        "all": videos.all_black(folder),
    }


@pytest.mark.parametrize(
    ("clip", "parameters", "seen"),
    [
        pytest.param("2 s", {}, [60], id="a single one at Time 0: the first keyframe that is not black"),
        pytest.param("2 s, ts", {}, [60], id="the same without an index"),
        pytest.param("2 s", {"frame_type": "normal"}, [60], id="whatever FrameType"),
        pytest.param("2 s", {"black_level": 100}, [60], id="with a level of its own"),
        pytest.param("2 s", {"type": "Sprite", "count": 1}, [60], id="in a sprite"),
        pytest.param("one keyframe", {}, [55], id="no keyframe: every 0.2 s, here at 2.2 s"),
        pytest.param("6 s", {}, ["black"], id="black for more than 5 s: the very first"),
        pytest.param("all", {}, ["black"], id="all black: the very first"),
        pytest.param("2 s", {"time": 40}, ["black"], id="a single one later"),
        pytest.param(
            "2 s", {"time": 40, "black_level": 30}, ["black"], id="a single one later, with a level"
        ),
        pytest.param("2 s", {"count": 4}, ["black", "black", "black", 80], id="several without a level"),
        pytest.param(
            "2 s", {"count": 4, "black_level": 90}, [60, "black", "black", 80], id="several: the first"
        ),
        pytest.param(
            "2 s",
            {"count": 4, "black_level": 90, "frame_type": "normal"},
            [60, "black", 50, 75],
            id="several: the first, whatever FrameType",
        ),
        pytest.param(
            "2 s",
            {"interval": 1, "black_level": 90, "frame_type": "normal"},
            [60, "black", 50, 75],
            id="several by Interval: the first",
        ),
        pytest.param(
            "2 s",
            {"count": 2, "time": 40, "black_level": 30, "frame_type": "normal"},
            ["black", 50],
            id="several from a later Time",
        ),
        pytest.param("all", {"count": 2, "black_level": 30}, ["black", "black"], id="several, all black"),
        pytest.param(
            "2 s",
            {"interval_ms": 1500, "black_scope": "every", "frame_type": "normal"},
            ["black", 60, 75],
            id="every: up to the next moment",
        ),
        pytest.param("2 s", {"time": 1500, "black_scope": "every"}, [60], id="every: at any Time"),
    ],
)
def test_black_pictures_are_passed_over(
    dark: dict[str, Clip], clip: str, parameters: dict[str, Any], seen: list[int | str]
) -> None:
    template = "{TileCount}.png" if parameters.get("type") == "Sprite" else "{Count}.png"
    if parameters.get("type") == "Sprite":
        parameters = {**parameters, "sprite_snapshot_config": SpriteSnapshotConfig(columns=1, lines=1)}

    taken = take(dark[clip], template, **parameters)

    assert taken.seen == seen
    for shot, number in zip(taken.report.shots, seen, strict=True):
        if number != "black":
            assert shot.actual_ms == dark[clip].time_ms_of(int(number))
    assert set(taken.statuses) == {"taken"}


@pytest.mark.parametrize("clip", ["6 s", "all"])
def test_where_all_is_black_the_very_first_picture_is_taken(dark: dict[str, Clip], clip: str) -> None:
    assert take(dark[clip]).report.shots[0].actual_ms == 0


def test_what_was_passed_over_is_reported(dark: dict[str, Clip]) -> None:
    first, second, *_ = take(dark["2 s"], count=4, black_level=90).report.shots

    assert "black" in (first.reason or "")
    assert second.reason is None


def upper_part_black(number: int, width: int, height: int) -> Picture:
    """70 % black above white; numbers from 25 on."""
    if number >= 25:
        return barcode.draw(number, width, height)
    picture = np.full((height, width, 3), 255, np.uint8)
    picture[: height * 7 // 10] = 0
    return picture


@pytest.mark.parametrize(("black_level", "passed_over"), [(30, True), (70, True), (71, False), (100, False)])
def test_a_picture_is_black_from_the_level_on(tmp_path: Path, black_level: int, passed_over: bool) -> None:
    # 112 of 160 rows end with a macroblock, so that nothing rings across
    clip = videos.make(tmp_path / "part.mp4", width=160, height=160, gop=25, draw=upper_part_black)

    taken = take(clip, black_level=black_level)

    assert (taken.report.shots[0].actual_ms == 1000) is passed_over
    if passed_over:
        assert taken.seen == [25]
    else:
        assert taken.picture("00001.png")[-1].min() > 250


@pytest.mark.parametrize("colour", [videos.BT601, videos.BT709.full()], ids=["limited range", "full range"])
@pytest.mark.parametrize(("threshold", "passed_over"), [(84, False), (85, False), (86, True), (255, True)])
def test_a_pixel_is_dark_below_the_threshold(
    tmp_path: Path, colour: videos.Colour, threshold: int, passed_over: bool
) -> None:
    def grey(number: int, width: int, height: int) -> Picture:
        return (
            barcode.draw(number, width, height) if number >= 25 else np.full((height, width, 3), 85, np.uint8)
        )

    clip = videos.make(tmp_path / "grey.mp4", gop=25, draw=grey, colour=colour)

    taken = take(clip, pixel_black_threshold=threshold, black_level=100)

    assert (taken.report.shots[0].actual_ms == 1000) is passed_over
    if not passed_over:
        assert np.abs(taken.picture("00001.png").astype(int) - 85).max() <= 2
