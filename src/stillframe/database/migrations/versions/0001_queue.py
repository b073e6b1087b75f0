"""The queue: Procrastinate's tables, types, functions and triggers."""

from __future__ import annotations

from alembic import op

from stillframe.database.migrations.procrastinate_schema import schema_sql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only: a backup is the way back."""
    # as it is: the percent signs and colons in its functions are no parameters
    connection = op.get_bind().connection.driver_connection
    assert connection is not None
    connection.execute(schema_sql())
