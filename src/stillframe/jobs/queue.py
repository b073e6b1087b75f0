"""The queue: tasks on Procrastinate, in our own PostgreSQL. Who works on them is in `worker`.

A task carries ids only. It is deferred on the caller's own connection, so that it exists if and only if that
transaction commits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import text
from sqlalchemy.orm import Session

from stillframe.database.engine import driver_connection
from stillframe.jobs import lanes
from stillframe.jobs.lanes import Lane
from stillframe.jobs.nodes import SLOTS_FOR

if TYPE_CHECKING:
    from stillframe.jobs.worker import Worker

#: a worker that was not heard of for so long is dead
DEAD_AFTER_S = 30
_FOR_LIFE = f"interval '{DEAD_AFTER_S} s'"
#: of procrastinate_workers AS worker. By a clock that was ahead, and was put right, nobody is heard of for ever
IS_HEARD_OF = f"worker.last_heartbeat BETWEEN now() - {_FOR_LIFE} AND now() + {_FOR_LIFE}"
#: of what has a time of change: not within the last :seconds, nor in what is to come, for the same reason
_LONG_AGO = (
    "modified_at NOT BETWEEN clock_timestamp() - make_interval(secs => :seconds) AND clock_timestamp()"
)
#: slices of one job that are in the queue at the same time, at the least: others take their turns in between
WINDOW = 8


@dataclass(slots=True)
class Begun:
    """A task in work: its number in the queue, how often it was begun before, and its arguments.

    `has_ended` is set when its result was stored together with its end (see `Queue.end`).
    """

    task_id: int | None = None
    starts: int = 0
    arguments: Mapping[str, Any] = field(default_factory=dict)
    has_ended: bool = False


@dataclass(frozen=True, slots=True)
class Deferring:
    """A task that is deferred as a part of some statement: an expression of SQL, and psycopg's parameters for it."""

    expression: str
    values: Mapping[str, Any]


