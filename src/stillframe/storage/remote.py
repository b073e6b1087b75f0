"""A bucket in an object store: Alibaba Cloud's OSS, Amazon S3 and whatever speaks like one of them, through OpenDAL.

    bucket = RemoteBucket(StorePlace("s3", "films", endpoint="http://127.0.0.1:9000"), "films")
    bucket.write("thumbs/00001.jpg", jpeg, "image/jpeg")
    with bucket.open_source("movie.mp4") as source:
        source.read_at(0, 16)    # a range of the very content that was there when it was opened

Videos are read by ranges through a cache and never whole; each range demands the ETag of the first look, so that an
object that is replaced meanwhile is an error and not a mixture. What may pass is tried again with growing pauses.
"""

from __future__ import annotations

import hashlib
import random
import secrets
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import opendal
from opendal import exceptions

from stillframe.errors import ConfigError, SinkError, SourceError
from stillframe.storage.addresses import demand_key, is_plain
from stillframe.storage.bucket import FolderPage, ObjectFacts, Written
from stillframe.storage.cached_source import CachedSource
from stillframe.storage.oss_links import oss_link
from stillframe.storage.places import StorePlace
from stillframe.storage.remote_folder import first_entries
from stillframe.storage.remote_writer import PART_BYTES, RemoteWriter
from stillframe.storage.store import FIRST_PAUSE_S, Store
from stillframe.storage.store_faults import FAULTS, fault, is_wordless

#: between the looks at an object that was just written, and may not be seen at once
_LOOK_AGAIN_S = (FIRST_PAUSE_S, 2 * FIRST_PAUSE_S, 4 * FIRST_PAUSE_S, 8 * FIRST_PAUSE_S)
_CHECK, _CHECK_BYTES = ".stillframe-check-", 64
#: no store signs for longer
_LONGEST_LINK_S = 7 * 24 * 3600


