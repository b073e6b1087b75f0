"""What the drill submits, and what must come of it: every file byte by byte, and every number in the pixels."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stillframe import MemorySink, shoot
from stillframe.catalog.system_templates import SYSTEM_TEMPLATES
from stillframe.media import config_json
from stillframe.testing import Clip, barcode, videos

TEMPLATE = "S00000002-000010"
BAD = "InvalidParameter.ResourceContentBad"
SHEET = {"Columns": 3, "Lines": 2}
_NORMAL = {"Type": "Normal", "FrameType": "normal"}


@dataclass(frozen=True)
class Kind:
    """One kind of job: what is asked for, and what it must give."""

    name: str
    media: str
    output: str
    overwrite: Mapping[str, Any]
    #: None is Success
    code: str | None = None
    #: by their names beside each other, and the numbers in them
    files: Mapping[str, bytes] | None = None
    numbers: tuple[int, ...] = ()
    #: it fails with some of its files made
    is_partial: bool = False

    @property
    def probe_code(self) -> str | None:
        """What a probe of its video ends with; None is Success."""
        return None if self.is_partial else self.code


def kinds(bucket: Path) -> list[Kind]:
    """Every kind; their videos are put into the bucket's folder."""
    folder = bucket / "in"
    folder.mkdir(parents=True, exist_ok=True)
    short = videos.make(folder / "short.mp4", frames=40, bframes=2)
    long = videos.make(folder / "long.mp4", frames=400, bframes=2)
    stream = videos.make(folder / "stream.ts", frames=200)
    (folder / "text.mp4").write_text("this is no video at all\n" * 50)
    broken = videos.moov_missing(folder).path.name
    normal = _NORMAL
    sprite = {"Type": "Sprite", "FrameType": "normal", "SpriteSnapshotConfig": SHEET}
    track = {"Type": "WebVtt", "FrameType": "normal", "SpriteSnapshotConfig": SHEET}
    return [
        _good("one still", short, "{Count}.jpg", {**normal, "Count": 1, "Time": 520}),
        _good("stills in slices", long, "{Count}.png", {**normal, "Count": 40, "Width": 96}),
        _good("stills of a stream", stream, "{Count}.jpg", {**normal, "Count": 30}),
        _good("sheets in slices", long, "{TileCount}.jpg", {**sprite, "Count": 50, "Width": 96}),
        _good("a track of sheets", long, "x.vtt", {**track, "IsSptFrag": True, "Interval": 1, "Width": 96}),
        _good("a track of stills", short, "x.vtt", {**track, "IsSptFrag": False, "Interval": 1, "Width": 96}),
        Kind("no video", "in/text.mp4", "{Count}.jpg", {**normal, "Count": 3}, BAD),
        Kind("no index", f"in/{broken}", "{Count}.jpg", {**normal, "Count": 3}, BAD),
        Kind("not there", "in/nothing.mp4", "{Count}.jpg", {**normal, "Count": 3}, "ResourceNotFound"),
    ]


def long_kind(bucket: Path) -> Kind:
    """Some fifty slices of the video of other kinds, which is there."""
    clip = videos.make(bucket / "in" / "many.mp4", frames=400, bframes=2)
    return _good("a long job", clip, "{Count}.png", {**_NORMAL, "Count": 400, "Width": 48})


@dataclass(frozen=True)
class Replaced:
    """A kind of job, and what it is to be when its video was replaced in the middle of it."""

    kind: Kind
    path: Path
    new_path: Path
    then: Kind

    def replace(self) -> None:
        """Another video takes the place of the first."""
        self.new_path.replace(self.path)


def replaced_alone(bucket: Path, name: str) -> Replaced:
    """One slice. What its first video was is known, and others do not go on with another one."""
    return _replaced(bucket, name, 3, 20, "ResourceNotFound")


def replaced_among_many(bucket: Path, name: str) -> Replaced:
    """Many slices, likewise."""
    return _replaced(bucket, name, 60, 400, "ResourceNotFound")


def replaced_in_a_survey(bucket: Path, name: str) -> Replaced:
    """Nothing is known of its first video: others begin anew, and all is of the new one."""
    return _replaced(bucket, name, 60, 400, None)


def _replaced(bucket: Path, name: str, count: int, frames: int, code: str | None) -> Replaced:
    output, overwrite = f"{name}/{{Count}}.png", {**_NORMAL, "Count": count}
    clip = videos.make(bucket / "in" / f"{name}.mp4", frames=frames, bframes=2)
    other = videos.make(bucket / "in" / f"{name}-new.mp4", frames=frames, bframes=2, first_number=500)
    before = _good(name, clip, output, overwrite)
    after = replace(_good(name, other, output, overwrite), media=before.media)
    then = after if code is None else replace(before, code=code, is_partial=True)
    return Replaced(before, clip.path, other.path, then)


def numbers_in(kind: Kind, files: Mapping[str, bytes]) -> tuple[int, ...]:
    """The numbers in the pixels of all pictures, in order; a cell that nothing is in counts for nothing."""
    return tuple(_numbers(kind, files))


def _good(name: str, clip: Clip, output: str, overwrite: Mapping[str, Any]) -> Kind:
    config = config_json.parse(config_json.merge(SYSTEM_TEMPLATES[TEMPLATE], overwrite))
    sink = MemorySink(output, config)
    report = shoot(clip.path, sink, config, threads=1)
    kind = Kind(name, f"in/{clip.path.name}", output, overwrite, None, sink.files)
    wanted = tuple(clip.number_at(shot.requested_ms) for shot in report.shots if shot.status == "taken")
    assert wanted == numbers_in(kind, sink.files), name
    return Kind(name, kind.media, output, overwrite, None, sink.files, wanted)


def _numbers(kind: Kind, files: Mapping[str, bytes]) -> Iterator[int]:
    for name in sorted(files):
        if name.endswith(".vtt"):
            continue
        with Image.open(io.BytesIO(files[name])) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        if kind.overwrite.get("IsSptFrag") or kind.overwrite["Type"] == "Sprite":
            height, width = pixels.shape[0] // SHEET["Lines"], pixels.shape[1] // SHEET["Columns"]
            found = barcode.read_sheet(pixels, SHEET["Columns"], width, height)
            yield from (number for number in found if number is not None)
        else:
            yield barcode.read(pixels)
