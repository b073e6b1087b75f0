"""Damaged videos give every picture that can be had, and the report is honest about the rest."""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from ready_command import run
from the_command import Done, demand_one_line, files_in, rgb

from stillframe.testing import Clip, barcode, boxes_edit, videos

TS_PACKET = 188
STSD = "moov/trak/mdia/minf/stbl/stsd"


def shot_exactly(clip: Clip, *options: str, interval_ms: int = 200) -> tuple[Done, dict[str, Any]]:
    """All exact frames at an interval, as PNG; the end of the command and its report."""
    arguments = ["--interval", f"{interval_ms}ms", "--frame-type", "normal", "--json", *options]
    done = run(["snap", clip.path.name, "-o", "out/{Count}.png", *arguments], clip.path.parent)
    (report,) = done.objects
    return done, report


def last_whole_ms(clip: Clip) -> Fraction:
    """When the last picture appears before the first one that was lost."""
    return clip.time_ms_of(clip.numbers[-1])


def number_shown(folder: Path, shot: dict[str, Any]) -> int:
    return barcode.read(rgb(folder / f"out/{shot['index'] + 1:05d}.png"))


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_file_that_was_cut_off(tmp_path: Path, suffix: Literal["mp4", "mkv"]) -> None:
    clip = videos.truncated(tmp_path, suffix=suffix)
    done, report = shot_exactly(clip)
    assert done.code == 1
    demand_one_line(done, f"{clip.path.name}: ", "shots cannot be had", "cut off")
    assert (report["ok"], report["code"]) == (False, "InvalidParameter.ResourceContentBad")
    assert report["duration_ms"] == 2000
    assert any("cut off" in note for note in report["notes"])
    statuses = [shot["status"] for shot in report["shots"]]
    assert len(statuses) == 10
    assert statuses == sorted(statuses, key=["taken", "replaced", "missing"].index)
    for shot in report["shots"]:
        picture = tmp_path / f"out/{shot['index'] + 1:05d}.png"
        assert picture.exists() == (shot["status"] != "missing")
        if shot["status"] == "taken":
            assert number_shown(tmp_path, shot) == clip.number_at(shot["requested_ms"])
        elif shot["status"] == "missing":
            assert f"{shot['requested_ms'] / 1000:.3f}" in report["message"]
    whole = sum(shot["requested_ms"] <= last_whole_ms(clip) for shot in report["shots"])
    assert statuses[:whole] == ["taken"] * whole
    assert "missing" in statuses
    assert len(files_in(tmp_path / "out")) == statuses.count("taken") + statuses.count("replaced")


def test_missing_shots_may_be_allowed(tmp_path: Path) -> None:
    clip = videos.truncated(tmp_path)
    strict, report = shot_exactly(clip)
    lenient, again = shot_exactly(clip, "--allow-missing", "50")
    assert (strict.code, lenient.code, lenient.complaints) == (1, 0, "")
    assert (again["ok"], again["shots"]) == (True, report["shots"])
    assert shot_exactly(clip, "--allow-missing", "5")[0].code == 1


def test_a_transport_stream_that_was_cut_off_is_a_shorter_one(tmp_path: Path) -> None:
    """Nothing in it announces more."""
    clip = videos.truncated(tmp_path, suffix="ts")
    done, report = shot_exactly(clip)
    assert (done.code, report["ok"]) == (0, True)
    assert report["duration_ms"] < 1500
    for shot in report["shots"]:
        if shot["requested_ms"] <= last_whole_ms(clip):
            assert number_shown(tmp_path, shot) == clip.number_at(shot["requested_ms"])


def test_a_stream_that_turns_up_in_the_middle(tmp_path: Path) -> None:
    """A flipped bit in one packet's PID does it, and so does a broadcast that adds a language."""
    clip = videos.make(tmp_path / "late.ts")
    data = bytearray(clip.path.read_bytes())
    starts = [at for at in range(0, len(data), TS_PACKET) if data[at + 1 : at + 3] == b"\x41\x00"]
    assert len(starts) == 50
    data[starts[30] + 1] ^= 0x10
    clip.path.write_bytes(data)
    done, report = shot_exactly(clip)
    assert len(report["shots"]) == 10
    assert "Traceback" not in done.err
    # the packet that went astray is lost to the picture it was of, and to those that build on it
    assert [shot["status"] for shot in report["shots"][:6]] == ["taken"] * 6
    for shot in report["shots"][:6]:
        assert number_shown(tmp_path, shot) == clip.number_at(shot["requested_ms"])


