"""Giving memory that was freed back to the system.

glibc keeps what lies between blocks that are still in use. Packets, frames and sheets of all sizes come and go on
several threads, so that without this a film's thousandth shot needs twice the memory of its hundredth.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

#: glibc's malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
#: packets are smaller, the frames and sheets of films larger
_LARGE_BYTES = 1 << 20
#: what a thread may keep for its next packets: giving that back again and again would cost a page fault for each 4 KiB
_KEPT_BYTES = 8 << 20


def _of_the_c_library(name: str) -> Callable[..., int] | None:
    """A function of glibc; None with another C library."""
    try:
        found: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError):
        return None
    return found


#: found now, since a decoding child that is locked in may not look for them
_TRIM = _of_the_c_library("malloc_trim")
_MALLOPT = _of_the_c_library("mallopt")


def give_back() -> None:
    """Give back what the C library's allocator holds and does not use; about a millisecond. Does nothing elsewhere."""
    if _TRIM is not None:
        _TRIM(0)


def give_back_large_blocks_at_once() -> None:
    """From now on, let no large block share its pages with others. It holds for all of this process: for our own."""
    if _MALLOPT is not None:
        _MALLOPT(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        # which glibc no longer sets by itself when the other one is set
        _MALLOPT(_M_TRIM_THRESHOLD, _KEPT_BYTES)