class Queue:
    """Defers tasks in the caller's transaction."""

    def deferring_survey(
        self, job_id: str, epoch: int, *, account_id: str, pipeline_id: str, priority: str
    ) -> Deferring:
        """A job's survey is to be made, if and when a statement evaluates the expression; `priority` is SQL, too."""
        values = _values("survey", account_id, pipeline_id, None, job_id=job_id, epoch=epoch)
        return Deferring(_deferring("survey", priority), values)

    def defer_survey(
        self, session: Session, job_id: str, epoch: int, *, lane: Lane, delay_s: float = 0
    ) -> None:
        """A job's survey is to be made."""
        self._defer(session, "survey", lane, delay_s, job_id=job_id, epoch=epoch)

    def defer_render(
        self,
        session: Session,
        job_id: str,
        epoch: int,
        number: int,
        attempt: int,
        *,
        lane: Lane,
        delay_s: float = 0,
    ) -> None:
        """A slice is to be rendered."""
        self._defer(
            session, "render", lane, delay_s, job_id=job_id, epoch=epoch, number=number, attempt=attempt
        )

    def dispatch(self, connection: psycopg.Connection[Any], job_id: str, epoch: int, *, lane: Lane) -> None:
        """Queue waiting slices of a locked job, as many as the window has room for; when all are done, its finish.

        The window is as wide as all workers together, and more.
        """
        values = _values("render", lane.account_id, lane.pipeline_id, None, job_id=job_id, epoch=epoch)
        known = {"job_id": job_id, "job_priority": lane.priority, "window": WINDOW}
        connection.execute(_DISPATCH, values | known)

    def end(self, connection: psycopg.Connection[Any], begun: Begun) -> None:
        """A task has ended, if and when this transaction is committed, in which its result is stored, too."""
        connection.execute(END, {"task_id": begun.task_id, "task_args": json.dumps(begun.arguments)})

    def defer_finish(
        self, session: Session, job_id: str, epoch: int, *, lane: Lane, delay_s: float = 0
    ) -> None:
        """A job whose slices are all done is to be ended."""
        self._defer(session, "finish", lane, delay_s, job_id=job_id, epoch=epoch)

    def defer_register(self, session: Session, media_id: str, *, lane: Lane, delay_s: float = 0) -> None:
        """The file of a media asset is to be looked at."""
        self._defer(session, "register", lane, delay_s, media_id=media_id)

    def defer_probe(
        self, session: Session, job_id: str, attempt: int, *, lane: Lane, delay_s: float = 0
    ) -> None:
        """A probe job's source is to be described."""
        self._defer(session, "probe", lane, delay_s, job_id=job_id, attempt=attempt)

    def move(self, session: Session, pipeline_id: str) -> None:
        """Give the waiting tasks of a pipeline's jobs the priorities that these have now."""
        lanes.move(session, pipeline_id)

    def put_in_order(self, session: Session) -> int:
        """Adopt what an earlier release has put into the queue, and keep room in its bands; how many were adopted."""
        lanes.move_up(session)
        return lanes.adopt(session)

    def put_back_all(self, session: Session) -> int:
        """Give back what workers that cannot live any more have begun: for whoever owns the database alone."""
        found = session.execute(
            text(
                "UPDATE procrastinate_jobs SET status = 'todo', worker_id = NULL, attempts = attempts + 1 "
                "WHERE status = 'doing' RETURNING id"
            )
        )
        return len(found.all())

    def put_back_stalled(self, session: Session) -> int:
        """Give back what workers have begun that were not heard of for DEAD_AFTER_S."""
        found = session.execute(
            text(
                "UPDATE procrastinate_jobs SET status = 'todo', worker_id = NULL, attempts = attempts + 1 "
                "WHERE status = 'doing' AND (worker_id IS NULL OR worker_id NOT IN (SELECT id FROM "
                f"procrastinate_workers AS worker WHERE {IS_HEARD_OF})) RETURNING id"
            )
        )
        return len(found.all())

    def keep_alive(self, session: Session, worker: Worker) -> None:
        """Say that a worker of this process lives: Procrastinate says it no more from when it ends, or is told to."""
        session.execute(
            text(
                "UPDATE procrastinate_workers SET last_heartbeat = now() WHERE id = ANY(:ids) "
                "AND last_heartbeat NOT BETWEEN now() - make_interval(secs => :seconds) AND now()"
            ),
            {"ids": worker.ids(), "seconds": DEAD_AFTER_S / 2},
        )

    def put_back_dropped(self, session: Session, worker: Worker) -> int:
        """Give back what counts as begun by a worker of this process, though it has let go of it.

        Its end could not be stored, because the database was away or would not have it just then. What is being
        fetched or ended at this very moment looks the same: only what was found the last time, too, is given back.
        """
        ids = worker.ids()
        found = session.execute(
            text(
                "SELECT id, attempts, worker_id FROM procrastinate_jobs "
                "WHERE status = 'doing' AND worker_id = ANY(:ids)"
            ),
            {"ids": ids},
        ).all()
        worker.forget({*ids} - {row.worker_id for row in found})
        dropped = worker.dropped({(row.id, row.attempts) for row in found})
        given_back = session.execute(
            text(
                "UPDATE procrastinate_jobs SET status = 'todo', worker_id = NULL, attempts = attempts + 1 "
                "WHERE status = 'doing' AND id = ANY(:dropped) RETURNING id"
            ),
            {"dropped": dropped},
        )
        return len(given_back.all())

    def jobs_without_task(self, session: Session, older_than_s: float) -> list[tuple[str, str, int]]:
        """(pipeline id, id, epoch) of live jobs that no task stands for, though nothing has changed for a while."""
        found = session.execute(
            text(
                "SELECT pipeline_id, job_id, epoch FROM jobs WHERE status = 'Init' AND NOT parked "
                f"AND {_LONG_AGO} "
                "AND NOT EXISTS (SELECT FROM procrastinate_jobs AS task WHERE task.status IN ('todo', 'doing') "
                "AND task.args->>'job_id' = jobs.job_id AND (task.args->>'epoch')::int = jobs.epoch) "
                # whoever is at one at this moment is not waited for
                "ORDER BY job_id FOR UPDATE SKIP LOCKED"
            ),
            {"seconds": older_than_s},
        )
        return [(row.pipeline_id, row.job_id, row.epoch) for row in found]

    def assets_without_task(self, session: Session, older_than_s: float) -> list[str]:
        """Ids of media assets whose file is to be looked at, but no task stands for that for a while."""
        found = session.execute(
            text(
                "SELECT media_id FROM media_assets WHERE status = 'Preparing' "
                f"AND {_LONG_AGO} "
                "AND NOT EXISTS (SELECT FROM procrastinate_jobs AS task WHERE task.status IN ('todo', 'doing') "
                "AND task.args->>'media_id' = media_assets.media_id) FOR UPDATE SKIP LOCKED"
            ),
            {"seconds": older_than_s},
        )
        return [row.media_id for row in found]

    def probe_jobs_without_task(self, session: Session, older_than_s: float) -> list[tuple[str, str, int]]:
        """(pipeline id, id, attempt) of such probe jobs."""
        found = session.execute(
            text(
                "SELECT pipeline_id, job_id, attempt FROM probe_jobs WHERE status = 'Init' AND NOT parked "
                f"AND {_LONG_AGO} "
                "AND NOT EXISTS (SELECT FROM procrastinate_jobs AS task WHERE task.status IN ('todo', 'doing') "
                "AND task.args->>'job_id' = probe_jobs.job_id "
                "AND (task.args->>'attempt')::int = probe_jobs.attempt) FOR UPDATE SKIP LOCKED"
            ),
            {"seconds": older_than_s},
        )
        return [(row.pipeline_id, row.job_id, row.attempt) for row in found]

    def slices_in_work(self, session: Session, job_id: str, epoch: int) -> list[tuple[int, int]]:
        """(number, attempt) of the slices of a job that workers have in work."""
        found = session.execute(
            text(
                "SELECT (args->>'number')::int AS number, (args->>'attempt')::int AS attempt "
                "FROM procrastinate_jobs WHERE status = 'doing' AND task_name = 'render' "
                "AND args->>'job_id' = :job_id AND (args->>'epoch')::int = :epoch"
            ),
            {"job_id": job_id, "epoch": epoch},
        )
        return [(row.number, row.attempt) for row in found]

    def others_are_at(self, session: Session, id: str, mine: Sequence[int]) -> bool:
        """Whether another living worker than `mine` has a task of a job, or a media asset, in work."""
        found = session.scalar(
            text(
                "SELECT EXISTS (SELECT FROM procrastinate_jobs AS task JOIN procrastinate_workers AS worker "
                "ON worker.id = task.worker_id WHERE task.status = 'doing' "
                "AND :id IN (task.args->>'job_id', task.args->>'media_id') AND worker.id <> ALL(:mine) "
                f"AND {IS_HEARD_OF})"
            ),
            {"id": id, "mine": [*mine]},
        )
        return bool(found)

    def forget_history(self, session: Session, age_s: float, most: int) -> int:
        """Remove what is left of tasks that have ended, of long lives, and of dead workers, if it is so old.

        A task that is done is removed with its history at once; this is for what was done by hand, for what is tried
        again and again, and for workers on a database that has none any more. At most so many of each; how many.
        """
        gone = [session.execute(text(remove), {"age_s": age_s, "most": most}).all() for remove in _HISTORY]
        return sum(map(len, gone))

    def depth(self, session: Session) -> list[tuple[str, int, float]]:
        """(pipeline id, tasks that wait, age of the oldest in seconds) of each pipeline that has any."""
        found = session.execute(
            text(
                "SELECT jobs.pipeline_id, count(*) AS tasks, "
                "extract(epoch FROM clock_timestamp() - min(jobs.submitted_at)) AS age "
                "FROM procrastinate_jobs AS task "
                "JOIN (SELECT job_id, pipeline_id, submitted_at FROM jobs WHERE status = 'Init' "
                "UNION ALL SELECT job_id, pipeline_id, submitted_at FROM probe_jobs WHERE status = 'Init') AS jobs "
                "ON jobs.job_id = task.args->>'job_id' "
                "WHERE task.status = 'todo' GROUP BY jobs.pipeline_id"
            )
        )
        return [(row.pipeline_id, row.tasks, float(row.age)) for row in found]

    def _defer(self, session: Session, name: str, lane: Lane, delay_s: float, **arguments: Any) -> None:
        values = _values(name, lane.account_id, lane.pipeline_id, delay_s or None, **arguments)
        driver_connection(session).execute(_DEFER[name], values | {"job_priority": lane.priority})


