"""What must be put right before a picture is shown: turned, squeezed, combed, tagged, transparent, black."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from stillframe.testing import barcode
from stillframe.testing.videos.clip import Clip
from stillframe.testing.videos.colours import BT601, BT709, BT2020_HLG, BT2020_PQ
from stillframe.testing.videos.encoding import make
from stillframe.testing.videos.remux import joined

__all__ = [
    "BARS",
    "RAMP_CODES",
    "all_black",
    "anamorphic",
    "black_lead",
    "colour_bars",
    "full_range",
    "hdr_ramp",
    "interlaced",
    "odd_size",
    "rotated",
    "size_change",
    "ten_bit",
    "transparent_mov",
    "transparent_webm",
]

BARS = (
    (191, 191, 191),
    (191, 191, 0),
    (0, 191, 191),
    (0, 191, 0),
    (191, 0, 191),
    (191, 0, 0),
    (0, 0, 191),
    (32, 32, 32),
)
"""The RGB of :func:`colour_bars`, from left to right, each an eighth of the width."""

RAMP_CODES = tuple(range(64, 941, 73))
"""The 10-bit luma codes of :func:`hdr_ramp`, from left to right, each a thirteenth of the width; all grey."""

# Nearly lossless, for files whose colours are compared.
_FINE = {"crf": "1"}


def rotated(folder: Path, degrees: int, mirrored: bool = False) -> Clip:
    """MP4 that must be mirrored (if so) and then turned clockwise by ``degrees`` to stand upright."""
    name = f"rotated_{degrees}{'_mirrored' if mirrored else ''}.mp4"
    return make(folder / name, frames=25, rotation=degrees, mirrored=mirrored, bframes=2)


def anamorphic(folder: Path, sar: Fraction = Fraction(2)) -> Clip:
    """Pixels that are ``sar`` times as wide as high."""
    return make(folder / f"anamorphic_{sar.numerator}_{sar.denominator}.mp4", frames=25, sar=sar)


def interlaced(
    folder: Path,
    field_order: Literal["tff", "bff"] = "tff",
    codec: Literal["libx264", "mpeg2video"] = "libx264",
) -> Clip:
    """Interlaced video in motion: the number is unreadable in a picture that was not deinterlaced."""
    suffix = "mp4" if codec == "libx264" else "ts"
    return make(
        folder / f"interlaced_{field_order}.{suffix}", codec=codec, frames=25, field_order=field_order
    )


def odd_size(folder: Path, pix_fmt: Literal["yuv420p", "yuv444p"] = "yuv420p") -> Clip:
    """321x241: VP9 in 4:2:0 (H.264 allows no odd size there), H.264 in 4:4:4."""
    if pix_fmt == "yuv420p":
        return make(folder / "odd_size_420.webm", codec="libvpx-vp9", frames=25, width=321, height=241)
    return make(folder / "odd_size_444.mp4", frames=25, width=321, height=241, pix_fmt=pix_fmt)


def ten_bit(folder: Path, codec: Literal["libx264", "libx265", "libsvtav1"] = "libx264") -> Clip:
    """10 bits in 4:2:0, standard dynamic range."""
    return make(folder / f"ten_bit_{codec}.mp4", codec=codec, frames=25, pix_fmt="yuv420p10le", colour=BT709)


def full_range(folder: Path, tagged: bool = True) -> Clip:
    """H.264 colour bars in full range, BT.709. Untagged, nothing can tell: limited has to be assumed."""
    colour = BT709.full() if tagged else BT709.full().untagged()
    name = f"full_range{'' if tagged else '_untagged'}.mp4"
    return make(folder / name, frames=10, draw=_bars, colour=colour, codec_options=_FINE)


def colour_bars(folder: Path, height: int = 480, tagged: bool = False) -> Clip:
    """BARS above and below the number; BT.709 from 720 lines up, else BT.601, and said so if ``tagged``."""
    colour = BT709 if height >= 720 else BT601
    name = f"colour_bars_{height}{'_tagged' if tagged else ''}.mp4"
    return make(
        folder / name,
        frames=10,
        width=height * 16 // 18 * 2,
        height=height,
        draw=_bars,
        colour=colour if tagged else colour.untagged(),
        codec_options=_FINE,
    )


def hdr_ramp(folder: Path, transfer: Literal["pq", "hlg"] = "pq", max_cll: int | None = None) -> Clip:
    """Grey steps above and below the number, HEVC in 10 bits, BT.2020, tagged PQ or HLG; see RAMP_CODES.

    ``max_cll`` writes the content light level, in nits; without it there is no HDR metadata but the tags.
    """
    light = {"x265-params": f"max-cll={max_cll},{max_cll // 4}"} if max_cll else {}
    return make(
        folder / f"hdr_{transfer}{f'_{max_cll}' if max_cll else ''}.mp4",
        codec="libx265",
        frames=10,
        width=208,
        height=112,
        pix_fmt="yuv420p10le",
        draw=_ramp,
        colour=BT2020_PQ if transfer == "pq" else BT2020_HLG,
        codec_options=_FINE | light,
    )


def transparent_webm(folder: Path) -> Clip:
    """VP9 whose upper and lower eighths are clear; of libav's decoders libvpx-vp9 shows it, vp9 does not."""
    return make(
        folder / "transparent.webm",
        codec="libvpx-vp9",
        frames=25,
        pix_fmt="yuva420p",
        draw=_clear_above_and_below,
    )


