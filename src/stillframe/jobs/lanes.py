"""Whose turn it is: the order of the queue, in which accounts, pipelines and long jobs of one priority take turns.

Procrastinate's workers take the task with the largest number first, and of equal ones the oldest. A job's priority
(1 to 10) is a *band* of such numbers, and the place in it is the task's *tag*: number = priority x BAND - tag. As in
start-time fair queueing (Goyal, Vin, Cheng 1996) a new task has the tag

    max(the first tag that waits, the last tag of its own line) + what a turn costs

A *line* is a pipeline, a job that has begun (its slices), or an account's new media assets. A turn costs as much as the
account has lines waiting (64 at the most), so that many of them give it no larger share. All of this is looked up in
the rows that wait, by functions in the database (migration 0011); nothing is counted, and nothing is locked. A finish
has the tag 0: it is before all.

What waits for its time (a try again) does not hold up the first tag, nor does what no living worker takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import text
from sqlalchemy.orm import Session

#: numbers in the queue for each priority of jobs; functions in the database know it, too
BAND = 200_000_000
#: the numbers up to here are those of an earlier release's tasks, which knew no bands
_WITHOUT_BAND = 10
#: the last tag that is given; what comes then has it, too, and is done in the order in which it came
LAST_TAG = BAND - _WITHOUT_BAND - 1
#: when a band's first tag is this, all of it is moved up to the beginning
_FAR_ON = BAND // 4


class _InLine(Protocol):
    account_id: Any
    pipeline_id: Any
    priority: Any


@dataclass(frozen=True, slots=True)
class Lane:
    """Where a task belongs: whose it is, in which pipeline, and the priority of its job (1 to 10)."""

    account_id: str
    pipeline_id: str
    priority: int

    @classmethod
    def of(cls, job: _InLine) -> Lane:
        """That of a job's tasks."""
        return cls(job.account_id, job.pipeline_id, job.priority)


#: the number of a task with these parameters of psycopg; `{priority}` is an expression of SQL
_NUMBER = "stillframe_task_priority(%(account)s, %(queue)s::text, %(line)s, {priority})"
_NUMBER_OF_A_FINISH = f"({{priority}}) * {BAND}"


def number(task: str, priority: str) -> str:
    """SQL for the number of a task that is deferred, with the parameters of `values`."""
    return (_NUMBER_OF_A_FINISH if task == "finish" else _NUMBER).format(priority=priority)


def values(task: str, account_id: str, pipeline_id: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Psycopg's parameters for `number`."""
    line = {"render": arguments.get("job_id"), "register": "register"}.get(task, pipeline_id)
    return {"account": account_id, "queue": pipeline_id, "line": line}


def move(session: Session, pipeline_id: str) -> None:
    """Give the waiting tasks of a pipeline's jobs the priorities that these have now.

    A task keeps its distance to the first one of its band.
    """
    for table in ("jobs", "probe_jobs"):
        session.execute(
            text(
                "WITH first AS MATERIALIZED (SELECT band, stillframe_first_tag(:id, band) AS tag "
                "FROM generate_series(1, 10) AS band) "
                "UPDATE procrastinate_jobs AS task SET priority = new.band * :band - CASE task.task_name "
                "WHEN 'finish' THEN 0 ELSE greatest(least("
                "old.band * :band - task.priority - old.tag + new.tag, :last), 1) END "
                f"FROM {table} AS jobs, first AS old, first AS new "
                "WHERE jobs.pipeline_id = :id AND jobs.status = 'Init' AND task.status = 'todo' "
                "AND task.queue_name = :id AND task.args->>'job_id' = jobs.job_id "
                "AND new.band = jobs.priority AND old.band = (task.priority - 1) / :band + 1 "
                "AND old.band <> new.band"
            ),
            {"id": pipeline_id, "band": BAND, "last": LAST_TAG},
        )


_WAITING = "status = 'todo' AND priority < :band * {top} AND priority > :band * ({top} - 1) + :without"


def move_up(session: Session) -> int:
    """Let the tags of each band whose first one is far on begin anew; how many tasks that were."""
    known = {"band": BAND, "without": _WITHOUT_BAND}
    first = f"SELECT max(priority) FROM procrastinate_jobs WHERE {_WAITING.format(top='top')}"
    firsts = text(
        f"SELECT top, :band * top - ({first} AND scheduled_at IS NULL) AS tag FROM generate_series(1, 10) AS top"
    )
    moved = 0
    for row in session.execute(firsts, known).all():
        if row.tag is None or row.tag < _FAR_ON:
            continue
        found = session.execute(
            text(
                "UPDATE procrastinate_jobs SET priority = least(priority + :shift, :band * :top - 1) "
                f"WHERE {_WAITING.format(top=':top')} RETURNING id"
            ),
            known | {"top": row.top, "shift": row.tag - 1},
        )
        moved += len(found.all())
    return moved


#: what kinds of tasks are for, and in which table that is
_SUBJECTS = (
    ("job_id", ("survey", "render", "finish"), "SELECT job_id AS id, account_id, pipeline_id FROM jobs"),
    ("job_id", ("probe",), "SELECT job_id AS id, account_id, pipeline_id FROM probe_jobs"),
    (
        "media_id",
        ("register",),
        "SELECT media_id AS id, asset.account_id, pipeline_id FROM media_assets AS asset "
        "JOIN pipelines ON pipelines.account_id = asset.account_id AND is_default",
    ),
)


def adopt(session: Session) -> int:
    """Give tasks of an earlier release, whose servers may still run, a place in the order; how many these were."""
    old = text(
        "SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE status = 'todo' AND priority <= :without)"
    )
    if not session.scalar(old, {"without": _WITHOUT_BAND}):
        return 0
    adopted = 0
    for key, names, subjects in _SUBJECTS:
        found = session.execute(
            text(
                "UPDATE procrastinate_jobs AS task SET queue_name = subject.pipeline_id, "
                "args = task.args || jsonb_build_object('account_id', subject.account_id), "
                "priority = task.priority * :band - (task.task_name <> 'finish')::int "
                f"FROM ({subjects}) AS subject WHERE task.status = 'todo' AND task.priority <= :without "
                "AND task.task_name = ANY(:names) AND subject.id = task.args->>:key RETURNING task.id"
            ),
            {"band": BAND, "without": _WITHOUT_BAND, "names": [*names], "key": key},
        )
        adopted += len(found.all())
    return adopted
