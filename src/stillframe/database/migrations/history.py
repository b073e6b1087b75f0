"""The history of the tables, as Alembic works with it: `upgrade`; for developers `differences` and `write_revision`.

The models stand in the rooms above this one: whoever compares with them imports them first. A new step is
written by `scripts/new_migration.py "what it does"`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script
from sqlalchemy import Connection, Engine, text

from stillframe.database.base import Base
from stillframe.database.engine import without_limit
from stillframe.database.migrations import connected, demand_known, newest, read
from stillframe.database.migrations.procrastinate_schema import PREFIX, check_installed

#: one number for all of Stillframe's servers on a database: the first upgrades, the others wait and find it done
_ADVISORY_LOCK = 0x5F11_1F2A


def upgrade(engine: Engine) -> None:
    """Bring the database up to date, in one transaction. Servers that start at the same time wait for each other.

    Raises DatabaseError when the database was upgraded by a newer Stillframe, or the queue's package does not
    fit, or the role may not create tables.
    """
    check_installed()
    with connected(engine) as connection, without_limit(connection), connection.begin():
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        demand_known(read(connection))
        command.upgrade(_config(connection), "head")


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
