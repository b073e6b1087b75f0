"""The history of the tables, as Alembic works with it: `upgrade`; for developers `differences` and `write_revision`.

The models stand in the rooms above this one: whoever compares with them imports them first. A new step is
written by `scripts/new_migration.py "what it does"`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script
from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from stillframe.database.base import Base
from stillframe.database.engine import without_limit
from stillframe.database.migrations import connected, demand_known, newest, read
from stillframe.database.migrations.procrastinate_schema import PREFIX, check_installed
from stillframe.errors import DatabaseError

#: one number for all of Stillframe's servers on a database: the first upgrades, the others wait and find it done
_ADVISORY_LOCK = 0x5F11_1F2A
#: Alembic keeps what it is about in globals
_IN_THIS_PROCESS = threading.Lock()
#: whoever wants a table that the upgrade waits for waits behind it: so it steps back, and lets the others pass
_LOCK_WAIT_S, _PAUSE_S = 5.0, 10.0
#: then it is given up; a backup may take hours
_PATIENCE_S = 600.0
_LONGEST = text(
    "SELECT application_name, pid, extract(epoch FROM clock_timestamp() - xact_start)::int AS seconds "
    "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND xact_start IS NOT NULL ORDER BY xact_start LIMIT 1"
)
log = structlog.get_logger(__name__)


def upgrade(engine: Engine, on_wait: Callable[[str], None] = log.warning) -> None:
    """Bring the database up to date, in one transaction. Servers that start at the same time wait for each other.

    A table that others have in use for long, such as a backup, is waited for now and then; `on_wait` is told each time.
    Raises DatabaseError when that takes too long, when the database was upgraded by a newer Stillframe, or the queue's
    package does not fit, or the role may not create tables.
    """
    check_installed()
    began = time.monotonic()
    while not _upgraded(engine):
        what = f"a table is in use{_by_whom(engine)}"
        if time.monotonic() - began >= _PATIENCE_S:
            raise DatabaseError(
                f"{what}: the database is as it was. Run the upgrade again when that has ended (a backup, say)"
            )
        on_wait(f"{what}: nothing is changed yet, the next try is in {_PAUSE_S:g} s")
        time.sleep(_PAUSE_S)


def _upgraded(engine: Engine) -> bool:
    """Whether it has come to its end, and not to a table that somebody has in use, or who waits for it himself."""
    try:
        with connected(engine) as connection, without_limit(connection), connection.begin():
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
            demand_known(read(connection))
            connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_WAIT_S:g}s'"))
            with _IN_THIS_PROCESS:
                command.upgrade(_config(connection), "head")
    except DatabaseError as error:
        cause = error.__cause__
        if isinstance(cause, DBAPIError) and isinstance(cause.orig, LockNotAvailable | DeadlockDetected):
            return False
        raise
    return True


def _by_whom(engine: Engine) -> str:
    """Who most likely has it: the longest transaction, as far as the role may know."""
    with connected(engine) as connection:
        longest = connection.execute(_LONGEST).first()
    if longest is None:
        return ""
    name = longest.application_name or "another program"
    return f", most likely by {name} (process {longest.pid}, at it for {longest.seconds} s)"


def differences(engine: Engine) -> list[Any]:
    """What autogenerate would write: how the imported models differ from the database. Empty when they agree."""
    with connected(engine) as connection:
        context = MigrationContext.configure(connection, opts={"include_name": is_ours})
        return list(compare_metadata(context, Base.metadata))


def write_revision(engine: Engine, message: str) -> Path:
    """Write a new step that makes an up-to-date database fit the imported models; its file, to be read and mended."""
    number = f"{int(newest()) + 1:04d}"
    with connected(engine) as connection:
        script = command.revision(_config(connection), message, autogenerate=True, rev_id=number)
    assert isinstance(script, Script)
    return Path(script.path)


def is_ours(name: str | None, kind: str, parents: object) -> bool:
    """Whether autogenerate looks at something: the queue's tables are none of its business."""
    return not (kind == "table" and name is not None and name.startswith(PREFIX))


def _config(connection: Connection) -> Config:
    config = Config()
    # a percent sign in the path would be taken for an interpolation
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes["connection"] = connection
    return config
