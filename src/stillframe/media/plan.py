"""Shots and keyframes -> runs, stretches, byte ranges: the cheapest way to decode. Pure.

A run is a group of shots that is decoded from one keyframe on; a stretch is a run of consecutive shots that
is decoded, delivered and retried by itself: whole sheets, about ten seconds of estimated work.

The cost model was measured on one thread with 1080p H.264 (docs/performance.md) and scales with the pixels.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

#: estimated seconds of work after which a stretch is closed
STRETCH_S = 10.0
#: without an index, shots nearer to each other than this are reached by reading on, not by seeking
READ_ON_S = 2.0
_MAX_RUN_SHOTS = 32


class Aim(NamedTuple):
    """One shot as the planner sees it, times in ticks.

    `moment` is the time that was asked for. `keyframe` is the keyframe to take itself (an intra shot).
    `anchor` is the keyframe to decode from; None when the container has no index.
    """

    shot: int
    moment: int
    keyframe: int | None = None
    anchor: int | None = None


class Stretch(NamedTuple):
    """Shots `first` to `last`, both included, by their numbers; what it is estimated to cost in seconds."""

    first: int
    last: int
    cost_s: float


class Costs(NamedTuple):
    """Seconds of one thread's work."""

    seek_s: float
    keyframe_s: float
    frame_s: float


# milliseconds at 1920 x 1080: a keyframe, any later frame (without those that no other needs, where possible)
_COSTS_MS: dict[str, tuple[float, float]] = {
    "h264": (13.0, 3.0),
    "hevc": (9.1, 4.0),
    "av1": (9.9, 3.0),
    "libdav1d": (9.9, 3.0),
    "vp9": (30.7, 5.4),
    "vp8": (12.0, 4.0),
    "mpeg2video": (9.0, 4.5),
}
_DEFAULT_COSTS_MS = (15.0, 6.0)
_PIXELS_1080P = 1920 * 1080

#: what is kept for others to refer to: frames, and pixels of all of them (184,320 macroblocks)
_MOST_REFERENCES, _REFERENCED_PIXELS = 16, 184_320 * 256
_FRAMES_IN_HAND = 6
#: bytes of a frame's pictures, for each of its pixels; and what the process takes without any
_PICTURE_BYTES, _PROCESS_BYTES = 6, 96 << 20


def costs_of(codec: str, pixels: int) -> Costs:
    """What decoding costs for a codec at a picture size."""
    keyframe_ms, frame_ms = _COSTS_MS.get(codec, _DEFAULT_COSTS_MS)
    scale = max(pixels / _PIXELS_1080P, 0.01) / 1000
    return Costs(seek_s=0.0005, keyframe_s=keyframe_ms * scale, frame_s=frame_ms * scale)


