"""A web server that gives one file by ranges as it should, and each answer that it is told to give instead, in turn.

with web_server(content) as server:
    server.answers += [Answer(503), None]    # the second one as it should be
    server.asked                             # the headers of each question
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ETAG = '"first"'


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said once. In headers None takes away what would be said else; `whole` answers as if there were no Range.

    `seconds_a_byte` is how slowly the answer comes, its head, too; `hangs_up` ends the connection without a word.
    """

    status: int | None = None
    headers: dict[str, str | None] = field(default_factory=dict)
    body: bytes | None = None
    whole: bool = False
    hangs_up: bool = False
    seconds_a_byte: float = 0.0


class WebServer(ThreadingHTTPServer):
    """The server; `etag` None is none."""

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.etag: str | None = ETAG
        self.modified: str | None = "Mon, 23 Nov 2026 10:00:00 GMT"
        self.answers: deque[Answer | None] = deque()
        self.asked: list[tuple[str, Message]] = []
        self.ended = threading.Event()
        self.hung_up = threading.Event()

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.hung_up.set()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that hangs up is what some tests are about."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def web_server(content: bytes) -> Iterator[WebServer]:
    with WebServer(content) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: WebServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server = self.server
        server.asked.append((self.path, self.headers))
        told = (server.answers.popleft() if server.answers else None) or Answer()
        size = len(server.content)
        matched = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if matched and not told.whole:
            first, last = int(matched[1]), min(int(matched[2]), size - 1)
            status, body = 206, server.content[first : last + 1]
            headers: dict[str, str | None] = {"Content-Range": f"bytes {first}-{last}/{size}"}
        else:
            status, body, headers = 200, server.content, {}
        headers |= {"ETag": server.etag, "Last-Modified": server.modified}
        body = told.body if told.body is not None else body if told.status is None else b""
        headers |= {"Content-Length": str(len(body)), **told.headers}
        head = f"HTTP/1.1 {told.status or status} Said\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value is not None)
        answer = f"{head}\r\n".encode("latin-1") + body
        step = 1 if told.seconds_a_byte else len(answer)
        for begin in range(0, len(answer), step):
            if told.seconds_a_byte and self.server.ended.wait(told.seconds_a_byte):
                break
            self.wfile.write(answer[begin : begin + step])
        # what was said of its length may not be true
        self.close_connection = "Content-Length" in told.headers or told.seconds_a_byte > 0 or told.hangs_up

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
