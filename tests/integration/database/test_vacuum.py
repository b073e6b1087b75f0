"""Tables whose rows live for seconds stay small: autovacuum is told to come soon, whatever the server is set to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import URL

from memory_folder import memory_folder
from stillframe.database.embedded import EmbeddedPostgres
from stillframe.database.engine import make_engine, psycopg_dsn
from stillframe.database.migrations import history

BATCH, BATCHES = 500, 120
#: so many rows are dead at the most, once a vacuum has come: its threshold, and what was done since
MOST_DEAD = 6000
MOST_BYTES = 12 << 20
DEADLINE_S = 60
HOT = ("procrastinate_jobs", "procrastinate_events", "used_nonces")


def test_each_table_says_when_it_is_vacuumed(database_url: URL) -> None:
    with psycopg.connect(psycopg_dsn(database_url)) as connection:
        found = {
            name: dict(option.split("=") for option in options)
            for name, options in connection.execute(
                "SELECT relname, reloptions FROM pg_class WHERE reloptions IS NOT NULL"
            )
        }
    for table in (*HOT, "procrastinate_workers", "events", "nodes"):
        assert found[table]["autovacuum_vacuum_threshold"] == "2000"
    for table in ("jobs", "slices", "job_outputs", "probe_jobs"):
        assert float(found[table]["autovacuum_vacuum_scale_factor"]) < 0.05


@contextmanager
def private_database(folder: Path) -> Iterator[psycopg.Connection[Any]]:
    """One whose autovacuum looks every second, as a busy server's would every minute."""
    options = {"fsync": "off", "autovacuum_naptime": "1s"}
    with memory_folder() as memory, EmbeddedPostgres(memory or folder, options=options) as postgres:
        engine = make_engine(postgres.url)
        history.upgrade(engine)
        engine.dispose()
        with psycopg.connect(psycopg_dsn(postgres.url), autocommit=True) as connection:
            yield connection


def sizes(connection: psycopg.Connection[Any]) -> dict[str, int]:
    found = connection.execute(
        "SELECT name, pg_relation_size(name::regclass) FROM unnest(%s::text[]) AS name", [[*HOT]]
    )
    return dict(found.fetchall())


def do_tasks(connection: psycopg.Connection[Any]) -> None:
    """So many tasks from the submit to the end, with the nonces of their submits."""
    connection.execute(
        "SELECT procrastinate_defer_jobs_v1(array_agg(ROW('work', 'survey', 5, NULL, NULL, "
        "jsonb_build_object('job_id', md5(n::text), 'epoch', 1), now())::procrastinate_job_to_defer_v1)) "
        "FROM generate_series(1, %s) AS n",
        [BATCH],
    )
    connection.execute("UPDATE procrastinate_jobs SET status = 'doing'")
    connection.execute("SELECT procrastinate_finish_job_v1(id, 'succeeded', true) FROM procrastinate_jobs")
    connection.execute(
        "INSERT INTO used_nonces SELECT 'SF', md5(n || clock_timestamp()::text), now() "
        "FROM generate_series(1, %s) AS n",
        [BATCH],
    )
    connection.execute("DELETE FROM used_nonces")


@pytest.mark.full
def test_tables_stay_small_over_many_thousand_tasks(tmp_path: Path) -> None:
    with private_database(tmp_path / "data") as connection:
        largest = dict.fromkeys(HOT, 0)
        for _ in range(BATCHES):
            do_tasks(connection)
            # as between two looks of autovacuum
            time.sleep(0.1)
            largest = {name: max(size, largest[name]) for name, size in sizes(connection).items()}
        assert all(size < MOST_BYTES for size in largest.values()), largest
        deadline = time.monotonic() + DEADLINE_S
        dead = "SELECT max(n_dead_tup) FROM pg_stat_user_tables WHERE relname = ANY(%s)"
        while (row := connection.execute(dead, [[*HOT]]).fetchone()) is None or row[0] > MOST_DEAD:
            assert time.monotonic() < deadline, row
            time.sleep(0.5)
