"""A source is the video to read: a size, an identity and a way to read byte ranges.

`ByteSource` is the port; a file and a block of memory are here, object storage has its own. Worked example:

    with FileSource("movie.mp4") as source:
        source.size, source.identity
        source.read_at(0, 16)          # the first 16 bytes
        reader = SourceFile(source)    # its face towards libav: read, seek, tell
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from stillframe.errors import MediaError, SourceError, may_pass, os_reason
from stillframe.media.meter import Counts, Meter, ReadLimit, meter_of


class ByteSource(Protocol):
    """Random access to the bytes of one video. Safe to use from several threads at once."""

    @property
    def name(self) -> str:
        """What to call it in messages."""

    @property
    def size(self) -> int:
        """Length in bytes."""

    @property
    def identity(self) -> str:
        """Changes when the content changes (an ETag, or a file's inode, size and modification time)."""

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer only at the end. Raises SourceError."""

    def prefetch(self, extents: Sequence[tuple[int, int]]) -> None:
        """A hint: these (offset, length) ranges will be read soon."""

    def close(self) -> None:
        """Give back what the source holds."""


#: ranges that `Arriving` is asked about at once
MOST_AWAITED = 16


@runtime_checkable
class Arriving(Protocol):
    """A source whose bytes arrive after a while, in any order: it knows which ranges are there."""

    def first_there(self, extents: Sequence[tuple[int, int]]) -> int:
        """The number of the first of these (offset, length) ranges to be there; 0 when none is on its way."""


def first_there(source: ByteSource, extents: Sequence[tuple[int, int]]) -> int:
    """As `Arriving`; of other sources everything is there at once."""
    return source.first_there(extents) if isinstance(source, Arriving) else 0


class FileSource:
    """A regular file on disk."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        name = os.fspath(path)
        try:
            # O_NONBLOCK: opening a named pipe must not wait for a writer that never comes
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0))
        except (OSError, ValueError) as error:
            raise SourceError(name, os_reason(error)) from error
        self._hold(descriptor, name)

    def _hold(self, descriptor: int, name: str) -> None:
        """Become the source of an open descriptor; a bucket opens its files in its own way."""
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            os.close(descriptor)
            kind = "a folder" if stat.S_ISDIR(facts.st_mode) else "not a regular file"
            raise SourceError(name, f"is {kind}")
        self._descriptor = descriptor
        self.name = name
        self.size = facts.st_size
        self.modified_ns = facts.st_mtime_ns
        self.identity = file_identity(facts)

    def fileno(self) -> int:
        """The read-only descriptor, for a decoding child; it is read at places, never on from where it stands."""
        return self._descriptor

    def read_at(self, offset: int, length: int) -> bytes:
        try:
            data = os.pread(self._descriptor, length, offset)
            # a signal or a network file system may cut a read short
            while data and len(data) < length and offset + len(data) < self.size:
                more = os.pread(self._descriptor, length - len(data), offset + len(data))
                if not more:
                    break
                data += more
        except OSError as error:
            message = f"reading at byte {offset} failed: {os_reason(error)}"
            raise SourceError(self.name, message, transient=may_pass(error)) from error
        return data

    def prefetch(self, extents: Sequence[tuple[int, int]]) -> None:
        if hasattr(os, "posix_fadvise"):
            for offset, length in extents:
                # only a hint: what the system thinks of it is of no matter
                with contextlib.suppress(OSError):
                    os.posix_fadvise(self._descriptor, offset, length, os.POSIX_FADV_WILLNEED)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def file_identity(facts: os.stat_result) -> str:
    """What changes when a file is written to, or replaced by another one."""
    return f"{facts.st_dev:x}-{facts.st_ino:x}-{facts.st_size:x}-{facts.st_mtime_ns:x}"


@contextlib.contextmanager
def unchanged(source: ByteSource) -> Iterator[None]:
    """What is made in this context is made of one content: a file that is written to meanwhile raises SourceError.

    A file may be refused because it was half of two: then it is not the video that is at fault either. A source over a
    network demands its content of each range, and raises by itself.
    """
    try:
        yield
    except MediaError:
        _demand_unchanged(source)
        raise
    _demand_unchanged(source)


