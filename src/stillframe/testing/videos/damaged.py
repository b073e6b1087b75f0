"""Files that are broken or that lie. Each comes from a good file, by an edit that is the same every time."""

from __future__ import annotations

import random
import struct
from bisect import bisect_left
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av

from stillframe.testing import boxes_edit
from stillframe.testing.videos.clip import Clip
from stillframe.testing.videos.colours import UNTAGGED_BT709
from stillframe.testing.videos.encoding import make

__all__ = [
    "bit_flipped",
    "claims_ten_hours",
    "dolby_vision_5",
    "moov_missing",
    "truncated",
    "zero_size",
    "zero_size_header",
]

_TEN_HOURS_S = 36_000
# Where width and height lie in a VisualSampleEntry, and in a tkhd of version 0.
_ENTRY_SIZE_AT, _TKHD_SIZE_AT = 24, 76


def truncated(folder: Path, share: float = 0.6, suffix: Literal["mp4", "mkv", "ts"] = "mp4") -> Clip:
    """The first ``share`` of a file whose index, in front, still announces all 50 pictures.

    What is returned is about the pictures from the first on that are still whole, and ends before the first
    lost one; its duration is still that of the whole.
    """
    front = {"movflags": "faststart"} if suffix == "mp4" else {}
    clip = make(folder / f"truncated.{suffix}", bframes=2, container_options=front)
    data = clip.path.read_bytes()
    keep = int(len(data) * share)
    with av.open(str(clip.path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.pts is not None]
    # A transport stream scatters a packet's bytes; the start of the next one is an end that always fits.
    ends = [*(packet.pos or 0 for packet in packets[1:]), len(data)]
    lost_s = [
        Fraction((packet.pts or 0) * packet.time_base)
        for packet, end in zip(packets, ends, strict=True)
        if end > keep
    ]
    clip.path.write_bytes(data[:keep])
    left = bisect_left(clip.pts_s, min(lost_s))
    keyframes = tuple(number for number in clip.keyframe_numbers if number in clip.numbers[:left])
    return replace(clip, numbers=clip.numbers[:left], pts_s=clip.pts_s[:left], keyframe_numbers=keyframes)


def moov_missing(folder: Path) -> Clip:
    """MP4 that was never finished: the pictures are there, the index is not. Nothing can be read from it."""
    clip = make(folder / "moov_missing.mp4")
    data = clip.path.read_bytes()
    clip.path.write_bytes(data[: boxes_edit.find(data, "moov").start])
    return Clip(clip.path)


def bit_flipped(folder: Path, flips: int = 40, seed: int = 1) -> Clip:
    """MP4 with ``flips`` flipped bits in its pictures, all after the first GOP; times and index are whole.

    The numbers up to the second keyframe are unhurt. Behind it pictures are grey or smeared, or show an older
    number again, unharmed: that is how a decoder conceals what it lost.
    """
    clip = make(folder / "bit_flipped.mp4", bframes=2)
    data = bytearray(clip.path.read_bytes())
    with av.open(str(clip.path)) as container:
        keys = [
            packet.pos for packet in container.demux(video=0) if packet.is_keyframe and packet.pos is not None
        ]
    chance = random.Random(seed)
    for _ in range(flips):
        data[chance.randrange(keys[1], boxes_edit.find(bytes(data), "mdat").end)] ^= 1 << chance.randrange(8)
    clip.path.write_bytes(data)
    return clip


def claims_ten_hours(folder: Path, suffix: Literal["mp4", "mkv"] = "mp4") -> Clip:
    """Two seconds of video in a file whose headers promise ten hours; libav believes it of Matroska only."""
    clip = make(folder / f"claims_ten_hours.{suffix}", bframes=2)
    data = clip.path.read_bytes()
    if suffix == "mkv":
        # Duration (4489) of eight bytes (88), a float in milliseconds.
        at = data.index(b"\x44\x89\x88") + 3
        clip.path.write_bytes(data[:at] + struct.pack(">d", _TEN_HOURS_S * 1000) + data[at + 8 :])
        return clip
    (movie_scale,) = struct.unpack(">I", boxes_edit.body(data, "moov/mvhd")[12:16])
    (media_scale,) = struct.unpack(">I", boxes_edit.body(data, "moov/trak/mdia/mdhd")[12:16])
    data = boxes_edit.patch(data, "moov/mvhd", 16, struct.pack(">I", _TEN_HOURS_S * movie_scale))
    data = boxes_edit.patch(data, "moov/trak/tkhd", 20, struct.pack(">I", _TEN_HOURS_S * movie_scale))
    data = boxes_edit.patch(data, "moov/trak/mdia/mdhd", 16, struct.pack(">I", _TEN_HOURS_S * media_scale))
    data = boxes_edit.patch(data, "moov/trak/edts/elst", 8, struct.pack(">I", _TEN_HOURS_S * movie_scale))
    clip.path.write_bytes(data)
    return clip


def zero_size(folder: Path) -> Clip:
    """MOV with uncompressed pictures of 0x0, which cannot be decoded: the size stands nowhere else."""
    clip = make(folder / "zero_size.mov", codec="rawvideo", pix_fmt="rgb24", frames=5, width=64, height=36)
    _write_size(clip.path, "raw ", 0, 0)
    return Clip(clip.path)


def zero_size_header(folder: Path) -> Clip:
    """MP4 that says 0x0 in its boxes, and holds H.264 that knows its own size: it can be played."""
    clip = make(folder / "zero_size_header.mp4")
    _write_size(clip.path, "avc1", 0, 0)
    return clip


def dolby_vision_5(folder: Path) -> Clip:
    """HEVC in 10 bits, untagged, with a ``dvcC`` box: Dolby Vision profile 5, colours nobody can tell."""
    clip = make(
        folder / "dolby_vision_5.mp4",
        codec="libx265",
        frames=25,
        pix_fmt="yuv420p10le",
        colour=UNTAGGED_BT709.full(),
    )
    # Version 1.0; profile in 7 bits, level in 6, then rpu, el, bl present; compatible with nothing (0).
    profile, level = 5, 1
    record = struct.pack(">BBHB", 1, 0, profile << 9 | level << 3 | 0b101, 0) + bytes(19)
    entry = "moov/trak/mdia/minf/stbl/stsd/hvc1"
    clip.path.write_bytes(boxes_edit.insert(clip.path.read_bytes(), entry, boxes_edit.box("dvcC", record)))
    return clip


def _write_size(path: Path, entry: str, width: int, height: int) -> None:
    data = path.read_bytes()
    stsd = f"moov/trak/mdia/minf/stbl/stsd/{entry}"
    data = boxes_edit.patch(data, stsd, _ENTRY_SIZE_AT, struct.pack(">HH", width, height))
    data = boxes_edit.patch(
        data, "moov/trak/tkhd", _TKHD_SIZE_AT, struct.pack(">II", width << 16, height << 16)
    )
    path.write_bytes(data)
