"""Pipelines: named queues of jobs. For now each account has one, its default."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from stillframe.catalog.models import PipelineRow
from stillframe.database.engine import Database
from stillframe.errors import NotFound


@dataclass(frozen=True, slots=True)
class PipelineView:
    """A pipeline as its owner sees it. `priority` is 1 to 10, larger first."""

    pipeline_id: str
    account_id: str
    name: str
    paused: bool
    priority: int


class Pipelines:
    """The pipelines of all accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, account_id: str, name: str, *, is_default: bool = False, within: Session | None = None
    ) -> str:
        """A new pipeline; its id."""
        pipeline_id = secrets.token_hex(16)
        with self._database.transaction(within) as session:
            session.add(
                PipelineRow(pipeline_id=pipeline_id, account_id=account_id, name=name, is_default=is_default)
            )
        return pipeline_id

    def of_account(self, account_id: str, pipeline_id: str | None) -> PipelineView:
        """A pipeline of an account, or its default one. Raises NotFound."""
        wanted = PipelineRow.is_default if pipeline_id is None else PipelineRow.pipeline_id == pipeline_id
        with self._database.transaction() as session:
            row = session.scalar(select(PipelineRow).where(PipelineRow.account_id == account_id, wanted))
        if row is None:
            raise NotFound("Pipeline", pipeline_id or "default")
        return _view(row)

    def all(self) -> list[PipelineView]:
        """Every pipeline, by account and name."""
        with self._database.transaction() as session:
            rows = session.scalars(select(PipelineRow).order_by(PipelineRow.account_id, PipelineRow.name))
            return [_view(row) for row in rows]


def _view(row: PipelineRow) -> PipelineView:
    return PipelineView(row.pipeline_id, row.account_id, row.name, row.status == "Paused", row.priority)
