"""Damaged video: what is replaced, what is missing, and what AllowMissing says to it.

This is the row "Damaged videos" of docs/parameters.md.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

import av
import pytest
from taking import take

from stillframe.errors import MediaError
from stillframe.testing import Clip, videos


def test_a_file_that_was_cut_off(tmp_path: Path) -> None:
    clip = videos.truncated(tmp_path)
    assert 1000 < clip.time_ms_of(clip.numbers[-1]) + 40 < 1100

    taken = take(clip, count=10, frame_type="normal")

    assert taken.statuses == ["taken"] * 6 + ["missing"] * 4
    assert taken.seen == [0, 5, 10, 15, 20, 25]
    assert taken.report.ok is False
    assert taken.report.code == "InvalidParameter.ResourceContentBad"
    assert "4 of 10" in (taken.report.message or "")
    assert all(moment in (taken.report.message or "") for moment in ("1.200", "1.400", "1.600", "1.800"))
    assert [output.name for output in taken.report.outputs] == taken.names
    assert all(shot.reason for shot in taken.report.shots if shot.status == "missing")


@pytest.mark.parametrize(("allow_missing", "ok"), [(0, False), (39, False), (40, True), (100, True)])
def test_allow_missing(tmp_path: Path, allow_missing: int, ok: bool) -> None:
    taken = take(videos.truncated(tmp_path), count=10, frame_type="normal", allow_missing=allow_missing)

    assert taken.report.ok is ok
    assert (taken.report.code is None) is ok
    assert (taken.report.message is None) is ok
    assert taken.statuses.count("missing") == 4


def test_allow_missing_does_not_count_what_was_dropped(tmp_path: Path) -> None:
    # twenty asked, ten of them past the end; four of the other ten are missing
    taken = take(videos.truncated(tmp_path), count=20, interval_ms=200, frame_type="normal", allow_missing=39)

    assert [taken.statuses.count(status) for status in ("taken", "missing", "dropped")] == [6, 4, 10]
    assert taken.report.ok is False


def test_a_shot_near_the_cut_is_replaced(tmp_path: Path) -> None:
    clip = videos.truncated(tmp_path)
    last = clip.numbers[-1]

    taken = take(clip, count=2, interval_ms=1000, time=500, frame_type="normal")

    assert taken.seen == [12, last]
    assert taken.statuses == ["taken", "replaced"]
    assert taken.report.shots[1].actual_ms == clip.time_ms_of(last)
    assert "cut off" in (taken.report.shots[1].reason or "")
    assert taken.report.ok


@pytest.mark.parametrize("keyframe_miss", ["exact", "skip"])
def test_a_file_that_was_cut_off_within_its_first_keyframe(
    tmp_path: Path, keyframe_miss: Literal["exact", "skip"]
) -> None:
    clip = videos.make(tmp_path / "whole.mp4", codec="mpeg4", container_options={"movflags": "faststart"})
    whole = clip.path.read_bytes()
    clip.path.write_bytes(whole[: whole.index(b"mdat") + 1000])
    with pytest.raises(MediaError, match="the frame there is damaged") as caught:
        take(clip, count=3, keyframe_miss=keyframe_miss)
    assert caught.value.code == "InvalidParameter.ResourceContentBad"


@pytest.mark.parametrize("parameters", [{"allow_missing": 0}, {"allow_missing": 100}])
def test_no_picture_at_all_is_refused(tmp_path: Path, parameters: dict[str, Any]) -> None:
    with pytest.raises(MediaError, match="no picture") as caught:
        take(videos.truncated(tmp_path), time=1900, frame_type="normal", **parameters)

    assert caught.value.code == "InvalidParameter.ResourceContentBad"


def overwrite(clip: Clip, numbers: Collection[int], keep: int) -> Clip:
    """Overwrite pictures by zeros in the file, all but the first `keep` bytes of each."""
    data = bytearray(clip.path.read_bytes())
    with av.open(str(clip.path)) as container:
        for packet in container.demux(video=0):
            if packet.pts is None or packet.pos is None:
                continue
            if clip.numbers[clip.pts_s.index(packet.pts * packet.time_base)] in numbers:
                data[packet.pos + keep : packet.pos + packet.size] = bytes(max(packet.size - keep, 0))
    clip.path.write_bytes(data)
    return clip


def test_a_hole_in_the_middle(tmp_path: Path) -> None:
    """What is missing keeps its number: 00007.png is the seventh moment."""
    clip = videos.make(tmp_path / "hole.mp4", frames=150, gop=25, bframes=2)
    overwrite(clip, range(50, 100), keep=0)

    taken = take(clip, interval_ms=500, time=20, frame_type="normal")

    assert taken.statuses == ["taken"] * 4 + ["replaced"] + ["missing"] * 3 + ["taken"] * 4
    assert taken.names == [f"{number:05d}.png" for number in (1, 2, 3, 4, 5, 9, 10, 11, 12)]
    assert taken.seen == [0, 13, 25, 38, 49, 100, 113, 125, 138]
    assert taken.report.shots[4].actual_ms == 1960
    assert not taken.report.ok


def test_a_damaged_picture_is_replaced_by_a_good_one(tmp_path: Path) -> None:
    clip = videos.make(tmp_path / "damaged.mp4", frames=150, gop=50, bframes=0)
    overwrite(clip, [49], keep=60)

    taken = take(clip, interval=1, time=960, frame_type="normal")

    # the one before it and the one behind it are equally far away
    assert taken.seen[0] == 24
    assert taken.seen[1] in (48, 50)
    assert taken.statuses == ["taken", "replaced", "taken", "taken", "taken", "taken"]


def test_what_is_decoded_from_a_damaged_picture_is_damaged_too(tmp_path: Path) -> None:
    """Number 40 is damaged, and up to the next keyframe each picture builds on the one before it."""
    clip = videos.make(tmp_path / "damaged.mp4", frames=150, gop=50, bframes=0)
    overwrite(clip, [40], keep=60)

    taken = take(clip, interval=1, time=800, count=3, frame_type="normal")

    # 45 was asked; 39 and 50 are the nearest that are whole
    assert taken.statuses == ["taken", "replaced", "taken"]
    assert taken.seen == [20, 50, 70]


def test_a_damaged_picture_with_no_good_one_near_it_is_missing(tmp_path: Path) -> None:
    clip = videos.make(tmp_path / "damaged.mp4", frames=150, gop=25, bframes=0)
    overwrite(clip, range(50, 100), keep=60)

    taken = take(clip, interval_ms=500, time=20, frame_type="normal")

    assert taken.statuses == ["taken"] * 4 + ["replaced"] + ["missing"] * 3 + ["taken"] * 4
    assert taken.seen == [0, 13, 25, 38, 49, 100, 113, 125, 138]
    assert not taken.report.ok
