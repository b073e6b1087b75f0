"""Start a real server on a free port of this machine, and speak to it."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

_DEADLINE_S = 60.0


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait until something is so; fail when it takes too long for any machine."""
    deadline = time.monotonic() + _DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"still waiting after {_DEADLINE_S} s: {what}"
        time.sleep(0.005)


@contextmanager
def serving(app: ASGIApp, root_path: str = "") -> Iterator[str]:
    """The address of a server with this application, such as `http://127.0.0.1:43211`."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, lifespan="off", ws="none", log_level="critical", root_path=root_path)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            wait_for(lambda: server.started, "the server's start")
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(_DEADLINE_S)


def ask_raw(address: str, target: str, method: str = "GET") -> http.client.HTTPResponse:
    """Send a path exactly as it is written; most clients mend it first. The body is read."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=_DEADLINE_S)
    connection.request(method, target)
    response = connection.getresponse()
    response.body = response.read()  # type: ignore[attr-defined]
    connection.close()
    return response