#: the first events are the oldest ones
_HISTORY = (
    "WITH old AS MATERIALIZED (SELECT id FROM procrastinate_jobs "
    "WHERE status IN ('succeeded', 'failed', 'cancelled', 'aborted') AND NOT EXISTS (SELECT FROM "
    "procrastinate_events AS event WHERE event.job_id = procrastinate_jobs.id "
    "AND event.at > now() - make_interval(secs => :age_s)) LIMIT :most FOR UPDATE SKIP LOCKED) "
    "DELETE FROM procrastinate_jobs AS task USING old WHERE task.id = old.id RETURNING old.id",
    "WITH first AS MATERIALIZED (SELECT id, at FROM procrastinate_events ORDER BY id LIMIT :most) "
    "DELETE FROM procrastinate_events AS event USING first WHERE event.id = first.id "
    "AND first.at < now() - make_interval(secs => :age_s) RETURNING event.id",
    "WITH old AS MATERIALIZED (SELECT id FROM procrastinate_workers "
    "WHERE last_heartbeat < now() - make_interval(secs => :age_s) "
    "ORDER BY last_heartbeat LIMIT :most FOR UPDATE SKIP LOCKED) "
    "DELETE FROM procrastinate_workers AS worker USING old WHERE worker.id = old.id RETURNING old.id",
)


