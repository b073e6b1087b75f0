"""The tasks that this process works on right now: to cancel them, and to tell how far they are."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from stillframe.media.meter import meter_of
from stillframe.media.report import Stats
from stillframe.storage.bucket import ObjectSource


@dataclass
class Task:
    """One task in work. `cancelled` is set when its work is not wanted any more.

    `spent` is what its work has cost as far as that was taken down; what was read over the network since is `settle`d.
    """

    job_id: str
    cancelled: threading.Event = field(default_factory=threading.Event)
    shots_done: int = 0
    spent: Stats = field(default_factory=Stats)
    source: ObjectSource | None = None

    def count_shot(self) -> None:
        """One more shot is done."""
        self.shots_done += 1

    @property
    def bytes_read(self) -> int:
        """What it has read over the network until now."""
        meter = meter_of(self.source)
        return meter.bytes_read if meter is not None else 0

    def settle(self) -> Stats:
        """Take down what was read over the network and is in no account yet, and return it."""
        rest = Stats()
        if (meter := meter_of(self.source)) is not None:
            meter.take(rest)
        self.spent.add(rest)
        return rest


class Running:
    """All tasks in work. Safe to use from several threads."""

    def __init__(self) -> None:
        self._by_id: dict[int, Task] = {}
        self._changed = threading.Condition()

    @contextmanager
    def task(self, job_id: str) -> Iterator[Task]:
        """A task of a job is worked on inside the block."""
        task = Task(job_id)
        with self._changed:
            self._by_id[id(task)] = task
        try:
            yield task
        finally:
            with self._changed:
                del self._by_id[id(task)]
                self._changed.notify_all()

    @property
    def number(self) -> int:
        """How many tasks are in work."""
        with self._changed:
            return len(self._by_id)

    def is_at(self, job_id: str) -> bool:
        """Whether a task of a job is in work."""
        with self._changed:
            return any(task.job_id == job_id for task in self._by_id.values())

    def shots_done(self, job_id: str) -> int:
        """Shots of a job that are done in tasks which are still in work."""
        with self._changed:
            return sum(task.shots_done for task in self._by_id.values() if task.job_id == job_id)

    def bytes_read_beside(self, mine: Task) -> int:
        """What the job's other tasks that are in work have read over the network."""
        with self._changed:
            others = [
                task for task in self._by_id.values() if task is not mine and task.job_id == mine.job_id
            ]
        return sum(task.bytes_read for task in others)

    def cancel(self, job_id: str | None, timeout_s: float) -> bool:
        """Stop the tasks of a job (None: all) and wait until they have ended; False when that takes longer."""

        def theirs() -> list[Task]:
            return [task for task in self._by_id.values() if job_id in (None, task.job_id)]

        with self._changed:
            for task in theirs():
                task.cancelled.set()
            return self._changed.wait_for(lambda: not theirs(), timeout_s)
