"""Frame accuracy: the number in the pixels is the number that the time asks for.

Every playable recipe of `stillframe.testing` is shot: exact moments between and on the pictures' times, in
one go and one by one, on one thread and on two; and by keyframes.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

import av
import numpy as np
import pytest

from clips import MadeClip
from stillframe import MemorySink, Report, SnapshotConfig, shoot
from stillframe.testing import Clip, barcode, videos


@pytest.fixture(params=sorted(videos.PLAYABLE))
def clip(request: pytest.FixtureRequest, made_clip: MadeClip) -> Clip:
    return made_clip(request.param)


@pytest.mark.parametrize("shots", [17, pytest.param(40, marks=pytest.mark.full)])
def test_every_moment_gives_its_frame(clip: Clip, shots: int) -> None:
    """Shots spread over the whole clip, on two threads."""
    config = SnapshotConfig(count=shots, frame_type="normal")
    report, pictures = _shoot(clip, config, threads=2)
    assert report.ok, report.message
    assert [shot.status for shot in report.shots] == ["taken"] * shots
    for shot, picture in zip(report.shots, pictures, strict=True):
        _expect(clip, clip.number_at(shot.requested_ms), picture, f"at {shot.requested_ms} ms")


def test_lone_shots_are_as_exact(clip: Clip) -> None:
    """Single shots at the first, some middle and the last picture, each decoded by itself."""
    middle = len(clip.numbers) // 2  # the times are rounded up to a whole millisecond
    for number in {clip.numbers[1], clip.numbers[middle], clip.numbers[-1]} - set(clip.black_numbers):
        time_ms = ceil(clip.time_ms_of(number))
        if time_ms == 0:
            continue
        report, pictures = _shoot(clip, SnapshotConfig(count=1, time=time_ms, frame_type="normal"))
        _expect(clip, number, pictures[0], f"at {time_ms} ms")
        assert report.shots[0].actual_ms == time_ms


def test_keyframes_are_keyframes(clip: Clip) -> None:
    """Ten intra shots: each is a keyframe within half an interval, or else the exact frame."""
    report, pictures = _shoot(clip, SnapshotConfig(count=10))
    half_ms = clip.duration_ms / 20
    keyframe_ms = [ceil(clip.time_ms_of(number)) for number in clip.keyframe_numbers]
    for shot, picture in zip(report.shots, pictures, strict=True):
        assert shot.status == "taken", shot
        near = [time for time in keyframe_ms if abs(time - shot.requested_ms) <= half_ms + 1]
        if shot.keyframe and abs((shot.actual_ms or 0) - shot.requested_ms) > 0:
            assert shot.actual_ms in keyframe_ms
        if near:
            nearest_ms = min(abs(time - shot.requested_ms) for time in near)
            assert abs((shot.actual_ms or 0) - shot.requested_ms) <= nearest_ms + 1, shot
        else:
            _expect(clip, clip.number_at(shot.requested_ms), picture, f"at {shot.requested_ms} ms")
        _expect(clip, clip.number_at(shot.actual_ms or 0), picture, f"found at {shot.actual_ms} ms")


def _shoot(clip: Clip, config: SnapshotConfig, threads: int = 1) -> tuple[Report, list[np.ndarray]]:
    sink = MemorySink("{Count}.png", config)
    report = shoot(clip.path, sink, config, threads=threads)
    return report, [_decoded(sink.files[name]) for name in sorted(sink.files)]


def _decoded(png: bytes) -> np.ndarray:
    context = av.CodecContext.create("png", "r")
    frames: Iterator[av.VideoFrame] = iter(context.decode(av.Packet(png)) + context.decode(None))
    return next(frames).to_ndarray(format="rgb24")


def _expect(clip: Clip, number: int, picture: np.ndarray, where: str) -> None:
    if number in clip.black_numbers:
        assert picture.mean() < 8, f"{where}: expected black picture {number}"
        return
    assert barcode.read(picture) == number, where
