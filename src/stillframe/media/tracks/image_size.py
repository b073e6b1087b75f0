"""The width and height of a JPEG or PNG, read from the first bytes of its file: no decoder, bounded reads."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
#: start-of-frame markers; the gaps are DHT, JPG and DAC
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: markers without a length: padding, TEM and the restarts
_BARE = frozenset({0x01, *range(0xD0, 0xD8)})
_MAX_SEGMENTS = 1000


def image_size(path: Path) -> tuple[int, int] | None:
    """Return (width_px, height_px); None when the file is missing, unreadable, or neither JPEG nor PNG."""
    try:
        if not path.is_file():  # a pipe would make open() wait for ever
            return None
        with path.open("rb") as file:
            return image_size_in(file)
    except (OSError, ValueError):  # ValueError: a name that holds a NUL
        pass
    return None


def image_size_in(file: BinaryIO) -> tuple[int, int] | None:
    """As `image_size`, of an open file."""
    start = file.read(24)
    if start.startswith(_PNG):
        return _png_size(start)
    if start.startswith(_JPEG):
        file.seek(len(_JPEG))
        return _jpeg_size(file)
    return None


def _png_size(start: bytes) -> tuple[int, int] | None:
    if len(start) < 24 or start[12:16] != b"IHDR":
        return None
    width, height = struct.unpack(">II", start[16:24])
    return width, height


def _jpeg_size(file: BinaryIO) -> tuple[int, int] | None:
    """Walk over the segments up to the start of frame; pixels are never read."""
    for _ in range(_MAX_SEGMENTS):
        head = file.read(2)
        if len(head) < 2 or head[0] != 0xFF:
            return None
        marker = head[1]
        if marker == 0xFF:  # fill byte
            file.seek(-1, 1)
            continue
        if marker in _BARE:
            continue
        length = file.read(2)
        if len(length) < 2:
            return None
        (length_bytes,) = struct.unpack(">H", length)
        if marker in _FRAMES:
            frame = file.read(5)
            if len(frame) < 5:
                return None
            height, width = struct.unpack(">xHH", frame)
            return width, height
        if length_bytes < 2 or marker in (0xD9, 0xDA):  # end, or pixels before any frame
            return None
        file.seek(length_bytes - 2, 1)
    return None
