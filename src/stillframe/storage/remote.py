"""A bucket in an object store: Amazon S3 and whatever speaks like it, through OpenDAL.

    bucket = RemoteBucket(StorePlace("s3", "films", endpoint="http://127.0.0.1:9000"), "films")
    bucket.write("thumbs/00001.jpg", jpeg, "image/jpeg")
    with bucket.open_source("movie.mp4") as source:
        source.read_at(0, 16)    # a range of the very content that was there when it was opened

Videos are read by ranges through a cache and never whole; each range demands the ETag of the first look, so that an
object that is replaced meanwhile is an error and not a mixture. What may pass is tried again with growing pauses.
"""

from __future__ import annotations

import asyncio
import configparser
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import opendal
from opendal import exceptions, layers

from stillframe.errors import ConfigError, SinkError, SourceError, os_reason
from stillframe.storage.addresses import demand_key, is_plain
from stillframe.storage.bucket import ObjectFacts, Written
from stillframe.storage.cached_source import CachedSource
from stillframe.storage.places import StorePlace

Result = TypeVar("Result")
_Error = TypeVar("_Error", SourceError, SinkError)

#: above it an object is written in parts, each of which may be tried again by itself
_PART_BYTES = 16 << 20
_TRIES = 4
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0
_LOOK_S, _TRANSFER_S = 15.0, 60.0
_CHECK_BYTES = 64
#: no store signs for longer
_LONGEST_LINK_S = 7 * 24 * 3600


class RemoteBucket:
    """A store's bucket. `name` is what users call it, for messages; keys come from the environment or a profile."""

    def __init__(self, place: StorePlace, name: str | None = None) -> None:
        self._place = place
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
        # Amazon's buckets have names of their own all over the world, whichever of its hosts is asked
        store = place.endpoint if place.endpoint and not place.endpoint.endswith(".amazonaws.com") else "aws"
        return f"{place.service}:{store}/{place.bucket}/{place.prefix}{key}"

    def stat(self, key: str) -> ObjectFacts:
        self.demand_key(key, "Key")
        return _facts(key, self._read_fault(key, lambda: self._store.stat(key)))

    def open_source(self, key: str) -> RemoteSource:
        facts = self.stat(key)
        if not facts.etag:
            # two reads of it might be of two contents
            raise SourceError(self._called(key), _NO_ETAG)
        return RemoteSource(self._store, facts, self._called(key))

    def read(self, key: str) -> bytes:
        with self.open_source(key) as source:
            return source.fetch(0, source.size)

    def write(self, key: str, data: bytes, content_type: str) -> Written:
        """As the port says. The store says the ETag when it is asked afterwards: it may be another writer's by then.

        It is believed where it is the content's own; elsewhere none is noted, and `verify` reads.
        """
        self.demand_key(key, "Key")
        # one request, or parts that are put together at the end: nobody sees half of it
        part_bytes = _PART_BYTES if len(data) > _PART_BYTES else None
        try:
            self._store.write(key, data, content_type=content_type, chunk=part_bytes)
            facts = _facts(key, self._store.stat(key))
        except _ERRORS as error:
            raise _fault(SinkError, self._called(key), error) from error
        if facts.size != len(data):
            message = f"{facts.size:,} of {len(data):,} bytes are there after a write"
            raise SinkError(self._called(key), message, transient=True)
        if not facts.etag:
            raise SinkError(self._called(key), _NO_ETAG)
        is_another = part_bytes is None and facts.etag.strip('"') != _md5(data)
        return Written(len(data), "" if is_another else facts.etag, hashlib.sha256(data).hexdigest())

    def verify(self, key: str, written: Written) -> bool:
        try:
            facts = _facts(key, self._store.stat(key))
            if facts.size != written.size:
                return False
            if facts.etag and facts.etag == written.etag:
                return True
            found = self._store.read(key, if_match=facts.etag or None)
            return hashlib.sha256(found).hexdigest() == written.sha256
        except exceptions.NotFound:
            return False
        except _ERRORS as error:
            raise _fault(SourceError, self._called(key), error) from error

    def delete(self, key: str) -> None:
        self.demand_key(key, "Key")
        try:
            self._store.delete(key)
        except exceptions.NotFound:
            return
        except _ERRORS as error:
            raise _fault(SinkError, self._called(key), error) from error

    def links(self, keys: Sequence[str], seconds: int) -> Sequence[str] | None:
        """As the port says; they end sooner with keys that end sooner. Nothing is asked of the store."""
        place = self._place.public()
        if place is None:
            return None
        try:
            signer = _store(place).to_async_operator()
            return asyncio.run(_signed(signer, keys, min(seconds, _LONGEST_LINK_S)))
        except _ERRORS as error:
            raise _fault(SourceError, self._shown, error) from error

    def list(self, prefix: str = "") -> Iterator[ObjectFacts]:
        """As the port says. OpenDAL lets no other thread run meanwhile: not for the service."""
        asked = prefix if _is_nameable(prefix.removesuffix("/")) else prefix.rpartition("/")[0] + "/"
        if asked.strip("/") and not _is_nameable(asked.removesuffix("/")):
            # no key that can be named begins like this
            return
        asked = asked if asked.strip("/") else ""
        entries = iter(self._read_fault(prefix, lambda: self._store.list(asked, recursive=True)))
        while (entry := self._read_fault(prefix, lambda: next(entries, None))) is not None:
            if not entry.path.endswith("/") and entry.path.startswith(prefix):
                yield _facts(entry.path, entry.metadata)

    def check(self) -> None:
        key, data = f".stillframe-check-{secrets.token_hex(8)}", secrets.token_bytes(_CHECK_BYTES)
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

    @property
    def _store(self) -> opendal.Operator:
        return _store(self._place)

    def _called(self, key: str) -> str:
        return f"{self._shown}/{key}"

    def _read_fault(self, key: str, work: Callable[[], Result]) -> Result:
        try:
            return work()
        except _ERRORS as error:
            raise _fault(SourceError, self._called(key), error) from error


