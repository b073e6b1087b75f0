"""What a submit refers to, its buckets and its pipeline, in one question: it is asked for every job."""

from __future__ import annotations

from dataclasses import dataclass

from stillframe.catalog.buckets import IS_USABLE, USABLE, BucketView, usable
from stillframe.database.engine import Database

_FIND = (
    f"SELECT pipeline.pipeline_id, {USABLE} "
    "FROM buckets AS bucket LEFT JOIN pipelines AS pipeline ON pipeline.account_id = %(account_id)s "
    "AND pipeline.deleted_at IS NULL AND "
)
# not an array: its unknown length would have every submit planned anew
_OF_ACCOUNT = f" WHERE bucket.name IN (%(source)s, %(target)s) AND {IS_USABLE}"
_WITH_DEFAULT = _FIND + "pipeline.is_default" + _OF_ACCOUNT
_WITH_NAMED = _FIND + "pipeline.pipeline_id = %(pipeline_id)s" + _OF_ACCOUNT


@dataclass(frozen=True, slots=True)
class References:
    """The buckets that the account may use, by name; the pipeline's id, where there is one and at least one bucket."""

    buckets: dict[str, BucketView]
    pipeline_id: str | None


def find_references(
    database: Database, account_id: str, source: str, target: str, pipeline_id: str | None
) -> References:
    """Look up the buckets of an account by their names, and a pipeline of it (None: its default one)."""
    values = {"account_id": account_id, "source": source, "target": target, "pipeline_id": pipeline_id}
    with database.statements() as connection:
        rows = connection.execute(_WITH_DEFAULT if pipeline_id is None else _WITH_NAMED, values).fetchall()
    found = {name: usable(name, *row) for _, name, *row in rows}
    return References(found, rows[0][0] if rows else None)
