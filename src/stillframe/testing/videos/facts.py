"""What a finished file says about itself, matched with the numbers that were drawn into it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av

from stillframe.testing.videos.clip import Clip

__all__ = ["facts_of"]


def facts_of(path: Path, numbers: Sequence[int], size_px: tuple[int, int], *, stream_index: int = 0) -> Clip:
    """The clip at ``path``, whose shown pictures carry ``numbers`` in display order.

    The times are those of the packets in the file itself: containers move and round the times they are given.
    Raises ValueError when the file does not show as many pictures as there are numbers: then it is not the
    file that was meant.
    """
    with av.open(str(path)) as container:
        stream = container.streams.video[stream_index]
        shown = [packet for packet in container.demux(stream) if packet.size and not packet.is_discard]
        time_base = stream.time_base or Fraction(0)
        times = sorted(
            (packet.pts, packet.is_keyframe, packet.duration or 0)
            for packet in shown
            if packet.pts is not None
        )
    if len(times) != len(numbers):
        raise ValueError(
            f"{path.name} shows {len(times)} pictures with a time, and {len(numbers)} were drawn"
        )
    last_pts, _, last_duration = times[-1]
    # Around a wrap libav has no duration: the last picture stays as long as the one before it.
    end = last_pts + (last_duration or last_pts - times[-2:][0][0])
    return Clip(
        path=path,
        numbers=tuple(numbers),
        pts_s=tuple(pts * time_base for pts, _, _ in times),
        end_s=end * time_base,
        keyframe_numbers=tuple(
            n for n, (_, is_keyframe, _) in zip(numbers, times, strict=True) if is_keyframe
        ),
        width_px=size_px[0],
        height_px=size_px[1],
    )
