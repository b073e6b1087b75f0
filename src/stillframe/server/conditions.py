"""What a request for a file asks for: a range of it, and under which conditions (RFC 9110, sections 13 and 14).

entity = Entity(etag='"abc"', modified_s=1_700_000_000, size=1000)
answer("GET", {"range": "bytes=0-99"}, entity)     # Answer(206, first=0, length=100)
answer("GET", {"if-none-match": '"abc"'}, entity)  # Answer(304)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime

_RANGE = re.compile(r"bytes\s*=\s*(\d*)\s*-\s*(\d*)", re.IGNORECASE | re.ASCII)
_ETAG = re.compile(r'(?:W/)?"[^"]*"')
#: no file is that long, and Python refuses to read numbers of thousands of digits
_MOST_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Entity:
    """The content as it is now: a strong ETag with its quotes, Unix time of the last change, length in bytes."""

    etag: str
    modified_s: float
    size: int

    @property
    def last_modified(self) -> str:
        """The HTTP date."""
        return formatdate(int(self.modified_s), usegmt=True)


@dataclass(frozen=True, slots=True)
class Answer:
    """The status, and for 200 and 206 which bytes."""

    status: int
    first: int = 0
    length: int = 0


def answer(method: str, headers: Mapping[str, str], entity: Entity) -> Answer:
    """Decide on 200, 206, 304, 412 or 416. Header names are in lower case; what is malformed is ignored."""
    if (wanted := headers.get("if-match")) is not None:
        if not _matches(wanted, entity, weak=False):
            return Answer(412)
    elif _changed_since(headers.get("if-unmodified-since"), entity) is True:
        return Answer(412)
    if (known := headers.get("if-none-match")) is not None:
        if _matches(known, entity, weak=True):
            return Answer(304)
    elif _changed_since(headers.get("if-modified-since"), entity) is False:
        return Answer(304)
    if method == "GET" and "range" in headers and _range_holds(headers.get("if-range"), entity):
        return _ranged(headers["range"], entity.size)
    return Answer(200, 0, entity.size)


def _ranged(text: str, size: int) -> Answer:
    """One range is answered; several, or another unit, get the whole, as the RFC allows."""
    matched = _RANGE.fullmatch(text.strip())
    if matched is None or matched[1] == matched[2] == "":
        return Answer(200, 0, size)
    first, last = _number(matched[1]), _number(matched[2])
    if first is None:
        first, last = max(0, size - (last or 0)), size - 1
    elif last is None:
        last = size - 1
    elif last < first:
        return Answer(200, 0, size)
    if first >= size:
        return Answer(416)
    return Answer(206, first, min(last, size - 1) - first + 1)


def _number(digits: str) -> int | None:
    if not digits:
        return None
    return int(digits) if len(digits) <= _MOST_DIGITS else 10**_MOST_DIGITS


def _matches(listed: str, entity: Entity, *, weak: bool) -> bool:
    if listed.strip() == "*":
        return True
    tags = _ETAG.findall(listed)
    return entity.etag in ([tag.removeprefix("W/") for tag in tags] if weak else tags)


def _changed_since(date: str | None, entity: Entity) -> bool | None:
    """None when no date is given, or none that can be read."""
    since_s = _unix_time(date)
    return None if since_s is None else int(entity.modified_s) > since_s


def _range_holds(condition: str | None, entity: Entity) -> bool:
    if condition is None or condition == entity.etag:
        return True
    return _unix_time(condition) == int(entity.modified_s)


def _unix_time(date: str | None) -> float | None:
    try:
        parsed = parsedate_to_datetime(date or "")
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
