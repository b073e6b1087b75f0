"""Guessing where a time lies, and telling a keyframe by its first bytes."""

from __future__ import annotations

import pytest

from stillframe.media.landmarks import Odd, Picture, Points
from stillframe.media.nal_units import beginnings, is_keyframe, is_keyframe_in_lengths

START = b"\0\0\1"
RECOVERY_POINT = START + b"\x06\x06\x01\x84\x80"
USER_DATA = START + b"\x06\x05\x04ABCD\x80"


def points(*keyframes: tuple[int, int]) -> Points:
    known = Points((0, 1000), (10_000, 101_000))
    known.add(Picture(position, pts, keyframe=True) for pts, position in keyframes)
    return known


@pytest.mark.parametrize(
    ("keyframes", "pts", "expected"),
    [
        ((), 0, 1000),
        ((), 5000, 51_000),
        ((), 10_000, 101_000),
        ((), -7, 1000),
        ((), 99_999, 101_000),
        (((5000, 11_000),), 2500, 6000),
        (((5000, 11_000),), 5000, 11_000),
        (((5000, 11_000),), 7500, 56_000),
        (((5000, 11_000), (6000, 91_000)), 5500, 51_000),
    ],
)
def test_a_time_is_guessed_between_the_known_ones(
    keyframes: tuple[tuple[int, int], ...], pts: int, expected: int
) -> None:
    assert points(*keyframes).guess(pts) == expected


@pytest.mark.parametrize(
    "keyframes",
    [
        ((5000, 50_000), (6000, 40_000)),
        ((5000, 50_000), (4000, 60_000)),
        ((5000, 50_000), (5000, 60_000)),
        ((5000, 200_000),),
    ],
    ids=["a later time before", "an earlier time behind", "one time twice", "behind the end"],
)
def test_times_that_do_not_ascend_are_odd(keyframes: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(Odd):
        points(*keyframes)


@pytest.mark.parametrize("end", [(0, 101_000), (10_000, 1000), (-5, 101_000)])
def test_a_file_without_length_is_odd(end: tuple[int, int]) -> None:
    with pytest.raises(Odd):
        Points((0, 1000), end)


@pytest.mark.parametrize(
    ("codec", "data", "expected"),
    [
        ("h264", START + b"\x65\x88", True),
        ("h264", START + b"\x41\x9a", False),
        ("h264", START + b"\x09\xf0" + START + b"\x67abc" + START + b"\x68a" + START + b"\x65\x88", True),
        ("h264", RECOVERY_POINT + START + b"\x41\x9a", True),
        ("h264", USER_DATA + START + b"\x41\x9a", False),
        ("h264", USER_DATA + RECOVERY_POINT + START + b"\x01\x9a", True),
        ("h264", START + b"\x09\xf0" + START + b"\x67abc", None),
        ("h264", USER_DATA, None),
        ("h264", b"", None),
        ("hevc", START + b"\x26\x01\xaf", True),
        ("hevc", START + b"\x2a\x01\xaf", True),
        ("hevc", START + b"\x02\x01\xd0", False),
        ("hevc", START + b"\x40\x01" + START + b"\x42\x01" + START + b"\x28\x01", True),
        ("hevc", START + b"\x40\x01", None),
        ("mpeg2video", START + b"\xb3abcdefgh" + START + b"\x00\x00\x0f", True),
        ("mpeg2video", START + b"\x00\x00\x17\xff", False),
        ("mpeg2video", START + b"\x00\x00", None),
    ],
)
def test_a_keyframe_is_told_by_its_first_bytes(codec: str, data: bytes, expected: bool | None) -> None:
    assert is_keyframe(codec, data) is expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\0\0\0\2\x65\x88", True),
        (b"\0\0\0\2\x09\xf0\0\0\0\2\x41\x9a", False),
        (b"\0\0\0\5\x06\x06\x01\x84\x80\0\0\0\2\x41\x9a", True),
        # a message of which only the beginning is there may still say so
        (b"\0\0\0\x50\x06\x05\x04ABCD", None),
        (b"\0\0\0\x50", None),
        (b"\0\0\0\0\0\0\0\2\x65\x88", None),
    ],
)
def test_units_may_come_after_their_lengths(data: bytes, expected: bool | None) -> None:
    assert is_keyframe_in_lengths("h264", data, 4) is expected


@pytest.mark.parametrize(
    ("codec", "data", "expected"),
    [
        ("h264", START + b"\x65\x88" + START + b"\x65\x08" + START + b"\x41\x9a", 2),
        ("hevc", START + b"\x26\x01\xaf" + START + b"\x26\x01\x2f" + START + b"\x02\x01\xd0", 2),
        ("mpeg2video", START + b"\x00\x00\x0f" + START + b"\x01" + START + b"\x00\x00\x17", 2),
    ],
)
def test_pictures_are_counted_by_their_first_slices(codec: str, data: bytes, expected: int) -> None:
    assert beginnings(codec, data) == expected
