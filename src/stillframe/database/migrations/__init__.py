"""The history of the tables: `upgrade`, `current` and `check`; for developers `differences` and `write_revision`.

The models stand in the rooms above this one: whoever compares with them imports them first. A new step is
written by `scripts/new_migration.py "what it does"`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from stillframe.database.base import Base
from stillframe.database.migrations.procrastinate_schema import PREFIX, check_installed
from stillframe.errors import DatabaseError

#: one number for all of Stillframe's servers on a database: the first upgrades, the others wait and find it done
_ADVISORY_LOCK = 0x5F11_1F2A


def upgrade(engine: Engine) -> None:
    """Bring the database up to date, in one transaction. Servers that start at the same time wait for each other.

    Raises DatabaseError when the database was upgraded by a newer Stillframe, or the queue's package does not
    fit, or the role may not create tables.
    """
    check_installed()
    with _connected(engine) as connection, connection.begin():
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        _refuse_unknown(connection)
        command.upgrade(_config(connection), "head")


def current(engine: Engine) -> str | None:
    """The revision that the database is at; None for an empty one."""
    with _connected(engine) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest() -> str:
    """The revision that this Stillframe works with."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def check(engine: Engine) -> None:
    """Raises DatabaseError unless the database is exactly at the newest revision."""
    check_installed()
    with _connected(engine) as connection:
        _refuse_unknown(connection)
        found = MigrationContext.configure(connection).get_current_revision()
    if found != newest():
        raise DatabaseError(
            f"the database is at revision {found or 'none'}, this Stillframe needs {newest()}: "
            "run: stillframe db upgrade"
        )


def differences(engine: Engine) -> list[Any]:
    """What autogenerate would write: how the imported models differ from the database. Empty when they agree."""
    with _connected(engine) as connection:
        context = MigrationContext.configure(connection, opts={"include_name": is_ours})
        return list(compare_metadata(context, Base.metadata))


def write_revision(engine: Engine, message: str) -> Path:
    """Write a new step that makes an up-to-date database fit the imported models; its file, to be read and mended."""
    number = f"{int(newest()) + 1:04d}"
    with _connected(engine) as connection:
        script = command.revision(_config(connection), message, autogenerate=True, rev_id=number)
    assert isinstance(script, Script)
    return Path(script.path)


def is_ours(name: str | None, kind: str, parents: object) -> bool:
    """Whether autogenerate looks at something: the queue's tables are none of its business."""
    return not (kind == "table" and name is not None and name.startswith(PREFIX))


def _refuse_unknown(connection: Connection) -> None:
    found = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if found is not None and found not in known:
        raise DatabaseError(
            f"the database is at revision {found}, which this Stillframe does not know: a newer one has upgraded "
            "it. Install that one, or restore a backup"
        )


@contextmanager
def _connected(engine: Engine) -> Iterator[Connection]:
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        raise DatabaseError(f"the database refuses: {str(error.orig).strip()}") from error


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    # a percent sign in the path would be taken for an interpolation
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes["connection"] = connection
    return config
