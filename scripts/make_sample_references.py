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
import json
import math
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

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

#: No picture can be made of these: the reason that `MediaError.reason` has to give, and why.
REFUSED = {
    "audio/bbb_1ch_48kHz_q10_opus.webm": ("audio-only", "Opus alone"),
    "audio/sample_audio_only.mp4": ("audio-only", "AAC alone"),
    "corrupt/AudioVideoInterleave.avi": ("no-picture", "a valid header and not one video packet"),
    "corrupt/bipbop_nonfragment_header.mp4": ("no-picture", "a header whose samples lie in another file"),
    "corrupt/block_ends_beyond_cluster.mkv": (
        "no-picture",
        "one predicted frame and no keyframe: decoders make flat grey with a few edges of it",
    ),
    "corrupt/invalid-codec.mp4": ("unknown-codec", "a codec tag that nobody knows"),
    "coverart/testMP3_coverArt.mp3": ("cover-only", "the only picture is an attached cover"),
    "coverart/testMP4_coverArt.m4a": ("cover-only", "the only picture is an attached cover"),
    "crafted-corrupt/jpeg-soi.mp4": ("not-video", "a JPEG header with another ending"),
    "crafted-corrupt/text.mp4": ("not-video", "text"),
    "crafted-corrupt/truncated-50pct-bottle.mp4": ("damaged", "the moov atom is in the lost half"),
    "crafted-corrupt/zero.mp4": ("empty", "0 bytes"),
    "crafted-security/playlist.mp4": ("playlist", "an HLS playlist that names a local file and a port"),
    "encrypted/sample_fragmented_clearkey.mp4": ("encrypted", "CENC; libav cannot even open it"),
    "encrypted/video_512x288_h264-360k_enc_dashinit.mp4": ("encrypted", "CENC; libav makes garbage of it"),
}

#: Which of two video streams is shown: libav's best stream (default disposition, then more frames and bits).
STREAM = {
    "fourk/mv_with_2_top_shots.mp4": (0, "stream 0, the film; stream 1 holds two larger photographs"),
    "multistream/nasa_13013.mp4": (3, "stream 3: both are default, this one is larger and longer"),
}

#: FFmpeg's own VP9 decoder drops the alpha plane.
DECODER = {"alpha/transparency.webm": ("libvpx-vp9", "straight alpha over black, by the decoder libvpx-vp9")}

#: FFmpeg 5.1 has no decoder for it, so PyAV's reads the frames; ffmpeg still converts them.
READ_BY_PYAV = {
    "unsupported/sample_vvc.mp4": "VVC: decoded by PyAV, converted by ffmpeg 5.1, which has no VVC"
}


@dataclass(frozen=True, slots=True)
class Damage:
    """Frames after `sound_until_pts` are not what was filmed; `missing_ms` was announced and lost."""

    sound_until_pts: int
    note: str
    missing_ms: int | None = None


DAMAGED = {
    "corrupt/corrupted.mp4": Damage(
        28672, "the frame at 30720 is lost; what refers to it differs by decoder"
    ),
    "crafted-corrupt/truncated-60pct-learn.mkv": Damage(1067, "ends at 1.07 s of 2.03 s", missing_ms=1800),
    "crafted-corrupt/truncated-90pct-counting.mp4": Damage(5320, "ends at 8.9 s of 9.83 s", missing_ms=9500),
    "mpeg2/sample_mpeg2.m2v": Damage(
        456422, "the last frame is cut; colour tags say GBR for YUV: as untagged"
    ),
}

NOTES = {
    "editlist/iibbibb_editlist_videoonly.mp4": "the keyframe before the edit list is decoded and not shown",
    "interlaced/Sony ILCE-7M3 (A7M3).mts": "two B-frames are shown before the first keyframe; deinterlaced",
    "resolution-change/400x300-red-resize-200x150-green.mp4": "later, smaller frames are scaled to the first",
    "rollover/360p30_h264_48k_160_aac_ts-0000000024.ts": "pts near the 33-bit rollover: negative",
    "ts/0.ts": "8-bit H.264 tagged HLG",
}