class RemoteBucket:
    """A store's bucket. `name` is what users call it, for messages; keys come from the environment or a profile."""

    def __init__(self, place: StorePlace, name: str | None = None) -> None:
        self._place = place
        self._store = Store(place)
        self._shown = f"oss://{name}" if name is not None else f"{place.service}://{place.bucket}"

    def demand_key(self, key: str, path: str) -> None:
        demand_key(key, path)
        if not _is_nameable(key):
            raise ConfigError(
                path,
                key,
                "a key without empty, . and .. parts and white space at its ends, in a bucket of a store",
            )

    def whereabouts(self, key: str) -> str:
        place = self._place
        return f"{place.owner}/{place.bucket}/{place.prefix}{key}"

    def stat(self, key: str) -> ObjectFacts:
        self.demand_key(key, "Key")
        try:
            return _facts(key, self._store.ask(lambda store: store.stat(key)))
        except FAULTS as error:
            raise fault(SourceError, self._called(key), self._in_words(key, error)) from error

    def find(self, key: str) -> ObjectFacts | None:
        self.demand_key(key, "Key")
        try:
            return _facts(key, self._store.ask(lambda store: store.stat(key)))
        except exceptions.NotFound:
            return None
        except FAULTS as error:
            raise fault(SourceError, self._called(key), error) from error

    def open_source(self, key: str) -> RemoteSource:
        facts = self.stat(key)
        if not facts.etag:
            # two reads of it might be of two contents
            raise SourceError(self._called(key), _NO_ETAG)
        return RemoteSource(self._store, facts, self._called(key), self._place)

    def read_range(self, facts: ObjectFacts, offset: int, length: int) -> bytes:
        """As the port says, in one request."""
        return _range(self._store, facts, self._called(facts.key), offset, length)

    def read(self, key: str) -> bytes:
        with self.open_source(key) as source:
            return source.fetch(0, source.size)

    def write(self, key: str, data: bytes, content_type: str) -> Written:
        """As the port says. The store says the ETag when it is asked afterwards: it may be another writer's by then.

        It is believed where it is the content's own; elsewhere none is noted, and `verify` reads.
        """
        self.demand_key(key, "Key")
        # one request, or parts that are put together at the end: nobody sees half of it
        part_bytes = PART_BYTES if len(data) > PART_BYTES else None
        cached = self._place.cache_control
        try:
            self._store.ask(
                lambda store: store.write(
                    key, data, content_type=content_type, cache_control=cached, chunk=part_bytes
                ),
                len(data),
            )
            facts = self._look_at_written(key, len(data))
        except FAULTS as error:
            raise fault(SinkError, self._called(key), error) from error
        is_another = part_bytes is None and facts.etag.strip('"').lower() != _md5(data)
        return Written(len(data), "" if is_another else facts.etag, hashlib.sha256(data).hexdigest())

    def open_writer(self, key: str, content_type: str) -> RemoteWriter:
        """As the port says. Objects are written in parts; what of them an abort leaves is the store's to forget."""
        self.demand_key(key, "Key")
        return RemoteWriter(
            self._store,
            key,
            lambda error: fault(SinkError, self._called(key), error),
            lambda size: self._look_at_written(key, size),
            content_type=content_type,
            cache_control=self._place.cache_control,
        )

    def verify(self, key: str, written: Written) -> bool:
        try:
            facts = _facts(key, self._store.ask(lambda store: store.stat(key)))
            if facts.size != written.size:
                return False
            if facts.etag and facts.etag == written.etag:
                return True
            found = self._store.ask(lambda store: store.read(key, if_match=facts.etag or None), facts.size)
            return hashlib.sha256(found).hexdigest() == written.sha256
        except exceptions.NotFound:
            return False
        except FAULTS as error:
            raise fault(SourceError, self._called(key), error) from error

    def delete(self, key: str) -> None:
        self.demand_key(key, "Key")
        try:
            self._store.ask(lambda store: store.delete(key))
        except exceptions.NotFound:
            return
        except FAULTS as error:
            raise fault(SinkError, self._called(key), error) from error

    def links(self, keys: Sequence[str], seconds: int) -> Sequence[str] | None:
        """As the port says. Nothing is asked of the store."""
        place = self._place.public()
        if place is None or seconds > _LONGEST_LINK_S:
            return None
        try:
            signing = Store(place).lasting_keys(seconds)
            if signing is None:
                return None
            if place.is_own_domain:
                now = datetime.now(UTC)
                return [oss_link(place, key, signing, seconds, now) for key in keys]
            return Store(place).sign(lambda signer: _signed(signer, keys, seconds), signing)
        except FAULTS as error:
            raise fault(SourceError, self._shown, error) from error

    def list(self, prefix: str = "") -> Iterator[ObjectFacts]:
        """As the port says. OpenDAL lets no other thread run meanwhile: not for the service."""
        asked = prefix if _is_nameable(prefix.removesuffix("/")) else prefix.rpartition("/")[0] + "/"
        if asked.strip("/") and not _is_nameable(asked.removesuffix("/")):
            # no key that can be named begins like this
            return
        asked = asked if asked.strip("/") else ""
        try:
            for entry in self._store.operator().list(asked, recursive=True):
                if not entry.path.endswith("/") and entry.path.startswith(prefix):
                    yield _facts(entry.path, entry.metadata)
        except FAULTS as error:
            raise fault(SourceError, self._called(prefix), error) from error

    def look_in(
        self, folder: str, starts: str = "", after: str | None = None, most: int = 1000
    ) -> FolderPage:
        """As the port says. A store is asked for no more than it takes to fill the page."""
        if folder and not _is_nameable(folder.removesuffix("/")):
            return FolderPage((), (), None)
        # where no key can begin like this, the folder is asked for, lest OpenDAL asks for something else
        asked = folder + starts if _is_nameable(folder + starts) else folder
        try:
            # one more tells whether there are more
            start = self._store.ask(lambda store: first_entries(store, asked, after, most + 1))
        except FAULTS as error:
            raise fault(SourceError, self._called(folder), error) from error
        shown = [entry for entry in start.entries if entry.path.startswith(folder + starts)]
        shown = [entry for entry in shown if _is_behind(entry.path, folder, after)]
        page = shown[:most]
        is_last = start.is_all and len(shown) <= most
        return FolderPage(
            [entry.path for entry in page if entry.path.endswith("/")],
            [_facts(entry.path, entry.metadata) for entry in page if not entry.path.endswith("/")],
            None if is_last else (page[-1] if len(shown) > most else start.entries[-1]).path,
        )

    def check(self) -> None:
        key, data = f"{_CHECK}{secrets.token_hex(8)}", secrets.token_bytes(_CHECK_BYTES)
        self.write(key, data, "application/octet-stream")
        try:
            found = self.read(key)
        finally:
            self.delete(key)
        if found != data:
            raise SourceError(self._shown, "what is read back is not what was written")

    def clean_leftovers(self, *, older_than_s: float) -> int:
        """Nothing: what was not written whole was never there. The store's own rules end abandoned uploads.

        A check that was killed leaves an object of 64 bytes.
        """
        return 0

    def _look_at_written(self, key: str, size: int) -> ObjectFacts:
        """A store may not show at once what it has taken. Raises SinkError for something else than so many bytes."""
        for pause_s in _LOOK_AGAIN_S:
            try:
                facts = _facts(key, self._store.ask(lambda store: store.stat(key)))
            except exceptions.NotFound:
                time.sleep(pause_s * random.uniform(1, 2))
                continue
            if facts.size != size:
                message = f"{facts.size:,} of {size:,} bytes are there after a write"
                raise SinkError(self._called(key), message, transient=True)
            if not facts.etag:
                raise SinkError(self._called(key), _NO_ETAG)
            return facts
        raise SinkError(self._called(key), "it is not there after it was written", transient=True)

    def _in_words(self, key: str, error: Exception) -> Exception:
        """The same answer to another question, with what the store says to it."""
        if is_wordless(error):
            try:
                self._store.ask(lambda store: store.read(key, offset=0, size=1), 1)
            except FAULTS as worded:
                return error if fault(SourceError, key, worded).transient else worded
        return error

    def _called(self, key: str) -> str:
        # a check is of the bucket: nobody knows the object's name
        return self._shown if key.startswith(_CHECK) else f"{self._shown}/{key}"


