"""The tables of events: where an account wants to be told, what it has not been told yet, and what it has."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, ForeignKey, Index, String, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from stillframe.database.base import Base


class EventCallback(Base):
    """Where an account is told of which events; its secrets are encrypted with the keyring."""

    __tablename__ = "event_callbacks"

    account_id: Mapped[str] = mapped_column(
        ForeignKey("accounts.account_id", ondelete="CASCADE"), primary_key=True
    )
    url: Mapped[str]
    event_types: Mapped[list[str]] = mapped_column(ARRAY(String(64)))
    auth_switch: Mapped[bool]
    auth_key_encrypted: Mapped[str | None]
    webhook_secret_encrypted: Mapped[str | None]


class Event(Base):
    """An event that waits to be delivered. Who is delivering it has moved `due_at` to the end of a lease."""

    __tablename__ = "events"
    __table_args__ = (Index("ix_events_account_due", "account_id", "due_at"),)

    event_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    #: a callback that is removed takes its waiting events along
    account_id: Mapped[str] = mapped_column(ForeignKey("event_callbacks.account_id", ondelete="CASCADE"))
    type: Mapped[str] = mapped_column(String(64))
    #: the message, byte for byte: every try sends the same
    body: Mapped[str]
    #: tries that have failed
    failures: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    #: somebody is delivering it, or has died over that
    leased: Mapped[bool] = mapped_column(default=False, server_default="false")
    #: what became of each try, the first one first (`tries.Try`)
    tries: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    happened_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class SettledEvent(Base):
    """An event that was delivered, or given up; kept for a while, to be looked at and sent again.

    It has no foreign key: accounts stay, and for each message that is delivered one would lock a row that submits
    need as well.
    """

    __tablename__ = "settled_events"
    __table_args__ = (
        Index("ix_settled_events_account", "account_id", "happened_at", "event_id"),
        Index(
            "ix_settled_events_failed",
            "account_id",
            "happened_at",
            "event_id",
            postgresql_where=text("NOT is_delivered"),
        ),
        Index("ix_settled_events_settled_at", "settled_at"),
    )

    event_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    account_id: Mapped[str] = mapped_column(String(20))
    type: Mapped[str] = mapped_column(String(64))
    body: Mapped[str]
    is_delivered: Mapped[bool]
    failures: Mapped[int]
    tries: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    happened_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    settled_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
