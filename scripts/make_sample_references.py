#!/usr/bin/env python3
"""Make the table of the sample videos and the reference pictures that the tests compare with.

Needs Debian's ffmpeg and ffprobe (5.1) and the sample videos beside the checkout; the tests need neither.

    .venv/bin/python scripts/make_sample_references.py            # all samples, some minutes
    .venv/bin/python scripts/make_sample_references.py --only rotation/

What is expected comes from outside Stillframe: ffprobe lists the frames that the video displays, the rule
"the last frame with pts <= first pts + t" picks one, and ffmpeg decodes from the start (it never seeks) up to
that very pts and converts it as it is told here: matrix, range, deinterlacer, square pixels. Turning, alpha
over black and the reduction are NumPy. Nothing of Stillframe is imported.
"""

from __future__ import annotations

import argparse
import csv
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from displayed_frames import Frame, Video, list_frames, list_packets
from sample_knowledge import DAMAGED, DECODER, READ_BY_PYAV, REFUSED, STREAM, notes

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "integration"))

from sample_references import (
    MEDIA,
    SAMPLES,
    RgbPicture,
    SampleRow,
    read_table,
    reduce,
    write_table,
)

#: where the colour samples of 4:2:0 lie, in 1/256 of a pixel; unlike newer ones, ffmpeg 5.1 must be told
CHROMA_POSITIONS = {
    "left": ":in_h_chr_pos=0:in_v_chr_pos=128",
    "center": ":in_h_chr_pos=128:in_v_chr_pos=128",
    "topleft": ":in_h_chr_pos=0:in_v_chr_pos=0",
    "unspecified": "",
}
SCALE_FLAGS = "bicubic+accurate_rnd+full_chroma_int"


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the reference pictures of the sample videos.")
    parser.add_argument("--only", default="", help="only samples whose path begins like this")
    only = parser.parse_args().only
    SAMPLES.mkdir(parents=True, exist_ok=True)
    old_rows = {row.file: row for row in read_table()} if only else {}
    rows = []
    for file in _index():
        if only and not file.startswith(only):
            rows.append(old_rows[file])
            continue
        row = _refused_row(file) if file in REFUSED else _pictures_row(file)
        print(file, row.reason or row.comparison, row.moments_ms, row.expected_pts, flush=True)
        rows.append(row)
    write_table(_with_default_sample(rows))
    kept = {row.reference(ms) for row in rows if row.compares_pixels for ms in row.moments_ms}
    for stale in set(SAMPLES.glob("*.png")) - kept:
        stale.unlink()


def _index() -> list[str]:
    with (MEDIA / "INDEX.tsv").open(encoding="utf-8", newline="") as index:
        return [row["file"] for row in csv.DictReader(index, delimiter="\t")]


def _refused_row(file: str) -> SampleRow:
    reason, note = REFUSED[file]
    return SampleRow(file, "refused", reason, (), (), None, None, None, None, None, "", False, note)


def _pictures_row(file: str) -> SampleRow:
    video = _list(file)
    damage = DAMAGED.get(file)
    good = [frame for frame in video.frames if not damage or frame.pts <= damage.good_until_pts]
    first, last = good[0], good[-1]
    moments = [(ms, video.shown_at(ms)) for ms in _choose(video, good)]
    width, height = first.square_size if video.turn % 180 == 0 else first.square_size[::-1]
    comparison = "pixels"
    if first.is_hdr:
        comparison = f"no-pixels: HDR ({first.transfer}), which Stillframe tone-maps by its own chain"
        moments[0] = (1, first)
    else:
        pictures = _pictures(file, video, [frame for _, frame in moments])
        if _is_dark(pictures[0]):  # one single shot at 0 would go through the filter of black frames
            moments[0] = (1, first)
    if video.shown_at(moments[0][0]) != first:
        raise SystemExit(f"{file}: another frame is on screen at {moments[0][0]} ms")
    row = SampleRow(
        file=file,
        outcome="pictures",
        reason="",
        moments_ms=tuple(ms for ms, _ in moments),
        expected_pts=tuple(frame.pts for _, frame in moments),
        last_ms=max(1, video.start_ms(last)),
        last_pts=last.pts,
        missing_ms=damage.missing_ms if damage else None,
        width_px=width,
        height_px=height,
        comparison=comparison,
        runs_by_default=False,
        note="; ".join(notes(file)),
    )
    if row.compares_pixels:
        for ms, picture in zip(row.moments_ms, pictures, strict=True):
            if picture.shape != (height, width, 3):
                raise SystemExit(f"{file}: {picture.shape} is not {height} x {width}")
            Image.fromarray(reduce(picture)).save(row.reference(ms), optimize=True)
    return row


def _list(file: str) -> Video:
    stream = str(STREAM[file][0]) if file in STREAM else "v:0"
    if file in READ_BY_PYAV:
        return list_packets(MEDIA / file, stream, READ_BY_PYAV[file][0])
    return list_frames(MEDIA / file, stream)


