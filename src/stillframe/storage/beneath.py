"""Opening what lies below a folder, without ever following a symbolic link, not even one that appears meanwhile.

    root = os.open("/srv/videos", os.O_RDONLY | os.O_DIRECTORY)
    open_beneath(root, (b"2026", b"movie.mp4"), os.O_RDONLY)

Where the kernel has openat2 (Linux 5.6) it looks the whole path up under that rule; elsewhere each part is opened by
itself relative to the one before, so that what was checked is what is used.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import sys
from collections.abc import Callable, Sequence
from functools import cache

Enter = Callable[[int, bytes, int], int]

_O_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
FOLDER = os.O_RDONLY | os.O_DIRECTORY | _O_CLOEXEC
#: a named pipe does not wait for a writer, a terminal does not become ours
FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | _O_CLOEXEC

_SYS_OPENAT2 = 437  # the same on every architecture that Linux runs Python on, Alpha aside
_RESOLVE_NO_SYMLINKS = 0x04
_RESOLVE_BENEATH = 0x08
_TRIES = 8


def open_beneath(root: int, segments: Sequence[bytes], flags: int) -> int:
    """Open the path below the folder `root`; no segment is `.` or `..` or holds a slash. Raises OSError.

    A symbolic link anywhere in the path gives ELOOP or ENOTDIR.
    """
    if not segments:
        return os.open(".", flags, dir_fd=root)
    return (
        _openat2(root, b"/".join(segments), flags) if has_openat2() else _walk(root, segments, flags, _enter)
    )


def make_folders(root: int, segments: Sequence[bytes]) -> int:
    """Open the folder below `root`, and make what is missing of it. Raises OSError."""
    try:
        return open_beneath(root, segments, FOLDER)
    except FileNotFoundError:
        return _walk(root, segments, FOLDER, _enter_or_make)


def settle(folder: int) -> None:
    """Bring the names in a folder to the disk, where its file system can do that. Raises OSError."""
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


@cache
def has_openat2() -> bool:
    """Whether openat2 can be used: the kernel has it, and no filter of system calls forbids it."""
    if sys.platform != "linux":
        return False
    root = os.open("/", FOLDER)
    try:
        os.close(_openat2(root, b".", FOLDER))
    except OSError:
        return False
    finally:
        os.close(root)
    return True


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def _openat2(root: int, path: bytes, flags: int) -> int:
    how = _OpenHow(flags, 0, _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS)
    for _ in range(_TRIES):
        descriptor = _libc().syscall(
            ctypes.c_long(_SYS_OPENAT2),
            ctypes.c_int(root),
            ctypes.c_char_p(path),
            ctypes.byref(how),
            ctypes.c_size_t(ctypes.sizeof(how)),
        )
        if descriptor >= 0:
            return int(descriptor)
        # EAGAIN: something was renamed during the look-up, which says nothing about our path
        if ctypes.get_errno() not in (errno.EAGAIN, errno.EINTR):
            break
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), os.fsdecode(path))


@cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc


def _walk(root: int, segments: Sequence[bytes], flags: int, enter: Enter) -> int:
    folder = root
    try:
        for segment in segments[:-1]:
            folder = _instead_of(folder, enter(folder, segment, FOLDER), root)
        return enter(folder, segments[-1], flags)
    finally:
        if folder != root:
            os.close(folder)


def _enter(folder: int, segment: bytes, flags: int) -> int:
    return os.open(segment, flags | os.O_NOFOLLOW, dir_fd=folder)


def _enter_or_make(folder: int, segment: bytes, flags: int) -> int:
    with contextlib.suppress(FileNotFoundError):
        return _enter(folder, segment, flags)
    # another writer may be quicker
    with contextlib.suppress(FileExistsError):
        os.mkdir(segment, dir_fd=folder)
        settle(folder)
    return _enter(folder, segment, flags)


def _instead_of(folder: int, following: int, root: int) -> int:
    if folder != root:
        os.close(folder)
    return following
