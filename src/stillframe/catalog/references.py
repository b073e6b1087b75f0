"""What a submit refers to, its buckets and its pipeline, in one question: it is asked for every job."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from stillframe.catalog.buckets import BucketView
from stillframe.catalog.pipelines import PipelineView
from stillframe.database.engine import Database

_FIND = (
    "SELECT bucket.name, bucket.place, bucket.region, "
    "pipeline.pipeline_id, pipeline.name, pipeline.status, pipeline.priority "
    "FROM buckets AS bucket LEFT JOIN pipelines AS pipeline ON pipeline.account_id = bucket.account_id AND "
)
_OF_ACCOUNT = " WHERE bucket.account_id = %(account_id)s AND bucket.name = ANY(%(buckets)s)"
_WITH_DEFAULT = _FIND + "pipeline.is_default" + _OF_ACCOUNT
_WITH_NAMED = _FIND + "pipeline.pipeline_id = %(pipeline_id)s" + _OF_ACCOUNT


@dataclass(frozen=True, slots=True)
class References:
    """The buckets that the account may use, by name; its pipeline, where there is one and at least one bucket."""

    buckets: dict[str, BucketView]
    pipeline: PipelineView | None


def find_references(
    database: Database, account_id: str, buckets: Collection[str], pipeline_id: str | None
) -> References:
    """Look up the named buckets of an account, and a pipeline of it (None: its default one)."""
    values = {"account_id": account_id, "buckets": [*buckets], "pipeline_id": pipeline_id}
    with database.statements() as connection:
        rows = connection.execute(_WITH_DEFAULT if pipeline_id is None else _WITH_NAMED, values).fetchall()
    found = {name: BucketView(name, account_id, place, region) for name, place, region, *_ in rows}
    for _, _, _, its_id, name, status, priority in rows:
        if its_id is not None:
            return References(found, PipelineView(its_id, account_id, name, status == "Paused", priority))
    return References(found, None)