def threads_that_fit(pixels: int, bytes_a_pixel: float, memory_bytes: int) -> int:
    """How many threads may decode frames of this size at once in so much memory; one at the least.

    Each holds the frames that others refer to, as many as H.264's and HEVC's level 5.1 allow at this size, some that
    wait to be shown or developed, and the pictures that are made of them.
    """
    frames = min(_MOST_REFERENCES, _REFERENCED_PIXELS // max(pixels, 1)) + _FRAMES_IN_HAND
    thread_bytes = max(pixels, 1) * (frames * bytes_a_pixel + _PICTURE_BYTES)
    return max(1, int((memory_bytes - _PROCESS_BYTES) // thread_bytes))


def nearest_keyframe(keyframes: Sequence[int], moment: int, reach: int | None) -> int | None:
    """The keyframe nearest to a moment, the earlier one of two, at most `reach` ticks away; None is no limit."""
    if not keyframes:
        return None
    right = bisect_right(keyframes, moment)
    candidates = keyframes[max(right - 1, 0) : right + 1]
    best = min(candidates, key=lambda keyframe: (abs(keyframe - moment), keyframe))
    return best if is_near(best, moment, reach) else None


def is_near(keyframe: int, moment: int, reach: int | None) -> bool:
    """Whether a keyframe may stand for a moment (see `nearest_keyframe`)."""
    return reach is None or abs(keyframe - moment) <= reach


def anchor_of(keyframes: Sequence[int], moment: int) -> int | None:
    """The keyframe to decode from for the frame shown at a moment."""
    right = bisect_right(keyframes, moment)
    return keyframes[right - 1] if right else (keyframes[0] if keyframes else None)


def runs(aims: Iterable[Aim], ticks_a_second: float) -> Iterator[tuple[Aim, ...]]:
    """Group consecutive shots that are decoded together: one GOP, or without an index what lies close by."""
    run: list[Aim] = []
    for aim in aims:
        if run and not _together(run, aim, ticks_a_second):
            yield tuple(run)
            run = []
        run.append(aim)
    if run:
        yield tuple(run)


def _together(run: list[Aim], aim: Aim, ticks_a_second: float) -> bool:
    last = run[-1]
    if aim.keyframe is not None or last.keyframe is not None:
        return aim.keyframe == last.keyframe
    if aim.anchor is not None or last.anchor is not None:
        return aim.anchor == last.anchor
    return len(run) < _MAX_RUN_SHOTS and aim.moment - last.moment <= READ_ON_S * ticks_a_second


def run_cost_s(run: Sequence[Aim], costs: Costs, frame_ticks: int, ticks_a_second: float) -> float:
    """Estimated seconds of one thread for a run."""
    if run[0].keyframe is not None:
        return costs.seek_s + costs.keyframe_s
    # without an index, a GOP of two seconds is what streams usually have
    start = run[0].anchor if run[0].anchor is not None else run[0].moment - int(ticks_a_second)
    frames = max(run[-1].moment - start, 0) / max(frame_ticks, 1)
    return costs.seek_s + costs.keyframe_s + frames * costs.frame_s


def stretches(
    aims: Sequence[Aim], cells: int, costs: Costs, frame_ticks: int, ticks_a_second: float
) -> list[Stretch]:
    """Cut the shots into stretches: whole sheets of `cells` shots (1 for stills), about STRETCH_S of work each."""
    cost_of_shot: dict[int, float] = {}
    for run in runs(aims, ticks_a_second):
        share = run_cost_s(run, costs, frame_ticks, ticks_a_second) / len(run)
        cost_of_shot.update((aim.shot, share) for aim in run)
    shots = [aim.shot for aim in aims]
    found: list[Stretch] = []
    first, cost = 0, 0.0
    for number, shot in enumerate(shots):
        cost += cost_of_shot[shot]
        ends_a_sheet = (number + 1) % cells == 0
        if (ends_a_sheet and cost >= STRETCH_S) or number + 1 == len(shots):
            found.append(Stretch(shots[first], shot, cost))
            first, cost = number + 1, 0.0
    return found


def is_one_stretch(aims: Iterable[Aim], costs: Costs, frame_ticks: int, ticks_a_second: float) -> bool:
    """Whether `stretches` would leave these stills together. No more shots are taken than it needs to know that."""
    cost = 0.0
    for run in runs(aims, ticks_a_second):
        share = run_cost_s(run, costs, frame_ticks, ticks_a_second) / len(run)
        for _ in run:
            if cost >= STRETCH_S:
                return False
            cost += share
    return True


def coalesce(extents: Sequence[tuple[int, int]], gap: int = 64 << 10) -> list[tuple[int, int]]:
    """(offset, length) ranges in file order, joined where the hole between two is smaller than `gap` bytes."""
    joined: list[tuple[int, int]] = []
    for offset, length in sorted(extents):
        if joined and offset - sum(joined[-1]) <= gap:
            start, before = joined[-1]
            joined[-1] = (start, max(before, offset + length - start))
        else:
            joined.append((offset, length))
    return joined