def _demand_unchanged(source: ByteSource) -> None:
    if isinstance(source, FileSource) and file_identity(os.fstat(source.fileno())) != source.identity:
        raise SourceError(source.name, "the file has changed since it was surveyed")


class MemorySource:
    """A video that lies in memory."""

    def __init__(self, data: bytes, name: str = "<memory>") -> None:
        self.name = name
        self.size = len(data)
        self._data = data

    @cached_property
    def identity(self) -> str:
        """The SHA-256 of the data, in hex digits."""
        import hashlib

        return hashlib.sha256(self._data).hexdigest()

    def read_at(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]

    def prefetch(self, extents: Sequence[tuple[int, int]]) -> None:
        """Nothing to do: it is all here."""

    def close(self) -> None:
        """Nothing to give back."""


class PrefixSource:
    """The first bytes of another source, as if there were no more."""

    def __init__(self, source: ByteSource, size: int) -> None:
        self.name = source.name
        self.size = min(size, source.size)
        self._source = source

    @property
    def identity(self) -> str:
        """The identity of the whole."""
        return self._source.identity

    def read_at(self, offset: int, length: int) -> bytes:
        return self._source.read_at(offset, min(length, max(self.size - offset, 0)))

    def prefetch(self, extents: Sequence[tuple[int, int]]) -> None:
        self._source.prefetch(extents)

    def close(self) -> None:
        """Nothing to give back: the other source is its owner's."""


class MeteredSource:
    """A source that counts what is read of another one, by all who read it, and bounds it."""

    def __init__(self, source: ByteSource, limit: ReadLimit | None = None) -> None:
        self.name, self.size = source.name, source.size
        #: where the segments of a playlist lie in it (see `media/playlist.py`)
        self.playlist: object = getattr(source, "playlist", None)
        self._source = source
        self._asked = Meter(source.name, source.size)
        #: where bytes cost something
        self._paid = meter_of(source) or self._asked
        self._paid.allow(limit)

    @property
    def identity(self) -> str:
        """The identity of the source that is metered."""
        return self._source.identity

    @property
    def bytes_read(self) -> int:
        """What the decoder has read until now."""
        return self._asked.bytes_read

    def read_at(self, offset: int, length: int) -> bytes:
        self._asked.ask(length)
        data = self._source.read_at(offset, length)
        self._asked.came(length, len(data))
        return data

    def prefetch(self, extents: Sequence[tuple[int, int]]) -> None:
        self._source.prefetch(extents)

    def first_there(self, extents: Sequence[tuple[int, int]]) -> int:
        return first_there(self._source, extents)

    def close(self) -> None:
        self._source.close()

    def count_into(self, stats: Counts) -> None:
        """Say what was read until now, and for that over the network since this was said last."""
        self._paid.take(stats)
        stats.reads = self._asked.requests


class SourceFile:
    """A source's face towards libav: a file object.

    It has no `name` on purpose: libav takes a name as a hint that it may open other things beside it.
    """

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._position = 0
        #: what went wrong in a read; libav swallows exceptions on its way back, so it is kept here
        self.error: SourceError | KeyboardInterrupt | None = None

    def read(self, length: int) -> bytes:
        length = min(length, self._source.size - self._position)
        if length <= 0 or isinstance(self.error, KeyboardInterrupt):
            return b""
        try:
            data = self._source.read_at(self._position, length)
        except SourceError as error:
            self.error = error
            raise
        except KeyboardInterrupt as error:
            # PyAV would only print it, and libav would go on reading
            self.error = error
            from av.error import ExitError

            raise ExitError(0, "interrupted") from error
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._source.size}.get(whence)
        if base is None or base + offset < 0:
            raise ValueError(f"cannot seek to {offset} (whence {whence})")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def raise_error(self) -> None:
        """Raise what went wrong in a read since this was last asked, if anything did."""
        if self.error is not None:
            error, self.error = self.error, None
            raise error


def open_source(source: str | os.PathLike[str] | ByteSource) -> ByteSource:
    """A source from a path, or the source itself."""
    if isinstance(source, str | Path | os.PathLike):
        return FileSource(source)
    return source
