"""The pictures in a piece of an MPEG transport stream: every packetized unit (PES) of its one video."""

from __future__ import annotations

from stillframe.media.landmarks import Look, Odd, Picture
from stillframe.media.nal_units import beginnings, is_keyframe

PACKET_BYTES = 188
#: one with a time stamp of arrival before each packet, as Blu-ray and camcorders write it
_TIMED_PACKET_BYTES = 192
_SYNC = 0x47
_SYNC_PACKETS = 5
#: where a file that was cut out of a longer one says so
_START_BYTES = 16 << 10
#: in a packet's second byte: something in it is damaged; a unit begins in it
_DAMAGED, _BEGINS = 0x80, 0x40
#: bytes of a picture among which its first slice must be
_MOST_HEAD = 64 << 10


class TsLayout:
    """A transport stream with one program, whose video has a packet identifier `pid`."""

    #: a unit is over when the next one begins, and a picture when the one after it has come
    follow = 2

    def __init__(self, head: bytes, pid: int, codec: str) -> None:
        """`head` is the beginning of the file. Raises Odd."""
        if codec not in ("h264", "hevc", "mpeg2video"):
            raise Odd(f"{codec} in a transport stream")
        self._pid = pid
        self._codec = codec
        self.first_position, self._stride = _grid(head)
        if _programs(head, self.first_position, self._stride) != 1:
            raise Odd("several programs, or none at its beginning")

    def look(self, data: bytes, base: int, start: int, stop: int, cluster_ticks: int | None = None) -> Look:
        stride = self._stride
        start = max(start, self.first_position)
        start += -(start - self.first_position) % stride
        first, last = start - base, min(stop - base, len(data) - PACKET_BYTES + 1)
        pictures: list[Picture] = []
        known = start
        for number in self._of_video(data, first, last):
            at = first + number * stride
            # raises for what is damaged
            _payload(data, at, may_jump=base + at < self.first_position + _START_BYTES)
            if data[at + 1] & _BEGINS:
                picture = self._picture(data, base, at)
                if picture is None:
                    known = base + at
                    break
                pictures.append(picture)
        else:
            known = start + max(-(-(last - first) // stride), 0) * stride
        # the slice of one more may come after its unit's beginning, which lay before all this
        if beginnings(self._codec, data[max(first, 0) : known - base]) > len(pictures) + 1:
            raise Odd("several pictures in one unit")
        return Look(pictures, start, known)

    def _of_video(self, data: bytes, first: int, last: int) -> list[int]:
        """The numbers of the video's packets from `first` on that tell more than that a unit goes on."""
        stride = self._stride
        marks = data[first:last:stride]
        if marks.count(_SYNC) != len(marks):
            raise Odd("a packet does not begin with its mark")
        high, low = self._pid >> 8, self._pid & 0xFF
        heads = zip(
            data[first + 1 : last + 1 : stride],
            data[first + 2 : last + 2 : stride],
            data[first + 3 : last + 3 : stride],
            strict=True,
        )
        return [
            number
            for number, (above, below, control) in enumerate(heads)
            if below == low and above & 0x1F == high and (above & (_BEGINS | _DAMAGED) or control & 0xE0)
        ]

    def _picture(self, data: bytes, base: int, at: int) -> Picture | None:
        """The picture whose unit begins with the packet at `at`; None when more of it is needed."""
        unit = b""
        for place in range(at, len(data) - PACKET_BYTES + 1, self._stride):
            if data[place] != _SYNC:
                raise Odd("a packet does not begin with its mark")
            if (data[place + 1] & 0x1F) << 8 | data[place + 2] != self._pid:
                continue
            if data[place + 1] & _BEGINS and place != at:
                # a picture without a slice: as good as none
                return Picture(base + at, _pts(unit), False)
            unit += _payload(data, place)
            if len(unit) < 9 + 5:
                continue
            is_key = is_keyframe(self._codec, unit[9 + unit[8] :])
            if is_key is not None:
                return Picture(base + at, _pts(unit), is_key)
            if len(unit) > _MOST_HEAD:
                raise Odd("a unit without a picture")
        return None


def _grid(head: bytes) -> tuple[int, int]:
    """Where packets begin, and how far apart."""
    for first, stride in ((0, PACKET_BYTES), (4, _TIMED_PACKET_BYTES)):
        marks = head[first::stride][:_SYNC_PACKETS]
        if len(marks) == _SYNC_PACKETS and set(marks) == {_SYNC}:
            return first, stride
    raise Odd("it does not begin with packets")


def _programs(head: bytes, first: int, stride: int) -> int:
    """How many programs the first table of them (PAT) lists; 0 when none is seen."""
    for at in range(first, len(head) - PACKET_BYTES + 1, stride):
        if head[at] != _SYNC:
            raise Odd("a packet does not begin with its mark")
        if head[at + 1] & 0x5F == 0x40 and head[at + 2] == 0:
            section = _payload(head, at)
            section = section[1 + section[0] :] if section else b""
            if len(section) < 8 or section[0] != 0:
                return 0
            end = 3 + ((section[1] & 0x0F) << 8 | section[2]) - 4
            numbers = [section[place : place + 2] for place in range(8, min(end, len(section)), 4)]
            return sum(number != b"\0\0" for number in numbers)
    return 0


def _payload(data: bytes, at: int, *, may_jump: bool = True) -> bytes:
    """What a packet carries. Raises Odd for one that is damaged, scrambled, or after a jump in time."""
    control = data[at + 3]
    if data[at + 1] & _DAMAGED or control & 0xC0:
        raise Odd("a packet that is damaged or scrambled")
    skipped = 4
    if control & 0x20:
        length = data[at + 4]
        if length and data[at + 5] & 0x80 and not may_jump:
            raise Odd("a jump in time")
        skipped = 5 + length
    return data[at + skipped : at + PACKET_BYTES] if control & 0x10 else b""


def _pts(unit: bytes) -> int:
    """The time of a unit. Raises Odd when it has none."""
    if len(unit) < 14 or unit[:3] != b"\0\0\1" or not unit[7] & 0x80:
        raise Odd("a picture without a time")
    first, *rest = unit[9:14]
    return (first >> 1 & 7) << 30 | rest[0] << 22 | (rest[1] >> 1) << 15 | rest[2] << 7 | rest[3] >> 1
