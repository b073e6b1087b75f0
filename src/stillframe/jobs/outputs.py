"""What a job writes: a sink that stops when the job is not wanted any more, and keeps account of what exists."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.json import Jsonb
from sqlalchemy import select
from sqlalchemy.orm import Session

from stillframe.errors import ChildKilled
from stillframe.jobs.models import JobOutput
from stillframe.media.sink import Item, Names, Output
from stillframe.storage.bucket import Bucket, Written
from stillframe.storage.content_types import content_type

#: before what a bucket does not show is taken for lost
_LOOK_AGAIN_S = 0.5


@dataclass(frozen=True, slots=True)
class Kept:
    """An output, and what the bucket said of it."""

    output: Output
    written: Written


class JobSink:
    """A sink into a job's bucket. Raises ChildKilled instead of writing after `cancelled` is set."""

    def __init__(self, bucket: Bucket, names: Names, cancelled: threading.Event) -> None:
        self.names = names
        self.kept: list[Kept] = []
        self._bucket = bucket
        self._cancelled = cancelled

    def put(self, item: Item, data: bytes) -> Output:
        self._demand_wanted()
        key = self.names.of(item.kind, item.index)
        written = self._bucket.write(key, data, content_type(key))
        output = Output(item.kind, item.index, key, len(data), item.width_px, item.height_px)
        self.kept.append(Kept(output, written))
        return output

    def lost(self, kept: Iterable[Kept]) -> list[Kept]:
        """Those outputs that are not in the bucket as they were written. Stops as `put` does.

        They are looked at twice: a store may not show at once what it has taken.
        """
        lost = self._unseen(kept)
        if lost:
            self._cancelled.wait(_LOOK_AGAIN_S)
            lost = self._unseen(lost)
        return lost

    def _unseen(self, kept: Iterable[Kept]) -> list[Kept]:
        unseen = []
        for item in kept:
            self._demand_wanted()
            if not self._bucket.verify(item.output.name, item.written):
                unseen.append(item)
        return unseen

    def _demand_wanted(self) -> None:
        if self._cancelled.is_set():
            raise ChildKilled("cancelled", "its pictures are not wanted any more")


_COLUMNS = (
    "kind text, index int, key text, size_bytes bigint, width_px int, height_px int, etag text, sha256 text"
)
_NAMES = [column.split()[0] for column in _COLUMNS.split(", ")]
_STORE = (
    f"INSERT INTO job_outputs (job_id, {', '.join(_NAMES)}) SELECT %s, {', '.join(_NAMES)} "
    f"FROM jsonb_to_recordset(%s) AS item ({_COLUMNS}) ON CONFLICT (job_id, kind, index) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _NAMES[2:])
)


def store(connection: psycopg.Connection[Any], job_id: str, kept: Iterable[Kept]) -> None:
    """Write down outputs that exist, over what was known of earlier ones of the same kind and index."""
    rows = {
        (item.output.kind, item.output.index): {
            "kind": item.output.kind,
            "index": item.output.index,
            "key": item.output.name,
            "size_bytes": item.output.size_bytes,
            "width_px": item.output.width_px,
            "height_px": item.output.height_px,
            "etag": item.written.etag,
            "sha256": item.written.sha256,
        }
        for item in kept
    }
    if rows:
        connection.execute(_STORE, [job_id, Jsonb([*rows.values()])])


def load(session: Session, job_id: str) -> list[Kept]:
    """The outputs that a job has written down."""
    rows = session.scalars(
        select(JobOutput).where(JobOutput.job_id == job_id).order_by(JobOutput.kind, JobOutput.index)
    )
    return [
        Kept(
            Output(row.kind, row.index, row.key, row.size_bytes, row.width_px, row.height_px),
            Written(row.size_bytes, row.etag, row.sha256),
        )
        for row in rows
    ]
