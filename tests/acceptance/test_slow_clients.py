"""Clients that are slow, endless or silent: each has its time and its answer, and nobody else waits for them."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drill.server import Server

pytestmark = pytest.mark.usefixtures("sandbox_holds")

#: of a slow client; how long the server waits for it; and what is surely too long
BYTE_EVERY_S, REQUEST_S, DEADLINE_S = 0.1, 1, 30
TRIES = 5
TOO_LATE = b"The request was not complete after 1 seconds."
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("server"), "--slots", "1", request_seconds=REQUEST_S)
    try:
        running.start()
        yield running
        assert running.terminate() == 0
    finally:
        running.close()


@pytest.fixture
def wire(server: Server) -> Iterator[socket.socket]:
    with connected(server) as connection:
        yield connection


def connected(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_S)


def drip(wire: socket.socket) -> bytes:
    """Send a byte now and then until the server hangs up; what it has said."""
    heard = b""
    deadline = time.monotonic() + DEADLINE_S
    wire.settimeout(BYTE_EVERY_S)
    while time.monotonic() < deadline:
        try:
            wire.send(b"a")
            more = wire.recv(65536)
        except TimeoutError:
            continue
        except ConnectionError:
            # it has hung up on what was sent just now; its answer came before that
            return heard + rest_of(wire)
        if not more:
            return heard
        heard += more
    raise AssertionError(f"the server listens for ever: {heard!r}")


def rest_of(wire: socket.socket) -> bytes:
    """What is said until the server hangs up."""
    heard = b""
    with contextlib.suppress(ConnectionError):
        while more := wire.recv(65536):
            heard += more
    return heard


def refused(answer: bytes) -> tuple[int, str]:
    """Status and code of an answer that is the last on its connection."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    told = json.loads(body)
    assert told["RequestId"].encode() in head
    return int(head.split()[1]), told["Code"]


@pytest.mark.parametrize(
    "begin",
    [b"POST /", HEAD + b"X-Slow: ", HEAD + b"Content-Length: 1000\r\n\r\n"],
    ids=["request line", "head", "body"],
)
@pytest.mark.parametrize("before", [False, True], ids=["first request", "second request"])
def test_a_byte_now_and_then(wire: socket.socket, begin: bytes, before: bool) -> None:
    if before:
        wire.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        heard = b""
        while not heard.endswith(b"ok\n"):
            more = wire.recv(65536)
            assert more, f"the server has hung up after {heard!r}"
            heard += more
    wire.sendall(begin)
    heard = drip(wire)
    assert refused(heard) == (408, "RequestTimeout")
    assert TOO_LATE in heard


def test_a_body_that_nobody_wants(wire: socket.socket) -> None:
    wire.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
    assert drip(wire).endswith(b"ok\n")


def test_one_that_says_nothing(wire: socket.socket) -> None:
    assert wire.recv(65536) == b""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no limit for it")
def test_one_that_never_reads(server: Server) -> None:
    with socket.socket() as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.settimeout(DEADLINE_S)
        wire.connect(("127.0.0.1", server.port))
        wire.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 500)
        kept = f"0100007F:{server.port:04X} 0100007F:{wire.getsockname()[1]:04X}"
        assert kept in Path("/proc/net/tcp").read_text()
        deadline = time.monotonic() + DEADLINE_S
        while kept in Path("/proc/net/tcp").read_text():
            assert time.monotonic() < deadline, "the server waits for ever"
            time.sleep(BYTE_EVERY_S)


@pytest.mark.parametrize("announced", [b"Content-Length: 100000000", b"Transfer-Encoding: chunked"])
def test_a_body_of_100_mb(server: Server, wire: socket.socket, announced: bytes) -> None:
    wire.sendall(HEAD + announced + b"\r\n\r\n")
    piece = b"x" * (1 << 20)
    if b"chunked" in announced:
        piece = b"100000\r\n" + piece + b"\r\n"
    # the server stops reading at some time, and hangs up after its answer
    with contextlib.suppress(ConnectionError):
        for _ in range(96):
            wire.sendall(piece)
    assert refused(rest_of(wire)) == (413, "RequestEntityTooLarge")
    assert server.call("ListSnapshotJobs")["Jobs"] == []


def test_nobody_waits_for_them(server: Server) -> None:
    """More of them than the server has threads; the answer to another comes before that to any of them."""
    for _ in range(TRIES):
        with contextlib.ExitStack() as stack:
            slow = [stack.enter_context(connected(server)) for _ in range(60)]
            for number, wire in enumerate(slow):
                wire.sendall(HEAD if number % 2 else HEAD + b"Content-Length: 10\r\n\r\na")
            assert server.call("ListSnapshotJobs")["Jobs"] == []
            answered, _, _ = select.select(slow, [], [], 0)
            for wire in slow:
                assert refused(rest_of(wire)) == (408, "RequestTimeout")
        # on a busy machine their time may have been over before they all were there
        if not answered:
            return
    raise AssertionError(f"{TRIES} times somebody had to wait for them")
