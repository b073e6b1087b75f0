"""A picture: Pillow's image in RGB, 0 to 255; and how a converted frame becomes one.

Pillow is imported in a quarter of NumPy's time, and encodes JPEG with the same libjpeg-turbo; so NumPy is imported
only where a picture needs its arithmetic (HDR, deep black frames).
"""

from __future__ import annotations

from typing import Literal, TypeAlias, cast

from av.video.frame import VideoFrame
from PIL import Image

Picture: TypeAlias = Image.Image


def picture_of(frame: VideoFrame, mode: Literal["RGB", "RGBA", "L"], *, plane: int = 0) -> Picture:
    """A full-size 8-bit plane of a frame as an image. One byte a pixel, or four, is a view and no copy."""
    rows = frame.planes[plane]
    size = (frame.width, frame.height)
    # Pillow takes any buffer; its types name only some
    view = cast(bytearray, memoryview(rows))
    return Image.frombuffer(mode, size, view, "raw", mode, rows.line_size, 1)
