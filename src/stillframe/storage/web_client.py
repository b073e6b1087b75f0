"""Requests to web servers, one try each: connections that are kept, redirects, and a time by which all is over.

    client = WebClient()
    with client.get(address, {"Range": "bytes=0-65535"}, deadline=time.monotonic() + 60) as answer:
        answer.status, answer.headers, answer.address     # of where redirects have led
        answer.read(65536)

It is the standard library's client, of which a request costs half the time that others take, with what it lacks: its
own time limits count anew with each byte that arrives.
"""

from __future__ import annotations

import functools
import io
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Literal, cast

from stillframe.storage.web_address import Misled, WebAddress
from stillframe.storage.web_proxy import web_proxy

#: for a connection with all that belongs to it, and for a server that says nothing
CONNECT_S, SILENCE_S = 15.0, 15.0
MOST_REDIRECTS = 5
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
#: of an answer that only redirects
_MOST_SKIPPED_BYTES = 64 << 10


class NoAnswer(Exception):
    """A try that came to nothing; its text says why. `transient`: the same may work a little later."""

    def __init__(self, message: str, *, transient: bool) -> None:
        super().__init__(message)
        self.transient = transient


class Answer:
    """The head of an answer; `read` gets its body. `address` is the one that redirects have led to."""

    def __init__(
        self, address: WebAddress, way: tuple[str, ...], response: HTTPResponse, connection: _Bounded
    ) -> None:
        self.address = address
        self._way = way
        self.status = response.status
        self.headers: Message = response.headers
        self._response = response
        self._connection = connection

    @property
    def by(self) -> str:
        """The servers on the way, for messages."""
        return _by(self._way)

    def give_time(self, seconds: float) -> None:
        """Let it take so much longer than was said when it was asked."""
        self._connection.deadline += seconds

    def read(self, length: int) -> bytes:
        """So much of the body, less only where it ends or was cut off. Raises NoAnswer."""
        with _told(self._way):
            return self._response.read(length)


class WebClient:
    """Connections of one who reads. Safe to use from several threads at once."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, str, int], list[_Connection]] = {}
        self._lock = threading.Lock()
        self._is_closed = False

    @contextmanager
    def get(self, address: WebAddress, headers: Mapping[str, str], deadline: float) -> Iterator[Answer]:
        """Ask, and follow redirects. Raises NoAnswer, also when the time, as `time.monotonic` counts it, is up."""
        way: tuple[str, ...] = (address.server,)
        while True:
            connection, response = self._ask(address, headers, deadline, way)
            try:
                location = response.headers.get("Location") if response.status in _REDIRECTS else None
                if location is None:
                    yield Answer(address, way, response, connection)
                    return
                with _told(way):
                    response.read(_MOST_SKIPPED_BYTES)
            finally:
                self._give_back(address, connection, response)
            try:
                address = address.redirected(location)
            except Misled as misled:
                raise NoAnswer(f"redirects {misled}{_by(way)}", transient=False) from None
            if len(way) > MOST_REDIRECTS:
                raise NoAnswer(f"redirects more than {MOST_REDIRECTS} times{_by(way)}", transient=False)
            way = (*way, address.server)

    def close(self) -> None:
        """Close what is not in use now; the others are closed after it."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, {}
        for connection in (one for connections in idle.values() for one in connections):
            connection.close()

    def _ask(
        self, address: WebAddress, headers: Mapping[str, str], deadline: float, way: tuple[str, ...]
    ) -> tuple[_Connection, HTTPResponse]:
        sent = dict(headers)
        if address.authorization is not None:
            sent["Authorization"] = address.authorization
        while True:
            connection = self._take(address)
            is_new = connection.sock is None
            try:
                with _told(way):
                    return connection, connection.ask(address.target, sent, deadline)
            except NoAnswer as error:
                connection.close()
                # a server may let go of a connection that nobody uses at any moment
                if is_new or not isinstance(error.__cause__, ConnectionError):
                    raise
            except BaseException:
                connection.close()
                raise

    def _take(self, address: WebAddress) -> _Connection:
        with self._lock:
            idle = self._idle.get(address.origin)
            if idle:
                return idle.pop()
        return _connection(address)

    def _give_back(self, address: WebAddress, connection: _Connection, response: HTTPResponse) -> None:
        """Keep a connection whose answer was read to its end; of others nobody knows what is still to come."""
        with self._lock:
            if response.isclosed() and connection.sock is not None and not self._is_closed:
                self._idle.setdefault(address.origin, []).append(connection)
                return
        response.close()
        connection.close()


