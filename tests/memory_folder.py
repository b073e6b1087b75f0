"""A folder in memory, for a database whose every test makes files anew and needs none of them afterwards."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stillframe.database.data_folder import in_use

MEMORY = Path("/dev/shm")
#: what the databases of a run, and what is written ahead for them, may take
_ROOM_BYTES = 1 << 30
_PREFIX = "stillframe-tests-"
_LEFT_BEHIND_S = 3600


@contextmanager
def memory_folder() -> Iterator[Path | None]:
    """A new data folder in memory; None where there is no memory of that kind, or too little, as in containers."""
    if not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < _ROOM_BYTES:
        yield None
        return
    _remove_what_was_left_behind()
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=MEMORY) as folder:
        yield Path(folder)


def _remove_what_was_left_behind() -> None:
    """By tests that were killed: memory is given back by nobody else."""
    for folder in MEMORY.glob(f"{_PREFIX}*"):
        facts = folder.stat()
        is_old = time.time() - facts.st_mtime > _LEFT_BEHIND_S
        if is_old and facts.st_uid == os.geteuid() and not in_use(folder):
            shutil.rmtree(folder)
