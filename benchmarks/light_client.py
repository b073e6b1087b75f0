"""A client that costs next to nothing: requests signed beforehand, plain sockets that stay open, one thread.

It is no more than what the service benchmark needs: answers are told by their Content-Length, errors end it.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import selectors
import socket
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from stillframe.accounts import acs3
from stillframe.accounts.signed_request import SignedRequest

_VERSION = "2020-11-09"
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer's JSON; `seconds` from when it was to be asked (or was asked) to its last byte."""

    body: dict[str, Any]
    seconds: float


class LightClient:
    """Sends signed requests over a few connections."""

    def __init__(self, url: str, access_key_id: str, secret: str) -> None:
        self._host = urlsplit(url).netloc
        self._address = (urlsplit(url).hostname or "", urlsplit(url).port or 80)
        self._key = (access_key_id, secret)

    def signed(self, action: str, **parameters: Any) -> bytes:
        """A whole request with all its parameters in the query, as the official SDK sends it."""
        pairs = [
            (name, value if isinstance(value, str) else json.dumps(value))
            for name, value in parameters.items()
        ]
        digest = hashlib.sha256(b"").hexdigest()
        headers = {
            "host": self._host,
            "x-acs-action": action,
            "x-acs-content-sha256": digest,
            "x-acs-date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "x-acs-signature-nonce": secrets.token_hex(16),
            "x-acs-version": _VERSION,
        }
        lists = {name: [value] for name, value in headers.items()}
        request = SignedRequest("POST", "/", lists, pairs, (), digest)
        headers["authorization"] = acs3.authorization(*self._key, request)
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs)
        lines = [f"POST /?{query} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "content-length: 0", "", ""]).encode()

    def call(self, action: str, **parameters: Any) -> dict[str, Any]:
        """One request, signed now, and its answer."""
        return self.drive([self.signed(action, **parameters)], connections=1)[0].body

    def drive(
        self, requests: Sequence[bytes], *, connections: int, per_second: float | None = None
    ) -> list[Answered]:
        """Send all of them: each connection the next one as soon as it has its answer, or so many a second.

        At a given rate the clock of a request starts when its turn has come, whether a connection is free or not.
        """
        waiting = deque(requests)
        answers: list[Answered] = []
        with selectors.DefaultSelector() as selector:
            idle = [socket.create_connection(self._address) for _ in range(connections)]
            opened = list(idle)
            began = time.perf_counter()
            sent = 0
            while len(answers) < len(requests):
                now = time.perf_counter()
                due = None
                while idle and waiting:
                    due = began + sent / per_second if per_second else now
                    if due > now:
                        break
                    connection = idle.pop()
                    connection.sendall(waiting.popleft())
                    selector.register(connection, selectors.EVENT_READ, [due, b""])
                    sent += 1
                pause_s = max(due - now, 0.0) if due is not None and idle and waiting else None
                for key, _ in selector.select(pause_s):
                    body = _received(key.fileobj, key.data)  # type: ignore[arg-type]
                    if body is not None:
                        answers.append(Answered(body, time.perf_counter() - key.data[0]))
                        selector.unregister(key.fileobj)
                        idle.append(key.fileobj)  # type: ignore[arg-type]
        for connection in opened:
            connection.close()
        return answers


def _received(connection: socket.socket, state: list[Any]) -> dict[str, Any] | None:
    """The answer's JSON once it is whole."""
    data = connection.recv(1 << 16)
    if not data:
        raise ConnectionError("the server has closed a connection")
    state[1] += data
    head, end, body = state[1].partition(b"\r\n\r\n")
    length = _LENGTH.search(head + b"\r\n")
    if not end or length is None or len(body) < int(length[1]):
        return None
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"{head.decode()}\n{body.decode()}")
    answer: dict[str, Any] = json.loads(body)
    return answer
