"""lanes and hours.

The functions give a new task its place in the queue; `jobs/lanes.py` says what the words mean.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_ACCOUNT = "(args->>'account_id')"
_BAND = "((priority - 1) / 200000000)"
_LINE = (
    "(CASE task_name WHEN 'render' THEN args->>'job_id' WHEN 'register' THEN 'register' ELSE queue_name END)"
)

# by the opposite of the priority: no other index has this order, whatever the planner thinks of the table
_INDEXES = (
    f"CREATE INDEX stillframe_tasks_lines ON procrastinate_jobs ({_ACCOUNT}, {_BAND}, {_LINE}, (-priority)) "
    "WHERE status = 'todo'",
    "CREATE INDEX stillframe_tasks_pipelines ON procrastinate_jobs (queue_name, (-priority), id) "
    "WHERE status = 'todo' AND scheduled_at IS NULL",
)

# a plan is made once for each connection, perhaps when the queue is empty, and must be right when it is long
_PLANS = "SET enable_sort TO off"

_FIRST_TAG = f"""
CREATE FUNCTION stillframe_first_tag(of_pipeline text, job_priority int) RETURNS int
LANGUAGE plpgsql {_PLANS} AS $$
DECLARE
    top CONSTANT int := job_priority * 200000000;
    bottom CONSTANT int := top - 200000000;
    alive CONSTANT timestamptz := clock_timestamp() - interval '30 s';
    head int;
    own int;
BEGIN
    IF EXISTS (SELECT FROM nodes WHERE slots > 0 AND pipelines IS NULL AND seen_at > alive)
        OR NOT EXISTS (SELECT FROM nodes WHERE slots > 0 AND seen_at > alive)
    THEN
        SELECT task.priority INTO head FROM (
            SELECT priority, scheduled_at FROM procrastinate_jobs
            WHERE status = 'todo' AND priority < top AND priority > bottom
            ORDER BY priority DESC, id LIMIT 100
        ) AS task WHERE task.scheduled_at IS NULL ORDER BY task.priority DESC LIMIT 1;
    ELSE
        SELECT max(task.priority) INTO head FROM (
            SELECT DISTINCT unnest(nodes.pipelines) AS name FROM nodes
            WHERE slots > 0 AND seen_at > alive AND nodes.pipelines @> ARRAY[of_pipeline::varchar]
        ) AS taken, LATERAL (
            SELECT priority FROM procrastinate_jobs
            WHERE queue_name = taken.name AND status = 'todo' AND scheduled_at IS NULL
                AND -priority > -top AND -priority < -bottom
            ORDER BY -priority, id LIMIT 1
        ) AS task;
    END IF;
    SELECT priority INTO own FROM procrastinate_jobs
        WHERE queue_name = of_pipeline AND status = 'todo' AND scheduled_at IS NULL
            AND -priority > -top AND -priority < -bottom
        ORDER BY -priority, id LIMIT 1;
    IF head IS NULL AND own IS NULL THEN
        SELECT min(task.priority) INTO head FROM (
            SELECT priority FROM procrastinate_jobs
            WHERE status = 'todo' AND priority < top AND priority > bottom
            ORDER BY priority DESC, id LIMIT 100
        ) AS task;
    END IF;
    RETURN greatest(top - head, top - own, 0);
END $$
"""

_TASK_PRIORITY = f"""
CREATE FUNCTION stillframe_task_priority(of_account text, of_pipeline text, of_line text, job_priority int)
RETURNS int LANGUAGE plpgsql {_PLANS} AS $$
DECLARE
    top CONSTANT int := job_priority * 200000000;
    last int;
    other text := '';
    lines int := 1;
BEGIN
    SELECT priority INTO last FROM procrastinate_jobs
        WHERE status = 'todo' AND {_ACCOUNT} = of_account AND {_BAND} = job_priority - 1 AND {_LINE} = of_line
        ORDER BY -priority DESC LIMIT 1;
    LOOP
        SELECT {_LINE} INTO other FROM procrastinate_jobs
            WHERE status = 'todo' AND {_ACCOUNT} = of_account AND {_BAND} = job_priority - 1 AND {_LINE} > other
            ORDER BY {_LINE} LIMIT 1;
        EXIT WHEN NOT FOUND;
        IF other <> of_line THEN
            lines := lines + 1;
        END IF;
        EXIT WHEN lines >= 64;
    END LOOP;
    RETURN top - least(
        greatest(stillframe_first_tag(of_pipeline, job_priority), top - last) + lines, 200000000 - 11
    );
END $$
"""


def upgrade() -> None:
    """Forward only: a backup is the way back."""
    op.add_column("nodes", sa.Column("pipelines", postgresql.ARRAY(sa.String(length=32)), nullable=True))
    op.add_column("pipelines", sa.Column("active_hours", sa.String(length=256), nullable=True))
    op.add_column("pipelines", sa.Column("time_zone", sa.String(length=64), nullable=True))
    op.add_column("pipelines", sa.Column("off_hours", sa.Boolean(), server_default="false", nullable=False))
    connection = op.get_bind().connection.driver_connection
    assert connection is not None
    for statement in (*_INDEXES, _FIRST_TAG, _TASK_PRIORITY):
        connection.execute(statement)
