"""WebVTT thumbnail tracks: which shot is shown from when to when, and the text that every player reads.

    spans = cue_spans([0, 10_000], [True, True], interval_ms=10_000, duration_ms=19_500, runs_to_end=True)
    # [(0, 0, 10000), (1, 10000, 20000)]
    cues = [Cue(start, end, "movie/sheet.jpg", 160 * shot, 0, 160, 90) for shot, start, end in spans]
    write(cues)

The dialect is the one that all players named in `lint.py` read: LF, no cue identifiers, HH:MM:SS.mmm, and one
line `<url>#xywh=x,y,w,h` per cue.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import NamedTuple
from urllib.parse import quote

#: From this interval on boundaries are whole seconds: two players cut fractions of a second off.
WHOLE_SECONDS_FROM_MS = 1000


class Cue(NamedTuple):
    """One picture and when it is shown: from `start_ms` up to, and without, `end_ms`.

    `url` is the image's name relative to the track's folder, with "/" between folders and nothing encoded.
    `x`, `y`, `width` and `height` say in pixels which part of the image is meant, from its top left corner.
    """

    start_ms: int
    end_ms: int
    url: str
    x: int
    y: int
    width: int
    height: int


def cue_spans(
    requested_ms: Sequence[int],
    present: Sequence[bool],
    *,
    interval_ms: int | Fraction,
    duration_ms: int,
    runs_to_end: bool,
) -> list[tuple[int, int, int]]:
    """Say for each shot that has a picture when it is shown: (position of the shot, start_ms, end_ms).

    `requested_ms` are the moments asked for, in ascending order, `present` says which of them have a
    picture; `interval_ms` is 0 when there is no fixed step. The spans are contiguous and start at 0: a shot
    without a picture lengthens the cue before it, and when it is the first one, the cue after it. The last
    cue ends at the duration, rounded up to a second, when sampling runs to the end or has no step, else one
    interval after the last moment. From an interval of one second on all boundaries are whole seconds.

    Raises ValueError when `requested_ms` and `present` differ in length.
    """
    shown = [position for position, (_, there) in enumerate(zip(requested_ms, present, strict=True)) if there]
    if not shown:
        return []
    grid_ms = 1000 if interval_ms >= WHOLE_SECONDS_FROM_MS else 1
    if runs_to_end or interval_ms == 0:
        end_ms = math.ceil(Fraction(duration_ms, 1000)) * 1000
    else:
        end_ms = _round_half_up(requested_ms[-1] + interval_ms, grid_ms)

    starts = [0]
    for position in shown[1:]:
        starts.append(max(_round_half_up(requested_ms[position], grid_ms), starts[-1] + grid_ms))
    if len(starts) > 1 and requested_ms[shown[-1]] < end_ms <= starts[-1]:
        # Rounding put the last boundary on the very end (9.5 s of 9.6 s), but its picture is to be seen too.
        starts[-1] = max(starts[-2] + grid_ms, end_ms - grid_ms)
    ends = [*starts[1:], max(end_ms, starts[-1] + grid_ms)]
    return list(zip(shown, starts, ends, strict=True))


def write(cues: Iterable[Cue]) -> str:
    """Write the track's text. It is ASCII, so that its bytes are the same in every encoding that matters.

    Raises ValueError when a cue's url is not a relative name (empty, starts with "/", or holds "//").
    """
    blocks = ["WEBVTT\n"]
    for cue in cues:
        blocks.append(
            f"{timestamp(cue.start_ms)} --> {timestamp(cue.end_ms)}\n"
            f"{_encoded(cue.url)}#xywh={cue.x},{cue.y},{cue.width},{cue.height}\n"
        )
    return "\n".join(blocks)


def timestamp(time_ms: int) -> str:
    """Write a time as HH:MM:SS.mmm; from 100 hours on the hours have more than two digits."""
    seconds, milliseconds = divmod(time_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}.{milliseconds:03d}"


def _encoded(url: str) -> str:
    """Percent-encode all but "/". The colon too: in a first segment it would end a URL scheme ("12:30.jpg").

    A file name that is not UTF-8 comes from Python with surrogates; a web server looks for its own bytes.
    """
    if not url or url.startswith("/") or "//" in url:
        raise ValueError(f"the image of a cue must be a relative name, not {url!r}")
    return quote(url, safe="/", errors="surrogateescape")


def _round_half_up(time_ms: int | Fraction, grid_ms: int) -> int:
    return math.floor(Fraction(time_ms) / grid_ms + Fraction(1, 2)) * grid_ms