def _deferring(task: str, priority: str, task_args: str = "%(task_args)s::jsonb") -> str:
    """What Procrastinate's own `defer` executes, without what it costs to get there.

    As an expression of SQL with the parameters of `_values`; the task begins after `delay_s`, or at once where that is
    NULL.
    """
    return (
        f"procrastinate_defer_jobs_v1(ARRAY[ROW(%(queue)s::text, '{task}', {lanes.number(task, priority)}, NULL, NULL, "
        f"{task_args}, clock_timestamp() + make_interval(secs => %(delay_s)s::float8)"
        ")::procrastinate_job_to_defer_v1])"
    )


_JOB_PRIORITY = "%(job_priority)s::int"
_DEFER = {
    name: f"SELECT {_deferring(name, _JOB_PRIORITY)}"
    for name in ("survey", "render", "finish", "register", "probe")
}
_PIECE = "%(task_args)s::jsonb || jsonb_build_object('number', piece.number, 'attempt', piece.attempt)"
# row by row, in the order of their numbers: each one's turn comes after that of the one before it
_DISPATCH = (
    "WITH counted AS MATERIALIZED (SELECT count(*) FILTER (WHERE state = 'waiting') AS waiting, "
    "count(*) FILTER (WHERE state = 'queued') AS queued FROM slices WHERE job_id = %(job_id)s), "
    "chosen AS (UPDATE slices SET state = 'queued', attempt = slices.attempt + 1 FROM ("
    "SELECT number FROM slices WHERE job_id = %(job_id)s AND state = 'waiting' ORDER BY number LIMIT ("
    f"SELECT greatest(greatest(%(window)s, 2 * ({SLOTS_FOR})) - queued, 0) FROM counted)) AS next "
    "WHERE slices.job_id = %(job_id)s AND slices.number = next.number RETURNING slices.number, slices.attempt) "
    f"SELECT {_deferring('render', _JOB_PRIORITY, _PIECE)} FROM (SELECT * FROM chosen ORDER BY number) AS piece "
    f"UNION ALL SELECT {_deferring('finish', _JOB_PRIORITY)} FROM counted WHERE waiting = 0 AND queued = 0"
)
#: a task by its number and what it is for: a crash of the database may have taken it along, and its number was given to
#: another one since
THIS_TASK = "id = %(task_id)s AND args @> %(task_args)s::jsonb"
#: what Procrastinate's own end of a task does; but that it is none any more is no error
END = f"DELETE FROM procrastinate_jobs WHERE {THIS_TASK} AND status IN ('todo', 'doing')"


def _values(
    name: str, account_id: str, pipeline_id: str, delay_s: float | None, **arguments: Any
) -> dict[str, Any]:
    task_args = json.dumps({**arguments, "account_id": account_id})
    return lanes.values(name, account_id, pipeline_id, arguments) | {
        "delay_s": delay_s,
        "task_args": task_args,
    }