def transparent_mov(folder: Path, codec: Literal["png", "qtrle"] = "png") -> Clip:
    """PNG or Animation in MOV, with the upper and lower eighths clear."""
    pix_fmt = "rgba" if codec == "png" else "argb"
    name = f"transparent_{codec}.mov"
    return make(folder / name, codec=codec, frames=10, pix_fmt=pix_fmt, draw=_clear_above_and_below)


def size_change(folder: Path, second_size: tuple[int, int] = (256, 192)) -> Clip:
    """A transport stream that goes from 192x108 to another size (and aspect) after a second."""
    width, height = second_size
    first = make(folder / "first.ts", frames=25)
    second = make(
        folder / "second.ts",
        frames=25,
        width=width,
        height=height,
        first_number=25,
        first_pts_s=first.pts_s[0] + 1,
    )
    return joined(folder / "size_change.ts", first, second)


def black_lead(folder: Path, black_s: int = 2) -> Clip:
    """``black_s`` seconds of black, then 2 s of numbered pictures; the first of those is no keyframe."""
    black = range(black_s * 25)
    clip = make(
        folder / "black_lead.mp4",
        frames=len(black) + 50,
        gop=20,
        bframes=2,
        draw=lambda number, width, height: (
            _black(number, width, height) if number in black else barcode.draw(number, width, height)
        ),
    )
    return replace(clip, black_numbers=tuple(black))


def all_black(folder: Path) -> Clip:
    """Black from the first picture to the last."""
    clip = make(folder / "all_black.mp4", draw=_black)
    return replace(clip, black_numbers=clip.numbers)


def _black(number: int, width: int, height: int) -> npt.NDArray[Any]:
    return np.zeros((height, width, 3), np.uint8)


def _bars(number: int, width: int, height: int) -> npt.NDArray[Any]:
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = np.array(BARS, np.uint8)[np.arange(width) * len(BARS) // width]
    inside = barcode.panel(width, height)
    picture[inside] = barcode.draw(number, width, height)[inside]
    return picture


def _ramp(number: int, width: int, height: int) -> npt.NDArray[Any]:
    """Luma codes, then the two planes of chroma at half the size, as from_ndarray takes yuv420p10le."""
    luma = np.empty((height, width), np.uint16)
    luma[:] = np.array(RAMP_CODES, np.uint16)[np.arange(width) * len(RAMP_CODES) // width]
    inside = barcode.panel(width, height)
    luma[inside] = np.where(barcode.draw(number, width, height)[inside][:, :, 0] > 127, 940, 64)
    return np.concatenate([luma, np.full((height // 2, width), 512, np.uint16)])


def _clear_above_and_below(number: int, width: int, height: int) -> npt.NDArray[Any]:
    picture = np.dstack([barcode.draw(number, width, height), np.full((height, width), 255, np.uint8)])
    rows, _ = barcode.panel(width, height)
    picture[: rows.start, :, 3] = picture[rows.stop :, :, 3] = 0
    return picture
