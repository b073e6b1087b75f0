"""A receiver of events: a real HTTP server on loopback, which answers as it is told to.

with receiving() as receiver:
    receiver.answer = lambda message: 503
    receiver.url, receiver.messages
"""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Message:
    """What has come in, and when."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event

    @property
    def told(self) -> dict[str, Any]:
        told: dict[str, Any] = self.event["MessageBody"]
        return told


@dataclass
class Receiver:
    """`answer` gets a message and returns a status, with headers if it likes; it may also take its time."""

    url: str = ""
    messages: list[Message] = field(default_factory=list)
    answer: Callable[[Message], int | tuple[int, dict[str, str]]] = lambda _: 200
    #: set when the receiver ends: those that take their time are to stop then
    ending: threading.Event = field(default_factory=threading.Event)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2].partition("/")[0])


@contextlib.contextmanager
def receiving(
    host: str = "127.0.0.1", port: int = 0, context: ssl.SSLContext | None = None
) -> Iterator[Receiver]:
    """A receiver on a port of loopback, with TLS if there is a context."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            message = Message(self.path, dict(self.headers.items()), body, time.monotonic())
            receiver.messages.append(message)
            told = receiver.answer(message)
            status, headers = told if isinstance(told, tuple) else (told, {})
            with contextlib.suppress(ConnectionError):
                self.send_response(status)
                for name, value in {"Content-Length": "0", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = False
        request_queue_size = 64

        def handle_error(self, *_: object) -> None:
            # whoever breaks off a handshake
            pass

    with Server((host, port), Handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        receiver.url = f"http://{host}:{server.server_port}/events"
        try:
            yield receiver
        finally:
            receiver.ending.set()
            server.shutdown()
            thread.join()
