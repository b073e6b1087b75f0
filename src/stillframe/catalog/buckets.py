"""Buckets: the names that API users write, and where they are bound to.

A bucket that is not registered, or belongs to another account that has granted nothing, does not exist.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from stillframe.catalog.models import Access, BucketGrantRow, BucketRow, DefaultStorageRow
from stillframe.database.engine import Database
from stillframe.errors import ConfigError, NotFound
from stillframe.settings import REGION
from stillframe.storage.addresses import demand_bucket_name, is_plain
from stillframe.storage.bucket import Bucket, ObjectSource
from stillframe.storage.check_in_time import check_in_time
from stillframe.storage.places import open_bucket, parse_place
from stillframe.storage.playlist_keys import is_playlist
from stillframe.storage.playlist_source import open_playlist


@dataclass(frozen=True, slots=True)
class Grant:
    """What an account may do in somebody else's bucket: with the objects whose keys start with `prefix`."""

    access: Access
    prefix: str


@dataclass(frozen=True, slots=True)
class GrantView:
    """A grant as its operator sees it."""

    bucket: str
    account_id: str
    grant: Grant


@dataclass(frozen=True, slots=True)
class BucketView:
    """A bucket as its operator sees it, or an account that may use it. `place` is where it is bound to."""

    name: str
    account_id: str
    place: str
    region: str
    created_at: datetime
    #: what an account that it does not belong to may do; None: all, it is the owner
    grants: tuple[Grant, ...] | None = None

    def allows(self, access: Access, key: str) -> bool:
        """Whether the account that it was looked up for may do that with an object."""
        return self.grants is None or any(
            grant.access == access and key.startswith(grant.prefix) for grant in self.grants
        )

    def open(self) -> Bucket:
        """The bucket itself. Nothing is read or written yet."""
        return open_bucket(parse_place(self.place), self.name)

    def open_input(self, key: str, pinned: str | None = None) -> ObjectSource:
        """A video in it, or a playlist with what it names, as far as the account may read that.

        `pinned` is its identity, where it was opened before (see `open_playlist`). Raises SourceError, and MediaError
        for a playlist that is refused.
        """
        if is_playlist(key):
            return open_playlist(
                self.open(), key, self.name, lambda named: self.allows("read", named), pinned=pinned
            )
        return self.open().open_source(key)


@dataclass(frozen=True, slots=True)
class DefaultStorage:
    """Where outputs go that name no bucket; `path` is the beginning of their keys."""

    bucket: str
    path: str
    modified_at: datetime