async def _signed(signer: opendal.AsyncOperator, keys: Sequence[str], seconds: int) -> list[str]:
    return [(await signer.presign_read(key, seconds)).url for key in keys]


class RemoteSource(CachedSource):
    """An object open for reading by ranges."""

    def __init__(self, store: opendal.Operator, facts: ObjectFacts, name: str) -> None:
        super().__init__(name, facts.size, facts.etag)
        self.facts = facts
        self._store = store

    def fetch(self, offset: int, length: int) -> bytes:
        """One request, past the cache. Raises SourceError, for an object that was replaced and a short answer, too."""
        if length == 0:
            return b""
        try:
            data = self._store.read(self.facts.key, offset=offset, size=length, if_match=self.identity)
        except exceptions.ConditionNotMatch as error:
            message = "the object was replaced while it was read"
            raise SourceError(self.name, message, transient=True) from error
        except _ERRORS as error:
            raise _fault(SourceError, self.name, error) from error
        if len(data) != length:
            message = f"{len(data):,} bytes came of {length:,} from byte {offset:,}"
            raise SourceError(self.name, message, transient=True)
        return data


def _store(place: StorePlace) -> opendal.Operator:
    """Keys of a profile are read anew each time, so that those that were changed count at once."""
    return _operator(place, _profile(place.profile) if place.profile is not None else None)


@lru_cache(64)
def _operator(place: StorePlace, keys: _Keys | None) -> opendal.Operator:
    """One for each place in this process: it is safe to share, and keeps connections."""
    options = place.options() | (keys.options() if keys is not None else {})
    store = opendal.Operator(place.service, **options)
    limited = store.layer(layers.TimeoutLayer(timeout=_LOOK_S, io_timeout=_TRANSFER_S))
    return limited.layer(
        layers.RetryLayer(
            max_times=_TRIES, factor=2.0, jitter=True, min_delay=_FIRST_PAUSE_S, max_delay=_LONGEST_PAUSE_S
        )
    )


class _NoKeys(Exception):
    """The profile that a place names has none."""


