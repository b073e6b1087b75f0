"""What a worker does for a media asset that was registered: look at its file, once, and have its pictures made.

Video and sound are looked at in the sandbox. Of a picture the first bytes are read, of a text that it is there. What is
found, the jobs of the pictures and the event belong to one transaction: an asset that is Normal has all of them.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from stillframe.catalog import pipelines
from stillframe.catalog.assets import pictures_folder, pictures_name
from stillframe.catalog.buckets import Buckets, BucketView, demand
from stillframe.catalog.models import MediaAssetRow, MediaType
from stillframe.catalog.pipelines import DEFAULT_PRIORITY
from stillframe.catalog.system_templates import SYSTEM_TEMPLATES
from stillframe.database.engine import Database, is_transient
from stillframe.events.outbox import Outbox
from stillframe.jobs import clock, faults, lifecycle
from stillframe.jobs.asset_events import announce_registered
from stillframe.jobs.lanes import Lane
from stillframe.jobs.queue import Begun, Queue
from stillframe.jobs.running import Running, Task
from stillframe.media import config_json
from stillframe.media.media_facts import MediaFacts
from stillframe.media.meter import ReadLimit
from stillframe.media.picture_facts import PictureFacts, picture_facts
from stillframe.sandbox.decoder import Decoder, Work
from stillframe.storage.bucket import ObjectSource
from stillframe.telemetry import Metrics, bound

log = structlog.get_logger(__name__)

_STAGE = "register"
#: the templates of the pictures that are made of every video
_COVER, _COVER_AT, _SPRITE = "S00000002-000010", "S00000002-000011", "S00000002-000020"
_NO_STORAGE = "no pictures were made of it: there is no default storage (SetDefaultStorageLocation)"
_NO_ACCESS = "no pictures were made of it: the account may not write to its default storage"


class Void(Exception):
    """The asset was removed, or looked at already: there is nothing to do."""


@dataclass(frozen=True, slots=True)
class AssetFacts:
    """What is known of an asset's file: of video and sound, or of a picture; neither of a text."""

    media: MediaFacts | None = None
    picture: PictureFacts | None = None


