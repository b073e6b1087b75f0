"""A file that comes to be in a folder: under a temporary name until it is whole, then brought to the disk and renamed.

with LocalWriter(root, (b"2026", b"movie.mp4")) as writer:
    writer.add(data)
    writer.finish()    # Written(size=…, etag=…, sha256=…); without it nothing is left
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from stillframe.errors import SinkError
from stillframe.media.source import file_identity
from stillframe.storage import beneath
from stillframe.storage.bucket import Written
from stillframe.storage.local_keys import temporary_name

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | getattr(os, "O_CLOEXEC", 0)

#: what large files leave of a disk, on which the database may lie, too: so much, or of a small disk this share
_LEFT_FREE_BYTES, _LEFT_FREE_SHARE = 1 << 30, 0.05


class LocalWriter:
    """Writes the file at a path below the folder `root`. Raises OSError.

    Folders that are missing are made in the end: until then the file lies in the last one that is there.
    """

    def __init__(self, root: int, segments: tuple[bytes, ...]) -> None:
        folder, self._missing = _deepest(root, segments[:-1])
        self._folder = folder
        self._name = segments[-1]
        self._temporary = temporary_name()
        self._size = 0
        self._digest = hashlib.sha256()
        try:
            self._descriptor = os.open(self._temporary, _NEW_FILE, 0o666, dir_fd=folder)
        except BaseException:
            os.close(folder)
            raise
        lock(self._descriptor)
        self._is_open = True

    def add(self, data: bytes) -> None:
        """Write more of it."""
        _write_all(self._descriptor, data)
        self._size += len(data)
        self._digest.update(data)

    def demand_room(self) -> None:
        """Raises OSError while little is left free of the disk."""
        disk = os.fstatvfs(self._descriptor)
        free, size = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
        if free < min(_LEFT_FREE_BYTES, size * _LEFT_FREE_SHARE):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def finish(self) -> Written:
        """Show it, over what was there; on return it is on the disk."""
        os.fsync(self._descriptor)
        facts = os.fstat(self._descriptor)
        with opened(beneath.make_folders(self._folder, self._missing)) as target:
            os.replace(self._temporary, self._name, src_dir_fd=self._folder, dst_dir_fd=target)
            self._let_go()
            beneath.settle(target)
        return Written(self._size, file_identity(facts), self._digest.hexdigest())

    def abort(self) -> None:
        """Leave nothing behind; after `finish` there is nothing to leave."""
        if self._is_open:
            with contextlib.suppress(OSError):
                os.unlink(self._temporary, dir_fd=self._folder)
            self._let_go()

    def _let_go(self) -> None:
        self._is_open = False
        os.close(self._descriptor)
        os.close(self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()


class WriterInWords:
    """The same for what is as large as somebody likes, with what goes wrong in the words of a bucket."""

    def __init__(self, writer: LocalWriter, fault: Callable[[OSError], SinkError]) -> None:
        self._writer = writer
        self._fault = fault

    def add(self, data: bytes) -> None:
        """Write more of it."""
        try:
            self._writer.demand_room()
            self._writer.add(data)
        except OSError as error:
            raise self._fault(error) from error

    def finish(self) -> Written:
        """Show it."""
        try:
            return self._writer.finish()
        except OSError as error:
            raise self._fault(error) from error

    def abort(self) -> None:
        """Leave nothing behind."""
        self._writer.abort()


def _deepest(root: int, folders: tuple[bytes, ...]) -> tuple[int, tuple[bytes, ...]]:
    """The last of a path's folders that is there, open, and those behind it that are missing."""
    for number in reversed(range(len(folders) + 1)):
        try:
            return beneath.open_beneath(root, folders[:number], beneath.FOLDER), folders[number:]
        except FileNotFoundError:
            if not number:
                raise
    raise AssertionError("the last try returns or raises")


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def lock(descriptor: int) -> None:
    """Tell whoever cleans up that somebody is at work; the lock goes with the process, however that ends."""
    # a file system without locks is one whose leftovers are never cleaned
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextlib.contextmanager
def opened(descriptor: int) -> Iterator[int]:
    """Close a descriptor in the end."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)