MATRICES = {
    "bt709": "bt709",
    "bt470bg": "bt601",
    "smpte170m": "bt601",
    "smpte240m": "smpte240m",
    "fcc": "fcc",
    "bt2020nc": "bt2020",
    "bt2020c": "bt2020",
}
#: where the colour samples of 4:2:0 lie, in 1/256 of a pixel; unlike newer ones, ffmpeg 5.1 must be told
CHROMA_POSITIONS = {
    "left": ":in_h_chr_pos=0:in_v_chr_pos=128",
    "center": ":in_h_chr_pos=128:in_v_chr_pos=128",
    "topleft": ":in_h_chr_pos=0:in_v_chr_pos=0",
    "unspecified": "",
}
HDR_TRANSFERS = ("smpte2084", "arib-std-b67")
SCALE_FLAGS = "bicubic+accurate_rnd+full_chroma_int"


@dataclass(frozen=True, slots=True)
class Frame:
    """One displayed frame, as ffprobe lists it."""

    pts: int
    has_own_pts: bool
    width: int
    height: int
    pix_fmt: str
    matrix: str | None
    full_range: bool
    chroma_location: str
    transfer: str | None
    pixel_aspect: Fraction
    interlaced: bool

    @property
    def is_rgb(self) -> bool:
        return "rgb" in self.pix_fmt or "bgr" in self.pix_fmt

    @property
    def square_size(self) -> tuple[int, int]:
        """Width and height with square pixels: the side that is too short is stretched."""
        aspect = self.pixel_aspect
        if aspect > 1:
            return math.floor(self.width * aspect + Fraction(1, 2)), self.height
        return self.width, math.floor(self.height / aspect + Fraction(1, 2))


@dataclass(frozen=True, slots=True)
class Video:
    """The video stream that is shown: its displayed frames in order."""

    stream: int
    time_base: Fraction
    #: degrees counter-clockwise, as in FFmpeg's display matrix
    turn: int
    frames: tuple[Frame, ...]

    def shown_at(self, time_ms: int) -> Frame:
        """The rule of exactness, in whole numbers."""
        latest = self.frames[0].pts + Fraction(time_ms, 1000) / self.time_base
        return max((frame for frame in self.frames if frame.pts <= latest), key=lambda frame: frame.pts)

    def start_ms(self, frame: Frame) -> int:
        """The first whole millisecond at which this frame is on screen."""
        return math.ceil((frame.pts - self.frames[0].pts) * self.time_base * 1000)


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
        print(
            row.file, row.outcome, row.reason or row.comparison, row.moments_ms, row.expected_pts, flush=True
        )
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
    video = _probe(file)
    first, last = video.frames[0], video.frames[-1]
    damage = DAMAGED.get(file)
    chosen = _choose(video, damage.sound_until_pts if damage else last.pts)
    width, height = first.square_size if video.turn % 180 == 0 else first.square_size[::-1]
    moments = [(ms, video.shown_at(ms)) for ms in chosen]
    comparison = "pixels"
    if first.transfer in HDR_TRANSFERS:
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
        last_ms=None if damage else max(1, video.start_ms(last)),
        last_pts=None if damage else last.pts,
        missing_ms=damage.missing_ms if damage else None,
        width_px=width,
        height_px=height,
        comparison=comparison,
        runs_by_default=False,
        note="; ".join(_notes(file)),
    )
    if row.compares_pixels:
        for ms, picture in zip(row.moments_ms, pictures, strict=True):
            if picture.shape != (height, width, 3):
                raise SystemExit(f"{file}: {picture.shape} is not {height} x {width}")
            Image.fromarray(reduce(picture)).save(row.reference(ms), optimize=True)
    return row


