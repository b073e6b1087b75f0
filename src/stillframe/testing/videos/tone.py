"""A sine tone, for files that have sound beside the pictures or instead of them."""

from __future__ import annotations

from fractions import Fraction
from typing import cast

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer

__all__ = ["add_tone", "encode_tone"]

_RATE_HZ = 48_000
_FRAME_SAMPLES = 1024


def add_tone(container: OutputContainer, codec: str) -> AudioStream:
    """A mono audio stream of 48 kHz; call before the first packet is written."""
    stream = cast(AudioStream, container.add_stream(codec, rate=_RATE_HZ))
    stream.codec_context.layout = "mono"
    return stream


def encode_tone(container: OutputContainer, stream: AudioStream, start_s: Fraction, end_s: Fraction) -> None:
    """Fill ``stream`` with 440 Hz from ``start_s`` to ``end_s``."""
    wave = np.sin(np.arange(int((end_s - start_s) * _RATE_HZ)) * (2 * np.pi * 440 / _RATE_HZ)) * 0.2
    step = stream.codec_context.frame_size or _FRAME_SAMPLES
    whole = stream.codec_context.format.name == "s16"
    for first in range(0, len(wave), step):
        samples = wave[None, first : first + step]
        if whole:
            frame = AudioFrame.from_ndarray((samples * 32767).astype(np.int16), format="s16", layout="mono")
        else:
            frame = AudioFrame.from_ndarray(samples.astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.time_base = _RATE_HZ, Fraction(1, _RATE_HZ)
        frame.pts = int(start_s * _RATE_HZ) + first
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
