"""One small video for each codec, with the GOPs it is known for; 50 pictures, 25 per second, if not said."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from stillframe.testing.videos.clip import Clip
from stillframe.testing.videos.encoding import make

__all__ = [
    "av1_mp4",
    "ffv1_mkv",
    "gif",
    "h264_flv",
    "h264_one_keyframe",
    "h264_open_gop",
    "h264_pyramid",
    "hevc_open_gop",
    "mjpeg_mov",
    "mpeg2_ps",
    "mpeg2_ts",
    "mpeg4_avi",
    "prores_mov",
    "vp8_webm",
    "vp9_webm",
]


def h264_pyramid(folder: Path) -> Clip:
    """H.264 in MP4 with a pyramid of three B-frames, one of them a reference; closed GOPs of 12."""
    return make(folder / "h264_pyramid.mp4", bframes=3)


def h264_open_gop(folder: Path, suffix: Literal["mp4", "ts", "mkv"] = "mp4") -> Clip:
    """H.264 whose keyframes are recovery points: some pictures behind one in the file are shown before it."""
    return make(folder / f"h264_open_gop.{suffix}", bframes=2, open_gop=True)


def h264_one_keyframe(folder: Path) -> Clip:
    """H.264 in MP4 with a keyframe at the start and no other."""
    return make(folder / "h264_one_keyframe.mp4", gop=1000, bframes=2)


def hevc_open_gop(folder: Path, suffix: Literal["mp4", "mkv", "ts"] = "mp4") -> Clip:
    """HEVC whose later keyframes are CRA, followed by RASL: pictures that a seek to the CRA loses."""
    return make(folder / f"hevc_open_gop.{suffix}", codec="libx265", bframes=2, open_gop=True)


def vp8_webm(folder: Path) -> Clip:
    """VP8 in WebM."""
    return make(folder / "vp8.webm", codec="libvpx")


def vp9_webm(folder: Path) -> Clip:
    """VP9 in WebM."""
    return make(folder / "vp9.webm", codec="libvpx-vp9")


def av1_mp4(folder: Path) -> Clip:
    """AV1 in MP4, with pictures that are decoded long before they are shown (several in one packet)."""
    return make(folder / "av1.mp4", codec="libsvtav1")


def mpeg2_ts(folder: Path) -> Clip:
    """MPEG-2 in a transport stream, two B-frames, open GOPs."""
    return make(folder / "mpeg2.ts", codec="mpeg2video", bframes=2, open_gop=True)


def mpeg2_ps(folder: Path) -> Clip:
    """MPEG-2 in a program stream, two B-frames, closed GOPs; the first picture is not at 0."""
    return make(folder / "mpeg2.mpg", codec="mpeg2video", bframes=2)


def mpeg4_avi(folder: Path) -> Clip:
    """MPEG-4 part 2 in AVI."""
    return make(folder / "mpeg4.avi", codec="mpeg4")


def h264_flv(folder: Path) -> Clip:
    """H.264 with B-frames in FLV, times in milliseconds."""
    return make(folder / "h264.flv", bframes=2)


def mjpeg_mov(folder: Path) -> Clip:
    """JPEG pictures in MOV, each a keyframe."""
    return make(folder / "mjpeg.mov", codec="mjpeg", pix_fmt="yuvj420p")


def prores_mov(folder: Path) -> Clip:
    """ProRes 4:2:2 in 10 bits in MOV, each picture a keyframe."""
    return make(folder / "prores.mov", codec="prores_ks", pix_fmt="yuv422p10le")


def ffv1_mkv(folder: Path) -> Clip:
    """FFV1 in Matroska, lossless."""
    return make(folder / "ffv1.mkv", codec="ffv1")


def gif(folder: Path) -> Clip:
    """An animated GIF, ten pictures at 10 per second, of which libav marks only the first as a keyframe."""
    return make(folder / "animated.gif", codec="gif", pix_fmt="rgb8", frames=10, fps=10)
