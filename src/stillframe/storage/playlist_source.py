"""Open an HLS playlist of a bucket as one source: its segments lie one behind the other in it.

    with open_playlist(bucket, "films/a.m3u8", "local", allows) as source:
        source.playlist.segments[3].offset    # where the decoder finds the fourth one

The playlist is read, and each object that it names is looked at once for its size and its ETag, which every later read
demands. Of the segments nothing is read before somebody wants it.
"""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from stillframe.errors import ConfigError, MediaError, SourceError
from stillframe.media.meter import meter_of
from stillframe.media.playlist import Playlist, Segment
from stillframe.storage import playlist_text
from stillframe.storage.bucket import Bucket, ObjectFacts
from stillframe.storage.cached_source import CachedSource, fetching
from stillframe.storage.kept_looks import KeptLooks
from stillframe.storage.local import LocalBucket
from stillframe.storage.playlist_keys import key_of
from stillframe.storage.playlist_text import Entry, MediaPlaylist, Piece
from stillframe.storage.range_cache import BLOCK_BYTES

#: whether whoever gave the playlist may read an object
Allows = Callable[[str], bool]
#: missing segments that are named in a note
_MOST_NAMED = 3
_LOOKS = KeptLooks()
_STILL_WRITTEN = "the playlist has no end (EXT-X-ENDLIST): what it lists by now is taken for the whole video"


def open_playlist_file(path: str | os.PathLike[str]) -> PlaylistSource:
    """Open a playlist on disk, whose segments lie in its folder or below. Raises MediaError, SourceError."""
    shown, real = os.fspath(path), os.path.realpath(path)
    folder, name = os.path.split(real)
    try:
        return open_playlist(LocalBucket(folder), name, None, lambda key: True, shown=shown)
    except SourceError as error:
        if error.source == real:
            raise SourceError(shown, error.message, transient=error.transient) from error
        raise


def open_playlist(
    bucket: Bucket,
    key: str,
    bucket_name: str | None,
    allows: Allows,
    *,
    shown: str | None = None,
    pinned: str | None = None,
) -> PlaylistSource:
    """Open a playlist; of a master playlist the best variant. Raises MediaError, SourceError.

    `bucket_name` is what users call the bucket (see `playlist_keys.key_of`), `allows` says which objects of it the
    playlist may lead to. `shown` is what it is called in messages. Where it was opened before and had the identity
    `pinned` then, its objects are not looked at again.
    """
    first = _read(bucket, key)
    name = shown or first.name
    parsed, playlist_key, texts = playlist_text.parse(first.data, name), key, [first]
    if not isinstance(parsed, MediaPlaylist):
        playlist_key = _allowed(parsed.uri, key, bucket_name, name, bucket, allows)
        texts.append(_read(bucket, playlist_key))
        parsed = playlist_text.parse(texts[-1].data, name)
    if not isinstance(parsed, MediaPlaylist):
        raise MediaError(name, "playlist", "its best variant is a list of variants again, not of segments")
    uris = {piece.uri for entry in parsed.entries for piece in (entry.piece, entry.init) if piece is not None}
    keys = {uri: _allowed(uri, playlist_key, bucket_name, name, bucket, allows) for uri in sorted(uris)}
    wanted, data = sorted(set(keys.values())), [text.data for text in texts]
    known = _LOOKS.of(pinned) if pinned is not None else None
    is_known = known is not None and [*known] == wanted and _identity(data, known) == pinned
    found = known if known is not None and is_known else _looked_at(bucket, wanted)
    pieces = _Pieces(keys, found)
    segments = tuple(_laid_out(parsed.entries, pieces))
    if not any(segment.length for segment in segments):
        missing = next(iter(pieces.missing.values()), "all of them are gaps (EXT-X-GAP)")
        raise MediaError(name, "no-picture", f"none of its segments is there: {missing}")
    notes = (*pieces.notes(), *(() if parsed.has_end else (_STILL_WRITTEN,)))
    identity = _identity(data, found)
    _LOOKS.keep(identity, found)
    source = PlaylistSource(
        bucket, name, first.facts, identity, Playlist(segments, notes), pieces, first.store
    )
    # what it took to know all that
    requests = sum(text.requests for text in texts) + (0 if is_known else len(found))
    source.meter.ask(sum(text.bytes_read for text in texts), requests)
    return source


class PlaylistSource(CachedSource):
    """The segments of a playlist; between them lie zeros, so that no block of the cache is of two."""

    def __init__(
        self,
        bucket: Bucket,
        name: str,
        facts: ObjectFacts,
        identity: str,
        playlist: Playlist,
        pieces: _Pieces,
        store: str,
    ) -> None:
        super().__init__(
            name,
            pieces.end,
            identity,
            store=store,
            where=bucket.whereabouts(facts.key),
            looks=0,
            ends=pieces.ends,
        )
        self.facts = ObjectFacts(facts.key, pieces.end, identity, facts.modified_s)
        self.playlist = playlist
        self._bucket = bucket
        self._pieces = pieces

    def cost(self, offset: int, length: int) -> tuple[int, int]:
        wanted = [piece[2] for piece in self._pieces.between(offset, offset + length) if piece[2]]
        return sum(wanted), len(wanted)

    def fetch(self, offset: int, length: int) -> bytes:
        """The bytes of a range, for which each object that has some is asked."""
        parts = []
        for facts, place, wanted, padding in self._pieces.between(offset, offset + length):
            if wanted:
                parts.append(self._read_range(facts, place, wanted))
            parts.append(bytes(padding))
        return b"".join(parts)

    def _read_range(self, facts: ObjectFacts, offset: int, length: int) -> bytes:
        try:
            return self._bucket.read_range(facts, offset, length)
        except SourceError:
            # it may have been replaced: whoever tries again looks again
            _LOOKS.drop(self.identity)
            raise


