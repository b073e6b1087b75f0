"""What a file is by the ending of its name, as long as nobody has looked into it."""

from __future__ import annotations

from collections.abc import Mapping

from stillframe.catalog.models import MediaType

_ENDINGS: Mapping[MediaType, str] = {
    "image": "avif bmp gif heic heif jpeg jpg png tif tiff webp",
    "video": (
        "3gp asf avi dat dv f4v flv m2t m2ts m2v m3u8 m4v mj2 mjpeg mkv mov mp4 mpe mpeg mpg mts mxf ogv qt rm "
        "rmvb swf ts vob webm wmv"
    ),
    "audio": "aac ac3 aif aiff amr ape au caf flac m4a mka mp2 mp3 oga ogg opus wav weba wma",
}
_TYPES = {ending: kind for kind, endings in _ENDINGS.items() for ending in endings.split()}


def media_type_of(key: str) -> MediaType | None:
    """image, video or audio; None for an ending that tells nothing."""
    stem, dot, ending = key.rpartition("/")[2].rpartition(".")
    return _TYPES.get(ending.lower()) if stem and dot else None
