"""The history of the tables: from empty to the newest, by several servers at once, and never past what is known."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic import command
from alembic.runtime.migration import MigrationContext
from sqlalchemy import URL, Engine, text

import stillframe.accounts.models
import stillframe.catalog.models
import stillframe.events.models
import stillframe.jobs.models  # noqa: F401 - all rooms' tables, for the comparison with the history
from stillframe.database import migrations
from stillframe.database.engine import make_engine
from stillframe.database.migrations import history, procrastinate_schema
from stillframe.errors import DatabaseError


@pytest.fixture
def empty(empty_database_url: URL) -> Engine:
    return make_engine(empty_database_url)


def test_an_empty_database_is_brought_up_to_date(empty: Engine) -> None:
    assert migrations.current(empty) is None
    with pytest.raises(DatabaseError, match=r"revision none, .* run: stillframe db upgrade"):
        migrations.check(empty)

    history.upgrade(empty)
    history.upgrade(empty)

    assert migrations.current(empty) == migrations.newest()
    migrations.check(empty)
    with empty.connect() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == migrations.newest()
        assert connection.scalar(text("SELECT count(*) FROM procrastinate_jobs")) == 0
    empty.dispose()


def test_servers_that_start_at_the_same_time_wait_for_each_other(empty: Engine) -> None:
    failures: list[BaseException] = []
    together = threading.Barrier(4)

    def start() -> None:
        together.wait()
        try:
            history.upgrade(empty)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    migrations.check(empty)
    empty.dispose()


def test_an_upgrade_that_fails_leaves_nothing_behind(empty: Engine) -> None:
    with empty.begin() as connection:
        # made by another program in the same database
        connection.execute(text("CREATE TABLE procrastinate_events (id int)"))

    with pytest.raises(Exception, match="procrastinate_events"):
        history.upgrade(empty)

    assert migrations.current(empty) is None
    with empty.connect() as connection:
        assert connection.scalar(text("SELECT to_regclass('procrastinate_jobs')")) is None
    empty.dispose()


def test_an_upgrade_behind_a_backup_keeps_nobody_waiting(
    empty: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever wants a table that it waits for waits behind it: so it steps back, says so, and tries again."""
    monkeypatch.setattr(history, "_LOCK_WAIT_S", 0.1)
    monkeypatch.setattr(history, "_PAUSE_S", 0.1)
    with empty.begin() as connection:
        command.upgrade(history._config(connection), "0010")
    told: list[str] = []
    waits_again = threading.Semaphore(0)

    def on_wait(text: str) -> None:
        told.append(text)
        waits_again.release()

    with ThreadPoolExecutor(1) as pool:
        with empty.connect() as backup, empty.connect() as other:
            backup.execute(text("SELECT set_config('application_name', 'pg_dump', false)"))
            backup.execute(text("LOCK TABLE pipelines IN ACCESS SHARE MODE"))
            upgrade = pool.submit(history.upgrade, empty, on_wait)
            for _ in range(2):
                assert waits_again.acquire(timeout=60)
            other.execute(text("SET lock_timeout = '30s'"))
            for table in ("pipelines", "nodes", "jobs"):
                assert other.scalar(text(f"SELECT count(*) FROM {table}")) == 0
            other.rollback()
            with (
                monkeypatch.context() as patch,
                pytest.raises(DatabaseError, match="again when that has ended"),
            ):
                patch.setattr(history, "_PATIENCE_S", 0.0)
                history.upgrade(empty)
            assert migrations.current(empty) == "0010"
        upgrade.result(60)
    assert "most likely by pg_dump" in told[0]
    migrations.check(empty)
    empty.dispose()


def test_an_upgrade_that_others_wait_for_steps_back(empty: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has what the other one wants: PostgreSQL ends one of the two, which must not be the end of the upgrade."""
    monkeypatch.setattr(history, "_LOCK_WAIT_S", 30)
    monkeypatch.setattr(history, "_PAUSE_S", 0.1)
    with empty.begin() as connection:
        command.upgrade(history._config(connection), "0015")
    empty.dispose()
    told: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        with empty.connect() as other, empty.connect() as beside:
            # who has waited for so long looks whether others wait for him, once, and is ended: not the other one
            beside.execute(text(f"ALTER DATABASE \"{empty.url.database}\" SET deadlock_timeout = '3s'"))
            beside.commit()
            other.execute(text("SET deadlock_timeout = '1min'"))
            other.execute(text("LOCK TABLE probe_jobs IN SHARE UPDATE EXCLUSIVE MODE"))
            upgrade = pool.submit(history.upgrade, empty, told.append)
            waits = text(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            deadline = time.monotonic() + 60
            while beside.scalar(waits) == 0:
                beside.rollback()
                assert time.monotonic() < deadline
                time.sleep(0.02)
            other.execute(text("UPDATE jobs SET parked = false"))
            other.rollback()
        upgrade.result(60)
    assert told
    migrations.check(empty)
    empty.dispose()


def test_a_database_of_a_newer_release_is_refused(database_url: URL) -> None:
    engine = make_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    for use in (history.upgrade, migrations.check):
        with pytest.raises(DatabaseError, match="9999, which this Stillframe does not know: a newer one"):
            use(engine)
    engine.dispose()


def test_a_queue_package_with_another_schema_is_refused(
    empty: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(procrastinate_schema, "NEWEST_MIGRATION", "99.00.00_01_other.sql")

    with pytest.raises(DatabaseError, match=r"procrastinate 3\.\d+\.\d+ has the schema of .*pip install"):
        history.upgrade(empty)
    assert migrations.current(empty) is None
    empty.dispose()


def test_the_models_and_the_history_agree_and_the_queue_is_left_out(database_url: URL) -> None:
    engine = make_engine(database_url)
    assert history.differences(engine) == []
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE forgotten (id int)"))
    assert "forgotten" in str(history.differences(engine))
    engine.dispose()


def test_a_role_that_may_not_create_tables_is_told_so(database_url: URL, empty: Engine) -> None:
    with empty.begin() as connection:
        connection.execute(text("CREATE ROLE stillframe_reader LOGIN"))
    try:
        reader = make_engine(empty.url.set(username="stillframe_reader"))
        with pytest.raises(DatabaseError, match="permission denied for schema public"):
            history.upgrade(reader)
        reader.dispose()
    finally:
        with empty.begin() as connection:
            connection.execute(text("DROP ROLE stillframe_reader"))
    empty.dispose()
