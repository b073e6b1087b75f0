"""Pipelines: named queues of jobs. For now each account has one, its default."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, bindparam, select

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

    def create(self, account_id: str, name: str, *, is_default: bool = False) -> str:
        """A new pipeline; its id."""
        pipeline_id = secrets.token_hex(16)
        with self._database.transaction() as session:
            session.add(
                PipelineRow(pipeline_id=pipeline_id, account_id=account_id, name=name, is_default=is_default)
            )
        return pipeline_id

    def of_account(self, account_id: str, pipeline_id: str | None) -> PipelineView:
        """A pipeline of an account, or its default one. Raises NotFound."""
        wanted, values = _DEFAULT, {"account_id": account_id}
        if pipeline_id is not None:
            wanted, values = _NAMED, {**values, "pipeline_id": pipeline_id}
        with self._database.statements() as connection:
            row = connection.execute(wanted, values).one_or_none()
        if row is None:
            raise NotFound("Pipeline", pipeline_id or "default")
        return _view(row)

    def all(self) -> list[PipelineView]:
        """Every pipeline, by account and name."""
        with self._database.transaction() as session:
            rows = session.execute(_ALL.order_by(PipelineRow.account_id, PipelineRow.name))
            return [_view(row) for row in rows]


_ALL = select(PipelineRow.__table__)
_OF_ACCOUNT = _ALL.where(PipelineRow.account_id == bindparam("account_id"))
_DEFAULT = _OF_ACCOUNT.where(PipelineRow.is_default)
_NAMED = _OF_ACCOUNT.where(PipelineRow.pipeline_id == bindparam("pipeline_id"))


def _view(row: Row[Any]) -> PipelineView:
    return PipelineView(row.pipeline_id, row.account_id, row.name, row.status == "Paused", row.priority)
