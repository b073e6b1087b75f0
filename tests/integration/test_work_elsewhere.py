"""What another process has in work: it is ended when that is asked for, and counts as at work until it has ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL, text

from jobs_by_hand import handlers
from stillframe.database.engine import Database, make_engine
from stillframe.errors import KeyringError
from stillframe.jobs.everywhere import Everywhere, Recall
from stillframe.jobs.lanes import Lane
from stillframe.jobs.queue import Queue
from stillframe.jobs.repair import repair
from stillframe.jobs.running import Running
from stillframe.jobs.worker import Worker
from stillframe.server.assembly import Assembly
from stillframe.server.operator import operate
from stillframe.settings import Settings

DEADLINE_S = 60
JOB = "0" * 32


class Elsewhere:
    """Another process's worker, which is at the survey of JOB until it is recalled or `freed`."""

    def __init__(self, url: URL) -> None:
        self.running = Running()
        self.begun, self.freed = threading.Event(), threading.Event()
        self.worker = Worker(url, handlers(survey=self._survey), slots=1)

    def _survey(self, *_: object) -> None:
        with self.running.task(JOB) as task:
            self.begun.set()
            while not (task.cancelled.wait(0.02) or self.freed.is_set()):
                pass


@pytest.fixture
def database(database_url: URL) -> Iterator[Database]:
    database = Database(make_engine(database_url))
    yield database
    database.close()


@pytest.fixture
def elsewhere(database: Database, database_url: URL) -> Iterator[Elsewhere]:
    with database.transaction() as session:
        Queue().defer_survey(session, JOB, 1, lane=Lane("0" * 16, "0" * 32, 5))
    made = Elsewhere(database_url)
    made.worker.start()
    assert made.begun.wait(DEADLINE_S)
    yield made
    made.freed.set()
    made.worker.stop()
    assert made.worker.join(DEADLINE_S)


@contextmanager
def listening(url: URL, running: Running) -> Iterator[None]:
    recall = Recall(url, running)
    recall.start()
    yield
    recall.stop()


def everywhere(database: Database) -> Everywhere:
    return Everywhere(database, Queue(), Running(), list)


def test_work_elsewhere_is_ended(elsewhere: Elsewhere, database: Database, database_url: URL) -> None:
    asking = everywhere(database)
    assert asking.is_at(JOB)
    with listening(database_url, elsewhere.running):
        assert asking.cancel(JOB, DEADLINE_S)
    assert not asking.is_at(JOB)
    assert asking.cancel("another job", 0)


def test_who_listens_late_is_told_again(elsewhere: Elsewhere, database: Database, database_url: URL) -> None:
    came: list[bool] = []
    asking = threading.Thread(target=lambda: came.append(everywhere(database).cancel(JOB, DEADLINE_S)))
    asking.start()
    # the first one has been sent, and nobody was there
    assert not elsewhere.freed.wait(0.3)
    with listening(database_url, elsewhere.running):
        asking.join(DEADLINE_S)
    assert came == [True]


def test_work_that_does_not_end_is_told_of(elsewhere: Elsewhere, database: Database) -> None:
    assert not everywhere(database).cancel(JOB, 0.1)


def test_a_worker_that_drains_is_still_at_work(elsewhere: Elsewhere, database: Database) -> None:
    """Procrastinate says no more that it lives from when it is told to stop."""
    elsewhere.worker.stop()
    asking = everywhere(database)
    deadline = time.monotonic() + DEADLINE_S
    # it may be heard of once more before it is told
    while asking.is_at(JOB):
        assert time.monotonic() < deadline
        with database.transaction() as session:
            session.execute(text("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '40 s'"))
    assert not repair(database, Queue(), elsewhere.worker)
    assert asking.is_at(JOB)


def test_processes_on_a_database_have_one_keyring(database_url: URL, tmp_path: Path) -> None:
    def process(folder: str, *, serves: bool = True, **settings: object) -> None:
        made = Assembly(
            Settings.model_validate({"data_dir": tmp_path / folder, **settings}),
            database_url,
            owns_database=False,
            serves=serves,
        )
        made.stop()

    keyring = tmp_path / "first" / "keyring"
    with pytest.raises(KeyringError, match="start one first"):
        process("worker", serves=False)
    with pytest.raises(KeyringError, match="is not there"):
        process("first", keyring_file=keyring)
    process("first")
    with pytest.raises(KeyringError, match="is not there: all servers"):
        process("worker", serves=False)
    process("worker", serves=False, keyring_file=keyring)
    (tmp_path / "other").mkdir(mode=0o700)
    other = tmp_path / "other" / "keyring"
    other.write_text("vJtqCfSdXH6q8h4GQ7MKVfVnwkb2BK9aXv0MgAJTp4I=\n")
    other.chmod(0o600)
    with pytest.raises(KeyringError, match="is not the keyring of this database"):
        process("other")
    address = database_url.render_as_string(hide_password=False)
    for folder, told in (("other", "is not the keyring"), ("elsewhere", "is not there")):
        settings = Settings.model_validate({"data_dir": tmp_path / folder, "database_url": address})
        with pytest.raises(KeyringError, match=told), operate(settings):
            pass
    assert not (tmp_path / "elsewhere" / "keyring").exists()
