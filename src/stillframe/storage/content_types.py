"""The content type of an object, by its key's ending."""

from __future__ import annotations

#: what a browser may show in place; all else is a download
INLINE_TYPES = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "avif": "image/avif",
    "gif": "image/gif",
    "mp4": "video/mp4",
    "m4v": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
    "mkv": "video/x-matroska",
    "ts": "video/mp2t",
    "mpg": "video/mpeg",
    "mpeg": "video/mpeg",
    "avi": "video/x-msvideo",
    "flv": "video/x-flv",
    "vtt": "text/vtt; charset=utf-8",
}
#: for what is none of them
UNKNOWN_TYPE = "application/octet-stream"


def content_type(key: str) -> str:
    """Such as `image/jpeg`; `application/octet-stream` for all that is no picture, video or track."""
    name = key.rpartition("/")[2]
    stem, dot, ending = name.rpartition(".")
    return INLINE_TYPES.get(ending.lower(), UNKNOWN_TYPE) if stem and dot else UNKNOWN_TYPE
