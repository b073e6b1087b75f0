"""Which way up a picture is: the display matrix as one of eight turns and flips.

Source: ISO/IEC 14496-12, track header matrix; libav's display.h for its layout in side data.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from av.video.frame import VideoFrame

from stillframe.media.side_data import side_data


class Orientation(NamedTuple):
    """How to put a coded picture upright: transpose first (swap x and y), then flip."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @property
    def rotation(self) -> int:
        """Degrees clockwise that the picture must be turned by: 0, 90, 180 or 270."""
        if self.transpose:
            return 270 if self.flip_y else 90
        return 180 if self.flip_y else 0

    @property
    def mirrored(self) -> bool:
        """Whether the picture is also flipped left to right, after the turn."""
        return self.transpose ^ self.flip_x ^ self.flip_y


def orientation_of(frame: VideoFrame) -> Orientation:
    """The orientation that a decoded frame's display matrix asks for, to the nearest quarter turn."""
    data = side_data(frame).get("DISPLAYMATRIX", b"")
    if len(data) < 36:
        return Orientation()
    matrix = struct.unpack_from("=9i", data)
    return from_matrix(matrix[0], matrix[1], matrix[3], matrix[4])


def from_matrix(a: int, b: int, c: int, d: int) -> Orientation:
    """The orientation of x' = a x + c y, y' = b x + d y (y downwards), to the nearest quarter turn."""
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(transpose=True, flip_x=c < 0, flip_y=b < 0)
    return Orientation(transpose=False, flip_x=a < 0, flip_y=d < 0)
