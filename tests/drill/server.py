"""A server in a process of its own on a data folder: start it, kill it, call it over signed HTTP."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drill.member import DEADLINE_S, Member, Process, demand, descendants
from ims_signer import Acs3

__all__ = ["DEADLINE_S", "Member", "Process", "Refused", "Server", "demand", "descendants", "free_port"]


class Refused(Exception):
    """The server's answer is an error: its status and what it said."""


class Server(Member):
    """`stillframe serve` on a data folder and one port, through all its lives."""

    def __init__(self, folder: Path, *options: str, **settings: object) -> None:
        self.data_dir = folder / "data"
        self.bucket = self.data_dir / "buckets" / "local"
        # held as long as this lives: between two lives of the server nobody else is given it
        self._held = free_port()
        self.port: int = self._held.getsockname()[1]
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("STILLFRAME_")},
            **{f"STILLFRAME_{name.upper()}": str(value) for name, value in settings.items()},
        }
        command = ["serve", "--data-dir", str(self.data_dir), "--port", str(self.port), *options]
        super().__init__(folder, "server", command, environment)
        self._signer: Acs3 | None = None

    def is_ready(self) -> bool:
        """Whether it takes jobs."""
        try:
            return self._request("GET", "/readyz", {}, b"")[0] == 200
        except OSError:
            return False

    def close(self) -> None:
        """Kill it where it still lives, and give the port back."""
        super().close()
        self._held.close()

    def postmaster(self) -> int | None:
        """The process id of the PostgreSQL in its data folder."""
        for file in self.data_dir.glob("database/*/postmaster.pid"):
            with contextlib.suppress(ValueError, IndexError, OSError):
                return int(file.read_text().splitlines()[0])
        return None

    def call(self, action: str, **parameters: Any) -> dict[str, Any]:
        """An action's answer. Raises OSError when nobody answers, and Refused."""
        pairs = [
            (key, json.dumps(value) if isinstance(value, Mapping) else str(value))
            for key, value in parameters.items()
        ]
        signed = self._key().sign("POST", f"127.0.0.1:{self.port}", action, pairs)
        status, text = self._request(signed.method, signed.target, signed.headers, signed.body)
        if status != 200:
            raise Refused(status, text)
        answer: dict[str, Any] = json.loads(text)
        return answer

    def insist(self, action: str, **parameters: Any) -> dict[str, Any]:
        """As `call`, again and again until somebody answers."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                return self.call(action, **parameters)
            except (OSError, http.client.HTTPException):
                if time.monotonic() > deadline:
                    raise
            except Refused as refused:
                if refused.args[0] < 500 or time.monotonic() > deadline:
                    raise
            time.sleep(0.05)

    def _key(self) -> Acs3:
        if self._signer is None:
            text = self.out(1).read_text()
            found = re.search(r"AccessKeyId (\S+)\s+AccessKeySecret (\S+)", text)
            if found is None:
                raise ConnectionError("the first start has not told its key yet")
            self._signer = Acs3(*found.groups())
        return self._signer

    def _request(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            connection.request(method, target, body, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def free_port() -> socket.socket:
    """A socket on a port that only who names it is given, and who says so (SO_REUSEADDR), as the server does."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    return holder
