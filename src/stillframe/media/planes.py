"""A decoded frame's planes as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame


def plane(frame: VideoFrame, index: int = 0) -> npt.NDArray[Any]:
    """One full-size plane as height x width, or height x width x channels where a plane holds all of them.

    A view, no copy: uint8, or uint16 for more than 8 bits (little-endian formats only).
    """
    form = frame.format
    kind = np.dtype(np.uint8 if max(part.bits for part in form.components) <= 8 else "<u2")
    rows = np.frombuffer(memoryview(frame.planes[index]), kind).reshape(frame.height, -1)
    if form.is_planar or len(form.components) == 1:
        return rows[:, : frame.width]
    channels = len(form.components)
    return rows[:, : frame.width * channels].reshape(frame.height, frame.width, channels)
