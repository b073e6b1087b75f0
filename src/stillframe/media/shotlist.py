"""Time, Interval and Count -> the moments to take pictures of. Pure.

Source of the rules: docs/parameters.md, rows "Count and Interval" and "shots past the end".
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from stillframe.errors import ConfigError
from stillframe.media.config import DEFAULT_CAPS, WEBVTT_INTERVAL_MS, Caps, SnapshotConfig


class ShotList(NamedTuple):
    """The moments asked for, in milliseconds from the first picture.

    `dropped_ms` lie at or behind the end of the video. `step_ms` is the distance between two shots, 0 for a
    single one. `runs_to_end` says that the shots cover the video up to its end, as a track wants to know.
    """

    requested_ms: tuple[int, ...]
    dropped_ms: tuple[int, ...]
    step_ms: Fraction
    runs_to_end: bool

    @property
    def single(self) -> bool:
        """One moment was asked for, whether or not it exists."""
        return len(self.requested_ms) + len(self.dropped_ms) == 1


def shot_list(config: SnapshotConfig, duration_ms: int, caps: Caps = DEFAULT_CAPS) -> ShotList:
    """The moments of a config in a video of this duration. Raises ConfigError when there would be too many."""
    start, step = config.time, Fraction(config.step_ms)
    count = config.count
    if count is None and not step:
        count, step = _default(config)
    if count == 1:
        return ShotList((start,), (), Fraction(0), runs_to_end=not step or start + step >= duration_ms)
    if count is None:
        count = max(-(-(duration_ms - start) // step), 1)
        _check_number(config, count, duration_ms, caps.shots)
        return _spread(start, step, count, duration_ms, runs_to_end=True)
    _check_number(config, count, duration_ms, caps.shots)
    if not step:
        # a start behind the end leaves nothing to spread over: every shot falls on it, and is dropped there
        step = Fraction(max(duration_ms - start, 0), count)
        return _spread(start, step, count, duration_ms, runs_to_end=True)
    return _spread(start, step, count, duration_ms, runs_to_end=start + count * step >= duration_ms)


def keyframe_reach_ms(config: SnapshotConfig, step_ms: int) -> int | None:
    """How far from its moment an intra shot may take a keyframe: half its interval; None is any distance."""
    return None if not step_ms or config.keyframe_miss == "nearest" else step_ms // 2


def _default(config: SnapshotConfig) -> tuple[int | None, Fraction]:
    """Count and step when a config names neither."""
    if config.type == "Sprite":
        grid = config.sprite_snapshot_config
        return grid.columns * grid.lines, Fraction(0)
    if config.type == "WebVtt":
        return None, Fraction(WEBVTT_INTERVAL_MS)
    return 1, Fraction(0)


def _spread(start: int, step: Fraction, count: int, duration_ms: int, *, runs_to_end: bool) -> ShotList:
    # as int(step * k), which is slow for many shots
    moments = [start + step.numerator * k // step.denominator for k in range(count)]
    # a video of a single picture may have no duration at all: its first moment is always there
    inside = [moment for moment in moments if moment < max(duration_ms, 1)]
    return ShotList(tuple(inside), tuple(moments[len(inside) :]), step, runs_to_end)


def _check_number(config: SnapshotConfig, count: int, duration_ms: int, most: int) -> None:
    if count <= most:
        return
    if config.type == "Sprite" and config.count is None and config.step_ms == 0:
        grid = config.sprite_snapshot_config
        asked = f"{grid.columns} x {grid.lines}"
        raise ConfigError(
            "SpriteSnapshotConfig.Columns x Lines", asked, f"at most {most} cells, or Count given"
        )
    path = "IntervalMs" if config.interval_ms is not None else "Interval"
    value = config.interval_ms if config.interval_ms is not None else config.interval
    least = -(-duration_ms // most)
    allowed = f"{least} ms or more for a video of {duration_ms / 1000:.1f} s: at most {most} shots"
    raise ConfigError(path, value, allowed)
