"""The data folder: its lock against a second server, and where the database's socket lies.

<data folder>/
  lock                    locked by the server that works here; its process id
  database/               PostgreSQL's (0700)
    pgdata/  postgres.log  .s.PGSQL.5432
    socket-folder         where the socket lies when its path would be too long here
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from stillframe.database.leftover import is_running, processes_in
from stillframe.errors import DatabaseError, DataFolderInUse, os_reason

SOCKET_NAME = ".s.PGSQL.5432"
#: sun_path of unix(7) has 108 bytes on Linux and 104 on macOS
MAX_SOCKET_PATH_BYTES = 100
#: how long a dead server's supervisor may need to end its PostgreSQL
_HANDOVER_SECONDS = 20.0


class DataFolder:
    """One data folder, made when it is missing (0700). `is_new` says that it was."""

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.realpath(path))
        if "\n" in str(self.path) or "\r" in str(self.path):
            raise DatabaseError(
                f"{str(self.path)!r}: the name has a line break: choose another with --data-dir"
            )
        self.is_new = not self.path.exists()
        self.database = self.path / "database"
        self._lock_descriptor: int | None = None
        with _naming_the_folder(self.path):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.database.mkdir(mode=0o700, exist_ok=True)

    @property
    def lock_descriptor(self) -> int:
        """The open lock file; a process that inherits it holds the lock, too."""
        assert self._lock_descriptor is not None
        return self._lock_descriptor

    def lock(self, patience_seconds: float = 1.0) -> None:
        """Take the lock. Raises DataFolderInUse when another server has it and lives on for so long.

        A server that was killed a moment ago takes a while to die, and its supervisor holds the lock until its
        PostgreSQL has ended: both are waited for.
        """
        path = self.path / "lock"
        with _naming_the_folder(self.path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        began = time.monotonic()
        try:
            while not _try_lock(descriptor, self.path):
                pid = _pid_in(descriptor)
                patience = patience_seconds if pid is not None and is_running(pid) else _HANDOVER_SECONDS
                if time.monotonic() - began >= patience:
                    raise DataFolderInUse(str(self.path), pid)
                time.sleep(0.02)
            with _naming_the_folder(self.path):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        except BaseException:
            os.close(descriptor)
            raise
        self._lock_descriptor = descriptor

    def unlock(self) -> None:
        """Give the lock back."""
        if self._lock_descriptor is not None:
            os.close(self._lock_descriptor)
            self._lock_descriptor = None

    def choose_socket_folder(self) -> Path:
        """Where the socket is to lie, under the lock: in the data folder, else in a new short folder, recorded."""
        self._remove_recorded_folder()
        folder = self.database
        if not _fits(folder):
            folder = _make_short_folder()
            with _naming_the_folder(self.path):
                self._record.write_bytes(os.fsencode(folder))
        return folder

    def forget_socket_folder(self) -> None:
        """PostgreSQL has ended: a short folder is not needed any more."""
        self._remove_recorded_folder()

    def socket_folder(self) -> Path:
        """Where the socket of the server that works here lies."""
        try:
            return Path(os.fsdecode(self._record.read_bytes()))
        except FileNotFoundError:
            return self.database

    @property
    def _record(self) -> Path:
        return self.database / "socket-folder"

    def _remove_recorded_folder(self) -> None:
        """Only one that we made (by its name), and never while a PostgreSQL uses it."""
        folder = self.socket_folder()
        if folder == self.database or processes_in(self.database / "pgdata"):
            return
        if folder.name.startswith(_SHORT_PREFIX) and folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)
        self._record.unlink(missing_ok=True)


def in_use(path: Path) -> bool:
    """Whether a server, or a command without one, works in a data folder now. Nothing is made."""
    try:
        descriptor = os.open(path / "lock", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        return not _try_lock(descriptor, path)
    finally:
        os.close(descriptor)


_SHORT_PREFIX = "stillframe-database-"


def _fits(folder: Path) -> bool:
    """Short enough for a socket; commas part several folders, for PostgreSQL as for its clients."""
    return len(os.fsencode(folder / SOCKET_NAME)) <= MAX_SOCKET_PATH_BYTES and "," not in str(folder)


def _make_short_folder() -> Path:
    """A new folder (0700) under XDG_RUNTIME_DIR, the temporary folder, or /tmp: the first whose name is short."""
    tried = []
    for parent in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):
        if parent is None or not _fits(Path(parent) / (_SHORT_PREFIX + "12345678")):
            continue
        try:
            return Path(tempfile.mkdtemp(prefix=_SHORT_PREFIX, dir=parent))
        except OSError as error:
            tried.append(f"{parent}: {os_reason(error)}")
    raise DatabaseError(
        "there is no folder for the database's socket, whose path may have "
        f"{MAX_SOCKET_PATH_BYTES} bytes ({'; '.join(tried)}): choose a shorter folder with --data-dir"
    )


def _try_lock(descriptor: int, folder: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise DatabaseError(
            f"{folder}: its file system cannot lock files ({os_reason(error)}): choose a folder on a local disk "
            "with --data-dir"
        ) from error
    return True


def _pid_in(descriptor: int) -> int | None:
    try:
        return int(os.pread(descriptor, 32, 0))
    except ValueError:
        return None


@contextlib.contextmanager
def _naming_the_folder(folder: Path) -> Iterator[None]:
    """Turns what the system refuses into an error that names the folder and the option."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise disk_full(folder) from error
        name = error.filename or folder
        raise DatabaseError(f"{name}: {os_reason(error)}: choose another folder with --data-dir") from error


def disk_full(folder: Path) -> DatabaseError:
    """The error for a disk without room for the database."""
    free_bytes = os.statvfs(folder if folder.exists() else folder.parent)
    free_mib = free_bytes.f_bavail * free_bytes.f_frsize >> 20
    return DatabaseError(
        f"{folder}: no space left on the disk ({free_mib} MiB are free, a new database needs 100): make room, or "
        "choose another folder with --data-dir"
    )
