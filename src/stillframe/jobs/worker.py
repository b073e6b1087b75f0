"""Who works on the queue's tasks, with Procrastinate. What a task does is told to it as `Handlers`."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import procrastinate
import structlog
from procrastinate.app import WorkerOptions
from procrastinate.jobs import DeleteJobCondition, Job
from psycopg.conninfo import make_conninfo
from sqlalchemy import URL

from stillframe.database.connecting import backoff
from stillframe.database.engine import is_transient, psycopg_dsn
from stillframe.jobs.queue import Begun
from stillframe.jobs.queue_connection import Hands, open_queue

_POLL_S = 5.0
#: pauses before it is begun anew
_RESTART_S, _LONGEST_RESTART_S = 0.5, 10.0
_FOR_EVER_S, _FORGOTTEN_AFTER_S = 30 * 24 * 3600.0, 24 * 3600.0
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Handlers:
    """What is done for each kind of task; called on threads, with the task's arguments."""

    survey: Callable[[str, int, Begun], None]
    render: Callable[[str, int, int, int, Begun], None]
    finish: Callable[[str, int, Begun], None]
    register: Callable[[str, Begun], None]
    probe: Callable[[str, int, Begun], None]


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
        self._hands = Hands()
        #: of slots that have no database: they take nothing else meanwhile
        self._pauses = backoff(_RESTART_S, _LONGEST_RESTART_S)
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
        return [*self._hands.worker_ids]

    def forget(self, ids: Collection[int]) -> None:
        """By these numbers it has no task any more; it is asked for its own thread to do so."""
        loop = self._loop
        if ids and loop is not None:
            # one that has ended needs none
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._hands.forget, ids)

    def dropped(self, begun: set[tuple[int, int]]) -> list[int]:
        """Those of its begun tasks (id and attempts) that it had let go of the last time that this was asked, too."""
        dropped = {(task, attempts) for task, attempts in begun if task not in self._hands.tasks}
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
                if self._stopping.is_set():
                    # whoever has said so may not have seen this one
                    self._work.cancel()
                try:
                    await self._work
                except asyncio.CancelledError:
                    break
                except Exception as error:
                    log.warning(
                        "the queue is out of reach, beginning anew", error=str(error.__cause__ or error)
                    )
                    await self._rest(next(pauses))

    async def _work_once(self) -> None:
        app = open_queue(self._dsn, self._ending, self._hands)
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
        self._hands.tasks.add(task.id)
        begun = Begun(task.id, task.attempts, task.task_kwargs)
        try:
            await loop.run_in_executor(None, lambda: handler(*arguments.values(), begun))
        except Exception as error:
            if is_transient(error):
                self._hands.not_tried.add(task.id)
                await self._rest(next(self._pauses))
            raise
        finally:
            self._hands.tasks.discard(task.id)
        self._pauses = backoff(_RESTART_S, _LONGEST_RESTART_S)
        if begun.has_ended:
            self._hands.ended.add(task.id)

    async def _rest(self, seconds: float) -> None:
        """Wait so long, or until the end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ending.wait()


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
