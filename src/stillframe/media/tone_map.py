"""HDR to SDR, on pictures that were scaled already.

Hable's curve on the brightest of R, G and B, at 100 nits white, with BT.1886 gamma out. Sources: ITU-R
BT.709, BT.2020, BT.2100 (PQ and HLG), BT.1886; J. Hable, "Uncharted 2: HDR Lighting" for the curve;
docs/decisions/0007-colour.md for why.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from PIL import Image

from stillframe.media.colour import Colour
from stillframe.media.picture import Picture
from stillframe.media.planes import plane

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Entry = TypeVar("Entry", np.float32, np.uint8)

#: entries of a curve's table
_TABLE = 4096


def hdr_to_sdr(frame: VideoFrame, colour: Colour, peak_nits: float) -> Picture:
    """A PQ or HLG frame of Y, Cb, Cr, 4:4:4, to an SDR picture."""
    bits = frame.format.components[0].bits
    planes = np.stack([plane(frame, index).astype(np.uint16) for index in range(3)])
    rgb = _rgb_2020(planes, bits, full_range=colour.full_range)
    if colour.kind == "hlg":
        light = _look_up(_hlg_scene_light(), rgb)
        luma = np.tensordot(_LUMA_2020, light, 1)
        # the HLG system gamma of a 1000-nit display
        light *= np.float32(1000) * np.maximum(luma, np.float32(1e-6)) ** np.float32(0.2)
        peak_nits = 1000.0
    else:
        light = _look_up(_pq_nits(), rgb)
    brightest = np.maximum(light.max(axis=0), np.float32(1e-3))
    light *= _look_up(_tone_curve(peak_nits), np.sqrt(brightest / np.float32(peak_nits))) / brightest
    return _to_display_709(light)


def sdr_2020_to_709(picture: Picture) -> Picture:
    """An SDR picture of BT.2020 primaries to BT.709 primaries: the primaries' matrix, no tone curve."""
    linear = (np.arange(256, dtype=np.float32) / 255) ** np.float32(2.4)
    return _to_display_709(np.ascontiguousarray(linear[np.asarray(picture)].transpose(2, 0, 1)))


_LUMA_2020 = np.array([0.2627, 0.6780, 0.0593], np.float32)
_LUMA_709 = np.array([0.2126, 0.7152, 0.0722], np.float32)
_2020_TO_709 = np.array(
    [[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]],
    np.float32,
)


def _rgb_2020(planes: npt.NDArray[np.uint16], bits: int, *, full_range: bool) -> Floats:
    scale = np.float32(1 << (bits - 8))
    luma, blue, red = planes.astype(np.float32)
    if full_range:
        top = np.float32((1 << bits) - 1)
        luma, blue, red = luma / top, (blue - 128 * scale) / top, (red - 128 * scale) / top
    else:
        luma = (luma - 16 * scale) / (219 * scale)
        blue, red = (blue - 128 * scale) / (224 * scale), (red - 128 * scale) / (224 * scale)
    return np.stack(
        [
            luma + np.float32(1.4746) * red,
            luma - np.float32(0.16455) * blue - np.float32(0.57135) * red,
            luma + np.float32(1.8814) * blue,
        ]
    )


def _to_display_709(light: Floats) -> Picture:
    """Linear BT.2020 light (3 x h x w, 1 is white) to displayable BT.709: colours outside are pulled to grey."""
    rgb = np.tensordot(_2020_TO_709, light, 1)
    luma = np.clip(np.tensordot(_LUMA_709, rgb, 1), 0, 1)
    low, high = rgb.min(axis=0), rgb.max(axis=0)
    tiny = np.float32(1e-6)
    below = np.where(low < 0, luma / np.maximum(luma - low, tiny), 1)
    above = np.where(high > 1, (1 - luma) / np.maximum(high - luma, tiny), 1)
    pulled = luma + (rgb - luma) * np.minimum(below, above).astype(np.float32)
    # the table is indexed by the square root, which spends its steps where the eye sees them
    out = _look_up(_display_codes(), np.sqrt(np.clip(pulled, 0, 1)))
    return Image.fromarray(np.ascontiguousarray(out.transpose(1, 2, 0)))


def _look_up(table: npt.NDArray[Entry], values: Floats) -> npt.NDArray[Entry]:
    index = (np.clip(values, 0, 1) * np.float32(_TABLE - 1) + np.float32(0.5)).astype(np.int32)
    return table.take(index)


@cache
def _steps() -> npt.NDArray[np.float64]:
    return np.linspace(0, 1, _TABLE)


@cache
def _pq_nits() -> Floats:
    """SMPTE ST 2084 code value to nits."""
    m1, m2 = 2610 / 16384, 2523 / 32
    c1, c2, c3 = 3424 / 4096, 2413 / 128, 2392 / 128
    power = _steps() ** (1 / m2)
    return (10_000 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)).astype(np.float32)


@cache
def _hlg_scene_light() -> Floats:
    """The inverse of the HLG OETF: code value to scene light, 0 to 1."""
    code = _steps()
    high = (np.exp((code - 0.55991073) / 0.17883277) + 0.28466892) / 12
    return np.where(code <= 0.5, code * code / 3, high).astype(np.float32)


@lru_cache(maxsize=8)
def _tone_curve(peak_nits: float) -> Floats:
    """Hable's curve from the square root of light (1 is the peak) to display light, white at 100 nits."""
    light = _steps() ** 2 * peak_nits / 100
    return (_hable(light) / _hable(np.float64(peak_nits / 100))).astype(np.float32)


def _hable(x: npt.NDArray[np.float64] | np.float64) -> npt.NDArray[np.float64]:
    return np.asarray((x * (0.15 * x + 0.05) + 0.004) / (x * (0.15 * x + 0.5) + 0.06) - 0.02 / 0.3)


@cache
def _display_codes() -> Bytes:
    return np.round(255 * (_steps() ** 2) ** (1 / 2.4)).astype(np.uint8)
