"""Buckets: the names that API users write, and where they are bound to.

A bucket that is not registered, or belongs to another account, does not exist.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from stillframe.catalog.models import BucketRow
from stillframe.database.engine import Database
from stillframe.errors import ConfigError, NotFound
from stillframe.settings import REGION
from stillframe.storage.addresses import demand_bucket_name
from stillframe.storage.bucket import Bucket
from stillframe.storage.places import open_bucket, parse_place


@dataclass(frozen=True, slots=True)
class BucketView:
    """A bucket as its operator sees it. `place` is where it is bound to, such as `fs:/srv/videos`."""

    name: str
    account_id: str
    place: str
    region: str

    def open(self) -> Bucket:
        """The bucket itself. Nothing is read or written yet."""
        return open_bucket(parse_place(self.place), self.name)


class Buckets:
    """The buckets of all accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, name: str, account_id: str, place: str, region: str, *, within: Session | None = None
    ) -> BucketView:
        """Register a bucket; its place is written to and read once. Raises ConfigError, SinkError, SourceError."""
        demand_bucket_name(name, "Bucket")
        if not re.fullmatch(REGION, region):
            raise ConfigError("Region", region, "a region such as cn-shanghai")
        view = BucketView(name, account_id, str(parse_place(place)), region)
        view.open().check()
        try:
            with self._database.transaction(within) as session:
                session.add(BucketRow(name=name, account_id=account_id, place=view.place, region=region))
                session.flush()
        except IntegrityError as error:
            raise ConfigError("Bucket", name, "a name that no other bucket has") from error
        return view

    def remove(self, name: str) -> None:
        """Forget a bucket; what lies in it stays. Raises NotFound."""
        with self._database.transaction() as session:
            gone = delete(BucketRow).where(BucketRow.name == name)
            if session.scalar(gone.returning(BucketRow.name)) is None:
                raise NotFound("Bucket", name)

    def all(self) -> list[BucketView]:
        """Every bucket, by name."""
        with self._database.transaction() as session:
            return [_view(row) for row in session.scalars(select(BucketRow).order_by(BucketRow.name))]

    def find(self, name: str) -> BucketView | None:
        """The bucket of a name, whoever it belongs to: for those who hold a signed link."""
        with self._database.transaction() as session:
            row = session.get(BucketRow, name)
            return _view(row) if row is not None else None

    def of_account(self, account_id: str, names: Collection[str]) -> dict[str, BucketView]:
        """Those of the named buckets that an account may use."""
        with self._database.statements() as connection:
            rows = connection.execute(_OF_ACCOUNT, [account_id, [*names]]).fetchall()
        return {name: BucketView(name, account_id, place, region) for name, place, region in rows}


_OF_ACCOUNT = "SELECT name, place, region FROM buckets WHERE account_id = %s AND name = ANY(%s)"


def _view(row: BucketRow) -> BucketView:
    return BucketView(row.name, row.account_id, row.place, row.region)
