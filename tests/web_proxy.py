"""A proxy for the web: it passes on what it is asked for, by CONNECT and by whole addresses, for a password."""

from __future__ import annotations

import http.client
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

#: "me:secret"
PASSWORD = "Basic bWU6c2VjcmV0"


class WebProxy(ThreadingHTTPServer):
    """`asked` is the lines that it was asked with."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://me:secret@127.0.0.1:{self.server_address[1]}"


@contextmanager
def web_proxy() -> Iterator[WebProxy]:
    with WebProxy() as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: WebProxy
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if not self._is_let_in():
            return
        goal = urlsplit(self.path)
        headers = {name: value for name, value in self.headers.items() if not name.startswith("Proxy-")}
        connection = http.client.HTTPConnection(goal.netloc)
        connection.request("GET", goal.path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding"):
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_CONNECT(self) -> None:
        if not self._is_let_in():
            return
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port))) as beyond, selectors.DefaultSelector() as ready:
            self.send_response_only(200)
            self.end_headers()
            for begin, end in ((self.connection, beyond), (beyond, self.connection)):
                ready.register(begin, selectors.EVENT_READ, end)
            while True:
                for key, _ in ready.select():
                    begin, end = key.fileobj, key.data
                    assert isinstance(begin, socket.socket)
                    data = begin.recv(65536)
                    if not data:
                        self.close_connection = True
                        return
                    end.sendall(data)

    def _is_let_in(self) -> bool:
        self.server.asked.append(self.requestline)
        if self.headers["Proxy-Authorization"] == PASSWORD:
            return True
        self.send_error(407)
        self.close_connection = True
        return False

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
