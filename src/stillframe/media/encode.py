"""A picture -> JPEG or PNG."""

from __future__ import annotations

import simplejpeg
from av.codec.context import CodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from stillframe.errors import ConfigError
from stillframe.media.develop import Picture
from stillframe.media.sink import PictureFormat

#: from this JPEG quality on, colour is kept at full resolution
_FULL_COLOUR_FROM = 95
#: libjpeg's limit; the format's own is 65,535
_MOST_JPEG_SIDE_PX = 65_500


def encode(picture: Picture, form: PictureFormat, quality: int) -> bytes:
    """The file's bytes. `quality` is 1 to 100, for JPEG only; PNG is lossless.

    Raises ConfigError for a picture that is larger than its format can be.
    """
    if form == "png":
        return _png(picture)
    height, width, _ = picture.shape
    if max(width, height) > _MOST_JPEG_SIDE_PX:
        allowed = f"at most {_MOST_JPEG_SIDE_PX} pixels a side for JPEG; PNG takes more"
        raise ConfigError("Width x Height", f"{width}x{height}", allowed)
    subsampling = "444" if keeps_full_colour(form, quality) else "420"
    data: bytes = simplejpeg.encode_jpeg(
        picture, quality=quality, colorspace="RGB", colorsubsampling=subsampling
    )
    return data


def keeps_full_colour(form: PictureFormat, quality: int) -> bool:
    """Whether colour is written for every pixel, or for every four (JPEG's 4:2:0)."""
    return form == "png" or quality >= _FULL_COLOUR_FROM


def _png(picture: Picture) -> bytes:
    height, width, _ = picture.shape
    context = CodecContext.create("png", "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = width, height, "rgb24"
    context.options = {"pred": "mixed", "compression_level": "6"}
    frame = VideoFrame.from_ndarray(picture, format="rgb24")
    packets = context.encode(frame) + context.encode(None)
    return b"".join(bytes(packet) for packet in packets)
