"""The tasks of this process know what they read together."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from stillframe.jobs.running import Running, Task
from stillframe.media.meter import Meter
from stillframe.media.report import Stats


def far(task: Task, bytes_read: int) -> None:
    """Let a task have a source that is read over a network."""
    source: Any = SimpleNamespace(meter=Meter("film", 1000))
    source.meter.ask(bytes_read)
    task.source = source


def test_slices_see_what_the_jobs_others_read_meanwhile() -> None:
    running = Running()
    with running.task("a") as mine, running.task("b") as of_another_job, running.task("a") as local:
        far(mine, 1)
        far(of_another_job, 20)
        local_source: Any = SimpleNamespace()
        local.source = local_source
        with running.task("a") as other:
            far(other, 300)
            assert running.bytes_read_beside(mine) == 300
            assert running.bytes_read_beside(other) == 1
        assert running.bytes_read_beside(mine) == 0


def test_what_no_account_has_yet_is_taken_down_once() -> None:
    with Running().task("a") as task:
        far(task, 70)
        rest = task.settle()
        assert (rest.bytes_read, rest.requests) == (70, 1)
        assert task.settle() == Stats()
        assert (task.spent.bytes_read, task.spent.requests) == (70, 1)
