"""The C library, for the system calls that Python has no function for; loaded once, before anything is forked."""

from __future__ import annotations

import ctypes
import os

_LIBC = ctypes.CDLL(None, use_errno=True)
#: each is made when it is first looked up, which is done here and not in every child
FUNCTIONS = {
    name: getattr(_LIBC, name) for name in ("syscall", "prctl", "unshare", "capset") if hasattr(_LIBC, name)
}


def call(name: str, *arguments: object) -> int:
    """Call a function of the C library; -1 for one that this system does not have."""
    function = FUNCTIONS.get(name)
    return -1 if function is None else int(function(*arguments))


def last_error() -> OSError:
    """What the last call has failed with."""
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
