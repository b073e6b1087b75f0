"""A bucket holds objects under keys. This is the port; a folder on disk is `LocalBucket`.

    bucket.write("thumbs/00001.jpg", jpeg, "image/jpeg")    # Written(size=5120, etag=…, sha256=…)
    bucket.stat("thumbs/00001.jpg").etag
    with bucket.open_source("movie.mp4") as source:
        source.read_at(0, 16)

Every method may block. Keys that a bucket cannot hold are a ConfigError; what cannot be read is a SourceError and what
cannot be written a SinkError, each with `transient` set when the same may work a little later.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from stillframe.media.source import ByteSource


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """What is known of an object without reading it; `etag` changes with every write, `modified_s` is Unix time."""

    key: str
    size: int
    etag: str
    modified_s: float


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: `etag` is what `stat` says until the object is written again, `sha256` is in hex digits."""

    size: int
    etag: str
    sha256: str


class ObjectSource(ByteSource, Protocol):
    """An object open for reading: the content stays the one that `facts` tells of, whatever becomes of the key."""

    @property
    def facts(self) -> ObjectFacts:
        """Of the content that is read here."""

    @property
    def store(self) -> str:
        """The kind of store that it lies in, such as `fs` and `s3`, for metrics."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class ObjectWriter(Protocol):
    """An object that is being written, piece by piece: nobody sees any of it before `finish`. Of one thread."""

    def add(self, data: bytes) -> None:
        """Write more of it. Raises SinkError."""

    def finish(self) -> Written:
        """Show it whole, over what was there; on return it is on the disk. Raises SinkError."""

    def abort(self) -> None:
        """Give up, and remove what was written; after `finish` there is nothing to give up."""


@dataclass(frozen=True, slots=True)
class FolderPage:
    """Some of what lies directly in a folder: folders' keys, which end in a slash, and objects.

    `next` is where the following page begins; None: there is no more.
    """

    folders: Sequence[str]
    objects: Sequence[ObjectFacts]
    next: str | None


class Bucket(Protocol):
    """Objects under keys. Safe to use from several threads and processes at once."""

    def demand_key(self, key: str, path: str) -> None:
        """Refuse a key that no object here can have. Raises ConfigError for the parameter `path`."""

    def whereabouts(self, key: str) -> str:
        """Where an object lies, or would: the same words for the same object, whatever the bucket is called."""

    def stat(self, key: str) -> ObjectFacts:
        """What is known of an object. Raises SourceError when there is none."""

    def find(self, key: str) -> ObjectFacts | None:
        """As `stat`, but None when there is none. Raises SourceError where that cannot be told."""

    def open_source(self, key: str) -> ObjectSource:
        """Open an object for reading. Raises SourceError when there is none."""

    def read_range(self, facts: ObjectFacts, offset: int, length: int) -> bytes:
        """All of a range of the very content that `facts` were told of. Raises SourceError."""

    def read(self, key: str) -> bytes:
        """The whole object, for small ones. Raises SourceError."""

    def write(self, key: str, data: bytes, content_type: str) -> Written:
        """Write an object whole or not at all, over what was there. On return it is on the disk. Raises SinkError."""

    def open_writer(self, key: str, content_type: str) -> ObjectWriter:
        """Begin to write an object that is too large for the memory. Raises SinkError."""

    def verify(self, key: str, written: Written) -> bool:
        """Whether the object is what was written. Raises SourceError only when that cannot be told now."""

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is removed already. Raises SinkError."""

    def links(self, keys: Sequence[str], seconds: int) -> Sequence[str] | None:
        """Addresses where anybody may read these objects for so long, whether they are there or not.

        None where nobody signs for so long: a folder, or a store with keys that end sooner. Raises SourceError where a
        store's keys cannot be had.
        """

    def list(self, prefix: str = "") -> Iterator[ObjectFacts]:
        """The objects whose keys start with a prefix, in the order of the keys' bytes. Raises SourceError."""

    def look_in(self, folder: str, starts: str, after: str | None, most: int) -> FolderPage:
        """At most so many of the folders and objects directly in a folder, in the order of the keys' bytes.

        `folder` is empty or ends in a slash; only names that begin with `starts` count, and only keys behind `after`.
        What has a name that no key can have is left out. Raises SourceError.
        """

    def check(self) -> None:
        """Write, read and delete a small object. Raises SinkError or SourceError with what is wrong."""

    def clean_leftovers(self, *, older_than_s: float) -> int:
        """Remove what writers and checks that were killed have left, once it is so old; how many objects that were.

        Raises SourceError.
        """
