"""The tables of the catalog."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, String, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from stillframe.database.base import Base
from stillframe.media.config import SnapshotType

Access = Literal["read", "write"]
PipelineStatus = Literal["Active", "Paused"]
PipelineSpeed = Literal["Standard", "Boost", "NarrowBandHDV2"]


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
    is_default: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    modified_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), onupdate=func.clock_timestamp()
    )
    #: to its owner it does not exist any more; jobs that have ended still name it
    deleted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
