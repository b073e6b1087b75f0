"""What lies in an account's buckets, as people browse and fill them.

    page = objects.look_in(account_id, "local", "films/", starts="mo", after=None, most=100)
    with objects.upload(account_id, "local", "films/movie.mp4") as upload:
        upload.add(data)
        upload.finish()    # without it nothing is left

An account sees what it owns or was granted to read, and of other things not that they are there.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from stillframe.catalog.buckets import Buckets, BucketView, demand
from stillframe.errors import AlreadyThere, ConfigError, NotFound, QuotaExceeded, SinkError
from stillframe.service.file_links import FileLinks
from stillframe.storage.bucket import Bucket, FolderPage, ObjectFacts, ObjectWriter, Written
from stillframe.storage.content_types import content_type

#: a link in a page is for as long as somebody looks at it
LINK_S = 3600
#: uploads at one time in a process, each of which may keep a part of 16 MiB in memory; and those of an account
MOST_UPLOADS, MOST_OF_ONE = 8, 4


@dataclass(frozen=True, slots=True)
class FolderView:
    """A page of a folder, and a link to each of its objects."""

    page: FolderPage
    urls: Mapping[str, str]


class Objects:
    """The objects in the buckets that accounts may use."""

    def __init__(self, buckets: Buckets, links: FileLinks) -> None:
        self._buckets = buckets
        self._links = links
        self._uploads = _Places()

    def look_in(
        self, account_id: str, bucket: str, folder: str, *, starts: str, after: str | None, most: int
    ) -> FolderView:
        """Some of what lies directly in a folder that the account may read, or that leads there.

        Raises NotFound where it may read nothing of it; ConfigError for a folder that there cannot be; SourceError.
        """
        found = self._buckets.of_account(account_id, {bucket}).get(bucket)
        if found is None:
            raise NotFound("Bucket", bucket)
        ways = _ways(found, folder, starts)
        if not ways:
            raise NotFound("Folder", f"{bucket}/{folder}")
        opened = found.open()
        if folder:
            opened.demand_key(folder.removesuffix("/"), "Folder")
        page = _look_in(opened, folder, ways, after, most)
        folders = [one for one in page.folders if _leads_on(found, one)]
        objects = [one for one in page.objects if found.allows("read", one.key)]
        urls = self._links.urls(found, [one.key for one in objects], self._links.soonest_expiry(LINK_S))
        return FolderView(FolderPage(folders, objects, page.next), urls)

    def find(self, account_id: str, bucket: str, key: str) -> ObjectFacts | None:
        """What is there under a key that the account may write to. Raises NotFound, ConfigError, SourceError."""
        opened = self._writable(account_id, bucket, key).open()
        opened.demand_key(key, "Key")
        return opened.find(key)

    def upload(self, account_id: str, bucket: str, key: str, *, may_replace: bool = False) -> Upload:
        """A new object, of which nothing is written yet. Raises NotFound, and QuotaExceeded for too many."""
        found = self._writable(account_id, bucket, key)
        self._uploads.take(account_id)
        return Upload(
            found,
            key,
            lambda: self._writable(account_id, bucket, key),
            lambda: self._uploads.give_back(account_id),
            may_replace=may_replace,
        )

    def _writable(self, account_id: str, bucket: str, key: str) -> BucketView:
        return demand(self._buckets.of_account(account_id, {bucket}), bucket, "write", key)


class Upload:
    """An object that comes to be, piece by piece. `abort` may be called at any time, from any thread."""

    def __init__(
        self,
        bucket: BucketView,
        key: str,
        find_again: Callable[[], BucketView],
        on_end: Callable[[], None],
        *,
        may_replace: bool,
    ) -> None:
        self._bucket = bucket
        self._key = key
        self._find_again = find_again
        self._may_replace = may_replace
        self._on_end = on_end
        self._lock = threading.Lock()
        self._writer: ObjectWriter | None = None
        self._is_over = False

    def begin(self) -> None:
        """Raises ConfigError for a key that cannot be, AlreadyThere, SinkError, SourceError."""
        with self._lock:
            if not self._is_over:
                opened = self._bucket.open()
                opened.demand_key(self._key, "Key")
                self._demand_room()
                self._writer = opened.open_writer(self._key, content_type(self._key))

    def add(self, data: bytes) -> None:
        """Write more of it. Raises SinkError."""
        with self._lock:
            if self._writer is not None:
                self._writer.add(data)

    def finish(self) -> Written:
        """Show it. Raises SinkError, SourceError, and AlreadyThere for somebody who was quicker.

        NotFound where the account may write there no more.
        """
        with self._lock:
            if self._writer is None:
                raise ValueError("this upload was given up")
            self._demand_room()
            written = self._writer.finish()
            self._end()
            return written

    def abort(self) -> None:
        """Give up, unless it is finished."""
        with self._lock:
            if self._is_over:
                return
            try:
                if self._writer is not None:
                    self._writer.abort()
            finally:
                self._end()

    def _end(self) -> None:
        self._writer = None
        self._is_over = True
        self._on_end()

    def _demand_room(self) -> None:
        if self._find_again().place != self._bucket.place:
            message = "the bucket was bound to another place meanwhile"
            raise SinkError(f"oss://{self._bucket.name}/{self._key}", message, transient=True)
        there = self._bucket.open().find(self._key)
        if there is not None and not self._may_replace:
            raise AlreadyThere(f"oss://{self._bucket.name}/{self._key}", there.size)

    def __enter__(self) -> Self:
        self.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()


class _Places:
    """How many uploads are in work, and whose."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    def take(self, account_id: str) -> None:
        """Raises QuotaExceeded."""
        with self._lock:
            if self._taken[account_id] >= MOST_OF_ONE:
                raise QuotaExceeded(
                    "Upload", f"{MOST_OF_ONE} uploads of the account are in work at the moment"
                )
            total = self._taken.total()
            # the last place is for who has none
            if total >= MOST_UPLOADS or (total == MOST_UPLOADS - 1 and self._taken[account_id]):
                raise QuotaExceeded("Upload", f"{total} uploads are in work at the moment")
            self._taken[account_id] += 1

    def give_back(self, account_id: str) -> None:
        """It has ended."""
        with self._lock:
            self._taken -= Counter([account_id])


