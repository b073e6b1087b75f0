"""The frames that a sample video displays, in order, as ffprobe lists them: the clock of the references."""

from __future__ import annotations

import json
import math
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

_MATRICES = {
    "bt709": "bt709",
    "bt470bg": "bt601",
    "smpte170m": "bt601",
    "smpte240m": "smpte240m",
    "fcc": "fcc",
    "bt2020nc": "bt2020",
    "bt2020c": "bt2020",
}


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
    def is_hdr(self) -> bool:
        return self.transfer in ("smpte2084", "arib-std-b67")

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


def list_frames(video: Path, stream: str) -> Video:
    """Decode a whole video stream (`v:0`, or its number) and list what it displays."""
    wanted = (
        "stream=index,time_base:stream_side_data=displaymatrix,rotation:"
        "frame=pts,best_effort_timestamp,width,height,pix_fmt,color_space,color_range,"
        "color_transfer,chroma_location,sample_aspect_ratio,interlaced_frame"
    )
    found = _ffprobe(video, stream, "-show_frames", "-show_entries", wanted)
    # A cut last frame may have no time at all; no moment is chosen there.
    frames = tuple(_frame(frame) for frame in found["frames"] if "best_effort_timestamp" in frame)
    if not frames or len({frame.pts for frame in frames}) != len(frames):
        raise SystemExit(f"{video}: the frames' pts are no order of display")
    return _video(found["streams"][0], frames)


def list_packets(video: Path, stream: str, pix_fmt: str) -> Video:
    """The same for a codec that ffprobe cannot decode: the displayed pts are those of its packets, in order."""
    found = _ffprobe(video, stream, "-show_packets")
    shown = sorted(packet["pts"] for packet in found["packets"] if "D" not in packet["flags"])
    like_all = {"pix_fmt": pix_fmt, "interlaced_frame": 0}
    like_all |= {key: found["streams"][0][key] for key in ("width", "height")}
    return _video(found["streams"][0], tuple(_frame({"pts": pts, **like_all}) for pts in shown))


def _video(stream: dict[str, Any], frames: tuple[Frame, ...]) -> Video:
    return Video(stream["index"], Fraction(stream["time_base"]), _turn(stream), frames)


def _frame(frame: dict[str, Any]) -> Frame:
    own_pts = frame.get("pts")
    aspect = Fraction(frame.get("sample_aspect_ratio", "1:1").replace(":", "/"))
    return Frame(
        pts=int(frame["best_effort_timestamp"] if own_pts is None else own_pts),
        has_own_pts=own_pts is not None,
        width=int(frame["width"]),
        height=int(frame["height"]),
        pix_fmt=frame["pix_fmt"],
        matrix=_MATRICES.get(frame.get("color_space", "")),
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


def _ffprobe(video: Path, stream: str, *arguments: str) -> dict[str, Any]:
    command = ["ffprobe", "-v", "fatal", "-threads", "1", "-select_streams", stream, "-show_streams"]
    command += [*arguments, "-of", "json", f"file:{video}"]
    listing: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return listing
