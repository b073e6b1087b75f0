"""Each end of a job of a pipeline with a limit counts the jobs that are in work: without a look at those that wait."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only: a backup is the way back."""
    for table in ("jobs", "probe_jobs"):
        op.create_index(
            f"ix_{table}_begun",
            table,
            ["pipeline_id"],
            postgresql_where=sa.text("status = 'Init' AND is_begun"),
        )
