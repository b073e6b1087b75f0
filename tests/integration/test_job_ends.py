"""A job ends badly while other slices of it are in work: these end, and write nothing over what comes after."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import URL

from jobs_by_hand import JobsByHand, TaskRow, jobs_by_hand
from stillframe.errors import MediaError
from stillframe.media import plan
from stillframe.sandbox.unlocked import Unlocked
from stillframe.storage.bucket import Written
from stillframe.storage.local import LocalBucket
from stillframe.testing import videos

SLICES = 20
DEADLINE_S = 30
#: how long a writer that stands still would give a retry to pass it
_PASSING_S = 0.3


@pytest.fixture
def jobs(database_url: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobsByHand]:
    monkeypatch.setattr(plan, "STRETCH_S", 0.005)
    with jobs_by_hand(database_url, tmp_path) as made:
        yield made


class Broken(Unlocked):
    """A decoder that finds the video to be bad."""

    def render(self, *_: Any) -> Any:
        raise MediaError("oss://local/long.mp4", "damaged", "it is damaged")


@contextmanager
def in_work(jobs: JobsByHand, task: TaskRow, let_go: threading.Event) -> Iterator[None]:
    """Another thread is at a task; at the end of the block it is let go of, and has ended."""
    thread = threading.Thread(target=jobs.do, args=(task,))
    thread.start()
    try:
        yield
    finally:
        let_go.set()
        thread.join(DEADLINE_S)
        assert not thread.is_alive()


def files(jobs: JobsByHand) -> dict[str, bytes]:
    folder = jobs.bucket / "out"
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def begin(jobs: JobsByHand) -> tuple[str, TaskRow, TaskRow]:
    """A job whose slices wait: its id, and two of them."""
    job_id = jobs.submit(SLICES)
    jobs.do(jobs.waiting()[0])
    return job_id, *jobs.waiting()[:2]


def test_what_is_in_work_for_a_failed_job_ends(jobs: JobsByHand) -> None:
    job_id, held, bad = begin(jobs)
    standing, let_go = threading.Event(), threading.Event()

    class Held(Unlocked):
        def render(self, *arguments: Any) -> Any:
            standing.set()
            assert let_go.wait(DEADLINE_S)
            return super().render(*arguments)

    jobs.decoder = Held()
    with in_work(jobs, held, let_go):
        assert standing.wait(DEADLINE_S)
        jobs.decoder = Broken()
        jobs.do(bad)
        assert jobs.get(job_id).status == "Fail"
    assert files(jobs) == {}
    assert jobs.metric("stage_seconds_count", stage="render") == 2


@contextmanager
def standing_in_a_write(
    jobs: JobsByHand, monkeypatch: pytest.MonkeyPatch, task: TaskRow
) -> Iterator[Callable[[Callable[[], None]], None]]:
    """A task is in work, and its worker stands still where nobody can stop it any more: in the middle of a write.

    What is given calls something, for which the worker goes on when that has waited for it a while. When it has
    not, the write is over after all the rest, at the end of the block.
    """
    write = LocalBucket.write
    standing, called, passed, let_go = (threading.Event() for _ in range(4))

    def slow(bucket: LocalBucket, key: str, data: bytes, content_type: str = "") -> Written:
        if not standing.is_set():
            standing.set()
            assert called.wait(DEADLINE_S)
            if passed.wait(_PASSING_S):
                assert let_go.wait(DEADLINE_S)
        return write(bucket, key, data, content_type)

    def call(what: Callable[[], None]) -> None:
        called.set()
        what()
        passed.set()

    monkeypatch.setattr(LocalBucket, "write", slow)
    with in_work(jobs, task, let_go):
        assert standing.wait(DEADLINE_S)
        yield call


def test_a_retry_waits_for_what_is_in_work(jobs: JobsByHand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a picture of the old video came over that of the new one."""
    job_id, slow, bad = begin(jobs)
    with standing_in_a_write(jobs, monkeypatch, slow) as call:
        jobs.decoder = Broken()
        jobs.do(bad)
        assert jobs.get(job_id).status == "Fail"
        videos.make(jobs.bucket / "long.mp4", frames=200, width=256, height=144)
        call(lambda: jobs.assembly.jobs.retry(jobs.account_id, job_id))
        jobs.decoder = Unlocked()
        jobs.do_all()
    job = jobs.get(job_id)
    assert (job.status, job.code, job.count) == ("Success", None, SLICES)
    written = files(jobs)
    assert len(written) == SLICES
    assert {Image.open(io.BytesIO(data)).size for data in written.values()} == {(256, 144)}


def test_a_delete_waits_for_what_is_in_work(jobs: JobsByHand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else there were a file that no job knows."""
    job_id, slow, bad = begin(jobs)
    third = jobs.waiting()[2]
    jobs.do(third)
    assert files(jobs) != {}
    with standing_in_a_write(jobs, monkeypatch, slow) as call:
        jobs.decoder = Broken()
        jobs.do(bad)
        call(lambda: jobs.assembly.jobs.delete(jobs.account_id, job_id, outputs=True))
    assert files(jobs) == {}
    assert jobs.sql("SELECT count(*) FROM jobs") == [(0,)]
