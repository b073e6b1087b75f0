"""Giving memory that was freed back to the system.

glibc keeps what lies between blocks that are still in use. Packets and frames of all sizes come and go on several
threads, so that without this a film's thousandth shot needs twice the memory of its hundredth.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable


def _malloc_trim() -> Callable[[int], int] | None:
    """glibc's malloc_trim; None with another C library."""
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return None
    return trim


#: found now, since a decoding child that is locked in may not look for it
_TRIM = _malloc_trim()


def give_back() -> None:
    """Give back what the C library's allocator holds and does not use; about a millisecond. Does nothing elsewhere."""
    if _TRIM is not None:
        _TRIM(0)
