"""A decoded frame's planes as arrays, for what needs NumPy's arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame


def plane(frame: VideoFrame, index: int = 0) -> npt.NDArray[Any]:
    """One full-size plane of a planar frame as height x width.

    A view, no copy: uint8, or uint16 for more than 8 bits (little-endian formats only).
    """
    kind = np.dtype(np.uint8 if frame.format.components[0].bits <= 8 else "<u2")
    rows = np.frombuffer(memoryview(frame.planes[index]), kind).reshape(frame.height, -1)
    return rows[:, : frame.width]


def share_below(frame: VideoFrame, limit: float) -> float:
    """The share (0 to 1) of the first plane's samples that are below a limit."""
    return float(np.mean(plane(frame) < limit))
