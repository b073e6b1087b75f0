"""The address of the database, as psycopg itself is given it."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from stillframe.database.embedded import socket_url
from stillframe.database.engine import psycopg_dsn, with_driver
from stillframe.errors import DatabaseError

#: what is added to an address beyond this machine
PATIENCE = {
    "application_name": "stillframe",
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
    "target_session_attrs": "read-write",
}


@pytest.mark.parametrize("folder", ["/srv/data", "/srv/my data", "/srv/a+b", "/srv/it's \\ é%20"])
def test_a_socket_in_any_folder(folder: str) -> None:
    assert conninfo_to_dict(psycopg_dsn(socket_url(Path(folder)))) == {
        "application_name": "stillframe",
        "connect_timeout": "5",
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
        **PATIENCE,
    }


def test_what_the_address_says_counts() -> None:
    dsn = psycopg_dsn("postgresql://db/name?connect_timeout=60&tcp_user_timeout=0&target_session_attrs=any")
    given = {"connect_timeout": "60", "tcp_user_timeout": "0", "target_session_attrs": "any"}
    assert conninfo_to_dict(dsn) == {"host": "db", "dbname": "name", **PATIENCE, **given}


@pytest.mark.parametrize(
    ("hosts", "host", "port"),
    [
        ("a,b", "a,b", ","),
        ("a:5432,b:5433", "a,b", "5432,5433"),
        ("a,b:5433", "a,b", ",5433"),
        ("[::1]:5432,[fe80::2],c", "::1,fe80::2,c", "5432,,"),
    ],
)
@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_several_hosts(scheme: str, hosts: str, host: str, port: str) -> None:
    address = f"{scheme}://me:p%40%2Cq@{hosts}/name?sslmode=require"
    found = conninfo_to_dict(psycopg_dsn(address))
    assert (found["host"], found.get("port")) == (host, port)
    assert (found["user"], found["password"], found["dbname"]) == ("me", "p@,q", "name")
    assert (found["sslmode"], found["target_session_attrs"]) == ("require", "read-write")
    assert psycopg_dsn(with_driver(with_driver(address))) == psycopg_dsn(address)


@pytest.mark.parametrize(
    "address", ["postgresql://a:x,b/name", "mysql://a,b/name", "postgresql://a:1:2,b/name"]
)
def test_no_address(address: str) -> None:
    with pytest.raises(DatabaseError):
        with_driver(address)
