"""lines in one look.

A new task's place was found by one statement for each line of its account, up to 64; now it is one for all.
"""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# as in 0011
_OF_ACCOUNT = (
    "status = 'todo' AND args->>'account_id' = of_account AND ((priority - 1) / 200000000) = job_priority - 1"
)
_LINE = (
    "(CASE task_name WHEN 'render' THEN args->>'job_id' WHEN 'register' THEN 'register' ELSE queue_name END)"
)
_TASK_PRIORITY = f"""
CREATE OR REPLACE FUNCTION stillframe_task_priority(
    of_account text, of_pipeline text, of_line text, job_priority int
)
RETURNS int LANGUAGE plpgsql SET enable_sort TO off AS $$
DECLARE
    top CONSTANT int := job_priority * 200000000;
    last int;
    lines int;
BEGIN
    SELECT priority INTO last FROM procrastinate_jobs
        WHERE {_OF_ACCOUNT} AND {_LINE} = of_line
        ORDER BY -priority DESC LIMIT 1;
    WITH RECURSIVE line (name, number) AS (
        (SELECT {_LINE}, 1 FROM procrastinate_jobs WHERE {_OF_ACCOUNT} ORDER BY {_LINE} LIMIT 1)
        UNION ALL
        SELECT next.name, line.number + 1 FROM line, LATERAL (
            SELECT {_LINE} AS name FROM procrastinate_jobs
            WHERE {_OF_ACCOUNT} AND {_LINE} > line.name ORDER BY {_LINE} LIMIT 1
        ) AS next WHERE line.number < 64
    )
    SELECT least(1 + count(*) FILTER (WHERE name <> of_line), 64) INTO lines FROM line;
    RETURN top - least(
        greatest(stillframe_first_tag(of_pipeline, job_priority), top - last) + lines, 200000000 - 11
    );
END $$
"""


def upgrade() -> None:
    """Forward only: a backup is the way back."""
    op.execute(_TASK_PRIORITY)
