"""A bucket that is a folder on disk.

    bucket = LocalBucket("/srv/videos", "videos")
    bucket.write("thumbs/00001.jpg", jpeg, "image/jpeg")
    with bucket.open_source("movie.mp4") as source:
        source.read_at(0, 16), source.fileno()

No symbolic link in the folder is followed, neither among a key's folders nor at its end, whoever makes it and
whenever (`beneath.py`); the folder's own path is the operator's and may hold some. Only regular files are objects.
A file is written under a temporary name beside its own, brought to the disk and renamed: readers see the old content
or the new one, and never a part.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from stillframe.errors import ConfigError, SinkError, SourceError, may_pass, os_reason
from stillframe.media.source import FileSource, file_identity, unchanged
from stillframe.storage import beneath
from stillframe.storage.bucket import FolderPage, ObjectFacts, Written
from stillframe.storage.local_folder import look_in
from stillframe.storage.local_keys import check_name, is_own, segments_of
from stillframe.storage.local_writer import LocalWriter, WriterInWords, opened

_READ_BYTES = 1 << 20
#: a folder that somebody removes between its making and its use is made again
_WRITE_TRIES = 5
_Error = TypeVar("_Error", SourceError, SinkError)


class LocalObject(FileSource):
    """A file of a bucket, open for reading."""

    store = "fs"

    def __init__(self, descriptor: int, name: str, key: str) -> None:
        self._hold(descriptor, name)
        self.key = key

    @property
    def facts(self) -> ObjectFacts:
        return ObjectFacts(self.key, self.size, self.identity, self.modified_ns / 1e9)


class LocalBucket:
    """A folder as a bucket. `name` is what users call it, for messages; without one they show the folder's path."""

    def __init__(self, root: str | os.PathLike[str], name: str | None = None) -> None:
        self.root = Path(root)
        self._shown = str(self.root) if name is None else f"oss://{name}"

    def demand_key(self, key: str, path: str) -> None:
        segments_of(key, path)

    def whereabouts(self, key: str) -> str:
        return f"fs:{os.path.realpath(self.root)}/{key}"

    def stat(self, key: str) -> ObjectFacts:
        with self.open_source(key) as source:
            return source.facts

    def find(self, key: str) -> ObjectFacts | None:
        try:
            return self.stat(key)
        except SourceError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise

    def open_source(self, key: str) -> LocalObject:
        segments = segments_of(key)
        try:
            with self._root() as root:
                descriptor = beneath.open_beneath(root, segments, beneath.FILE)
        except OSError as error:
            raise self._fault(SourceError, key, error) from error
        return LocalObject(descriptor, self._called(key), key)

    def read_range(self, facts: ObjectFacts, offset: int, length: int) -> bytes:
        with self.open_source(facts.key) as source, unchanged(source):
            data = source.read_at(offset, length) if source.identity == facts.etag else b""
            if source.identity != facts.etag or len(data) != length:
                raise SourceError(source.name, "the object was replaced while it was read", transient=True)
            return data

    def read(self, key: str) -> bytes:
        with self.open_source(key) as source:
            return source.read_at(0, source.size)

    def write(self, key: str, data: bytes, content_type: str = "") -> Written:
        """As the port says; the content type is not kept, since a file's name tells it."""
        segments = segments_of(key)
        for tries_left in reversed(range(_WRITE_TRIES)):
            try:
                with self._root() as root, LocalWriter(root, segments) as writer:
                    writer.add(data)
                    return writer.finish()
            except OSError as error:
                if not (tries_left and isinstance(error, FileNotFoundError)):
                    raise self._fault(SinkError, key, error) from error
        raise AssertionError("the last try returns or raises")

    def open_writer(self, key: str, content_type: str = "") -> WriterInWords:
        """As the port says; folders that are missing are made in the end, so that none is left empty."""
        segments = segments_of(key)
        try:
            with self._root() as root:
                writer = LocalWriter(root, segments)
        except OSError as error:
            raise self._fault(SinkError, key, error) from error
        return WriterInWords(writer, lambda error: self._fault(SinkError, key, error))

    def verify(self, key: str, written: Written) -> bool:
        try:
            with self.open_source(key) as source:
                if source.size != written.size:
                    return False
                return source.identity == written.etag or _sha256(source) == written.sha256
        except SourceError as error:
            if error.transient:
                raise
            return False

    def delete(self, key: str) -> None:
        """As the port says; folders that become empty stay, since they may be the operator's."""
        segments = segments_of(key)
        try:
            with self._root() as root:
                _delete(root, segments)
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._fault(SinkError, key, error) from error

    def links(self, keys: Sequence[str], seconds: int) -> None:
        """None, as the port says: the server itself reads for those who hold its links."""

    def list(self, prefix: str = "") -> Iterator[ObjectFacts]:
        """As the port says. What has a name that no key can have (not UTF-8, too long) is left out."""
        for segments in self._files(prefix):
            try:
                key = b"/".join(segments).decode()
                segments_of(key)
                with self._root() as root, _folder_of(root, segments) as folder:
                    facts = os.stat(segments[-1], dir_fd=folder, follow_symlinks=False)
            except (ConfigError, UnicodeDecodeError):
                continue
            except OSError as error:
                if _is_gone(error):
                    continue
                raise self._fault(SourceError, key, error) from error
            if stat.S_ISREG(facts.st_mode):
                yield ObjectFacts(key, facts.st_size, file_identity(facts), facts.st_mtime_ns / 1e9)

    def look_in(
        self, folder: str, starts: str = "", after: str | None = None, most: int = 1000
    ) -> FolderPage:
        """As the port says. Nothing is in a folder that is not there."""
        segments = segments_of(folder.removesuffix("/"), "Folder") if folder else ()
        try:
            with self._root() as root:
                return look_in(root, segments, starts, after, most)
        except OSError as error:
            if _is_gone(error):
                return FolderPage((), (), None)
            raise self._fault(SourceError, folder, error) from error

    def check(self) -> None:
        name, data = (check_name(),), secrets.token_bytes(64)
        try:
            with self._root() as root:
                with LocalWriter(root, name) as writer:
                    writer.add(data)
                    writer.finish()
                try:
                    with opened(beneath.open_beneath(root, name, beneath.FILE)) as descriptor:
                        found = os.read(descriptor, len(data) + 1)
                finally:
                    _delete(root, name)
        except OSError as error:
            raise self._fault(SinkError, os.fsdecode(name[0]), error) from error
        if found != data:
            raise SourceError(self._shown, "what is read back is not what was written")

    def clean_leftovers(self, folder: str = "", *, older_than_s: float = 0) -> int:
        """As the port says, in a folder and all below it.

        A file that is being written, by whatever process of this machine, is left alone, however old it is.
        """
        prefix = f"{folder.rstrip('/')}/" if folder else ""
        newest_s = time.time() - older_than_s
        removed = 0
        for segments in self._files(prefix):
            if is_own(segments[-1]):
                # one that goes meanwhile, or may not be removed, harms nobody
                with contextlib.suppress(OSError), self._root() as root:
                    removed += _remove_abandoned(root, segments, newest_s)
        return removed

    @contextlib.contextmanager
    def _root(self) -> Iterator[int]:
        # opened anew each time: a disk that is mounted again is found again
        try:
            descriptor = os.open(self.root, beneath.FOLDER)
        except OSError as error:
            raise _RootFault(error.errno, error.strerror) from error
        with opened(descriptor):
            yield descriptor

    def _files(self, prefix: str) -> Iterator[tuple[bytes, ...]]:
        """The paths of the regular files whose names start with the prefix, in the order of their bytes."""
        above = prefix.rpartition("/")[0]
        start = prefix.encode()
        waiting: list[tuple[tuple[bytes, ...], bool]] = [
            (segments_of(above, "Prefix") if above else (), True)
        ]
        while waiting:
            segments, is_folder = waiting.pop()
            if not is_folder:
                yield segments
                continue
            try:
                with self._root() as root:
                    entries = _entries(root, segments)
            except OSError as error:
                if _is_gone(error):
                    continue
                raise self._fault(SourceError, os.fsdecode(b"/".join(segments)), error) from error
            waiting += [entry for entry in entries if b"/".join(entry[0]).startswith(start)]

    def _called(self, key: str) -> str:
        return f"{self._shown}/{key}"

    def _fault(self, kind: type[_Error], key: str, error: OSError) -> _Error:
        number = error.errno or 0
        if isinstance(error, _RootFault):
            reason = _ROOT_REASONS.get(number, os_reason(error))
            return kind(self._shown, f"the bucket's folder: {reason}", transient=number != errno.EACCES)
        return kind(self._called(key), _REASONS.get(number) or os_reason(error), transient=may_pass(error))


