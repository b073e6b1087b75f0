"""Where the server of a data folder listens, for commands on the same machine: `server.json` (0600) in the folder.

with announced(data_dir, "http://127.0.0.1:8080"):
    address_of(data_dir)    # "http://127.0.0.1:8080"
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from stillframe.database.leftover import is_running

FILE_NAME = "server.json"


@contextlib.contextmanager
def announced(data_dir: Path, url: str) -> Iterator[None]:
    """Say where this process listens, for as long as it does."""
    path = data_dir / FILE_NAME
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{FILE_NAME}.{os.getpid()}")
    # left by a process of the same number that was killed just then
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump({"url": url, "pid": os.getpid()}, stream)
    temporary.rename(path)
    try:
        yield
    finally:
        # with a database of its operator's own, a folder may have several servers: the last one stands there
        if (_read(path) or ("", 0))[1] == os.getpid():
            path.unlink(missing_ok=True)


def address_of(data_dir: Path) -> str | None:
    """Where the folder's server listens; None when no server runs, or it was killed."""
    found = _read(data_dir / FILE_NAME)
    if found is None or not is_running(found[1]):
        return None
    return found[0]


def _read(path: Path) -> tuple[str, int] | None:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return str(told["url"]), int(told["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