@dataclass(frozen=True, slots=True)
class _Way:
    """How keys begin of which something may be seen; with `leads_to`, a folder that is shown only for what is in it.

    These are the beginnings of the keys behind it that may be seen: its neighbours and what else it holds may not.
    """

    start: str
    leads_to: Sequence[str] = ()


def _ways(bucket: BucketView, folder: str, starts: str) -> list[_Way]:
    """What may be seen in a folder where names begin with `starts`, in the order of the bytes; nothing is in two."""
    if bucket.grants is None:
        return [_Way(folder + starts)]
    ways: set[str] = set()
    folders: dict[str, list[str]] = {}
    for grant in bucket.grants:
        if grant.access != "read":
            continue
        if (folder + starts).startswith(grant.prefix):
            return [_Way(folder + starts)]
        if not grant.prefix.startswith(folder):
            continue
        name, slash, _ = grant.prefix.removeprefix(folder).partition("/")
        start = folder + name + slash
        if not start.startswith(folder + starts):
            continue
        if slash:
            folders.setdefault(start, []).append(grant.prefix)
        else:
            ways.add(start)
    shortest = {way for way in ways if not any(way != other and way.startswith(other) for other in ways)}
    found = [_Way(way) for way in shortest]
    found += [_Way(one, leads_to) for one, leads_to in folders.items() if not one.startswith(tuple(shortest))]
    return sorted(found, key=lambda way: way.start.encode())


def _leads_on(bucket: BucketView, folder: str) -> bool:
    """Whether something in a folder may be seen."""
    return bool(_ways(bucket, folder, ""))


def _look_in(bucket: Bucket, folder: str, ways: Sequence[_Way], after: str | None, most: int) -> FolderPage:
    folders: list[str] = []
    objects: list[ObjectFacts] = []
    for way in ways:
        start = way.start
        if _is_over(way, after):
            continue
        if way.leads_to:
            if any(_is_something(bucket, prefix) for prefix in way.leads_to):
                folders.append(start)
        else:
            room = most - len(folders) - len(objects)
            page = bucket.look_in(folder, start.removeprefix(folder), after, room)
            folders += page.folders
            objects += page.objects
            if (following := _next_of(page, start)) is not None:
                return FolderPage(folders, objects, following)
        if len(folders) + len(objects) >= most and way != ways[-1]:
            keys = [*folders, *(one.key for one in objects)]
            return FolderPage(folders, objects, max(keys, key=str.encode))
    return FolderPage(folders, objects, None)


def _is_over(way: _Way, after: str | None) -> bool:
    """Whether nothing of it comes behind a key."""
    if after is None or after.encode() < way.start.encode():
        return False
    return bool(way.leads_to) or not after.startswith(way.start)


def _next_of(page: FolderPage, start: str) -> str | None:
    """Where the page ended, but for the name of something that does not begin like what was asked for."""
    if page.next is None or page.next.startswith(start):
        return page.next
    return start if page.next.encode() < start.encode() else None


def _is_something(bucket: Bucket, prefix: str) -> bool:
    above, slash, name = prefix.rpartition("/")
    try:
        page = bucket.look_in(above + slash, name, None, 1)
    except ConfigError:
        # a prefix that no key of this bucket can have
        return False
    return bool(page.folders or page.objects or page.next)
