"""Packets out of the clusters of a Matroska or WebM file, from any block on; without libav's demuxer.

libav goes through a file without cues from one end to the other before it seeks in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from av.packet import Packet
from av.stream import Stream

from stillframe.media.landmarks import Odd, Picture
from stillframe.media.mkv_layout import (
    CLUSTER,
    GROUP,
    SIMPLE_BLOCK,
    TIMESTAMP,
    UNKNOWN,
    MkvHeader,
    ReadAt,
    block_of,
    cluster_time,
    element_at,
    is_key,
)
from stillframe.media.packets import packet_of

_HEAD_BYTES = 4 << 10
_MOST_BLOCK_BYTES = 64 << 20


def packets(
    read_at: ReadAt, header: MkvHeader, streams: Mapping[int, Stream], start: Picture
) -> Iterator[Packet[Any]]:
    """The packets of some tracks (number: stream) from a picture on, to the end.

    Raises Odd at what is not understood.
    """
    position, ticks = start.position, start.cluster_ticks
    while head := read_at(position, _HEAD_BYTES):
        element = element_at(head, position, position)
        if element is None:
            return
        if element.id == CLUSTER:
            position = element.content
            continue
        if element.length == UNKNOWN:
            raise Odd("an element of unknown size that is no cluster")
        if element.id == TIMESTAMP:
            ticks = cluster_time(read_at(element.content, min(element.length, 9)))
        elif element.id in (SIMPLE_BLOCK, GROUP) and element.length <= _MOST_BLOCK_BYTES:
            data = head
            if element.end - position > len(head):
                data = head + read_at(position + len(head), element.end - position - len(head))
            packet = _packet(data, position, header, streams, ticks)
            if packet is not None:
                yield packet
        position = element.end


def _packet(
    data: bytes, position: int, header: MkvHeader, streams: Mapping[int, Stream], cluster_ticks: int
) -> Packet[Any] | None:
    inner = element_at(data, 0, 0)
    assert inner is not None
    block = block_of(data, inner, cluster_ticks, header.track)
    if block is None or block.track not in streams:
        return None
    payload = data[block.position : block.position + block.length]
    if len(payload) < block.length:
        return None
    stream = streams[block.track]
    packet = packet_of(payload)
    packet.stream = stream
    packet.pts = block.pts
    packet.time_base = stream.time_base or packet.time_base
    packet.is_keyframe = block.keyframe or (block.track == header.track and bool(is_key(header, payload)))
    packet.duration = header.picture_ticks if block.track == header.track else 0
    return packet
