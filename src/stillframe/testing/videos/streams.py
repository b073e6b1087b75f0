"""Files with something else than one video track: sound alone, a cover picture, two videos."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from stillframe.testing import barcode, boxes_edit
from stillframe.testing.videos.clip import Clip
from stillframe.testing.videos.encoding import make
from stillframe.testing.videos.facts import facts_of
from stillframe.testing.videos.remux import side_by_side
from stillframe.testing.videos.tone import add_tone, encode_tone

__all__ = ["COVER_NUMBER", "audio_only", "cover_first", "cover_only", "jpeg", "two_videos"]

COVER_NUMBER = 16_000
"""The number on cover pictures, which no moment of a video has."""


def audio_only(folder: Path, suffix: Literal["m4a", "mp4", "mp3", "wav", "mkv"] = "m4a") -> Clip:
    """Two seconds of sound and no video."""
    path = folder / f"audio_only.{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = {"mp3": "libmp3lame", "wav": "pcm_s16le"}.get(suffix, "aac")
    container_format = {"m4a": "ipod", "mkv": "matroska"}.get(suffix, suffix)
    with av.open(str(path), "w", format=container_format) as container:
        stream = add_tone(container, codec)
        encode_tone(container, stream, Fraction(0), Fraction(2))
    return Clip(path)


def cover_only(folder: Path) -> Clip:
    """Sound with a cover picture, as music is sold; to libav the cover is a video stream of one picture."""
    clip = replace(audio_only(folder), path=folder / "cover_only.m4a")
    data = (folder / "audio_only.m4a").read_bytes()
    (folder / "audio_only.m4a").unlink()
    clip.path.write_bytes(_with_cover(boxes_edit.remove(data, "moov/udta")))
    return clip


def cover_first(folder: Path, suffix: Literal["mp4", "mkv"] = "mp4") -> Clip:
    """A video with a cover picture. In MP4 the cover comes first, so that libav's stream 0 is the cover."""
    clip = make(folder / f"cover_first.{suffix}", bframes=2, audio="aac")
    if suffix == "mp4":
        data = boxes_edit.remove(clip.path.read_bytes(), "moov/udta")
        clip.path.write_bytes(_with_cover(data))
        return facts_of(clip.path, clip.numbers, (clip.width_px, clip.height_px), stream_index=1)
    bare = clip.path.rename(folder / "without_cover.mkv")
    with av.open(str(clip.path), "w") as target, av.open(str(bare)) as source:
        target.add_attachment("cover.jpg", "image/jpeg", jpeg(COVER_NUMBER))
        pairs = {stream: target.add_stream_from_template(stream, opaque=True) for stream in source.streams}
        for packet in source.demux():
            if packet.size:
                packet.stream = pairs[packet.stream]
                target.mux(packet)
    bare.unlink()
    return clip


def two_videos(folder: Path) -> Clip:
    """MP4 with two video tracks; the second is larger and counts from 1000. The clip is about the first."""
    first = make(folder / "first.mp4", bframes=2)
    second = make(folder / "second.mp4", width=256, height=144, first_number=1000, bframes=2)
    return side_by_side(folder / "two_videos.mp4", (first, second))


def jpeg(number: int, width: int = 192, height: int = 108) -> bytes:
    """A JPEG picture with a number."""
    context = av.CodecContext.create("mjpeg", "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt, context.time_base = (
        width,
        height,
        "yuvj420p",
        Fraction(1, 25),
    )
    rgb = np.ascontiguousarray(barcode.draw(number, width, height))
    frame = VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuvj420p")
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


def _with_cover(data: bytes) -> bytes:
    """The cover as iTunes stores it, before the tracks."""
    picture = boxes_edit.full_box("data", bytes(4) + jpeg(COVER_NUMBER), flags=13)
    handler = boxes_edit.full_box("hdlr", bytes(4) + b"mdirappl" + bytes(9))
    items = boxes_edit.box("ilst", boxes_edit.box("covr", picture))
    metadata = boxes_edit.box("udta", boxes_edit.full_box("meta", handler + items))
    return boxes_edit.insert(data, "moov", metadata, before="trak")
