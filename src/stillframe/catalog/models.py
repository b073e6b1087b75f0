"""The tables of the catalog."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Index, String, func, or_, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql.expression import ColumnElement

from stillframe.database.base import Base
from stillframe.media.config import SnapshotType

Access = Literal["read", "write"]
PipelineStatus = Literal["Active", "Paused"]
PipelineSpeed = Literal["Standard", "Boost", "NarrowBandHDV2"]
MediaType = Literal["image", "video", "audio", "text"]
BusinessType = Literal["subtitles", "font", "watermark", "opening", "ending", "general"]
AssetStatus = Literal["Preparing", "PrepareFail", "Normal"]


class BucketRow(Base):
    """A name that API users write, bound by the operator to a place."""

    __tablename__ = "buckets"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.account_id"), index=True)
    place: Mapped[str]
    region: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class BucketGrantRow(Base):
    """What another account may do in a bucket: read or write the objects whose keys start with a prefix."""

    __tablename__ = "bucket_grants"
    __table_args__ = (CheckConstraint("access IN ('read', 'write')", name="access"),)

    bucket: Mapped[str] = mapped_column(ForeignKey("buckets.name", ondelete="CASCADE"), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.account_id"), primary_key=True, index=True)
    access: Mapped[Access] = mapped_column(String(8), primary_key=True)
    prefix: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class DefaultStorageRow(Base):
    """Where an account's outputs go when a job names a media asset, and no bucket."""

    __tablename__ = "default_storages"

    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.account_id"), primary_key=True)
    bucket: Mapped[str] = mapped_column(ForeignKey("buckets.name", ondelete="CASCADE"), index=True)
    path: Mapped[str]
    modified_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), onupdate=func.clock_timestamp()
    )


class TemplateRow(Base):
    """A stored snapshot config. `config` is on the wire's keys, as its owner wrote it."""

    __tablename__ = "templates"
    __table_args__ = (
        CheckConstraint("type IN ('Normal', 'Sprite', 'WebVtt')", name="type"),
        Index("ix_templates_account_created", "account_id", "created_at", "template_id"),
        Index("uq_templates_default", "account_id", "type", unique=True, postgresql_where=text("is_default")),
    )

    template_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.account_id"))
    name: Mapped[str] = mapped_column(String(128))
    type: Mapped[SnapshotType] = mapped_column(String(8))
    config: Mapped[dict[str, Any]] = mapped_column(JSONB)
    is_default: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    modified_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), onupdate=func.clock_timestamp()
    )


class PipelineRow(Base):
    """A named queue of jobs."""

    __tablename__ = "pipelines"
    __table_args__ = (
        CheckConstraint("status IN ('Active', 'Paused')", name="status"),
        CheckConstraint("priority BETWEEN 1 AND 10", name="priority"),
        Index("uq_pipelines_default", "account_id", unique=True, postgresql_where=text("is_default")),
    )

    pipeline_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.account_id"), index=True)
    name: Mapped[str] = mapped_column(String(128))
    speed: Mapped[PipelineSpeed] = mapped_column(String(16), default="Standard", server_default="Standard")
    status: Mapped[PipelineStatus] = mapped_column(String(8), default="Active")
    priority: Mapped[int] = mapped_column(default=6)
    #: jobs that may be in work at the same time, over all workers; NULL is no limit
    max_concurrency: Mapped[int | None]
    #: when jobs are begun (catalog.active_hours), in that time zone; NULL is always
    active_hours: Mapped[str | None] = mapped_column(String(256))
    time_zone: Mapped[str | None] = mapped_column(String(64))
    #: it is outside of its hours: as the repair, which looks every few seconds, saw it last
    off_hours: Mapped[bool] = mapped_column(default=False, server_default="false")
    is_default: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    modified_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), onupdate=func.clock_timestamp()
    )
    #: to its owner it does not exist any more; jobs that have ended still name it
    deleted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    @hybrid_property
    def is_held(self) -> bool:
        """Whether nothing of it is begun."""
        return self.status == "Paused" or self.off_hours

    @is_held.inplace.expression
    @classmethod
    def _is_held(cls) -> ColumnElement[bool]:
        return or_(cls.status == "Paused", cls.off_hours).label("is_held")


class MediaAssetRow(Base):
    """An object that an account has registered, under an id. The pictures made for it are those of its jobs."""

    __tablename__ = "media_assets"
    __table_args__ = (
        CheckConstraint("status IN ('Preparing', 'PrepareFail', 'Normal')", name="status"),
        Index("ix_media_assets_account_created", "account_id", "created_at", "media_id"),
        Index("ix_media_assets_account_type", "account_id", "media_type", "created_at", "media_id"),
        Index("ix_media_assets_account_business", "account_id", "business_type", "created_at", "media_id"),
        Index("ix_media_assets_account_status", "account_id", "status", "created_at", "media_id"),
        Index("uq_media_assets_object", "account_id", "bucket", "key", unique=True),
        Index("uq_media_assets_client_token", "account_id", "client_token", unique=True),
        Index("uq_media_assets_reference", "account_id", "reference_id", unique=True),
        Index("ix_media_assets_preparing", "modified_at", postgresql_where=text("status = 'Preparing'")),
    )

    media_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.account_id"))
    #: as it was written, and what it means
    input_url: Mapped[str]
    bucket: Mapped[str] = mapped_column(String(63))
    key: Mapped[str]
    region: Mapped[str] = mapped_column(String(32))
    client_token: Mapped[str | None]
    #: of what was asked for, so that a client token is not used for something else
    request_digest: Mapped[str]

    #: as it was said, or by the name's ending until the file itself has told
    media_type: Mapped[MediaType | None] = mapped_column(String(8))
    is_type_given: Mapped[bool]
    business_type: Mapped[BusinessType] = mapped_column(String(16))
    title: Mapped[str]
    description: Mapped[str | None]
    tags: Mapped[list[str]] = mapped_column(ARRAY(String))
    cover_url: Mapped[str | None]
    user_data: Mapped[str | None]
    cate_id: Mapped[int | None] = mapped_column(BigInteger)
    category: Mapped[str | None]
    reference_id: Mapped[str | None] = mapped_column(String(64))
    needs_snapshot: Mapped[bool]
    needs_sprite: Mapped[bool]
    #: the moment of the picture for the cover; NULL leaves the choice
    cover_ms: Mapped[int | None]

    status: Mapped[AssetStatus] = mapped_column(String(12), default="Preparing")
    #: why its file could not be understood, or what was not made of it
    code: Mapped[str | None]
    message: Mapped[str | None]
    #: how often the look at its file failed and was put off, and how often the child was killed over it
    failures: Mapped[int] = mapped_column(default=0)
    kills: Mapped[int] = mapped_column(default=0)
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    file_modified_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    #: what is in the file, as the look at it has told
    facts: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    #: the job whose picture is the cover where no other was given
    cover_job_id: Mapped[str | None] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    modified_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), onupdate=func.clock_timestamp()
    )