def _notes(file: str) -> Iterator[str]:
    if file in STREAM:
        yield STREAM[file][1]
    if file in DECODER:
        yield DECODER[file][1]
    if file in READ_BY_PYAV:
        yield READ_BY_PYAV[file]
    if file in DAMAGED:
        yield DAMAGED[file].note
    if file in NOTES:
        yield NOTES[file]


def _choose(video: Video, sound_until_pts: int) -> list[int]:
    """The first frame, one around 40 % just when it appears, one around 85 % amid its time."""
    sound = [frame for frame in video.frames if frame.pts <= sound_until_pts]
    times = [0]
    early = _frame_near(sound, 0.40)
    times.append(video.start_ms(early))
    late = _frame_near(sound, 0.85)
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


def _probe(file: str) -> Video:
    if file in READ_BY_PYAV:
        return _probe_packets(file)
    wanted = (
        "stream=index,time_base:stream_disposition=attached_pic:stream_side_data=displaymatrix,rotation:"
        "frame=pts,best_effort_timestamp,width,height,pix_fmt,color_space,color_range,"
        "color_transfer,chroma_location,sample_aspect_ratio,interlaced_frame"
    )
    found = _ffprobe(
        file, "-select_streams", _stream(file), "-show_streams", "-show_frames", "-show_entries", wanted
    )
    stream = found["streams"][0]
    # A cut last frame may have no time at all; no moment is chosen there.
    frames = tuple(_frame(frame) for frame in found["frames"] if "best_effort_timestamp" in frame)
    if not frames or len({frame.pts for frame in frames}) != len(frames):
        raise SystemExit(f"{file}: the frames' pts are no order of display")
    return Video(stream["index"], Fraction(stream["time_base"]), _turn(stream), frames)


def _stream(file: str) -> str:
    return str(STREAM[file][0]) if file in STREAM else "v:0"


def _frame(frame: dict[str, Any]) -> Frame:
    own_pts = frame.get("pts")
    aspect = Fraction(frame.get("sample_aspect_ratio", "1:1").replace(":", "/"))
    return Frame(
        pts=int(frame["best_effort_timestamp"] if own_pts is None else own_pts),
        has_own_pts=own_pts is not None,
        width=int(frame["width"]),
        height=int(frame["height"]),
        pix_fmt=frame["pix_fmt"],
        matrix=MATRICES.get(frame.get("color_space", "")),
        full_range=frame.get("color_range") == "pc" or frame["pix_fmt"].startswith("yuvj"),
        chroma_location=frame.get("chroma_location", "unspecified"),
        transfer=frame.get("color_transfer"),
        pixel_aspect=aspect or Fraction(1),
        interlaced=bool(int(frame["interlaced_frame"])),
    )


def _turn(stream: dict[str, Any]) -> int:
    for side_data in stream.get("side_data_list", []):
        if "rotation" in side_data:
            first, second = side_data["displaymatrix"].strip().splitlines()[:2]
            (a, b), (c, d) = ([int(number) for number in line.split()[1:3]] for line in (first, second))
            if a * d - b * c <= 0:
                raise SystemExit("a mirrored picture: no sample had one when this was written")
            return int(side_data["rotation"])
    return 0


def _probe_packets(file: str) -> Video:
    """The displayed pts of a codec that ffprobe cannot decode: those of its packets, in order."""
    found = _ffprobe(file, "-select_streams", "v:0", "-show_streams", "-show_packets")
    stream = found["streams"][0]
    times = sorted(packet["pts"] for packet in found["packets"] if "D" not in packet["flags"])
    like_all = {"width": stream["width"], "height": stream["height"], "pix_fmt": "yuv420p10le"}
    frames = tuple(_frame({"pts": pts, "interlaced_frame": 0, **like_all}) for pts in times)
    return Video(stream["index"], Fraction(stream["time_base"]), 0, frames)


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


def _ffprobe(file: str, *arguments: str) -> dict[str, Any]:
    command = ["ffprobe", "-v", "fatal", "-threads", "1", *arguments, "-of", "json", f"file:{MEDIA / file}"]
    listing: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return listing


if __name__ == "__main__":
    main()
