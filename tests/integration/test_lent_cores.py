"""A core that is idle is lent to a lone slice, as far as the decoder's memory has room for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from jobs_by_hand import JobsByHand, jobs_by_hand
from stillframe import FileSource, MemorySink, SnapshotConfig
from stillframe.errors import ChildKilled
from stillframe.media import plan
from stillframe.sandbox.decoder import Work
from stillframe.sandbox.parent import Sandbox
from stillframe.sandbox.unlocked import Unlocked
from stillframe.testing import videos

SLOTS = 4


class Counting(Unlocked):
    """Notes by how many threads it is asked to work, and is killed as often as a test wants."""

    def __init__(self, kills: int = 0) -> None:
        super().__init__()
        self.threads: list[int] = []
        self._kills = kills

    def survey_and_render(self, *arguments: Any) -> Any:
        self._count(arguments[-1])
        return super().survey_and_render(*arguments)

    def render(self, *arguments: Any) -> Any:
        self._count(arguments[-1])
        return super().render(*arguments)

    def _count(self, work: Work) -> None:
        self.threads.append(work.threads)
        if self._kills:
            self._kills -= 1
            raise ChildKilled("memory", "it needed too much")


@pytest.fixture
def jobs(database_url: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobsByHand]:
    monkeypatch.setattr(plan, "STRETCH_S", 0.005)
    with jobs_by_hand(database_url, tmp_path) as made:
        made.slots = SLOTS
        yield made


@pytest.mark.parametrize(("others", "lent"), [(0, 4), (1, 2), (2, 1), (3, 1), (9, 1)])
def test_idle_cores_are_lent(jobs: JobsByHand, others: int, lent: int) -> None:
    jobs.decoder = decoder = Counting()
    jobs.submit(20)
    jobs.do(jobs.waiting()[0])
    tasks = [jobs.assembly.running.task(f"another {number}") for number in range(others)]
    for task in tasks:
        task.__enter__()
    jobs.do(jobs.waiting()[0])
    for task in tasks:
        task.__exit__(None, None, None)
    assert decoder.threads == [SLOTS, lent]


@pytest.mark.parametrize("count", [3, 20], ids=["survey", "slice"])
def test_what_was_killed_goes_on_alone(jobs: JobsByHand, count: int) -> None:
    if count == 20:
        jobs.submit(count)
        jobs.do(jobs.waiting()[0])
    else:
        jobs.submit(count)
    jobs.decoder = decoder = Counting(kills=2)
    first = jobs.waiting()[0]
    jobs.do(first)
    for _ in range(2):
        jobs.do(next(task for task in jobs.waiting()[::-1]))
    assert decoder.threads == [SLOTS, 1, 1]


@pytest.mark.usefixtures("sandbox_holds")
def test_more_threads_than_memory_has_room_for(tmp_path: Path) -> None:
    clip = videos.make(tmp_path / "clip.mp4", frames=24, gop=4)
    config = SnapshotConfig(type="Normal", frame_type="normal", count=6)
    with Sandbox(entry="sandbox_little_memory:run") as box, FileSource(clip.path) as source:
        sink = MemorySink("{Count}.jpg", config)
        found = box.survey_and_render(source, config, sink, replace(Work(), threads=4))
        assert found.rendered is not None
        assert len(found.rendered.shots) == len(sink.files) == 6
