"""Bodies that are too long, too slow, or never end; and parameters as long as a body."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator

import pytest

from ims_server import DEADLINE_S, GOOD, ImsServer, serving
from ims_signer import RpcV1

PLACE = '{"Type":"OSS","Media":"oss://local/movie.mp4"}'
SUBMIT = {"Input": PLACE, "Output": PLACE, "TemplateConfig": '{"TemplateId":"S00000002-000012"}'}
LIMIT = 4 << 20


@pytest.fixture(scope="module")
def server() -> Iterator[ImsServer]:
    with serving(body_deadline_s=DEADLINE_S) as running:
        yield running


@pytest.fixture(scope="module")
def impatient() -> Iterator[ImsServer]:
    with serving(body_deadline_s=0.3) as running:
        yield running


@pytest.fixture
def wire(server: ImsServer) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_S) as connection:
        yield connection


def head(*lines: str) -> bytes:
    return "\r\n".join(["POST / HTTP/1.1", "Host: x", *lines, "", ""]).encode()


def answer(wire: socket.socket) -> tuple[int, str, str]:
    """Status, code and message of what comes, up to the end of the connection."""
    text = b""
    while more := wire.recv(65536):
        text += more
    first, _, rest = text.partition(b"\r\n")
    assert b"connection: close" in rest.lower()
    body = json.loads(rest.partition(b"\r\n\r\n")[2])
    return int(first.split()[1]), body["Code"], body["Message"]


def still_serves(server: ImsServer) -> bool:
    return "Jobs" in server.call("ListSnapshotJobs")


def test_a_long_body_is_refused_by_its_length_alone(server: ImsServer, wire: socket.socket) -> None:
    wire.sendall(head("Content-Length: 100000000"))
    # nothing of the body has been sent, and the answer comes all the same
    first = b""
    while b"RequestId" not in first:
        first += wire.recv(65536)
    assert first.startswith(b"HTTP/1.1 413 ")
    assert b'"Code":"RequestEntityTooLarge"' in first
    assert b"it has 100000000 bytes, and 4194304 bytes are the most" in first
    assert still_serves(server)


def test_a_client_that_sends_it_all_the_same_sees_the_answer(server: ImsServer, wire: socket.socket) -> None:
    wire.sendall(head("Content-Length: 5000000"))
    wire.sendall(b"x" * 5_000_000)
    assert answer(wire)[:2] == (413, "RequestEntityTooLarge")
    assert still_serves(server)


def test_a_client_that_asks_first_is_told_not_to_send(server: ImsServer, wire: socket.socket) -> None:
    wire.sendall(head("Content-Length: 100000000", "Expect: 100-continue"))
    assert answer(wire)[:2] == (413, "RequestEntityTooLarge")


def test_a_body_without_a_length_is_cut_off_at_the_limit(server: ImsServer, wire: socket.socket) -> None:
    wire.sendall(head("Transfer-Encoding: chunked"))
    for _ in range(LIMIT // 0x10000 + 4):
        wire.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
    wire.sendall(b"0\r\n\r\n")
    status, code, message = answer(wire)
    assert (status, code) == (413, "RequestEntityTooLarge")
    assert "it has more than 4194304 bytes" in message
    assert still_serves(server)


@pytest.mark.parametrize("announced", ["Content-Length: 10", "Transfer-Encoding: chunked"])
def test_a_slow_client_has_its_deadline(impatient: ImsServer, announced: str) -> None:
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=DEADLINE_S) as wire:
        wire.sendall(head(announced))
        status, code, message = answer(wire)
    assert (status, code) == (408, "RequestTimeout")
    assert message == "The request was not complete after 0.3 seconds."
    assert still_serves(impatient)


def test_a_client_that_goes_away_is_not_answered(server: ImsServer, wire: socket.socket) -> None:
    served = len(server.served)
    wire.sendall(head("Content-Length: 10") + b"abc")
    wire.close()
    assert still_serves(server)
    assert len(server.served) == served + 1


@pytest.mark.parametrize("where", ["query", "form"])
@pytest.mark.parametrize("signer", [GOOD, RpcV1("testAK", "testSecret")], ids=["acs3", "v1"])
def test_a_megabyte_of_user_data_is_refused_by_its_name(server: ImsServer, where: str, signer: RpcV1) -> None:
    long = [("UserData", "é" * 500_000)]
    pairs = [*SUBMIT.items()]
    signed = (
        signer.sign("POST", server.host, "SubmitSnapshotJob", pairs + long)
        if where == "query"
        else signer.sign("POST", server.host, "SubmitSnapshotJob", pairs, form=long)
    )
    # a raw connection: the client library has a limit of its own for addresses
    with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_S) as wire:
        lines = [f"{signed.method} {signed.target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in signed.headers.items()]
        lines += [f"content-length: {len(signed.body)}", "connection: close", "", ""]
        wire.sendall("\r\n".join(lines).encode() + signed.body)
        status, code, message = answer(wire)
    assert (status, code) == (400, "InvalidParameter")
    assert '"UserData"' in message
    assert "must be text of 1024 bytes or less in UTF-8 (it has 1000000)" in message
    assert len(message) < 600


ENDLESS = {
    "address": (b"GET /?", b"x" * 0x10000),
    "header": (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: ", b"x" * 0x10000),
    "headers": (b"GET / HTTP/1.1\r\nHost: x\r\n", b"X-Many: 1\r\n" * 6000),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_a_head_without_an_end_is_refused(server: ImsServer, wire: socket.socket, what: str) -> None:
    begin, more = ENDLESS[what]
    answered = b""
    with contextlib.suppress(ConnectionError):
        wire.sendall(begin)
        for _ in range(4 * LIMIT // len(more)):
            wire.sendall(more)
        pytest.fail("it has read all of it")
    with contextlib.suppress(ConnectionError):
        answered = wire.recv(65536)
    # who is still sending when the connection is closed may never see the answer
    assert answered == b"" or answered.startswith(b"HTTP/1.1 4")
    assert still_serves(server)
