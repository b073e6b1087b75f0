"""Procrastinate's schema as steps of our history.

Its SQL is taken from the installed package. Each of its migrations that comes with a new version becomes a
step of ours; until then that version is refused, because its code would find tables of another shape.
"""

from __future__ import annotations

from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from stillframe.errors import DatabaseError

#: the last of Procrastinate's migrations that our history contains
NEWEST_MIGRATION = "03.04.00_50_post_add_retry_failed_job_procedure.sql"
#: all its tables, types, functions, triggers and indexes are named so, or idx_ and that
PREFIX = "procrastinate_"


def schema_sql() -> str:
    """The statements that make its tables. Raises DatabaseError when the installed version has others."""
    # loaded for the one step that needs it: that takes a while
    from procrastinate.schema import SchemaManager

    check_installed()
    return str(SchemaManager.get_schema())


def check_installed() -> None:
    """Raises DatabaseError when the installed package brings a schema that our history does not know."""
    found = installed_migration()
    if found != NEWEST_MIGRATION:
        raise DatabaseError(
            f"the installed procrastinate {metadata.version('procrastinate')} has the schema of {found}, this "
            f"Stillframe works with that of {NEWEST_MIGRATION}: pip install 'procrastinate>=3.10,<3.11'"
        )


def installed_migration() -> str:
    """The last migration of the installed package: its names begin with the version and sort by it."""
    # found without loading it
    package = find_spec("procrastinate")
    assert package is not None
    assert package.origin is not None
    folder = Path(package.origin).parent / "sql" / "migrations"
    return max(entry.name for entry in folder.glob("*.sql"))
