"""Templates: stored snapshot configs, under an id that jobs name.

    templates = Templates(database)
    templates.config(account_id, "S00000002-000010")    # a system template's, or the account's own
    made = templates.create(account_id, "previews", {"Type": "Sprite", "Width": 160})

A job keeps the config that it was submitted with: templates may change and go at any time.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session

from stillframe.catalog.models import TemplateRow
from stillframe.catalog.system_templates import SYSTEM_NAMES, SYSTEM_TEMPLATES
from stillframe.database.engine import Database
from stillframe.errors import ConfigError, NotFound
from stillframe.media.config import SnapshotType

KIND = "Template"


@dataclass(frozen=True, slots=True)
class TemplateView:
    """A template as its owner sees it. `config` is on the wire's keys, as it was written."""

    template_id: str
    name: str
    type: SnapshotType
    config: Mapping[str, Any]
    is_default: bool
    created_at: datetime
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class SystemTemplate:
    """A template that every account has."""

    template_id: str
    name: str
    type: SnapshotType
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TemplateFilter:
    """Which templates are listed: all that is not None must hold; `name` is any part of it, in any case."""

    type: SnapshotType | None = None
    name: str | None = None
    template_id: str | None = None


class Templates:
    """The templates of all accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def config(self, account_id: str, template_id: str) -> Mapping[str, Any]:
        """The config of a system template, or of an account's own. Raises NotFound."""
        system = SYSTEM_TEMPLATES.get(template_id)
        return system if system is not None else self.get(account_id, template_id).config

    def create(
        self, account_id: str, name: str, type: SnapshotType, config: Mapping[str, Any]
    ) -> TemplateView:
        """A new template."""
        row = TemplateRow(
            template_id=secrets.token_hex(16),
            account_id=account_id,
            name=name,
            type=type,
            config=dict(config),
        )
        with self._database.transaction() as session:
            session.add(row)
            session.flush()
            session.refresh(row)
            return _view(row)

    def get(self, account_id: str, template_id: str) -> TemplateView:
        """A template of an account. Raises NotFound."""
        with self._database.transaction() as session:
            return _view(_find(session, account_id, template_id))

    def default(self, account_id: str, type: SnapshotType | None) -> TemplateView:
        """The account's default template of a type; of any type, the one changed last. Raises NotFound."""
        query = select(TemplateRow).where(TemplateRow.account_id == account_id, TemplateRow.is_default)
        if type is not None:
            query = query.where(TemplateRow.type == type)
        with self._database.transaction() as session:
            row = session.scalar(query.order_by(TemplateRow.modified_at.desc()).limit(1))
            if row is None:
                raise NotFound(KIND, "default")
            return _view(row)

    def update(
        self, account_id: str, template_id: str, *, name: str | None, config: Mapping[str, Any] | None
    ) -> None:
        """Change what is not None. Raises NotFound."""
        _refuse_system(template_id)
        with self._database.transaction() as session:
            row = _find(session, account_id, template_id, for_update=True)
            row.name = row.name if name is None else name
            row.config = row.config if config is None else dict(config)

    def set_default(self, account_id: str, template_id: str) -> None:
        """Make a template its account's default one of its type; of two at once the last. Raises NotFound."""
        _refuse_system(template_id)
        with self._database.transaction() as session:
            type = _find(session, account_id, template_id).type
            alike = select(TemplateRow.template_id).where(
                TemplateRow.account_id == account_id, TemplateRow.type == type
            )
            # all of them, and in one order: whoever chooses another one at this moment is waited for
            session.execute(alike.order_by(TemplateRow.template_id).with_for_update())
            chosen = _find(session, account_id, template_id, for_update=True)
            session.execute(
                update(TemplateRow)
                .where(TemplateRow.account_id == account_id, TemplateRow.type == type)
                .where(TemplateRow.is_default, TemplateRow.template_id != template_id)
                .values(is_default=False)
            )
            chosen.is_default = True

    def delete(self, account_id: str, template_id: str) -> None:
        """Remove a template; jobs that were submitted with it go on. Raises NotFound."""
        _refuse_system(template_id)
        with self._database.transaction() as session:
            gone = delete(TemplateRow).where(
                TemplateRow.account_id == account_id, TemplateRow.template_id == template_id
            )
            if session.scalar(gone.returning(TemplateRow.template_id)) is None:
                raise NotFound(KIND, template_id)

    def page(
        self, account_id: str, wanted: TemplateFilter, *, newest_first: bool, number: int, size: int
    ) -> tuple[Sequence[TemplateView], int]:
        """One page (counted from 1) of an account's templates, and how many there are in all."""
        conditions: list[ColumnElement[bool]] = [TemplateRow.account_id == account_id]
        if wanted.type is not None:
            conditions.append(TemplateRow.type == wanted.type)
        if wanted.name is not None:
            conditions.append(func.strpos(func.lower(TemplateRow.name), wanted.name.lower()) > 0)
        if wanted.template_id is not None:
            conditions.append(TemplateRow.template_id == wanted.template_id)
        order = (TemplateRow.created_at, TemplateRow.template_id)
        query = select(TemplateRow).where(*conditions)
        query = query.order_by(*(column.desc() if newest_first else column for column in order))
        with self._database.transaction() as session:
            total = session.scalar(select(func.count()).select_from(TemplateRow).where(*conditions)) or 0
            rows = session.scalars(query.offset((number - 1) * size).limit(size)).all()
            return [_view(row) for row in rows], total


def system_template(template_id: str) -> SystemTemplate:
    """A system template. Raises NotFound."""
    config = SYSTEM_TEMPLATES.get(template_id)
    if config is None:
        raise NotFound("system template", template_id)
    return SystemTemplate(template_id, SYSTEM_NAMES[template_id], config["Type"], config)


def system_templates(wanted: TemplateFilter) -> list[SystemTemplate]:
    """The system templates that are wanted, by their ids."""
    return [
        template
        for template in map(system_template, SYSTEM_TEMPLATES)
        if wanted.type in (None, template.type)
        and wanted.template_id in (None, template.template_id)
        and (wanted.name or "").lower() in template.name.lower()
    ]


def _find(session: Session, account_id: str, template_id: str, *, for_update: bool = False) -> TemplateRow:
    query = select(TemplateRow).where(
        TemplateRow.account_id == account_id, TemplateRow.template_id == template_id
    )
    if for_update:
        # as it is once it is locked, whatever was read of it before
        query = query.with_for_update().execution_options(populate_existing=True)
    row = session.scalar(query)
    if row is None:
        raise NotFound(KIND, template_id)
    return row


def _refuse_system(template_id: str) -> None:
    if template_id in SYSTEM_TEMPLATES:
        raise ConfigError(
            "TemplateId", template_id, "a template of your own: system templates stay as they are"
        )


def _view(row: TemplateRow) -> TemplateView:
    return TemplateView(
        row.template_id, row.name, row.type, row.config, row.is_default, row.created_at, row.modified_at
    )