class _Bounded(HTTPConnection):
    """A connection on which one deadline bounds a whole answer, however slowly it drips."""

    deadline = 0.0
    #: of a proxy for http: what stands before a target, and what it wants to know
    prefix = ""
    for_proxy: Mapping[str, str] = {}

    def ask(self, target: str, headers: Mapping[str, str], deadline: float) -> HTTPResponse:
        self.deadline = deadline
        self.timeout = min(CONNECT_S, _left(deadline))
        self.response_class = cast("type[HTTPResponse]", self._answer)
        if self.sock is not None:
            self.sock.settimeout(self.timeout)
        self.request("GET", self.prefix + target, headers={**headers, **self.for_proxy})
        return self.getresponse()

    def _answer(self, sock: socket.socket, *arguments: Any, **named: Any) -> HTTPResponse:
        return HTTPResponse(cast("socket.socket", _Paced(sock, lambda: self.deadline)), *arguments, **named)


class _Plain(_Bounded):
    """To a server of http."""


class _Secure(_Bounded, HTTPSConnection):
    """To a server of https."""


_Connection = _Plain | _Secure


class _Paced:
    """What an answer is read from: as a socket, with a time limit for each wait and one for all of them."""

    def __init__(self, sock: socket.socket, deadline: Callable[[], float]) -> None:
        self._sock = sock
        self._deadline = deadline

    def makefile(self, mode: Literal["rb"]) -> io.BufferedReader:
        return io.BufferedReader(_Wire(self._sock, self._deadline), 64 << 10)


class _Wire(io.RawIOBase):
    """The bytes as they arrive."""

    def __init__(self, sock: socket.socket, deadline: Callable[[], float]) -> None:
        self._sock = sock
        self._deadline = deadline
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(min(SILENCE_S, _left(self._deadline())))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time for it is up")
    return left


def _connection(address: WebAddress) -> _Connection:
    """A connection to be made: to the server, or to the proxy that the environment names for it."""
    authorities = tuple(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
    proxy = web_proxy(address)
    goal = proxy or address
    if address.scheme == "https":
        secure = _Secure(goal.host, goal.port, context=_trusting(*authorities))
        if proxy is not None:
            secure.set_tunnel(address.host, address.port, _for_proxy(proxy))
        return secure
    plain = _Plain(goal.host, goal.port)
    if proxy is not None:
        plain.prefix, plain.for_proxy = f"http://{address.server}", _for_proxy(proxy)
    return plain


def _for_proxy(proxy: WebAddress) -> dict[str, str]:
    return {} if proxy.authorization is None else {"Proxy-Authorization": proxy.authorization}


@functools.lru_cache(4)
def _trusting(file: str | None, folder: str | None) -> ssl.SSLContext:
    """Whom OpenSSL trusts, by these variables of the environment; loading all authorities takes a while."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _by(way: tuple[str, ...]) -> str:
    return f" (by way of {' -> '.join(way)})" if len(way) > 1 else ""


@contextmanager
def _told(way: tuple[str, ...]) -> Iterator[None]:
    """What goes wrong on a connection, as NoAnswer with words for it. A server's own words are never shown."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        message = (
            f"its certificate is not trusted: {error.verify_message} (SSL_CERT_FILE names other authorities)"
        )
        raise NoAnswer(message + _by(way), transient=False) from error
    except socket.gaierror as error:
        message = f"there is no server of this name: {error.strerror}"
        raise NoAnswer(message + _by(way), transient=error.errno == socket.EAI_AGAIN) from error
    except TimeoutError as error:
        raise NoAnswer(f"it takes too long to answer{_by(way)}", transient=True) from error
    except ssl.SSLError as error:
        passing = isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)
        reason = error.reason or "the connection was cut off"
        raise NoAnswer(f"no secure connection: {reason}{_by(way)}", transient=passing) from error
    except OSError as error:
        # a proxy's refusal is one without a number
        transient = error.errno is not None or isinstance(error, ConnectionError) or "failed: 5" in str(error)
        raise NoAnswer(f"{error.strerror or error}{_by(way)}", transient=transient) from error
    except HTTPException as error:
        raise NoAnswer(f"its answer is cut off or no HTTP{_by(way)}", transient=True) from error
