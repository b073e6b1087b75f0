"""Lint rules about the shape of the file, its timing lines and its times."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from stillframe.media.tracks.lint_rule import (
    ALL,
    ARTPLAYER,
    FLUID,
    JW,
    MEDIA_CHROME,
    PLYR,
    SHAKA,
    VIDEOJS,
    VIDSTACK,
    Breaches,
    RuleTable,
    Subject,
    shown,
)
from stillframe.media.tracks.vtt_text import CueText

_table = RuleTable()


@_table.rule("empty-file", "error", ALL)
def _empty_file(subject: Subject) -> Breaches:
    """The file holds nothing."""
    if subject.is_empty:
        yield 1, "the file is empty"


@_table.rule("not-utf-8", "error", ALL)
def _not_utf_8(subject: Subject) -> Breaches:
    """WebVTT is always UTF-8; other encodings give wrong names or no cues at all."""
    if subject.track.encoding == "not-utf-8":
        yield 1, "the file is not UTF-8"


@_table.rule("byte-order-mark", "warning", ())
def _byte_order_mark(subject: Subject) -> Breaches:
    """Browsers strip a byte order mark, programs that read the file may not."""
    if subject.track.byte_order_mark:
        yield 1, "the file begins with a byte order mark"


@_table.rule("header", "error", (ARTPLAYER, MEDIA_CHROME, SHAKA, FLUID))
def _header(subject: Subject) -> Breaches:
    """The first line must be WEBVTT, else it is no WebVTT."""
    if not subject.is_empty and not re.match(r"WEBVTT(?:[ \t]|$)", subject.track.header):
        yield 1, f"the first line is {shown(subject.track.header)}, not WEBVTT"


@_table.rule("header-lines", "error", (ARTPLAYER,))
def _header_lines(subject: Subject) -> Breaches:
    """Lines under WEBVTT shift the pairs of lines that ArtPlayer reads."""
    if subject.track.header_extra_lines:
        yield subject.track.header_extra_lines[0], "the header has more lines than WEBVTT"


@_table.rule("crlf", "error", (VIDEOJS,))
def _crlf(subject: Subject) -> Breaches:
    """With lines that end in CR LF the plugin of video.js finds no cue at all."""
    if subject.track.crlf_count:
        yield subject.track.first_crlf, f"{subject.track.crlf_count:,} lines end in CR LF; end them in LF"


@_table.rule("crowded", "error", (VIDEOJS, PLYR, VIDSTACK, SHAKA))
def _crowded(subject: Subject) -> Breaches:
    """A timing line without a blank line before it is not seen as a cue."""
    for line in subject.track.crowded_lines:
        yield line, "no blank line before this cue"


@_table.rule("blank-lines", "error", (VIDEOJS,))
def _blank_lines(subject: Subject) -> Breaches:
    """Two blank lines in a row make the plugin of video.js stop with an error."""
    for line, count in subject.track.blank_runs:
        if count % 2 == 0:  # it splits at pairs of newlines, so that an odd number of blank lines goes well
            yield line, f"{count} blank lines in a row; leave one"


@_table.rule("whitespace-line", "error", (VIDEOJS, PLYR, SHAKA))
def _whitespace_line(subject: Subject) -> Breaches:
    """A line of spaces is not blank and does not part two cues."""
    for line in subject.track.whitespace_lines:
        yield line, "the line looks blank, but holds spaces"


@_table.rule("no-cues", "error", ALL)
def _no_cues(subject: Subject) -> Breaches:
    """A track without cues shows nothing."""
    if not subject.is_empty and not subject.track.cues:
        yield 1, "the track has no cues"


@_table.rule("cue-identifier", "error", (VIDEOJS, ARTPLAYER))
def _cue_identifier(subject: Subject) -> Breaches:
    """A line above the timing line makes these players stop."""
    for cue in subject.track.cues:
        if cue.identifier_line is not None:
            yield cue.identifier_line, "the cue has an identifier; leave it out"


@_table.rule("comment", "error", (ARTPLAYER, FLUID))
def _comment(subject: Subject) -> Breaches:
    """NOTE, STYLE and REGION shift the pairs of lines that ArtPlayer reads; Fluid Player knows no STYLE."""
    for line, kind in subject.track.comments:
        yield line, f"a {kind} block; leave it out"


@_table.rule("stray-text", "error", (ARTPLAYER,))
def _stray_text(subject: Subject) -> Breaches:
    """Text that belongs to no cue shifts the pairs of lines that ArtPlayer reads."""
    for line, text in subject.track.stray_lines:
        yield line, f"{shown(text)} belongs to no cue"


@_table.rule("timing-line", "error", (VIDEOJS, PLYR, VIDSTACK, ARTPLAYER, SHAKA))
def _timing_line(subject: Subject) -> Breaches:
    """The arrow wants exactly one space on each side."""
    for cue in subject.track.cues:
        if not cue.timing.startswith(f"{cue.start} --> {cue.end}"):
            yield cue.line, f"write `start --> end`, with one space on each side, not {shown(cue.timing)}"


@_table.rule("cue-settings", "error", (VIDEOJS,))
def _cue_settings(subject: Subject) -> Breaches:
    """The plugin of video.js does not see a cue with anything behind its end time."""
    for cue in subject.track.cues:
        if cue.settings:
            yield cue.line, f"{shown(cue.settings)} stands behind the end time"
        elif cue.end and cue.timing != cue.timing.rstrip():
            yield cue.line, "a space stands behind the end time"


@_table.rule("comma", "error", (VIDSTACK, ARTPLAYER, MEDIA_CHROME, SHAKA, FLUID, JW))
def _comma(subject: Subject) -> Breaches:
    """WebVTT writes 00:00:05.000; the comma is SubRip's."""
    for cue in subject.track.cues:
        for time in (cue.start, cue.end):
            if "," in time:
                yield cue.line, f"{shown(time)} has a comma for its dot"


