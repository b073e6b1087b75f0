"""Outputs into a bucket: each is written whole or not at all, over what was there.

    with BucketSink(bucket, "s3://films/", names_for("s3://films/thumbs/{Count}.jpg", config)) as sink:
        sink.put(Item("still", 1, width_px=160, height_px=90), jpeg)    # writes the object thumbs/00001.jpg

Pictures are written while the next ones are made: at the end of the block all of them are there, or it raises.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from stillframe.media.sink import Item, Names, Output
from stillframe.storage.bucket import Bucket
from stillframe.storage.content_types import content_type

#: written at the same time, and kept in memory for that
_AT_A_TIME = 8


class BucketSink:
    """Its outputs are called `prefix`, which stands in front of the names' template, and the object's key."""

    def __init__(self, bucket: Bucket, prefix: str, names: Names) -> None:
        self.names = names
        self._bucket = bucket
        self._prefix = prefix
        self._threads = ThreadPoolExecutor(_AT_A_TIME, "stillframe-writes")
        self._room = threading.BoundedSemaphore(_AT_A_TIME)
        self._writes: list[Future[None]] = []
        self._failed: BaseException | None = None
        self._demand_keys()

    def put(self, item: Item, data: bytes) -> Output:
        """Begin to write; a track is written when all pictures are there. Raises SinkError, also of one before."""
        if item.kind == "track":
            self._wait()
        self._room.acquire()
        if self._failed is not None:
            self._room.release()
            raise self._failed
        name = self.names.of(item.kind, item.index)
        self._writes.append(self._threads.submit(self._write, name.removeprefix(self._prefix), data))
        return Output(item.kind, item.index, name, len(data), item.width_px, item.height_px)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._wait()
        finally:
            # who has pressed Ctrl-C waits for no server
            self._threads.shutdown(wait=not isinstance(error, KeyboardInterrupt), cancel_futures=True)

    def _write(self, key: str, data: bytes) -> None:
        try:
            self._bucket.write(key, data, content_type(key))
        except BaseException as error:
            self._failed = self._failed or error
            raise
        finally:
            self._room.release()

    def _wait(self) -> None:
        for write in self._writes:
            write.result()
        self._writes.clear()

    def _demand_keys(self) -> None:
        """Refuse a template for what no object can be called, before anything is decoded for it."""
        for kind in ("track", "still") if self.names.track else ("still", "sheet"):
            self._bucket.demand_key(self.names.of(kind, 1).removeprefix(self._prefix), "Output")
