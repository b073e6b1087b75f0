"""Media assets: objects that an account has registered, under an id that jobs name in the place of an address.

    assets = Assets(database)
    assets.get(account_id, AssetName(media_id))
    assets.get(account_id, AssetName(input_url="oss://local/movie.mp4"))

What is registered is the object, however its address is spelled. An asset that is removed does not exist any more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, select, tuple_
from sqlalchemy.orm import Session

from stillframe.catalog.models import AssetStatus, BusinessType, MediaAssetRow, MediaType
from stillframe.database.engine import Database
from stillframe.errors import NotFound
from stillframe.media.config import SnapshotType
from stillframe.storage.addresses import parse_address

KIND = "Media"

#: what the pictures of an asset are called
_FILES: Mapping[SnapshotType, str] = {
    "Normal": "snapshot-{Count}.jpg",
    "Sprite": "sprite-{TileCount}.jpg",
    "WebVtt": "track.vtt",
}


@dataclass(frozen=True, slots=True)
class AssetName:
    """What names an asset: its id, or, where there is none, the address of its object."""

    media_id: str | None = None
    input_url: str | None = None

    def __str__(self) -> str:
        return self.media_id or self.input_url or ""


@dataclass(frozen=True, slots=True)
class AssetView:
    """An asset as its owner sees it; `facts` is what the look at its file has told, None as long as there is none."""

    media_id: str
    input_url: str
    bucket: str
    key: str
    region: str
    media_type: MediaType | None
    business_type: BusinessType
    title: str
    description: str | None
    tags: Sequence[str]
    cover_url: str | None
    user_data: str | None
    cate_id: int | None
    category: str | None
    reference_id: str | None
    status: AssetStatus
    code: str | None
    message: str | None
    size_bytes: int | None
    file_modified_at: datetime | None
    facts: Mapping[str, Any] | None
    cover_job_id: str | None
    created_at: datetime
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class AssetFilter:
    """Which assets are listed: all that is not None must hold. Made after `after`, and at `until` or earlier."""

    media_id: str | None = None
    media_type: MediaType | None = None
    business_type: BusinessType | None = None
    status: AssetStatus | None = None
    after: datetime | None = None
    until: datetime | None = None


class Assets:
    """The media assets of all accounts. To change them, ask `service.assets`: their files are concerned, too."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, account_id: str, name: AssetName) -> AssetView:
        """An asset of an account. Raises NotFound, and ConfigError for an address that is none."""
        with self._database.transaction() as session:
            return view(find(session, account_id, name))

    def many(self, account_id: str, media_ids: Collection[str]) -> dict[str, AssetView]:
        """Those of the named assets that an account has."""
        query = select(MediaAssetRow).where(
            MediaAssetRow.account_id == account_id, MediaAssetRow.media_id.in_(media_ids)
        )
        with self._database.transaction() as session:
            return {row.media_id: view(row) for row in session.scalars(query)}

    def page(
        self,
        account_id: str,
        wanted: AssetFilter,
        *,
        newest_first: bool,
        behind: tuple[datetime, str] | None,
        size: int,
    ) -> tuple[Sequence[AssetView], int]:
        """So many of an account's assets `behind` a place (time of creation and id), and how many there are in all."""
        conditions = _conditions(account_id, wanted)
        order = (MediaAssetRow.created_at, MediaAssetRow.media_id)
        query = select(MediaAssetRow).where(*conditions)
        if behind is not None:
            place = tuple_(*order)
            query = query.where(place < behind if newest_first else place > behind)
        query = query.order_by(*(column.desc() if newest_first else column for column in order))
        with self._database.transaction() as session:
            total = session.scalar(select(func.count()).select_from(MediaAssetRow).where(*conditions)) or 0
            return [view(row) for row in session.scalars(query.limit(size))], total


def find(session: Session, account_id: str, name: AssetName, *, for_update: bool = False) -> MediaAssetRow:
    """An asset of an account. Raises NotFound, and ConfigError for an address that is none."""
    query = select(MediaAssetRow).where(MediaAssetRow.account_id == account_id)
    if name.media_id is not None:
        query = query.where(MediaAssetRow.media_id == name.media_id)
    else:
        address = parse_address(name.input_url or "", "InputURL")
        query = query.where(MediaAssetRow.bucket == address.bucket, MediaAssetRow.key == address.key)
        if address.region is not None:
            query = query.where(MediaAssetRow.region == address.region)
    row = session.scalar(query.with_for_update() if for_update else query)
    if row is None:
        raise NotFound(KIND, str(name))
    return row


def lock(session: Session, media_id: str) -> None:
    """Keep an asset from being removed until the session's transaction ends. Raises NotFound for one that is gone."""
    query = select(MediaAssetRow.media_id).where(MediaAssetRow.media_id == media_id)
    if session.scalar(query.with_for_update(read=True)) is None:
        raise NotFound(KIND, media_id)


def view(row: MediaAssetRow) -> AssetView:
    """A row as its owner sees it."""
    return AssetView(
        media_id=row.media_id,
        input_url=row.input_url,
        bucket=row.bucket,
        key=row.key,
        region=row.region,
        media_type=row.media_type,
        business_type=row.business_type,
        title=row.title,
        description=row.description,
        tags=tuple(row.tags),
        cover_url=row.cover_url,
        user_data=row.user_data,
        cate_id=row.cate_id,
        category=row.category,
        reference_id=row.reference_id,
        status=row.status,
        code=row.code,
        message=row.message,
        size_bytes=row.size_bytes,
        file_modified_at=row.file_modified_at,
        facts=row.facts,
        cover_job_id=row.cover_job_id,
        created_at=row.created_at,
        modified_at=row.modified_at,
    )


def pictures_folder(path: str, media_id: str, job_id: str) -> str:
    """The beginning of the keys of what a job makes for an asset; `path` is that of the default storage."""
    return f"{path}snapshots/{media_id}/{job_id}/"


def pictures_name(type: SnapshotType) -> str:
    """What stands behind it: a template with our placeholders, or a track."""
    return _FILES[type]


def _conditions(account_id: str, wanted: AssetFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [MediaAssetRow.account_id == account_id]
    for column, value in (
        (MediaAssetRow.media_id, wanted.media_id),
        (MediaAssetRow.media_type, wanted.media_type),
        (MediaAssetRow.business_type, wanted.business_type),
        (MediaAssetRow.status, wanted.status),
    ):
        if value is not None:
            conditions.append(column == value)
    # as it is shown, to the second
    second = timedelta(seconds=1)
    if wanted.after is not None:
        conditions.append(MediaAssetRow.created_at >= wanted.after.replace(microsecond=0) + second)
    if wanted.until is not None:
        conditions.append(MediaAssetRow.created_at < wanted.until.replace(microsecond=0) + second)
    return conditions
