"""`stillframe lint`: would real players read this track?"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from stillframe.errors import StillframeError

EXAMPLES = """Examples:

stillframe lint thumbs/movie.vtt

stillframe lint --json thumbs/*.vtt
"""


def lint(
    tracks: Annotated[
        list[Path], typer.Argument(metavar="TRACK...", help="WebVTT files.", show_default=False)
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
            print(f"stillframe: {error}", file=sys.stderr)
            failed += 1
            continue
        for finding in findings:
            if as_json:
                print(json.dumps({"track": str(path), **asdict(finding)}))
                continue
            players = f" (breaks: {', '.join(finding.players)})" if finding.players else ""
            print(f"{path}:{finding.line}: {finding.severity}: {finding.message} [{finding.rule}]{players}")
        if not findings and not as_json:
            print(f"{path}: every player we know reads it")
        failed += any(finding.severity == "error" for finding in findings)
    return min(failed, 63)
