"""An object of a store that is written in parts: nobody sees any of it until they are put together.

writer = RemoteWriter(store, "movie.mp4", fault, content_type="video/mp4")
writer.add(data)
writer.finish()    # without it the store forgets the parts by its own rules for uploads that were not ended
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from opendal.file import AsyncFile
from opendal.options import OpenKwargs

from stillframe.errors import SinkError
from stillframe.storage.bucket import ObjectFacts, Written
from stillframe.storage.store import Store
from stillframe.storage.store_faults import FAULTS

#: above it an object is written in parts, each of which may be tried again by itself
PART_BYTES = 16 << 20
#: stores take no more for one object
_MOST_PARTS = 10_000


class RemoteWriter:
    """Writes an object. `fault` says in words what went wrong; `look` finds what was written, of so many bytes."""

    def __init__(
        self,
        store: Store,
        key: str,
        fault: Callable[[Exception], SinkError],
        look: Callable[[int], ObjectFacts],
        *,
        content_type: str,
        cache_control: str | None,
    ) -> None:
        self._store = store
        self._fault = fault
        self._look = look
        self._size = 0
        self._digest = hashlib.sha256()
        self._file: AsyncFile | None = None
        options: OpenKwargs = {"content_type": content_type, "chunk": PART_BYTES}
        if cache_control is not None:
            options["cache_control"] = cache_control
        try:
            self._file = store.ask(lambda operator: operator.open(key, "wb", **options), PART_BYTES)
        except FAULTS as error:
            raise fault(error) from error

    def add(self, data: bytes) -> None:
        """As the port says; most of it waits in memory until there is a whole part."""
        file = self._open()
        self._size += len(data)
        if self._size > PART_BYTES * _MOST_PARTS:
            gib = PART_BYTES * _MOST_PARTS >> 30
            raise self._fault(
                ValueError(f"it is larger than {gib} GiB, the most that is written into a store")
            )
        try:
            self._store.go_on(lambda: file.write(data), PART_BYTES)
        except FAULTS as error:
            raise self._fault(error) from error
        self._digest.update(data)

    def finish(self) -> Written:
        """As the port says."""
        file = self._open()
        try:
            self._store.go_on(file.close, PART_BYTES)
            self._file = None
            facts = self._look(self._size)
        except FAULTS as error:
            raise self._fault(error) from error
        return Written(self._size, facts.etag, self._digest.hexdigest())

    def abort(self) -> None:
        """As the port says: what is not closed is never put together."""
        self._file = None

    def _open(self) -> AsyncFile:
        if self._file is None:
            raise ValueError("this object is written, or was given up")
        return self._file
