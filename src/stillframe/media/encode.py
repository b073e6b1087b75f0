"""A picture -> JPEG or PNG."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from stillframe.errors import ConfigError
from stillframe.media.picture import Picture
from stillframe.media.sink import PictureFormat

#: from this JPEG quality on, colour is kept at full resolution
_FULL_COLOUR_FROM = 95
#: libjpeg's limit; the format's own is 65,535
_MOST_JPEG_SIDE_PX = 65_500
#: Pillow's numbers of JPEG's 4:4:4 and 4:2:0
_FULL, _QUARTER = 0, 2


def encode(picture: Picture, form: PictureFormat, quality: int) -> bytes:
    """The file's bytes. `quality` is 1 to 100, for JPEG only; PNG is lossless.

    Raises ConfigError for a picture that is larger than its format can be.
    """
    how: dict[str, Any] = {"compress_level": 6}
    if form != "png":
        if max(picture.size) > _MOST_JPEG_SIDE_PX:
            width, height = picture.size
            allowed = f"at most {_MOST_JPEG_SIDE_PX} pixels a side for JPEG; PNG takes more"
            raise ConfigError("Width x Height", f"{width}x{height}", allowed)
        how = {"quality": quality, "subsampling": _FULL if keeps_full_colour(form, quality) else _QUARTER}
    file = _Named(form)
    picture.save(file, **how)
    return file.getvalue()


def keeps_full_colour(form: PictureFormat, quality: int) -> bool:
    """Whether colour is written for every pixel, or for every four (JPEG's 4:2:0)."""
    return form == "png" or quality >= _FULL_COLOUR_FROM


class _Named(BytesIO):
    """Memory with a file's name: asked by name, Pillow imports that one format and not all the common ones."""

    def __init__(self, form: PictureFormat) -> None:
        super().__init__()
        self.name = f"picture.{form}"
