"""What a reader hands to the decoder: packets, and the feeds that they may come from instead of libav's demuxer.

A feed that knows where every sample lies tells of packets without reading them: only those that are decoded cost
bytes of the source.
"""

from __future__ import annotations

from typing import Any, Protocol

from av.packet import Packet


class VideoPacket(Protocol):
    """What there is to know of one coded picture before it is decoded; PyAV's packets are such. Times are ticks."""

    @property
    def pts(self) -> int | None:
        """When its picture is shown."""

    @property
    def dts(self) -> int | None:
        """Its place in the order of decoding."""

    @property
    def size(self) -> int:
        """Length in bytes."""

    @property
    def is_keyframe(self) -> bool:
        """Whether decoding can begin here."""

    @property
    def is_discard(self) -> bool:
        """Whether it is decoded and not shown (an edit list leaves it out)."""

    @property
    def is_corrupt(self) -> bool:
        """Whether a part of it is missing."""

    @property
    def is_disposable(self) -> bool:
        """Whether no other picture needs it."""


class StoredPacket(VideoPacket, Protocol):
    """A packet that still lies in the source."""

    def load(self) -> Packet[Any]:
        """Read it. Raises SourceError."""


class PacketFeed(Protocol):
    """The packets of one video stream in decode order, from wherever it was moved to."""

    def seek(self, pts: int) -> bool:
        """Go to the last keyframe that is shown at or before `pts`; False when there is none."""

    def rewind(self) -> None:
        """Go to the very first packet."""

    def next_packet(self) -> StoredPacket | None:
        """The next packet; None at the end."""

    def is_lost(self, moment: int, pts: int) -> bool:
        """Whether pictures that cannot be read lie between one at `pts`, the last before a moment, and that moment."""

    def another(self) -> PacketFeed:
        """A feed of the same packets that moves by itself."""


def time_of(packet: VideoPacket) -> int | None:
    """When a packet's picture is shown, in stream ticks; its decode time when the container says no more."""
    return packet.pts if packet.pts is not None else packet.dts


def packet_of(data: bytes) -> Packet[Any]:
    """A packet with these bytes, which decoders may read past the end of.

    They do so by up to 64 bytes, and find zeros. Behind the bytes that a packet is made of directly lies whatever
    memory holds: what is decoded of it then differs from time to time.
    """
    packet: Packet[Any] = Packet(len(data))
    packet.update(data)
    return packet
