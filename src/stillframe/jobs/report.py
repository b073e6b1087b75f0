"""A finished job's report as its owner reads it: bounded, on the wire's kind of keys."""

from __future__ import annotations

from typing import Any

import msgspec

from stillframe.media import plain_json
from stillframe.media.report import Report, Stats

#: shots that the report lists one by one; those that are out of the ordinary come first when there are more
_MOST_SHOTS = 500


def share_read(report: Report) -> float:
    """What was read of the video, in percent of its size; what is read again counts again."""
    return round(100 * report.stats.bytes_read / max(report.size_bytes, 1), 2)


def report_of(report: Report) -> dict[str, Any]:
    """The report as JSON."""
    counts = dict.fromkeys(("taken", "replaced", "dropped", "skipped", "missing"), 0)
    for shot in report.shots:
        counts[shot.status] += 1
    listed = sorted(report.shots, key=lambda shot: (shot.status == "taken", shot.index))[:_MOST_SHOTS]
    stats = report.stats
    return {
        "Shots": {status.capitalize(): number for status, number in counts.items()},
        "ShotList": [
            {
                "Index": shot.index,
                "RequestedMs": shot.requested_ms,
                "Status": shot.status.capitalize(),
                "ActualMs": shot.actual_ms,
                "Keyframe": shot.keyframe,
                "Reason": shot.reason,
            }
            for shot in sorted(listed, key=lambda shot: shot.index)
        ],
        "ShotListComplete": len(listed) == len(report.shots),
        "DurationMs": report.duration_ms,
        "SizeBytes": report.size_bytes,
        "StillWidth": report.still_width_px,
        "StillHeight": report.still_height_px,
        "Notes": [*report.notes],
        "BytesRead": stats.bytes_read,
        "ShareRead": share_read(report),
        "Requests": stats.requests,
        "Reads": stats.reads,
        "FramesDecoded": stats.frames_decoded,
        "Seconds": {stage: round(seconds, 3) for stage, seconds in stats.seconds.items()},
        "Sheet": None
        if report.sheet is None
        else {
            "Columns": report.sheet.columns,
            "Lines": report.sheet.lines,
            "Width": report.sheet.width_px,
            "Height": report.sheet.height_px,
        },
    }


def spent_of(stats: dict[str, Any] | None) -> Stats:
    """What work has cost, as it was kept."""
    return plain_json.convert(stats, Stats) if stats else Stats()


def with_more(before: dict[str, Any] | None, more: Stats) -> dict[str, Any]:
    """What work has cost together with more of it, to be kept."""
    total = spent_of(before)
    total.add(more)
    kept: dict[str, Any] = msgspec.to_builtins(total)
    return kept
