"""The black-frame filter: is this picture black?

Source of the rule: docs/parameters.md, row "BlackLevel, PixelBlackThreshold".
"""

from __future__ import annotations

from math import ceil

from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange

from stillframe.media.colour import colour_of
from stillframe.media.picture import picture_of


def is_black(frame: VideoFrame, black_level: int, pixel_threshold: int) -> bool:
    """Whether at least `black_level` percent of the pixels have full-range luma (0-255) below the threshold."""
    return dark_share(frame, pixel_threshold) * 100 >= black_level


def dark_share(frame: VideoFrame, pixel_threshold: int) -> float:
    """The share (0 to 1) of pixels whose full-range luma is below the threshold."""
    full_range = colour_of(frame).full_range
    name = frame.format.name
    planar = name.startswith(("yuv", "gray")) and "packed" not in name
    if not planar or (max(part.bits for part in frame.format.components) > 8 and not name.endswith("le")):
        frame = frame.reformat(format="gray", dst_color_range=ColorRange.JPEG, threads=1)
        full_range = True
    bits = frame.format.components[0].bits
    # the threshold in the plane's own numbers, so that no pixel is converted
    limit = pixel_threshold if full_range else 16 + pixel_threshold * 219 / 255
    if bits > 8:
        from stillframe.media.planes import share_below

        return share_below(frame, limit * (1 << (bits - 8)))
    counts = picture_of(frame, "L").histogram()
    return sum(counts[: ceil(limit)]) / (frame.width * frame.height)
