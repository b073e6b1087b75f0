"""The pictures in a piece of an FLV file: the tags of its video."""

from __future__ import annotations

from stillframe.media.landmarks import Look, Odd, Picture
from stillframe.media.nal_units import is_keyframe_in_lengths

_TAG_BYTES = 11
_SOUND, _VIDEO, _SCRIPT = 8, 9, 18
_KINDS = frozenset((_SOUND, _VIDEO, _SCRIPT))
_AVC = 7
_KEYFRAME, _COMMAND = 1, 5
_SEQUENCE_HEADER, _PICTURES = 0, 1
#: bytes of a tag that tell whether it is a keyframe
_MOST_HEAD = 64 << 10
#: runs of zeros in a piece that are no tag's
_MOST_FALSE_MARKS = 20_000


class FlvLayout:
    """A file whose video is H.264."""

    follow = 1

    def __init__(self, head: bytes, codec: str) -> None:
        """`head` is the beginning of the file. Raises Odd."""
        if codec != "h264":
            raise Odd(f"{codec} in FLV")
        if head[:4] != b"FLV\1" or len(head) < 13:
            raise Odd("it does not begin as FLV does")
        self._length_bytes = 0
        self.first_position = int.from_bytes(head[5:9], "big") + 4
        at = self.first_position
        # as far as all that is looked at in a tag is there
        while at + _TAG_BYTES + 10 <= len(head) and head[at] in _KINDS:
            length = int.from_bytes(head[at + 1 : at + 4], "big")
            body = at + _TAG_BYTES
            if head[at] == _VIDEO and head[body] & 0x0F == _AVC and head[body + 1] == _SEQUENCE_HEADER:
                if length < 10 or head[body + 5] != 1:
                    break
                self._length_bytes = (head[body + 9] & 3) + 1
                return
            at = body + length + 4
        raise Odd("it does not tell of its video at its beginning")

    def look(self, data: bytes, base: int, start: int, stop: int, cluster_ticks: int | None = None) -> Look:
        at: int | None = max(start, self.first_position) - base
        if cluster_ticks is None and start > self.first_position:
            at = _first_tag(data, start - base)
            if at is None or base + at >= stop:
                return Look((), stop, stop)
        assert at is not None
        start = base + at
        pictures: list[Picture] = []
        while at + _TAG_BYTES + 5 <= len(data) and base + at < stop:
            kind = data[at]
            if kind not in _KINDS or data[at + 8 : at + 11] != b"\0\0\0":
                raise Odd("something else between its tags")
            length = int.from_bytes(data[at + 1 : at + 4], "big")
            body = at + _TAG_BYTES
            if kind == _VIDEO:
                found = self._picture(data, base, at, length)
                if found is None:
                    break
                pictures += found
            if body + length + 4 <= len(data):
                behind = int.from_bytes(data[body + length : body + length + 4], "big")
                if behind != length + _TAG_BYTES:
                    raise Odd("a tag whose length is not repeated behind it")
            at = body + length + 4
        # the next look goes on just there
        return Look(pictures, start, base + at, 0)

    def _picture(self, data: bytes, base: int, at: int, length: int) -> list[Picture] | None:
        """The picture of a video tag, if it is one; None when more of the tag is needed."""
        body = at + _TAG_BYTES
        first = data[body]
        if first & 0x80 or first & 0x0F != _AVC:
            raise Odd("a video tag of another codec")
        if length < 5 or data[body + 1] != _PICTURES or first >> 4 == _COMMAND:
            if (
                length >= 5
                and data[body + 1] == _SEQUENCE_HEADER
                and at + base > self.first_position + (1 << 16)
            ):
                raise Odd("the codec is set up anew within the file")
            return []
        ticks = data[at + 7] << 24 | int.from_bytes(data[at + 4 : at + 7], "big")
        ticks += int.from_bytes(data[body + 2 : body + 5], "big", signed=True)
        end = base + body + length + 4
        if first >> 4 == _KEYFRAME:
            return [Picture(base + at, ticks, True, end)]
        payload = data[body + 5 : min(body + length, len(data), body + 5 + _MOST_HEAD)]
        is_key = is_keyframe_in_lengths("h264", payload, self._length_bytes)
        if is_key is None and len(payload) < min(length - 5, _MOST_HEAD):
            return None
        return [Picture(base + at, ticks, bool(is_key), end)]


def _first_tag(data: bytes, start: int) -> int | None:
    """Where the first tag begins that is told by its own head, and by the lengths before or behind it."""
    at = max(start, 4)
    for _ in range(_MOST_FALSE_MARKS):
        at = data.find(b"\0\0\0", at + 8) - 8
        if at < start:
            return None
        if _is_tag(data, at):
            return at
        at += 1
    raise Odd("zeros where there should be tags")


def _is_tag(data: bytes, at: int) -> bool:
    if at < 4 or data[at] not in _KINDS:
        return False
    length = int.from_bytes(data[at + 1 : at + 4], "big")
    end = at + _TAG_BYTES + length
    if end + 4 <= len(data):
        behind = int.from_bytes(data[end : end + 4], "big")
        return behind == length + _TAG_BYTES
    before = int.from_bytes(data[at - 4 : at], "big")
    head = at - 4 - before
    if before <= _TAG_BYTES or head < 0:
        return False
    return data[head] in _KINDS and int.from_bytes(data[head + 1 : head + 4], "big") == before - _TAG_BYTES
