"""Folders in which a private PostgreSQL is started: as who runs the tests, and as nobody."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from database_server import NOBODY, Place, address, copy_sources, place_for, short_folder

from stillframe.database.embedded import EmbeddedPostgres

IS_ROOT = os.geteuid() == 0
USERS = [
    pytest.param(os.geteuid(), id="as root" if IS_ROOT else "as this user"),
    pytest.param(
        NOBODY,
        id="as nobody",
        marks=pytest.mark.skipif(not IS_ROOT, reason="only root can become somebody else"),
    ),
]


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a table in it; one row was committed."""
    data_dir = tmp_path_factory.mktemp("prepared") / "data"
    with (
        EmbeddedPostgres(data_dir) as postgres,
        psycopg.connect(address(postgres.socket_folder)) as connection,
    ):
        connection.execute("CREATE TABLE kept AS SELECT 1 AS number")
    return data_dir


@pytest.fixture(scope="session")
def sources() -> Iterator[Path]:
    """Our sources where everybody can read them: a checkout may lie in a closed folder."""
    with short_folder() as folder:
        copy_sources(folder)
        yield folder


@pytest.fixture(params=USERS)
def place(request: pytest.FixtureRequest, sources: Path, prepared: Path) -> Iterator[Place]:
    """A place of each kind of user."""
    with place_for(request.param, sources, prepared) as place:
        yield place


@pytest.fixture
def own_place(sources: Path, prepared: Path) -> Iterator[Place]:
    """A place of who runs the tests."""
    with place_for(os.geteuid(), sources, prepared) as place:
        yield place
