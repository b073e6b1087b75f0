"""The use cases of media assets, for one account."""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from stillframe.catalog.assets import AssetFilter, AssetName, Assets, AssetView, find
from stillframe.catalog.buckets import Buckets, BucketView, demand
from stillframe.catalog.models import Access, BusinessType, MediaAssetRow, MediaType
from stillframe.database.engine import Database
from stillframe.errors import (
    AlreadyRegistered,
    ConfigError,
    IdempotentParameterMismatch,
    NotFound,
    NotSupported,
    SinkError,
    SourceError,
    StillAtWork,
    StillframeError,
    Unavailable,
)
from stillframe.events.outbox import Outbox
from stillframe.jobs import registering
from stillframe.jobs.asset_events import announce_deleted
from stillframe.jobs.asset_pictures import AssetPictures, first_stills, pictures_of
from stillframe.jobs.queue import Queue
from stillframe.jobs.registering import AssetFacts
from stillframe.media import plain_json
from stillframe.service.asset_removal import AssetRemoval, Forbidden
from stillframe.service.file_links import FileLinks
from stillframe.service.media_types import media_type_of
from stillframe.service.page_tokens import place_of, token_of
from stillframe.storage import addresses

#: bytes of a tag, and how many an asset may have (`ims_api`, 2.7)
LONGEST_TAG, MOST_TAGS = 32, 16
#: how long links are good where nobody says so
LINK_S = 3600
#: who is quicker with the same object is found the next time
_TRIES = 10
#: what a text may be (`ims_api`, 2.7)
_TEXTS: tuple[BusinessType, ...] = ("subtitles", "font")
_LOCK_TOKEN = text("SELECT pg_advisory_xact_lock(hashtextextended('media asset ' || :token, 0))")
log = structlog.get_logger(__name__)

#: an object, and what the account must be allowed to get a link to it
_Wanted = tuple[Access, str, str]


@dataclass(frozen=True, slots=True)
class RegisterRequest:
    """An object to be registered. `cover_ms` is the moment of the picture that becomes the cover."""

    input_url: str
    media_type: MediaType | None = None
    business_type: BusinessType | None = None
    title: str | None = None
    description: str | None = None
    tags: str | None = None
    cover_url: str | None = None
    user_data: str | None = None
    cate_id: int | None = None
    reference_id: str | None = None
    overwrite: bool = False
    client_token: str | None = None
    needs_snapshot: bool = True
    needs_sprite: bool = True
    cover_ms: int | None = None


@dataclass(frozen=True, slots=True)
class AssetChanges:
    """What becomes of an asset; what is None stays. With `append_tags` the tags come to those there are."""

    business_type: BusinessType | None = None
    title: str | None = None
    description: str | None = None
    tags: str | None = None
    append_tags: bool = False
    cover_url: str | None = None
    user_data: str | None = None
    cate_id: int | None = None
    category: str | None = None
    reference_id: str | None = None


@dataclass(frozen=True, slots=True)
class AssetDetails:
    """An asset with what was made for it, and links that are good for the time that was asked for.

    There is no link to what the account may not read, or for the cover not write, any more, nor while the keys of a
    store cannot be had.
    """

    asset: AssetView
    facts: AssetFacts | None
    pictures: Sequence[AssetPictures]
    cover_url: str | None
    file_url: str | None


@dataclass(frozen=True, slots=True)
class AssetPage:
    """A page of assets; `total` counts all that are wanted, `next_token` is None on the last page."""

    assets: Sequence[AssetDetails]
    total: int
    next_token: str | None = None


@dataclass(frozen=True, slots=True)
class Removed:
    """What was not removed: names of nothing, and those whose files may not, or can not, be removed."""

    ignored: Sequence[str]
    forbidden: Sequence[str]


