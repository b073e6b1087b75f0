"""A page of what lies in a folder on disk, however much that is.

look_in(root, (b"2026",), starts="mo", after=None, most=100)    # FolderPage(folders, objects, next)
"""

from __future__ import annotations

import errno
import heapq
import os
import stat
import time
from collections.abc import Iterator

from stillframe.errors import ConfigError
from stillframe.media.source import file_identity
from stillframe.storage import beneath
from stillframe.storage.bucket import FolderPage, ObjectFacts
from stillframe.storage.local_keys import segments_of
from stillframe.storage.local_writer import opened

#: a folder of millions takes seconds; one on a disk that hangs may take for ever
_LONGEST_S = 20.0


def look_in(root: int, segments: tuple[bytes, ...], starts: str, after: str | None, most: int) -> FolderPage:
    """As the port of buckets says. All names are read for each page, and only as many kept. Raises OSError."""
    above = b"".join(segment + b"/" for segment in segments)
    folders, objects = [], []
    with opened(beneath.open_beneath(root, segments, beneath.FOLDER)) as folder:
        names = _names(folder, starts.encode(), (after or "").encode().removeprefix(above))
        # one more tells whether there are more
        found = heapq.nsmallest(most + 1, names)
        for name in found[:most]:
            key = (above + name).decode()
            if not _is_nameable(key.removesuffix("/")):
                continue
            if name.endswith(b"/"):
                folders.append(key)
                continue
            try:
                facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISREG(facts.st_mode):
                modified_s = facts.st_mtime_ns / 1e9
                objects.append(ObjectFacts(key, facts.st_size, file_identity(facts), modified_s))
    return FolderPage(folders, objects, (above + found[most - 1]).decode() if len(found) > most else None)


def _names(folder: int, starts: bytes, after: bytes) -> Iterator[bytes]:
    """Those that begin like this and come behind another; a folder's ends in a slash, as the keys in it go on."""
    deadline = time.monotonic() + _LONGEST_S
    with os.scandir(folder) as entries:
        for entry in entries:
            if time.monotonic() > deadline:
                message = f"what lies in it could not be listed within {_LONGEST_S:.0f} s"
                raise TimeoutError(errno.ETIMEDOUT, message)
            name = os.fsencode(entry.name)
            if not name.startswith(starts) or name + b"/" <= after or not _is_text(name):
                continue
            is_folder = entry.is_dir(follow_symlinks=False)
            shown = name + b"/" * is_folder
            if shown > after and (is_folder or entry.is_file(follow_symlinks=False)):
                yield shown


def _is_text(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_nameable(key: str) -> bool:
    try:
        segments_of(key)
    except ConfigError:
        return False
    return True
