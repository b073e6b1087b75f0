"""Packets of our own making are as safe to decode as those of libav."""

from __future__ import annotations

import ctypes

import pytest

from stillframe.media.packets import packet_of

#: AV_INPUT_BUFFER_PADDING_SIZE
PADDING_BYTES = 64


@pytest.mark.parametrize("size", [1, 15, 64, 5000])
def test_zeros_lie_behind_what_is_decoded(size: int) -> None:
    data = b"\xff" * size
    for _ in range(100):
        packet = packet_of(data)
        assert bytes(packet) == data
        assert ctypes.string_at(packet.buffer_ptr + size, PADDING_BYTES) == bytes(PADDING_BYTES)


def test_an_empty_packet() -> None:
    assert bytes(packet_of(b"")) == b""