@_table.rule("timestamp", "error", ALL)
def _timestamp(subject: Subject) -> Breaches:
    """Times are written HH:MM:SS.mmm, or MM:SS.mmm below one hour."""
    for cue in subject.track.cues:
        for time in (cue.start, cue.end):
            if not re.fullmatch(r"(?:[0-9]{2,}:)?[0-5][0-9]:[0-5][0-9]\.[0-9]{3}", time.replace(",", ".")):
                yield cue.line, f"{shown(time)} is no time like 00:00:05.000"


@_table.rule("hundred-hours", "error", (VIDEOJS, PLYR, VIDSTACK, ARTPLAYER))
def _hundred_hours(subject: Subject) -> Breaches:
    """These players read two digits of hours."""
    for cue in subject.track.cues:
        for time in (cue.start, cue.end):
            if re.match(r"[0-9]{3,}:[0-9]{2}:[0-9]{2}", time):
                yield cue.line, f"{shown(time)} has more than two digits of hours"


@_table.rule("sub-second", "warning", (VIDEOJS, ARTPLAYER))
def _sub_second(subject: Subject) -> Breaches:
    """These players cut fractions of a second off every boundary."""
    for cue, start_ms, end_ms in _timed(subject):
        if start_ms // 1000 == end_ms // 1000 and start_ms < end_ms:
            yield cue.line, f"{cue.start} and {cue.end} lie in one second: the cue is never shown"
        elif start_ms % 1000 or end_ms % 1000:
            yield cue.line, f"{cue.start} --> {cue.end} is not on whole seconds"


@_table.rule("end-before-start", "error", ALL)
def _end_before_start(subject: Subject) -> Breaches:
    """A cue that ends before it starts, or at once, is never shown."""
    for cue, start_ms, end_ms in _timed(subject):
        if end_ms <= start_ms:
            yield cue.line, f"the cue ends at {cue.end}, but starts at {cue.start}"


@_table.rule("first-start", "warning", (VIDEOJS, PLYR, VIDSTACK, ARTPLAYER, FLUID))
def _first_start(subject: Subject) -> Breaches:
    """Before the first cue there is no preview."""
    for cue, start_ms, _ in _timed(subject):
        if start_ms:
            yield cue.line, f"the first cue starts at {cue.start}, not at 0"
        return


@_table.rule("unsorted", "error", (SHAKA,))
def _unsorted(subject: Subject) -> Breaches:
    """Shaka Player searches by halves, and finds the wrong cue when they are out of order."""
    for (before, before_ms, _), (cue, start_ms, _) in pairwise(_timed(subject)):
        if start_ms < before_ms:
            yield cue.line, f"the cue starts at {cue.start}, before the one above it ({before.start})"


@_table.rule("overlap", "warning", (VIDEOJS, PLYR, ARTPLAYER, MEDIA_CHROME, FLUID))
def _overlap(subject: Subject) -> Breaches:
    """Where two cues overlap, these players show the first, Vidstack and Shaka Player the last."""
    for (before, before_ms, before_end_ms), (cue, start_ms, _) in pairwise(_timed(subject)):
        if before_ms <= start_ms < before_end_ms:
            yield (
                cue.line,
                f"the cue starts at {cue.start}, before the end of the one above it ({before.end})",
            )


@_table.rule("gap", "warning", (VIDEOJS, PLYR, VIDSTACK, ARTPLAYER, MEDIA_CHROME, FLUID))
def _gap(subject: Subject) -> Breaches:
    """Between two cues there is no preview."""
    for (before, _, before_end_ms), (cue, start_ms, _) in pairwise(_timed(subject)):
        if start_ms > before_end_ms:
            yield cue.line, f"nothing is shown between {before.end} and {cue.start}"


def _timed(subject: Subject) -> Iterator[tuple[CueText, int, int]]:
    """The cues whose times can be understood, with start and end in milliseconds."""
    for cue in subject.track.cues:
        if cue.start_ms is not None and cue.end_ms is not None:
            yield cue, cue.start_ms, cue.end_ms


RULES = _table.rules
