"""Two fields of different moments in one frame -> a picture of one moment.

Only the frame itself is looked at, so that a lone shot needs no neighbours decoded. (yadif and bwdif without
neighbours take the picture for a still one, and leave the combs standing.)
"""

from __future__ import annotations

from fractions import Fraction

from av.filter import Graph
from av.video.frame import VideoFrame

#: the filters used here do not look at times
_ANY_TIME_BASE = Fraction(1, 1000)


def deinterlaced(frame: VideoFrame, height_px: int) -> VideoFrame:
    """The picture of the frame's first field, for a picture that will be `height_px` high.

    When half the lines are enough it is just that field, half as high; else the other lines are made by
    tracing edges (estdif), which takes a hundred times longer.
    """
    if height_px * 2 <= frame.height:
        return _filtered(frame, "separatefields", "")
    return _filtered(frame, "estdif", "mode=frame:deint=all")


def _filtered(frame: VideoFrame, name: str, arguments: str) -> VideoFrame:
    """The first picture that a filter gives. A graph is made for each frame: filters look back at others."""
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=frame.time_base or _ANY_TIME_BASE,
    )
    chosen = graph.add(name, arguments)
    sink = graph.add("buffersink")
    source.link_to(chosen)
    chosen.link_to(sink)
    graph.configure()
    graph.push(frame)
    graph.push(None)
    picture = graph.pull()
    assert isinstance(picture, VideoFrame)
    return picture