class MediaAssets:
    """Register, look at, change and remove assets. What belongs to another account does not exist.

    `timeout_s` is how long links are good; None: an hour, or as long as they may be.
    """

    def __init__(
        self,
        database: Database,
        queue: Queue,
        outbox: Outbox,
        buckets: Buckets,
        assets: Assets,
        removal: AssetRemoval,
        links: FileLinks,
    ) -> None:
        self._database = database
        self._queue = queue
        self._outbox = outbox
        self._buckets = buckets
        self._assets = assets
        self._removal = removal
        self._links = links

    def register(self, account_id: str, request: RegisterRequest) -> str:
        """The id of the asset, whose file will be looked at. Raises AlreadyRegistered unless told to overwrite."""
        try:
            new = self._new(account_id, request)
        except StillframeError:
            # what was right the first time may be gone by now; the asset is there all the same
            with self._database.transaction() as session:
                if (media_id := _same_asset(session, account_id, request)) is None:
                    raise
                return media_id
        for tries_left in reversed(range(_TRIES)):
            try:
                return self._add(account_id, request, new)
            except IntegrityError:
                # somebody else was quicker, and is seen now
                if not tries_left:
                    raise
        raise AssertionError("the last try returns or raises")

    def get(self, account_id: str, name: AssetName, timeout_s: int | None) -> AssetDetails:
        """One asset. Raises NotFound."""
        expires_at = self._expiry(timeout_s)
        return self._details(account_id, [self._assets.get(account_id, name)], expires_at)[0]

    def update(self, account_id: str, name: AssetName, changes: AssetChanges) -> str:
        """Change an asset; its id. Raises NotFound, and ConfigError for what is not right together."""
        try:
            with self._database.transaction() as session:
                asset = find(session, account_id, name, for_update=True)
                _change(asset, changes)
                session.flush()
                return asset.media_id
        except IntegrityError as error:
            raise _reference_taken(changes.reference_id) from error

    def delete(self, account_id: str, names: Sequence[AssetName], *, files: bool) -> Removed:
        """Forget assets; with `files`, remove their objects and what was made for them as well."""
        ignored, forbidden = [], []
        for name in names:
            try:
                self._removal.remove(account_id, name, files=files)
            except (NotFound, ConfigError):
                ignored.append(str(name))
            except (Forbidden, SinkError, SourceError, StillAtWork) as error:
                log.warning("media asset cannot be removed", media=str(name), error=str(error))
                forbidden.append(str(name))
        return Removed(ignored, forbidden)

    def page(
        self,
        account_id: str,
        wanted: AssetFilter,
        *,
        newest_first: bool,
        size: int,
        token: str | None,
        timeout_s: int | None,
    ) -> AssetPage:
        """The account's assets, page by page."""
        expires_at = self._expiry(timeout_s)
        behind = place_of(token, account_id, "NextToken") if token is not None else None
        found, total = self._assets.page(
            account_id, wanted, newest_first=newest_first, behind=behind, size=size + 1
        )
        last = found[size - 1] if len(found) > size else None
        return AssetPage(
            self._details(account_id, found[:size], expires_at),
            total,
            token_of(account_id, (last.created_at, last.media_id)) if last is not None else None,
        )

    def many(
        self, account_id: str, media_ids: Sequence[str], timeout_s: int
    ) -> tuple[Sequence[AssetDetails], Sequence[str]]:
        """Those of the assets that there are, in the order of their ids as given; and the other ids."""
        expires_at = self._expiry(timeout_s)
        found = self._assets.many(account_id, media_ids)
        there = [found[media_id] for media_id in media_ids if media_id in found]
        return self._details(account_id, there, expires_at), [id for id in media_ids if id not in found]

    def _expiry(self, timeout_s: int | None) -> int:
        """When links end. Raises ConfigError for a time that is longer than they may be good."""
        if timeout_s is None:
            return self._links.soonest_expiry(LINK_S)
        return self._links.expiry("AuthTimeout", timeout_s)

    def _new(self, account_id: str, request: RegisterRequest) -> dict[str, Any]:
        """The columns of a new asset. Raises ConfigError and NotFound for what is not right."""
        if request.input_url.lower().startswith("vod://"):
            allowed = "oss://bucket/key or http(s)://bucket.oss-region.aliyuncs.com/key"
            raise NotSupported("InputURL", request.input_url, allowed)
        address = addresses.parse_address(request.input_url, "InputURL")
        found = self._buckets.of_account(account_id, {address.bucket})
        bucket = demand(found, address.bucket, "read", address.key)
        if address.region not in (None, bucket.region):
            raise ConfigError("InputURL", request.input_url, f"in the region of its bucket, {bucket.region}")
        bucket.open().demand_key(address.key, "InputURL")
        media_type = request.media_type or media_type_of(address.key)
        _demand_business_type(media_type, request.business_type or "general")
        return {
            "account_id": account_id,
            "input_url": request.input_url,
            "bucket": bucket.name,
            "key": address.key,
            "region": bucket.region,
            "client_token": request.client_token,
            "request_digest": _digest(request),
            "media_type": media_type,
            "is_type_given": request.media_type is not None,
            "business_type": request.business_type or "general",
            "title": request.title or f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
            "description": request.description,
            "tags": tags_of(request.tags or ""),
            "cover_url": request.cover_url,
            "user_data": request.user_data,
            "cate_id": request.cate_id,
            "reference_id": request.reference_id,
            "needs_snapshot": request.needs_snapshot,
            "needs_sprite": request.needs_sprite,
            "cover_ms": request.cover_ms,
        }

    def _add(self, account_id: str, request: RegisterRequest, new: Mapping[str, Any]) -> str:
        """Raises IntegrityError when somebody else was quicker."""
        media_id, old_id = secrets.token_hex(16), None
        with self._database.transaction() as session:
            if request.client_token is not None:
                # the same request comes to its end before this one looks, or not until this one has
                session.execute(_LOCK_TOKEN, {"token": f"{account_id}/{request.client_token}"})
            if (same := _same_asset(session, account_id, request)) is not None:
                return same
            query = select(MediaAssetRow).where(
                MediaAssetRow.account_id == account_id,
                MediaAssetRow.bucket == new["bucket"],
                MediaAssetRow.key == new["key"],
            )
            old = session.scalar(query.with_for_update())
            if old is not None and not request.overwrite:
                raise AlreadyRegistered(request.input_url, old.media_id)
            if old is not None:
                old_id = old.media_id
                announce_deleted(session, self._outbox, old)
                session.delete(old)
                session.flush()
            _demand_free(session, account_id, request.reference_id)
            session.add(MediaAssetRow(media_id=media_id, **new))
            session.flush()
            registering.defer(session, self._queue, media_id, account_id)
        if old_id is not None:
            self._removal.cancel_orphans(account_id, old_id)
        return media_id

    def _details(self, account_id: str, found: Sequence[AssetView], expires_at: int) -> list[AssetDetails]:
        with self._database.transaction() as session:
            pictures = pictures_of(session, [asset.media_id for asset in found])
            covers = first_stills(session, [asset.cover_job_id for asset in found if asset.cover_job_id])
        names = {asset.bucket for asset in found} | {bucket for bucket, _ in covers.values()}
        wanted: list[_Wanted] = [("read", asset.bucket, asset.key) for asset in found]
        wanted += [("write", *cover) for cover in covers.values()]
        links = self._links_to(self._buckets.of_account(account_id, names), wanted, expires_at)
        return [
            AssetDetails(
                asset,
                plain_json.convert(asset.facts, AssetFacts) if asset.facts is not None else None,
                pictures.get(asset.media_id, ()),
                asset.cover_url or (links.get(("write", *cover)) if cover is not None else None),
                links.get(("read", asset.bucket, asset.key)),
            )
            for asset in found
            for cover in [covers.get(asset.cover_job_id or "")]
        ]

    def _links_to(
        self, buckets: Mapping[str, BucketView], wanted: Sequence[_Wanted], expires_at: int
    ) -> dict[_Wanted, str]:
        """Without what was granted and taken back, and without that of a store whose keys cannot be had now."""
        links: dict[_Wanted, str] = {}
        for name, bucket in buckets.items():
            those = [one for one in wanted if one[1] == name and bucket.allows(one[0], one[2])]
            with contextlib.suppress(Unavailable):
                urls = self._links.urls(bucket, [key for _, _, key in those], expires_at)
                links.update((one, urls[one[2]]) for one in those)
        return links