class _Pieces:
    """Which part of which object lies where in the source."""

    def __init__(self, keys: dict[str, str], found: Mapping[str, ObjectFacts | SourceError]) -> None:
        #: by key, why it cannot be read
        self.missing: dict[str, str] = {}
        self.end = 0
        self._keys = keys
        self._found = found
        self._places: dict[tuple[str, int, int], int] = {}
        self._starts: list[int] = []
        self._parts: list[tuple[ObjectFacts, int, int]] = []

    @property
    def ends(self) -> list[int]:
        """Where the pieces end, in ascending order, each with what lies between it and the next one."""
        return [*self._starts[1:], self.end]

    def place(self, piece: Piece) -> tuple[int, int]:
        """The (offset, length) of a piece in the source, where it is put when it is new; (0, 0) if it is missing."""
        key = self._keys[piece.uri]
        facts = self._found[key]
        if isinstance(facts, SourceError):
            self.missing.setdefault(key, str(facts))
            return 0, 0
        length = piece.length if piece.length is not None else max(facts.size - piece.offset, 0)
        if length == 0 or piece.offset + length > facts.size:
            told = "is empty" if facts.size == 0 else f"has {facts.size:,} bytes, and not those up to "
            what = told if facts.size == 0 else f"{told}{piece.offset + length:,}"
            self.missing.setdefault(key, f"{key}: {what}")
            return 0, 0
        part = (key, piece.offset, length)
        if part not in self._places:
            self._places[part] = self.end
            self._starts.append(self.end)
            self._parts.append((facts, piece.offset, length))
            self.end += -(-length // BLOCK_BYTES) * BLOCK_BYTES
        return self._places[part], length

    def between(self, begin: int, end: int) -> Iterable[tuple[ObjectFacts, int, int, int]]:
        """What lies in a range of the source: an object, an offset and a length in it, and how many zeros follow."""
        number = bisect_right(self._starts, begin) - 1
        while begin < end:
            facts, offset, length = self._parts[number]
            start = self._starts[number]
            next_start = self._starts[number + 1] if number + 1 < len(self._starts) else self.end
            until = min(end, next_start)
            wanted = max(min(until, start + length) - begin, 0)
            yield facts, offset + begin - start, wanted, until - begin - wanted
            begin, number = until, number + 1

    def notes(self) -> list[str]:
        """What is missing, in words."""
        named = list(self.missing.values())
        more = len(named) - _MOST_NAMED
        return [
            *(f"a segment is missing: {reason}" for reason in named[:_MOST_NAMED]),
            *((f"and {more:,} more are",) if more > 0 else ()),
        ]


@dataclass(frozen=True, slots=True)
class _Text:
    """A playlist's facts, what it is called, in what kind of store it lies, its text, and what that has cost."""

    facts: ObjectFacts
    name: str
    store: str
    data: bytes
    bytes_read: int
    requests: int


def _read(bucket: Bucket, key: str) -> _Text:
    with bucket.open_source(key) as source:
        if source.size > playlist_text.MOST_BYTES:
            mebi = playlist_text.MOST_BYTES >> 20
            message = f"has {source.size:,} bytes; a playlist may have {mebi} MiB"
            raise MediaError(source.name, "playlist", message)
        data = source.read_at(0, source.size)
        meter = meter_of(source)
        cost = (meter.bytes_read, meter.requests) if meter is not None else (len(data), 1)
        return _Text(source.facts, source.name, source.store, data, *cost)


def _allowed(
    uri: str, playlist_key: str, bucket_name: str | None, name: str, bucket: Bucket, allows: Allows
) -> str:
    """The key that an address in the playlist names, when it may be read."""
    key = key_of(uri, playlist_key, bucket_name, name)
    try:
        bucket.demand_key(key, "Media")
    except ConfigError as error:
        raise MediaError(name, "playlist", f"names what no object can be called: {error}") from error
    if not allows(key):
        message = f"names {key}, which may not be read by whoever may read the playlist"
        raise MediaError(name, "playlist", message)
    return key


def _looked_at(bucket: Bucket, keys: list[str]) -> Mapping[str, ObjectFacts | SourceError]:
    """What is known of each object, or why it is missing. Raises a SourceError that may pass."""

    def look(key: str) -> ObjectFacts | SourceError:
        try:
            return bucket.stat(key)
        except SourceError as error:
            if error.transient:
                raise
            return error

    with ThreadPoolExecutor(min(fetching().at_a_time, len(keys)), "stillframe-looks") as pool:
        try:
            return dict(zip(keys, pool.map(look, keys), strict=True))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _laid_out(entries: Iterable[Entry], pieces: _Pieces) -> Iterable[Segment]:
    start_us = 0
    for entry in entries:
        init, place = (0, 0), (0, 0)
        if not entry.is_gap:
            init = pieces.place(entry.init) if entry.init is not None else init
            # without its beginning nothing can be made of it
            place = pieces.place(entry.piece) if entry.init is None or init[1] else place
        yield Segment(start_us, entry.duration_us, *place, *init, entry.period)
        start_us += entry.duration_us


def _identity(texts: Iterable[bytes], found: Mapping[str, ObjectFacts | SourceError]) -> str:
    """Changes when a playlist or any object that it names does."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(hashlib.sha256(text).digest())
    for key, facts in found.items():
        told = f"{facts.size} {facts.etag}" if isinstance(facts, ObjectFacts) else ""
        digest.update(hashlib.sha256(f"{key}\n{told}".encode()).digest())
    return f"hls-{digest.hexdigest()}"
