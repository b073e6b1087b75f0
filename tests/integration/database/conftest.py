"""Folders in which a private PostgreSQL is started: as who runs the tests, and as nobody."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from database_server import NOBODY, Place, Servers, address, copy_sources, place_for, short_folder

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


@pytest.fixture(scope="session")
def servers_of(sources: Path) -> Iterator[Callable[[int], Servers]]:
    """For each user the process that servers are forked from."""
    with short_folder() as folder:
        known: dict[int, Servers] = {}

        def servers_of(user: int) -> Servers:
            if user not in known:
                home = folder / str(user)
                home.mkdir(exist_ok=True)
                os.chown(home, user, user)
                known[user] = Servers(user, sources, home)
            return known[user]

        yield servers_of
        for servers in known.values():
            servers.close()


@pytest.fixture(params=USERS)
def place(
    request: pytest.FixtureRequest, servers_of: Callable[[int], Servers], prepared: Path
) -> Iterator[Place]:
    """A place of each kind of user."""
    with place_for(request.param, servers_of(request.param), prepared) as place:
        yield place


@pytest.fixture
def own_place(servers_of: Callable[[int], Servers], prepared: Path) -> Iterator[Place]:
    """A place of who runs the tests."""
    with place_for(os.geteuid(), servers_of(os.geteuid()), prepared) as place:
        yield place


@pytest.fixture
def nameless_place(servers_of: Callable[[int], Servers], prepared: Path) -> Iterator[Place]:
    """A place of a user who stands in no list of users."""
    with place_for(54321, servers_of(54321), prepared) as place:
        yield place
