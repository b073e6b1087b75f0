"""A proxy before a store that answers as networks and stores do on a bad day, for as many requests as it is told.

with faulty_proxy(port) as proxy:
    proxy.faults.extend(["pass", "reset"])    # the second range that is asked for breaks off in its middle
    proxy.each_once["PUT"] = "503"    # whatever is written, the first time
    proxy.always["GET"] = "drip"    # every range there is
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

#: Of ranges: "truncated" ends the connection too early and "short" does not, "slow" comes to its end and "drip" never
#: does, "whole" is all of the object with 200, and of "corrupt" one byte is another. Of what is written: "reset" comes
#: before all of it is there, and "unanswered" when the store has it. What can be called happens when the store has
#: answered, and before its answer goes out.
Fault = (
    Literal[
        "pass",
        "503",
        "reset",
        "truncated",
        "short",
        "whole",
        "slow",
        "drip",
        "corrupt",
        "unanswered",
    ]
    | Callable[["FaultyProxy"], object]
)
Kind = Literal["GET", "HEAD", "PUT"]
_SLOW_PIECES = 20


class FaultyProxy(ThreadingHTTPServer):
    """Passes everything on; each fault in `faults` spoils one range that is asked for, in their order.

    So do those in `writes` what is written. What is asked for beyond them is spoiled `each_once`, or `always`.
    """

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = port
        self.faults: deque[Fault] = deque()
        self.writes: deque[Fault] = deque()
        self.each_once: dict[Kind, Fault] = {}
        self.always: dict[Kind, Fault] = {}
        #: what was asked for until now, and the bytes of ranges that have gone out
        self.heads = self.ranges = self.range_bytes = 0
        #: all of the object, for who is to get it instead of a range
        self.content: bytes | None = None
        #: how many requests were spoiled
        self.spoiled = 0
        #: nobody is to be kept waiting for drops any more
        self.dripped = threading.Event()
        self._away_until = 0.0
        self._met: set[tuple[Kind, str, str]] = set()
        self._lock = threading.Lock()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def stay_away(self, seconds: float) -> None:
        """Answer whatever is asked for with 503 from now on."""
        self._away_until = time.monotonic() + seconds

    def recover(self) -> None:
        """Spoil nothing any more, and forget what was asked for."""
        with self._lock:
            for told in (self.faults, self.writes, self.each_once, self.always, self._met):
                told.clear()
            self.heads = self.ranges = self.range_bytes = self.spoiled = 0
            self._away_until = 0.0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever is killed, or has had enough, hangs up."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def fault_of(self, kind: Kind | None, path: str, asked_range: str) -> Fault:
        """What is to become of a request; None is another kind."""
        with self._lock:
            self.heads += kind == "HEAD"
            self.ranges += kind == "GET"
            found = "503" if time.monotonic() < self._away_until else self._told(kind, path, asked_range)
            self.spoiled += found != "pass"
            return found

    def _told(self, kind: Kind | None, path: str, asked_range: str) -> Fault:
        if kind is None:
            return "pass"
        told = {"GET": self.faults, "PUT": self.writes}.get(kind)
        if told:
            return told.popleft()
        # who goes on after a half asks for the rest of the same
        request = (kind, path, asked_range.rpartition("-")[2])
        if kind in self.each_once and request not in self._met:
            self._met.add(request)
            return self.each_once[kind]
        return self.always.get(kind, "pass")


@contextmanager
def faulty_proxy(port: int) -> Iterator[FaultyProxy]:
    """A proxy before what listens on a port of this machine."""
    with FaultyProxy(port) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield proxy
        finally:
            proxy.dripped.set()
            proxy.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: FaultyProxy
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        fault = self.server.fault_of(self._kind(), self.path, self.headers.get("Range", ""))
        length = int(self.headers.get("Content-Length", 0))
        if fault == "reset" and self.command != "GET":
            self.rfile.read(length // 2)
            return self._reset()
        sent = self.rfile.read(length)
        if fault == "503":
            self.send_response(503)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        answer, body = self._passed_on(sent)
        if callable(fault):
            fault(self.server)
        elif fault == "unanswered":
            return self._reset()
        elif fault == "short":
            body = body[: len(body) // 2]
        elif fault == "whole":
            # the range is signed for, and cannot be left out of the request
            assert self.server.content is not None
            body = self.server.content
        elif fault == "corrupt":
            middle = len(body) // 2
            body = body[:middle] + bytes([body[middle] ^ 0xFF]) + body[middle + 1 :]
        if "Range" in self.headers:
            self.server.range_bytes += len(body)
        self._answer(answer, body, fault)
        if fault in ("drip", "slow"):
            self._drop(body, 1 if fault == "drip" else len(body) // _SLOW_PIECES + 1)
        elif fault in ("reset", "truncated"):
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
            if fault == "reset":
                self._reset()
        elif self.command != "HEAD":
            self.wfile.write(body)
        return None

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 - as http.server wants them

    def _kind(self) -> Kind | None:
        if self.command == "HEAD":
            return "HEAD"
        if self.command == "PUT":
            return "PUT"
        return "GET" if "Range" in self.headers else None

    def _passed_on(self, sent: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        # the store signs and checks the Host that the client has named
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.server.behind)) as connection:
            connection.request(self.command, self.path, sent, headers)
            answer = connection.getresponse()
            return answer, answer.read()

    def _answer(self, answer: http.client.HTTPResponse, body: bytes, fault: Fault) -> None:
        self.send_response(200 if fault == "whole" else answer.status)
        left_out = {"connection", "transfer-encoding", "date", "server"}
        if fault in ("short", "whole"):
            left_out |= {"content-length", "content-range"}
        for name, value in answer.getheaders():
            if name.lower() not in left_out:
                self.send_header(name, value)
        if "content-length" in left_out or answer.getheader("Content-Length") is None:
            # it has come in chunks, or is another one
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()

    def _drop(self, body: bytes, piece: int) -> None:
        """Piece by piece, until the client has had enough."""
        with contextlib.suppress(OSError):
            for begin in range(0, len(body), piece):
                self.wfile.write(body[begin : begin + piece])
                self.server.dripped.wait(0.05 if piece == 1 else 0.01)
        self.close_connection = piece == 1

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
