"""Which revision the database is at, and which one this Stillframe needs: `current`, `newest`, `check`.

Every command asks that, so it is answered without Alembic, which takes a while to load; `history` has what works
with it. A revision is the number that the name of its step begins with, in `versions/`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from stillframe.database.migrations.procrastinate_schema import check_installed
from stillframe.errors import DatabaseError

_STEPS = Path(__file__).parent / "versions"


def current(engine: Engine) -> str | None:
    """The revision that the database is at; None for an empty one."""
    with connected(engine) as connection:
        return read(connection)


def newest() -> str:
    """The revision that this Stillframe works with."""
    return max(_known())


def check(engine: Engine) -> None:
    """Raises DatabaseError unless the database is exactly at the newest revision."""
    check_installed()
    found = current(engine)
    demand_known(found)
    if found != newest():
        raise DatabaseError(
            f"the database is at revision {found or 'none'}, this Stillframe needs {newest()}: "
            "run: stillframe db upgrade"
        )


def read(connection: Connection) -> str | None:
    """What `current` tells, within the caller's transaction."""
    if connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    found = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return str(found) if found is not None else None


def demand_known(revision: str | None) -> None:
    """Raises DatabaseError for a revision that only a newer Stillframe can have made."""
    if revision is not None and not is_known(revision):
        raise DatabaseError(
            f"the database is at revision {revision}, which this Stillframe does not know: a newer one has "
            "upgraded it. Install that one, or restore a backup"
        )


def is_known(revision: str) -> bool:
    """Whether this Stillframe can bring a database from there to its own revision."""
    return revision in _known()


@contextmanager
def connected(engine: Engine) -> Iterator[Connection]:
    """A connection. Raises DatabaseError for whatever the database refuses on it."""
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        raise DatabaseError(f"the database refuses: {str(error.orig).strip()}") from error


def _known() -> set[str]:
    return {step.name.partition("_")[0] for step in _STEPS.glob("[0-9]*_*.py")}
