"""Landlock: no file can be opened, listed or changed, and from later kernels on nothing connected or signalled.

A second barrier behind seccomp, made by another part of the kernel. Source: Linux,
Documentation/userspace-api/landlock.rst.
"""

from __future__ import annotations

import ctypes
import os
import struct

from stillframe.sandbox.libc import call, last_error

#: the calls have the same numbers on every architecture
_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_VERSION = 1
#: how many kinds of access to files each version of the interface knows
_FILE_ACCESSES = {1: 13, 2: 14, 3: 15, 4: 15}
_LATER_FILE_ACCESSES = 16
_BIND_AND_CONNECT_TCP = 3
_ABSTRACT_SOCKETS_AND_SIGNALS = 3


def version() -> int | None:
    """The version of the interface that this kernel has; None where there is none."""
    found = call("syscall", _CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)
    return found if found > 0 else None


def restrict() -> int | None:
    """Forbid this thread, and those it starts, all that Landlock can; the interface's version, None without.

    It must have no_new_privs already. Raises OSError.
    """
    abi = version()
    if abi is None:
        return None
    files = (1 << _FILE_ACCESSES.get(abi, _LATER_FILE_ACCESSES)) - 1
    network = _BIND_AND_CONNECT_TCP if abi >= 4 else 0
    scoped = _ABSTRACT_SOCKETS_AND_SIGNALS if abi >= 6 else 0
    handled = struct.pack("QQQ", files, network, scoped)[: 8 if abi < 4 else 16 if abi < 6 else 24]
    # what is handled and has no rule is denied
    ruleset = call("syscall", _CREATE_RULESET, handled, ctypes.c_size_t(len(handled)), 0)
    if ruleset < 0:
        raise last_error()
    try:
        if call("syscall", _RESTRICT_SELF, ruleset, 0) != 0:
            raise last_error()
    finally:
        os.close(ruleset)
    return abi
