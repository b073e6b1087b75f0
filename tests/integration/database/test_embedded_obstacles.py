"""The private PostgreSQL where the machine is against it: no namespaces, no name, no room."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from database_server import Place, is_kept, state

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="namespaces and tmpfs are Linux's"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make these obstacles"),
]

PLENTY, TOO_SMALL = "size=400M", "size=20M"


@pytest.fixture
def disk(own_place: Place) -> Iterator[Path]:
    """A disk of its own in memory; its size is changed by `resize`."""
    path = own_place.make(own_place.root / "disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", PLENTY, "tmpfs", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs: {mounted.stderr.strip()}")
    try:
        yield path
    finally:
        own_place.close()
        subprocess.run(["umount", str(path)], check=True)


def resize(disk: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(disk)], check=True)


def fill_up(disk: Path) -> None:
    with (disk / "ballast").open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        for size in (1 << 20, 1 << 12):
            with contextlib.suppress(OSError):
                while True:
                    stream.write(b"\0" * size)


def test_where_namespaces_are_refused_an_ordinary_user_runs_it_for_root(own_place: Place) -> None:
    before = state(own_place.root)
    data_dir = own_place.root / "data"
    server = own_place.serve(data_dir, refuse_namespaces=True)
    assert server.told["event"] == "ready", server.told
    assert server.told["runs_as"] not in ("nobody", "the same user", "the same user in a namespace")
    assert Path(f"/proc/{server.told['pid']}").stat().st_uid not in (0, 65534)
    server.execute("CREATE TABLE kept AS SELECT 1 AS number")
    assert state(own_place.root) == before
    server.stop()

    # and back: the files are root's again, and then once more the other's
    again = own_place.serve(data_dir)
    assert again.told["runs_as"] == "the same user in a namespace"
    assert is_kept(again)
    again.stop()
    data_dir.chmod(0o711)
    assert is_kept(own_place.serve(data_dir, refuse_namespaces=True))


def test_a_folder_that_this_user_may_not_enter_is_named(own_place: Place) -> None:
    closed = own_place.make(own_place.root / "closed")
    before = state(closed)
    told = own_place.serve(closed / "data", refuse_namespaces=True).told
    assert told["event"] == "refused"
    assert f"may not enter {closed}: choose a folder that others may enter with --data-dir" in told["message"]
    assert state(closed) == before


def test_a_folder_that_others_made_is_not_opened(own_place: Place) -> None:
    data_dir = own_place.prepare("data")
    before = state(data_dir)
    told = own_place.serve(data_dir, refuse_namespaces=True).told
    assert f"may not enter {data_dir}: choose a folder" in told["message"]
    assert state(data_dir) == before


def test_a_user_without_a_name_can_run_it(nameless_place: Place) -> None:
    server = nameless_place.serve(nameless_place.root / "data")
    assert server.told["event"] == "ready", server.told
    assert server.execute("SELECT 1") == [(1,)]


def test_a_full_disk_at_the_first_start(own_place: Place, disk: Path) -> None:
    resize(disk, TOO_SMALL)
    told = own_place.serve(disk / "data").told
    assert told["event"] == "refused"
    assert f"{disk}/data: no space left on the disk" in told["message"]
    assert "--data-dir" in told["message"]

    resize(disk, PLENTY)
    server = own_place.serve(disk / "data")
    assert server.told["event"] == "ready", server.told


def test_a_full_disk_at_a_later_start(own_place: Place, disk: Path) -> None:
    data_dir = own_place.prepare("disk/data")
    fill_up(disk)
    told = own_place.serve(data_dir).told
    assert told["event"] == "refused", told
    assert "no space left on the disk (0 MiB are free" in told["message"]

    (disk / "ballast").unlink()
    assert is_kept(own_place.serve(data_dir))


def test_a_disk_that_fills_up_while_it_runs_loses_nothing(own_place: Place, disk: Path) -> None:
    server = own_place.serve(own_place.prepare("disk/data"))
    fill_up(disk)
    rows = "SELECT repeat('x', 100) FROM generate_series(1, 100000)"

    def write_on() -> None:
        for number in range(1000):
            server.execute(f"CREATE TABLE t{number} AS {rows}")

    with pytest.raises((psycopg.errors.DiskFull, psycopg.OperationalError)):
        write_on()
    (disk / "ballast").unlink()
    server.stop()
    assert is_kept(own_place.serve(server.data_dir))
