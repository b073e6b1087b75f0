"""Pipelines: named queues of jobs. Each account has a default one."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from stillframe.catalog.active_hours import ActiveHours
from stillframe.catalog.models import PipelineRow, PipelineSpeed
from stillframe.database.engine import Database
from stillframe.errors import ConfigError, NotFound

#: what a pipeline has that is made without one; 1 to 10, larger first
DEFAULT_PRIORITY = 6
_MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class PipelineView:
    """A pipeline as its owner sees it. `priority` is 1 to 10, larger first; without `max_concurrency` all may work."""

    pipeline_id: str
    account_id: str
    name: str
    speed: PipelineSpeed
    paused: bool
    priority: int
    max_concurrency: int | None
    #: when jobs are begun, and in which time zone; None is always
    active_hours: str | None
    time_zone: str | None
    #: nothing is begun now, since it is outside of these
    off_hours: bool
    is_default: bool
    created_at: datetime
    modified_at: datetime


class Pipelines:
    """The pipelines of all accounts. To change one, ask `service.pipelines`: its jobs are concerned, too."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        account_id: str,
        name: str,
        *,
        speed: PipelineSpeed = "Standard",
        priority: int = DEFAULT_PRIORITY,
        max_concurrency: int | None = None,
        active_hours: ActiveHours | None = None,
        is_default: bool = False,
        within: Session | None = None,
    ) -> PipelineView:
        """A new pipeline."""
        row = PipelineRow(
            pipeline_id=secrets.token_hex(16),
            account_id=account_id,
            name=name,
            speed=speed,
            priority=priority,
            max_concurrency=max_concurrency,
            is_default=is_default,
        )
        with self._database.transaction(within) as session:
            if active_hours is not None:
                set_hours(session, row, active_hours)
            session.add(row)
            session.flush()
            session.refresh(row)
            return view(row)

    def of_account(self, account_id: str, pipeline_id: str | None) -> PipelineView:
        """A pipeline of an account, or its default one. Raises NotFound."""
        with self._database.transaction() as session:
            return view(find(session, account_id, pipeline_id))

    def all_of_account(self, account_id: str, speed: PipelineSpeed | None = None) -> list[PipelineView]:
        """The pipelines of an account, the oldest first."""
        query = select(PipelineRow).where(
            PipelineRow.account_id == account_id, PipelineRow.deleted_at.is_(None)
        )
        if speed is not None:
            query = query.where(PipelineRow.speed == speed)
        with self._database.transaction() as session:
            rows = session.scalars(query.order_by(PipelineRow.created_at, PipelineRow.pipeline_id))
            return [view(row) for row in rows]

    def named(self, names: Sequence[str]) -> list[str]:
        """The ids of pipelines of any account, by these or by names that only one has. Raises ConfigError."""
        known = self.all()
        ids = {pipeline.pipeline_id for pipeline in known}
        return [name if name in ids else _by_name(name, known) for name in dict.fromkeys(names)]

    def all(self) -> list[PipelineView]:
        """Every pipeline, by account and name."""
        query = select(PipelineRow).where(PipelineRow.deleted_at.is_(None))
        with self._database.transaction() as session:
            rows = session.scalars(query.order_by(PipelineRow.account_id, PipelineRow.name))
            return [view(row) for row in rows]


def _by_name(name: str, known: Sequence[PipelineView]) -> str:
    found = [pipeline for pipeline in known if pipeline.name == name]
    if len(found) == 1:
        return found[0].pipeline_id
    shown = [f"{pipeline.pipeline_id} ({pipeline.name})" for pipeline in (found or known)]
    more = f", and {len(shown) - _MOST_SHOWN} more" if len(shown) > _MOST_SHOWN else ""
    told = "an id, since several have that name" if found else "a pipeline's id or name"
    raise ConfigError("--pipelines", name, f"{told}: {', '.join(shown[:_MOST_SHOWN])}{more}")


def set_hours(session: Session, row: PipelineRow, hours: ActiveHours | None) -> None:
    """Give a pipeline its hours, or take them away. What time it is, the database says."""
    row.active_hours = row.time_zone = None
    row.off_hours = False
    if hours is not None:
        row.active_hours, row.time_zone = hours.text, hours.time_zone
        row.off_hours = not hours.contains(now(session))


def now(session: Session) -> datetime:
    """The time by the database's clock, the only one that counts."""
    moment: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    return moment


def find(
    session: Session, account_id: str, pipeline_id: str | None, *, for_update: bool = False
) -> PipelineRow:
    """A pipeline of an account, or its default one. Raises NotFound."""
    wanted = PipelineRow.is_default if pipeline_id is None else PipelineRow.pipeline_id == pipeline_id
    query = select(PipelineRow).where(
        PipelineRow.account_id == account_id, wanted, PipelineRow.deleted_at.is_(None)
    )
    row = session.scalar(query.with_for_update() if for_update else query)
    if row is None:
        raise NotFound("Pipeline", pipeline_id or "default")
    return row


def view(row: PipelineRow) -> PipelineView:
    """A row as its owner sees it."""
    return PipelineView(
        row.pipeline_id,
        row.account_id,
        row.name,
        row.speed,
        row.status == "Paused",
        row.priority,
        row.max_concurrency,
        row.active_hours,
        row.time_zone,
        row.off_hours,
        row.is_default,
        row.created_at,
        row.modified_at,
    )