@dataclass(frozen=True, slots=True)
class _Keys:
    """What requests are signed with."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(repr=False)

    def options(self) -> dict[str, str]:
        """For OpenDAL, which looks nowhere else then."""
        given = {"access_key_id": self.access_key_id, "secret_access_key": self.secret_access_key}
        if self.session_token is not None:
            given["session_token"] = self.session_token
        return {**given, "disable_config_load": "true"}


def _profile(name: str) -> _Keys:
    """A section of the shared credentials file. Raises _NoKeys."""
    file = Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials").expanduser()
    sections = configparser.ConfigParser(interpolation=None)
    try:
        sections.read_string(file.read_text())
        section = sections[name]
        return _Keys(
            section["aws_access_key_id"], section["aws_secret_access_key"], section.get("aws_session_token")
        )
    except OSError as error:
        raise _NoKeys(f"{file}: {os_reason(error)}") from None
    except (KeyError, ValueError, configparser.Error):
        raise _NoKeys(
            f"{file}: there is no section [{name}] with aws_access_key_id and aws_secret_access_key"
        ) from None


def _is_nameable(key: str) -> bool:
    """Whether OpenDAL asks the store for just that key: it leaves empty parts and white space at the ends out."""
    return is_plain(key) and key == key.strip()


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _facts(key: str, metadata: opendal.types.Metadata) -> ObjectFacts:
    modified = metadata.last_modified
    return ObjectFacts(
        key, metadata.content_length, metadata.etag or "", modified.timestamp() if modified else 0.0
    )


_ERRORS = (
    _NoKeys,
    exceptions.Error,
    exceptions.Unexpected,
    exceptions.Unsupported,
    exceptions.ConfigInvalid,
    exceptions.NotFound,
    exceptions.PermissionDenied,
    exceptions.IsADirectory,
    exceptions.NotADirectory,
    exceptions.AlreadyExists,
    exceptions.ConditionNotMatch,
    exceptions.RateLimited,
    exceptions.RangeNotSatisfied,
    exceptions.Conflict,
)


def _fault(kind: type[_Error], name: str, error: Exception) -> _Error:
    """What OpenDAL says, in a line; what it has tried several times, and may pass, is `transient`."""
    if isinstance(error, exceptions.NotFound):
        return kind(name, "does not exist")
    if isinstance(error, _NoKeys):
        return kind(name, f"there are no keys for the store: {error}")
    text = str(error)
    # "Unexpected (persistent) at stat => send http request", and further below what that came of
    told = text.partition("\n")[0].rpartition(" => ")[2]
    if cause := re.search(r"^Source:\n +(.+)", text, re.MULTILINE):
        told = f"{told}: {cause[1]}"
    if "failed to load signing credential" in told:
        return kind(name, _NO_KEYS)
    reason = next((reason for known, reason in _REASONS.items() if isinstance(error, known)), None)
    if reason is not None:
        return kind(name, f"{reason}: {told}")
    # an answer to HEAD has no words, only a status
    status = re.search(r"status: (\d{3})", text)
    permanent = _WRONG_REGION.search(told) or (status and _PERMANENT.fullmatch(status[1]))
    if status and permanent and isinstance(error, exceptions.Unexpected):
        told = f"the store answers {status[1]}: {told}"
    return kind(name, told, transient=isinstance(error, _PASSING) and not permanent)


_NO_ETAG = "the store gives no ETag for it, and what was read could be of two contents"
_NO_KEYS = (
    "there are no keys for the store: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY where the service runs, "
    "or name a profile of ~/.aws/credentials in the bucket's place (profile=NAME)"
)
_WRONG_REGION = re.compile("AuthorizationHeaderMalformed|PermanentRedirect|IllegalLocationConstraint")
#: but for "request timeout", "conflict" and "too many requests"
_PERMANENT = re.compile("[34]..(?<!408)(?<!409)(?<!429)")
_PASSING = (exceptions.Unexpected, exceptions.Error, exceptions.RateLimited, exceptions.Conflict)
_REASONS: dict[type[Exception], str] = {
    exceptions.PermissionDenied: "the store refuses the key, or what it may do",
    exceptions.ConfigInvalid: "the bucket's place cannot be used",
}