def tags_of(listed: str) -> list[str]:
    """The tags of a list with commas, each once. Raises ConfigError for too many, and for too long ones."""
    tags = [*dict.fromkeys(tag.strip() for tag in listed.split(",") if tag.strip())]
    if len(tags) > MOST_TAGS or any(len(tag.encode()) > LONGEST_TAG for tag in tags):
        allowed = f"{MOST_TAGS} tags at the most, of {LONGEST_TAG} bytes in UTF-8 each, with commas between"
        raise ConfigError("MediaTags", listed, allowed)
    return tags


def _change(asset: MediaAssetRow, changes: AssetChanges) -> None:
    given = {name: value for name, value in asdict(changes).items() if value is not None}
    del given["append_tags"]
    if (tags := given.pop("tags", None)) is not None:
        asset.tags = tags_of(",".join((*asset.tags, tags)) if changes.append_tags else tags)
    if changes.business_type is not None:
        _demand_business_type(asset.media_type, changes.business_type)
    for name, value in given.items():
        setattr(asset, name, value)


def _demand_business_type(media_type: MediaType | None, business_type: BusinessType) -> None:
    if media_type == "text" and business_type not in _TEXTS:
        raise ConfigError("BusinessType", business_type, f"{' or '.join(_TEXTS)} for MediaType text")


def _same_asset(session: Session, account_id: str, request: RegisterRequest) -> str | None:
    """The asset that was registered with the request's token; None when there is none."""
    if request.client_token is None:
        return None
    row = session.scalar(
        select(MediaAssetRow).where(
            MediaAssetRow.account_id == account_id, MediaAssetRow.client_token == request.client_token
        )
    )
    if row is not None and row.request_digest != _digest(request):
        raise IdempotentParameterMismatch(request.client_token)
    return row.media_id if row is not None else None


def _digest(request: RegisterRequest) -> str:
    """Of all that makes a request what it is."""
    fields = asdict(replace(request, client_token=None))
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def _demand_free(session: Session, account_id: str, reference_id: str | None) -> None:
    taken = select(MediaAssetRow.media_id).where(
        MediaAssetRow.account_id == account_id, MediaAssetRow.reference_id == reference_id
    )
    if reference_id is not None and session.scalar(taken) is not None:
        raise _reference_taken(reference_id)


def _reference_taken(reference_id: str | None) -> ConfigError:
    return ConfigError("ReferenceId", reference_id, "one that no other asset of the account has")
