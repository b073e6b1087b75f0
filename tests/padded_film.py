"""A film as large as one wants, of a few pictures that are encoded: filler makes them large, and they come again."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av

from stillframe.testing import videos


class Sizes(NamedTuple):
    """Bytes of a picture's data."""

    keyframe: int
    picture: int


class Pipe(io.RawIOBase):
    """Something that can only be written to from one end to the other: no cues are written then."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.data += data
        return len(data)


def film_in(container: str, segment: Path, *, fps: int, turns: int, sizes: Sizes) -> bytes:
    """A segment, so many times, in "ts", "flv", "mkv" or "mkv without cues"."""
    form = {"ts": "mpegts", "flv": "flv"}.get(container, "matroska")
    if container == "mkv without cues":
        pipe = Pipe()
        _write(segment, form, pipe, fps, turns, sizes)
        return bytes(pipe.data)
    memory = io.BytesIO()
    _write(segment, form, memory, fps, turns, sizes)
    return memory.getvalue()


def segment_of(folder: Path, *, frames: int, fps: int, gop: int) -> Path:
    """What a film is made of. MP4 says when each picture is decoded."""
    return videos.make(folder / "segment.mp4", frames=frames, fps=fps, gop=gop, bframes=2).path


def _write(segment: Path, form: str, target: io.IOBase, fps: int, turns: int, sizes: Sizes) -> None:
    with av.open(str(segment)) as source, av.open(target, "w", format=form) as output:
        video = source.streams.video[0]
        copy = output.add_stream_from_template(video, opaque=form != "mpegts")
        packets = [packet for packet in source.demux(video) if packet.size]
        ticks = round(Fraction(1, fps) / video.time_base)
        for turn in range(turns):
            for packet in packets:
                length = sizes.keyframe if packet.is_keyframe else sizes.picture
                written = av.Packet(_padded(bytes(packet), length))
                written.pts = packet.pts + turn * len(packets) * ticks
                written.dts = packet.dts + turn * len(packets) * ticks
                written.time_base = video.time_base
                written.is_keyframe = packet.is_keyframe
                written.stream = copy
                output.mux(written)


def _padded(data: bytes, length: int) -> bytes:
    """A picture's data with filler up to a length; decoders pass over it."""
    filler = b"\x0c" + b"\xff" * max(length - len(data) - 6, 1) + b"\x80"
    return data + len(filler).to_bytes(4, "big") + filler
