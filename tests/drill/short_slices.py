"""The product's own child, for which a few shots of a tiny video are a slice."""

from __future__ import annotations

import socket

from stillframe.media import plan
from stillframe.sandbox import child

#: as the launcher has it, which cannot be imported here: it brings the whole server along
plan.STRETCH_S = 0.005


def run(connection: socket.socket, video: int | None) -> None:
    """As `child.run`."""
    child.run(connection, video)
