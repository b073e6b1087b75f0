"""Outputs into a bucket: each is written whole or not at all, over what was there.

sink = BucketSink(bucket, "s3://films/", names_for("s3://films/thumbs/{Count}.jpg", config))
sink.put(Item("still", 1, width_px=160, height_px=90), jpeg)    # writes the object thumbs/00001.jpg
"""

from __future__ import annotations

from stillframe.media.sink import Item, Names, Output
from stillframe.storage.bucket import Bucket
from stillframe.storage.content_types import content_type


class BucketSink:
    """Its outputs are called `prefix`, which stands in front of the names' template, and the object's key."""

    def __init__(self, bucket: Bucket, prefix: str, names: Names) -> None:
        self.names = names
        self._bucket = bucket
        self._prefix = prefix
        self._demand_keys()

    def put(self, item: Item, data: bytes) -> Output:
        name = self.names.of(item.kind, item.index)
        key = name.removeprefix(self._prefix)
        self._bucket.write(key, data, content_type(key))
        return Output(item.kind, item.index, name, len(data), item.width_px, item.height_px)

    def _demand_keys(self) -> None:
        """Refuse a template for what no object can be called, before anything is decoded for it."""
        for kind in ("track", "still") if self.names.track else ("still", "sheet"):
            self._bucket.demand_key(self.names.of(kind, 1).removeprefix(self._prefix), "Output")
