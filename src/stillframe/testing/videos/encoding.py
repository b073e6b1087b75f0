"""``make``: encode numbered pictures into a small video file of nearly any kind."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, Literal, cast

import av
import numpy as np
import numpy.typing as npt
from av.container import OutputContainer
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stillframe.testing import barcode
from stillframe.testing.videos.clip import Clip
from stillframe.testing.videos.codec_options import options_for
from stillframe.testing.videos.colours import UNTAGGED_BT601, Colour
from stillframe.testing.videos.facts import facts_of
from stillframe.testing.videos.tone import add_tone, encode_tone

__all__ = ["make"]

Picture = npt.NDArray[Any]

_FORMATS = {
    ".mkv": "matroska",
    ".ts": "mpegts",
    ".mpg": "vob",
    ".m4a": "ipod",
    ".m4v": "mp4",
}


def make(
    path: Path,
    *,
    codec: str = "libx264",
    frames: int = 50,
    fps: Fraction | int = 25,
    width: int = 192,
    height: int = 108,
    gop: int = 12,
    bframes: int = 0,
    open_gop: bool = False,
    pix_fmt: str = "yuv420p",
    pts: Sequence[int] | None = None,
    first_pts_s: Fraction | float = 0,
    first_number: int = 0,
    sar: Fraction | int = 1,
    rotation: int = 0,
    mirrored: bool = False,
    field_order: Literal["tff", "bff"] | None = None,
    colour: Colour = UNTAGGED_BT601,
    draw: Callable[[int, int, int], Picture] = barcode.draw,
    audio: str | None = None,
    codec_options: Mapping[str, str] | None = None,
    container_format: str | None = None,
    container_options: Mapping[str, str] | None = None,
    seekable: bool = True,
) -> Clip:
    """Write a video of numbered pictures, from ``first_number`` on; return what is known about it.

    The container follows from the suffix, or from ``container_format`` (libav's name). ``pts`` gives each
    picture's time in milliseconds (a variable frame rate) instead of ``frames`` and ``fps``; ``first_pts_s``
    moves all of them. ``width`` and ``height`` are those of the coded picture. ``rotation`` (clockwise
    degrees, a multiple of 90) and ``mirrored`` (left to right, before the rotation) are what a player has to
    do: the pictures are stored the other way round, so that only a player that obeys shows upright numbers.
    With ``field_order`` the second field of picture n already shows n + 1, and only a deinterlaced picture is
    readable. ``draw(number, width_px, height_px)`` returns RGB, RGBA, or any array that
    ``VideoFrame.from_ndarray`` takes for ``pix_fmt``. ``audio`` adds a tone in the codec named.
    ``codec_options`` and ``container_options`` are libav's (``x265-params`` and its kin add to ours).
    ``seekable=False`` writes as if into a pipe: nothing can be patched in later.

    Raises av.FFmpegError when libav cannot write this, and ValueError for a rotation that is no quarter turn.
    """
    if rotation % 90:
        raise ValueError(f"rotation is {rotation}, must be a multiple of 90 degrees")
    offset_s = Fraction(first_pts_s).limit_denominator(90_000)
    if pts is not None:
        times_s = [offset_s + Fraction(ms, 1000) for ms in pts]
    else:
        times_s = [offset_s + index / Fraction(fps) for index in range(frames)]
    time_base = _time_base(times_s, Fraction(fps))
    sideways = rotation % 180 == 90
    numbers = range(first_number, first_number + len(times_s))

    if codec == "libsvtav1":
        # It writes a page about itself to stderr otherwise, and libav gives no other way to stop that.
        os.environ.setdefault("SVT_LOG", "1")
    options = options_for(codec, gop=gop, bframes=bframes, open_gop=open_gop, field_order=field_order)
    for key, value in (codec_options or {}).items():
        options[key] = f"{options[key]}:{value}" if key.endswith("-params") and key in options else value
    with (
        _ordinary_scheduling(),
        _open(path, container_format, dict(container_options or {}), seekable) as container,
    ):
        stream = cast(VideoStream, container.add_stream(codec, rate=Fraction(fps), options=options))
        context = stream.codec_context
        context.width, context.height, context.pix_fmt, context.time_base = width, height, pix_fmt, time_base
        context.sample_aspect_ratio = Fraction(sar)
        if codec == "libx265" and path.suffix in (".mp4", ".mov"):
            context.codec_tag = "hvc1"
        colour.tag(context)
        if rotation or mirrored:
            stream.set_display_matrix(_display_matrix(rotation, mirrored, width, height))
        convert = colour.converter(pix_fmt)
        tone = add_tone(container, audio) if audio else None
        fields = _FieldMarker(field_order) if field_order else None
        for number, time_s in zip(numbers, times_s, strict=True):
            size = (height, width) if sideways else (width, height)
            picture = _woven(draw, number, *size, field_order) if field_order else draw(number, *size)
            frame = convert(_laid_down(picture, rotation, mirrored))
            frame.pts, frame.time_base = round(time_s / time_base), time_base
            container.mux(stream.encode(fields.marked(frame) if fields else frame))
        container.mux(stream.encode(None))
        if tone:
            encode_tone(container, tone, times_s[0], times_s[-1] + 1 / Fraction(fps))
    shown = (width * Fraction(sar), height) if sar >= 1 else (width, height / Fraction(sar))
    shown_px = round(shown[0]), round(shown[1])
    return facts_of(path, numbers, shown_px[::-1] if sideways else shown_px)


@contextmanager
def _ordinary_scheduling() -> Iterator[None]:
    """Take back what SVT-AV1 does as root: it makes the thread that calls it a real-time one, above all others."""
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != policy:
            os.sched_setscheduler(0, policy, parameters)


@contextmanager
def _open(
    path: Path, container_format: str | None, options: dict[str, str], seekable: bool
) -> Iterator[OutputContainer]:
    path.parent.mkdir(parents=True, exist_ok=True)
    name = container_format or _FORMATS.get(path.suffix, path.suffix[1:])
    if seekable:
        # By its name, since libav opens the file once more to move an index to the front.
        with av.open(str(path), "w", format=name, options=options) as container:
            yield container
    else:
        with path.open("wb") as file, av.open(_Pipe(file), "w", format=name, options=options) as container:
            yield container


def _time_base(times_s: Sequence[Fraction], fps: Fraction) -> Fraction:
    """The coarsest of the usual time bases in which every time is a whole number."""
    for candidate in (1 / fps, Fraction(1, 1000)):
        if all((time_s / candidate).denominator == 1 for time_s in times_s):
            return candidate
    return Fraction(1, 90_000)


def _laid_down(upright: Picture, rotation: int, mirrored: bool) -> Picture:
    """What must be stored so that mirroring and then turning it clockwise gives ``upright``."""
    stored = np.rot90(upright, rotation // 90)
    return np.ascontiguousarray(stored[:, ::-1] if mirrored else stored)


def _display_matrix(rotation: int, mirrored: bool, width: int, height: int) -> list[int]:
    """The matrix of ISO 14496-12, 8.3.2.3: 16.16 fixed point, the last column 2.30.

    It maps a stored point (p, q) to (a p + c q + x, b p + d q + y); x and y move the result back into the
    picture.
    """
    a, b, c, d = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[rotation % 360]
    if mirrored:
        a, b = -a, -b
    x = -min(0, a * width, c * height)
    y = -min(0, b * width, d * height)
    return [a << 16, b << 16, 0, c << 16, d << 16, 0, x << 16, y << 16, 1 << 30]


def _woven(
    draw: Callable[[int, int, int], Picture],
    number: int,
    width: int,
    height: int,
    field_order: Literal["tff", "bff"],
) -> Picture:
    """Two pictures in one: the rows of this one in the first field, those of the next one in the second.

    So every row that is combed also changes from frame to frame. Were it to stand still, a deinterlacer that
    watches motion would rightly take the comb for a fine pattern, and leave it.
    """
    woven = draw(number, width, height)
    second_field = slice(1, None, 2) if field_order == "tff" else slice(0, None, 2)
    woven[second_field] = draw(number + 1, width, height)[second_field]
    return woven


class _FieldMarker:
    """Marks frames as interlaced, which encoders want to know; PyAV can only do it by a filter."""

    def __init__(self, field_order: Literal["tff", "bff"]) -> None:
        self._field_order = field_order
        self._graph: Graph | None = None

    def marked(self, frame: VideoFrame) -> VideoFrame:
        if self._graph is None:
            self._graph = Graph()
            source = self._graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
            )
            self._graph.link_nodes(
                source, self._graph.add("setfield", self._field_order), self._graph.add("buffersink")
            )
            self._graph.configure()
        self._graph.vpush(frame)
        return self._graph.vpull()


class _Pipe:
    """A file that can be written and nothing else, so libav can never go back."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        return self._file.write(data)
