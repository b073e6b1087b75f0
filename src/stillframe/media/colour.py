"""What a decoded frame's colour tags mean.

The decoded frame's tags count, not the container's; HDR is never guessed from bit depth. Sources: ITU-T
H.273 for the code points; docs/decisions/0007-colour.md for what is done where they say nothing.
"""

from __future__ import annotations

import struct
from typing import Literal, NamedTuple

from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace

from stillframe.media.side_data import side_data

Kind = Literal["sdr", "sdr-2020", "pq", "hlg"]

# code points of ITU-T H.273
UNSPECIFIED = (0, 2)
TRC_PQ, TRC_HLG = 16, 18
_PRIMARIES_2020 = 9
#: BT.2020 (and for the matrix ICtCp), or nothing said: what may stand beside an HDR transfer
_WIDE = (9, 10, 14, *UNSPECIFIED)
_MATRICES: dict[int, int] = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
#: from this height up an untagged picture is BT.709, as Chromium takes it
_HD_LINES = 720


class Colour(NamedTuple):
    """How to read a frame's pixels: what kind of picture, which matrix (libswscale's number), full range or not."""

    kind: Kind
    matrix: int
    full_range: bool
    dolby_vision_5: bool = False
    #: False when an HDR transfer comes with primaries or a matrix that no HDR video has
    consistent: bool = True


def colour_of(frame: VideoFrame) -> Colour:
    """What the tags of a decoded frame mean."""
    trc, matrix, primaries = int(frame.color_trc), int(frame.colorspace), int(frame.color_primaries)
    side = side_data(frame).keys()
    kind: Kind = "sdr"
    untagged = trc in UNSPECIFIED
    if trc == TRC_PQ:
        kind = "pq"
    elif trc == TRC_HLG:
        kind = "hlg"
    elif (
        untagged
        and primaries == _PRIMARIES_2020
        and side & {"MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"}
    ):
        kind = "pq"
    elif primaries == _PRIMARIES_2020:
        kind = "sdr-2020"
    dolby_vision_5 = "DOVI_METADATA" in side and untagged and matrix in UNSPECIFIED
    if matrix in _MATRICES:
        swscale_matrix = _MATRICES[matrix]
    elif kind != "sdr":
        swscale_matrix = Colorspace.BT2020
    else:
        hd = frame.height >= _HD_LINES
        swscale_matrix = Colorspace.ITU709 if hd else Colorspace.ITU601
    hdr = kind in ("pq", "hlg")
    consistent = not hdr or (primaries in _WIDE and matrix in _WIDE)
    full = int(frame.color_range) == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    return Colour(kind, int(swscale_matrix), full, dolby_vision_5, consistent)


def hdr_peak_nits(frame: VideoFrame) -> float:
    """How bright a PQ picture was graded to be: MaxCLL, else the mastering display, else 1000; 400 to 4000."""
    brightest, display = 0.0, 0.0
    side = side_data(frame)
    if len(light_level := side.get("CONTENT_LIGHT_LEVEL", b"")) >= 4:
        brightest = float(struct.unpack_from("=I", light_level)[0])
    if len(mastering := side.get("MASTERING_DISPLAY_METADATA", b"")) >= 88:
        fields = struct.unpack_from("=22i", mastering)
        if fields[21] and fields[19]:
            display = fields[18] / fields[19]
    return min(max(brightest or display or 1000.0, 400.0), 4000.0)
