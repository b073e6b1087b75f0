"""The tables of events: where an account wants to be told, and what it has not been told yet."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import DateTime, ForeignKey, Index, String, func
from sqlalchemy.dialects.postgresql import ARRAY
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
