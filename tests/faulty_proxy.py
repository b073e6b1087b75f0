"""A proxy before a store that answers as networks and stores do on a bad day, for as many requests as it is told."""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Fault = Literal["503", "reset", "truncated", "whole", "drip"]


class FaultyProxy(ThreadingHTTPServer):
    """Passes everything on; each fault in `faults` spoils one range that is asked for, in their order."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = port
        self.faults: deque[Fault] = deque()
        #: what was asked for until now, and the bytes of ranges that have gone out
        self.heads = self.ranges = self.range_bytes = 0
        #: nobody is to be kept waiting for drops any more
        self.dripped = threading.Event()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


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
        fault = None
        self.server.heads += self.command == "HEAD"
        if "Range" in self.headers:
            self.server.ranges += 1
            fault = self.server.faults.popleft() if self.server.faults else None
        if fault == "503":
            self.send_response(503)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        # the store signs and checks the Host that the client has named
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        if fault == "whole":
            del headers["Range"]
        length = int(self.headers.get("Content-Length", 0))
        connection = http.client.HTTPConnection("127.0.0.1", self.server.behind)
        connection.request(self.command, self.path, self.rfile.read(length), headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        if "Range" in self.headers:
            self.server.range_bytes += len(body)
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "date", "server"):
                self.send_header(name, value)
        if answer.getheader("Content-Length") is None:
            # it has come in chunks
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault == "drip":
            # until the client has had enough
            with contextlib.suppress(OSError):
                for number in range(len(body)):
                    self.wfile.write(body[number : number + 1])
                    self.server.dripped.wait(0.05)
            self.close_connection = True
            return
        if fault in ("reset", "truncated"):
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
            if fault == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            return
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 - as http.server wants them

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
