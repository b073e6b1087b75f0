"""How a generated picture's RGB becomes YUV, and what the file says about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

__all__ = ["BT601", "BT709", "BT2020_HLG", "BT2020_PQ", "UNTAGGED_BT601", "UNTAGGED_BT709", "Colour"]

_UNSPECIFIED = 2
_CAREFUL = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP


@dataclass(frozen=True, slots=True)
class Colour:
    """What is done to the pixels (``pixels``, ``full_range``), and the tags, as numbers of ITU-T H.273.

    An honest file has the same in both; see ``untagged``.
    """

    pixels: Colorspace
    full_range: bool
    matrix: int
    primaries: int
    transfer: int
    range: ColorRange

    def untagged(self) -> Colour:
        """The same pixels in a file that does not say what they are."""
        unsaid = _UNSPECIFIED
        return replace(self, matrix=unsaid, primaries=unsaid, transfer=unsaid, range=ColorRange.UNSPECIFIED)

    def full(self) -> Colour:
        """The same in full range (0 to 255 in 8 bits), tagged as such."""
        return replace(self, full_range=True, range=ColorRange.JPEG)

    def tag(self, target: VideoCodecContext | VideoFrame) -> None:
        """Write the tags onto an encoder or a frame."""
        target.colorspace, target.color_range = self.matrix, int(self.range)
        target.color_primaries, target.color_trc = self.primaries, self.transfer

    def converter(self, pix_fmt: str) -> Callable[[npt.NDArray[Any]], VideoFrame]:
        """What makes frames in ``pix_fmt`` from RGB, RGBA, or arrays that already are in ``pix_fmt``."""
        reformatter = VideoReformatter()
        is_rgb = VideoFrame(16, 16, pix_fmt).format.is_rgb

        def convert(picture: npt.NDArray[Any]) -> VideoFrame:
            if picture.dtype != np.uint8 or picture.ndim != 3:
                frame = VideoFrame.from_ndarray(picture, format=pix_fmt)
            else:
                rgb = VideoFrame.from_ndarray(picture, format="rgb24" if picture.shape[2] == 3 else "rgba")
                if is_rgb:
                    return reformatter.reformat(rgb, format=pix_fmt, threads=1)
                frame = reformatter.reformat(
                    rgb,
                    format=pix_fmt,
                    dst_colorspace=self.pixels,
                    dst_color_range=ColorRange.JPEG if self.full_range else ColorRange.MPEG,
                    interpolation=_CAREFUL,
                    threads=1,
                )
            self.tag(frame)
            return frame

        return convert


BT601 = Colour(Colorspace.ITU601, False, 6, 6, 6, ColorRange.MPEG)
BT709 = Colour(Colorspace.ITU709, False, 1, 1, 1, ColorRange.MPEG)
BT2020_PQ = Colour(Colorspace.BT2020, False, 9, 9, 16, ColorRange.MPEG)
BT2020_HLG = Colour(Colorspace.BT2020, False, 9, 9, 18, ColorRange.MPEG)
UNTAGGED_BT601 = BT601.untagged()
UNTAGGED_BT709 = BT709.untagged()
