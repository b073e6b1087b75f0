"""The tables of the catalog."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, String, func, text
from sqlalchemy.orm import Mapped, mapped_column

from stillframe.database.base import Base


class BucketRow(Base):
    """A name that API users write, bound by the operator to a place."""

    __tablename__ = "buckets"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.account_id"), index=True)
    place: Mapped[str]
    region: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


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
    status: Mapped[str] = mapped_column(String(8), default="Active")
    priority: Mapped[int] = mapped_column(default=6)
    is_default: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
