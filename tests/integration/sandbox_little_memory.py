"""The product's own child in a sandbox that has room for one thread; it refuses to work with more."""

from __future__ import annotations

import socket
from typing import Any

from stillframe.errors import MediaError
from stillframe.media.render import Rendered
from stillframe.sandbox import child

_render = child.render


def _by_one_thread(*arguments: Any, threads: int, **options: Any) -> Rendered:
    if threads > 1:
        raise MediaError("it", "too-large", f"{threads} threads are at work")
    return _render(*arguments, threads=threads, **options)


child.MEMORY_BYTES = 0
child.render = _by_one_thread


def run(connection: socket.socket, video: int | None) -> None:
    """As `child.run`."""
    child.run(connection, video)
