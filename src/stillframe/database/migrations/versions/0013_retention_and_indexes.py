"""Indexes for lists by status and for what is old enough to go; vacuum of the tables that change all the time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

#: rows come and go by the thousand, and few are there at any time: a vacuum takes milliseconds, and is due soon
_QUEUES = (
    "procrastinate_jobs",
    "procrastinate_events",
    "procrastinate_workers",
    "events",
    "nodes",
    "used_nonces",
)
_QUEUE_OPTIONS = "autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000, " + (
    "autovacuum_analyze_scale_factor = 0.05, autovacuum_analyze_threshold = 2000, autovacuum_vacuum_cost_delay = 0"
)
#: large, and each row changes a few times soon after it was made: room for that beside it, and a vacuum before a
#: fifth of them is dead
_LARGE = ("jobs", "slices", "job_outputs", "probe_jobs")
_LARGE_OPTIONS = "autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05, " + (
    "autovacuum_analyze_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 1"
)
_CHANGING = ("jobs", "slices", "probe_jobs")


def upgrade() -> None:
    """Forward only: a backup is the way back."""
    for table in ("jobs", "probe_jobs"):
        op.create_index(f"ix_{table}_account_status", table, ["account_id", "status", "created_at", "job_id"])
        op.create_index(
            f"ix_{table}_ended",
            table,
            ["finished_at", "job_id"],
            postgresql_where=sa.text("status <> 'Init'"),
        )
    for name, column in (("type", "media_type"), ("business", "business_type"), ("status", "status")):
        op.create_index(
            f"ix_media_assets_account_{name}",
            "media_assets",
            ["account_id", column, "created_at", "media_id"],
        )
    # next to none at any time
    op.execute(
        "CREATE INDEX procrastinate_jobs_ended ON procrastinate_jobs (id) "
        "WHERE status IN ('succeeded', 'failed', 'cancelled', 'aborted')"
    )
    for table in _QUEUES:
        op.execute(f"ALTER TABLE {table} SET ({_QUEUE_OPTIONS})")
    for table in _LARGE:
        op.execute(f"ALTER TABLE {table} SET ({_LARGE_OPTIONS})")
    for table in _CHANGING:
        op.execute(f"ALTER TABLE {table} SET (fillfactor = 85)")
