"""The packets that were read last, so that a step back costs nothing, and the next shots need no seek.

trail = Trail(reader.read_packet)
trail.seek(pts)          # on to a keyframe, or back to one
trail.next_packet()
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from stillframe.media.packets import VideoPacket

#: what is held of what was handed out
_MOST_BYTES = 16 << 20
_MOST_PACKETS = 3000
#: pictures that may be shown before one that comes earlier in the file (H.264 allows 16), and two for safety
_REORDERED = 18


class Trail:
    """Packets in decode order, read once each, which can be gone back to."""

    def __init__(self, read: Callable[[], VideoPacket | None]) -> None:
        self._read = read
        #: what was handed out, and behind it what was stepped back over
        self._behind: deque[VideoPacket] = deque()
        self._ahead: deque[VideoPacket] = deque()
        self._bytes = 0

    def next_packet(self) -> VideoPacket | None:
        """The next packet; None at the end."""
        packet = self._ahead.popleft() if self._ahead else self._read()
        if packet is not None:
            self._behind.append(packet)
            self._bytes += packet.size
            while self._bytes > _MOST_BYTES or len(self._behind) > _MOST_PACKETS:
                self._bytes -= self._behind.popleft().size
        return packet

    def seek(self, pts: int) -> bool:
        """Go to the last keyframe that is shown at or before `pts`, by reading on where that is needed.

        False when it is not among what is held: then `forget`, and begin anew elsewhere.
        """
        if not self._back_to_keyframe(pts):
            return False
        beyond = 0
        while beyond < _REORDERED and (packet := self.next_packet()) is not None:
            if packet.pts is None:
                return False
            if packet.pts > pts:
                if packet.is_keyframe:
                    break
                beyond += 1
        return self._back_to_keyframe(pts)

    def forget(self) -> None:
        """What comes next is read elsewhere."""
        self._behind.clear()
        self._ahead.clear()
        self._bytes = 0

    def _back_to_keyframe(self, pts: int) -> bool:
        while self._behind:
            packet = self._behind.pop()
            self._bytes -= packet.size
            self._ahead.appendleft(packet)
            if packet.is_keyframe and packet.pts is not None and packet.pts <= pts:
                return True
        return False