class Buckets:
    """The buckets of all accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, name: str, account_id: str, place: str, region: str, *, within: Session | None = None
    ) -> BucketView:
        """Register a bucket; its place is written to and read once. Raises ConfigError, SinkError, SourceError."""
        demand_bucket_name(name, "Bucket")
        checked = _checked(name, place, region)
        row = BucketRow(name=name, account_id=account_id, place=checked, region=region)
        try:
            with self._database.transaction(within) as session:
                session.add(row)
                session.flush()
                session.refresh(row)
        except IntegrityError as error:
            raise ConfigError("Bucket", name, "a name that no other bucket has") from error
        return _view(row)

    def rebind(self, name: str, place: str, region: str) -> BucketView:
        """Bind a name to another place, which is checked as in `add`. Raises NotFound, and what `add` raises."""
        self.named(name)
        checked = _checked(name, place, region)
        with self._database.transaction() as session:
            row = session.get(BucketRow, name)
            if row is None:
                raise NotFound("Bucket", name)
            row.place, row.region = checked, region
            return _view(row)

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

    def named(self, name: str) -> BucketView:
        """The same. Raises NotFound."""
        found = self.find(name)
        if found is None:
            raise NotFound("Bucket", name)
        return found

    def of_account(self, account_id: str, names: Collection[str]) -> dict[str, BucketView]:
        """Those of the named buckets that an account owns, or was granted something in."""
        # no name has a NUL, of which PostgreSQL takes none in a text
        names = [name for name in names if "\0" not in name]
        if not names:
            return {}
        # not an array: its unknown length would have each question planned anew
        wanted = {f"name{number}": name for number, name in enumerate(names)}
        those = ", ".join(f"%({key})s" for key in wanted)
        with self._database.statements() as connection:
            rows = connection.execute(
                f"{_ALL_OF_ACCOUNT} AND bucket.name IN ({those})", {"account_id": account_id, **wanted}
            ).fetchall()
        return {row[0]: usable(*row) for row in rows}

    def all_of_account(self, account_id: str) -> list[BucketView]:
        """The buckets that an account owns, or was granted something in, by name."""
        with self._database.statements() as connection:
            rows = connection.execute(_ALL_OF_ACCOUNT, {"account_id": account_id}).fetchall()
        return sorted((usable(*row) for row in rows), key=lambda bucket: bucket.name)

    def grant(self, name: str, account_id: str, grant: Grant) -> None:
        """Let another account in. Raises NotFound, and ConfigError for the owner's own."""
        with self._database.transaction() as session:
            row = session.get(BucketRow, name)
            if row is None:
                raise NotFound("Bucket", name)
            if row.account_id == account_id:
                raise ConfigError("Account", account_id, "another account than the bucket's owner")
            key = {"bucket": name, "account_id": account_id, "access": grant.access, "prefix": grant.prefix}
            session.merge(BucketGrantRow(**key))

    def revoke(
        self, name: str, account_id: str, access: Access | None = None, prefix: str | None = None
    ) -> int:
        """Take grants back, of any kind where something is None; how many they were. Raises NotFound for none."""
        gone = delete(BucketGrantRow).where(
            BucketGrantRow.bucket == name, BucketGrantRow.account_id == account_id
        )
        if access is not None:
            gone = gone.where(BucketGrantRow.access == access)
        if prefix is not None:
            gone = gone.where(BucketGrantRow.prefix == prefix)
        with self._database.transaction() as session:
            number = len(session.scalars(gone.returning(BucketGrantRow.access)).all())
        if not number:
            raise NotFound("Grant", f"{name} to {account_id}")
        return number

    def grants(self) -> list[GrantView]:
        """Every grant, by bucket and account."""
        query = select(BucketGrantRow).order_by(
            BucketGrantRow.bucket, BucketGrantRow.account_id, BucketGrantRow.access, BucketGrantRow.prefix
        )
        with self._database.transaction() as session:
            rows = session.scalars(query)
            return [GrantView(row.bucket, row.account_id, Grant(row.access, row.prefix)) for row in rows]

    def set_default_storage(self, account_id: str, bucket: str, path: str) -> None:
        """Where outputs go that name no bucket; `path` is a folder, with a slash behind it or not.

        Raises NotFound for a bucket that the account may not write to, and ConfigError for a path that it cannot hold.
        """
        bare = path.removesuffix("/")
        # a placeholder there would be one of the names that come behind it
        if bare and (not is_plain(bare) or "{Count}" in bare or "{TileCount}" in bare):
            allowed = "a key's beginning such as media/2026, with no empty, . or .. part, and no placeholder"
            raise ConfigError("Path", path, allowed)
        folder = f"{bare}/" if bare else ""
        found = demand(self.of_account(account_id, {bucket}), bucket, "write", folder)
        if bare:
            found.open().demand_key(bare, "Path")
        self.choose_storage(account_id, found, folder)

    def choose_storage(
        self, account_id: str, bucket: BucketView, path: str, *, within: Session | None = None
    ) -> None:
        """As `set_default_storage`, for a bucket that the account is known to own, or may write to."""
        chosen = {"bucket": bucket.name, "path": path}
        statement = insert(DefaultStorageRow).values(account_id=account_id, **chosen)
        with self._database.transaction(within) as session:
            # it may be removed at this moment
            there = select(BucketRow.name).where(BucketRow.name == bucket.name)
            if session.scalar(there.with_for_update(read=True, key_share=True)) is None:
                raise NotFound("Bucket", bucket.name)
            changed = chosen | {"modified_at": func.clock_timestamp()}
            session.execute(statement.on_conflict_do_update(index_elements=["account_id"], set_=changed))

    def default_storage(self, account_id: str) -> DefaultStorage | None:
        """Where outputs go that name no bucket; None when it was never said, or the bucket is gone."""
        with self._database.transaction() as session:
            row = session.get(DefaultStorageRow, account_id)
            return DefaultStorage(row.bucket, row.path, row.modified_at) if row is not None else None

    def usable_default_storage(self, account_id: str) -> DefaultStorage | None:
        """The same; None where the account may not write any more, too: to it that bucket does not exist."""
        chosen = self.default_storage(account_id)
        if chosen is None:
            return None
        found = self.of_account(account_id, {chosen.bucket}).get(chosen.bucket)
        return chosen if found is not None and found.allows("write", chosen.path) else None


def demand(found: Mapping[str, BucketView], name: str, access: Access, key: str) -> BucketView:
    """The bucket of this name among those `of_account` has found. Raises NotFound where the account may not do that."""
    bucket = found.get(name)
    if bucket is None or not bucket.allows(access, key):
        raise NotFound("Bucket", name)
    return bucket


#: a bucket that an account may use: name, owner, place, region, and what it was granted where it is not the owner
USABLE = (
    "bucket.name, bucket.account_id, bucket.place, bucket.region, bucket.created_at, "
    "CASE WHEN bucket.account_id <> %(account_id)s THEN ARRAY(SELECT access || ':' || prefix "
    "FROM bucket_grants AS granted WHERE granted.bucket = bucket.name AND granted.account_id = %(account_id)s) END"
)
#: whether an account may use it
IS_USABLE = (
    "(bucket.account_id = %(account_id)s OR EXISTS (SELECT FROM bucket_grants AS granted "
    "WHERE granted.bucket = bucket.name AND granted.account_id = %(account_id)s))"
)
_ALL_OF_ACCOUNT = f"SELECT {USABLE} FROM buckets AS bucket WHERE {IS_USABLE}"


def usable(
    name: str, owner: str, place: str, region: str, created_at: datetime, granted: list[str] | None
) -> BucketView:
    """A row of `USABLE`."""
    if granted is None:
        return BucketView(name, owner, place, region, created_at)
    parts = (text.partition(":") for text in granted)
    return BucketView(
        name,
        owner,
        place,
        region,
        created_at,
        tuple(Grant("write" if access == "write" else "read", prefix) for access, _, prefix in parts),
    )


def _checked(name: str, place: str, region: str) -> str:
    """The one form of a place that can be written to and read. Raises ConfigError, SinkError, SourceError."""
    if not re.fullmatch(REGION, region):
        raise ConfigError("Region", region, "a region such as cn-shanghai")
    parsed = parse_place(place)
    check_in_time(open_bucket(parsed, name), f"oss://{name}")
    return str(parsed)


def _view(row: BucketRow) -> BucketView:
    return BucketView(row.name, row.account_id, row.place, row.region, row.created_at)
