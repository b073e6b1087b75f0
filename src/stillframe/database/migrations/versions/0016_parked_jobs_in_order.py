"""Parked jobs are let in batch by batch: the next ones are found without a look at all of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only: a backup is the way back."""
    for table in ("jobs", "probe_jobs"):
        op.create_index(
            f"ix_{table}_parked",
            table,
            ["pipeline_id", sa.text("is_begun DESC"), sa.text("priority DESC"), "created_at"],
            postgresql_where=sa.text("status = 'Init' AND parked"),
        )
