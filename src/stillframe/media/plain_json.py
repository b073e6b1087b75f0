"""JSON to plain data (dataclasses and named tuples), safe among threads.

msgspec learns a class when it first meets it, and keeps what it has learnt with the class before it is complete: a
second thread that comes just then crashes the process (0.22.0). So it learns under a lock, here.
"""

from __future__ import annotations

import threading
from typing import Any, TypeVar

import msgspec

Plain = TypeVar("Plain")

_learning = threading.Lock()
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def decode(data: bytes | bytearray, wanted: type[Plain]) -> Plain:
    """The value that JSON text stands for. Raises msgspec.MsgspecError for anything else."""
    return _decoder_of(wanted).decode(data)


def convert(value: Any, wanted: type[Plain]) -> Plain:
    """The value that JSON's objects and lists stand for. Raises msgspec.ValidationError for anything else."""
    _decoder_of(wanted)
    return msgspec.convert(value, wanted)


def _decoder_of(wanted: type[Plain]) -> msgspec.json.Decoder[Plain]:
    with _learning:
        if wanted not in _decoders:
            _decoders[wanted] = msgspec.json.Decoder(wanted)
        return _decoders[wanted]
