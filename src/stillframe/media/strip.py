"""A few small pictures of what a survey has planned, from the keyframes near its moments: a look before the work. Pure.

    strip = strip_of(survey, most=24, width_px=160)
    rendered = render(strip, strip.stretches[0], source, sink)    # one sheet, whose cells are the strip

A strip is itself a survey, of one stretch and one sheet, so that whoever renders surveys renders it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stillframe.media.config import RANGES
from stillframe.media.geometry import SheetGeometry, place
from stillframe.media.plan import Stretch, nearest_keyframe
from stillframe.media.survey import Shot, Survey

_COLUMNS = 6
#: of a cell, to its width: a video of one column has no strip as high as a tower
_MOST_HEIGHT = 2


def strip_of(survey: Survey, *, most: int, width_px: int) -> Survey | None:
    """The strip of at most so many of the planned shots, evenly chosen; None when there is none to be had.

    Its cells have the shape of the survey's stills, and its shots their moments, with the nearest keyframe wherever it
    is; where the container lists none, it is found when it is read.
    """
    planned = _evenly([shot for shot in survey.shots if shot.fate == "planned"], most)
    if not planned:
        return None
    probe, canvas = survey.probe, survey.placement.canvas
    low, _ = RANGES["Height"]
    height_px = min(max(round(width_px * canvas.height / canvas.width), low), _MOST_HEIGHT * width_px)
    fit, shown = survey.config.fit, (probe.display_width_px, probe.display_height_px)
    shots = [
        Shot(
            index,
            shot.requested_ms,
            shot.moment,
            position=index,
            keyframe=nearest_keyframe(probe.keyframes_pts, shot.moment, None),
        )
        for index, shot in enumerate(planned)
    ]
    columns = min(len(shots), _COLUMNS)
    return replace(
        survey,
        config=replace(survey.config, type="Sprite", frame_type="intra", keyframe_miss="nearest"),
        shots=tuple(shots),
        placement=place(width_px, height_px, fit, *shown),
        sheet=SheetGeometry(width_px, height_px, columns, -(-len(shots) // columns), 0, 0),
        stretches=(Stretch(0, len(shots) - 1, 0.0),),
    )


def _evenly(shots: Sequence[Shot], most: int) -> Sequence[Shot]:
    """At most so many of them, the first and the last included."""
    if len(shots) <= most:
        return shots
    last = len(shots) - 1
    return [shots[number * last // (most - 1)] for number in range(most)]
