#!/usr/bin/env python3
"""Make a contact sheet for each class of trap among the sample videos, to be looked at by a person.

    .venv/bin/python scripts/contact_sheets.py sheets/               # all classes
    .venv/bin/python scripts/contact_sheets.py sheets/ rotation sar  # only these

Each sheet `<class>.png` has a line for every sample: its name, what Stillframe says about it, and a few exact
shots with their times. A sample that is refused has its line too, with the message.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

import stillframe
from stillframe import Report, SnapshotConfig
from stillframe.errors import StillframeError
from stillframe.media.sink import MemorySink

MEDIA = Path(__file__).parents[2] / "shared" / "media"


@dataclass(frozen=True, slots=True)
class Trap:
    """One class of samples: which, and how large and how many shots tell whether they come out right."""

    patterns: tuple[str, ...]
    height_px: int = 150
    shots: int = 5


TRAPS = {
    "rotation": Trap(("rotation/*", "fourk/*", "mov/with-gps.mov", "hdr/dolbyVision-hdr.MOV"), shots=3),
    "sar": Trap(
        ("sar/*", "h264-bframes/bbb_800x640*", "h264-mp4/carphone*", "start/test_non*", "oneframe/bbb*")
    ),
    "hdr": Trap(("hdr/*", "editlist/sample_edit_list.mp4", "ts/0.ts"), shots=4),
    "interlace": Trap(("interlaced/*",), height_px=540, shots=2),
    "edit-list": Trap(("editlist/*", "resolution-change/*", "vfr/sample_sef*", "black/edts.mp4")),
    "start-offset": Trap(("start/*", "flv/*", "mkv/sample*", "fragmented/*", "mpeg2/*.ps", "mpeg2/*.m2v")),
    "vfr": Trap(("vfr/*", "fourk/mv*", "h264-mp4/test.mp4")),
    "pts-wrap": Trap(("rollover/*", "ts/*")),
    "black-frames": Trap(("black/*", "multistream/*", "h264-mp4/long*")),
    "alpha": Trap(("alpha/*", "gif/*")),
    "damage": Trap(("corrupt/*", "crafted-corrupt/*", "encrypted/*", "coverart/*", "unsupported/*")),
}

BACKGROUND, INK, FAINT, ALARM = (32, 34, 40), (240, 240, 240), (165, 170, 180), (255, 140, 110)
GAP_PX, LINE_PX = 8, 14


def main() -> None:
    parser = argparse.ArgumentParser(description="Contact sheets of the sample videos, by class of trap.")
    parser.add_argument("folder", type=Path, help="where the sheets go; made when it is missing")
    parser.add_argument("traps", nargs="*", default=list(TRAPS), metavar="class", help=", ".join(TRAPS))
    parser.add_argument("--media", type=Path, default=MEDIA, help="the folder of sample videos")
    arguments = parser.parse_args()
    unknown = set(arguments.traps) - set(TRAPS)
    if unknown:
        parser.error(f"no such class: {', '.join(sorted(unknown))}")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name in arguments.traps:
        sheet = arguments.folder / f"{name}.png"
        contact_sheet(TRAPS[name], arguments.media).save(sheet)
        print(sheet)


def contact_sheet(trap: Trap, media: Path) -> Image.Image:
    """All samples of a class, one below the other."""
    files = [file for pattern in trap.patterns for file in sorted(media.glob(pattern))]
    return _stacked([_line(file, str(file.relative_to(media)), trap) for file in files])


def _line(file: Path, title: str, trap: Trap) -> Image.Image:
    config = SnapshotConfig(
        type="Normal", frame_type="normal", count=trap.shots, height=trap.height_px, black_level=90
    )
    sink = MemorySink("x-{Count}.png", config)
    try:
        report = stillframe.shoot(file, sink, config)
    except StillframeError as refusal:
        return _labelled([], [(title, INK), (f"refused: {refusal}".replace(f"{file}: ", ""), ALARM)])
    remarks = [(note, FAINT) for note in report.notes]
    if report.message:
        remarks.append((report.message, ALARM))
    return _labelled(_pictures(report, sink), [(title, INK), *remarks])


def _pictures(report: Report, sink: MemorySink) -> list[Image.Image]:
    """One picture for each shot, with its time under it; an empty place for a shot without one."""
    stills = {output.index: sink.files[output.name] for output in report.outputs}
    number, pictures = 0, []
    for shot in report.shots:
        if shot.status in ("taken", "replaced"):
            number += 1
            picture = Image.open(io.BytesIO(stills[number])).convert("RGB")
        else:
            picture = Image.new("RGB", (80, 80), ALARM)
        caption = f"{shot.requested_ms} ms -> {shot.actual_ms} ms, pts {shot.actual_pts}"
        colour = FAINT if shot.status == "taken" else ALARM
        texts = [(caption, colour)] if shot.status == "taken" else [(caption, colour), (shot.status, colour)]
        pictures.append(_stacked([picture, *(_text(text, colour) for text, colour in texts)], gap_px=2))
    return pictures


def _labelled(
    pictures: Sequence[Image.Image], texts: Sequence[tuple[str, tuple[int, int, int]]]
) -> Image.Image:
    labels = [_text(text, colour) for text, colour in texts]
    return _stacked([*labels, _beside(pictures)] if pictures else labels, gap_px=2)


def _text(text: str, colour: tuple[int, int, int]) -> Image.Image:
    width = int(ImageDraw.Draw(Image.new("RGB", (1, 1))).textlength(text)) + 2
    image = Image.new("RGB", (width, LINE_PX), BACKGROUND)
    ImageDraw.Draw(image).text((0, 0), text, fill=colour)
    return image


def _stacked(images: Sequence[Image.Image], gap_px: int = GAP_PX) -> Image.Image:
    height = sum(image.height + gap_px for image in images)
    whole = Image.new("RGB", (max(image.width for image in images), height), BACKGROUND)
    top = 0
    for image in images:
        whole.paste(image, (0, top))
        top += image.height + gap_px
    return whole


def _beside(images: Sequence[Image.Image]) -> Image.Image:
    width = sum(image.width + GAP_PX for image in images)
    whole = Image.new("RGB", (width, max(image.height for image in images)), BACKGROUND)
    left = 0
    for image in images:
        whole.paste(image, (left, 0))
        left += image.width + GAP_PX
    return whole


if __name__ == "__main__":
    main()
