"""Events that were delivered or given up are kept for a while, with what became of each try."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only: a backup is the way back."""
    op.add_column(
        "events",
        sa.Column(
            "tries",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'"),
            nullable=False,
        ),
    )
    op.add_column(
        "events",
        sa.Column("happened_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    )
    op.create_table(
        "settled_events",
        sa.Column("event_id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=20), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("is_delivered", sa.Boolean(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("tries", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_settled_events")),
    )
    of_account = ["account_id", "happened_at", "event_id"]
    op.create_index("ix_settled_events_account", "settled_events", of_account)
    op.create_index(
        "ix_settled_events_failed",
        "settled_events",
        of_account,
        postgresql_where=sa.text("NOT is_delivered"),
    )
    op.create_index("ix_settled_events_settled_at", "settled_events", ["settled_at"])
