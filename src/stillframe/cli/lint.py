"""`stillframe lint`: would real players read this track?"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from stillframe.cli.messages import failure_json, print_error, print_line, say
from stillframe.errors import StillframeError

EXAMPLES = """Examples:

stillframe lint thumbs/movie.vtt

stillframe lint --json thumbs/*.vtt
"""


def lint(
    tracks: Annotated[
        list[Path],
        typer.Argument(metavar="TRACK...", help="WebVTT files.", show_default=False, readable=False),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object for each finding.")] = False,
) -> int:
    """Tell whether real players would read a WebVTT thumbnail track, and which of them would not.

    The pictures beside the track are looked at, too. Warnings alone are no failure.
    """
    import json

    from stillframe.media.tracks.lint import lint_file

    failed = 0
    for path in tracks:
        try:
            findings = lint_file(path)
        except StillframeError as error:
            if as_json:
                say(failure_json("track", str(path), error))
            print_error(error)
            failed += 1
            continue
        for finding in findings:
            if as_json:
                print_line(json.dumps({"track": str(path), **asdict(finding)}), sys.stdout)
                continue
            players = f" (breaks: {', '.join(finding.players)})" if finding.players else ""
            where = f"{path}:{finding.line}"
            print_line(
                f"{where}: {finding.severity}: {finding.message} [{finding.rule}]{players}", sys.stdout
            )
        if not findings and not as_json:
            print_line(f"{path}: every player we know reads it", sys.stdout)
        failed += any(finding.severity == "error" for finding in findings)
    return min(failed, 63)
