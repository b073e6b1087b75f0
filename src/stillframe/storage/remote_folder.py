"""A page of what lies in a folder of a store, which is asked for no more than it takes to fill the page.

store.ask(lambda operator: first_entries(operator, "films/", after=None, most=101)).entries
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import opendal


@dataclass(frozen=True, slots=True)
class Start:
    """The first entries behind a key, all that there are up to the last of them; `is_all`: there is no other."""

    entries: Sequence[opendal.types.Entry]
    is_all: bool


async def first_entries(operator: opendal.AsyncOperator, prefix: str, after: str | None, most: int) -> Start:
    """At least `most` of what begins with a prefix, folders as one entry each, in the order of the keys' bytes.

    OpenDAL gives the folders of an answer before its objects, so that only what is before a whole answer, which
    has `most` entries at most, can be relied on to be all that is there.
    """
    found: list[opendal.types.Entry] = []
    async for entry in await operator.list(prefix, start_after=after, limit=most):
        if len(found) == 2 * most:
            break
        found.append(entry)
    else:
        return Start(sorted(found, key=_bytes), is_all=True)
    last = max(map(_bytes, found[:most]))
    return Start([entry for entry in sorted(found, key=_bytes) if _bytes(entry) <= last], is_all=False)


def _bytes(entry: opendal.types.Entry) -> bytes:
    return entry.path.encode()
