"""`stillframe probe`: what is in a video."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from stillframe.cli.inputs import Input
from stillframe.cli.messages import failure_json, print_error, print_line, say
from stillframe.errors import ConfigError, StillframeError

if TYPE_CHECKING:
    from stillframe.media.probe import Probe

EXAMPLES = """Examples:

stillframe probe movie.mkv

stillframe probe movie.mkv --json | jq .duration_ms

stillframe probe https://example.com/movie.mp4
"""


def probe(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Videos to look into: files, or addresses of s3://, oss://, https:// and http://.",
            show_default=False,
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object for each video.")] = False,
) -> int:
    """Tell what is in a video: its streams, its real duration, size, rotation, colour and keyframes."""
    from stillframe.library import probe as look_into

    try:
        videos = [Input.of(text) for text in inputs]
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from error
    failed = 0
    for video in videos:
        try:
            found = look_into(video.what)
        except StillframeError as error:
            if as_json:
                say(failure_json("source", video.name, error))
            print_error(error)
            failed += 1
            continue
        print_line(_json(found) if as_json else _text(found), sys.stdout)
    return min(failed, 63)


def _json(found: Probe) -> str:
    import json

    facts = asdict(found)
    keyframes_ms = [found.ms_of(pts) for pts in found.keyframes_pts]
    facts |= {"duration_ms": found.duration_ms, "keyframes_ms": keyframes_ms}
    return json.dumps(facts, separators=(",", ":"))


def _text(found: Probe) -> str:
    streams = ", ".join(
        f"{stream.type} {stream.codec}{' (chosen)' if stream.chosen else ''}"
        f"{' (cover picture)' if stream.attached_picture else ''}"
        for stream in found.streams
    )
    turn = f"turned {found.rotation}°" if found.rotation else "upright"
    if found.mirrored:
        turn += ", mirrored"
    rows = [
        ("container", f"{found.container}, {found.size_bytes:,} bytes"),
        ("streams", streams),
        ("duration", f"{found.duration_ms / 1000:.3f} s from the first picture"),
        ("picture", f"{found.width_px}x{found.height_px} {found.codec} {found.pixel_format}, {turn}"),
        (
            "shown as",
            f"{found.display_width_px}x{found.display_height_px} square pixels"
            f" (pixel aspect {found.sample_aspect[0]}:{found.sample_aspect[1]})"
            f"{', interlaced' if found.interlaced else ''}",
        ),
        (
            "colour",
            f"{_KINDS[found.colour.kind]}, {'full' if found.colour.full_range else 'limited'} range; tags: "
            + ", ".join(f"{name} {value}" for name, value in found.colour_tags.items()),
        ),
        (
            "keyframes",
            f"{len(found.keyframes_pts)} listed" if found.keyframes_pts else "no index: looked for as needed",
        ),
        *(("note", note) for note in found.notes),
    ]
    return "\n".join([found.source, *(f"  {name:10}{text}" for name, text in rows)])


_KINDS = {"sdr": "SDR", "sdr-2020": "SDR with BT.2020 primaries", "pq": "HDR (PQ)", "hlg": "HDR (HLG)"}
