"""A database for each test: a copy of one that has been brought up to date, on one server for all tests.

The server is TEST_DATABASE_URL's when that is set (its role must be allowed to create databases), else a private
one. `database_url` is an up-to-date database, `empty_database_url` one without tables.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # SQLAlchemy takes a fifth of a second, which tests without a database need not wait
    from sqlalchemy import URL


@dataclass(frozen=True)
class _Server:
    address: URL
    #: how it copies a database with the least work
    strategy: str


@pytest.fixture(scope="session")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Server]:
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        from stillframe.database.engine import with_driver

        yield _Server(with_driver(given), "WAL_LOG")
        return
    from memory_folder import memory_folder
    from stillframe.database.embedded import EmbeddedPostgres

    # what is lost with the power is only the test's
    quick = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}
    with (
        memory_folder() as folder,
        EmbeddedPostgres(folder or tmp_path_factory.mktemp("database"), options=quick) as postgres,
    ):
        # a checkpoint costs next to nothing where no disk is, and much more than the copy where one is
        yield _Server(postgres.superuser_url, "FILE_COPY" if folder else "WAL_LOG")


@pytest.fixture(scope="session")
def database_server(_server: _Server) -> URL:
    """The address of a server whose role may create databases."""
    return _server.address


@pytest.fixture(scope="session")
def database_template(_server: _Server) -> Iterator[str]:
    """The name of a database that is up to date and that nobody is connected to."""
    from stillframe.database.engine import make_engine
    from stillframe.database.migrations import history

    name = f"stillframe_template_{secrets.token_hex(4)}"
    with _created(_server, name) as url:
        engine = make_engine(url)
        history.upgrade(engine)
        engine.dispose()
        yield name


@pytest.fixture
def database_url(_server: _Server, database_template: str) -> Iterator[URL]:
    """The address of an up-to-date database of the test's own."""
    with _created(_server, f"stillframe_test_{secrets.token_hex(4)}", database_template) as url:
        yield url


@pytest.fixture(scope="module")
def module_database_url(_server: _Server, database_template: str) -> Iterator[URL]:
    """The address of an up-to-date database of the test module's own."""
    with _created(_server, f"stillframe_test_{secrets.token_hex(4)}", database_template) as url:
        yield url


@pytest.fixture
def empty_database_url(_server: _Server) -> Iterator[URL]:
    """The address of an empty database of the test's own."""
    with _created(_server, f"stillframe_test_{secrets.token_hex(4)}") as url:
        yield url


@contextmanager
def _created(server: _Server, name: str, template: str = "template0") -> Iterator[URL]:
    from sqlalchemy import create_engine, text
    from sqlalchemy.pool import NullPool

    engine = create_engine(server.address, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    make = f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY {server.strategy}'
    with engine.connect() as connection:
        connection.execute(text(make))
    try:
        yield server.address.set(database=name)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