class _RootFault(OSError):
    """The bucket's own folder cannot be opened; unlike with a FileNotFoundError the object may well exist."""


_ROOT_REASONS = {errno.ENOENT: "does not exist", errno.ENOTDIR: "is a file, not a folder"}
_REASONS = {
    errno.ELOOP: "is, or lies behind, a symbolic link, and in a bucket none is followed",
    errno.ENOTDIR: "a part of the path is a file or a symbolic link, not a folder",
    errno.ENXIO: "is not a regular file",
}


def _is_gone(error: OSError) -> bool:
    """Whether what a list found is not there any more: a file or a link may have taken a folder's place, too."""
    away = error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
    return away and not isinstance(error, _RootFault)


def _folder_of(root: int, segments: tuple[bytes, ...]) -> contextlib.AbstractContextManager[int]:
    return opened(beneath.open_beneath(root, segments[:-1], beneath.FOLDER))


def _remove_abandoned(root: int, segments: tuple[bytes, ...], newest_s: float) -> bool:
    descriptor = beneath.open_beneath(root, segments, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)
    with opened(descriptor):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_mtime > newest_s:
            return False
        with _folder_of(root, segments) as folder:
            os.unlink(segments[-1], dir_fd=folder)
    return True


def _delete(root: int, segments: tuple[bytes, ...]) -> None:
    with _folder_of(root, segments) as folder:
        facts = os.stat(segments[-1], dir_fd=folder, follow_symlinks=False)
        if stat.S_ISDIR(facts.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(facts.st_mode):
            raise OSError(errno.ENXIO, os.strerror(errno.ENXIO))
        os.unlink(segments[-1], dir_fd=folder)


def _entries(root: int, segments: tuple[bytes, ...]) -> list[tuple[tuple[bytes, ...], bool]]:
    """The files and folders in a folder and whether each is a folder, the last one first."""
    with opened(beneath.open_beneath(root, segments, beneath.FOLDER)) as folder, os.scandir(folder) as found:
        named = [
            (os.fsencode(entry.name), entry.is_dir(follow_symlinks=False))
            for entry in found
            if entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)
        ]
    # keys go by their bytes, and those below a folder have a slash after its name
    named.sort(key=lambda entry: entry[0] + b"/" * entry[1], reverse=True)
    return [((*segments, name), is_folder) for name, is_folder in named]


def _sha256(source: LocalObject) -> str:
    digest = hashlib.sha256()
    for offset in range(0, source.size, _READ_BYTES):
        digest.update(source.read_at(offset, _READ_BYTES))
    return digest.hexdigest()