def test_flipped_bits_are_reported(tmp_path: Path) -> None:
    clip = videos.bit_flipped(tmp_path)
    done, report = shot_exactly(clip, interval_ms=40)
    assert done.code == (0 if report["ok"] else 1)
    unhurt = clip.keyframe_numbers[1]
    for shot in report["shots"][:unhurt]:
        assert shot["status"] == "taken"
        assert number_shown(tmp_path, shot) == clip.number_at(shot["requested_ms"])
    hurt = [shot for shot in report["shots"] if shot["status"] != "taken"]
    assert len(hurt) > 5
    assert all(shot["reason"] for shot in hurt)
    for shot in report["shots"]:
        near = shot["actual_ms"] is not None and abs(shot["actual_ms"] - shot["requested_ms"]) <= 20
        assert near or shot["status"] == "missing"


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_ten_hours_are_not_believed(tmp_path: Path, suffix: Literal["mp4", "mkv"]) -> None:
    clip = videos.claims_ten_hours(tmp_path, suffix)
    done = run(
        ["snap", clip.path.name, "-o", "out/{Count}.png", "--count", "4", "--frame-type", "normal", "--json"],
        tmp_path,
    )
    (report,) = done.objects
    assert (done.code, report["duration_ms"]) == (0, 2000)
    assert [shot["requested_ms"] for shot in report["shots"]] == [0, 500, 1000, 1500]
    pictures = [rgb(tmp_path / f"out/0000{number}.png") for number in range(1, 5)]
    assert [barcode.read(picture) for picture in pictures] == [0, 12, 25, 37]
    if suffix == "mkv":
        assert any("36000" in note and "2.0 s" in note for note in report["notes"])


def test_a_zero_size_header_is_not_believed(tmp_path: Path) -> None:
    clip = videos.zero_size_header(tmp_path)
    done, report = shot_exactly(clip)
    assert (done.code, report["still_width_px"], report["still_height_px"]) == (0, 192, 108)
    assert barcode.read(rgb(tmp_path / "out/00002.png")) == 5


def test_dolby_vision_5_says_that_its_colours_are_wrong(tmp_path: Path) -> None:
    clip = videos.dolby_vision_5(tmp_path)
    done, report = shot_exactly(clip)
    assert done.code == 0
    assert any("Dolby Vision profile 5" in note for note in report["notes"])
    assert barcode.read(rgb(tmp_path / "out/00003.png")) == 10
    plain = run(f"snap {clip.path.name} -o x.jpg", tmp_path)
    assert "\n  note: Dolby Vision profile 5" in plain.out


def _container_says_hdr(folder: Path) -> Clip:
    """The frames are tagged BT.601, and the box around them says BT.2020 and PQ."""
    clip = videos.colour_bars(folder, tagged=True)
    colr = boxes_edit.box("colr", b"nclx" + struct.pack(">HHHB", 9, 16, 9, 0))
    clip.path.write_bytes(boxes_edit.replace(clip.path.read_bytes(), f"{STSD}/avc1/colr", colr))
    return clip


def _pq_in_bt601(folder: Path) -> Clip:
    """The frames say PQ, which is BT.2020's, and the matrix and primaries of BT.601."""
    colour = videos.Colour(videos.BT601.pixels, False, 6, 6, 16, videos.BT601.range)
    return videos.make(folder / "pq_in_bt601.mp4", frames=10, colour=colour)


CONTRADICTIONS = {"container and frame": _container_says_hdr, "frame": _pq_in_bt601}


@pytest.mark.parametrize("make", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_colour_tags_that_contradict_each_other_are_noted(
    tmp_path: Path, make: Callable[[Path], Clip]
) -> None:
    clip = make(tmp_path)
    done, report = shot_exactly(clip)
    assert done.code == 0
    assert barcode.read(rgb(tmp_path / "out/00001.png")) == 0
    assert any("colour" in note for note in report["notes"])


def test_the_tags_of_the_frame_count(tmp_path: Path) -> None:
    clip = _container_says_hdr(tmp_path)
    assert shot_exactly(clip)[0].code == 0
    picture = rgb(tmp_path / "out/00001.png")
    width = picture.shape[1]
    for index, bar in enumerate(videos.BARS):
        middle = picture[5:30, (2 * index + 1) * width // 16]
        assert np.abs(middle.astype(int) - bar).max() <= 4