async def _signed(signer: opendal.AsyncOperator, keys: Sequence[str], seconds: int) -> list[str]:
    # OpenDAL leaves apostrophes as they are, which end words in shells and in pages
    return [(await signer.presign_read(key, seconds)).url.replace("'", "%27") for key in keys]


class RemoteSource(CachedSource):
    """An object open for reading by ranges."""

    def __init__(self, store: Store, facts: ObjectFacts, name: str, place: StorePlace) -> None:
        # with the profile: what one's keys may read is not for another's
        super().__init__(name, facts.size, facts.etag, store=place.service, where=(place, facts.key))
        self.facts = facts
        self._store = store

    def fetch(self, offset: int, length: int) -> bytes:
        """One request, past the cache. Raises SourceError, for an object that was replaced and a short answer, too."""
        return _range(self._store, self.facts, self.name, offset, length)


def _range(store: Store, facts: ObjectFacts, name: str, offset: int, length: int) -> bytes:
    if not facts.etag:
        # two reads of it might be of two contents
        raise SourceError(name, _NO_ETAG)
    if length == 0:
        return b""
    try:
        data = store.ask(
            lambda store: store.read(facts.key, offset=offset, size=length, if_match=facts.etag), length
        )
    except exceptions.ConditionNotMatch as error:
        message = "the object was replaced while it was read"
        raise SourceError(name, message, transient=True) from error
    except FAULTS as error:
        raise fault(SourceError, name, error) from error
    if len(data) != length:
        message = f"{len(data):,} bytes came of {length:,} from byte {offset:,}"
        raise SourceError(name, message, transient=True)
    return data


def _is_nameable(key: str) -> bool:
    """Whether OpenDAL asks the store for just that key: it leaves empty parts and white space at the ends out."""
    return is_plain(key) and key == key.strip()


def _is_behind(key: str, folder: str, after: str | None) -> bool:
    """Whether what a list gives is to be shown: a folder may be its own object, or be what the page before ended at."""
    return (
        key != folder
        and (after is None or key.encode() > after.encode())
        and _is_nameable(key.removesuffix("/"))
    )


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _facts(key: str, metadata: opendal.types.Metadata) -> ObjectFacts:
    modified = metadata.last_modified
    return ObjectFacts(
        key, metadata.content_length, metadata.etag or "", modified.timestamp() if modified else 0.0
    )


_NO_ETAG = "the store gives no ETag for it, and what was read could be of two contents"
