"""Whether a coded picture is a keyframe, by its first bytes and by the rule of libav's parsers.

is_keyframe("h264", b"\\0\\0\\1\\x65...", complete=False)
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_START = b"\0\0\1"
_H264_SLICES = range(1, 6)
_H264_IDR, _H264_SEI = 5, 6
_HEVC_SLICES = range(32)
_HEVC_RANDOM_ACCESS = range(16, 24)
_SEI_RECOVERY_POINT = 6
#: what a picture begins with: a slice whose first macroblock is 0, a first slice segment, a picture start code
_BEGINNINGS = {
    "h264": re.compile(rb"\x00\x00\x01[\x01\x05\x21\x25\x41\x45\x61\x65][\x80-\xff]"),
    "hevc": re.compile(rb"\x00\x00\x01[\x00-\x13\x20-\x2b].[\x80-\xff]", re.DOTALL),
    "mpeg2video": re.compile(rb"\x00\x00\x01\x00"),
}


def is_keyframe(codec: str, data: bytes) -> bool | None:
    """Of a picture that begins with `data` (with start codes); None when that is too little to tell."""
    if codec == "mpeg2video":
        at = data.find(b"\0\0\1\0")
        return None if at < 0 or at + 6 > len(data) else data[at + 5] >> 3 & 7 == 1
    return _by_units(codec, _units(data))


def is_keyframe_in_lengths(codec: str, data: bytes, length_bytes: int) -> bool | None:
    """As `is_keyframe`, for units that each come after their length, as MP4, Matroska and FLV have them."""
    return _by_units(codec, _units_by_length(data, length_bytes))


def beginnings(codec: str, data: bytes) -> int:
    """How many pictures begin in a piece of a stream with start codes."""
    return len(_BEGINNINGS[codec].findall(data))


def _by_units(codec: str, units: Iterator[tuple[bytes, bool]]) -> bool | None:
    recovers = False
    for unit, is_whole in units:
        if not unit:
            break
        if codec == "hevc":
            kind = unit[0] >> 1 & 0x3F
            if kind in _HEVC_SLICES:
                return kind in _HEVC_RANDOM_ACCESS
            continue
        kind = unit[0] & 0x1F
        if kind in _H264_SLICES:
            return recovers or kind == _H264_IDR
        if kind == _H264_SEI:
            if not is_whole:
                break
            recovers = recovers or _has_recovery_point(unit)
    return None


def _units(data: bytes) -> Iterator[tuple[bytes, bool]]:
    """The units of a stream with start codes, and whether each is there as a whole."""
    at = data.find(_START)
    while at >= 0:
        following = data.find(_START, at + 3)
        yield data[at + 3 : following if following >= 0 else len(data)], following >= 0
        at = following


def _units_by_length(data: bytes, length_bytes: int) -> Iterator[tuple[bytes, bool]]:
    at = 0
    while at + length_bytes < len(data):
        length = int.from_bytes(data[at : at + length_bytes], "big")
        at += length_bytes
        yield data[at : at + length], at + length <= len(data)
        at += length


def _has_recovery_point(sei: bytes) -> bool:
    message = sei[1:].replace(b"\0\0\3", b"\0\0")
    at = 0
    while at + 2 < len(message):
        kind = length = 0
        while at < len(message) and message[at] == 0xFF:
            kind, at = kind + 255, at + 1
        kind, at = kind + (message[at] if at < len(message) else 0), at + 1
        while at < len(message) and message[at] == 0xFF:
            length, at = length + 255, at + 1
        length, at = length + (message[at] if at < len(message) else 0), at + 1
        if kind == _SEI_RECOVERY_POINT:
            return True
        at += length
    return False
