"""What containers do with time: late starts, wraps, edit lists, fragments, and indexes that are missing."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Literal

from stillframe.testing import boxes_edit
from stillframe.testing.videos.clip import Clip
from stillframe.testing.videos.encoding import make
from stillframe.testing.videos.facts import facts_of

__all__ = [
    "VFR_PTS_MS",
    "edit_list_cut",
    "edit_list_empty",
    "fragmented",
    "late_start",
    "mkv_without_cues",
    "moov_front",
    "negative_pts",
    "ts_wrap",
    "vfr",
    "webm_live",
    "with_audio",
]

VFR_PTS_MS = (0, 40, 50, 83, 333, 334, 700, 1000, 1001, 1040, 1500, 3000, 3020, 3040, 7000, 7033)
"""Times of the pictures of :func:`vfr`: bursts a millisecond apart, and gaps of seconds."""

_STBL = "moov/trak/mdia/minf/stbl"


def late_start(folder: Path, suffix: Literal["ts", "mp4", "mkv"] = "ts") -> Clip:
    """The first picture is at 1.4 s, as most transport streams have it."""
    return make(folder / f"late_start.{suffix}", first_pts_s=1.4, bframes=2)


def ts_wrap(folder: Path) -> Clip:
    """A transport stream whose 33-bit times run over one second after its start: 2^33/90000 s, then 0.

    libav calls the first second -1 to 0, so this is also a file with negative pts.
    """
    return make(folder / "ts_wrap.ts", first_pts_s=Fraction(2**33, 90_000) - 1, bframes=2)


def vfr(folder: Path, suffix: Literal["mp4", "mkv", "webm"] = "mp4") -> Clip:
    """A variable frame rate: see VFR_PTS_MS.

    In MP4 the headers say 3.13 s, though the last picture appears at 7.033 s: they count decoding times.
    """
    codec, bframes = ("libvpx-vp9", 0) if suffix == "webm" else ("libx264", 2)
    return make(folder / f"vfr.{suffix}", codec=codec, pts=VFR_PTS_MS, gop=6, bframes=bframes)


def mkv_without_cues(folder: Path) -> Clip:
    """Matroska as it comes out of a pipe: no cues, no duration, clusters of unknown size."""
    return make(folder / "mkv_without_cues.mkv", bframes=2, seekable=False)


def webm_live(folder: Path) -> Clip:
    """WebM as a live stream that was recorded: no duration, no cues."""
    return make(
        folder / "webm_live.webm", codec="libvpx-vp9", seekable=False, container_options={"live": "1"}
    )


def fragmented(folder: Path, *, sidx: bool = True, mfra: bool = True) -> Clip:
    """Fragmented MP4, a fragment for each GOP, with or without ``sidx`` in front and ``mfra`` at the end.

    It has no edit list, so that its first picture is not at 0 (the B-frames delay it).
    """
    flags = "frag_keyframe+empty_moov+default_base_moof"
    flags += ("+global_sidx" if sidx else "") + ("" if mfra else "+skip_trailer")
    name = "fragmented" + ("_sidx" if sidx else "") + ("_mfra" if mfra else "")
    return make(folder / f"{name}.mp4", bframes=2, container_options={"movflags": flags})


def moov_front(folder: Path) -> Clip:
    """MP4 with its index in front of the pictures."""
    return make(folder / "moov_front.mp4", bframes=2, container_options={"movflags": "faststart"})


def with_audio(folder: Path) -> Clip:
    """H.264 and AAC in MP4."""
    return make(folder / "with_audio.mp4", bframes=2, audio="aac")


def edit_list_cut(folder: Path, first_shown: int = 7) -> Clip:
    """MP4 whose edit list begins inside a GOP: what lies before ``first_shown`` is decoded and not shown."""
    whole = make(folder / "edit_list_cut.mp4", bframes=2)
    data = whole.path.read_bytes()
    # An entry: duration in the movie's time scale (movenc: 1000), media time in the track's, rate.
    duration_ms, media_time = struct.unpack(">Ii", boxes_edit.body(data, "moov/trak/edts/elst")[8:16])
    (media_scale,) = struct.unpack(">I", boxes_edit.body(data, "moov/trak/mdia/mdhd")[12:16])
    cut_ms = whole.time_ms_of(first_shown)
    edit = struct.pack(">Ii", duration_ms - round(cut_ms), media_time + round(cut_ms * media_scale / 1000))
    whole.path.write_bytes(boxes_edit.patch(data, "moov/trak/edts/elst", 8, edit))
    return facts_of(whole.path, whole.numbers[first_shown:], (whole.width_px, whole.height_px))


def edit_list_empty(folder: Path, empty_ms: int = 500) -> Clip:
    """MP4 whose edit list begins with nothing: the first picture is shown after ``empty_ms``."""
    whole = make(folder / "edit_list_empty.mp4", bframes=2)
    data = whole.path.read_bytes()
    edit = boxes_edit.body(data, "moov/trak/edts/elst")[8:20]
    empty = struct.pack(">IiI", empty_ms, -1, 0x10000)
    elst = boxes_edit.full_box("elst", struct.pack(">I", 2) + empty + edit)
    whole.path.write_bytes(boxes_edit.replace(data, "moov/trak/edts/elst", elst))
    return facts_of(whole.path, whole.numbers, (whole.width_px, whole.height_px))


def negative_pts(folder: Path, start_ms: int = -500) -> Clip:
    """MP4 whose pictures all have negative composition offsets: the first are shown before 0."""
    whole = make(folder / "negative_pts.mp4")
    data = boxes_edit.remove(whole.path.read_bytes(), "moov/trak/edts")
    (media_scale,) = struct.unpack(">I", boxes_edit.body(data, "moov/trak/mdia/mdhd")[12:16])
    # Composition offsets may be negative in version 1; one entry for all pictures.
    entry = struct.pack(">IIi", 1, len(whole.numbers), start_ms * media_scale // 1000)
    data = boxes_edit.insert(data, _STBL, boxes_edit.full_box("ctts", entry, version=1))
    whole.path.write_bytes(data)
    return facts_of(whole.path, whole.numbers, (whole.width_px, whole.height_px))