def _choose(video: Video, good: Sequence[Frame]) -> list[int]:
    """The first frame, one around 40 % just when it appears, one around 85 % amid its time."""
    times = [0]
    early = _frame_near(good, 0.40)
    times.append(video.start_ms(early))
    late = _frame_near(good, 0.85)
    following = min((frame.pts for frame in video.frames if frame.pts > late.pts), default=late.pts)
    middle = Fraction(late.pts + following, 2) - video.frames[0].pts
    times.append(max(video.start_ms(late), math.floor(middle * video.time_base * 1000)))
    different: dict[int, int] = {}
    for ms in times:
        different.setdefault(video.shown_at(ms).pts, ms)
    return list(different.values())


def _frame_near(frames: Sequence[Frame], share: float) -> Frame:
    """The last frame that starts before this share of the video and has a pts of its own."""
    until = frames[0].pts + share * (frames[-1].pts - frames[0].pts)
    return [frame for frame in frames if frame.pts <= until and frame.has_own_pts][-1]


def _is_dark(picture: RgbPicture) -> bool:
    """Near the black filter's limits (90 % of the pixels under luma 30), with a wide margin."""
    luma = picture @ np.array([0.299, 0.587, 0.114])
    return float(np.mean(luma < 40)) > 0.7


def _with_default_sample(rows: list[SampleRow]) -> list[SampleRow]:
    """Mark the quickest sample that makes pictures and the quickest that is refused of every folder."""
    smallest: dict[tuple[str, str], SampleRow] = {}
    for row in sorted(rows, key=_cost):
        smallest.setdefault((row.folder, row.outcome), row)
    chosen = {row.file for row in smallest.values()}
    return [replace(row, runs_by_default=row.file in chosen) for row in rows]


def _cost(row: SampleRow) -> tuple[int, int, str]:
    pixels = (row.width_px or 0) * (row.height_px or 0) * len(row.moments_ms)
    return pixels, (MEDIA / row.file).stat().st_size, row.file


def _pictures(file: str, video: Video, frames: Sequence[Frame]) -> list[RgbPicture]:
    """The very frames in full size: decoded from the start by ffmpeg, converted as our rules say."""
    kinds = {
        (frame.pix_fmt, frame.matrix, frame.full_range, frame.chroma_location, frame.interlaced)
        for frame in frames
    }
    if len(kinds) != 1:
        raise SystemExit(f"{file}: the frames are of different kinds: {kinds}")
    width, height = video.frames[0].square_size
    filters = [_conversion(frames[0], width, height)]
    if frames[0].interlaced:
        filters.insert(0, "estdif=mode=frame:parity=auto:deint=all")
    if file in READ_BY_PYAV:
        source, raw = _read_by_pyav(file, frames)
    else:
        decoder = ["-c:v", DECODER[file][0]] if file in DECODER else []
        source, raw = [*decoder, "-noautorotate", "-copyts", "-i", f"file:{MEDIA / file}"], None
        source += ["-map", f"0:{video.stream}"]
        filters.insert(0, "select='" + "+".join(f"eq(pts\\,{frame.pts})" for frame in frames) + "'")
    command = ["ffmpeg", "-nostdin", "-v", "fatal", "-threads", "1", *source, "-vf", ",".join(filters)]
    command += ["-vsync", "passthrough", "-frames:v", str(len(frames)), "-f", "rawvideo", "-"]
    rgba = np.frombuffer(subprocess.run(command, input=raw, capture_output=True, check=True).stdout, np.uint8)
    if rgba.size != len(frames) * height * width * 4:
        raise SystemExit(f"{file}: ffmpeg gave {rgba.size / (height * width * 4)} of {len(frames)} pictures")
    return [_upright(_over_black(one), video.turn) for one in rgba.reshape(len(frames), height, width, 4)]


def _conversion(frame: Frame, width: int, height: int) -> str:
    scale = f"scale={width}:{height}:flags={SCALE_FLAGS}:out_range=full"
    if not frame.is_rgb:
        matrix = frame.matrix or ("bt709" if frame.height >= 720 else "bt601")
        scale += f":in_color_matrix={matrix}:in_range={'full' if frame.full_range else 'limited'}"
        scale += CHROMA_POSITIONS[frame.chroma_location] if "420" in frame.pix_fmt else ""
    return f"{scale},format=rgba"


def _read_by_pyav(file: str, frames: Sequence[Frame]) -> tuple[list[str], bytes]:
    wanted = [frame.pts for frame in frames]
    raw = bytearray()
    with av.open(str(MEDIA / file)) as container:
        for frame in container.decode(video=0):
            if frame.pts in wanted:
                raw += frame.to_ndarray().tobytes()
    size = f"{frames[0].width}x{frames[0].height}"
    return ["-f", "rawvideo", "-pix_fmt", frames[0].pix_fmt, "-s", size, "-i", "pipe:0"], bytes(raw)


def _over_black(rgba: RgbPicture) -> RgbPicture:
    colour, alpha = rgba[..., :3].astype(np.uint32), rgba[..., 3:].astype(np.uint32)
    return ((colour * alpha + 127) // 255).astype(np.uint8)


def _upright(picture: RgbPicture, turn: int) -> RgbPicture:
    return np.ascontiguousarray(np.rot90(picture, turn // 90))


if __name__ == "__main__":
    main()
