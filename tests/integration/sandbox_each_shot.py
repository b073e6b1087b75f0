"""The product's own child, for which each shot is a slice."""

from __future__ import annotations

import socket

from stillframe.media import plan
from stillframe.sandbox import child

plan.STRETCH_S = 0.0


def run(connection: socket.socket, video: int | None) -> None:
    """As `child.run`."""
    child.run(connection, video)
