"""The queue: tasks on Procrastinate, in our own PostgreSQL. The only module that knows it, but `queue_connection`.

A task carries ids only. It is deferred on the caller's own connection, so that it exists if and only if that
transaction commits. What a task does is told to the queue as `Handlers`, by whoever works.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import procrastinate
import structlog
from procrastinate.app import WorkerOptions
from procrastinate.jobs import DeleteJobCondition, Job
from psycopg.conninfo import make_conninfo
from sqlalchemy import URL, text
from sqlalchemy.orm import Session

from stillframe.database.connecting import backoff
from stillframe.database.engine import driver_connection, psycopg_dsn
from stillframe.jobs import lanes
from stillframe.jobs.lanes import Lane
from stillframe.jobs.queue_connection import open_queue

#: a worker that was not heard of for so long is dead
DEAD_AFTER_S = 30
_POLL_S = 5.0
#: pauses before it is begun anew
_RESTART_S, _LONGEST_RESTART_S = 0.5, 10.0
_FOR_EVER_S, _FORGOTTEN_AFTER_S = 30 * 24 * 3600.0, 24 * 3600.0
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Handlers:
    """What is done for each kind of task; called on threads. `starts` counts how often the task was begun before."""

    survey: Callable[[str, int, int], None]
    render: Callable[[str, int, int, int, int], None]
    finish: Callable[[str, int, int], None]
    register: Callable[[str, int], None]
    probe: Callable[[str, int, int], None]


#: what Procrastinate's own `defer` executes, without what it costs to get there, as an expression of SQL with
#: parameters of psycopg; the task begins after `delay_s`, or at once where that is NULL
_DEFER = (
    "procrastinate_defer_jobs_v1(ARRAY[ROW(%(queue)s::text, %(task)s, {number}, NULL, NULL, "
    "{task_args}, clock_timestamp() + make_interval(secs => %(delay_s)s::float8)"
    ")::procrastinate_job_to_defer_v1])"
)
_ARGUMENTS = "%(task_args)s::jsonb"


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
        number = lanes.number("survey", priority)
        return Deferring(_DEFER.format(number=number, task_args=_ARGUMENTS), values)

    def defer_survey(
        self, session: Session, job_id: str, epoch: int, *, lane: Lane, delay_s: float = 0
    ) -> None:
        """A job's survey is to be made."""
        self._defer(session, "survey", lane, delay_s, job_id=job_id, epoch=epoch)

    def defer_renders(
        self,
        session: Session,
        job_id: str,
        epoch: int,
        pieces: Sequence[tuple[int, int]],
        *,
        lane: Lane,
        delay_s: float = 0,
    ) -> None:
        """Slices are to be rendered: (number, attempt) of each, in their order."""
        values = _values(
            "render", lane.account_id, lane.pipeline_id, delay_s or None, job_id=job_id, epoch=epoch
        )
        values |= {"job_priority": lane.priority, "pieces": json.dumps(pieces)}
        driver_connection(session).execute(_DEFER_RENDERS, values)

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
                "procrastinate_workers WHERE last_heartbeat > now() - make_interval(secs => :seconds))) "
                "RETURNING id"
            ),
            {"seconds": DEAD_AFTER_S},
        )
        return len(found.all())

    def keep_alive(self, session: Session, worker: Worker) -> None:
        """Say that a worker of this process lives: Procrastinate says it no more from when it ends, or is told to."""
        session.execute(
            text(
                "UPDATE procrastinate_workers SET last_heartbeat = now() WHERE id = ANY(:ids) "
                "AND last_heartbeat < now() - make_interval(secs => :seconds)"
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
                "SELECT id, attempts FROM procrastinate_jobs WHERE status = 'doing' AND worker_id = ANY(:ids)"
            ),
            {"ids": ids},
        )
        dropped = worker.dropped({(row.id, row.attempts) for row in found})
        given_back = session.execute(
            text(
                "UPDATE procrastinate_jobs SET status = 'todo', worker_id = NULL, attempts = attempts + 1 "
                "WHERE status = 'doing' AND id = ANY(:dropped) RETURNING id"
            ),
            {"dropped": dropped},
        )
        return len(given_back.all())

    def jobs_without_task(self, session: Session, older_than_s: float) -> list[tuple[str, int]]:
        """(id, epoch) of live jobs that no task stands for, though nothing has changed for a while."""
        found = session.execute(
            text(
                "SELECT job_id, epoch FROM jobs WHERE status = 'Init' AND NOT parked "
                "AND modified_at < clock_timestamp() - make_interval(secs => :seconds) "
                "AND NOT EXISTS (SELECT FROM procrastinate_jobs AS task WHERE task.status IN ('todo', 'doing') "
                "AND task.args->>'job_id' = jobs.job_id AND (task.args->>'epoch')::int = jobs.epoch) "
                # whoever is at one at this moment is not waited for
                "ORDER BY job_id FOR UPDATE SKIP LOCKED"
            ),
            {"seconds": older_than_s},
        )
        return [(row.job_id, row.epoch) for row in found]

    def assets_without_task(self, session: Session, older_than_s: float) -> list[str]:
        """Ids of media assets whose file is to be looked at, but no task stands for that for a while."""
        found = session.execute(
            text(
                "SELECT media_id FROM media_assets WHERE status = 'Preparing' "
                "AND modified_at < clock_timestamp() - make_interval(secs => :seconds) "
                "AND NOT EXISTS (SELECT FROM procrastinate_jobs AS task WHERE task.status IN ('todo', 'doing') "
                "AND task.args->>'media_id' = media_assets.media_id) FOR UPDATE SKIP LOCKED"
            ),
            {"seconds": older_than_s},
        )
        return [row.media_id for row in found]

    def probe_jobs_without_task(self, session: Session, older_than_s: float) -> list[tuple[str, int]]:
        """(id, attempt) of live probe jobs that no task stands for, though nothing has changed for a while."""
        found = session.execute(
            text(
                "SELECT job_id, attempt FROM probe_jobs WHERE status = 'Init' AND NOT parked "
                "AND modified_at < clock_timestamp() - make_interval(secs => :seconds) "
                "AND NOT EXISTS (SELECT FROM procrastinate_jobs AS task WHERE task.status IN ('todo', 'doing') "
                "AND task.args->>'job_id' = probe_jobs.job_id "
                "AND (task.args->>'attempt')::int = probe_jobs.attempt) FOR UPDATE SKIP LOCKED"
            ),
            {"seconds": older_than_s},
        )
        return [(row.job_id, row.attempt) for row in found]

    def others_are_at(self, session: Session, id: str, mine: Sequence[int]) -> bool:
        """Whether another living worker than `mine` has a task of a job, or a media asset, in work."""
        found = session.scalar(
            text(
                "SELECT EXISTS (SELECT FROM procrastinate_jobs AS task JOIN procrastinate_workers AS worker "
                "ON worker.id = task.worker_id WHERE task.status = 'doing' "
                "AND :id IN (task.args->>'job_id', task.args->>'media_id') AND worker.id <> ALL(:mine) "
                "AND worker.last_heartbeat > now() - make_interval(secs => :seconds))"
            ),
            {"id": id, "mine": [*mine], "seconds": DEAD_AFTER_S},
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
        statement = _DEFER_FINISH if name == "finish" else _DEFER_IN_TURN
        driver_connection(session).execute(statement, values | {"job_priority": lane.priority})


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


def _statement(task: str, task_args: str = _ARGUMENTS) -> str:
    return f"SELECT {_DEFER.format(number=lanes.number(task, '%(job_priority)s::int'), task_args=task_args)}"


_DEFER_IN_TURN, _DEFER_FINISH = _statement("survey"), _statement("finish")
# row by row: each one's turn comes after that of the one before it
_DEFER_RENDERS = (
    _statement("render", f"{_ARGUMENTS} || jsonb_build_object('number', piece->0, 'attempt', piece->1)")
    + " FROM jsonb_array_elements(%(pieces)s::jsonb) AS piece"
)


def _values(
    name: str, account_id: str, pipeline_id: str, delay_s: float | None, **arguments: Any
) -> dict[str, Any]:
    task_args = json.dumps({**arguments, "account_id": account_id})
    known = {"task": name, "delay_s": delay_s, "task_args": task_args}
    return lanes.values(name, account_id, pipeline_id, arguments) | known


class Worker:
    """Works on the queue's tasks, `slots` at a time, on a thread of its own; goes on when the database comes back.

    With `pipelines` only on those of these pipelines.
    """

    def __init__(
        self,
        url: URL | str,
        handlers: Handlers,
        slots: int,
        *,
        pipelines: Sequence[str] | None = None,
        owns_database: bool = False,
    ) -> None:
        self._dsn = psycopg_dsn(url)
        if owns_database:
            # that a task was begun or is done need not be on the disk at once: after a crash it is begun again, and
            # finds its work done. Behind a pooler this option might become somebody else's
            self._dsn = make_conninfo(self._dsn, options="-c synchronous_commit=off")
        self._handlers = handlers
        self._slots = slots
        self._pipelines = pipelines
        self._loop: asyncio.AbstractEventLoop | None = None
        self._work: asyncio.Task[None] | None = None
        self._stopping = threading.Event()
        #: the same, for its loop
        self._ending = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="stillframe-worker", daemon=True)
        #: what it is known by in the queue: by another number whenever it has lost the database
        self._ids: set[int] = set()
        self._in_hand: set[int] = set()
        self._dropped: set[tuple[int, int]] = set()

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more; what is in work goes on to its end. Wait for it with `join`."""
        self._stopping.set()
        loop, work = self._loop, self._work
        if loop is not None and work is not None:
            # one that has ended is told nothing
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._ending.set)
                loop.call_soon_threadsafe(work.cancel)

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait until all has ended; False when that takes longer."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def ids(self) -> list[int]:
        """The numbers that the queue has given it."""
        return [*self._ids]

    def dropped(self, begun: set[tuple[int, int]]) -> list[int]:
        """Those of its begun tasks (id and attempts) that it had let go of the last time that this was asked, too."""
        dropped = {(task, attempts) for task, attempts in begun if task not in self._in_hand}
        before, self._dropped = self._dropped, dropped
        return [task for task, _ in dropped & before]

    def _run(self) -> None:
        asyncio.run(self._keep_working())

    async def _keep_working(self) -> None:
        self._loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(self._slots, "stillframe-slot") as threads:
            self._loop.set_default_executor(threads)
            pauses = backoff(_RESTART_S, _LONGEST_RESTART_S)
            while not self._stopping.is_set():
                self._work = asyncio.create_task(self._work_once())
                try:
                    await self._work
                except asyncio.CancelledError:
                    break
                except Exception as error:
                    log.warning(
                        "the queue is out of reach, beginning anew", error=str(error.__cause__ or error)
                    )
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(next(pauses)):
                            await self._ending.wait()

    async def _work_once(self) -> None:
        app = open_queue(self._dsn, self._ending, self._in_hand)
        _add_tasks(app, self._handle)
        async with app.open_async():
            options: WorkerOptions = {
                "concurrency": self._slots,
                "install_signal_handlers": False,
                "fetch_job_polling_interval": _POLL_S,
                # nobody asks for that: `Recall` ends what is in work
                "abort_job_polling_interval": _FOR_EVER_S,
                # who was not heard of because the database was away is heard of again
                "stalled_worker_timeout": _FORGOTTEN_AFTER_S,
                "delete_jobs": DeleteJobCondition.ALWAYS.value,
            }
            if self._pipelines is not None:
                options["queues"] = self._pipelines
            await app.run_worker_async(**options)

    async def _handle(self, name: str, task: Job, arguments: dict[str, Any]) -> None:
        loop = asyncio.get_running_loop()
        handler: Callable[..., None] = getattr(self._handlers, name)
        assert task.id is not None
        assert task.worker_id is not None
        self._ids.add(task.worker_id)
        self._in_hand.add(task.id)
        try:
            await loop.run_in_executor(None, lambda: handler(*arguments.values(), task.attempts))
        finally:
            self._in_hand.discard(task.id)


_Handle = Callable[[str, Job, dict[str, Any]], Awaitable[None]]


def _add_tasks(app: procrastinate.App, handle: _Handle) -> None:
    #: for what a step did not foresee: it comes back, and the step itself counts how often
    again = procrastinate.RetryStrategy(max_attempts=1_000_000, wait=2)

    @app.task(name="survey", pass_context=True, retry=again)
    async def survey(
        context: procrastinate.JobContext, job_id: str, epoch: int, account_id: str = ""
    ) -> None:
        await handle("survey", context.job, {"job_id": job_id, "epoch": epoch})

    @app.task(name="render", pass_context=True, retry=again)
    async def render(
        context: procrastinate.JobContext,
        job_id: str,
        epoch: int,
        number: int,
        attempt: int,
        account_id: str = "",
    ) -> None:
        arguments = {"job_id": job_id, "epoch": epoch, "number": number, "attempt": attempt}
        await handle("render", context.job, arguments)

    @app.task(name="finish", pass_context=True, retry=again)
    async def finish(
        context: procrastinate.JobContext, job_id: str, epoch: int, account_id: str = ""
    ) -> None:
        await handle("finish", context.job, {"job_id": job_id, "epoch": epoch})

    @app.task(name="register", pass_context=True, retry=again)
    async def register(context: procrastinate.JobContext, media_id: str, account_id: str = "") -> None:
        await handle("register", context.job, {"media_id": media_id})

    @app.task(name="probe", pass_context=True, retry=again)
    async def probe(
        context: procrastinate.JobContext, job_id: str, attempt: int, account_id: str = ""
    ) -> None:
        await handle("probe", context.job, {"job_id": job_id, "attempt": attempt})
