"""The address of the database, as psycopg itself is given it."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from stillframe.database.embedded import socket_url
from stillframe.database.engine import psycopg_dsn


@pytest.mark.parametrize("folder", ["/srv/data", "/srv/my data", "/srv/a+b", "/srv/it's \\ é%20"])
def test_a_socket_in_any_folder(folder: str) -> None:
    assert conninfo_to_dict(psycopg_dsn(socket_url(Path(folder)))) == {
        "host": folder,
        "user": "stillframe",
        "dbname": "stillframe",
    }


def test_a_server_with_a_password() -> None:
    dsn = psycopg_dsn("postgresql://me:p%40+%20s@db:5433/name?sslmode=require")
    assert conninfo_to_dict(dsn) == {
        "host": "db",
        "port": "5433",
        "user": "me",
        "password": "p@+ s",
        "dbname": "name",
        "sslmode": "require",
    }