class Registering:
    """Looks at the files of assets. One for each process; `register` is called on the worker's threads."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        outbox: Outbox,
        buckets: Buckets,
        decoder: Decoder,
        running: Running,
        metrics: Metrics,
        *,
        attempts: int,
        max_read_bytes: int | None = None,
    ) -> None:
        self._database = database
        self._queue = queue
        self._outbox = outbox
        self._buckets = buckets
        self._decoder = decoder
        self._running = running
        self._metrics = metrics
        self._attempts = attempts
        self._limit = ReadLimit(max_read_bytes) if max_read_bytes is not None else None

    def register(self, media_id: str, begun: Begun) -> None:
        """Look at the file of an asset, and write down what is in it, or why that cannot be known."""
        with self._step(media_id, begun) as task:
            faults.demand_few(begun.starts)
            with self._database.transaction() as session:
                asset = _claim(session, media_id)
            found = self._buckets.of_account(asset.account_id, {asset.bucket})
            bucket = demand(found, asset.bucket, "read", asset.key)
            is_film = asset.media_type not in ("text", "image")
            source = bucket.open_input(asset.key) if is_film else bucket.open().open_source(asset.key)
            task.source = source
            with source:
                facts = self._look(asset.media_type, source, task)
                size_bytes, modified_s = source.facts.size, source.facts.modified_s
            storage = self._storage(asset.account_id)
            with self._database.transaction() as session:
                asset = _claim(session, media_id)
                asset.status, asset.code, asset.message = "Normal", None, None
                asset.size_bytes, asset.facts = size_bytes, msgspec.to_builtins(facts)
                asset.file_modified_at = datetime.fromtimestamp(modified_s, UTC)
                if facts.media is not None and not asset.is_type_given:
                    asset.media_type = "video" if facts.media.film else "audio"
                if facts.media is not None and facts.media.film and asset.media_type == "video":
                    self._make_pictures(session, asset, facts.media, storage)
                announce_registered(session, self._outbox, asset)
            self._metrics.asset_outcomes.labels(code="Success").inc()

    def _look(self, media_type: MediaType | None, source: ObjectSource, task: Task) -> AssetFacts:
        if media_type == "text":
            return AssetFacts()
        if media_type == "image":
            return AssetFacts(picture=picture_facts(source))
        found = self._decoder.describe(source, Work(cancelled=task.cancelled, limit=self._limit))
        self._metrics.note_read(source.store, found.stats)
        return AssetFacts(media=found.facts)

    def _storage(self, account_id: str) -> _Storage:
        chosen = self._buckets.default_storage(account_id)
        if chosen is None:
            return _Storage(None, "", _NO_STORAGE)
        found = self._buckets.of_account(account_id, {chosen.bucket})
        return _Storage(found.get(chosen.bucket), chosen.path, _NO_ACCESS)

    def _make_pictures(
        self, session: Session, asset: MediaAssetRow, facts: MediaFacts, storage: _Storage
    ) -> None:
        """Submit what was asked for, as ordinary jobs of the account's default pipeline."""
        wanted = []
        if asset.needs_snapshot:
            wanted.append(_cover(asset.cover_ms, facts.duration_us))
        if asset.needs_sprite:
            wanted.append((_SPRITE, SYSTEM_TEMPLATES[_SPRITE]))
        for template_id, template in wanted:
            job_id = lifecycle.new_id()
            config = config_json.parse(template)
            folder = pictures_folder(storage.path, asset.media_id, job_id)
            if storage.bucket is None or not storage.bucket.allows("write", folder):
                asset.message = storage.otherwise
                return
            pipeline = pipelines.find(session, asset.account_id, None)
            columns = {
                "account_id": asset.account_id,
                "pipeline_id": pipeline.pipeline_id,
                "priority": None,
                "name": None,
                "user_data": None,
                "client_token": None,
                "request_digest": hashlib.sha256(asset.media_id.encode()).hexdigest(),
                "trigger_source": "Workflow",
                "input_media": asset.media_id,
                "input_bucket": asset.bucket,
                "input_key": asset.key,
                "input_asset_id": asset.media_id,
                "output_media": asset.media_id,
                "output_bucket": storage.bucket.name,
                "output_key": folder + pictures_name(config.type),
                "output_asset_id": asset.media_id,
                "input_region": asset.region,
                "output_region": storage.bucket.region,
                "template_id": template_id,
                "config": config_json.to_wire(config),
            }
            lifecycle.create_within(session, self._queue, columns, job_id)
            if template_id != _SPRITE:
                asset.cover_job_id = job_id

    @contextmanager
    def _step(self, media_id: str, begun: Begun) -> Iterator[Task]:
        began = time.perf_counter()
        with bound(media_id=media_id), self._running.task(media_id) as task:
            try:
                yield task
            except Void:
                return
            except Exception as error:
                if is_transient(error):
                    # the database is away: the queue brings the task back when it can
                    raise
                self._put_off(media_id, error, given_up=begun.starts >= faults.MOST_STARTS)
            finally:
                if task.source is not None:
                    self._metrics.note_read(task.source.store, task.settle())
                self._metrics.stage.labels(stage=_STAGE).observe(time.perf_counter() - began)

    def _put_off(self, media_id: str, error: Exception, *, given_up: bool) -> None:
        """After an error: try again later, or keep the reason and end it."""
        with self._database.transaction() as session:
            try:
                asset = _claim(session, media_id)
            except Void:
                return
            pause_s = (
                None if given_up else faults.pause_before_next(asset, error, self._attempts, self._metrics)
            )
            if pause_s is None or not faults.is_given_back(error):
                # its owner sees what it waits for, until it goes on
                asset.code, asset.message = faults.told(error)
            if pause_s is None:
                log.info("media asset cannot be prepared", code=asset.code, reason=asset.message)
                asset.status = "PrepareFail"
                announce_registered(session, self._outbox, asset)
                self._metrics.asset_outcomes.labels(code=asset.code).inc()
                return
            log.warning("trying again", stage=_STAGE, pause_s=pause_s, error=str(error))
            self._metrics.retries.labels(stage=_STAGE).inc()
            defer(session, self._queue, media_id, asset.account_id, delay_s=pause_s)


def defer(session: Session, queue: Queue, media_id: str, account_id: str, *, delay_s: float = 0) -> None:
    """The file of an asset is to be looked at, as a part of the session's transaction.

    By whoever works on the account's default pipeline, where the jobs of its pictures will be, too.
    """
    pipeline_id = pipelines.find(session, account_id, None).pipeline_id
    lane = Lane(account_id, pipeline_id, DEFAULT_PRIORITY)
    queue.defer_register(session, media_id, lane=lane, delay_s=delay_s)


def resume(session: Session, queue: Queue, media_id: str) -> bool:
    """Bring back into the queue an asset that no task stands for; False when it is done by now."""
    try:
        asset = _claim(session, media_id)
    except Void:
        return False
    asset.modified_at = clock.now(session)
    defer(session, queue, media_id, asset.account_id)
    return True


@dataclass(frozen=True, slots=True)
class _Storage:
    """Where pictures go, and what is told when they cannot."""

    bucket: BucketView | None
    path: str
    otherwise: str


def _claim(session: Session, media_id: str) -> MediaAssetRow:
    """The asset whose file is to be looked at, locked. Raises Void."""
    query = select(MediaAssetRow).where(
        MediaAssetRow.media_id == media_id, MediaAssetRow.status == "Preparing"
    )
    asset = session.scalar(query.with_for_update())
    if asset is None:
        raise Void
    return asset


def _cover(cover_ms: int | None, duration_us: int | None) -> tuple[str, Mapping[str, Any]]:
    """The template and the config of the picture for the cover."""
    if cover_ms is None:
        return _COVER, SYSTEM_TEMPLATES[_COVER]
    # behind the end there is no exact frame, but a last keyframe
    is_behind = duration_us is not None and cover_ms * 1000 >= duration_us
    template_id = _COVER if is_behind else _COVER_AT
    return template_id, {**SYSTEM_TEMPLATES[template_id], "Time": cover_ms}
