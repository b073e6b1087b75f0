"""Alembic runs this for every command; the connection, and the transaction around it, are the caller's."""

from __future__ import annotations

from alembic import context

from stillframe.database.base import Base
from stillframe.database.migrations.history import is_ours

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, include_name=is_ours
)
context.run_migrations()
