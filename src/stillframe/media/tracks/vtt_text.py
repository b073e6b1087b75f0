"""A forgiving reader of WebVTT thumbnail tracks: finds what the author meant and notes what is odd about it.

Players differ in what they forgive, so this reader forgives everything and never raises; the rules of
`lint.py` look at what it notes. One pass, time and memory grow with the size of the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

ARROW = "-->"

_LENIENT_TIME = re.compile(r"(?:([0-9]{1,6}):)?([0-9]{1,2}):([0-9]{1,2})(?:[.,]([0-9]{1,9}))?")
_REGION = "#xywh="
_FOUR_INTEGERS = re.compile(",".join([r"\s*([0-9]{1,9})\s*"] * 4))
_COMMENT = re.compile(r"(NOTE|STYLE|REGION)(?:[ \t]|$)")
_NEWLINE = re.compile(r"\r\n|\r|\n")

Rectangle = tuple[int, int, int, int]
Encoding = Literal["utf-8", "not-utf-8"]


@dataclass(frozen=True, slots=True)
class Payload:
    """One line under a timing line. `region` is what follows `#xywh=`, None when the line has none.

    `rectangle` is (x, y, width, height) in pixels, None when the region is anything but four whole numbers.
    """

    line: int
    text: str
    url: str
    region: str | None
    rectangle: Rectangle | None


@dataclass(frozen=True, slots=True)
class CueText:
    """One cue as it stands in the file; times are None when they cannot be understood at all."""

    line: int
    identifier_line: int | None
    timing: str
    start: str
    end: str
    settings: str
    start_ms: int | None
    end_ms: int | None
    payload: tuple[Payload, ...]

    @property
    def image(self) -> Payload | None:
        """The line that names the image: the first one."""
        return self.payload[0] if self.payload else None


@dataclass(slots=True)
class TrackText:
    """A track, taken apart. Line numbers count from 1."""

    encoding: Encoding = "utf-8"
    byte_order_mark: bool = False
    #: line of the first CR LF, and how many there are
    first_crlf: int = 0
    crlf_count: int = 0
    header: str = ""
    header_extra_lines: list[int] = field(default_factory=list)
    cues: list[CueText] = field(default_factory=list)
    comments: list[tuple[int, str]] = field(default_factory=list)
    stray_lines: list[tuple[int, str]] = field(default_factory=list)
    #: timing lines that follow other text without a blank line between
    crowded_lines: list[int] = field(default_factory=list)
    #: (line of the first, how many) of blank lines in a row, where more than one stands between two blocks
    blank_runs: list[tuple[int, int]] = field(default_factory=list)
    #: lines that look blank, but hold spaces
    whitespace_lines: list[int] = field(default_factory=list)


def read(data: bytes) -> TrackText:
    """Take a track apart. Never raises; what is not UTF-8 is read with replacement characters."""
    track = TrackText()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        track.encoding = "not-utf-8"
        text = data.decode("utf-8", errors="replace")
    if text.startswith("\ufeff"):
        track.byte_order_mark = True
        text = text[1:]
    lines = _split_lines(text, track)
    track.header = lines[0] if lines else ""
    for number, block in _blocks(lines, track):
        if number == 1:
            _read_header(block, track)
        else:
            _read_block(number, block, track)
    return track


def _split_lines(text: str, track: TrackText) -> list[str]:
    lines: list[str] = []
    position = 0
    for newline in _NEWLINE.finditer(text):
        lines.append(text[position : newline.start()])
        position = newline.end()
        if newline.group() == "\r\n":
            track.first_crlf = track.first_crlf or len(lines)
            track.crlf_count += 1
    if position < len(text):
        lines.append(text[position:])
    return lines


def _blocks(lines: list[str], track: TrackText) -> Iterator[tuple[int, list[str]]]:
    """Split into runs of lines that are not blank, each with the number of its first line."""
    previous_end = 0
    number = 1
    for blank, run in groupby(lines, key=lambda line: not line.strip()):
        block = list(run)
        if blank:
            track.whitespace_lines.extend(number + index for index, line in enumerate(block) if line)
        else:
            blanks = number - 1 - previous_end
            if blanks > 1 and previous_end:
                track.blank_runs.append((previous_end + 1, blanks))
            previous_end = number - 1 + len(block)
            yield number, block
        number += len(block)


def _read_header(block: list[str], track: TrackText) -> None:
    """The first block should be the line WEBVTT alone, but may run on into cues."""
    if ARROW in block[0]:
        _read_block(1, block, track)
        return
    timings = [index for index, line in enumerate(block) if ARROW in line]
    if not timings:
        track.header_extra_lines.extend(range(2, len(block) + 1))
        return
    first = timings[0]
    track.header_extra_lines.extend(range(2, first + 1))
    track.crowded_lines.append(first + 1)
    _read_cues(first + 1, block[first:], None, track)


def _read_block(number: int, block: list[str], track: TrackText) -> None:
    comment = _COMMENT.match(block[0])
    if comment and not any(ARROW in line for line in block[1:2]):
        track.comments.append((number, comment.group(1)))
    elif ARROW in block[0]:
        _read_cues(number, block, None, track)
    elif len(block) > 1 and ARROW in block[1]:
        _read_cues(number + 1, block[1:], number, track)
    else:
        track.stray_lines.append((number, block[0]))


def _read_cues(number: int, block: list[str], identifier_line: int | None, track: TrackText) -> None:
    """Read a block that begins with a timing line, and each further timing line in it as a cue of its own."""
    starts = [index for index, line in enumerate(block) if ARROW in line]
    track.crowded_lines.extend(number + index for index in starts[1:])
    for start, end in zip(starts, [*starts[1:], len(block)], strict=True):
        payload = tuple(_payload(number + index, block[index]) for index in range(start + 1, end))
        track.cues.append(
            _cue(number + start, block[start], payload, identifier_line if start == 0 else None)
        )


def _cue(number: int, timing: str, payload: tuple[Payload, ...], identifier_line: int | None) -> CueText:
    left, _, right = timing.partition(ARROW)
    start = left.strip()
    end, settings = (*right.split(None, 1), "", "")[:2]
    return CueText(
        line=number,
        identifier_line=identifier_line,
        timing=timing,
        start=start,
        end=end,
        settings=settings.strip(),
        start_ms=_time_ms(start),
        end_ms=_time_ms(end),
        payload=payload,
    )


def _payload(number: int, text: str) -> Payload:
    url, marker, region = text.partition(_REGION)
    if not marker:
        return Payload(number, text, text.strip(), None, None)
    numbers = _FOUR_INTEGERS.fullmatch(region)
    rectangle = (int(numbers[1]), int(numbers[2]), int(numbers[3]), int(numbers[4])) if numbers else None
    return Payload(number, text, url, region, rectangle)


def _time_ms(text: str) -> int | None:
    parts = _LENIENT_TIME.fullmatch(text)
    if parts is None:
        return None
    hours, minutes, seconds, fraction = parts.groups()
    milliseconds = int((fraction or "").ljust(3, "0")[:3])
    return ((int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + milliseconds
