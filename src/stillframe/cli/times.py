"""Times and lengths as people write them on a command line."""

from __future__ import annotations

import re

import typer

_UNITS_MS = {"ms": 1, "s": 1000, "": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000}
_MOST_CHARACTERS = 40
_PLAIN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|)", re.ASCII)
_CLOCK = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:\.\d+)?)", re.ASCII)


def milliseconds(text: str) -> int:
    """Milliseconds of `12.5s`, `1500ms`, `2m`, `1:02:03`, `1:02:03.5`, or of a bare number of seconds.

    Raises typer.BadParameter, which says what would have been right.
    """
    lean = text.strip().lower()
    if len(lean) > _MOST_CHARACTERS:
        raise typer.BadParameter(f"a time of {len(lean)} characters is no time")
    if plain := _PLAIN.fullmatch(lean):
        return round(float(plain[1]) * _UNITS_MS[plain[2]])
    if clock := _CLOCK.fullmatch(lean):
        hours, minutes, seconds = int(clock[1] or 0), int(clock[2]), float(clock[3])
        if minutes < 60 and seconds < 60:
            return round((hours * 3600 + minutes * 60 + seconds) * 1000)
    raise typer.BadParameter(f"{text!r} is no time; write 12.5s, 1500ms, 2m, 1:02:03 or a number of seconds")
