"""Would real players read this track? A finding names the rule, the line and the players that break.

    for finding in lint_file("thumbs/movie.vtt"):
        print(finding.line, finding.rule, finding.message, finding.players)

`RULES` is the table of all rules, of which the documentation's list is made. They come from the players'
published code. tests/players runs that code and holds rule and player together: videojs-vtt-thumbnails
0.0.13, Plyr 3.8.4, Vidstack 1.15.6, artplayer-plugin-vtt-thumbnail 1.1.0, Media Chrome 4.19.4. Shaka Player
5.2.12 and Fluid Player 3.58.0 were run by hand, JW Player is taken at its documentation's word. A track of
`webvtt.write` with boundaries on whole seconds breaks no rule.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from stillframe.errors import SourceError, os_reason
from stillframe.media.tracks import lint_images, lint_times
from stillframe.media.tracks.image_size import image_size
from stillframe.media.tracks.lint_rule import Resolve, Rule, Severity, Subject
from stillframe.media.tracks.vtt_text import read

__all__ = ["RULES", "Finding", "Rule", "lint", "lint_file"]

RULES: tuple[Rule, ...] = (*lint_times.RULES, *lint_images.RULES)

#: A rule that is broken on every line of a long track is told this many times.
MAX_PER_RULE = 10
#: The longest track that is read from disk; the 20,000 cues of the longest job make 2 MiB.
MAX_TRACK_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where a track breaks a rule.

    `line` counts from 1. An "error" means that each of `players` may show no picture or a wrong one, a
    "warning" that pictures may be hidden for a time, or that the track leaves the dialect that all players
    read. `players` is empty when no player that we know is hurt.
    """

    rule: str
    severity: Severity
    line: int
    message: str
    players: tuple[str, ...]


def lint(data: bytes, *, resolve: Resolve | None = None) -> list[Finding]:
    """Return what is wrong with a track, in the order of its lines. Never raises on any `data`.

    `resolve` maps the path of a relative image URL (percent-decoded, without query and fragment) to
    (width_px, height_px), or to None when there is no such image, and is asked once for each; without it
    images are not looked at.
    """
    is_empty = not data.strip()
    subject = Subject(read(b"" if is_empty else data), is_empty, resolve and cache(resolve))
    findings: list[Finding] = []
    for rule in RULES:
        findings.extend(_findings(rule, subject))
    return sorted(findings, key=lambda finding: finding.line)


def lint_file(path: str | os.PathLike[str]) -> list[Finding]:
    """Lint a file and the JPEG and PNG images beside it. Raises SourceError when the track cannot be read."""
    track = Path(path)
    try:
        with track.open("rb") as file:
            data = file.read(MAX_TRACK_BYTES + 1)
    except OSError as error:
        raise SourceError(str(track), os_reason(error)) from error
    if len(data) > MAX_TRACK_BYTES:
        raise SourceError(
            str(track), f"is larger than {MAX_TRACK_BYTES:,} bytes, which is no thumbnail track"
        )
    # An encoded leading slash ("%2Fetc") must not lead out of the track's folder.
    return lint(data, resolve=lambda name: image_size(track.parent / name.lstrip("/")))


def _findings(rule: Rule, subject: Subject) -> list[Finding]:
    kept: list[Finding] = []
    left_out = 0
    for line, message in rule.check(subject):
        if len(kept) < MAX_PER_RULE:
            kept.append(Finding(rule.slug, rule.severity, line, message, rule.players))
        else:
            left_out += 1
    if left_out:
        last = kept[-1]
        more = f"{last.message} (and on {left_out:,} more lines)"
        kept[-1] = Finding(last.rule, last.severity, last.line, more, last.players)
    return kept
