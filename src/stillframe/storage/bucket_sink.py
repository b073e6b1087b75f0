"""Outputs of a job, written into a bucket under the keys that its template gives.

sink = BucketSink(bucket, names_for("thumbs/{Count}.jpg", config))
sink.put(Item("still", 1), jpeg).name    # "thumbs/00001.jpg"
sink.written["thumbs/00001.jpg"]         # Written(size=…, etag=…, sha256=…), to verify later
"""

from __future__ import annotations

from stillframe.media.sink import Item, Names, Output
from stillframe.storage.bucket import Bucket, Written
from stillframe.storage.content_types import content_type


class BucketSink:
    """A sink into a bucket. It keeps what it wrote, by key; a key that is written again counts once."""

    def __init__(self, bucket: Bucket, names: Names) -> None:
        self.names = names
        self.written: dict[str, Written] = {}
        self._bucket = bucket

    def put(self, item: Item, data: bytes) -> Output:
        """Write one output whole or not at all. Raises SinkError, or ConfigError for a key that cannot be."""
        key = self.names.of(item.kind, item.index)
        self.written[key] = self._bucket.write(key, data, content_type(key))
        return Output(item.kind, item.index, key, len(data), item.width_px, item.height_px)
