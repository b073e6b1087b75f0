"""What the first bytes of a picture's file say: its kind and its size. Nothing is decoded, and no codec is opened."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from io import BytesIO

from stillframe.errors import MediaError
from stillframe.media.source import ByteSource
from stillframe.media.tracks.image_size import image_size_in

#: before the size of a JPEG there may be a preview and a colour profile
_HEAD_BYTES = 1 << 20

_KINDS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"GIF8", "gif"),
    (0, b"BM", "bmp"),
    (0, b"II*\x00", "tiff"),
    (0, b"MM\x00*", "tiff"),
    (8, b"WEBP", "webp"),
    (4, b"ftyphei", "heif"),
    (4, b"ftypmif1", "heif"),
    (4, b"ftypavif", "avif"),
)


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """The kind of a picture (jpeg, png, gif …), and its size in pixels where its first bytes tell it."""

    format_name: str
    width_px: int | None
    height_px: int | None


def picture_facts(source: ByteSource) -> PictureFacts:
    """Raises MediaError for a file that is no picture, and SourceError."""
    if source.size == 0:
        raise MediaError(source.name, "empty", "the file is empty (0 bytes)")
    head = source.read_at(0, min(_HEAD_BYTES, source.size))
    for offset, magic, kind in _KINDS:
        if head[offset : offset + len(magic)] == magic:
            width_px, height_px = _size(kind, head) or (None, None)
            return PictureFacts(kind, width_px, height_px)
    known = ", ".join(dict.fromkeys(kind for *_, kind in _KINDS))
    raise MediaError(source.name, "not-picture", f"is no picture of a known kind ({known})")


def _size(kind: str, head: bytes) -> tuple[int, int] | None:
    try:
        if kind == "gif":
            width, height = struct.unpack_from("<HH", head, 6)
            return width, height
        if kind == "bmp":
            width, height = struct.unpack_from("<ii", head, 18)
            # of pictures that are stored from the top down the height is negative
            return abs(width), abs(height)
    except struct.error:
        return None
    return image_size_in(BytesIO(head))
