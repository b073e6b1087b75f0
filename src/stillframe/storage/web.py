"""A video on a web server, read by ranges: for the command and the library. The service reads from its buckets alone.

    source = open_web(parse_web_address("https://example.com/movie.mp4"))
    source.read_at(0, 16)

The first answer says how large the file is and which version of it (ETag, else Last-Modified). Every later range
demands that version and is looked at for it, so that a file that is replaced meanwhile is an error and not a mixture. A
server that knows no ranges, or no versions, is asked once for all of the file, where that is small.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import Message

from stillframe.errors import SourceError
from stillframe.media.meter import Meter
from stillframe.media.source import ByteSource, MemorySource
from stillframe.storage.cached_source import CachedSource
from stillframe.storage.range_cache import FIRST_BYTES
from stillframe.storage.web_address import WebAddress
from stillframe.storage.web_asker import SLOWEST_BYTES_A_S, Asker, Fault
from stillframe.storage.web_client import Answer

#: a file up to this size is read whole where it cannot be read by ranges
MOST_WHOLE_BYTES = 64 << 20

_CONTENT_RANGE = re.compile(r"bytes +(?:(\d{1,18})-(\d{1,18})|\*)/(\d{1,18}|\*)")


def open_web(address: WebAddress) -> ByteSource:
    """Open a file on a web server. Raises SourceError when it cannot be read."""
    asker = Asker(address)
    try:
        found = asker.ask(_range(0, FIRST_BYTES), _look, most_bytes=FIRST_BYTES)
        if isinstance(found, _Found):
            return WebSource(asker, found)
        data = asker.ask({}, _whole, most_bytes=0) if found is None else found
    except BaseException:
        asker.close()
        raise
    asker.close()
    return WholeFile(data, asker.name)


class WholeFile(MemorySource):
    """A file of a web server that was read whole."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data, name)
        self.meter = Meter(name, len(data))
        self.meter.ask(len(data))


class WebSource(CachedSource):
    """A file of a web server that is open for reading by ranges."""

    def __init__(self, asker: Asker, found: _Found) -> None:
        version = found.version
        super().__init__(
            asker.name, version.size, version.identity, store="https", where=None, head=found.head
        )
        self._asker = asker
        self._version = version

    def fetch(self, offset: int, length: int) -> bytes:
        return self._asker.ask(
            _range(offset, length) | self._version.conditions(),
            lambda answer: self._part(answer, offset, length),
            most_bytes=length,
        )

    def close(self) -> None:
        super().close()
        self._asker.close()

    def _part(self, answer: Answer, offset: int, length: int) -> bytes:
        first, last, size = _content_range(answer.headers)
        if answer.status == 200:
            size = _content_length(answer.headers)
        if answer.status in (412, 416) or not self._version.is_of(answer.headers, size):
            raise SourceError(self.name, "the file was replaced while it was read", transient=True)
        if answer.status == 200:
            # some servers do so now and then, for what they have not at hand
            raise Fault("the server answers with all of the file instead of a range of it", transient=True)
        if (first, last) != (offset, offset + length - 1):
            raise Fault(
                f"the server answers with the bytes {first} to {last} instead of {length} from {offset}"
            )
        data = answer.read(length)
        if len(data) != length:
            raise Fault(f"{len(data):,} bytes came of {length:,} from byte {offset:,}", transient=True)
        return data


@dataclass(frozen=True, slots=True)
class _Version:
    """Which content of a file: `etag` and `modified` (Last-Modified) as the server writes them."""

    size: int
    etag: str | None
    modified: str | None

    @property
    def identity(self) -> str:
        return self.etag or f"{self.modified}-{self.size}"

    def conditions(self) -> dict[str, str]:
        """What a server is to demand of itself."""
        if self.etag is not None and self.etag.startswith('"'):
            return {"If-Match": self.etag}
        # a weak ETag matches nothing in If-Match
        return {"If-Unmodified-Since": self.modified} if self.modified is not None else {}

    def is_of(self, headers: Message, size: int | None) -> bool:
        """Whether an answer is of this version: not every server knows conditions."""
        name, mine = ("ETag", self.etag) if self.etag is not None else ("Last-Modified", self.modified)
        return size == self.size and headers.get(name) == mine


@dataclass(frozen=True, slots=True)
class _Found:
    """What the first answer has told, and the bytes that came with it."""

    version: _Version
    head: bytes


def _look(answer: Answer) -> _Found | bytes | None:
    """What the first answer tells; all of the file where that is the answer; None when it is to be asked for all."""
    if answer.status == 200:
        return _whole(answer)
    first, last, size = _content_range(answer.headers)
    if answer.status == 416 and size == 0:
        return b""
    if answer.status != 206 or first != 0 or last is None or last >= FIRST_BYTES:
        raise Fault(f"the server answers {answer.status} to a question for the file's first bytes")
    if size is None:
        raise Fault("the server does not say how large the file is")
    version = _Version(size, _plain(answer.headers, "ETag"), _plain(answer.headers, "Last-Modified"))
    if version.etag is None and version.modified is None:
        # ranges might be of several contents
        _demand_small(size, "says of no range which version of the file it is of")
        return None
    head = answer.read(last + 1)
    if len(head) != last + 1:
        raise Fault(f"{len(head):,} bytes came of the first {last + 1:,}", transient=True)
    return _Found(version, head)


def _whole(answer: Answer) -> bytes:
    """All of a small file."""
    if answer.status != 200:
        raise Fault(f"the server answers {answer.status} to a question for all of the file")
    size = _content_length(answer.headers)
    _demand_small(size or 0, _NO_RANGES)
    answer.give_time((MOST_WHOLE_BYTES if size is None else size) / SLOWEST_BYTES_A_S)
    data = answer.read(MOST_WHOLE_BYTES + 1)
    _demand_small(len(data), _NO_RANGES)
    if size is not None and len(data) != size:
        raise Fault(f"{len(data):,} bytes came of {size:,}", transient=True)
    return data


_NO_RANGES = "knows no ranges"


def _demand_small(size: int, why: str) -> None:
    if size > MOST_WHOLE_BYTES:
        raise Fault(
            f"the server {why}, and the file is larger than the {MOST_WHOLE_BYTES >> 20} MiB that are read "
            "whole: download it first"
        )


def _range(offset: int, length: int) -> dict[str, str]:
    return {"Range": f"bytes={offset}-{offset + length - 1}"}


def _content_range(headers: Message) -> tuple[int | None, int | None, int | None]:
    """The first byte, the last one and the size that an answer tells of."""
    matched = _CONTENT_RANGE.fullmatch((headers.get("Content-Range") or "").strip())
    if matched is None:
        return None, None, None
    first, last, size = (int(text) if text is not None and text != "*" else None for text in matched.groups())
    return first, last, size


def _plain(headers: Message, name: str) -> str | None:
    """A header that may be sent back as it is: in one line of ASCII."""
    value = headers.get(name)
    return value if value is not None and re.fullmatch(r"[ -~]{1,500}", value) else None


def _content_length(headers: Message) -> int | None:
    text = (headers.get("Content-Length") or "").strip()
    return int(text) if re.fullmatch(r"\d{1,18}", text) else None
