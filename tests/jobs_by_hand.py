"""Jobs on a real database, whose tasks a test does one by one, in the order and with the accidents that it wants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import URL, text

from stillframe.accounts.accounts import FIRST_ACCOUNT
from stillframe.jobs.probe_step import ProbeStep
from stillframe.jobs.queue import Begun
from stillframe.jobs.registering import Registering
from stillframe.jobs.steps import Steps
from stillframe.jobs.worker import Handlers
from stillframe.sandbox.decoder import Decoder
from stillframe.sandbox.unlocked import Unlocked
from stillframe.server.assembly import Assembly
from stillframe.service.ports import JobView, SubmitRequest
from stillframe.service.probe_jobs import ProbeJobView, ProbeRequest
from stillframe.settings import Settings
from stillframe.testing import videos


@dataclass(frozen=True)
class TaskRow:
    """A task that waits in the queue."""

    id: int
    name: str
    arguments: dict[str, Any]


class JobsByHand:
    """An assembly without a worker. `decoder` decodes in this process until a test puts another in its place."""

    def __init__(self, url: URL, folder: Path, **settings: Any) -> None:
        self.assembly = Assembly(Settings(data_dir=folder / "data", **settings), url, owns_database=False)
        first = self.assembly.first_run()
        assert first is not None
        account_id = self.assembly.accounts.find(FIRST_ACCOUNT)
        assert account_id is not None
        self.account_id = account_id
        self.bucket = Path(first.place.removeprefix("fs:"))
        (self.bucket / "long.mp4").write_bytes(_video())
        self.decoder: Decoder = Unlocked()
        self.slots = 1
        #: the worker's tasks; with another than the assembly's it is one of another process
        self.running = self.assembly.running

    @property
    def steps(self) -> Steps:
        made = self.assembly
        return Steps(
            made.database,
            made.queue,
            made.outbox,
            made.buckets,
            self.decoder,
            self.running,
            made.metrics,
            slots=self.slots,
            attempts=made.settings.slice_attempts,
            max_read_bytes=made.settings.max_read_bytes,
        )

    @property
    def registering(self) -> Registering:
        made = self.assembly
        return Registering(
            made.database,
            made.queue,
            made.outbox,
            made.buckets,
            self.decoder,
            self.running,
            made.metrics,
            attempts=made.settings.slice_attempts,
            max_read_bytes=made.settings.max_read_bytes,
        )

    @property
    def probing(self) -> ProbeStep:
        made = self.assembly
        return ProbeStep(
            made.database,
            made.queue,
            made.buckets,
            self.decoder,
            self.running,
            made.metrics,
            attempts=made.settings.slice_attempts,
            max_read_bytes=made.settings.max_read_bytes,
        )

    def submit_probe(self, key: str = "long.mp4", *, priority: int | None = None) -> str:
        movie = key if "://" in key else f"oss://local/{key}"
        request = ProbeRequest("OSS", movie, "a request", priority=priority)
        return self.assembly.probes.submit(self.account_id, request).job_id

    def get_probe(self, job_id: str) -> ProbeJobView:
        return self.assembly.probes.get(self.account_id, job_id)

    def submit(
        self,
        count: int,
        output: str = "oss://local/out/{Count}.png",
        *,
        movie: str = "oss://local/long.mp4",
        priority: int | None = None,
        **overwrite: Any,
    ) -> str:
        request = SubmitRequest(
            input_type="OSS",
            input_media=movie,
            output_type="OSS",
            output_media=output,
            template_id=None,
            overwrite={"Type": "Normal", "FrameType": "normal", "Count": count, **overwrite},
            priority=priority,
        )
        return self.assembly.jobs.submit(self.account_id, request)

    def get(self, job_id: str) -> JobView:
        return self.assembly.jobs.get(self.account_id, job_id)

    def waiting(self) -> list[TaskRow]:
        """The tasks in the queue."""
        found = self.sql(
            "SELECT id, task_name, args FROM procrastinate_jobs WHERE status = 'todo' ORDER BY id"
        )
        for row in found:
            # whose it is matters to its turn, and not to what is done
            row[2].pop("account_id", None)
        return [TaskRow(row[0], row[1], row[2]) for row in found]

    def do(self, task: TaskRow, starts: int = 0) -> None:
        """Do a task as a worker does, and take it out of the queue at its end."""
        room = {"register": self.registering, "probe": self.probing}.get(task.name, self.steps)
        getattr(room, task.name)(**task.arguments, begun=Begun(task.id, starts))
        self.sql("DELETE FROM procrastinate_jobs WHERE id = :id", id=task.id)

    def do_all(self) -> None:
        """Do what waits, and what comes of it, to the end."""
        while tasks := self.waiting():
            self.do(tasks[0])

    def metric(self, name: str, **labels: str) -> float | None:
        """What a metric says now; None when it says nothing."""
        return self.assembly.metrics.registry.get_sample_value(f"stillframe_{name}", labels)

    def state(self) -> list[list[Any]]:
        """All that is known of all jobs."""
        tables = ("jobs", "slices", "job_outputs", "probe_jobs", "procrastinate_jobs")
        return [
            [row[0] for row in self.sql(f"SELECT to_jsonb(t) FROM {name} t ORDER BY 1")] for name in tables
        ]

    def sql(self, statement: str, **values: Any) -> list[Any]:
        with self.assembly.database.transaction() as session:
            result = session.execute(text(statement), values)
            return [*result.all()] if result.returns_rows else []


def handlers(**done: Callable[..., None]) -> Handlers:
    """What is done for these kinds of tasks; for the others it is nothing."""
    return Handlers(**{kind.name: done.get(kind.name, lambda *_: None) for kind in fields(Handlers)})


@contextmanager
def jobs_by_hand(url: URL, folder: Path, **settings: Any) -> Iterator[JobsByHand]:
    """Jobs in an empty database."""
    made = JobsByHand(url, folder, **settings)
    try:
        yield made
    finally:
        made.assembly.database.close()


@cache
def _video() -> bytes:
    """The same for all tests of a process: to make it takes longer than anything else here."""
    with TemporaryDirectory() as folder:
        return videos.make(Path(folder) / "long.mp4", frames=200).path.read_bytes()


class Interrupted(Unlocked):
    """A decoder that does something else after its first picture: there the worker stands still for a while."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        super().__init__()
        self._meanwhile: Callable[[], None] | None = meanwhile

    def render(self, *arguments: Any) -> Any:
        *others, work = arguments
        return super().render(*others, replace(work, on_shot=self._once))

    def survey_and_render(self, *arguments: Any) -> Any:
        *others, work = arguments
        return super().survey_and_render(*others, replace(work, on_shot=self._once))

    def _once(self, _: object) -> None:
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None:
            meanwhile()
