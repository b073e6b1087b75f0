"""A decoded frame's side data as bytes."""

from __future__ import annotations

from typing import Any

from av.sidedata.sidedata import SideDataContainer
from av.video.frame import VideoFrame


def side_data(frame: VideoFrame) -> dict[str, bytes]:
    """The frame's side data by libav's name for its kind (DISPLAYMATRIX, CONTENT_LIGHT_LEVEL, ...)."""
    try:
        # not `frame.side_data`: that makes a cycle, and each frame's megabytes wait for the garbage collector
        container: Any = SideDataContainer
        side = container(frame)
    except ValueError:
        # a kind that PyAV has no name for hides the others
        return {}
    return {side[k].type.name: bytes(side[k]) for k in range(len(side))}
