"""Whatever a security token service answers: there are keys, or a line that says why not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.client import parse_headers

import pytest

from stillframe.storage import sts
from stillframe.storage.keys import Keys, NoKeys
from stillframe.storage.sts import AlibabaRole

ROLE = AlibabaRole(Keys("id", "secret"), "acs:ram::1:role/films")
#: what is answered, whether the connection is held open after it, and what is told
ANSWERS: dict[str, tuple[bytes, bool, str]] = {
    "no HTTP": (b"SSH-2.0-OpenSSH\r\n", False, "is cut off, or no HTTP"),
    "a chunk that is cut off": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nabc",
        False,
        "is cut off, or no HTTP",
    ),
    "a failure that is cut off": (
        b"HTTP/1.1 500 Failed\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nabc",
        False,
        "is cut off, or no HTTP",
    ),
    "a failure without an end": (
        b"HTTP/1.1 500 Failed\r\nContent-Length: 9\r\n\r\nabc",
        True,
        "cannot be reached: ",
    ),
    "a failure": (
        b"HTTP/1.1 500 Failed\r\nContent-Length: 0\r\n\r\n",
        False,
        "answers 500: no reason is told",
    ),
    "nothing": (b"", False, "cannot be reached: "),
}


@pytest.fixture
def answer(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[bytes, bool, str]]:
    said, is_held, told = ANSWERS[request.param]
    ended = threading.Event()

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as question:
                # all of it: whoever hangs up on what he has not read resets the connection
                question.readline()
                headers = parse_headers(question)
                question.read(int(headers["Content-Length"]))
                connection.sendall(said)
                if is_held:
                    ended.wait(10)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setenv("ALIBABA_CLOUD_STS_ENDPOINT", f"http://127.0.0.1:{listening.getsockname()[1]}")
        monkeypatch.setattr(sts, "_PAUSE_S", 0.01)
        if is_held:
            monkeypatch.setattr(sts, "_TIMEOUT_S", 0.1)
        thread = threading.Thread(target=serve)
        thread.start()
        yield said, is_held, told
        ended.set()
        # wakes up who waits for a connection
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize("answer", ANSWERS, indirect=True)
def test_an_answer_without_keys(answer: tuple[bytes, bool, str]) -> None:
    with pytest.raises(NoKeys, match=answer[2]) as caught:
        ROLE.lend()
    assert caught.value.transient


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:port", "http://[::1", "ftp:"])
def test_an_endpoint_that_is_none(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", endpoint)
    with pytest.raises(NoKeys):
        sts.AwsWebIdentity("arn:aws:iam::1:role/films", __file__).lend()
