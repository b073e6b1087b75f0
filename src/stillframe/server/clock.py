"""Whether something keeps this machine's clock right, as far as its kernel knows (adjtimex(2); Linux only)."""

from __future__ import annotations

import ctypes
import sys

_STA_UNSYNC = 0x40


class Timex(ctypes.Structure):
    """struct timex, up to what is read here; the kernel writes some more behind it."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        *((name, ctypes.c_long) for name in ("offset", "freq", "maxerror", "esterror")),
        ("status", ctypes.c_int),
        *(
            (name, ctypes.c_long)
            for name in ("constant", "precision", "tolerance", "seconds", "microseconds")
        ),
        ("rest", ctypes.c_byte * 256),
    )


def is_kept_right() -> bool | None:
    """False when the kernel says that the clock is not synchronised; None where it does not tell."""
    told = read_timex()
    return None if told is None else not told.status & _STA_UNSYNC


def read_timex() -> Timex | None:
    """What the kernel tells of its clock; None where it does not."""
    if sys.platform != "linux":
        return None
    told = Timex()
    try:
        # with no modes set nothing is changed
        refused = ctypes.CDLL(None).adjtimex(ctypes.byref(told)) == -1
    except AttributeError:
        return None
    return None if refused else told
