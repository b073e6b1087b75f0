"""The product's own child, which dies at once when it imports or opens anything after the lock."""

from __future__ import annotations

import os
import socket
import sys

from stillframe.sandbox import child

#: what a module or a file that is loaded only now would begin with
_LATE = frozenset(["import", "open", "os.listdir", "os.scandir", "ctypes.dlopen", "socket.__new__", "exec"])
LATE_EXIT = 99


def run(connection: socket.socket, video: int | None) -> None:
    """As `child.run`, watched."""

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if event in _LATE:
            os._exit(LATE_EXIT)

    sys.addaudithook(watch)
    child.run(connection, video)
